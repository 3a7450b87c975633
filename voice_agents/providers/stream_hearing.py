"""Speech to text by somebody's service over WebSocket: sound goes out while it is spoken.

One connection a turn. The first message is JSON ``{"type": "start", "language", "rate_hz", "hints"}``, hints
a list of sentences that are likely; then come binary messages, linear sound of one channel, 16 bits, low
octet first; ``{"type": "end"}`` once the turn is over. The service says ``{"type": "partial", "text",
"confidence"}`` whenever it likes, and ``{"type": "final", "text", "confidence"}`` once; what it says besides
is left out. With a ``secret`` the handshake has ``Authorization: Bearer``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from telephony.errors import InvalidInput, SpeechUnavailable
from voice_agents.core.grammar import Grammar
from voice_agents.core.understood import certainty, plain
from voice_agents.ports import Heard, HearingLimits, Recogniser, Stream, StreamConnector

_RATES = frozenset({8000, 16000, 24000})
_MOST_MESSAGE = 64_000
_MOST_TEXT = 4000
_MOST_HINTS = 200
_MOST_SAID = 10_000
"""After so many messages of one turn nothing more is read."""


@dataclass(frozen=True, slots=True)
class StreamHearingSettings:
    """``deadline_s``: how long the final text may take once the turn is over; ``open_s``, the connection."""

    url: str
    languages: frozenset[str] = frozenset({"*"})
    secret: str = field(default="", repr=False)
    open_s: float = 3.0
    deadline_s: float = 5.0
    most_ms: int = 60_000
    at_once: int = 64


class StreamHearing:
    """``SpeechToText`` over WebSocket."""

    def __init__(self, settings: StreamHearingSettings, connector: StreamConnector) -> None:
        self.settings, self.connector = settings, connector
        self._turns: set[_Turn] = set()
        self._closed = False

    def limits(self) -> HearingLimits:
        languages = self.settings.languages
        return HearingLimits(languages, _RATES, self.settings.most_ms, grammars=True, streaming=True)

    def listen(
        self, language: str, rate_hz: int, grammar: Grammar | None, partial: Callable[[Heard], None]
    ) -> Recogniser:
        languages = self.settings.languages
        if "*" not in languages and language not in languages:
            raise InvalidInput("unknown language", field="language", value=language[:20])
        if rate_hz not in _RATES:
            raise InvalidInput("unsupported sampling rate", field="rate_hz", value=rate_hz)
        if self._closed:
            raise SpeechUnavailable("the speech engine is closed")
        if len(self._turns) >= self.settings.at_once:
            raise SpeechUnavailable("too many turns are listened to at once")
        start = {"type": "start", "language": language, "rate_hz": rate_hz, "hints": _hints(grammar)}
        room = self.settings.most_ms * rate_hz // 1000 * 2
        turn = _Turn(self, json.dumps(start), room, partial)
        self._turns.add(turn)
        turn.task.add_done_callback(lambda task: self._turns.discard(turn))
        return turn

    async def close(self) -> None:
        self._closed = True
        turns = tuple(self._turns)
        for turn in turns:
            turn.cancel()
        await asyncio.gather(*(turn.task for turn in turns), return_exceptions=True)


class _Turn:
    """``Recogniser``. Its task connects, sends what has been fed, and reads until the final text."""

    def __init__(
        self, engine: StreamHearing, start: str, room: int, partial: Callable[[Heard], None]
    ) -> None:
        self._engine, self._start, self._room, self._partial = engine, start, room, partial
        self._fed: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._cancelled = self._finished = False
        loop = asyncio.get_running_loop()
        self._heard: asyncio.Future[Heard] = loop.create_future()
        self._heard.add_done_callback(_noticed)
        self.task = loop.create_task(self._run())
        self.task.add_done_callback(self._over)

    def feed(self, pcm: bytes) -> None:
        self._room -= len(pcm)
        if self._room >= 0 and not self._cancelled and not self._finished:
            self._fed.put_nowait(bytes(pcm))

    async def finish(self) -> Heard:
        if self._cancelled:
            return Heard("", 0.0)
        self._finished = True
        self._fed.put_nowait(None)
        try:
            async with asyncio.timeout(self._engine.settings.deadline_s):
                return await asyncio.shield(self._heard)
        except TimeoutError:
            raise SpeechUnavailable("speech was not understood in time") from None
        finally:
            if not self._heard.done():
                self.task.cancel()

    def cancel(self) -> None:
        self._cancelled = True
        self.task.cancel()

    def _over(self, task: asyncio.Task[None]) -> None:
        if self._heard.done():
            return
        broken = None if task.cancelled() else task.exception()
        self._heard.set_exception(broken or SpeechUnavailable("the speech engine is closed"))

    async def _run(self) -> None:
        settings = self._engine.settings
        headers = {"Authorization": f"Bearer {settings.secret}"} if settings.secret else {}
        try:
            async with asyncio.timeout(settings.open_s):
                stream = await self._engine.connector.open(
                    settings.url, headers, settings.open_s, _MOST_MESSAGE
                )
        except TimeoutError:
            raise SpeechUnavailable("the speech service cannot be reached in time") from None
        sending = asyncio.get_running_loop().create_task(self._send(stream))
        try:
            heard = await self._read(stream)
            if not self._heard.done():
                self._heard.set_result(heard)  # why: before the goodbye, which nobody needs to wait for
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            with contextlib.suppress(SpeechUnavailable, TimeoutError):
                async with asyncio.timeout(settings.open_s):
                    await stream.close()

    async def _send(self, stream: Stream) -> None:
        with contextlib.suppress(SpeechUnavailable):
            await stream.send(self._start)
            while (sound := await self._fed.get()) is not None:
                await stream.send(sound)
            await stream.send('{"type": "end"}')

    async def _read(self, stream: Stream) -> Heard:
        for _ in range(_MOST_SAID):
            message = await stream.receive()
            if message is None:
                raise SpeechUnavailable("the speech service hung up")
            kind, heard = _told(message)
            if kind == "final":
                return heard
            if kind == "partial" and not self._cancelled and not self._finished:
                self._partial(heard)
        raise SpeechUnavailable("the speech service says too much")


def _noticed(heard: asyncio.Future[Heard]) -> None:
    """A turn that failed and that nobody asks for any more is no news."""
    if not heard.cancelled():
        heard.exception()


def _hints(grammar: Grammar | None) -> list[str]:
    return [] if grammar is None else list(grammar.sentences()[:_MOST_HINTS])


def _told(message: str) -> tuple[str, Heard]:
    """What a message is, and says. Raises ``SpeechUnavailable`` for one that is none of the service's."""
    try:
        told: Any = json.loads(message)
    except ValueError as error:
        raise SpeechUnavailable("the speech service's answer cannot be read") from error
    kind = told.get("type") if isinstance(told, dict) else None
    if kind not in ("partial", "final"):
        return "", Heard("", 0.0)
    text, sure = told.get("text"), told.get("confidence", 1.0)
    if not isinstance(text, str) or len(text) > _MOST_TEXT:
        raise SpeechUnavailable("the speech service's answer has no text")
    return kind, Heard(plain(text), certainty(sure))
