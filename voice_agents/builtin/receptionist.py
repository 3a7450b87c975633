"""The receptionist as an agent like any other: an ``AgentLine`` without a socket."""

from __future__ import annotations

import asyncio

from voice_agents.core.agent import AgentSpec, DialectName
from voice_agents.core.reception_spec import reception_of
from voice_agents.core.receptionist import Conversation, Waited, step
from voice_agents.core.talk import Begin, Ended, Ready, Said, Told
from voice_agents.ports import AgentEar, AgentLine, AgentLines


class ReceptionLine:
    """One conversation. What it says comes right after what it was told, never within."""

    def __init__(self, spec: AgentSpec, begin: Begin, ear: AgentEar) -> None:
        self._ear = ear
        resumed = begin.resumed_turns is not None
        self._state = Conversation(reception_of(spec), begin.greeting, resumed)
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._open = True

    def begin(self) -> None:
        """Ready to take the call."""
        self._loop.call_soon(self._say, Ready())

    def tell(self, told: Told) -> bool:
        if not self._open:
            return False
        if isinstance(told, Ended):
            self._end()
            return True
        self._took(told)
        return True

    async def close(self, code: int = 1000) -> None:
        self._end()

    def _took(self, told: Told | Waited) -> None:
        self._state, says = step(self._state, told)
        for said in says:
            self._loop.call_soon(self._say, said)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if (wait_s := self._state.waits_s) is not None:
            self._timer = self._loop.call_later(wait_s, self._waited)

    def _waited(self) -> None:
        self._timer = None
        if self._open:
            self._took(Waited())

    def _say(self, said: Said) -> None:
        if self._open:
            self._ear.said(said)

    def _end(self) -> None:
        self._open = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class ReceptionLines:
    """``AgentLines``: the receptionist where the agent is the built-in one, else as ``others`` reach it."""

    def __init__(self, others: AgentLines) -> None:
        self._others = others

    async def open(self, spec: AgentSpec, begin: Begin, ear: AgentEar) -> AgentLine:
        if spec.dialect is not DialectName.BUILTIN:
            return await self._others.open(spec, begin, ear)
        line = ReceptionLine(spec, begin, ear)
        line.begin()
        return line
