"""Speech by somebody's service over HTTP: text to speech and speech to text, each one request.

**Text to speech.** ``POST`` JSON ``{"text", "voice", "rate_hz"}``. The answer, status 200, is sound of one
channel and 16 bits: ``audio/wav`` of any sampling rate, or ``audio/l16`` (RFC 2586: high octet first) at the
rate that was asked for.

**Speech to text.** ``POST`` a file ``audio/wav``, one channel, 16 bits, to the address with
``?language=<BCP 47>&hints=<words>`` added; hints, if there are any, are likely sentences, one a line.
The answer, status 200, is JSON ``{"text", "confidence"}``; the second, 0 to 1, may be left out.

With a ``secret`` the request has ``Authorization: Bearer``. Where may be connected to is for the connector to
say.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode, urlsplit, urlunsplit

from telephony.errors import InvalidInput, SpeechUnavailable
from voice_agents.core.grammar import Grammar
from voice_agents.core.sound import Resampler
from voice_agents.core.text import SpeechLimits, admit, speech_key
from voice_agents.core.understood import certainty, plain
from voice_agents.core.wav import Mono, from_wav, to_wav
from voice_agents.ports import Connector, Fetched, Heard, HearingLimits, Recogniser, Speech
from voice_agents.providers.sound_files import look, prune, store

_RATES = frozenset({8000, 16000, 24000})
_MOST_JSON = 64_000
_MOST_TEXT = 4000
_MOST_HINTS = 2000


@dataclass(frozen=True, slots=True)
class HttpSpeechSettings:
    """``voices`` are what the service knows, ``names`` what it calls those that it calls otherwise. Sounds of
    up to ``most_octets`` are kept in ``folder``, about ``folder_octets`` in all; ``at_once`` requests run."""

    url: str
    folder: Path
    voices: frozenset[str]
    secret: str = field(default="", repr=False)
    names: Mapping[str, str] = field(default_factory=dict)
    max_characters: int = 2000
    deadline_s: float = 10.0
    most_octets: int = 8_000_000
    folder_octets: int = 256_000_000
    at_once: int = 8


class HttpSpeech:
    """``TextToSpeech`` over HTTP."""

    def __init__(self, settings: HttpSpeechSettings, connector: Connector, wall: Callable[[], float]) -> None:
        self._settings, self._connector, self._wall = settings, connector, wall
        self._turns = asyncio.Semaphore(settings.at_once)
        self._names = itertools.count()
        self._closed = False

    def limits(self) -> SpeechLimits:
        return SpeechLimits(self._settings.voices, _RATES, self._settings.max_characters)

    async def speak(self, text: str, *, voice: str = "en-US", rate_hz: int = 8000) -> Speech:
        settings = self._settings
        cleaned = admit(text, voice, rate_hz, self.limits())
        name = settings.names.get(voice, voice)
        key = speech_key("http/1", settings.url, name, rate_hz, cleaned)
        path = settings.folder / key[:2] / f"{key}.wav"
        if (found := await asyncio.to_thread(look, path)) is not None:
            return found
        if self._closed:
            raise SpeechUnavailable("the speech engine is closed")
        asked = json.dumps({"text": cleaned, "voice": name, "rate_hz": rate_hz}).encode()
        headers = _headers("application/json", settings.secret)
        try:
            async with asyncio.timeout(settings.deadline_s), self._turns:
                fetched = await self._connector.post(
                    settings.url, headers, asked, settings.deadline_s, settings.most_octets
                )
            sound = await asyncio.to_thread(_sound_of, fetched, rate_hz)
            part = path.with_name(f".{path.stem}.{os.getpid()}.{next(self._names)}.part")
            await asyncio.to_thread(store, to_wav(sound), part, path)
            await asyncio.to_thread(prune, settings.folder, settings.folder_octets, self._wall())
        except TimeoutError:
            raise SpeechUnavailable(f"speech took longer than {settings.deadline_s:g} s") from None
        except OSError as error:
            raise SpeechUnavailable("speech could not be kept") from error
        return Speech(path, sound.duration_ms, rate_hz)

    async def close(self) -> None:
        self._closed = True


@dataclass(frozen=True, slots=True)
class HttpHearingSettings:
    """``languages`` are what the service understands (``*``: any)."""

    url: str
    languages: frozenset[str] = frozenset({"*"})
    secret: str = field(default="", repr=False)
    deadline_s: float = 6.0
    most_ms: int = 30_000
    at_once: int = 16


class HttpHearing:
    """``SpeechToText`` over HTTP."""

    def __init__(self, settings: HttpHearingSettings, connector: Connector) -> None:
        self._settings, self._connector = settings, connector
        self._turns = asyncio.Semaphore(settings.at_once)
        self._closed = False

    def limits(self) -> HearingLimits:
        return HearingLimits(self._settings.languages, _RATES, self._settings.most_ms, grammars=True)

    def listen(
        self, language: str, rate_hz: int, grammar: Grammar | None, partial: Callable[[Heard], None]
    ) -> Recogniser:
        languages = self._settings.languages
        if "*" not in languages and language not in languages:
            raise InvalidInput("unknown language", field="language", value=language[:20])
        if rate_hz not in _RATES:
            raise InvalidInput("unsupported sampling rate", field="rate_hz", value=rate_hz)
        if self._closed:
            raise SpeechUnavailable("the speech engine is closed")
        return _Turn(self, language, rate_hz, grammar, self._settings.most_ms * rate_hz // 1000 * 2)

    async def hear(self, language: str, sound: Mono, grammar: Grammar | None) -> Heard:
        """What one turn says."""
        settings = self._settings
        headers = _headers("audio/wav", settings.secret)
        url = _with_query(settings.url, language, grammar)
        try:
            async with asyncio.timeout(settings.deadline_s), self._turns:
                fetched = await self._connector.post(
                    url, headers, to_wav(sound), settings.deadline_s, _MOST_JSON
                )
        except TimeoutError:
            raise SpeechUnavailable("speech was not understood in time") from None
        return _heard_of(fetched)

    async def close(self) -> None:
        self._closed = True


class _Turn:
    """``Recogniser``: gathers the turn."""

    def __init__(
        self, engine: HttpHearing, language: str, rate_hz: int, grammar: Grammar | None, most: int
    ) -> None:
        self._engine, self._language, self._rate = engine, language, rate_hz
        self._grammar, self._most = grammar, most
        self._sound = bytearray()
        self._cancelled = False

    def feed(self, pcm: bytes) -> None:
        if not self._cancelled and len(self._sound) + len(pcm) <= self._most:
            self._sound += pcm

    async def finish(self) -> Heard:
        if self._cancelled or not self._sound:
            return Heard("", 0.0)
        return await self._engine.hear(self._language, Mono(bytes(self._sound), self._rate), self._grammar)

    def cancel(self) -> None:
        self._cancelled = True
        self._sound.clear()


def _headers(kind: str, secret: str) -> dict[str, str]:
    headers = {"Content-Type": kind, "Accept": "audio/wav, audio/l16, application/json"}
    return {**headers, "Authorization": f"Bearer {secret}"} if secret else headers


def _with_query(url: str, language: str, grammar: Grammar | None) -> str:
    parts = urlsplit(url)
    asked = {"language": language}
    if grammar is not None:
        hints, room = [], _MOST_HINTS
        for sentence in grammar.sentences():
            room -= len(sentence) + 1
            if room < 0:
                break
            hints.append(sentence)
        asked["hints"] = "\n".join(hints)
    query = "&".join(part for part in (parts.query, urlencode(asked)) if part)
    return urlunsplit(parts._replace(query=query))


def _sound_of(fetched: Fetched, rate_hz: int) -> Mono:
    """The answer's sound at this rate. Raises ``SpeechUnavailable`` if it is none."""
    if fetched.status != 200:
        raise SpeechUnavailable(f"the speech service answered {fetched.status}")
    kind = fetched.content_type.lower()
    if kind == "audio/l16":
        samples = array("h", fetched.body[: len(fetched.body) & ~1])
        samples.byteswap()
        sound = Mono(samples.tobytes(), rate_hz)
    elif kind in ("audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave"):
        try:
            sound = from_wav(fetched.body)
        except ValueError as error:
            raise SpeechUnavailable("the speech service's sound cannot be read") from error
    else:
        raise SpeechUnavailable("the speech service answered with something else than sound")
    if not sound.pcm or not 4000 <= sound.rate_hz <= 192_000:
        raise SpeechUnavailable("the speech service gave no sound")
    return Mono(Resampler(sound.rate_hz, rate_hz).feed(sound.pcm), rate_hz)


def _heard_of(fetched: Fetched) -> Heard:
    """What the answer says was understood. Raises ``SpeechUnavailable`` if it does not."""
    if fetched.status != 200:
        raise SpeechUnavailable(f"the speech service answered {fetched.status}")
    try:
        told = json.loads(fetched.body)
    except ValueError as error:
        raise SpeechUnavailable("the speech service's answer cannot be read") from error
    text = told.get("text") if isinstance(told, dict) else None
    if not isinstance(text, str) or len(text) > _MOST_TEXT:
        raise SpeechUnavailable("the speech service's answer has no text")
    return Heard(plain(text), certainty(told.get("confidence", 1.0)))
