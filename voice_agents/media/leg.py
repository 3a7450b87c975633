"""An agent's channel: its queue, its ear, and the socket to the switch, whatever that speaks.

Everything happens on the loop's thread and nothing waits: what the switch sends is passed on at once, so
its socket is always read, and what it is given is what the queue says it may have.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, Protocol

import structlog

from voice_agents.core.audio import FRAME_MS, Codec
from voice_agents.core.playout import Limits, Order, Playout
from voice_agents.media.ticker import Ticker
from voice_agents.media.watchdog import Watchdog
from voice_agents.ports import MediaEar

_log = structlog.get_logger("voice_agents.media")

HANG_UP_S = 2.0
"""How long the switch may take to end a channel, before its socket is closed."""
_AHEAD_S = 0.0075
_SLACK_S = (0.003, 0.012)
"""The switch's tick should come so long after ours: early enough to be in time, late enough not to wait
long."""


class LegWire(Protocol):
    """The socket of one leg. Nothing waits; on a dead socket nothing happens."""

    def frame(self, sound: bytes) -> None: ...

    def probe(self, number: int) -> None: ...

    def freeze(self) -> None:
        """Empty the switch's queue; ``Leg.frozen`` follows."""
        ...

    def answer(self) -> None: ...

    def hang_up(self) -> None: ...

    def drop(self) -> None:
        """Close the socket at once."""
        ...


class _NoWire:
    """The socket of a leg that is closed. A leg and its socket know each other, and would else stay until the
    garbage collector comes, which the clock feels. Fits ``LegWire``."""

    def frame(self, sound: bytes) -> None: ...

    def probe(self, number: int) -> None: ...

    def freeze(self) -> None: ...

    def answer(self) -> None: ...

    def hang_up(self) -> None: ...

    def drop(self) -> None: ...


_NO_WIRE: Final = _NoWire()


@dataclass(slots=True)
class Yard:
    """What all legs of a port share."""

    limits: Limits = field(default_factory=Limits)
    clock: Callable[[], float] = time.monotonic
    watchdog: Watchdog = field(default_factory=Watchdog)
    ticker: Ticker = field(init=False)
    legs: set[Leg] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.ticker = Ticker(clock=self.clock, beat=self.watchdog.alive)

    def close(self) -> None:
        """End all legs and the thread."""
        for leg in tuple(self.legs):
            leg.close("hangup")
        self.ticker.close()
        self.watchdog.close()


