"""Arithmetic on frames of sound: µ-law, A-law and linear octets, loudness, other sampling rates. Pure.

Linear sound is signed 16-bit, low octet first. µ-law and A-law are ITU-T G.711. ``audioop`` was part of
Python until 3.12 and is the package audioop-lts from 3.13 on; one call of it costs a microsecond or less a
frame.
"""

from __future__ import annotations

import warnings

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


def scaled(pcm: bytes, factor: float) -> bytes:
    """Linear sound louder or softer; what would be too loud is cut off, not wrapped."""
    return audioop.mul(pcm, _WIDTH, factor)


def mixed(one: bytes, other: bytes) -> bytes:
    """Two pieces of linear sound of equal length at once."""
    return audioop.add(one, other, _WIDTH)
