"""Lines of each kind, with an agent at their other end that does what the test says."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from tests.rig.agent_servers import AgentServer, Socket, serving
from tests.rig.conversations import spec_of
from voice_agents.core.agent import AgentSpec
from voice_agents.core.audio import Codec
from voice_agents.core.talk import Begin, Clear, Mark, Said, Words
from voice_agents.fakes_lines import FakeAgentLine, FakeLines
from voice_agents.lines.socket_line import LineLimits, SocketLines
from voice_agents.ports import AgentLines

BEGIN = Begin(
    "ses_01KACWXR00000000000000001B",
    "call_01KACWXR00000000000000007A",
    "agt_1",
    1,
    "inbound",
    "+14155550123",
    "+14155550199",
    Codec.ULAW,
)
SOON_S = 30.0
PATIENT = LineLimits(connect_s=SOON_S, behind_s=SOON_S)
"""For whoever is not measured by how fast they are."""


class Ear:
    """Writes down what it hears. ``loss``: why the line was lost."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[Said | str] = asyncio.Queue()
        self.loss = ""

    def said(self, said: Said) -> None:
        self.heard.put_nowait(said)

    def lost(self, why: str) -> None:
        self.loss = why
        self.heard.put_nowait(why)

    async def next(self) -> Said | str:
        """What was said, or why the line is lost."""
        async with asyncio.timeout(SOON_S):
            return await self.heard.get()


async def to_loopback(url: str) -> Sequence[str]:
    return ["127.0.0.1"]


class Agent(Protocol):
    """The other end."""

    def say(self, said: Said) -> None: ...

    def crash(self) -> None: ...

    async def told(self, kind: str) -> object:
        """The first thing of this kind that it was told."""
        ...

    async def closed(self) -> int | None:
        """The code that it was closed with."""
        ...


@dataclass
class Kind:
    """One kind of lines and its only agent."""

    lines: AgentLines
    spec: AgentSpec
    agent: Agent

    def unreachable(self) -> AgentSpec:
        """An agent that nobody reaches."""
        if isinstance(self.lines, FakeLines):
            self.lines.away = "refused"
        return spec_of({"dialect": "native", "url": "ws://127.0.0.1:1/"})


class FakeAgent:
    def __init__(self, lines: FakeLines) -> None:
        self._lines = lines

    @property
    def _line(self) -> FakeAgentLine:
        return self._lines.lines[-1]

    def say(self, said: Said) -> None:
        self._line.say(said)

    def crash(self) -> None:
        self._line.lose()

    async def told(self, kind: str) -> object:
        return next(told for told in self._line.told if type(told).__name__ == kind)

    async def closed(self) -> int | None:
        return self._line.closed


class SocketAgent:
    """Speaks the native dialect."""

    def __init__(self, server: AgentServer) -> None:
        self._server = server

    @property
    def _socket(self) -> Socket:
        return self._server.sockets[-1]

    def say(self, said: Said) -> None:
        match said:
            case Words(text=text):
                self._socket.send({"type": "say", "text": text})
            case Mark(name=name):
                self._socket.send({"type": "mark", "name": name})
            case Clear():
                self._socket.send({"type": "clear"})

    def crash(self) -> None:
        self._socket.cut()

    async def told(self, kind: str) -> object:
        types = {"Begin": "session.begin", "Digit": "dtmf", "Answered": "session.answered"}
        async with asyncio.timeout(SOON_S):
            return await self._socket.event(types[kind])

    async def closed(self) -> int | None:
        async with asyncio.timeout(SOON_S):
            await self._socket.gone.wait()
        return self._socket.closed


async def ready(socket: Socket) -> None:
    """Says that it is ready at once, and nothing more by itself."""
    socket.send({"type": "session.ready"})
    await socket.gone.wait()


@asynccontextmanager
async def over_nothing() -> AsyncIterator[Kind]:
    lines = FakeLines()
    yield Kind(lines, spec_of({"dialect": "native"}), FakeAgent(lines))


@asynccontextmanager
async def over_sockets() -> AsyncIterator[Kind]:
    async with serving(ready) as server:
        lines = SocketLines(to_loopback, wall=time.time, limits=PATIENT)
        yield Kind(lines, spec_of({"dialect": "native", "url": server.url}), SocketAgent(server))
