"""Asterisk's media WebSocket as 22.10.1 has it, in made-up time: a queue, a tick, marks that a flush eats."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from voice_agents.core.audio import Codec
from voice_agents.core.playout import Limits, Playout

STEP_S = 0.001


@dataclass(slots=True)
class ModelSwitch:
    """``phase_ms``: when in each 20 ms the switch plays. ``heard``: its caller; None is a hole."""

    playout: Playout
    phase_ms: int = 5
    fill_ms: int = 0
    late_ms: int = 0
    """How much later than due our side gets to send."""
    event_ms: int = 1
    queue: deque[bytes | int] = field(default_factory=deque)
    heard: list[bytes | None] = field(default_factory=list)
    marks: list[tuple[str, bool, int]] = field(default_factory=list)
    """Name, whether heard, and how many ticks of the switch there had been."""
    most: int = 0
    plays: bool = True
    paused: bool = False
    _ms: int = 0
    _events: deque[tuple[int, int | str]] = field(default_factory=deque)

    @property
    def now(self) -> float:
        return 1000.0 + self._ms * STEP_S

    @property
    def sound(self) -> list[bytes]:
        """What was heard and was not silence."""
        return [frame for frame in self.heard if frame is not None and frame != self.playout.codec.silence]

    def play(self, sound: bytes) -> bool:
        taken = self.playout.play(sound, self.now)
        self._carry_out(self.playout.take(self.now, fill=False))
        return taken

    def mark(self, name: str) -> None:
        self._carry_out(self.playout.mark(name))

    def flush(self) -> int:
        dropped, freeze = self.playout.flush(self.now)
        self._freeze(freeze)
        return dropped

    def pause(self) -> None:
        self._freeze(self.playout.pause(self.now))

    def resume(self) -> None:
        self.playout.resume()
        self._carry_out(self.playout.take(self.now, fill=False))

    def pass_ms(self, ms: int) -> None:
        for _ in range(ms):
            self._ms += 1
            if self._ms % 20 == self.phase_ms % 20 and self.plays:
                self._tick()
            if self._ms % 20 == (self.fill_ms + self.late_ms) % 20:
                self._carry_out(self.playout.take(self.now, fill=True))
            while self._events and self._events[0][0] <= self._ms:
                self._event(self._events.popleft()[1])

    def _tick(self) -> None:
        played: bytes | None = None
        while self.queue and played is None:
            head = self.queue.popleft()
            if isinstance(head, int):
                self._events.append((self._ms + self.event_ms, head))
            else:
                played = head
        self.heard.append(played)

    def _freeze(self, freeze: bool) -> None:
        if freeze:
            held = sum(isinstance(one, bytes) for one in self.queue)
            self.queue.clear()
            self._events.append((self._ms + self.event_ms, f"frozen {held}"))
            self._carry_out(self.playout.take(self.now, fill=True))
        self._told()

    def _event(self, event: int | str) -> None:
        if isinstance(event, int):
            self.playout.confirm(event, self.now)
            self._align()
            self._told()
            return
        self.playout.frozen(int(event.split()[1]))
        self._carry_out(self.playout.take(self.now, fill=False))

    def _align(self) -> None:
        """Our clock moves to the quarter that ends 3 to 8 ms before the switch's, as a leg's does."""
        due = self.playout.switch.next_tick
        if due is not None:
            self.fill_ms = (round((due - 1000.0 - 0.0075) / STEP_S) // 5 * 5) % 20

    def _carry_out(self, orders: list[bytes | int]) -> None:
        self.queue.extend(orders)
        self.most = max(self.most, sum(isinstance(one, bytes) for one in self.queue))
        self._told()

    def _told(self) -> None:
        self.marks += [(name, heard, len(self.heard)) for name, heard in self.playout.told]


def model(codec: Codec = Codec.ULAW, limits: Limits | None = None, **how: int) -> ModelSwitch:
    return ModelSwitch(Playout(codec, limits), **how)  # type: ignore[arg-type]


def numbered(number: int, codec: Codec = Codec.ULAW) -> bytes:
    """A frame that is like no other, and no silence."""
    return (b"\x10" + number.to_bytes(3, "big")) * (codec.frame_bytes // 4)
