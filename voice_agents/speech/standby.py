"""Engines that stand in for a service that is away: callers hear another voice rather than none.

The service is asked first. Where it fails, the same phrase is spoken, the same turn understood, by the engine
that stands in; where it keeps failing, it is left alone for a while (``voice_agents.core.away``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import structlog

from telephony.errors import SpeechUnavailable
from voice_agents.core.away import Away
from voice_agents.core.grammar import Grammar
from voice_agents.core.text import SpeechLimits, kin, nearest_voice
from voice_agents.ports import Heard, HearingLimits, Recogniser, Speech, SpeechToText, TextToSpeech

_log = structlog.get_logger("voice_agents.speech")


class StandbySpeech:
    """``TextToSpeech``: ``service`` as long as it answers, else ``standby``, in the voice that is nearest.
    Languages that only the standby speaks are its own. ``now`` is a steady clock, in seconds."""

    def __init__(
        self, service: TextToSpeech, standby: TextToSpeech, now: Callable[[], float], away: Away | None = None
    ) -> None:
        self._service, self._standby, self._now = service, standby, now
        self._away = away or Away()

    @property
    def away(self) -> bool:
        """Whether the service is taken for gone."""
        return self._away.away

    def limits(self) -> SpeechLimits:
        limits = self._service.limits()
        spoken = {kin(voice) for voice in limits.voices}
        more = {voice for voice in self._standby.limits().voices if kin(voice) not in spoken}
        return replace(limits, voices=limits.voices | more)

    async def speak(self, text: str, *, voice: str = "en-US", rate_hz: int = 8000) -> Speech:
        if voice not in self._service.limits().voices and voice in self.limits().voices:
            return await self._standby.speak(text, voice=voice, rate_hz=rate_hz)
        failed: SpeechUnavailable | None = None
        if self._away.may_try(self._now()):
            try:
                speech = await self._service.speak(text, voice=voice, rate_hz=rate_hz)
            except SpeechUnavailable as error:
                failed = error
                if self._away.failed(self._now()):
                    _log.warning("speech.service_away", what="tts", why=error.message)
            else:
                if self._away.answered():
                    _log.info("speech.service_back", what="tts")
                return speech
        instead = nearest_voice(voice, self._standby.limits().voices)
        if instead is None:
            raise failed or SpeechUnavailable("the speech service is away")
        spoken = await self._standby.speak(text, voice=instead, rate_hz=rate_hz)
        return replace(spoken, instead=True)

    async def close(self) -> None:
        """Ends the service's; the standby belongs to whoever made it."""
        await self._service.close()


class StandbyHearing:
    """``SpeechToText``: ``service`` as long as it answers, else ``standby``, where that knows the language
    and has the grammar it needs."""

    def __init__(
        self, service: SpeechToText, standby: SpeechToText, now: Callable[[], float], away: Away | None = None
    ) -> None:
        self._service, self._standby, self._now = service, standby, now
        self._away = away or Away()

    @property
    def away(self) -> bool:
        """Whether the service is taken for gone."""
        return self._away.away

    def limits(self) -> HearingLimits:
        return self._service.limits()

    def listen(
        self, language: str, rate_hz: int, grammar: Grammar | None, partial: Callable[[Heard], None]
    ) -> Recogniser:
        limits = self._standby.limits()
        known = next((one for one in (language, language.split("-")[0]) if one in limits.languages), "")
        able = known and rate_hz in limits.rates_hz and (grammar is not None or not limits.needs_grammar)

        def spare() -> Recogniser:
            return self._standby.listen(known, rate_hz, grammar, partial)

        if self._away.may_try(self._now()):
            try:
                turn = self._service.listen(language, rate_hz, grammar, partial)
            except SpeechUnavailable:  # too many turns at once: that is no news of the service
                if not able:
                    raise
            else:
                room = limits.most_ms * rate_hz // 1000 * 2 if able else 0
                return _Turn(self, turn, spare if able else None, room)
        if not able:
            raise SpeechUnavailable("the speech service is away")
        return spare()

    def failed(self, error: SpeechUnavailable) -> None:
        """The service did not answer."""
        if self._away.failed(self._now()):
            _log.warning("speech.service_away", what="stt", why=error.message)

    def answered(self) -> None:
        """The service answered."""
        if self._away.answered():
            _log.info("speech.service_back", what="stt")

    async def close(self) -> None:
        await self._service.close()
        await self._standby.close()


class _Turn:
    """``Recogniser``: one turn at the service, its sound kept for the engine that stands in, up to ``room``
    octets of it."""

    def __init__(
        self, engine: StandbyHearing, turn: Recogniser, spare: Callable[[], Recogniser] | None, room: int
    ) -> None:
        self._engine, self._turn, self._spare, self._room = engine, turn, spare, room
        self._kept = bytearray()

    def feed(self, pcm: bytes) -> None:
        self._turn.feed(pcm)
        if len(self._kept) + len(pcm) <= self._room:
            self._kept += pcm

    async def finish(self) -> Heard:
        try:
            heard = await self._turn.finish()
        except SpeechUnavailable as error:
            self._engine.failed(error)
            if self._spare is None:
                raise
            turn = self._turn = self._spare()
            turn.feed(bytes(self._kept))
            return await turn.finish()
        self._engine.answered()
        return heard

    def cancel(self) -> None:
        self._turn.cancel()
        self._kept.clear()
