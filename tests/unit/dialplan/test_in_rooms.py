"""Calls with video rooms: explored with the fact that is theirs, and how they end."""

from __future__ import annotations

from collections import deque

import pytest

from dialplan.ami.switch import dial_string
from dialplan.core import facts, orders
from dialplan.core.call import AgentSocket, Call, Connect, Direction, Ender, Phone, Reject, VideoRoom
from dialplan.core.machine import step
from dialplan.core.record import cdr, masked_end, record
from dialplan.core.waits import next_deadline
from dialplan.ports import PlaceCall
from telephony.causes import CallStatus
from telephony.errors import UnsafeValue
from tests.unit.dialplan.desk import CLI, OURS, Desk
from tests.unit.dialplan.made_calls import (
    CALLEE,
    CALLER,
    NOW,
    B,
    inbound,
    outbound,
    published,
    run,
)
from tests.unit.dialplan.virtual_time import in_virtual_time

pytestmark = pytest.mark.unit

DIAL = "WebSocket/room3/c(slin16)nf(json)/0123456789abcdef"
LINE = Connect(VideoRoom(DIAL))
ROOM = Connect(VideoRoom(DIAL, "a-room"))
ENTERED = facts.RoomEntered("a-room")
UP = (facts.Dialed(CALLEE, B), facts.Answered(CALLEE), facts.Answered(CALLER))
INPUTS: tuple[facts.Fact, ...] = (
    facts.Dialed(CALLER),
    facts.Answered(CALLER),
    facts.Answered(CALLEE),
    facts.Dialed(CALLEE, B),
    facts.EndRequested(CALLER),
    facts.EndRequested(CALLEE),
    facts.HungUp(CALLER, 16),
    facts.HungUp(CALLER, 41),
    facts.HungUp(CALLEE, 0),
    facts.Asked(),
    ENTERED,
    facts.RoomEntered("another-room"),
    facts.HangupAsked(Ender.GATEWAY, "removed_from_room"),
    facts.HangupAsked(Ender.API, "hangup"),
    facts.TimerFired(),
)


def room_of(call: Call) -> VideoRoom:
    assert isinstance(call.route, Connect)
    assert isinstance(call.route.endpoint, VideoRoom)
    return call.route.endpoint


def shape(call: Call) -> tuple[object, ...]:
    legs = tuple((leg.rank, leg.channel, leg.ending, leg.cause) for leg in call.legs)
    when = tuple(at is None for at in (call.connected_at, call.talking_at, call.ended_at, call.answered_at))
    return (legs, when, call.ended_by, call.asked, call.cancel_asked, call.ring_expired, room_of(call))


@pytest.mark.parametrize("start", [inbound(LINE), outbound(ROOM), inbound(ROOM)], ids=["line", "out", "in"])
def test_every_state_answers_every_fact_and_the_room_is_told_once(start: Call) -> None:
    seen, todo, entered, reasons = {shape(start)}, deque([start]), 0, set()
    while todo:
        call = todo.popleft()
        for fact in INPUTS:
            due = next_deadline(call) if isinstance(fact, facts.TimerFired) else None
            after, out = step(call, fact, NOW + 1 if due is None else due)
            told = [one for one in out if isinstance(one, orders.Publish) and one.type == "call.room_entered"]
            before, now = room_of(call), room_of(after)
            assert len(told) == int(now.entered and not before.entered)
            if told:
                assert isinstance(fact, facts.RoomEntered)
                assert told[0].detail == (("room_id", now.room_id),)
                entered += 1
            else:
                assert now == before
            assert after.closed == (next_deadline(after) is None)
            if after.closed:
                assert after.termination is not None
                reasons.add(str(after.termination))
            if shape(after) not in seen:
                seen.add(shape(after))
                todo.append(after)
    assert entered
    assert {"success/removed_from_room", "upstream_error/room_unavailable"} <= reasons


def test_a_dial_in_line_leads_to_the_room_that_its_caller_named() -> None:
    call, _ = run(inbound(LINE), *UP)
    assert record(call).room_id is None
    call, out = run(call, ENTERED)
    assert published(out) == ["call.room_entered"]
    assert record(call).room_id == "a-room"
    call, out = run(call, facts.RoomEntered("another-room"))
    assert published(out) == []
    call, _ = run(call, facts.EndRequested(CALLER), facts.HungUp(CALLER, 16), facts.HungUp(CALLEE, 16))
    assert str(call.termination) == "success/hangup_by_caller"
    assert cdr(call).callee == "room:a-room"
    assert record(call).room_id == "a-room"


def test_who_never_came_to_a_room_was_on_a_line() -> None:
    call, _ = run(inbound(LINE), *UP, facts.HangupAsked(Ender.GATEWAY, "room_pin_wrong"))
    call, _ = run(call, facts.HungUp(CALLEE, 16), facts.HungUp(CALLER, 16))
    assert call.status is CallStatus.COMPLETED
    assert str(call.termination) == "client_error/room_pin_wrong"
    assert cdr(call).callee == "room"


