"""A bot as one would write it from Twilio's Media Streams documentation, for ``<Connect><Stream>``.

It knows no word of ours. It sends a tone and a mark, and when the mark comes back, it ends the call by
``POST /2010-04-01/Accounts/{AccountSid}/Calls/{CallSid}.json`` with ``Status=completed``.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

from gateway.trial.audio import tone, ulaw_encode
from gateway.trial.watch import Watch

HZ = 1000.0


@dataclass(slots=True)
class MediaStreamsBot:
    """``events`` are those received but ``media``; ``heard`` is the caller's µ-law; ``rest`` the statuses of
    its own requests."""

    api: str
    token: str
    port: int = 0
    events: list[dict[str, Any]] = field(default_factory=list)
    heard: bytearray = field(default_factory=bytearray)
    marks: list[str] = field(default_factory=list)
    rest: list[int] = field(default_factory=list)
    watch: Watch = field(default_factory=Watch)

    async def stream(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        sid = call = account = ""
        async for message in socket:
            event = json.loads(message.data)
            if event["event"] != "media":
                self.events.append(event)
                self.watch.changed()
            match event["event"]:
                case "start":
                    sid, call = event["start"]["streamSid"], event["start"]["callSid"]
                    account = event["start"]["accountSid"]
                    await self._speak(socket, sid)
                case "media":
                    self.heard += base64.b64decode(event["media"]["payload"])
                case "mark":
                    self.marks.append(event["mark"]["name"])
                    await self._hang_up(account, call)
        return socket

    async def _speak(self, socket: web.WebSocketResponse, sid: str) -> None:
        payload = base64.b64encode(ulaw_encode(tone(HZ, 1.0))).decode()
        await socket.send_json({"event": "media", "streamSid": sid, "media": {"payload": payload}})
        await socket.send_json({"event": "mark", "streamSid": sid, "mark": {"name": "said"}})

    async def _hang_up(self, account: str, call: str) -> None:
        url = f"{self.api}/2010-04-01/Accounts/{account}/Calls/{call}.json"
        auth = aiohttp.BasicAuth(account, self.token)
        async with (
            aiohttp.ClientSession(auth=auth) as http,
            http.post(url, data={"Status": "completed"}) as response,
        ):
            self.rest.append(response.status)
            self.watch.changed()


@asynccontextmanager
async def media_streams_bot(api: str, token: str) -> AsyncIterator[MediaStreamsBot]:
    """Listening on a free port of loopback; its connections are closed afterwards."""
    bot = MediaStreamsBot(api, token)
    app = web.Application()
    app.router.add_get("/stream", bot.stream)
    runner = web.AppRunner(app, shutdown_timeout=1.0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server is not None
    bot.port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
    try:
        yield bot
    finally:
        await asyncio.shield(runner.cleanup())
