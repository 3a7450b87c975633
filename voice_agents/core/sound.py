"""Arithmetic on frames of sound: µ-law, A-law and linear octets, loudness, other sampling rates. Pure.

Linear sound is signed 16-bit, low octet first. µ-law and A-law are ITU-T G.711. ``audioop`` was part of
Python until 3.12 and is the package audioop-lts from 3.13 on; one call of it costs a microsecond or less a
frame.
"""

from __future__ import annotations

import math
import warnings
from array import array
from typing import Any

from voice_agents.core.audio import Codec

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "'audioop' is deprecated", DeprecationWarning)
    import audioop

_WIDTH = 2


def to_linear(codec: Codec, sound: bytes) -> bytes:
    """Sound in the codec, of any length, as linear sound at the codec's rate."""
    if codec is Codec.ULAW:
        return audioop.ulaw2lin(sound, _WIDTH)
    if codec is Codec.ALAW:
        return audioop.alaw2lin(sound, _WIDTH)
    return sound


def from_linear(codec: Codec, pcm: bytes) -> bytes:
    """Linear sound at the codec's rate, in the codec. Half a sample at the end is dropped."""
    whole = pcm[: len(pcm) & ~1]
    if codec is Codec.ULAW:
        return audioop.lin2ulaw(whole, _WIDTH)
    if codec is Codec.ALAW:
        return audioop.lin2alaw(whole, _WIDTH)
    return whole


def rms(codec: Codec, frame: bytes) -> int:
    """How loud a frame is: the root mean square of its samples, 0 to 32768. Nothing is 0."""
    return pcm_rms(to_linear(codec, frame))


def pcm_rms(pcm: bytes) -> int:
    """How loud linear sound is, 0 to 32768."""
    return audioop.rms(pcm[: len(pcm) & ~1], _WIDTH)


def peak(pcm: bytes) -> int:
    """The loudest sample of linear sound, 0 to 32768."""
    return audioop.max(pcm[: len(pcm) & ~1], _WIDTH)


def scaled(pcm: bytes, factor: float) -> bytes:
    """Linear sound louder or softer; what would be too loud is cut off, not wrapped."""
    return audioop.mul(pcm, _WIDTH, factor)


def mixed(one: bytes, other: bytes) -> bytes:
    """Two pieces of linear sound of equal length at once."""
    return audioop.add(one, other, _WIDTH)


class Resampler:
    """Linear sound at another rate, piece by piece: what comes out of all the pieces is one sound.

    Down, a windowed sinc of 1 ms or two keeps out what the new rate cannot carry; up, samples are joined by
    straight lines, which mirrors a little of the sound above the old rate's limit (9 dB softer or more).
    Neither takes 0.1 ms a frame, nor delays the sound by 1.5 ms. Raises ``ValueError`` for rates
    that are not positive.
    """

    def __init__(self, from_hz: int, to_hz: int) -> None:
        if from_hz <= 0 or to_hz <= 0:
            raise ValueError("sampling rates are positive")
        self._from, self._to = from_hz, to_hz
        self._taps = _low_pass(to_hz / from_hz) if to_hz < from_hz else []
        self._before = bytes(_WIDTH * max(0, 2 * (len(self._taps) - 1)))
        self._skip = 0
        self._state: Any = None

    def feed(self, pcm: bytes) -> bytes:
        """The next piece, whole samples, at the new rate."""
        if self._from == self._to or not pcm:
            return pcm
        if self._taps and self._from % self._to == 0:
            return self._filtered(pcm, self._from // self._to)
        clear = self._filtered(pcm, 1) if self._taps else pcm
        made, self._state = audioop.ratecv(clear, _WIDTH, 1, self._from, self._to, self._state)
        return made

    def _filtered(self, pcm: bytes, every: int) -> bytes:
        """Every so many-th sample without what lies above half the new rate. 32-bit inside, a quarter as
        loud, so that the sum of all taps has room."""
        reach = len(self._taps) - 1
        whole = self._before + pcm
        self._before = whole[len(whole) - len(self._before) :]
        wide = array("i", audioop.mul(audioop.lin2lin(whole, _WIDTH, 4), 4, 0.25))
        samples = len(pcm) // _WIDTH
        at, end = reach + self._skip, reach + samples
        self._skip = (self._skip - samples) % every
        total = audioop.mul(wide[at:end:every], 4, self._taps[0])
        for k in range(1, reach + 1):
            pair = audioop.add(wide[at - k : end - k : every], wide[at + k : end + k : every], 4)
            total = audioop.add(total, audioop.mul(pair, 4, self._taps[k]), 4)
        return audioop.lin2lin(audioop.mul(total, 4, 4.0), 4, _WIDTH)


def _low_pass(share: float) -> list[float]:
    """One half of a symmetric filter, the middle first: a sinc under a Hann window that lets through 0.84 of
    what the new rate, this share of the old one, can carry."""
    reach = round(8 / share)
    cutoff = 0.84 * share
    half = []
    for k in range(reach + 1):
        x = math.pi * cutoff * k
        half.append(
            cutoff * (math.sin(x) / x if k else 1.0) * (0.5 + 0.5 * math.cos(math.pi * k / (reach + 1)))
        )
    total = half[0] + 2 * sum(half[1:])
    return [tap / total for tap in half]
