"""Sound that piles up because its sender's clock is faster than ours. Pure.

A sender at 50.1 frames a second is a minute late after ten hours, unless frames are left out. Only a sender
in real time is treated so; one that sends faster than anybody hears has its reasons. Left out are frames of
a pause that has lasted for 200 ms already, so that words and the gaps between them stay as they are. Sound
without any pause loses a frame once it is 200 ms behind what it was.
"""

from __future__ import annotations

from voice_agents.core.audio import Codec
from voice_agents.core.sound import to_linear

WINDOW = 50
"""Looks (20 ms each) in one window; two in a row must be alike."""
_REAL_TIME = range(45, 57)
_USUAL = 1
"""The frame that waits for the switch's next tick."""
_PAUSE = 10
_MOST_GROWTH = 10
_NEVER = 1 << 30
_QUIET = 160
"""The loudest sample of a pause, of 32,768: -46 dB."""


class CreepWatch:
    """``look`` every 20 ms at how many frames wait; ``drops`` says of each frame whether it is left out."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._frames = self._looks = 0
        self._lows = [_NEVER, 0]
        self._paced = [False, False]
        self._standing = 0
        self._least: int | None = None
        self._run = 0
        self.dropped = 0

    def arrived(self, frames: int) -> None:
        self._frames += frames

    def look(self, level: int) -> None:
        self._lows[0] = min(self._lows[0], level)
        self._looks += 1
        if self._looks < WINDOW:
            return
        self._paced = [self._frames in _REAL_TIME, self._paced[0]]
        if all(self._paced):
            self._standing = min(self._lows)
            self._least = self._standing if self._least is None else min(self._least, self._standing)
        else:
            self._standing, self._least = 0, None
        self._lows = [_NEVER, self._lows[0]]
        self._looks = self._frames = 0

    @property
    def excess(self) -> int:
        """Frames that wait all the time: delay for nothing."""
        return max(0, self._standing - _USUAL)

    def drops(self, frame: bytes) -> bool:
        """Whether to leave this frame out."""
        if self._standing <= _USUAL:
            return False
        self._run = self._run + 1 if quiet(self._codec, frame) else 0
        grown = self._least is not None and self._standing - self._least > _MOST_GROWTH
        if self._run <= _PAUSE and not grown:
            return False
        self._standing -= 1
        self._lows = [low - 1 for low in self._lows]
        self.dropped += 1
        return True

    def restart(self) -> None:
        """What waited is gone."""
        self._frames = self._looks = self._standing = self._run = 0
        self._lows, self._paced, self._least = [_NEVER, 0], [False, False], None


def quiet(codec: Codec, frame: bytes) -> bool:
    """Whether nothing in a frame is louder than the noise of a line."""
    return peak(to_linear(codec, frame)) <= _QUIET


def peak(pcm: bytes) -> int:
    """The loudest sample of linear sound."""
    values = memoryview(pcm[: len(pcm) & ~1]).cast("h")
    return max(max(values, default=0), -min(values, default=0))
