"""The speech engines, chosen by the settings. A composition root: it names adapters of the voice room."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from gateway.config import Settings
from gateway.config_speech import OPERATORS
from gateway.runtime.packages import find_prefix, machine_recipe
from gateway.runtime.programs import find_outside
from gateway.secret import Secret
from gateway.speech_reach import GuardedSpeech
from voice_agents.ports import SpeechToText, TextToSpeech
from voice_agents.providers.espeak import EspeakSettings, EspeakSpeech
from voice_agents.providers.http_speech import (
    HttpHearing,
    HttpHearingSettings,
    HttpSpeech,
    HttpSpeechSettings,
)
from voice_agents.providers.pocketsphinx_stt import PocketsphinxSpeech
from voice_agents.providers.resample import resample
from voice_agents.providers.stream_hearing import StreamHearing, StreamHearingSettings
from voice_agents.speech.standby import StandbyHearing, StandbySpeech

SERVICE_S: Final = 4.0
"""How long a service may take for a phrase, or for a turn that is over. Sessions wait 6 s for a turn and 8 s
for a phrase: what is left is for the engine that stands in."""

_PHRASES, _FILES, _STREAMS = 32, 64, 256
"""How many phrases, turns as files, and turns as streams a service is given at once."""


class AgentSpeech:
    """Voice and ears of agents that read and write words: what the settings choose, with the offline engines
    behind it unless the settings say not to. Made inside a running loop.

    ``offline`` speaks where no service is chosen, and belongs to whoever made it. ``wall`` is seconds since
    1970, ``mono`` a steady clock in seconds.
    """

    def __init__(
        self,
        settings: Settings,
        offline: TextToSpeech,
        wall: Callable[[], float],
        mono: Callable[[], float],
        reach: GuardedSpeech | None = None,
    ) -> None:
        self._reach = reach or GuardedSpeech(OPERATORS)
        self._pocketsphinx = PocketsphinxSpeech()
        speaks = speaking_service(settings, self._reach, wall, settings.sounds_dir / "tts-service")
        listens = listening_service(settings, self._reach)
        self._listens, self._speaks = listens, speaks
        self.voice: TextToSpeech = speaks or offline
        self.hearing: SpeechToText = listens or self._pocketsphinx
        if settings.speech_standby and speaks is not None:
            self.voice = StandbySpeech(speaks, offline, mono)
        if settings.speech_standby and listens is not None:
            self.hearing = StandbyHearing(listens, self._pocketsphinx, mono)

    @property
    def away(self) -> dict[str, bool]:
        """The services that another engine can stand in for, and whether it does."""
        both = {"tts": self.voice, "stt": self.hearing}
        return {
            what: one.away for what, one in both.items() if isinstance(one, StandbySpeech | StandbyHearing)
        }

    async def warm(self) -> None:
        """Load what the first caller would wait for."""
        if self._listens is None:
            await self._pocketsphinx.warm()

    async def close(self) -> None:
        """Ends what is running; nothing may be asked afterwards."""
        for engine in (self._speaks, self._listens, self._pocketsphinx):
            if engine is not None:
                await engine.close()
        await self._reach.close()


def speaking_service(
    settings: Settings, reach: GuardedSpeech, wall: Callable[[], float], folder: Path
) -> TextToSpeech | None:
    """The service that speaks, its sounds kept in ``folder``; None where none is chosen."""
    if settings.tts == "espeak":
        return None
    names = dict(settings.tts_voices)
    asked = HttpSpeechSettings(
        settings.tts_url,
        folder,
        frozenset(names),
        secret=_revealed(settings.tts_token),
        names=names,
        deadline_s=SERVICE_S,
        at_once=_PHRASES,
    )
    return HttpSpeech(asked, reach, wall)


def listening_service(settings: Settings, reach: GuardedSpeech) -> SpeechToText | None:
    """The service that listens; None where none is chosen."""
    url, known, secret = settings.stt_url, settings.stt_languages, _revealed(settings.stt_token)
    match settings.stt:
        case "http":
            files = HttpHearingSettings(url, known, secret, deadline_s=SERVICE_S, at_once=_FILES)
            return HttpHearing(files, reach)
        case "websocket":
            streams = StreamHearingSettings(url, known, secret, deadline_s=SERVICE_S, at_once=_STREAMS)
            return StreamHearing(streams, reach)
        case "pocketsphinx":
            return None


def _revealed(secret: Secret | None) -> str:
    return "" if secret is None else secret.reveal()


def make_speech(command: tuple[str, ...], folder: Path, wall: Callable[[], float]) -> TextToSpeech:
    """The speech engine: espeak-ng, its sounds kept in ``folder``."""
    return EspeakSpeech(EspeakSettings(command, folder), wall)


def resampled(pcm: bytes, from_hz: int, to_hz: int) -> bytes:
    """16-bit mono PCM at another sampling rate. About two seconds of CPU a minute of sound."""
    return resample(pcm, from_hz, to_hz)


def espeak_command(settings: Settings) -> tuple[str, ...]:
    """How espeak-ng is run here; a name that fails by itself where it is not to be had."""
    found = find_outside("espeak-ng", settings.espeak_ng_bin, lambda _: None)
    if found is not None:
        return found.head
    prefix = find_prefix(settings.runtime_dir, machine_recipe())
    return tuple(prefix.command("espeak-ng")) if prefix is not None else ("espeak-ng",)
