"""What time does to sessions: notices of their end, the end itself, and the end of quarantine.

Time is judged by whoever looks (``Sessions.resolve``, the switch's copy); the keeper only writes down what
has become true, in small steps, so that a backlog never holds others up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from proxy_pool.core.codec import LONGEST_NOTICE_S
from proxy_pool.core.session import CloseReason
from proxy_pool.pool_memory import PoolMemory
from proxy_pool.ports import Index, Ledger, SessionEvent
from proxy_pool.sessions import Sessions
from telephony.errors import PatchbayError
from telephony.ids import TenantId

_log = structlog.get_logger("proxy_pool.keeper")

EVERY_S: Final = 1.0
BATCH: Final = 500
_REFRESH_EVERY: Final = 5
"""Rounds between two looks at the pool's numbers, for changes made elsewhere."""
_COUNT_EVERY: Final = 300
"""Rounds between two counts of their load."""


class Keeper:
    """A round every second. ``notice_s`` gives a tenant's time of notice before a session's end."""

    def __init__(
        self,
        sessions: Sessions,
        ledger: Ledger,
        index: Index,
        pool: PoolMemory,
        now: Callable[[], float],
        notice_s: Callable[[TenantId], Awaitable[int]],
    ) -> None:
        self._sessions = sessions
        self._ledger = ledger
        self._index = index
        self._pool = pool
        self._now = now
        self._notice_s = notice_s
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="masking-keeper")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._sessions.settle()

    async def _run(self) -> None:
        rounds = 0
        while True:
            await asyncio.sleep(EVERY_S)
            rounds += 1
            try:
                await self.once()
                if rounds % _REFRESH_EVERY == 0:
                    await self._pool.refresh(load=rounds % _COUNT_EVERY == 0)
            except PatchbayError as error:
                _log.warning("keeper.away", code=error.code)
            except Exception:  # noqa: BLE001  # why: edge of the keeper's loop; one broken round must not end it
                _log.exception("keeper.broken")

    async def once(self) -> None:
        """One round: what is due now."""
        await self._give_notice()
        await self._end_due()
        await self._free()

    async def _give_notice(self) -> None:
        now = self._now()
        for session in await self._ledger.expiring(now, LONGEST_NOTICE_S, BATCH):
            notice_s = await self._notice_s(session.tenant)
            if notice_s and session.ends_at - now <= notice_s:
                told = SessionEvent("session.expiring", now, (("ends_at", str(session.ends_at)),))
                await self._ledger.told_expiring(session, (told,))

    async def _end_due(self) -> None:
        while due := await self._ledger.due(self._now(), BATCH):
            for session in due:
                await self._sessions.close(session.tenant, session.id, CloseReason.EXPIRED)
            if len(due) < BATCH:
                return

    async def _free(self) -> None:
        while freed := await self._ledger.sweep(self._now(), BATCH):
            await self._index.drop([binding.door for binding in freed])
            if len(freed) < BATCH:
                return
