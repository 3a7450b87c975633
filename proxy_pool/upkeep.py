"""What every index does beside answering: it is filled from the ledger, compared with it, and counts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

from proxy_pool.core.packed import Drift, drift, milliseconds
from proxy_pool.core.session import Binding, Door
from proxy_pool.ports import Index
from telephony.errors import PatchbayError

Pages = AsyncIterator[Sequence[Binding]]
Load = Callable[[], Pages]
"""Reads every live or quarantined binding of all tenants from the ledger, page by page."""
Read = Callable[[], Awaitable[Sequence[Binding]]]
"""Reads one page of them, the same bindings each time."""


@dataclass(slots=True)
class IndexCounts:
    """Since the start. ``drift``: doors that comparisons found wrong; it should stay 0. ``repairs`` counts
    also what they found missing or behind, which costs a question to the ledger and no more."""

    hits: int = 0
    misses: int = 0
    reserved: int = 0
    refused: int = 0
    """Claims all of whose candidates were held."""
    failures: int = 0
    """Verbs that the server did not answer, or not in time."""
    suspected: int = 0
    """How often the index stopped being trusted."""
    rebuilds: int = 0
    drift: int = 0
    repairs: int = 0


class KeptIndex(Index, Protocol):
    """An ``Index`` with its upkeep."""

    counts: IndexCounts

    @property
    def trusted(self) -> bool:
        """Whether it answers now; else everything is asked of the ledger."""
        ...

    async def run(self, load: Load) -> None:
        """Fill the index, and again whenever it may have lost something. Runs until cancelled or done."""
        ...

    async def compare(self, read: Read, now: float) -> int:
        """Compare the index with one page of the ledger, mend it, and tell how many doors were *wrong*.

        Whatever seems wrong is read again in both, ledger first: what was only being changed is right then.
        Raises StorageUnavailable, IndexAway.
        """
        ...


Page = Callable[[int, int], Awaitable[Sequence[tuple[int, Binding]]]]
"""``Ledger.all_held``."""
_A_PAGE: Final = 500
_STEPS: Final = 60


async def reconcile(
    index: KeptIndex, all_held: Page, now: Callable[[], float], round_s: float = 3600.0
) -> None:
    """Compare the index with the whole ledger, page by page, once in ``round_s``; until cancelled.

    A page that cannot be read or compared now is tried again.
    """
    pages = 0
    while True:
        wait_s, pages, after = round_s / max(_STEPS, pages), 0, 0
        while True:
            await asyncio.sleep(wait_s)
            try:
                rows = await all_held(after, _A_PAGE)
                if not rows:
                    break
                await index.compare(partial(_bindings, all_held, after), now())
            except PatchbayError:
                continue
            after, pages = rows[-1][0], pages + 1


async def _bindings(all_held: Page, after: int) -> Sequence[Binding]:
    return [binding for _, binding in await all_held(after, _A_PAGE)]


Stands = Callable[[Sequence[Door]], Awaitable[Sequence[bytes | None]]]
"""The packed values that stand behind doors."""


async def drifted(read: Read, stands: Stands, now: float) -> list[tuple[Binding, Drift]]:
    """The bindings about which ledger and index disagree twice in the same way."""
    first = await _disagreements(read, stands, now, None)
    if not first:
        return []
    second = await _disagreements(read, stands, now, {binding.door for binding, _ in first})
    return [found for found in second if found in first]


async def _disagreements(
    read: Read, stands: Stands, now: float, only: set[Door] | None
) -> list[tuple[Binding, Drift]]:
    page = [binding for binding in await read() if only is None or binding.door in only]
    values = await stands([binding.door for binding in page])
    judged = (
        (binding, drift(binding.entry, value, milliseconds(now)))
        for binding, value in zip(page, values, strict=True)
    )
    return [(binding, found) for binding, found in judged if found is not None]
