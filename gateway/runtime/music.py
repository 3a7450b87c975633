"""Hold music where the switch was shipped without any: a soft chord that swells and fades."""

from __future__ import annotations

import math
import wave
from array import array
from pathlib import Path

_RATE_HZ = 8_000
_CHORD_HZ = (220.0, 277.0, 330.0)
_LOUDNESS = 2_500
"""Per voice, of 32767: about -16 dBFS together, below speech."""


def chord(seconds: int = 12) -> array[int]:
    """16-bit samples at 8 kHz that start and end silent, so that a loop does not click."""
    total = seconds * _RATE_HZ
    samples = array("h", bytes(2 * total))
    for i in range(total):
        swell = math.sin(math.pi * i / total) ** 2
        voices = sum(math.sin(2 * math.pi * hz * i / _RATE_HZ) for hz in _CHORD_HZ)
        samples[i] = round(_LOUDNESS * swell * voices)
    return samples


def write_music(folder: Path) -> Path:
    """Put ``hold.wav`` into ``folder`` unless it is there; its path."""
    place = folder / "hold.wav"
    if place.exists():
        return place
    folder.mkdir(parents=True, exist_ok=True)
    fresh = folder / ".hold.part"
    with wave.open(str(fresh), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_RATE_HZ)
        file.writeframes(chord().tobytes())
    fresh.replace(place)
    return place
