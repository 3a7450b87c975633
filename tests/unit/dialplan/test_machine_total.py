"""The call machine explored exhaustively: every reachable state, every fact, every order of arrival."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import combinations, permutations

import pytest

from dialplan.core import answering, facts, orders
from dialplan.core.call import (
    Announcement,
    Call,
    Connect,
    Direction,
    Ender,
    Gather,
    HoldMusic,
    Later,
    Leg,
    Phone,
    Rank,
    Reject,
    Role,
    Route,
    Terms,
    Trunk,
    VideoRoom,
)
from dialplan.core.machine import begin_inbound, begin_outbound, step
from dialplan.core.waits import next_deadline
from telephony.causes import CallStatus
from telephony.ids import CallId, ChannelId, LegId, TenantId
from telephony.numbers import E164

pytestmark = pytest.mark.unit

A, B = Role.CALLER, Role.CALLEE
NOW = 1000.0
CLI = E164("+12025550100")
ROUTES: dict[str, Route] = {
    "trunk": Connect(Trunk(E164("+14155552671"), "carrier"), CLI),
    "phone": Connect(Phone("alice"), CLI),
    "room": Connect(VideoRoom("WebSocket/room0/c(slin16)nf(json)/0123456789abcdef")),
    "announcement": Connect(Announcement("var/hello")),
    "hold": Connect(HoldMusic()),
    "reject": Reject(17, "line_busy"),
    "gather": Gather("prompts/pin", 6),
    "later": Later(1),
}
FEW_DETOURS = 2
"""As many as are explored; the rule that bounds them is the same for twelve."""
TERMS = Terms(TenantId("ten_1"), Direction.INBOUND, "+12025550100", "+14155552671", record=True)
INPUTS: tuple[facts.Fact, ...] = (
    facts.Dialed(A),
    facts.Dialed(B, ChannelId("b-1")),
    facts.Rang(A),
    facts.Rang(B),
    facts.Answered(A),
    facts.Answered(B),
    facts.EndRequested(A),
    facts.EndRequested(B),
    facts.HungUp(A, 16),
    facts.HungUp(A, 17, 486),
    facts.HungUp(B, 16),
    facts.HungUp(B, 17, 486),
    facts.OriginateFailed("0"),
    facts.OrderFailed(A, "switch_unavailable"),
    facts.Vanished(A, "switch_restarted"),
    facts.Vanished(B, "switch_restarted"),
    facts.Vanished(B, "gateway_was_away", answered=True),
    facts.SeenLive(A, up=False),
    facts.SeenLive(A, up=True),
    facts.SeenLive(B, up=True),
    facts.Asked(),
    facts.Routed(ROUTES["trunk"], TERMS),
    facts.AnswerLost(),
    facts.HangupAsked(Ender.API, "hangup"),
    facts.TimerFired(),
)
DETOURS: tuple[facts.Fact, ...] = tuple(
    facts.Routed(ROUTES[name], TERMS) for name in ("announcement", "reject", "gather", "later")
)
"""Besides, for calls whose first answer is a detour: to others every one of them is late."""
ARRANGED = facts.HangupAsked(Ender.GATEWAY, "session_ended", after_s=30.0)
"""Besides, for inbound calls: it is those that belong to sessions."""


def inputs_of(call: Call) -> tuple[facts.Fact, ...]:
    if call.outbound:
        return INPUTS
    return (*INPUTS, ARRANGED, *(DETOURS if isinstance(call.route, Gather | Later) else ()))


def new_call(direction: Direction, route: Route, *, record: bool = False) -> Call:
    outbound = direction is Direction.OUTBOUND
    return Call(
        id=CallId("call_01"),
        terms=Terms(TenantId("ten_1"), direction, "+14155552671", "+12025550100", record=record),
        created_at=NOW,
        caller=Leg(LegId("leg_a"), A, Rank.NEW if outbound else Rank.DIALING, ChannelId("a-1")),
        callee=Leg(LegId("leg_b"), B),
        route=route,
    )


def beginnings() -> Iterator[tuple[str, Call, tuple[orders.Order, ...]]]:
    """One beginning for each shape a call can have: whether it is recorded or which endpoint has the
    channel changes nothing in the rules (see test_endpoints_with_channels_are_alike)."""
    for name, route in ROUTES.items():
        if name in ("phone", "room"):
            continue
        record = name == "trunk"
        if not isinstance(route, Reject | Gather | Later):
            call = new_call(Direction.OUTBOUND, route, record=record)
            yield (f"out-{name}", *begin_outbound(call, Trunk(CLI, "carrier"), CLI))
        call = new_call(Direction.INBOUND, route, record=record)
        yield (f"in-{name}", *begin_inbound(call, NOW))


def shape(call: Call) -> tuple[object, ...]:
    """The call without what only counts or tells time, so that equal situations are one state."""

    def flat(leg: Leg) -> tuple[object, ...]:
        when = (leg.answered_at, leg.ending_at, leg.refused_at)
        return leg.rank, leg.channel, *(at is None for at in when)

    when = (call.connected_at, call.answered_at, call.talking_at, call.ended_at, call.end_at, call.lost_at)
    return (
        type(call.route),
        call.virtual_callee,
        call.detours if call.on_detour else bool(call.detours),
        flat(call.caller),
        flat(call.callee),
        *(at is None for at in when),
        None if call.ended_by is None else ENDER_CLASS.get(call.ended_by, Ender.GATEWAY),
        CallStatus.FAILED if call.closed else call.status,
        call.asked,
        call.cancel_asked,
        call.ring_expired,
    )


ENDER_CLASS = {Ender.CALLER: Ender.CALLER, Ender.CALLEE: Ender.CALLER}
"""The joint rules tell only two kinds apart: a party hung up, or somebody else decided."""


def check_step(before: Call, fact: facts.Fact, after: Call, out: tuple[orders.Order, ...]) -> None:
    assert after.status.rank >= before.status.rank
    assert after.caller.rank >= before.caller.rank
    assert after.callee.rank >= before.callee.rank
    published = [o for o in out if isinstance(o, orders.Publish)]
    assert [p.sequence for p in published] == list(range(before.sequence + 1, after.sequence + 1))
    finals = [p for p in published if p.type.removeprefix("call.") in FINALS]
    closes = [o for o in out if isinstance(o, orders.CloseCall)]
    assert len(closes) == len(finals) == int(after.closed and not before.closed)
    replies = [o for o in out if isinstance(o, orders.Reply)]
    by_itself = isinstance(fact, facts.Dialed) and (before.on_detour or before.lost_at is not None)
    last = int(before.connected_at is None and after.connected_at is not None and not by_itself)
    assert len(replies) == last + after.detours - before.detours
    assert sum(isinstance(o.route, Gather | Later) for o in replies) == after.detours - before.detours
    check_detours(before, fact, after)
    assert sum(isinstance(o, orders.Originate) for o in out) == 0
    for order in out:
        if isinstance(order, orders.Hangup):
            leg = before.leg(order.role)
            unwanted = before.virtual_callee or not leg.live
            orphan = isinstance(fact, facts.Dialed) and order.channel != leg.channel and unwanted
            reordered = isinstance(fact, facts.SeenLive)
            assert orphan or (leg.live and (not leg.ending or reordered)), (fact, order)
    assert after.closed == (next_deadline(after) is None)
    if after.closed:
        assert after.termination is not None
        assert after.status.final
        assert not after.caller.live
        assert not after.callee.live
        if after.answered_at is not None:
            assert after.status is CallStatus.COMPLETED
        else:
            assert after.status is not CallStatus.COMPLETED


def check_detours(before: Call, fact: facts.Fact, after: Call) -> None:
    """Whoever is on a detour, or is refused after one, is not connected, though its channel may be up."""
    assert after.detours <= FEW_DETOURS
    if after.on_detour:
        assert after.asked is False
        assert after.connected_at is None
        assert after.callee.channel is None
    found_later = after.callee.lost is not None  # the switch's own records told of a callee
    if after.detours and after.callee.channel is None and not after.virtual_callee and not found_later:
        assert after.answered_at is None
        assert after.closed or after.status is CallStatus.INITIATING
    if after.route is not before.route:
        assert isinstance(fact, facts.Routed)
        assert before.on_detour


FINALS = {str(status) for status in CallStatus if status.final}


def due(call: Call) -> float:
    at = next_deadline(call)
    return NOW if at is None else at


def closes_by_timers_alone(call: Call) -> Call:
    for _ in range(12):
        if call.closed:
            return call
        now = due(call)
        after, out = step(call, facts.TimerFired(), now)
        check_step(call, facts.TimerFired(), after, out)
        call = after
    raise AssertionError(f"still open with the switch silent: {call}")


@pytest.mark.parametrize(
    ("name", "start", "first"), list(beginnings()), ids=lambda v: v if isinstance(v, str) else ""
)
def test_every_state_answers_every_fact_and_ends(
    name: str, start: Call, first: tuple[orders.Order, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answering, "MOST_DETOURS", FEW_DETOURS)
    seen = {shape(start)}
    todo = deque([start])
    steps = 0
    inputs = inputs_of(start)
    while todo:
        call = todo.popleft()
        closes_by_timers_alone(call)
        for fact in inputs:
            now = due(call) if isinstance(fact, facts.TimerFired) else NOW + 1
            after, out = step(call, fact, now)
            check_step(call, fact, after, out)
            steps += 1
            if shape(after) not in seen:
                seen.add(shape(after))
                todo.append(after)
    assert len(seen) > (15 if "reject" in name else 40)
    explored = {(kind, detours) for kind, _, detours, *_ in seen}
    if isinstance(start.route, Gather | Later):
        kinds = (Gather, Later)
        around = {(kind, n) for kind in kinds for n in range(2, FEW_DETOURS + 1)} | {(type(start.route), 1)}
        assert around | {(Connect, True), (Reject, True)} <= explored
    else:
        assert explored == {(type(start.route), False)}
    assert steps == len(seen) * len(inputs)


def test_endpoints_with_channels_are_alike() -> None:
    for direction in Direction:
        calls = [new_call(direction, ROUTES[name]) for name in ("trunk", "phone", "room")]
        assert len({(call.virtual_callee, call.subject.role) for call in calls}) == 1
        for fact in INPUTS:
            ends = {shape(step(call, fact, NOW + 1)[0]) for call in calls}
            assert len(ends) == 1, fact


def run(call: Call, sequence: tuple[facts.Fact, ...]) -> tuple[Call, list[orders.Order]]:
    out: list[orders.Order] = []
    for fact in sequence:
        call, more = step(call, fact, NOW + 1)
        out.extend(more)
    return call, out


def test_all_orders_of_an_answered_calls_facts_agree() -> None:
    call, _ = begin_inbound(new_call(Direction.INBOUND, ROUTES["trunk"]), NOW)
    call, _ = run(call, (facts.Dialed(B, ChannelId("b-1")),))
    arrivals = (facts.Rang(B), facts.Answered(B), facts.Answered(A), facts.Dialed(B, ChannelId("b-1")))
    ends = set()
    for order in permutations(arrivals):
        after, _ = run(call, order)
        assert after.status is CallStatus.IN_PROGRESS
        assert after.talking_at is not None
        ends.add((after.status, after.caller.rank, after.callee.rank))
    assert len(ends) == 1


@pytest.mark.parametrize("ender", [A, B])
def test_all_orders_with_the_hangups_close_exactly_once_as_completed(ender: Role) -> None:
    call, _ = begin_inbound(new_call(Direction.INBOUND, ROUTES["trunk"]), NOW)
    call, _ = run(call, (facts.Dialed(B, ChannelId("b-1")),))
    # A leg's own events keep their order in AMI; between the legs any interleaving may arrive.
    a = [facts.Answered(A), facts.HungUp(A, 16)]
    b = [facts.Rang(B), facts.Answered(B), facts.HungUp(B, 16)]
    (a if ender is A else b).insert(-1, facts.EndRequested(ender))
    interleavings = list(combinations(range(6), len(a)))
    assert len(interleavings) == (20 if ender is A else 15)
    for places in interleavings:
        ia, ib = iter(a), iter(b)
        after, out = run(call, tuple(next(ia) if at in places else next(ib) for at in range(6)))
        assert sum(isinstance(o, orders.CloseCall) for o in out) == 1
        assert after.status is CallStatus.COMPLETED
        assert str(after.termination) == f"success/hangup_by_{ender}"


def test_a_channel_that_appears_after_the_end_is_hung_up() -> None:
    call, _ = begin_inbound(new_call(Direction.INBOUND, ROUTES["trunk"]), NOW)
    call, _ = run(call, (facts.EndRequested(A), facts.HungUp(A, 16)))
    assert call.status is CallStatus.CANCELLED
    _, out = step(call, facts.Dialed(B, ChannelId("b-late")), NOW + 2)
    assert out == (orders.Hangup(B, ChannelId("b-late"), 16),)


def test_a_cancel_waits_for_the_channel_before_it_hangs_up() -> None:
    call, _ = begin_outbound(new_call(Direction.OUTBOUND, ROUTES["hold"]), Trunk(CLI, "carrier"), CLI)
    call, out = run(call, (facts.HangupAsked(Ender.API, "hangup"),))
    assert not any(isinstance(o, orders.Hangup) for o in out)
    call, out = run(call, (facts.Dialed(A),))
    assert orders.Hangup(A, ChannelId("a-1"), 16) in out
    call, _ = run(call, (facts.HungUp(A, 16, 487),))
    assert call.status is CallStatus.CANCELLED


def test_an_answer_that_beats_the_cancel_is_told() -> None:
    call, _ = begin_outbound(new_call(Direction.OUTBOUND, ROUTES["hold"]), Trunk(CLI, "carrier"), CLI)
    call, _ = run(call, (facts.Dialed(A), facts.Rang(A), facts.HangupAsked(Ender.API, "hangup")))
    call, _ = run(call, (facts.Answered(A), facts.HungUp(A, 16)))
    assert call.status is CallStatus.COMPLETED
    assert str(call.termination) == "success/hangup_by_api"
