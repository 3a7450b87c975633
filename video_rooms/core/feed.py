"""One voice in a room, and how each who listens keeps step with it. Pure.

Whoever has the voice pushes it in slices of 10 ms, one or two at a time; each listener takes 20 ms by a clock
of its own. Between them is a little sound, so that a slice that is late is not missed: three slices to begin
with, ten at most. What is there all the time is delay for nothing: when there were never fewer than two left
for half a second, all but one of them is left out in a pause; where none comes within a second, one.
"""

from __future__ import annotations

from video_rooms.core.sound import FRAME_MS, SLICE_BYTES, quiet

BEGIN = 3
MOST = 10
_EACH = 2
"""Slices that are taken at once."""
_SPARE = 2
_WINDOW = 25
_PATIENCE = 50
"""Times to wait for a pause before speech is cut."""
_KEPT = 32
_SILENT = bytes(SLICE_BYTES)
_SHORT, _LONG = 10, 60
"""For how many frames the switch may hold one too many: in a pause, and while somebody speaks."""


class Feed:
    """A voice's newest slices. One thread pushes, another may listen: a slice is in its place before it is
    counted, and stays there until many more have come than anybody waits with."""

    __slots__ = ("_slices", "count")

    def __init__(self) -> None:
        self.count = 0
        """How many slices there were."""
        self._slices: list[bytes | None] = [None] * _KEPT

    def push(self, sound: bytes) -> None:
        """A slice, or a frame of two."""
        for at in range(0, len(sound), SLICE_BYTES):
            part = sound[at : at + SLICE_BYTES]
            number = self.count + 1
            self._slices[number % _KEPT] = None if part == _SILENT else part
            self.count = number

    def frame(self, number: int) -> bytes | None:
        """The slice of this number (from 1) and the one after it; None where both were silence."""
        one, two = self._slices[number % _KEPT], self._slices[(number + 1) % _KEPT]
        if one is None and two is None:
            return None
        return (one or _SILENT) + (two or _SILENT)


class Cursor:
    """One listener's place in a voice."""

    __slots__ = ("_feed", "_least", "_next", "_patience", "_surplus", "_taken", "_waited", "dry", "left_out")

    def __init__(self, feed: Feed) -> None:
        self.dry = 0
        """How often there was too little when a frame was due."""
        self.left_out = 0
        """Slices that nobody heard."""
        self._feed = feed
        self._next = 0
        """The number of the slice to take; 0 while enough for a beginning is waited for."""
        self._waited = feed.count
        self._least, self._taken = MOST, 0
        self._surplus, self._patience = 0, _PATIENCE

    def take(self) -> bytes | None:
        """What sounds in the next 20 ms; None for silence."""
        count = self._feed.count
        if not self._next:
            if count - self._waited < BEGIN:
                return None
            self._next = count - BEGIN + 1
        waiting = count - self._next + 1
        if waiting < _EACH:
            self.dry += 1
            self._next, self._waited = 0, count - waiting
            self._restart()
            return None
        if waiting > MOST:
            self.left_out += waiting - MOST
            self._next, waiting = count - MOST + 1, MOST
        frame = self._feed.frame(self._next)
        self._next += _EACH
        self._look(waiting - _EACH, frame)
        return frame

    def _look(self, left: int, frame: bytes | None) -> None:
        """Once too much waits, leave it out: all of it after a quiet frame, a slice once patience is over."""
        self._least = min(self._least, left)
        self._taken += 1
        if self._taken >= _WINDOW:
            self._surplus = max(0, self._least - _SPARE + 1)
            self._patience = self._patience if self._surplus else _PATIENCE
            self._taken, self._least = 0, MOST
        if not self._surplus or not left:
            return
        self._patience -= 1
        if frame is None or quiet(frame):
            self._leave_out(min(self._surplus, left))
        elif self._patience <= 0:
            self._leave_out(1)

    def _leave_out(self, slices: int) -> None:
        self._next += slices
        self.left_out += slices
        self._restart()

    def _restart(self) -> None:
        self._least, self._taken = MOST, 0
        self._surplus, self._patience = 0, _PATIENCE


class Brake:
    """Keeps short what the switch holds of one telephone's sound. After a stall that was made up for it has a
    frame more than it needs, for good, as it plays one each 20 ms: so one is not sent."""

    __slots__ = ("_since",)

    def __init__(self) -> None:
        self._since = 0

    def holds_back(self, queued_ms: int, frame: bytes | None) -> bool:
        """Whether this frame is not to be sent, while so much of those before has not been played."""
        if queued_ms < FRAME_MS:
            self._since = 0
            return False
        self._since += 1
        late = self._since > (_LONG if frame is not None and not quiet(frame) else _SHORT)
        if late:
            self._since = 0
        return late
