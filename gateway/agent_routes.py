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
from telephony.causes import Cause
from telephony.errors import PatchbayError, TooMany
from telephony.ids import CallId
from voice_agents.core.record import AgentCall

_log = structlog.get_logger("gateway.agents")
UNAVAILABLE: Final = "agent_unavailable"
_SLACK_S: Final = 30.0
"""What lies between the ringing and the switch's coming to us."""


class Session(Protocol):
    """What was prepared: what the switch shall dial, and whose version of the agent has the call."""

    @property
    def dial(self) -> str: ...

    @property
    def version(self) -> int: ...


class Sessions(Protocol):
    """The agents' desk, as far as it is needed here."""

    async def prepare(self, call: AgentCall) -> Session:
        """Begin a session. Raises AgentUnavailable, or TooMany where a limit is reached."""
        ...

    def bring_back(self, call_id: str) -> str | None:
        """What the switch dials to come back to the session of this call; None where there is none."""
        ...


class AgentRoutes:
    """Fits ``dialplan.ports.RouteBook``."""

    def __init__(self, other: RouteBook, sessions: Sessions, new_id: Callable[[str], str]) -> None:
        self._other = other
        self._sessions = sessions
        self._new_id = new_id

    async def facts_for(self, offered: Offered) -> RouteFacts:
        """The other book's answer, with an agent on the line where it names one."""
        known = await self._other.facts_for(offered)
        return await self._with_agent(known, offered, CallId(self._new_id("call")))

    async def go_on(self, offered: Offered, call: Call, digits: str) -> RouteFacts:
        """Back to the agent, where a transfer came to nothing; after a detour the other book says."""
        if call.returned or call.former:
            return self._after(call)
        known = await self._other.go_on(offered, call, digits)
        return await self._with_agent(known, offered, call.id)

    def _after(self, call: Call) -> RouteFacts:
        """Whoever was dialled last did not answer."""
        dial, agent_id = self._sessions.bring_back(call.id), call.terms.agent_id
        tenant = call.terms.tenant
        if dial is None or agent_id is None:
            return RouteFacts(tenant=tenant, route=Reject(_cause_of(call), UNAVAILABLE))
        return RouteFacts(tenant=tenant, route=Connect(AgentSocket(dial, agent_id)))

    async def _with_agent(self, known: RouteFacts, offered: Offered, call_id: CallId) -> RouteFacts:
        route = known.route
        if known.tenant is None or not isinstance(route, Connect):
            return known
        endpoint = route.endpoint
        if not isinstance(endpoint, AgentSocket) or endpoint.dial:
            return known
        wanted = AgentCall(
            call_id=call_id,
            tenant=known.tenant,
            agent_id=endpoint.agent_id,
            direction="inbound",
            caller=_shown(known, route, offered),
            called=known.did.reveal() if known.did is not None else offered.dialled,
            max_duration_s=known.max_duration_s,
            media_within_s=known.ring_timeout_s + _SLACK_S,
        )
        try:
            session = await self._sessions.prepare(wanted)
        except PatchbayError as error:
            _log.warning("agent.not_on_call", agent_id=endpoint.agent_id, code=error.code)
            cause = Cause.CONGESTION if isinstance(error, TooMany) else Cause.TEMPORARY_FAILURE
            reason = "agent_busy" if isinstance(error, TooMany) else UNAVAILABLE
            return replace(known, route=Reject(int(cause), reason), call_id=call_id)
        return replace(
            known,
            route=replace(route, endpoint=AgentSocket(session.dial, endpoint.agent_id)),
            agent_id=endpoint.agent_id,
            agent_version=session.version,
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
