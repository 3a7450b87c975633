"""Ears and voice of a session whose agent reads and writes words (``voice_agents.ports.SpeechFront``)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from voice_agents.core.agent import AgentSpec, DialectName
from voice_agents.core.audio import Codec
from voice_agents.core.expected import grammars_of
from voice_agents.core.grammar import Grammar
from voice_agents.core.talk import Audio as Sound
from voice_agents.core.talk import (
    Caption,
    Fault,
    Language,
    Play,
    SpeechStarted,
    SpeechStopped,
    Utterance,
    Words,
)
from voice_agents.core.turns import TurnLimits
from voice_agents.ports import Detectors, SpeechEar, SpeechToText, TextToSpeech
from voice_agents.speech.ears import EarLimits, Ears
from voice_agents.speech.shelf import Read, Shelf, read_file
from voice_agents.speech.voice import Fetch, Voice, VoiceLimits


@dataclass(frozen=True, slots=True)
class FrontSettings:
    """``end_ms``: the pause after which a caller's turn is over; 500 to 800 suits most."""

    end_ms: int = 600
    hear_s: float = 6.0
    voice: VoiceLimits = field(default_factory=VoiceLimits)


class Front:
    """One session's. Made by ``Fronts``."""

    def __init__(self, ears: Ears, voice: Voice, grammars: dict[str, Grammar]) -> None:
        self._ears, self._voice, self._grammars = ears, voice, grammars
        self._closed = False

    def hear(self, frame: bytes, at_ms: int) -> None:
        if not self._closed:
            self._ears.hear(frame, at_ms)

    def speak(self, words: Words) -> None:
        if self._closed:
            return
        if words.expect in self._grammars:
            self._ears.grammar = self._grammars[words.expect]
        self._voice.speak(words)

    def play(self, play: Play) -> None:
        if not self._closed:
            self._voice.play(play)

    def stop(self) -> None:
        self._voice.stop()

    def language(self, language: Language) -> None:
        self._voice.language(language.speak)
        if language.understand:
            self._ears.language = language.understand

    async def close(self) -> None:
        self._closed = True
        await asyncio.gather(self._ears.close(), self._voice.close())


class _Ear:
    """Between the ears and the session: a caller who was understood is answered, whatever was stopped."""

    def __init__(self, ear: SpeechEar) -> None:
        self._ear = ear
        self.voice: Voice | None = None

    def caught(self, told: Utterance | SpeechStarted | SpeechStopped) -> None:
        if isinstance(told, Utterance) and told.final and self.voice is not None:
            self.voice.answered()
        self._ear.caught(told)

    def voiced(self, said: Caption | Sound) -> None:
        self._ear.voiced(said)

    def spoken(self) -> None:
        self._ear.spoken()

    def failed(self, fault: Fault) -> None:
        if fault.code == "not_understood" and self.voice is not None:
            self.voice.answered()
        self._ear.failed(fault)


class Fronts:
    """``SpeechFronts``: one engine for each of hearing and speaking, shared by all sessions."""

    def __init__(
        self,
        speech: TextToSpeech,
        hearing: SpeechToText,
        detectors: Detectors,
        settings: FrontSettings | None = None,
        *,
        fetch: Fetch | None = None,
        read: Read = read_file,
    ) -> None:
        self._shelf = Shelf(speech, read)
        self._hearing, self._detectors, self._fetch = hearing, detectors, fetch
        self._settings = FrontSettings() if settings is None else settings

    def front(self, spec: AgentSpec, codec: Codec, ear: SpeechEar) -> Front:
        settings, between = self._settings, _Ear(ear)
        grammars = grammars_of(spec)
        limits = EarLimits(
            TurnLimits(settings.end_ms), settings.hear_s, tell_lost=spec.dialect is DialectName.BUILTIN
        )
        detector = self._detectors.detector(codec, spec.barge_in.min_ms)
        ears = Ears(codec, detector, self._hearing, between, limits)
        ears.language, ears.grammar = spec.language, grammars[""]
        own = self._shelf.voice_for("", spec.voice) or self._shelf.voice_for(spec.language, "") or spec.voice
        between.voice = Voice(self._shelf, codec, own, between, settings.voice, self._fetch)
        return Front(ears, between.voice, grammars)
