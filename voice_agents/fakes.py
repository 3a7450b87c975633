"""Stand-ins that keep the ports' promises without servers. They pass the same contract tests."""

from __future__ import annotations

import math
from array import array
from pathlib import Path

from telephony.errors import SpeechUnavailable
from voice_agents.core.text import SpeechLimits, admit, speech_key
from voice_agents.core.wav import Mono, to_wav
from voice_agents.ports import Speech

_MS_A_CHARACTER = 60
_HUM_HZ = 220.0


class FakeSpeech:
    """Hums for 60 ms a character. ``spoken`` lists the texts; ``away`` makes it unavailable."""

    def __init__(self, folder: Path, max_characters: int = 2000) -> None:
        self._folder, self._max_characters = folder, max_characters
        self.spoken: list[str] = []
        self.away = False

    def limits(self) -> SpeechLimits:
        return SpeechLimits(
            frozenset({"en-US", "de-DE"}), frozenset({8000, 16000, 24000}), self._max_characters
        )

    async def speak(self, text: str, *, voice: str = "en-US", rate_hz: int = 8000) -> Speech:
        cleaned = admit(text, voice, rate_hz, self.limits())
        if self.away:
            raise SpeechUnavailable
        self.spoken.append(cleaned)
        count = len(cleaned) * _MS_A_CHARACTER * rate_hz // 1000
        step = 2 * math.pi * _HUM_HZ / rate_hz
        pcm = array("h", (round(8000 * math.sin(step * n)) for n in range(count))).tobytes()
        path = self._folder / f"{speech_key(voice, rate_hz, cleaned)}.wav"
        path.write_bytes(to_wav(Mono(pcm, rate_hz)))
        return Speech(path, len(pcm) // 2 * 1000 // rate_hz, rate_hz)

    async def close(self) -> None:
        self.away = True
