"""Tells the caller's voice from our own that comes back. No model: levels alone.

The line's gain is learned while the agent speaks and the caller listens, as in a greeting. Sound of the
caller's counts when it is louder than what we sent in the last 400 ms could be after that line. Levels are
root mean squares, 0 to 32768.
"""

from __future__ import annotations

from collections import deque

from voice_agents.core.audio import FRAME_MS

MEMORY_MS = 400
"""Echo over a mobile network comes back after up to a third of a second."""
MARGIN = 2.0
"""How much louder than its echo the caller must be: 6 dB."""
_UNLEARNED = 0.15
_LEAST_GAIN = 0.02
_MOST_GAIN = 0.7
_LOUD = 300
"""What we send must be so loud for its echo to teach anything."""
_LESSONS = 25
"""Frames of it that are enough: half a second."""
_FORGETTING = 0.02


class EchoGate:
    """One line's gate. Mutable: told each frame that the caller was given, asked about each that came."""

    def __init__(self) -> None:
        self._sent: deque[int] = deque(maxlen=MEMORY_MS // FRAME_MS)
        self._lessons: list[float] = []
        self._gain: float | None = None

    @property
    def gain(self) -> float:
        """How much of what we send comes back, 0 to 1."""
        return _UNLEARNED if self._gain is None else self._gain

    def sent(self, level: int) -> None:
        """A frame at this level was played to the caller; 0 for silence."""
        self._sent.append(level)

    def passes(self, level: int) -> bool:
        """Whether a frame of the caller's at this level can be more than echo."""
        loudest = max(self._sent, default=0)
        if loudest < _LOUD:
            return True
        if self._gain is None:
            self._learn(level / loudest)
        threshold = loudest * self.gain * MARGIN
        if level <= threshold:
            self._follow(level / loudest)
            return False
        return True

    def _learn(self, ratio: float) -> None:
        self._lessons.append(ratio)
        if len(self._lessons) < _LESSONS:
            return
        # The caller may speak over a part of it: the quieter half is the line's.
        quiet = sorted(self._lessons)[: _LESSONS // 2]
        self._gain = min(_MOST_GAIN, max(_LEAST_GAIN, quiet[-1]))

    def _follow(self, ratio: float) -> None:
        """The line changes slowly: up at once, since an echo taken for speech cuts the agent short."""
        if self._gain is None:
            return
        if ratio > self._gain:
            self._gain = min(_MOST_GAIN, ratio)
        else:
            self._gain = max(_LEAST_GAIN, self._gain + (ratio - self._gain) * _FORGETTING)
