"""What the voice room needs from outside."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from voice_agents.core.text import SpeechLimits


@dataclass(frozen=True, slots=True)
class Speech:
    """Spoken text as a file: WAV, one channel, 16-bit. It is shared with others: do not change it."""

    path: Path
    duration_ms: int
    rate_hz: int


class TextToSpeech(Protocol):
    """Turns text into sound."""

    def limits(self) -> SpeechLimits:
        """The voices, rates and lengths it accepts."""
        ...

    async def speak(self, text: str, *, voice: str = "en-US", rate_hz: int = 8000) -> Speech:
        """The text spoken, finished and on disk.

        Raises ``InvalidInput`` for a text, voice or rate outside ``limits()``, ``SpeechUnavailable``
        if the engine is missing, fails, or is too slow.
        """
        ...

    async def close(self) -> None:
        """Ends what is running; nothing may be asked afterwards."""
        ...
