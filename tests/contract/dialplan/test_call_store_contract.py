"""What every ``dialplan.ports.CallStore`` promises, with calls as the machine really makes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from dialplan.core import facts, orders
from dialplan.core.call import Call, Ender
from dialplan.core.machine import step
from dialplan.core.record import CallEvent, Cdr
from dialplan.life import story
from dialplan.ports import CallStore
from telephony.ids import CallId
from tests.unit.dialplan.made_calls import (
    CALLEE,
    CALLER,
    NOW,
    TO_FAR,
    A,
    B,
    inbound,
    outbound,
)

pytestmark = pytest.mark.contract

Written = tuple[Call, Sequence[CallEvent], Cdr | None]

STORY: list[facts.Fact] = [
    facts.Dialed(CALLEE, B),
    facts.Rang(CALLEE),
    facts.Answered(CALLEE),
    facts.Answered(CALLER),
    facts.TapeTurned("started"),
    facts.EndRequested(CALLEE),
    facts.HungUp(CALLEE, 16),
    facts.HungUp(CALLER, 16),
    facts.TapeFiled("call_00000000000000000000000001-1", ok=True),
]


def written(call: Call, told: Sequence[facts.Fact]) -> list[Written]:
    """What a director appends while these facts happen: after each one that has something to store."""
    first = orders.Publish(1, "call.initiated", NOW)
    out: list[Written] = [(call, *story(call, [first]))]
    for number, fact in enumerate(told, 1):
        call, more = step(call, fact, NOW + number)
        if more:
            out.append((call, *story(call, more)))
    return out


async def test_every_step_of_a_call_is_found_again(store: CallStore) -> None:
    for call, events, cdr in written(inbound(record=True), STORY):
        await store.append(call, events, cdr)
        found = await store.open_calls()
        assert list(found) == ([] if call.settled else [call])


async def test_saying_it_twice_changes_nothing(store: CallStore) -> None:
    steps = written(inbound(record=True), STORY)
    for call, events, cdr in steps[:-1]:
        await store.append(call, events, cdr)
        await store.append(call, events, cdr)
    assert list(await store.open_calls()) == [steps[-2][0]]


async def test_what_comes_late_does_not_undo_what_is_newer(store: CallStore) -> None:
    steps = written(inbound(record=True), STORY)
    for call, events, cdr in steps[:4]:
        await store.append(call, events, cdr)
    await store.append(*steps[1])
    await store.append(*steps[0])
    assert list(await store.open_calls()) == [steps[3][0]]


async def test_an_intent_without_an_event_is_kept(store: CallStore) -> None:
    call = outbound()
    await store.append(call, [], None)
    asked, _ = step(call, facts.HangupAsked(Ender.API, "hangup"), NOW + 1)
    assert asked.sequence == call.sequence
    await store.append(asked, [], None)
    (found,) = await store.open_calls()
    assert found.cancel_asked
    assert found == asked


async def test_events_that_waited_together_are_appended_together(store: CallStore) -> None:
    steps = written(inbound(record=True), STORY)
    events = [event for _, some, _ in steps for event in some]
    cdr = next(one for _, _, one in steps if one is not None)
    await store.append(steps[-1][0], events, cdr)
    assert list(await store.open_calls()) == []


async def test_a_closed_call_is_open_until_its_recording_is_filed(store: CallStore) -> None:
    steps = written(inbound(record=True), STORY)
    for call, events, cdr in steps[:-1]:
        await store.append(call, events, cdr)
    (found,) = await store.open_calls()
    assert found.closed
    assert not found.settled


async def test_a_patient_append_is_stored_when_it_returns(store: CallStore) -> None:
    (call, events, cdr), *_ = written(inbound(), [])
    await store.append(call, events, cdr, patient=True)
    assert list(await store.open_calls()) == [call]


async def test_calls_do_not_meet(store: CallStore) -> None:
    one, other = outbound(), replace(outbound(TO_FAR), id=CallId("call_00000000000000000000000002"))
    for call in (one, other):
        await store.append(call, [], None)
    assert set(await store.open_calls()) == {one, other}
    assert {call.caller.channel for call in await store.open_calls()} == {A}
