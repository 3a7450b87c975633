"""Checks of who speaks and who listens for agents. A service is asked for one word, and to hear silence."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import urlsplit

from gateway.config import Settings
from gateway.runtime.findings import Finding, fail, ok
from telephony.errors import PatchbayError
from voice_agents.ports import SpeechToText, TextToSpeech

_RATE: Final = 8000
_SILENCE: Final = bytes(_RATE)
"""Half a second."""
_STAND_IN: Final = "; the offline engine stands in meanwhile"


async def check_voice(settings: Settings, service: TextToSpeech | None, mono: Callable[[], float]) -> Finding:
    """Whether the service that speaks gives sound. None: none is chosen."""
    if service is None:
        return ok("agents' voice", "espeak-ng, offline")

    async def one_word() -> object:
        return await service.speak("Hello", voice=min(service.limits().voices), rate_hz=_RATE)

    return await _asked("agents' voice", settings, "TTS", settings.tts_url, one_word, mono)


async def check_ears(settings: Settings, service: SpeechToText | None, mono: Callable[[], float]) -> Finding:
    """Whether the service that listens answers, whatever it makes of silence. None: none is chosen."""
    if service is None:
        return ok("agents' ears", "pocketsphinx, offline")

    async def one_turn() -> object:
        languages = service.limits().languages
        language = "en-US" if "*" in languages else min(languages)
        turn = service.listen(language, _RATE, None, lambda _: None)
        turn.feed(_SILENCE)
        return await turn.finish()

    return await _asked("agents' ears", settings, "STT", settings.stt_url, one_turn, mono)


async def _asked(
    name: str,
    settings: Settings,
    what: str,
    url: str,
    ask: Callable[[], Awaitable[object]],
    mono: Callable[[], float],
) -> Finding:
    parts = urlsplit(url)
    place = f"{parts.scheme}://{parts.netloc}"  # why: the rest of an address may hold a secret
    began = mono()
    try:
        await ask()
    except PatchbayError as failure:
        mend = f"see that it runs, and to PATCHBAY_{what}_URL and PATCHBAY_{what}_TOKEN"
        stands_in = _STAND_IN if settings.speech_standby else ""
        return fail(name, f"{place}: {failure.message}{stands_in}", mend)
    return ok(name, f"{place} answers in {(mono() - began) * 1000:.0f} ms")
