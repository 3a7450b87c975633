"""Agents as the far ends of calls that come in, and callers who are brought back to an agent.

This book stands before the others: an answer that names an agent (``Connect(AgentSocket)`` without a dial
string) gets a session of that agent and a dial string of its own, that works once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final, Protocol

import structlog

from dialplan.core.call import AgentSocket, Call, Connect, Reject
from dialplan.core.routing import Offered, RouteFacts
from dialplan.ports import RouteBook
from gateway.agent_control import UNAVAILABLE
from telephony.causes import Cause
from telephony.errors import PatchbayError, TooMany
from telephony.ids import CallId
from voice_agents.core.record import BUSY, AgentCall, SessionRecord
from voice_agents.desk import Prepared

_log = structlog.get_logger("gateway.agents")
FAREWELL_S: Final = 60
"""How much longer than its route says a call may last in the switch: the session ends it in time, and what is
being said is said to its end."""
_SLACK_S: Final = 30.0
"""What lies between the ringing and the switch's coming to us."""


class Sessions(Protocol):
    """The agents' desk, as far as it is needed here."""

    async def prepare(self, call: AgentCall) -> Prepared: ...

    def rejoin(self, call_id: str) -> Prepared | None: ...

    def session_of(self, call_id: str) -> SessionRecord | None: ...


class AgentRoutes:
    """Fits ``dialplan.ports.RouteBook``."""

    def __init__(self, other: RouteBook, sessions: Sessions, new_id: Callable[[str], str]) -> None:
        self._other = other
        self._sessions = sessions
        self._new_id = new_id

    async def facts_for(self, offered: Offered) -> RouteFacts:
        """The other book's answer, with an agent on the line where it names one."""
        known = await self._other.facts_for(offered)
        return await self._with_agent(known, offered, None)

    async def go_on(self, offered: Offered, call: Call, digits: str) -> RouteFacts:
        """Back to the agent, where a transfer came to nothing; after a detour the other book says."""
        if call.returned or call.former:
            return self._after(call)
        known = await self._other.go_on(offered, call, digits)
        return await self._with_agent(known, offered, call.id)

    def _after(self, call: Call) -> RouteFacts:
        """Whoever was dialled last did not answer."""
        back, agent_id = self._sessions.rejoin(call.id), call.terms.agent_id
        tenant = call.terms.tenant
        if back is None or agent_id is None:
            return RouteFacts(tenant=tenant, route=Reject(_cause_of(call), UNAVAILABLE))
        return RouteFacts(tenant=tenant, route=Connect(AgentSocket(back.dial, agent_id)))

    async def _with_agent(self, known: RouteFacts, offered: Offered, call_id: CallId | None) -> RouteFacts:
        """``call_id`` None: the call has none yet, and is to have the one that its agent is told."""
        route = known.route
        if known.tenant is None or not isinstance(route, Connect):
            return known
        endpoint = route.endpoint
        if not isinstance(endpoint, AgentSocket) or endpoint.dial:
            return known
        call_id = CallId(self._new_id("call")) if call_id is None else call_id
        wanted = AgentCall(
            call_id=call_id,
            tenant=known.tenant,
            agent_id=endpoint.agent_id,
            direction="inbound",
            caller=_shown(known, route, offered),
            called=known.did.reveal() if known.did is not None else offered.dialled,
            longest_s=known.max_duration_s,
            media_within_s=known.ring_timeout_s + _SLACK_S,
        )
        try:
            prepared = await self._sessions.prepare(wanted)
        except PatchbayError as error:
            _log.warning("agent.not_on_call", agent_id=endpoint.agent_id, code=error.code)
            cause = Cause.CONGESTION if isinstance(error, TooMany) else Cause.TEMPORARY_FAILURE
            reason = BUSY if isinstance(error, TooMany) else UNAVAILABLE
            return replace(known, route=Reject(int(cause), reason), call_id=call_id)
        session = self._sessions.session_of(call_id)
        return replace(
            known,
            route=replace(route, endpoint=AgentSocket(prepared.dial, endpoint.agent_id)),
            record=known.record or prepared.record,
            max_duration_s=known.max_duration_s + FAREWELL_S,
            agent_id=endpoint.agent_id,
            agent_version=None if session is None else session.agent_version,
            call_id=call_id,
        )


def _shown(known: RouteFacts, route: Connect, offered: Offered) -> str:
    """Who calls, as the agent may know it: of a private call no more than any other party of it."""
    if known.private:
        return route.cli.reveal() if route.cli is not None else ""
    if offered.door == "from-phone":
        return f"phone:{offered.line}"
    return offered.caller


def _cause_of(call: Call) -> int:
    """What the caller hears: why the last far end did not answer, as far as that is known."""
    return int(call.callee.cause or Cause.TEMPORARY_FAILURE)
