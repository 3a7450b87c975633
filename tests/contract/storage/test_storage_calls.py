"""Calls in every database: one transaction an append, one CDR a call, one tenant a query."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import pytest
from sqlalchemy import Connection, func, select

from dialplan.core.call import Connect, Direction, TapeState, VideoRoom
from dialplan.core.facts import RoomEntered
from dialplan.core.machine import step
from dialplan.core.record import CallEvent, Party, cdr, iso, record, shown
from gateway.announcer import WebhookAnnouncer
from gateway.storage.calls import Announcers, CallRepository
from gateway.storage.cursors import Cursors
from gateway.storage.database import Database
from gateway.storage.outbox import SqlOutbox
from gateway.storage.recordings import RecordingRepository
from gateway.storage.records import CallFilter, Recording, RecordingState, TimelineEntry
from gateway.storage.tables import CALLS, CDRS
from gateway.storage.usage import UsageRepository, add_in
from gateway.storage.webhook_book import SqlEndpointBook
from telephony.errors import MalformedRequest
from telephony.ids import CallId
from tests.contract.storage.made_calls import (
    FROM,
    OURS,
    T0,
    THEIRS,
    TO,
    FixedClock,
    answered,
    completed,
    event,
    ringing,
    started,
    tape,
    told,
)

pytestmark = pytest.mark.contract


@pytest.fixture
def calls(database: Database, cursors: Cursors) -> CallRepository:
    return CallRepository(database, cursors)


async def story(calls: CallRepository, n: int, **changes: object) -> None:
    """A call from its first ring to its CDR."""
    call = started(n, **changes)  # type: ignore[arg-type]
    await calls.append(call, [event(call, "call.initiated", T0)], None)
    call = ringing(call, T0 + 1)
    await calls.append(call, [event(call, "call.ringing", T0 + 1)], None)
    call = answered(call, T0 + 3)
    await calls.append(call, [event(call, "call.answered", T0 + 3)], None)
    call = completed(call, T0 + 63)
    await calls.append(call, [event(call, "call.completed", T0 + 63)], cdr(call))


async def test_a_call_reads_back_as_it_was_at_each_step(calls: CallRepository) -> None:
    call = started(1)
    await calls.append(call, [event(call, "call.initiated", T0)], None)
    assert await calls.get(OURS, call.id) == record(call)
    assert await calls.open_calls() == (call,)
    call = answered(ringing(call, T0 + 1), T0 + 3.5)
    await calls.append(call, [event(call, "call.answered", T0 + 3.5)], None)
    assert await calls.get(OURS, call.id) == record(call)
    assert await calls.open_calls() == (call,)
    call = completed(call, T0 + 63.75)
    await calls.append(call, [event(call, "call.completed", T0 + 63.75)], cdr(call))
    found = await calls.get(OURS, call.id)
    assert found == record(call)
    assert found is not None
    assert (found.duration_s, found.hangup_cause, str(found.termination)) == (
        60,
        16,
        "success/hangup_by_caller",
    )
    assert await calls.open_calls() == ()


async def test_a_call_learns_its_session_after_a_detour(calls: CallRepository) -> None:
    call = replace(started(1), detours=1)
    await calls.append(call, [event(call, "call.initiated", T0)], None)
    terms = replace(call.terms, session_id="ses_1", seat=2, to_seat=0, private=True, record=False)
    call = ringing(replace(call, terms=terms), T0 + 1)
    await calls.append(call, [event(call, "call.ringing", T0 + 1)], None)
    found = await calls.get(OURS, call.id)
    assert found == record(call)
    assert found is not None
    assert (found.session_id, found.seat, found.to_seat, found.private) == ("ses_1", 2, 0, True)
    assert await calls.open_calls() == (call,)


async def test_a_call_learns_which_room_it_led_to(calls: CallRepository) -> None:
    line = VideoRoom("WebSocket/room0/c(slin16)nf(json)/0123456789abcdef")
    call = replace(started(1), route=Connect(line))
    await calls.append(call, [event(call, "call.initiated", T0)], None)
    found = await calls.get(OURS, call.id)
    assert found is not None
    assert found.room_id is None
    call, _ = step(call, RoomEntered("a-room"), T0 + 1)
    await calls.append(call, [event(call, "call.room_entered", T0 + 1)], None)
    found = await calls.get(OURS, call.id)
    assert found == record(call)
    assert found is not None
    assert found.room_id == "a-room"
    assert await calls.open_calls() == (call,)


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


async def test_several_announcers_each_hear_of_their_own(database: Database, cursors: Cursors) -> None:
    class Teller:
        def __init__(self, *says: str) -> None:
            self.says, self.heard = says, list[str]()

        def announce(self, conn: Connection, events: Sequence[CallEvent]) -> Sequence[str]:
            return self.says

        def committed(self, announced: Sequence[str]) -> None:
            self.heard += announced

    tellers = (Teller("0:a", "b"), Teller(), Teller("c"))
    calls = CallRepository(database, cursors, Announcers(tellers))
    call = started(1)
    await calls.append(call, [event(call, "call.initiated", T0)], None)
    assert [teller.heard for teller in tellers] == [["0:a", "b"], [], ["c"]]


async def test_a_step_without_an_event_is_kept_too(calls: CallRepository) -> None:
    call = started(1)
    await calls.append(call, [event(call, "call.initiated", T0)], None)
    asked = replace(call, asked=True, cancel_asked=True)
    await calls.append(asked, [], None)
    assert await calls.open_calls() == (asked,)


async def test_the_timeline_is_in_order_and_whole(calls: CallRepository) -> None:
    await story(calls, 1)
    entries = await calls.events(OURS, started(1).id)
    assert entries is not None
    assert [(entry.sequence, entry.type, entry.status) for entry in entries] == [
        (1, "call.initiated", "initiating"),
        (2, "call.ringing", "ringing"),
        (3, "call.answered", "in_progress"),
        (4, "call.completed", "completed"),
    ]


async def test_an_event_keeps_its_detail_and_time(calls: CallRepository) -> None:
    call = started(1)
    await calls.append(call, [event(call, "call.initiated", T0 + 0.000001, ("b", "1"), ("a", "2"))], None)
    assert await calls.events(OURS, call.id) == (
        TimelineEntry(1, "call.initiated", T0 + 0.000001, "initiating", (("b", "1"), ("a", "2"))),
    )


async def test_appending_the_same_twice_changes_nothing(calls: CallRepository, database: Database) -> None:
    usage = UsageRepository(database)
    call = answered(started(1), T0 + 3)
    first = [event(call, "call.answered", T0 + 3)]
    await calls.append(call, first, None)
    ended = completed(call, T0 + 63)
    last = [event(ended, "call.completed", T0 + 63)]
    for _ in range(2):
        await calls.append(ended, last, cdr(ended))
    await calls.append(call, first, None)  # and a late one does not take it back
    assert await calls.get(OURS, call.id) == record(ended)
    assert len(await calls.events(OURS, call.id) or ()) == 2
    assert await usage.seconds_on(OURS, date(2026, 3, 8)) == 60
    assert (
        await database.read(lambda conn: conn.execute(select(func.count()).select_from(CDRS)).scalar()) == 1
    )


async def test_the_cdr_tells_what_the_api_shows_and_what_the_facts_told(calls: CallRepository) -> None:
    call = completed(answered(ringing(started(1), T0 + 1), T0 + 3), T0 + 63)
    assert await calls.cdr(OURS, call.id) is None
    await calls.append(call, [event(call, "call.completed", T0 + 63)], cdr(call))
    assert await calls.cdr(OURS, call.id) == {
        "call": shown(record(call)),
        "ring_seconds": 2.0,
        "talk_seconds": 60.0,
        "caller_cause": 16,
        "callee_cause": 16,
        "late_facts": 0,
        "callee": "phone:desk",
        "former_callees": [],
    }
    assert await calls.cdr(THEIRS, call.id) is None


async def test_the_cdr_names_whom_the_call_had_left(calls: CallRepository) -> None:
    call = completed(answered(ringing(started(1), T0 + 1), T0 + 3), T0 + 63)
    agent = Party("agent:agt_1", T0 + 3, T0 + 20, "transferred", 16)
    told = replace(cdr(call), callee="phone:alice", former=(agent,))
    await calls.append(call, [event(call, "call.completed", T0 + 63)], told)
    body = await calls.cdr(OURS, call.id)
    assert body is not None
    assert body["callee"] == "phone:alice"
    (left,) = body["former_callees"]
    assert (left["callee"], left["reason"], left["cause"]) == ("agent:agt_1", "transferred", 16)
    assert left["answered_at"] == iso(T0 + 3)


async def test_usage_counts_outbound_talk_on_the_day_it_ended(
    calls: CallRepository, database: Database
) -> None:
    await asyncio.gather(*(story(calls, n) for n in range(1, 6)))
    usage = UsageRepository(database)
    assert await usage.seconds_on(OURS, date(2026, 3, 8)) == 5 * 60
    assert await usage.seconds_on(OURS, date(2026, 3, 9)) == 0
    assert await usage.seconds_on(THEIRS, date(2026, 3, 8)) == 0


async def test_a_foreign_call_is_not_there(calls: CallRepository) -> None:
    await story(calls, 1)
    call_id = started(1).id
    assert await calls.get(THEIRS, call_id) is None
    assert await calls.events(THEIRS, call_id) is None
    assert (await calls.page(THEIRS, CallFilter(), limit=10)).total == 0
    assert await calls.get(OURS, CallId("call_unknown")) is None


class Counting:
    """An announcer that writes in the same transaction, and fails on request."""

    def __init__(self) -> None:
        self.fails = False
        self.told: list[str] = []

    def announce(self, conn: Connection, events: Sequence[CallEvent]) -> Sequence[str]:
        add_in(conn, THEIRS, date(2000, 1, 1), len(events))
        if self.fails:
            raise RuntimeError("the outbox broke")
        return [told_.type for told_ in events]

    def committed(self, announced: Sequence[str]) -> None:
        self.told.extend(announced)


async def test_each_event_is_announced_once_and_with_the_call(database: Database, cursors: Cursors) -> None:
    announcer, usage = Counting(), UsageRepository(database)
    calls = CallRepository(database, cursors, announcer)
    call = started(1)
    for _ in range(2):
        await calls.append(call, [event(call, "call.initiated", T0)], None)
    assert announcer.told == ["call.initiated"]
    assert await usage.seconds_on(THEIRS, date(2000, 1, 1)) == 1


async def test_the_real_outbox_gets_each_event_with_the_call_and_wakes_its_lane_once(
    database: Database, cursors: Cursors
) -> None:
    ids = itertools.count(1)
    book = SqlEndpointBook(lambda: 0.0, lambda: "whsec_" + "QUJD" * 11)
    outbox = SqlOutbox(database, book, FixedClock(), lambda prefix: f"{prefix}_{next(ids):026d}")
    woken: list[Sequence[str]] = []
    calls = CallRepository(database, cursors, WebhookAnnouncer(outbox, woken.append))
    call = started(1)
    for _ in range(2):
        await calls.append(call, [event(call, "call.initiated", T0)], None)
    lanes = [lane for lane, _ in await outbox.waiting()]
    assert [list(lanes_) for lanes_ in woken] == [lanes]
    claimed = await outbox.claim(dict.fromkeys(lanes, 10), T0 + 60, T0 + 120)
    assert [(one.subject, one.sequence, one.url) for one in claimed] == [
        (call.id, 1, "https://example.com/hook")
    ]


async def test_when_announcing_fails_nothing_of_the_append_is_stored(
    database: Database, cursors: Cursors
) -> None:
    announcer, usage = Counting(), UsageRepository(database)
    calls = CallRepository(database, cursors, announcer)
    announcer.fails = True
    call = completed(answered(started(1), T0 + 3), T0 + 63)
    with pytest.raises(RuntimeError, match="the outbox broke"):
        await calls.append(call, [event(call, "call.completed", T0 + 63)], cdr(call))
    assert await calls.get(OURS, call.id) is None
    assert await calls.cdr(OURS, call.id) is None
    assert await usage.seconds_on(THEIRS, date(2000, 1, 1)) == 0
    assert announcer.told == []


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


async def test_a_recording_is_followed_from_start_to_file(calls: CallRepository, database: Database) -> None:
    recordings = RecordingRepository(database)
    call = answered(started(1), T0 + 3)
    await calls.append(call, [event(call, "call.answered", T0 + 3)], None)
    assert await recordings.of_call(OURS, call.id) == ()
    tape_id = tape(call, TapeState.WAITING).id
    about = ("recording_id", tape_id)
    steps = [
        (TapeState.RECORDING, "recording.started", RecordingState.RECORDING),
        (TapeState.PAUSED, "recording.paused", RecordingState.PAUSED),
        (TapeState.RECORDING, "recording.resumed", RecordingState.RECORDING),
        (TapeState.STOPPED, "recording.stopped", RecordingState.PROCESSING),
    ]
    for turn, type_, state in steps:
        stopped_at = T0 + 30 if turn is TapeState.STOPPED else None
        call = replace(call, tapes=(tape(call, turn, stopped_at=stopped_at),))
        call, entry = told(call, type_, T0 + 20, about)
        await calls.append(call, [entry], None)
        found = await recordings.get(OURS, tape_id)
        assert found is not None
        assert (found.state, found.created_at, found.ended_at) == (state, T0 + 5, stopped_at)
    assert await recordings.ready_of(OURS, [call.id]) == {}
    call = replace(call, tapes=(tape(call, TapeState.FILED, stopped_at=T0 + 30),))
    figures = (("file", f"{tape_id}.wav"), ("duration_ms", "25000"), ("channels", "2"), ("bytes", "800044"))
    call, entry = told(call, "recording.ready", T0 + 31, about, *figures)
    await calls.append(call, [entry], None)
    ready = Recording(
        tape_id,
        call.id,
        OURS,
        RecordingState.READY,
        T0 + 5,
        T0 + 30,
        f"{tape_id}.wav",
        duration_ms=25_000,
        channels=2,
        bytes=800_044,
    )
    assert await recordings.of_call(OURS, call.id) == (ready,)
    assert await recordings.ready_of(OURS, [call.id, CallId("call_other")]) == {call.id: ready}
    assert await recordings.get(THEIRS, tape_id) is None
    assert await recordings.ready_of(THEIRS, [call.id]) == {}


async def test_a_finished_recording_is_forgotten_for_good(calls: CallRepository, database: Database) -> None:
    recordings = RecordingRepository(database)
    call = answered(started(1), T0 + 3)
    call = replace(call, tapes=(tape(call, TapeState.RECORDING),))
    tape_id = call.tapes[0].id
    call, entry = told(call, "recording.started", T0 + 5, ("recording_id", tape_id))
    await calls.append(call, [entry], None)
    assert not await recordings.forget(OURS, tape_id), "it is still being made"
    call = replace(call, tapes=(tape(call, TapeState.FILED, stopped_at=T0 + 30),))
    call, entry = told(call, "recording.ready", T0 + 31, ("recording_id", tape_id), ("file", "x.wav"))
    await calls.append(call, [entry], None)
    assert not await recordings.forget(THEIRS, tape_id)
    assert await recordings.forget(OURS, tape_id)
    assert not await recordings.forget(OURS, tape_id)
    call, entry = told(call, "call.connected", T0 + 40)
    await calls.append(call, [entry], None)
    assert await recordings.of_call(OURS, call.id) == ()


async def test_a_recording_that_failed_says_why_and_stays_failed(
    calls: CallRepository, database: Database
) -> None:
    recordings = RecordingRepository(database)
    call = answered(started(1), T0 + 3)
    call = replace(call, tapes=(tape(call, TapeState.FILED, stopped_at=T0 + 6),))
    about = (("recording_id", call.tapes[0].id), ("reason", "could_not_start"))
    call, entry = told(call, "recording.failed", T0 + 6, *about)
    await calls.append(call, [entry], None)
    call, entry = told(call, "call.connected", T0 + 7)
    await calls.append(call, [entry], None)
    found = await recordings.get(OURS, call.tapes[0].id)
    assert found is not None
    assert (found.state, found.failure, found.file) == (RecordingState.FAILED, "could_not_start", None)


async def test_a_call_that_stops_its_recording_by_ending_leaves_it_processing(
    calls: CallRepository, database: Database
) -> None:
    call = answered(started(1), T0 + 3)
    call = completed(call, T0 + 9, tapes=(tape(call, TapeState.STOPPED, stopped_at=T0 + 9),))
    await calls.append(call, [event(call, "call.completed", T0 + 9)], cdr(call))
    found = await RecordingRepository(database).of_call(OURS, call.id)
    assert [one.state for one in found] == [RecordingState.PROCESSING]
