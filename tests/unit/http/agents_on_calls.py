"""Agents on calls, made up: what the face asks of them is written down, their sessions are ours to set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from dialplan.core.call import Endpoint, HoldMusic
from telephony.errors import Conflict, TooMany
from telephony.ids import CallId
from voice_agents.core.record import AgentCall, SessionRecord, State


class FakeAgentCalls:
    """Fits ``gateway.http.ports_agents.AgentCalls``."""

    def __init__(self) -> None:
        self.sessions: dict[CallId, SessionRecord] = {}
        self.asked: list[tuple[object, ...]] = []
        self.outcome = "completed"
        self.busy = False
        self.full = False
        self.prepared: list[AgentCall] = []
        self.forgotten: list[CallId] = []
        self.on_end: Callable[[], None] = lambda: None

    async def prepare(self, wanted: AgentCall) -> Endpoint:
        if self.full:
            raise TooMany(
                "the agent is on as many calls as it may be",
                retry_after_s=5,
                limit=1,
                window="concurrent",
                code="CONCURRENCY_LIMIT",
            )
        self.prepared.append(wanted)
        return HoldMusic()

    def forget(self, call_id: CallId) -> None:
        self.forgotten.append(call_id)

    def begin(self, session: SessionRecord) -> None:
        self.sessions[CallId(session.call_id)] = session

    def live(self, call_id: CallId) -> SessionRecord | None:
        return self.sessions.get(call_id)

    async def end(self, call_id: CallId, *, force: bool, by: str = "api") -> bool:
        if call_id not in self.sessions:
            return False
        self.asked.append(("end", call_id, force, by))
        self.on_end()
        del self.sessions[call_id]
        return True

    async def mute(self, call_id: CallId, on: bool) -> None:
        self._note("mute", call_id, on)

    async def hold(self, call_id: CallId, on: bool) -> None:
        self._note("hold", call_id, on)
        state = State.HELD if on else State.TALKING
        self.sessions[call_id] = replace(self.sessions[call_id], state=state)

    async def say(self, call_id: CallId, text: str, *, interruptible: bool) -> None:
        self._note("say", call_id, text, interruptible)

    async def send_digits(self, call_id: CallId, digits: str) -> None:
        self._note("digits", call_id, digits)

    async def transfer(self, call_id: CallId, to: str, ring_timeout_s: int) -> str:
        self._note("transfer", call_id, to, ring_timeout_s)
        return self.outcome

    async def take_over(self, call_id: CallId, to: str, ring_timeout_s: int) -> str:
        self._note("take_over", call_id, to, ring_timeout_s)
        return self.outcome

    async def hand_back(self, call_id: CallId) -> None:
        self._note("hand_back", call_id)

    async def hand_over(
        self, call_id: CallId, agent_id: str, version: int, parameters: tuple[tuple[str, str], ...]
    ) -> None:
        self._note("hand_over", call_id, agent_id, version, parameters)

    def _note(self, verb: str, call_id: CallId, *more: object) -> None:
        if call_id not in self.sessions:
            raise Conflict("no agent is on this call", code="NO_AGENT_ON_CALL")
        if self.busy:
            raise Conflict("the session is ending", code="AGENT_STATE")
        self.asked.append((verb, call_id, *more))
