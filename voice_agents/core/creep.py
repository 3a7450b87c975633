"""Sound that piles up because its sender's clock is faster than ours. Pure.

A sender at 50.1 frames a second is a minute late after ten hours, unless frames are left out. Only a sender
in real time is treated so; one that sends faster than anybody hears has its reasons. Left out are frames of
a pause that has lasted for 200 ms already, so that words and the gaps between them stay as they are. Sound
without any pause loses a frame once it is 200 ms behind what it was.
"""

from __future__ import annotations

from voice_agents.core.audio import Codec
from voice_agents.core.sound import peak, to_linear

WINDOW = 25
"""Looks (20 ms each) in one window. What waits is judged by two in a row, a sender's pace by four."""
_REAL_TIME = range(80, 126)
"""Frames in four windows; in each there are some. A stall that was made up for is still real time."""
_SOME = 8
_EVEN = range(20, 31)
"""Frames in a window of a sender that never stalls: only of such a one is anything but a pause left out."""
_PAUSE = 10
_MOST_GROWTH = 10
_NEVER = 1 << 30
_QUIET = 160
"""The loudest sample of a pause, of 32,768: -46 dB."""


class CreepWatch:
    """``look`` is called every 20 ms, ``level`` now and then right after a tick of the switch, with how many
    frames wait for later ones; ``drops`` says of each frame whether it is left out."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._frames = self._looks = 0
        self._lows = [_NEVER, 0]
        self._paces = [0, 0, 0]
        self._standing = 0
        self._least: int | None = None
        self._run = 0
        self.dropped = 0
        self.paced = False
        """Whether the sender is one in real time."""

    def arrived(self, frames: int) -> None:
        self._frames += frames

    def level(self, frames: int) -> None:
        self._lows[0] = min(self._lows[0], frames)

    def look(self) -> None:
        self._looks += 1
        if self._looks < WINDOW:
            return
        windows = (self._frames, *self._paces)
        self._paces = list(windows[:3])
        self.paced = sum(windows) in _REAL_TIME and min(windows) >= _SOME
        low = min(self._lows)
        self._standing = low if self.paced and low < _NEVER else 0
        if not self.paced or any(frames not in _EVEN for frames in windows):
            self._least = None
        else:
            self._least = self._standing if self._least is None else min(self._least, self._standing)
        self._lows = [_NEVER, self._lows[0]]
        self._looks = self._frames = 0

    @property
    def excess(self) -> int:
        """Frames that wait all the time: delay for nothing."""
        return self._standing

    def drops(self, frame: bytes) -> bool:
        """Whether to leave this frame out."""
        if self._standing <= 0:
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
        self._lows, self._paces, self._least = [_NEVER, 0], [0, 0, 0], None
        self.paced = False


def quiet(codec: Codec, frame: bytes) -> bool:
    """Whether nothing in a frame is louder than the noise of a line."""
    return peak(to_linear(codec, frame)) <= _QUIET
