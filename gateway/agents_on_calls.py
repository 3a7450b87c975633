"""Agents on live calls, as the HTTP face sees them. Fits ``gateway.http.ports_agents.AgentCalls``.

The desk holds the sessions, the director the calls; here the one learns from the other. A caller who hangs up
is told to the session at once; a session that is handed its caller back has the call taken there.
"""

from __future__ import annotations

from typing import Final, Literal, Protocol

from dialplan.core.call import AgentSocket, Call, Connect, Endpoint, Rank
from telephony.errors import Conflict, PatchbayError
from telephony.ids import CallId
from voice_agents.core.record import AgentCall, SessionRecord
from voice_agents.core.talk import Reason
from voice_agents.desk import AgentDesk, Prepared

_OF_ROOM: Final = {one.value: one for one in (Reason.REMOVED, Reason.ROOM_ENDED)}
_BACK_S: Final = 15
"""How long the switch may take to bring a caller back to the agent."""


class Mover(Protocol):
    """The director, as far as it is needed here."""

    async def reroute(
        self, call_id: CallId, route: Connect, ring_timeout_s: int, *, why: str = "transferred"
    ) -> str: ...


class AgentsOnCalls:
    """``calls`` is set once the director is there."""

    def __init__(self, desk: AgentDesk) -> None:
        self.desk = desk
        self.calls: Mover | None = None

    # ------------------------------------------------------------ what the director tells

    def heard(self, before: Call, call: Call) -> None:
        """A call has changed: an agent whose caller is gone learns of it at once, wherever the call led: one
        that was turned away for want of a line had an agent reached for it."""
        if call.terms.agent_id is None:
            return
        left = call.caller.rank is Rank.ENDED and before.caller.rank is not Rank.ENDED
        if left or (call.closed and not before.closed):
            self.desk.caller_gone(call.id)

    def left_room(self, call_id: str, why: str) -> None:
        """The video room that this call's agent was in has ended, or put it out: it learns so before its call
        ends. Of other calls, and for other reasons, nothing is told here."""
        reason = _OF_ROOM.get(why)
        if reason is not None:
            self.desk.caller_gone(call_id, reason)

    # ------------------------------------------------------------ calls that begin

    async def prepare(self, wanted: AgentCall) -> Endpoint:
        """The agent is reached while the phone rings; what the call shall be joined with."""
        prepared = await self.desk.prepare(wanted)
        return AgentSocket(prepared.dial, wanted.agent_id)

    def forget(self, call_id: CallId) -> None:
        self.desk.forget(call_id)

    # ------------------------------------------------------------ calls that go on

    def live(self, call_id: CallId) -> SessionRecord | None:
        session = self.desk.session_of(call_id)
        return None if session is None or session.state.final else session

    async def end(self, call_id: CallId, *, force: bool, by: Literal["api", "agent"] = "api") -> bool:
        reason = Reason.AGENT if by == "agent" else Reason.API
        return await self.desk.end(call_id, reason, by, force=force)

    async def mute(self, call_id: CallId, on: bool) -> None:
        await self.desk.mute(call_id, on)

    async def hold(self, call_id: CallId, on: bool) -> None:
        await self.desk.hold(call_id, on)

    async def say(self, call_id: CallId, text: str, *, interruptible: bool) -> None:
        await self.desk.say(call_id, text, interruptible=interruptible)

    async def send_digits(self, call_id: CallId, digits: str) -> None:
        await self.desk.send_digits(call_id, digits)

    async def transfer(self, call_id: CallId, to: str, ring_timeout_s: int) -> str:
        return await self.desk.transfer(call_id, to, ring_timeout_s)

    async def take_over(self, call_id: CallId, to: str, ring_timeout_s: int) -> str:
        return await self.desk.take_over(call_id, to, ring_timeout_s)

    async def hand_back(self, call_id: CallId) -> None:
        """The switch takes the caller from the human to the agent again. Raises Conflict, and what the
        director raises where nothing could be ordered: the caller stays with the human then."""
        session = self.desk.session_of(call_id)
        back = self.desk.hand_back(call_id)
        assert session is not None, "a session that was handed back is there"
        try:
            outcome = await self._bring(call_id, back, session.agent_id)
        except PatchbayError:
            self.desk.stays(call_id)
            raise
        if outcome != "completed":
            raise Conflict("the caller could not be brought back", code="CALL_CANNOT_BE_MOVED")

    async def _bring(self, call_id: CallId, back: Prepared, agent_id: str) -> str:
        if self.calls is None:
            raise Conflict("the switch is not reached yet", code="CALL_CANNOT_BE_MOVED")
        route = Connect(AgentSocket(back.dial, agent_id))
        return await self.calls.reroute(call_id, route, _BACK_S, why="handed_back")

    async def hand_over(
        self, call_id: CallId, agent_id: str, version: int, parameters: tuple[tuple[str, str], ...]
    ) -> None:
        """Another agent takes the call in this one's place. Raises Conflict, AgentUnavailable."""
        await self.desk.hand_over(call_id, agent_id, version, parameters)
