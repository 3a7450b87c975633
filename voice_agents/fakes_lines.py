"""Lines to agents that live in the test: they keep the ports' promises without sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from telephony.errors import AgentUnavailable
from voice_agents.core.agent import AgentSpec
from voice_agents.core.talk import Begin, CallerAudio, Ready, Said, Told
from voice_agents.ports import AgentEar, AgentLine


class FakeAgentLine:
    """``told`` is all the agent was told, ``begin`` first. ``closed`` is the code that the line was closed
    with. ``behind``: the agent takes no sound. ``unsent`` counts what it did not take."""

    def __init__(self, spec: AgentSpec, begin: Begin, ear: AgentEar) -> None:
        self.spec, self.begin = spec, begin
        self.told: list[Told] = [begin]
        self.closed: int | None = None
        self.behind = False
        self.unsent = 0
        self._ear = ear
        self._gone = False

    def tell(self, told: Told) -> bool:
        if self._gone:
            return False
        if self.behind and isinstance(told, CallerAudio):
            self.unsent += 1
            return False
        self.told.append(told)
        return True

    async def close(self, code: int = 1000) -> None:
        if not self._gone:
            self._gone, self.closed = True, code

    def say(self, *said: Said) -> None:
        """The agent says this, as far as anybody listens."""
        for one in said:
            if not self._gone:
                self._ear.said(one)

    def lose(self, why: str = "closed") -> None:
        """The connection breaks."""
        if not self._gone:
            self._gone = True
            self._ear.lost(why)


class FakeLines:
    """``away``: why nobody can be reached (``refused``, ``timeout``, ``forbidden``), empty where they can.
    ``silent``: agents that are reached do not say that they are ready. ``on_open`` is told of every line."""

    def __init__(self) -> None:
        self.lines: list[FakeAgentLine] = []
        self.away = ""
        self.silent = False
        self.on_open: Callable[[FakeAgentLine], None] | None = None

    async def open(self, spec: AgentSpec, begin: Begin, ear: AgentEar) -> AgentLine:
        await asyncio.sleep(0)
        if self.away:
            raise AgentUnavailable(why=self.away)
        line = FakeAgentLine(spec, begin, ear)
        self.lines.append(line)
        if not self.silent:
            asyncio.get_running_loop().call_soon(line.say, Ready())
        if self.on_open is not None:
            self.on_open(line)
        return line
