"""What the HTTP face needs of agents: who is registered, what they did, and those on the line now."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Literal, Protocol

from dialplan.core.call import Endpoint
from gateway.storage.agents import Agent, Edited, Status
from gateway.storage.records import Page
from telephony.ids import CallId, TenantId
from voice_agents.core.record import AgentCall, SessionRecord


class Agents(Protocol):
    """The registry; see ``gateway.storage.agents``."""

    async def add(self, agent: Agent) -> None: ...

    async def get(self, tenant: TenantId, agent_id: str, version: int | None = None) -> Agent | None: ...

    async def page(
        self, tenant: TenantId, status: Status, *, limit: int, cursor: str | None = None
    ) -> Page[Agent]: ...

    async def versions(
        self, tenant: TenantId, agent_id: str, *, limit: int, cursor: str | None = None
    ) -> Page[Agent] | None: ...

    async def change(
        self, tenant: TenantId, agent_id: str, edit: Callable[[Agent], Edited], at: datetime
    ) -> Agent | None: ...

    async def rotate(self, tenant: TenantId, agent_id: str, secret: str, at: datetime) -> Agent | None: ...

    async def archive(self, tenant: TenantId, agent_id: str, at: datetime) -> bool: ...


class AgentSessions(Protocol):
    """Sessions as stored; see ``gateway.storage.agent_sessions``."""

    async def of_call(self, tenant: TenantId, call_id: CallId) -> tuple[SessionRecord, ...]: ...

    async def transcripts(self, tenant: TenantId, call_id: CallId) -> tuple[SessionRecord, ...]: ...

    async def forget(self, tenant: TenantId, call_id: CallId) -> bool: ...


class AgentCalls(Protocol):
    """Calls that an agent is on, in this process. Whose call it is, and who may do this, was checked before.

    Every verb behind ``end`` raises Conflict where no agent is on the call, or its session's
    state forbids it.
    """

    async def prepare(self, wanted: AgentCall) -> Endpoint:
        """Set out to reach the agent for a call that is about to be placed; what the call shall be joined
        with. Raises TooMany where the agent, or the tenant, has as many calls as it may, Unavailable where
        no agent can be put on a call now."""
        ...

    def forget(self, call_id: CallId) -> None:
        """The call that was prepared for was not placed. Unknown: nothing happens."""
        ...

    def live(self, call_id: CallId) -> SessionRecord | None:
        """The session of a call that an agent is on, as it stands, with its turns."""
        ...

    async def end(self, call_id: CallId, *, force: bool, by: Literal["api", "agent"] = "api") -> bool:
        """Tell the agent, let it say goodbye, hang up; with ``force`` without the goodbye. ``by`` the agent
        itself: no goodbye is asked for, what it has said is heard to the end. True once the hang-up has been
        ordered; False where no agent is on the call: nothing was done. A second one waits for the first, but
        ``force`` cuts that short."""
        ...

    async def mute(self, call_id: CallId, on: bool) -> None:
        """Whether the caller hears the agent. It goes on hearing the caller."""
        ...

    async def hold(self, call_id: CallId, on: bool) -> None:
        """Whether the caller waits with music, apart from the agent."""
        ...

    async def say(self, call_id: CallId, text: str, *, interruptible: bool) -> None:
        """Have our speech engine say this to the caller, after what is being said."""
        ...

    async def send_digits(self, call_id: CallId, digits: str) -> None:
        """Play digits (``0-9*#A-Dw``) to the caller's line."""
        ...

    async def transfer(self, call_id: CallId, to: str, ring_timeout_s: int) -> str:
        """Take the caller to ``to`` (E.164, ``phone:NAME``, ``room:ID``) in the agent's place; the outcome,
        once it is known."""
        ...

    async def take_over(self, call_id: CallId, to: str, ring_timeout_s: int) -> str:
        """The same, but the agent stays, silent, to be handed back to; the outcome."""
        ...

    async def hand_back(self, call_id: CallId) -> None:
        """End a take-over: the caller speaks with the agent again."""
        ...

    async def hand_over(
        self, call_id: CallId, agent_id: str, version: int, parameters: tuple[tuple[str, str], ...]
    ) -> None:
        """Another agent takes the call in this one's place, told these parameters besides its own."""
        ...
