"""One voice in a room, and how each who listens keeps step with it. Pure.

Whoever has the voice pushes its frames; each listener takes one every 20 ms by a clock of its own. Between
them is a little sound, so that a frame that is late is not missed: two frames to begin with, four at most.
What is there all the time is delay for nothing: when there were never fewer than two frames for half a
second, one is left out, in a pause where one comes soon.
"""

from __future__ import annotations

from video_rooms.core.sound import SILENCE, quiet

BEGIN = 2
MOST = 4
_SPARE = 2
_WINDOW = 25
_PATIENCE = 50
"""Frames to wait for a pause before one of speech is left out."""
_KEPT = 2 * MOST


class Feed:
    """A voice's newest frames. One thread pushes, another may listen: a frame is in its place before it is
    counted, and stays there until four more have come than anybody takes."""

    __slots__ = ("_frames", "count")

    def __init__(self) -> None:
        self.count = 0
        """How many frames there were."""
        self._frames: list[bytes | None] = [None] * _KEPT

    def push(self, frame: bytes) -> None:
        """One frame more."""
        number = self.count + 1
        self._frames[number % _KEPT] = None if frame == SILENCE else frame
        self.count = number

    def frame(self, number: int) -> bytes | None:
        """The frame of this number, from 1, one of the last four; None where it was silence."""
        return self._frames[number % _KEPT]


class Cursor:
    """One listener's place in a voice."""

    __slots__ = ("_feed", "_least", "_next", "_owed", "_taken", "_waited", "dry", "left_out")

    def __init__(self, feed: Feed) -> None:
        self.dry = 0
        """How often there was nothing when a frame was due."""
        self.left_out = 0
        self._feed = feed
        self._next = 0
        """The number of the frame to take; 0 while enough for a beginning is waited for."""
        self._waited = feed.count
        self._least = MOST
        self._taken = 0
        self._owed = 0

    def take(self) -> bytes | None:
        """What sounds in the next 20 ms; None for silence."""
        count = self._feed.count
        if not self._next:
            if count - self._waited < BEGIN:
                return None
            self._next = count - BEGIN + 1
        waiting = count - self._next + 1
        if waiting <= 0:
            self.dry += 1
            self._next, self._waited = 0, count
            self._restart()
            return None
        if waiting > MOST:
            self.left_out += waiting - MOST
            self._next, waiting = count - MOST + 1, MOST
        frame = self._feed.frame(self._next)
        self._next += 1
        self._look(waiting - 1, frame)
        return frame

    def _look(self, left: int, frame: bytes | None) -> None:
        """Once too much waits, leave a frame out: the one after a quiet one, or after patience is over."""
        self._least = min(self._least, left)
        self._taken += 1
        if self._taken >= _WINDOW:
            self._owed = self._owed or (_PATIENCE if self._least >= _SPARE else 0)
            self._taken, self._least = 0, MOST
        if self._owed and left:
            self._owed -= 1
            if frame is None or quiet(frame) or not self._owed:
                self._next += 1
                self.left_out += 1
                self._restart()

    def _restart(self) -> None:
        self._least, self._taken, self._owed = MOST, 0, 0
