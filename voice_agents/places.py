"""How many calls an agent and a tenant have, and whether one more is let in.

A session whose agent was passed over (``Terms.passed_over``) has no place until somebody stands in for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from telephony.errors import AgentUnavailable, TooMany
from voice_agents.core.agent import AgentSpec

_RETRY_S = 5


class Places:
    """``most_of`` gives how many calls with agents a tenant may have at once; 0: no limit. Nothing waits
    between ``why_not`` and ``take``: of two that want the last place, one gets it."""

    def __init__(self, most_of: Callable[[str], int]) -> None:
        self.most_of = most_of
        self._taken: dict[str, tuple[str, str]] = {}
        """Sessions that count: id → tenant and agent."""
        self._of_tenant: Counter[str] = Counter()
        self._of_agent: Counter[tuple[str, str]] = Counter()

    def __len__(self) -> int:
        return len(self._taken)

    def __contains__(self, session_id: str) -> bool:
        return session_id in self._taken

    def why_not(self, tenant: str, spec: AgentSpec, session_id: str = "") -> str:
        """Why this session, a new one where it has no place yet, cannot be with the agent: ``archived``,
        ``tenant_full``, ``agent_full``; empty where it can."""
        if spec.archived:
            return "archived"
        held, most = self._taken.get(session_id), self.most_of(tenant)
        if held is None and most and self._of_tenant[tenant] >= most:
            return "tenant_full"
        if held != (tenant, spec.id) and 0 < spec.max_concurrent <= self._of_agent[tenant, spec.id]:
            return "agent_full"
        return ""

    def refusal(self, why: str, tenant: str, spec: AgentSpec) -> AgentUnavailable | TooMany:
        """What whoever asked is told."""
        if why == "archived":
            return AgentUnavailable("the agent is archived: it takes no new calls", why=why)
        if why == "tenant_full":
            return _full("the account has as many such calls as it may", self.most_of(tenant))
        return _full("the agent is on as many calls as it may be", spec.max_concurrent)

    def take(self, session_id: str, tenant: str, spec: AgentSpec) -> None:
        """The session is this agent's from now on, and no other's."""
        self.free(session_id)
        self._taken[session_id] = (tenant, spec.id)
        self._of_tenant[tenant] += 1
        self._of_agent[tenant, spec.id] += 1

    def free(self, session_id: str) -> None:
        """The call has no agent any more, though the agent may still give its account."""
        taken = self._taken.pop(session_id, None)
        if taken is None:
            return
        self._of_tenant[taken[0]] -= 1
        self._of_agent[taken] -= 1
        self._of_tenant += Counter()  # drops the keys that are at 0
        self._of_agent += Counter()


def _full(message: str, limit: int) -> TooMany:
    return TooMany(
        message, retry_after_s=_RETRY_S, limit=limit, window="concurrent", code="CONCURRENCY_LIMIT"
    )