@pytest.mark.parametrize("route", [Connect(Phone("alice")), Reject(17, "line_busy")])
def test_no_other_call_is_in_a_room(route: Connect | Reject) -> None:
    call, out = run(inbound(route), ENTERED)
    assert published(out) == []
    assert call.room_id is None
    assert call.late_facts == 1


@pytest.mark.parametrize("dialled", [(), (facts.Dialed(CALLEE, B), facts.HungUp(CALLEE, 0))])
def test_a_room_that_nobody_carries_sound_to_is_out_of_order(dialled: tuple[facts.Fact, ...]) -> None:
    call, _ = run(inbound(ROOM), *dialled, facts.HungUp(CALLER, 41))
    for _ in range(4):
        if not call.closed:
            call, _ = run(call, facts.TimerFired(), at=next_deadline(call) or NOW)
    assert call.status is CallStatus.FAILED
    assert str(call.termination) == "upstream_error/room_unavailable"
    rung = (facts.Dialed(CALLER), facts.Answered(CALLER), facts.Asked())
    call, _ = run(outbound(ROOM), *rung, *dialled, facts.HungUp(CALLER, 41))
    for _ in range(4):
        if not call.closed:
            call, _ = run(call, facts.TimerFired(), at=next_deadline(call) or NOW)
    assert call.status is CallStatus.COMPLETED
    assert str(call.termination) == "upstream_error/room_unavailable"


@pytest.mark.parametrize(
    ("why", "status", "expected"),
    [
        ("room_ended", CallStatus.CANCELLED, "cancelled/room_ended"),
        ("removed_from_room", CallStatus.CANCELLED, "cancelled/removed_from_room"),
        ("room_unavailable", CallStatus.FAILED, "upstream_error/room_unavailable"),
    ],
)
def test_a_telephone_that_rings_for_a_room_that_wants_it_no_longer(
    why: str, status: CallStatus, expected: str
) -> None:
    ringing = (facts.Dialed(CALLER), facts.Rang(CALLER), facts.HangupAsked(Ender.GATEWAY, why))
    call, _ = run(outbound(ROOM), *ringing, facts.HungUp(CALLER, 16, 487))
    assert (call.status, str(call.termination)) == (status, expected)


@pytest.mark.parametrize("direction", list(Direction))
def test_a_caller_who_gives_up_first_has_cancelled(direction: Direction) -> None:
    if direction is Direction.INBOUND:
        call, _ = run(inbound(ROOM), facts.EndRequested(CALLER), facts.HungUp(CALLER, 16))
        assert str(call.termination) == "cancelled/cancelled_by_caller"
    else:
        call, _ = run(outbound(ROOM), facts.Dialed(CALLER), facts.Rang(CALLER), facts.HungUp(CALLER, 17, 486))
        assert str(call.termination) == "far_end/busy"


# ---------------------------------------------------------------- agents that are brought into rooms


@in_virtual_time
async def test_an_agent_is_brought_into_a_room_by_a_call_to_the_room() -> None:
    desk = Desk()
    agent = AgentSocket("WebSocket/patchbay/c(ulaw)nf(json)/0123456789abcdef", "agt_1")
    wanted = PlaceCall(OURS, "key_1", VideoRoom(DIAL, "a-room"), CLI, agent, agent_id="agt_1")
    call = await desk.director.place(wanted)
    assert (call.terms.to_number, call.room_id) == ("room:a-room", "a-room")
    await desk.settle()
    (rung,) = [one for one in desk.switch.orders if isinstance(one, orders.Originate)]
    assert rung.endpoint == VideoRoom(DIAL, "a-room")
    channel = call.caller.channel
    assert channel is not None
    desk.switch.dial(channel)
    desk.switch.answer(channel)
    reply = await desk.ask(channel)
    assert isinstance(reply, orders.Reply)
    assert isinstance(reply.route, Connect)
    assert reply.route.endpoint == agent
    desk.switch.dial(B, by=channel)
    desk.switch.answer(B)
    await desk.settle()
    desk.director.end_calls([call.id], "removed_from_room")
    await desk.settle()
    assert desk.ended(call.id) == ("completed", "success/removed_from_room")
    known = desk.store.cdrs[call.id]
    assert (known.callee, known.call.room_id) == ("agent:agt_1", "a-room")
    await desk.director.stop()


def test_a_room_is_dialled_by_its_socket_and_nothing_else_is() -> None:
    assert dial_string(VideoRoom(DIAL, "a-room")) == (
        "WebSocket/room3/c(slin16)nf(json)",
        "0123456789abcdef",
    )
    for dial in ("", "PJSIP/alice", DIAL + "&PJSIP/1", DIAL.replace("room3", "room9")):
        with pytest.raises(UnsafeValue):
            dial_string(VideoRoom(dial, "a-room"))


def test_a_rooms_id_is_no_number_to_mask() -> None:
    assert masked_end("room:11111111-1111-4111-8111-111111111111").endswith("111111111111")
