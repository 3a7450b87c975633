"""Agents as real socket servers, one behaviour each: a coroutine that is given every connection."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from picows import (
    WSCloseCode,
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    ws_create_server,
)

Behaviour = Callable[["Socket"], Awaitable[None]]


class Socket(WSListener):
    """One connection as an agent sees it. ``closed`` is the code that the other side closed with."""

    def __init__(self, request: WSUpgradeRequest, behaviour: Behaviour) -> None:
        self.path = request.path.decode()
        self.headers = {name.lower(): value for name, value in request.headers.items()}
        self.behaviour = behaviour
        self.inbox: asyncio.Queue[str | bytes | None] = asyncio.Queue()
        self.gone = asyncio.Event()
        self.closed: int | None = None
        self.task: asyncio.Task[None] | None = None
        self.answers_pings = True

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport
        self.task = asyncio.get_running_loop().create_task(self._behave())

    async def _behave(self) -> None:
        await self.behaviour(self)
        self.close()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            self.closed = int(frame.get_close_code())  # type: ignore[call-overload]
            transport.send_close(frame.get_close_code())
            transport.disconnect()
        elif frame.msg_type == WSMsgType.PING and self.answers_pings:
            transport.send_pong(frame.get_payload_as_bytes())
        elif frame.msg_type == WSMsgType.TEXT:
            self.inbox.put_nowait(frame.get_payload_as_utf8_text())
        elif frame.msg_type == WSMsgType.BINARY:
            self.inbox.put_nowait(frame.get_payload_as_bytes())

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.gone.set()
        self.inbox.put_nowait(None)

    def pause_writing(self) -> None:
        """Agents that flood do not care."""

    def resume_writing(self) -> None:
        """As above."""

    def send(self, message: str | bytes | dict[str, Any]) -> None:
        if isinstance(message, bytes):
            self.transport.send(WSMsgType.BINARY, message)
        else:
            text = message if isinstance(message, str) else json.dumps(message)
            self.transport.send(WSMsgType.TEXT, text)

    def close(self, code: int = 1000) -> None:
        if not self.transport.is_disconnected:
            self.transport.send_close(WSCloseCode(code) if code < 3000 else code)  # type: ignore[arg-type]
            self.transport.disconnect()

    def cut(self) -> None:
        """End without a word, as a crash does."""
        self.transport.disconnect(False)

    async def next(self) -> str | bytes | None:
        """The next message; None once the connection is gone."""
        return await self.inbox.get()

    async def event(self, kind: str, key: str = "type") -> dict[str, Any]:
        """The next JSON message of this kind; others are dropped. Raises ``EOFError`` if it never comes."""
        while (message := await self.next()) is not None:
            if isinstance(message, str):
                found: dict[str, Any] = json.loads(message)
                if found.get(key) == kind:
                    return found
        raise EOFError(kind)

    async def __aiter__(self) -> AsyncIterator[str | bytes]:
        while (message := await self.next()) is not None:
            yield message


class AgentServer:
    """Where connections arrive. ``sockets`` are all there were."""

    def __init__(self, behaviour: Behaviour, scheme: str) -> None:
        self.behaviour, self.scheme = behaviour, scheme
        self.sockets: list[Socket] = []
        self.port = 0

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/agent"

    def accept(self, request: WSUpgradeRequest) -> Socket:
        socket = Socket(request, self.behaviour)
        self.sockets.append(socket)
        return socket


@asynccontextmanager
async def serving(behaviour: Behaviour, tls: ssl.SSLContext | None = None) -> AsyncIterator[AgentServer]:
    """A server whose every connection behaves so, until the block is left."""
    agent = AgentServer(behaviour, "wss" if tls else "ws")
    server = await ws_create_server(agent.accept, "127.0.0.1", 0, ssl=tls, enable_auto_pong=False)
    agent.port = server.sockets[0].getsockname()[1]
    try:
        yield agent
    finally:
        server.close()
        for socket in agent.sockets:
            if socket.task is not None:
                socket.task.cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):  # why: the test has its own say
                    await socket.task
                socket.cut()


async def silent(socket: Socket) -> None:
    """Takes what it is sent and says nothing."""
    await socket.gone.wait()
