"""Takes Patchbay's connections, one a call."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from picows import (
    WSCloseCode,
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
    ws_create_server,
)

from patchbay_agent.call import Call
from patchbay_agent.signature import proves

OnCall = Callable[[Call], Awaitable[None]]
_LOG = logging.getLogger("patchbay_agent")


@dataclass(frozen=True, slots=True)
class _Terms:
    on_call: OnCall
    secret: str
    url: str
    hears: bool


class _Connection(WSListener):
    def __init__(self, terms: _Terms) -> None:
        self._terms = terms
        self._call: Call | None = None
        self._task: asyncio.Task[None] | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()
        elif frame.msg_type == WSMsgType.BINARY and self._call is not None:
            self._call.take(frame.get_payload_as_bytes())
        elif frame.msg_type == WSMsgType.TEXT:
            self._text(frame.get_payload_as_utf8_text())

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        if self._call is not None:
            self._call.end()

    def pause_writing(self) -> None:
        """Patchbay reads all it is sent; what is queued is bounded by the agent's own words."""

    def resume_writing(self) -> None:
        """As above."""

    def _text(self, message: str) -> None:
        if self._call is not None:
            self._call.take(message)
            return
        begun = json.loads(message)
        if begun.get("type") == "session.begin":
            self._call = Call(self._write, begun, hears=self._terms.hears)
            wants = ["transcripts"] if self._terms.hears else ["transcripts", "no_audio"]
            self._call.send({"type": "session.ready", "wants": wants})
            self._task = asyncio.get_running_loop().create_task(self._talk(self._call))

    def _write(self, message: str | bytes) -> None:
        kind = WSMsgType.BINARY if isinstance(message, bytes) else WSMsgType.TEXT
        self._transport.send(kind, message)

    async def _talk(self, call: Call) -> None:
        try:
            await call.answered.wait()
            if not call.over:
                await self._terms.on_call(call)
                call.finish()
        except Exception:  # noqa: BLE001 # why: an agent's mistake costs one call, which Patchbay saves
            _LOG.exception("the agent failed in call %s", call.call_id)
            self._transport.send_close(WSCloseCode.INTERNAL_ERROR)
            self._transport.disconnect()


@asynccontextmanager
async def serving(
    on_call: OnCall,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    secret: str = "",
    url: str = "",
    hears: bool = False,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[int]:
    """Serve calls until the block is left; gives the port. ``secret``: connections that are not signed with
    it are refused; ``url``: the address that the agent is registered with, where it is not the one asked for
    here. ``hears``: the agent wants the caller's sound, not the words alone."""
    terms = _Terms(on_call, secret, url, hears)
    scheme = "wss" if tls is not None else "ws"

    def accept(request: WSUpgradeRequest) -> WSUpgradeResponseWithListener | WSListener:
        if terms.secret and not _proved(request, terms, scheme):
            refused = WSUpgradeResponse.create_error_response(401)
            return WSUpgradeResponseWithListener(refused, None)
        return _Connection(terms)

    server = await ws_create_server(accept, host, port, ssl=tls, max_frame_size=1_000_000)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def run(
    on_call: OnCall,
    host: str = "127.0.0.1",
    port: int = 8765,
    *,
    secret: str = "",
    url: str = "",
    hears: bool = False,
) -> None:
    """Serve calls until interrupted."""

    async def forever() -> None:
        async with serving(on_call, host, port, secret=secret, url=url, hears=hears):
            await asyncio.Event().wait()

    with suppress(KeyboardInterrupt):
        asyncio.run(forever())


def _proved(request: WSUpgradeRequest, terms: _Terms, scheme: str) -> bool:
    headers = request.headers
    url = terms.url or f"{scheme}://{headers.get('Host', '')}{request.path.decode()}"
    session = headers.get("X-Patchbay-Session", "")
    return proves(headers.get("X-Patchbay-Signature", ""), terms.secret, session, url, time.time())
