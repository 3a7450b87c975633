"""SIGKILL at any moment: what was acknowledged is there, and nothing is there by half."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from gateway.storage.database import Database
from proxy_pool.core.session import Hold, Status
from tests.contract.proxy_pool.crashing_ledger import killed_after, numbered
from tests.contract.proxy_pool.ledger_rig import OURS, T0, Books, doors, in_sql, open_books

pytestmark = pytest.mark.contract

_CLIENTS = "SELECT array_agg(pid) FROM pg_stat_activity WHERE backend_type = 'client backend'"


@pytest.fixture(params=["masking_file", "masking_postgres"])
def killed_url(request: pytest.FixtureRequest) -> str:
    """A database that outlives the process."""
    return str(request.getfixturevalue(request.param))


@pytest.mark.parametrize("lines", [1, 400])
async def test_what_was_acknowledged_outlives_a_kill_and_nothing_is_half_made(
    killed_url: str, lines: int
) -> None:
    async with open_books(killed_url) as books:
        await books.fill_pool()
    async with outlived(killed_url):
        told = await asyncio.to_thread(killed_after, killed_url, lines)
    assert len(told) >= lines
    database = await Database.open(killed_url)
    books = in_sql(database)
    await check_acknowledged(books, told)
    await check_whole(books)
    await database.close()


@asynccontextmanager
async def outlived(url: str) -> AsyncIterator[None]:
    """When it ends, nothing is done any more for whoever connected in it. PostgreSQL ends what a dead client
    has asked for, a commit too, before it notices; in SQLite transactions end with their process."""
    if not url.startswith("postgresql"):
        yield
        return
    link = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        known = set(await link.fetchval(_CLIENTS))
        yield
        async with asyncio.timeout(60):
            while set(await link.fetchval(_CLIENTS)) - known:  # noqa: ASYNC110 # why: the server tells nobody
                await asyncio.sleep(0.01)
    finally:
        await link.close()


async def check_acknowledged(books: Books, told: set[tuple[str, int]]) -> None:
    for verb, number in told:
        found = await books.ledger.get(OURS, numbered(number).id)
        assert found is not None, (verb, number)
        match verb:
            case "used":
                assert (found.interactions, found.ends_at) == (1, T0 + 9000)
            case "changed":
                assert found.metadata == (("changed", "yes"),)
            case "closed":
                assert found.status is Status.CLOSED


async def check_whole(books: Books) -> None:
    """Every session that is there has what its state says: doors, holds, and one event for each change."""
    events = Counter((str(event["data"]["id"]), event["type"]) for event in await books.webhooks())  # type: ignore[index]
    assert set(events.values()) == {1}
    after = 0
    seen: set[str] = set()
    while page := await books.ledger.all_held(after, 500):
        after = page[-1][0]
        for session_id in {binding.entry.session for _, binding in page}:
            if session_id in seen:
                continue
            seen.add(session_id)
            session = await books.ledger.get(OURS, session_id)
            assert session is not None
            held = await books.ledger.bindings_of(OURS, session_id)
            assert {one.door for one in held} == {one.door for one in doors(session)}
            live = sorted(one.entry.hold is Hold.LIVE for one in held)
            expected = [True, True]
            if session.status is Status.CLOSED:
                expected = [False, False]
            elif session.metadata:
                expected = [False, True]
            assert live == expected
            assert events[session_id, "session.opened"] == 1
            assert events[session_id, "session.closed"] == (session.status is Status.CLOSED)
            assert events[session_id, "session.changed"] == bool(session.metadata)
            assert events[session_id, "session.in_progress"] == (session.interactions > 0)
