"""Sound of our own: spoken prompts in a leg's codec, and the tone of a wait. Pure."""

from __future__ import annotations

import math
import warnings
from array import array
from collections.abc import Iterable

from voice_agents.core.audio import Codec
from voice_agents.core.sound import from_linear
from voice_agents.core.wav import from_wav

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "'audioop' is deprecated", DeprecationWarning)
    import audioop

_TONE_HZ = 425.0
_TONE_PEAK = 1200
"""Soft: 29 dB below full scale."""
_TONE_MS, _PERIOD_MS, _FADE_MS = 250, 4000, 40


def rate_for(codec: Codec, offered: Iterable[int]) -> int:
    """The rate to speak at for this codec: its own, else the nearest that is offered. Raises ``ValueError``
    where none is."""
    return min(offered, key=lambda rate: abs(rate - codec.rate_hz))


def leg_sound(wav: bytes, codec: Codec) -> bytes:
    """A WAV file's sound in the codec. Raises ``ValueError`` for a file that is not 16-bit mono."""
    mono = from_wav(wav)
    pcm = mono.pcm
    if mono.rate_hz != codec.rate_hz:
        pcm, _ = audioop.ratecv(pcm, 2, 1, mono.rate_hz, codec.rate_hz, None)
    return from_linear(codec, pcm)


def wait_tone(codec: Codec) -> bytes:
    """One period of the tone that says: somebody will be with you."""
    rate = codec.rate_hz
    count, fade = rate * _TONE_MS // 1000, rate * _FADE_MS // 1000
    step = 2 * math.pi * _TONE_HZ / rate
    tone = array("h")
    for n in range(count):
        loud = min(1.0, n / fade, (count - n) / fade)
        tone.append(round(_TONE_PEAK * loud * math.sin(step * n)))
    tone.extend([0] * (rate * (_PERIOD_MS - _TONE_MS) // 1000))
    return from_linear(codec, tone.tobytes())
