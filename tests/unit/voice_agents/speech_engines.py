"""Engines made up for tests of our own ears and voice: they take virtual time, and answer as prepared."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Callable
from pathlib import Path

from telephony.errors import SpeechUnavailable
from voice_agents.core.audio import FRAME_MS, Codec
from voice_agents.core.grammar import Grammar
from voice_agents.core.text import SpeechLimits, admit
from voice_agents.core.wav import Mono, to_wav
from voice_agents.ports import Heard, HearingLimits, Speech, Voicing

QUIET = Codec.ULAW.silence


class Speaker:
    """``TextToSpeech`` that takes ``takes_s`` a text and gives 100 ms of sound a word."""

    def __init__(self) -> None:
        self.takes_s = 0.1
        self.files: dict[Path, bytes] = {}
        self.spoken: list[tuple[str, str]] = []
        self.away = False
        self.breaks: Exception | None = None

    def limits(self) -> SpeechLimits:
        return SpeechLimits(frozenset({"en-US", "en-GB", "de-DE"}), frozenset({8000}), 500)

    async def speak(self, text: str, *, voice: str = "en-US", rate_hz: int = 8000) -> Speech:
        cleaned = admit(text, voice, rate_hz, self.limits())
        self.spoken.append((cleaned, voice))
        await asyncio.sleep(self.takes_s)
        if self.breaks is not None:
            raise self.breaks
        if self.away:
            raise SpeechUnavailable("away")
        path = Path(f"{len(self.files)}.wav")
        count = 800 * len(cleaned.split())
        self.files[path] = to_wav(Mono(array("h", [1000] * count).tobytes(), 8000))
        return Speech(path, count // 8, 8000)

    async def read(self, path: Path) -> bytes:
        return self.files[path]

    async def close(self) -> None: ...


class Turn:
    def __init__(self, hearing: Hearing) -> None:
        self._hearing = hearing
        self.sound = b""
        self.cancelled = False

    def feed(self, pcm: bytes) -> None:
        self.sound += pcm

    async def finish(self) -> Heard:
        takes_s, found = self._hearing.answers.pop(0)
        await asyncio.sleep(takes_s)
        if isinstance(found, Exception):
            raise found
        return Heard(found, 0.9)

    def cancel(self) -> None:
        self.cancelled = True


class Hearing:
    """``SpeechToText`` with answers prepared: how long each takes, and what it is."""

    def __init__(self) -> None:
        self.answers: list[tuple[float, str | Exception]] = []
        self.turns: list[Turn] = []
        self.asked: list[tuple[str, str]] = []
        self.partial: Callable[[Heard], None] = lambda heard: None
        self.refuses: Exception | None = None

    def limits(self) -> HearingLimits:
        return HearingLimits(frozenset({"en-US", "de"}), frozenset({8000}), 10_000, grammars=True)

    def listen(
        self, language: str, rate_hz: int, grammar: Grammar | None, partial: Callable[[Heard], None]
    ) -> Turn:
        if self.refuses is not None:
            raise self.refuses
        self.asked.append((language, "" if grammar is None else grammar.name))
        self.partial = partial
        self.turns.append(Turn(self))
        return self.turns[-1]

    async def close(self) -> None: ...


class Detector:
    """Speech is what is not silence, after one frame of either."""

    def __init__(self, codec: Codec) -> None:
        self._speaking, self._silence = False, codec.silence

    def feed(self, frame: bytes) -> Voicing | None:
        if (frame != self._silence) is self._speaking:
            return None
        self._speaking = not self._speaking
        return Voicing(self._speaking, FRAME_MS)


class Detectors:
    def detector(self, codec: Codec, min_ms: int) -> Detector:
        return Detector(codec)
