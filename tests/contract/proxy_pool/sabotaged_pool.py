"""The service that ``tools.verify_pool`` runs, with one of its safeguards taken out: the first argument.

One safeguard often stands behind another (who is let in by a wrong index is stopped by the session itself),
so some of these take out both.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from typing import Any

from gateway.storage import masking_ledger
from gateway.storage.masking_ledger import SqlLedger
from proxy_pool.core.session import Binding, Entry, Session
from proxy_pool.pool_memory import PoolMemory
from proxy_pool.sessions import Sessions
from proxy_pool.store_memory import MemoryIndex
from telephony.ids import TenantId
from telephony.numbers import E164
from tools.verify_pool import server

_later: set[asyncio.Task[Any]] = set()


def no_quarantine() -> None:
    """A closed session's doors are free at once."""
    close = SqlLedger.close

    async def closes(self: Any, tenant: Any, session_id: Any, reason: Any, at: float, *rest: Any) -> Any:
        return await close(self, tenant, session_id, reason, at, at, *rest[1:])

    SqlLedger.close = closes  # type: ignore[method-assign]


def nobody_told_of_the_end() -> None:
    """Doors are not suspended before they change, nor is the index told afterwards; and its word counts."""

    async def nothing(self: Any, doors: Any, now: float) -> None:
        """As if the doors stayed what they are."""

    put = MemoryIndex.put

    async def puts_live_ones(self: Any, bindings: Sequence[Binding], now: float) -> None:
        await put(self, [one for one in bindings if one.entry.hold.name == "LIVE"], now)

    async def remembered(self: Any, tenant: TenantId, entry: Entry) -> Session | None:
        return _first_seen.get(entry.session) or await self._p.ledger.get(tenant, entry.session)

    MemoryIndex.suspend = nothing  # type: ignore[method-assign]
    MemoryIndex.put = puts_live_ones  # type: ignore[method-assign]
    Sessions._session_of = remembered  # type: ignore[method-assign]
    _remember_all()


_first_seen: dict[str, Session] = {}


def _remember_all() -> None:
    remember = Sessions._remember

    def remembers(self: Sessions, session: Session) -> None:
        if session.live:
            _first_seen[session.id] = session
        remember(self, session)

    Sessions._remember = remembers  # type: ignore[method-assign]


def a_miss_is_nobody() -> None:
    """What the index does not know is not asked of the ledger."""

    async def entry(self: Any, tenant: TenantId, key: str, proxy: E164) -> Entry | None:
        index = self._p.pool.index_of(tenant).get(proxy)
        found: Entry | None = await self._p.index.look_up(tenant, key, index, self._p.makers.now())
        return found

    Sessions._entry = entry  # type: ignore[method-assign]


def wrong_seat() -> None:
    """Callers are taken for the other side."""
    resolve = Sessions.resolve

    async def resolves(self: Sessions, tenant: TenantId, key: str, proxy: E164) -> Any:
        found = await resolve(self, tenant, key, proxy)
        return None if found is None else (found[0], 1 - found[1])

    Sessions.resolve = resolves  # type: ignore[method-assign]


def everything_gives_way() -> None:
    """The ledger lets a second owner in; the index proposes what is held, and remembers the last."""
    masking_ledger.gives_way = lambda *_: True  # type: ignore[attr-defined]
    MemoryIndex._reserve = lambda self, claim, now: claim.candidates[0]  # type: ignore[method-assign]
    PoolMemory.candidates = lambda self, *_: (1, 2, 3)  # type: ignore[method-assign]


def answered_before_stored() -> None:
    """A session is told of before the ledger has it."""
    opens = SqlLedger.open

    async def opens_later(self: SqlLedger, *args: Any) -> None:
        async def later() -> None:
            await asyncio.sleep(0.2)
            await opens(self, *args)

        task = asyncio.create_task(later())
        _later.add(task)
        task.add_done_callback(_later.discard)

    SqlLedger.open = opens_later  # type: ignore[method-assign]


SABOTAGES: dict[str, Callable[[], None]] = {
    sabotage.__name__: sabotage
    for sabotage in (
        no_quarantine,
        nobody_told_of_the_end,
        a_miss_is_nobody,
        wrong_seat,
        everything_gives_way,
        answered_before_stored,
    )
}

if __name__ == "__main__":
    SABOTAGES[sys.argv.pop(1)]()
    server.main()
