"""What each person says, in step with the picture. Samples are 16-bit, one channel, ``RATE`` a second."""

from __future__ import annotations

from collections import deque
from typing import Final

import numpy as np
import numpy.typing as npt

RATE: Final = 24_000
Samples = npt.NDArray[np.int16]
_PREBUFFER: Final = RATE // 10
_MOST: Final = RATE
"""A second: what is late by more than that is dropped, so that the picture and the sound stay together."""
_LOUD: Final = 300.0
_STILL_SPEAKING: Final = RATE // 2


class Voice:
    """One person's sound, between the network, which is unsteady, and the clock, which is not."""

    def __init__(self) -> None:
        self._waiting: deque[Samples] = deque()
        self._size = 0
        self._running = False
        self._quiet_for = _STILL_SPEAKING
        self.dropped = 0

    @property
    def speaking(self) -> bool:
        return self._quiet_for < _STILL_SPEAKING

    def hear(self, samples: Samples) -> None:
        """Sound arrived."""
        self._waiting.append(samples)
        self._size += len(samples)
        while self._size > _MOST:
            oldest = self._waiting.popleft()
            self._size -= len(oldest)
            self.dropped += len(oldest)
        if self._size >= _PREBUFFER:
            self._running = True

    def take(self, count: int) -> Samples:
        """The next ``count`` samples; silence where none have come."""
        taken = np.zeros(count, np.int16)
        if self._running:
            filled = 0
            while filled < count and self._waiting:
                piece = self._waiting.popleft()
                part = piece[: count - filled]
                taken[filled : filled + len(part)] = part
                filled += len(part)
                if len(part) < len(piece):
                    self._waiting.appendleft(piece[len(part) :])
            self._size -= filled
            self._running = self._size > 0 or filled == count
        loud = float(np.sqrt(np.mean(taken.astype(np.float32) ** 2))) > _LOUD if count else False
        self._quiet_for = 0 if loud else min(_STILL_SPEAKING, self._quiet_for + count)
        return taken


def mixed(pieces: list[Samples], count: int) -> Samples:
    """All at once; what is too loud is clipped."""
    if not pieces:
        return np.zeros(count, np.int16)
    total = np.zeros(count, np.int32)
    for piece in pieces:
        total += piece
    return np.clip(total, -32768, 32767).astype(np.int16)
