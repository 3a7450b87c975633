"""Speech services as docs/agents-speech.md describes them, and strict: ``faults`` has whatever else was sent.

``/speak`` gives a tone of 100 ms a word, ``/hear`` and the WebSocket ``/stream`` tell how loud and long a
turn was. What a service does wrong, it does at other addresses.
"""

from __future__ import annotations

import asyncio
import io
import json
import ssl
import wave
from array import array
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMessage, WSMsgType, web

from gateway.trial.audio import tone
from gateway.trial.watch import Watch
from voice_agents.core.wav import Mono, to_wav

TOKEN = "a-token-of-the-tests"
VOICES = frozenset({"en-US", "Clara 2"})
_RATES = (8000, 16000, 24000)
HZ = 900.0


@dataclass(slots=True)
class SpeechServices:
    """``texts`` were spoken, ``turns`` are octets of linear sound that were listened to, ``hints`` what was
    said to be likely. ``away``: everything is answered with 503. ``mute``: turns are never answered."""

    port: int = 0
    tls: bool = False
    texts: list[tuple[str, str, int]] = field(default_factory=list)
    turns: list[bytes] = field(default_factory=list)
    hints: list[list[str]] = field(default_factory=list)
    languages: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    asked: int = 0
    open_streams: int = 0
    streams: Watch = field(default_factory=Watch)
    away: bool = False
    mute: bool = False
    kind: str = "audio/wav"

    def http(self, path: str) -> str:
        return f"http{'s' * self.tls}://127.0.0.1:{self.port}{path}"

    def socket(self, path: str = "/stream") -> str:
        return f"ws{'s' * self.tls}://127.0.0.1:{self.port}{path}"

    def rule(self, holds: bool, said: str) -> None:
        if not holds:
            self.faults.append(said)

    def _begin(self, request: web.Request) -> None:
        self.asked += 1
        self.rule(request.headers.get("Authorization") == f"Bearer {TOKEN}", "the token")
        self.rule("Cookie" not in request.headers, "no cookie")
        if self.away:
            raise web.HTTPServiceUnavailable

    # ------------------------------------------------------------ text to speech

    async def speak(self, request: web.Request) -> web.Response:
        self._begin(request)
        self.rule(request.content_type == "application/json", "JSON")
        asked = await request.json()
        self.rule(set(asked) == {"text", "voice", "rate_hz"}, "exactly text, voice, rate_hz")
        text, voice, rate_hz = asked["text"], asked["voice"], asked["rate_hz"]
        self.rule(isinstance(text, str) and text == text.strip() != "", "a text")
        self.rule(voice in VOICES, f"a voice of ours, not {voice}")
        self.rule(rate_hz in _RATES, "a rate")
        self.texts.append((text, voice, rate_hz))
        pcm = tone(HZ, 0.1 * len(text.split()), rate=rate_hz)
        if self.kind == "audio/l16":
            samples = array("h", pcm)
            samples.byteswap()
            return web.Response(body=samples.tobytes(), content_type="audio/l16")
        return web.Response(body=to_wav(Mono(pcm, rate_hz)), content_type="audio/wav")

    # ------------------------------------------------------------ speech to text, HTTP

    async def hear(self, request: web.Request) -> web.Response:
        self._begin(request)
        self.rule(request.content_type == "audio/wav", "a WAV file")
        self.rule({"language"} <= set(request.query) <= {"language", "hints"}, "language and hints alone")
        with wave.open(io.BytesIO(await request.read())) as sound:
            self.rule((sound.getnchannels(), sound.getsampwidth()) == (1, 2), "one channel, 16 bits")
            self.rule(sound.getframerate() in _RATES, "a rate")
            pcm = sound.readframes(sound.getnframes())
        self.languages.append(request.query["language"])
        self.hints.append(request.query.get("hints", "").split("\n"))
        self.turns.append(pcm)
        return web.json_response({"text": understood(pcm), "confidence": 0.8})

    # ------------------------------------------------------------ speech to text, WebSocket

    async def stream(self, request: web.Request) -> web.WebSocketResponse:
        self._begin(request)
        self.rule("Sec-WebSocket-Extensions" not in request.headers, "no extensions")
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.open_streams += 1
        try:
            await self._turn(socket)
        finally:
            self.open_streams -= 1
            self.streams.changed()
        return socket

    async def _turn(self, socket: web.WebSocketResponse) -> None:
        started, ended, pcm = False, False, bytearray()
        async for message in socket:
            self.rule(not ended, "nothing after the end")
            if message.type is WSMsgType.BINARY:
                self.rule(started and len(message.data) % 2 == 0, "whole samples after the start")
                if not pcm:
                    await socket.send_json({"type": "note", "of": "the service's own"})
                    await socket.send_json({"type": "partial", "text": "so far"})
                pcm += message.data
                continue
            told = _told(message)
            if told.get("type") == "start" and not started:
                started = True
                self._started(told)
            elif told == {"type": "end"} and started and not self.mute:
                ended = True
                self.turns.append(bytes(pcm))
                final = {"type": "final", "text": understood(bytes(pcm)), "confidence": 0.8}
                await socket.send_json(final)
            else:
                self.rule(self.mute, f"a start and an end, not {message.data!r}")

    def _started(self, told: dict[str, Any]) -> None:
        self.rule(set(told) == {"type", "language", "rate_hz", "hints"}, "exactly what a start has")
        self.rule(told["rate_hz"] in _RATES, "a rate")
        self.languages.append(told["language"])
        self.hints.append(told["hints"])

    # ------------------------------------------------------------ wrong ones

    async def wrong(self, request: web.Request) -> web.StreamResponse:
        """A WebSocket that is not one, or says what nobody can use."""
        self.asked += 1
        match request.match_info["how"]:
            case "moved":
                raise web.HTTPFound("/stream")
            case "plain":
                return web.Response(text="hello")
            case "slow":
                await asyncio.sleep(30)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        match request.match_info["how"]:
            case "long":
                await socket.send_str(json.dumps({"type": "final", "text": "x" * 100_000}))
            case "binary":
                for _ in range(1_100):
                    await socket.send_bytes(b"\0")
            case "bad-text":
                await socket._writer.send_frame(b"\xff\xfe", WSMsgType.TEXT)  # type: ignore[union-attr]
            case "hangs-up":
                await socket.close()
        async for _ in socket:
            pass
        return socket


def understood(pcm: bytes) -> str:
    """What the services make of a turn."""
    return f"a turn of {len(pcm)} octets"


def _told(message: WSMessage) -> dict[str, Any]:
    try:
        told = json.loads(message.data)
    except (TypeError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


@asynccontextmanager
async def speech_services(tls: ssl.SSLContext | None = None) -> AsyncIterator[SpeechServices]:
    """Listening on a free port of loopback. Whoever uses them looks at ``faults`` afterwards."""
    services = SpeechServices(tls=tls is not None)
    app = web.Application(client_max_size=10_000_000)
    app.router.add_post("/speak", services.speak)
    app.router.add_post("/hear", services.hear)
    app.router.add_get("/stream", services.stream)
    app.router.add_get("/wrong/{how}", services.wrong)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    services.port = runner.addresses[0][1]
    try:
        yield services
    finally:
        await asyncio.shield(runner.cleanup())
