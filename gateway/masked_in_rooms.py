"""Parties of masking sessions as callers of rooms' dial-in lines: whom a room must not know anything of.

A room shows the last digits of whoever dials in. Whoever takes part in a masking session, or did until
lately, may have the other party of it in that room: of them nothing is shown, and their call is private.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog

from dialplan.core.routing import Offered
from gateway.masked_callers import caller_of
from telephony.errors import StorageUnavailable
from telephony.ids import TenantId

_log = structlog.get_logger("gateway.rooms")
Held = Callable[[TenantId, str, float], Awaitable[frozenset[int]]]
"""The proxy numbers that a party has now or that rest after it (``proxy_pool.ports.Ledger.held``)."""


class MaskedInRooms:
    """``held`` knows who has proxy numbers; ``now`` gives epoch seconds."""

    def __init__(self, held: Held, now: Callable[[], float]) -> None:
        self._held = held
        self._now = now

    async def __call__(self, tenant: TenantId, offered: Offered) -> bool:
        """Whether this caller must stay unknown. Whom nobody can look up now must."""
        key = caller_of(offered).key
        if not key:
            return False
        try:
            return bool(await self._held(tenant, key, self._now()))
        except StorageUnavailable as error:
            _log.warning("room.caller_not_looked_up", code=error.code)
            return True