class Leg:
    """Fits ``voice_agents.ports.MediaLeg``."""

    def __init__(self, codec: Codec, ear: MediaEar, wire: LegWire, yard: Yard, *, direct: bool) -> None:
        self.playout = Playout(codec, yard.limits, direct=direct)
        self._codec, self._ear, self._wire, self._yard = codec, ear, wire, yard
        self._rest = b""
        self._watched = 0
        self._closed = False
        self._hanging: asyncio.TimerHandle | None = None
        self._before: Callable[[], None] | None = None

    # ------------------------------------------------------------ MediaLeg

    @property
    def codec(self) -> Codec:
        return self._codec

    @property
    def queued_ms(self) -> int:
        return self.playout.queued_ms(self._yard.clock())

    @property
    def heard_ms(self) -> int:
        return self.playout.heard_ms(self._yard.clock())

    @property
    def fullness(self) -> float:
        return self.playout.fullness

    def answer(self) -> None:
        if not self._closed:
            self._wire.answer()

    def play(self, sound: bytes) -> bool:
        if self._closed:
            return False
        now = self._yard.clock()
        taken = self.playout.play(sound, now)
        self._carry_out(self.playout.take(now, fill=False))
        return taken

    def mark(self, name: str) -> None:
        if self._closed:
            self._tell([(name, False)])
            return
        self._carry_out(self.playout.mark(name))

    def flush(self) -> int:
        dropped, freeze = self.playout.flush(self._yard.clock())
        self._freeze(freeze)
        self._tell(self.playout.told)
        return dropped

    def pause(self) -> None:
        self._freeze(self.playout.pause(self._yard.clock()))

    def resume(self) -> None:
        self.playout.resume()
        if not self._closed:
            self._carry_out(self.playout.take(self._yard.clock(), fill=False))

    def on_beat(self, do: Callable[[], None]) -> None:
        self._before = do

    def hang_up(self) -> None:
        if not self._closed and self._hanging is None:
            self._hanging = asyncio.get_running_loop().call_later(HANG_UP_S, self._wire.drop)
            self._wire.hang_up()

    # ------------------------------------------------------------ what the socket tells

    def opened(self, fileno: int) -> None:
        """The socket is open: silence goes out from now on."""
        self._watched = self._yard.watchdog.watch(fileno)
        self._yard.legs.add(self)
        self._yard.ticker.add(self)
        self._safely(self._ear.arrived, self)
        if not self._closed:
            self._carry_out(self.playout.take(self._yard.clock(), fill=True))

    def sound(self, sound: bytes) -> None:
        """Sound of the caller. Passed on in whole frames."""
        if self._closed:
            return
        size = self._codec.frame_bytes
        if not self._rest and len(sound) == size:
            self._safely(self._ear.audio, sound)
            return
        sound = self._rest + sound
        end = len(sound) - len(sound) % size
        self._rest = sound[end:]
        for at in range(0, end, size):
            self._safely(self._ear.audio, sound[at : at + size])

    def pressed(self, digit: str) -> None:
        self._safely(self._ear.digit, digit)

    def confirmed(self, number: int) -> None:
        now = self._yard.clock()
        self.playout.confirm(number, now)
        self._align()
        self._tell(self.playout.told)

    def frozen(self, left: int) -> None:
        self.playout.frozen(left)
        self._tell(self.playout.told)
        if not self._closed:
            self._carry_out(self.playout.take(self._yard.clock(), fill=False))

    def flow(self, is_open: bool) -> None:
        self.playout.flow(is_open)

    def unbuffered(self) -> None:
        """The switch has no queue after all: sound is paced here alone."""
        if not self.playout.direct:
            self.playout.become_direct()

    def close(self, why: str) -> None:
        """The channel is no more. Once; what was not heard never will be."""
        if self._closed:
            return
        self._closed = True
        if self._hanging is not None:
            self._hanging.cancel()
        self._yard.ticker.remove(self)
        self._yard.legs.discard(self)
        if self._watched and self._yard.watchdog.release(self._watched):
            why = "stalled"
        self._before = None
        self._wire.drop()
        self.playout.flush(self._yard.clock())
        self._tell(self.playout.told)
        self._safely(self._ear.gone, why)
        self._wire = _NO_WIRE

    # ------------------------------------------------------------ the clock

    def tick(self, now: float) -> None:
        if self._before is not None:
            self._safely(self._before)
        self._carry_out(self.playout.take(now, fill=True))

    def _align(self) -> None:
        """Have our tick come a little before the switch's."""
        due = self.playout.switch.next_tick
        if due is None:
            return
        period = FRAME_MS / 1000
        slack = (due - self._yard.ticker.moment(self)) % period
        if not _SLACK_S[0] <= slack <= _SLACK_S[1]:
            self._yard.ticker.align(self, due - _AHEAD_S)

    def _freeze(self, needed: bool) -> None:
        """Empty the switch's queue, and give it silence for its next tick."""
        if needed and not self._closed:
            self._wire.freeze()
            self._carry_out(self.playout.take(self._yard.clock(), fill=True))

    def _carry_out(self, orders: Iterable[Order]) -> None:
        for order in orders:
            if isinstance(order, int):
                self._wire.probe(order)
            else:
                self._wire.frame(order)
        self._tell(self.playout.told)

    def _tell(self, told: Iterable[tuple[str, bool]]) -> None:
        for name, heard in told:
            self._safely(self._ear.mark, name, heard)

    def _safely(self, say: Callable[..., None], *what: object) -> None:
        try:
            say(*what)
        except Exception:  # noqa: BLE001 # why: a fault of one session must not end the clock of all
            _log.exception("media_ear_failed")
