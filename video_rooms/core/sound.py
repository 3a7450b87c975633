"""Sound as telephones in rooms carry it: linear, 16 kHz, 20 ms frames; files made into that. Pure.

Samples are signed 16-bit, low octet first. ``audioop`` was part of Python until 3.12 and is the package
audioop-lts from 3.13 on; one call of it costs a microsecond or less a frame.
"""

from __future__ import annotations

import io
import math
import warnings
import wave
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from telephony.errors import InvalidInput

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "'audioop' is deprecated", DeprecationWarning)
    import audioop

RATE_HZ = 16_000
FRAME_MS = 20
FRAME_BYTES = RATE_HZ * FRAME_MS // 1000 * 2
SILENCE = bytes(FRAME_BYTES)
SLICE_MS = 10
SLICE_BYTES = FRAME_BYTES // 2
"""Half a frame: the measure of what waits between whoever speaks and whoever listens."""
LONGEST_FILE_S = 600
"""A prompt, or a round of hold music, is no longer than this."""
_QUIET = 160
"""The loudest sample of a pause, of 32,768: -46 dB."""
_REACH = 16
"""Samples on each side, of the slower of two rates, that a new sample is made from."""

_Taps = npt.NDArray[np.float32]


def mixed(one: bytes, other: bytes) -> bytes:
    """Two pieces of equal length at once; what would be too loud is cut off, not wrapped."""
    return audioop.add(one, other, 2)


def softer(sound: bytes, factor: float) -> bytes:
    """The same at ``factor`` of its loudness, 0 to 1."""
    return audioop.mul(sound, 2, factor)


def quiet(sound: bytes) -> bool:
    """Whether nothing in it is louder than the noise of a line."""
    return audioop.max(sound, 2) <= _QUIET


def frames_of(sound: bytes) -> list[bytes]:
    """Whole frames; the last one is filled up with silence."""
    short = -len(sound) % FRAME_BYTES
    whole = sound + bytes(short)
    return [whole[at : at + FRAME_BYTES] for at in range(0, len(whole), FRAME_BYTES)]


def read_wav(octets: bytes) -> bytes:
    """The sound of a WAV file at our rate. Raises ``InvalidInput`` for anything but one channel of 16-bit
    linear sound at 4 to 192 kHz, of ten minutes at most."""
    try:
        with wave.open(io.BytesIO(octets)) as file:
            rate, width, channels = file.getframerate(), file.getsampwidth(), file.getnchannels()
            count = file.getnframes()
            if (width, channels) != (2, 1) or not 4_000 <= rate <= 192_000:
                raise InvalidInput("a sound is WAV, one channel, 16-bit, 4 to 192 kHz")
            if count > rate * LONGEST_FILE_S:
                raise InvalidInput(f"a sound is {LONGEST_FILE_S} s long at most")
            sound = file.readframes(count)
    except (wave.Error, EOFError) as fault:
        raise InvalidInput("not a WAV file") from fault
    return resampled(sound[: len(sound) & ~1], rate, RATE_HZ)


def resampled(sound: bytes, from_hz: int, to_hz: int) -> bytes:
    """A whole piece of sound at another rate: a windowed sinc, of which each new sample takes those taps that
    lie where it lies."""
    if from_hz == to_hz or not sound:
        return sound
    common = math.gcd(from_hz, to_hz)
    up, down = to_hz // common, from_hz // common
    taps = _taps(up, down)
    reach = taps.shape[1] // 2
    samples = np.frombuffer(sound, "<i2").astype(np.float32)
    padded = np.concatenate([np.zeros(reach, np.float32), samples, np.zeros(reach + 1, np.float32)])
    count = -(-len(samples) * up // down)
    made = np.empty(count, np.float32)
    for first in range(0, count, RATE_HZ):
        place = np.arange(first, min(first + RATE_HZ, count)) * down
        windows = padded[(place // up)[:, None] + np.arange(taps.shape[1])]
        made[first : first + RATE_HZ] = np.einsum("ij,ij->i", windows, taps[place % up])
    return np.clip(np.rint(made), -32_768, 32_767).astype("<i2").tobytes()


@lru_cache(maxsize=16)
def _taps(up: int, down: int) -> _Taps:
    """For each of the ``up`` places that a new sample may have between two old ones, the weights of the old
    ones around it. Cut off at 0.92 of what the slower rate can carry, under a Hann window."""
    share = min(1.0, up / down) * 0.92
    reach = math.ceil(_REACH / min(1.0, up / down))
    offsets = np.arange(-reach, reach + 1)[None, :] - (np.arange(up) / up)[:, None]
    window = np.where(np.abs(offsets) < reach + 1, 0.5 + 0.5 * np.cos(np.pi * offsets / (reach + 1)), 0.0)
    taps = share * np.sinc(share * offsets) * window
    scaled: _Taps = (taps / taps.sum(axis=1, keepdims=True)).astype(np.float32)
    return scaled
