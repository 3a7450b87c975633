"""What an agent has said and nobody has heard yet: the queue of one call. Pure; ``now`` is monotonic
seconds.

Sound of any length comes in, whole frames go out. The switch is given two frames at most, since what it
holds is delay that cannot be taken back; the rest waits here. Where nothing waits, silence goes out, so
that the switch always has a frame for its next tick. Orders for the switch are ``bytes``, a frame, and
``int``, a probe: have the switch say when the frame of this number, and all before it, have left its queue.
So a mark is reached when its sound was really played, and the ledger counts what was heard, not what was
sent.

A switch without a queue of its own (``direct``) plays what it is given at once: one frame a tick then, no
probes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from voice_agents.core.audio import FRAME_MS, Codec
from voice_agents.core.creep import CreepWatch
from voice_agents.core.switch_queue import SwitchQueue

LEAD = 2
PROBE_EVERY = 10
UNCONFIRMED = 14
"""Frames without word from the switch after which it gets no more: nobody reads its channel."""
FREEZE_S = 0.1
"""How long the switch may take to count its queue."""
CUSHION_S = 10.0
DRY_S = 0.2
HIGH = 0.8
"""The share of the queue from which its sender should be told to wait."""

Order = bytes | int


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that waits, in milliseconds and in octets."""

    most_ms: int = 30_000
    most_bytes: int = 2_000_000


@dataclass(frozen=True, slots=True)
class _Sent:
    """A frame in the switch's queue. ``place``: how much sound had gone out with it. Silence has no frame."""

    number: int
    place: int
    frame: bytes | None


class _Freeze(Enum):
    """Why the switch was told to empty its queue and count it."""

    PAUSE = auto()
    FLUSH = auto()


