"""Telephone audio as plain values: 16-bit little-endian PCM in ``bytes``, 8 kHz unless said otherwise.

µ-law is ITU-T G.711 by table (``audioop`` left the standard library in Python 3.13). Levels are in
dBFS: 0 is a full-scale square wave, silence is ``SILENCE_DB``.
"""

from __future__ import annotations

import math
import sys
import wave
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

RATE = 8000
FRAME_MS = 20
FRAME_SAMPLES = RATE * FRAME_MS // 1000
SILENCE_DB = -96.0
_FULL_SCALE = 32768.0
_ULAW_BIAS = 0x84
_ULAW_CLIP = 32635


def samples(pcm: bytes) -> array[int]:
    """The PCM as signed numbers."""
    values = array("h")
    values.frombytes(pcm[: len(pcm) // 2 * 2])
    if sys.byteorder == "big":
        values.byteswap()
    return values


def pcm_of(values: Sequence[int] | array[int]) -> bytes:
    """Signed 16-bit numbers as PCM."""
    packed = array("h", values)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


def silence(seconds: float, rate: int = RATE) -> bytes:
    return bytes(2 * round(seconds * rate))


def tone(hz: float, seconds: float, *, rate: int = RATE, amplitude: float = 0.4) -> bytes:
    """A sine wave. ``amplitude`` is a share of full scale."""
    peak = amplitude * 32767
    step = 2 * math.pi * hz / rate
    return pcm_of([round(peak * math.sin(step * i)) for i in range(round(seconds * rate))])


def duration_ms(pcm: bytes, rate: int = RATE) -> int:
    return len(pcm) // 2 * 1000 // rate


# G.711 µ-law


def _encode_one(sample: int) -> int:
    sign = 0x80 if sample < 0 else 0
    magnitude = min(abs(sample), _ULAW_CLIP) + _ULAW_BIAS
    exponent = magnitude.bit_length() - 8
    mantissa = (magnitude >> (exponent + 3)) & 0x0F
    return ~(sign | exponent << 4 | mantissa) & 0xFF


def _decode_one(code: int) -> int:
    code = ~code & 0xFF
    magnitude = (((code & 0x0F) << 3) + _ULAW_BIAS) << (code >> 4 & 0x07)
    return _ULAW_BIAS - magnitude if code & 0x80 else magnitude - _ULAW_BIAS


@cache
def _encode_table() -> bytes:
    """Index: the sample as an unsigned 16-bit number."""
    return bytes(_encode_one(i - 65536 if i > 32767 else i) for i in range(65536))


@cache
def _decode_table() -> tuple[bytes, ...]:
    return tuple(pcm_of([_decode_one(code)]) for code in range(256))


def ulaw_encode(pcm: bytes) -> bytes:
    table = _encode_table()
    return bytes([table[value & 0xFFFF] for value in samples(pcm)])


def ulaw_decode(encoded: bytes) -> bytes:
    return b"".join(map(_decode_table().__getitem__, encoded))


# What is in it


def level_db(pcm: bytes) -> float:
    """Root mean square in dBFS."""
    values = samples(pcm)
    if not values:
        return SILENCE_DB
    power = sum(v * v for v in values) / len(values)
    return max(SILENCE_DB, 10 * math.log10(power) - 20 * math.log10(_FULL_SCALE)) if power else SILENCE_DB


def levels_db(pcm: bytes, *, rate: int = RATE, window_s: float = 1.0) -> tuple[float, ...]:
    """The level of each window, in order; the last may be shorter."""
    step = 2 * round(rate * window_s)
    return tuple(level_db(pcm[at : at + step]) for at in range(0, len(pcm), step))


def active_seconds(pcm: bytes, *, rate: int = RATE, floor_db: float = -45.0) -> float:
    """How long somebody or something is heard: the sum of the 100 ms windows above ``floor_db``."""
    return round(0.1 * sum(level > floor_db for level in levels_db(pcm, rate=rate, window_s=0.1)), 1)


def tone_share(pcm: bytes, hz: float, *, rate: int = RATE) -> float:
    """How much of the power is at one frequency: 1.0 is a pure tone, 0.0 silence or something else.

    Goertzel's algorithm in 100 ms blocks, so slips of the clock and gaps cost only their own block.
    """
    block = rate // 10
    coefficient = 2 * math.cos(2 * math.pi * hz / rate)
    at_tone = total = 0.0
    values = samples(pcm)
    for start in range(0, len(values) - block + 1, block):
        previous = before = 0.0
        for value in values[start : start + block]:
            previous, before = value + coefficient * previous - before, previous
            total += value * value
        at_tone += previous * previous + before * before - coefficient * previous * before
    return min(1.0, 2 * at_tone / (block * total)) if total else 0.0


def has_tone(pcm: bytes, hz: float, *, rate: int = RATE, share: float = 0.5, seconds: float = 0.3) -> bool:
    """Whether the tone dominates for at least ``seconds`` in all."""
    return tone_seconds(pcm, hz, rate=rate, share=share) >= seconds


def tone_seconds(
    pcm: bytes, hz: float, *, rate: int = RATE, share: float = 0.5, floor_db: float = -45.0
) -> float:
    """How long the tone dominates, counted in audible 100 ms windows."""
    step = 2 * (rate // 10)
    windows = (pcm[at : at + step] for at in range(0, len(pcm) - step + 1, step))
    heard = sum(level_db(w) > floor_db and tone_share(w, hz, rate=rate) >= share for w in windows)
    return round(0.1 * heard, 1)


# Files


@dataclass(frozen=True, slots=True)
class Wave:
    """A WAV file's content: 16-bit PCM, channels interleaved."""

    pcm: bytes
    rate: int = RATE
    channels: int = 1

    @property
    def duration_ms(self) -> int:
        return len(self.pcm) // (2 * self.channels) * 1000 // self.rate

    def channel(self, index: int) -> bytes:
        """One channel as mono PCM. In recordings 0 is left (party A), 1 is right (party B)."""
        if not 0 <= index < self.channels:
            raise IndexError(f"channel {index} of {self.channels}")
        return pcm_of(samples(self.pcm)[index :: self.channels])


def read_wav(path: Path) -> Wave:
    """Reads a 16-bit WAV file. Raises ``ValueError`` if it is not one, ``OSError`` if it cannot be read."""
    try:
        with wave.open(str(path), "rb") as source:
            if source.getsampwidth() != 2:
                raise ValueError(f"{path.name}: {8 * source.getsampwidth()}-bit samples, 16 expected")
            return Wave(source.readframes(source.getnframes()), source.getframerate(), source.getnchannels())
    except (wave.Error, EOFError) as error:
        raise ValueError(f"{path.name}: not a WAV file ({error})") from error


def write_wav(path: Path, audio: Wave) -> None:
    with wave.open(str(path), "wb") as sink:
        sink.setnchannels(audio.channels)
        sink.setsampwidth(2)
        sink.setframerate(audio.rate)
        sink.writeframes(audio.pcm)


def interleave(left: bytes, right: bytes) -> bytes:
    """Two mono channels as one stereo stream; the shorter is filled with silence."""
    a, b = samples(left), samples(right)
    length = max(len(a), len(b))
    mixed = array("h", bytes(4 * length))
    mixed[0 : 2 * len(a) : 2] = a
    mixed[1 : 2 * len(b) : 2] = b
    return pcm_of(mixed)
