"""Calls in every database: one transaction an append, one CDR a call, one tenant a query."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import date

import pytest
from sqlalchemy import func, select

from dialplan.core.call import Connect, VideoRoom
from dialplan.core.facts import RoomEntered
from dialplan.core.machine import step
from dialplan.core.record import Party, cdr, iso, record, shown
from gateway.storage.calls import CallRepository
from gateway.storage.database import Database
from gateway.storage.records import CallFilter, TimelineEntry
from gateway.storage.tables import CDRS
from gateway.storage.usage import UsageRepository
from telephony.ids import CallId
from tests.contract.storage.call_stories import story
from tests.contract.storage.made_calls import OURS, T0, THEIRS, answered, completed, event, ringing, started

pytestmark = pytest.mark.contract


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
