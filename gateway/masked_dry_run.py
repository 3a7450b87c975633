"""Whom a call to a proxy number would reach, for whoever switches it elsewhere.

Fits ``gateway.http.ports_masking.InboundCalls``. The look-up and the judgement are those of a real call
(``gateway.masked_doors``); no ladder is climbed, nothing is counted, nobody is asked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gateway.http.ports_masking import CallDecision
from gateway.masked_callers import Attempter, Caller, international
from gateway.masked_doors import Behind, Doors
from proxy_pool.core.number import PoolNumber
from proxy_pool.core.party import key_of
from proxy_pool.core.reach import NeedsPin, Reached, Refusal
from telephony.ids import TenantId
from telephony.numbers import E164

KNOWN: Final = "session"
STRANGER: Final = "unknown_caller"
NO_PROXY: Final = "not_a_proxy_number"


class DryRun:
    """``number_of`` gives a proxy number of any tenant, from memory."""

    def __init__(self, doors: Doors, number_of: Callable[[E164], PoolNumber | None]) -> None:
        self._doors = doors
        self._number_of = number_of

    async def decide(self, tenant: TenantId, caller: str, dialled: E164) -> CallDecision:
        """See ``InboundCalls``. Raises StorageUnavailable where a look-up needs the ledger and it is away."""
        number = self._number_of(dialled)
        if number is None or number.tenant != tenant:
            return CallDecision(NO_PROXY)
        calling = international(caller)
        if calling is not None and self._doors.ours(calling):
            return CallDecision(Refusal.LOOP.value)
        who = Caller() if calling is None else Caller(key_of(calling), calling)
        behind = await self._doors.arriving(Attempter(tenant, dialled, who), number.use)
        return CallDecision(STRANGER) if behind is None else _told(behind)


def _told(behind: Behind) -> CallDecision:
    """Whoever is nobody to the session is told as if there were none."""
    way = behind.way
    if behind.stranger:
        return CallDecision(STRANGER)
    if isinstance(way, NeedsPin):
        return CallDecision(Refusal.PIN.value)
    if not isinstance(way, Reached):
        return CallDecision(way.reason.value)
    return CallDecision(
        reason=KNOWN,
        to=way.target,
        shown=way.cli,
        session=behind.session.id,
        ring_timeout_s=way.ring_s,
        call_limit_s=way.max_s,
        record=way.record,
    )
