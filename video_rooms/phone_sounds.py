"""What telephones hear, as files: texts spoken once and kept, and a tone made here.

Without speech a text is a low double tone: nobody is left in silence.
"""

from __future__ import annotations

import asyncio
import math
import struct
import wave
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import structlog

from telephony.errors import PatchbayError
from video_rooms.core.words_spoken import COUNTED, LANGUAGES, Line, Words, text_of
from video_rooms.ports import RoomVoice

_log = structlog.get_logger("rooms.phones")
_RATE: Final = 16_000
_JOINED: Final = ((880.0, 0.12), (1320.0, 0.15))
"""Hertz and seconds: two rising notes."""
_SPEECHLESS: Final = ((400.0, 0.2), (0.0, 0.1), (400.0, 0.2))
_SPEAK_S: Final = 4.0
"""How long a telephone waits for words that were never spoken; then it hears a tone."""
_LOUD: Final = 8000
_RAMP: Final = 80
"""Samples over which a note begins and ends: without it every note clicks."""


class PhoneSounds:
    """``folder`` keeps the tones; it must be there."""

    def __init__(self, voice: RoomVoice, folder: Path) -> None:
        self._voice = voice
        self._tone = folder / "room-joined.wav"
        self._speechless = folder / "room-no-speech.wav"
        self._known: dict[tuple[Line, str], Path] = {}
        self._warming: asyncio.Task[None] | None = None

    async def prepare(self) -> None:
        """Make the tones, and begin to have everything spoken that is often said: nobody shall wait for it.
        What is said before that is spoken when it is needed."""
        await asyncio.to_thread(self.make_tones)
        self._warming = asyncio.create_task(self.speak_all(), name="phone-words")

    async def close(self) -> None:
        """Stop preparing."""
        if self._warming is not None:
            self._warming.cancel()
            await asyncio.gather(self._warming, return_exceptions=True)

    def make_tones(self) -> None:
        """Write the tones' files."""
        _write(self._tone, _JOINED)
        _write(self._speechless, _SPEECHLESS)

    async def speak_all(self) -> None:
        """Have everything spoken without a number in it, and the first numbers. Where speech is away it is
        made when it is needed."""
        for language in LANGUAGES:
            lines = [Line(words) for words in Words if words not in COUNTED]
            lines += [Line(Words.NUMBER, n) for n in range(1, 11)]
            for line in lines:
                if not await self._speak(line, language):
                    return

    def ready(self, lines: Sequence[Line], language: str) -> tuple[Path, ...] | None:
        """The files of these, where all are known already."""
        found = [self._path(line, language) for line in lines]
        return None if None in found else tuple(path for path in found if path is not None)

    async def files(self, lines: Sequence[Line], language: str) -> tuple[Path, ...]:
        """The files of these; what cannot be spoken is a tone."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_SPEAK_S):
                for line in lines:
                    if self._path(line, language) is None:
                        await self._speak(line, language)
        return tuple(self._path(line, language) or self._speechless for line in lines)

    def _path(self, line: Line, language: str) -> Path | None:
        """Its file, where that is there: those of speech are cleared away when they are many."""
        if line.words is Words.TONE:
            return self._tone
        known = self._known.get((line, language))
        return known if known is not None and known.is_file() else None

    async def _speak(self, line: Line, language: str) -> bool:
        if line.words is Words.TONE:
            return True
        try:
            self._known[line, language] = await self._voice.speak(text_of(line, language), language)
        except PatchbayError as error:
            _log.warning("phone.speechless", words=line.words.value, code=error.code)
            return False
        return True


def _write(target: Path, notes: Sequence[tuple[float, float]]) -> None:
    samples = [sample for hertz, lasts_s in notes for sample in _note(hertz, round(lasts_s * _RATE))]
    part = target.with_suffix(".part")
    with wave.open(str(part), "wb") as file:
        file.setparams((1, 2, _RATE, 0, "NONE", "not compressed"))
        file.writeframes(struct.pack(f"<{len(samples)}h", *samples))
    part.replace(target)


def _note(hertz: float, count: int) -> list[int]:
    return [
        round(_LOUD * min(1.0, n / _RAMP, (count - n) / _RAMP) * math.sin(2 * math.pi * hertz * n / _RATE))
        for n in range(count)
    ]
