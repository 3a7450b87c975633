"""What the agents' desk needs around it: the registry, the store, the world, tools, and the call itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from voice_agents.core.agent import AgentSpec
from voice_agents.core.record import SessionRecord
from voice_agents.core.talk import CallTool, ToolResult


class AgentBook(Protocol):
    """The registered agents."""

    async def agent(self, tenant: str, agent_id: str, version: int | None = None) -> AgentSpec | None:
        """This version of the agent, or its newest; None where the tenant has no such agent. Raises
        ``Conflict`` (AGENT_TOO_NEW) where a newer release stored what means nothing to this one, and
        ``StorageUnavailable``."""
        ...


class SessionStore(Protocol):
    """Where sessions are kept."""

    async def save(self, record: SessionRecord) -> None:
        """Keep this in place of what was kept of the session before. Raises ``StorageUnavailable``."""
        ...


class Announcer(Protocol):
    """Tells the world. Must return at once, never raises."""

    def publish(self, event: str, session: SessionRecord, detail: Mapping[str, str | int | bool]) -> None:
        """``event`` is one of ``voice_agents.core.orders.EVENTS``; ``detail`` holds no secret."""
        ...


class Tools(Protocol):
    """Runs what an agent asks for. The allow-list, the deadline and the budget are looked after before."""

    async def call(
        self, spec: AgentSpec, session: SessionRecord, tool: CallTool, deadline_s: float
    ) -> ToolResult: ...


class CallControl(Protocol):
    """What an agent's session may do to its call."""

    async def hang_up(self, call_id: str, why: str) -> None: ...

    async def transfer(self, call_id: str, to: str, ring_timeout_s: int) -> str:
        """Ring ``to`` in the agent's place; returns the outcome (``TransferOutcome.outcome``) once it is
        known. Where it is not ``completed``, the caller waits to be brought back to the agent."""
        ...

    async def send_digits(self, call_id: str, digits: str) -> None: ...
