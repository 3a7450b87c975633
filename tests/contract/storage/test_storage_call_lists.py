"""Lists of calls in every database: pages, filters, cursors, and the calls still open."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import select

from dialplan.core.call import Direction, TapeState
from dialplan.core.record import cdr
from gateway.storage.calls import CallRepository
from gateway.storage.database import Database
from gateway.storage.records import CallFilter
from gateway.storage.tables import CALLS
from telephony.errors import MalformedRequest
from tests.contract.storage.call_stories import story
from tests.contract.storage.made_calls import (
    FROM,
    OURS,
    T0,
    THEIRS,
    TO,
    answered,
    completed,
    event,
    started,
    tape,
)

pytestmark = pytest.mark.contract


async def test_a_list_is_walked_page_by_page_newest_first(calls: CallRepository) -> None:
    times = {n: T0 + (n // 3) for n in range(1, 11)}  # three calls share each moment
    for n, at in times.items():
        call = started(n, created_at=at)
        await calls.append(call, [event(call, "call.initiated", at)], None)
    seen: list[str] = []
    cursor, pages = None, 0
    while True:
        page = await calls.page(OURS, CallFilter(), limit=4, cursor=cursor)
        assert page.total == 10
        seen += [item.id for item in page.items]
        cursor, pages = page.cursor, pages + 1
        assert page.has_more == (cursor is not None) == (len(seen) < 10)
        if cursor is None:
            break
    wanted = sorted(times, key=lambda n: (times[n], n), reverse=True)
    assert seen == [started(n).id for n in wanted]
    assert pages == 3


async def test_calls_made_while_a_list_is_walked_do_not_shift_its_pages(calls: CallRepository) -> None:
    for n in range(1, 5):
        await story(calls, n, created_at=T0 + n)
    first = await calls.page(OURS, CallFilter(), limit=2)
    await story(calls, 9, created_at=T0 + 9)
    second = await calls.page(OURS, CallFilter(), limit=2, cursor=first.cursor)
    assert [item.id for item in second.items] == [started(2).id, started(1).id]
    assert (second.total, second.cursor) == (5, None)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (CallFilter(status="completed"), {1, 2}),
        (CallFilter(status="initiating"), {3, 4}),
        (CallFilter(to_number="+4930123456"), {2, 4}),
        (CallFilter(from_number="+15550001111"), {3}),
        (CallFilter(created_after=T0 + 2), {2, 3, 4}),
        (CallFilter(created_before=T0 + 2), {1}),
        (CallFilter(status="completed", to_number="+4930123456", created_after=T0), {2}),
        (CallFilter(status="busy"), set[int]()),
    ],
)
async def test_filters_pick_calls_and_count_them(
    calls: CallRepository, wanted: CallFilter, found: set[int]
) -> None:
    await story(calls, 1, created_at=T0 + 1)
    await story(calls, 2, created_at=T0 + 2, to="+4930123456")
    for n, from_, to in ((3, "+15550001111", TO), (4, FROM, "+4930123456")):
        call = started(n, created_at=T0 + n, to=to, from_=from_)
        await calls.append(call, [event(call, "call.initiated", T0 + n)], None)
    page = await calls.page(OURS, wanted, limit=10)
    assert {item.id for item in page.items} == {started(n).id for n in found}
    assert page.total == len(found)


async def test_a_cursor_serves_only_its_own_tenant_and_filter(calls: CallRepository) -> None:
    await story(calls, 1)
    await story(calls, 2)
    page = await calls.page(OURS, CallFilter(), limit=1)
    for tenant, wanted in ((THEIRS, CallFilter()), (OURS, CallFilter(status="completed"))):
        with pytest.raises(MalformedRequest) as caught:
            await calls.page(tenant, wanted, limit=1, cursor=page.cursor)
        assert (caught.value.code, caught.value.field) == ("INVALID_CURSOR", "cursor")


async def test_a_private_calls_real_number_is_not_found_by_whoever_may_not_see_it(
    calls: CallRepository,
) -> None:
    terms = replace(started(1).terms, session_id="ses_1", private=True, direction=Direction.INBOUND)
    private, placed = replace(started(1), terms=terms), started(2)
    for call in (private, placed):
        await calls.append(call, [event(call, "call.initiated", T0)], None)

    async def found(**wanted: str | bool) -> set[str]:
        page = await calls.page(OURS, CallFilter(**wanted), limit=9)  # type: ignore[arg-type]
        return {known.id for known in page.items}

    both = {private.id, placed.id}
    assert await found(from_number=FROM) == await found(to_number=TO, blind=True) == both
    assert await found(from_number=FROM, blind=True) == {placed.id}
    assert await found(blind=True) == both


async def test_open_calls_are_those_of_every_tenant_that_still_wait_for_something(
    calls: CallRepository, database: Database
) -> None:
    await story(calls, 1)
    live = answered(started(2, tenant=THEIRS), T0 + 2)
    await calls.append(live, [event(live, "call.answered", T0 + 2)], None)
    ended = completed(answered(started(3), T0 + 2), T0 + 9, tapes=(tape(started(3), TapeState.STOPPED),))
    await calls.append(ended, [event(ended, "call.completed", T0 + 9)], cdr(ended))
    assert await calls.open_calls() == (live, ended)
    snapshots = await database.read(lambda conn: conn.execute(select(CALLS.c.snapshot)).scalars().all())
    assert sum(snapshot is None for snapshot in snapshots) == 1