class Playout:
    """One call's queue. After each call of a method, ``told`` has the marks that it decided."""

    def __init__(self, codec: Codec, limits: Limits | None = None, *, direct: bool = False) -> None:
        self.codec, self.direct = codec, direct
        self.generation = self.dry_runs = 0
        self.paused = False
        self.creep = CreepWatch(codec)
        self.switch = SwitchQueue()
        self._limits = Limits() if limits is None else limits
        self._frames = deque[bytes]()
        self._tail = b""
        self._flight = deque[_Sent]()
        self._aloft = 0
        """Frames in flight that are sound, not silence."""
        self._marks = deque[tuple[int, str]]()
        self._told: list[tuple[str, bool]] = []
        self._in = self._out = self._frontier = self._heard = 0
        self._probed = self._probed_place = 0
        self._freeze: _Freeze | None = None
        self._limbo: list[_Sent] = []
        self._frozen_at = self._cushion_until = 0.0
        self._gone_then = 0
        self._silence = codec.silence
        self._starved = 0
        self._dry_at = -1.0
        self._spoke = -1
        self._stopped = False

    # ------------------------------------------------------------ what comes in

    def play(self, sound: bytes, now: float) -> bool:
        """Queue sound. False where it does not fit: then nothing of it is taken."""
        if not sound:
            return True
        octets, size = self._octets + len(sound), self.codec.frame_bytes
        if octets > self._limits.most_bytes or octets * FRAME_MS > self._limits.most_ms * size:
            return False
        if self._dry_at >= 0 and now - self._dry_at < DRY_S:
            self.dry_runs += 1
        self._dry_at = -1.0
        if not self._tail and len(sound) == size:
            self._frames.append(bytes(sound))
            self._in += 1
            self.creep.arrived(1)
            return True
        whole = self._tail + sound
        end = len(whole) - len(whole) % size
        self._frames.extend(whole[at : at + size] for at in range(0, end, size))
        self._in += end // size
        self.creep.arrived(end // size)
        self._tail = whole[end:]
        return True

    def mark(self, name: str) -> list[Order]:
        """Tell when all that was queued before has been heard. May need a probe at once."""
        place = self._in + bool(self._tail)
        self._marks.append((place, name))
        if place <= self._frontier:
            self._reach()
        elif place <= self._out and not self.direct:
            self._probed, self._probed_place = self.switch.sent, self._out
            return [self.switch.sent]
        return []

    # ------------------------------------------------------------ what goes out

    def take(self, now: float, *, fill: bool) -> list[Order]:
        """What the switch is to be given now. ``fill``: its next tick is near, it must have a frame by
        then."""
        if self.direct:
            return [self._beat(now)] if fill else []
        if self._freeze is not None and now - self._frozen_at >= FREEZE_S:
            self.frozen(sum(sent.number > self._gone_then for sent in self._limbo))
        if self._stopped or self.switch.sent - self.switch.confirmed >= UNCONFIRMED:
            return []
        depth = self.switch.depth(now)
        if fill and not self.paused:
            self.creep.look()
        orders: list[Order] = []
        while depth < LEAD and (frame := self._pull()) is not None:
            self._give(frame, now, orders)
            depth += 1
        if fill and self.switch.depth_soon(now) <= self._cushion(now) and not self._waits():
            self._give(self._padded(now), now, orders)
        return orders

    def _beat(self, now: float) -> bytes:
        self.switch.confirmed = self.switch.sent
        self._leave(self.switch.sent)
        self.creep.look()
        frame = self._pull() or self._padded(now)
        self.creep.level(len(self._frames))
        self._aloft += frame is not None
        self._flight.append(_Sent(self.switch.send(now), self._out, frame))
        return frame or self._silence

    def _give(self, frame: bytes | None, now: float, orders: list[Order]) -> None:
        number = self.switch.send(now)
        self._aloft += frame is not None
        self._flight.append(_Sent(number, self._out, frame))
        self._spoke = number if frame is not None else -1
        orders.append(frame or self._silence)
        if self._marks and any(self._probed_place < place <= self._out for place, _ in self._marks):
            self._probed = number - PROBE_EVERY
        if number - self._probed >= PROBE_EVERY or number <= 3:
            orders.append(number)
            self._probed, self._probed_place = number, self._out

    def _pull(self) -> bytes | None:
        """The next whole frame. While the switch counts, some that come before it may come back."""
        while self._frames and not self.paused and self._freeze is None:
            frame = self._frames.popleft()
            self._out += 1
            if not self.creep.drops(frame):
                return frame
        return None

    def _padded(self, now: float) -> bytes | None:
        """The last part of a frame made whole; None where silence is due."""
        if self.paused or self._frames or self._freeze is not None:
            return None
        if self._tail:
            frame = self._tail + self._silence[len(self._tail) :]
            self._tail = b""
            self._in += 1
            self._out += 1
            return frame
        if self._dry_at < 0 and self._flight and self._flight[-1].frame is not None:
            self._dry_at = now
        return None

    def _waits(self) -> bool:
        """Whether to leave the switch without a frame for once: a sender in real time is late. Silence
        before its frame, which may yet come in time, would delay all that follows."""
        waits = self.creep.paced and self._spoke == self.switch.sent and not self.paused
        self._spoke = -1
        return waits

    def _cushion(self, now: float) -> int:
        """One frame of silence more than needed, for a while after the switch found nothing."""
        if self.switch.starved > self._starved:
            self._starved = self.switch.starved
            self._cushion_until = now + CUSHION_S
        return int(now < self._cushion_until and self._spoke != self.switch.sent)

    # ------------------------------------------------------------ what the switch says

    def confirm(self, number: int, now: float) -> None:
        """A probe came back."""
        self.switch.confirm(number, now)
        if not self.paused:
            self.creep.level(len(self._frames) + self.switch.depth(now))
        self._leave(self.switch.confirmed)

    def become_direct(self) -> None:
        """The switch has no queue of its own after all: what it was given has been played."""
        self.frozen(0)
        self.direct = True
        self._leave(self.switch.sent)

    def flow(self, is_open: bool) -> None:
        """The switch takes no more sound, or takes it again."""
        self._stopped = not is_open

    def frozen(self, left: int) -> None:
        """The switch has emptied its queue; so many frames were in it."""
        freeze, self._freeze = self._freeze, None
        if freeze is None:
            return
        limbo, self._limbo = self._limbo, []
        end = max(0, len(limbo) - left)
        heard = sum(sent.frame is not None for sent in limbo[:end])
        self._heard += heard
        if freeze is _Freeze.PAUSE:
            self._out += heard
            self._frames.extendleft(sent.frame for sent in reversed(limbo[end:]) if sent.frame is not None)
            self._frontier = max(self._frontier, self._out)
            self._reach()

    def _leave(self, number: int) -> None:
        while self._flight and self._flight[0].number <= number:
            sent = self._flight.popleft()
            self._frontier = max(self._frontier, sent.place)
            if sent.frame is not None:
                self._heard += 1
                self._aloft -= 1
        self._reach()

    def _reach(self) -> None:
        while self._marks and self._marks[0][0] <= self._frontier:
            self._told.append((self._marks.popleft()[1], True))

    # ------------------------------------------------------------ stop, wait, go on

    def flush(self, now: float) -> tuple[int, bool]:
        """Drop all that was not heard. Returns the milliseconds, and whether the switch must be frozen."""
        dropped = self.queued_ms(now)
        freeze = self._freeze_for(_Freeze.FLUSH, now)
        self._frames.clear()
        self._tail = b""
        self._in = self._frontier = self._out
        self._told += [(name, False) for _, name in self._marks]
        self._marks.clear()
        self.paused = False
        self.generation += 1
        self._dry_at = -1.0
        self.creep.restart()
        return dropped, freeze

    def pause(self, now: float) -> bool:
        """Hold what was not heard. Returns whether the switch must be frozen."""
        if self.paused:
            return False
        self.paused = True
        return self._freeze_for(_Freeze.PAUSE, now)

    def resume(self) -> None:
        self.paused = False

    def _freeze_for(self, why: _Freeze, now: float) -> bool:
        """Whether to empty the switch's queue. Its frames are in limbo until it has said how many they were;
        until then none of them counts as gone out."""
        if self._freeze is not None:
            self._freeze = why if why is _Freeze.FLUSH else self._freeze
            return False
        if self.direct or not self._unheard(now):
            return False
        self._freeze, self._frozen_at, self._gone_then = why, now, self.switch.gone(now)
        self._limbo = list(self._flight)
        self._flight.clear()
        self._out -= self._aloft
        self._aloft = 0
        self._probed_place = self._frontier
        self.switch.emptied()
        return True

    # ------------------------------------------------------------ what is known

    @property
    def told(self) -> Sequence[tuple[str, bool]]:
        """The marks decided since this was asked last, and whether they were heard."""
        if not self._told:
            return ()
        told, self._told = self._told, []
        return told

    @property
    def _octets(self) -> int:
        return len(self._frames) * self.codec.frame_bytes + len(self._tail)

    @property
    def fullness(self) -> float:
        """How much of the queue is used: 1.0 is full."""
        octets = self._octets
        return max(octets / self._limits.most_bytes, self.codec.ms(octets) / self._limits.most_ms)

    def _unheard(self, now: float) -> int:
        """Frames of sound that the switch has not played, or had not when it was told to stop."""
        if self.direct:
            return 0
        if self._freeze is not None:
            gone = self._gone_then
            return len([sent for sent in self._limbo if sent.number > gone and sent.frame is not None])
        if not self._aloft:
            return 0
        gone, unheard = self.switch.gone(now), 0
        for sent in reversed(self._flight):
            if sent.number <= gone:
                break
            unheard += sent.frame is not None
        return unheard

    def queued_ms(self, now: float) -> int:
        """What waits here and in the switch."""
        in_switch = 0 if self._freeze is _Freeze.FLUSH else self._unheard(now)
        return self.codec.ms(self._octets) + in_switch * FRAME_MS

    def heard_ms(self, now: float) -> int:
        """What was played and was not silence."""
        sound = self._aloft + sum(sent.frame is not None for sent in self._limbo)
        return (self._heard + sound - self._unheard(now)) * FRAME_MS
