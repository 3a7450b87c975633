"""Callers taken from one callee to another, explored: every reachable state, every fact, from every kind of
call that can be moved or whose far end may be left behind."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import pytest

from dialplan.core import answering, facts, moving, orders
from dialplan.core.call import (
    AgentSocket,
    Announcement,
    Call,
    Connect,
    Ender,
    Later,
    Leg,
    Reject,
)
from dialplan.core.machine import step
from dialplan.core.record import cdr
from dialplan.core.snapshot import decode, encode
from dialplan.core.waits import next_deadline
from telephony.causes import CallStatus
from telephony.ids import ChannelId
from tests.unit.dialplan.made_calls import CALLEE, CALLER, NOW, TO_FAR, B, inbound, outbound, run, talking

pytestmark = pytest.mark.unit

AGENT = Connect(AgentSocket("WebSocket/patchbay/c(ulaw)nf(json)/0123456789abcdef", "agt_1"))
B2 = ChannelId("b-2")
TERMS = inbound().terms
FINALS = {f"call.{status}" for status in CallStatus if status.final}


def of_callee(channel: ChannelId) -> tuple[facts.Fact, ...]:
    return (
        facts.Dialed(CALLEE, channel),
        facts.Answered(CALLEE, channel),
        facts.EndRequested(CALLEE, channel=channel),
        facts.HungUp(CALLEE, 17, 486, channel=channel),
    )


INPUTS: tuple[facts.Fact, ...] = (
    *of_callee(B),
    *of_callee(B2),
    facts.Answered(CALLER),
    facts.EndRequested(CALLER),
    facts.HungUp(CALLER, 41),
    facts.Asked(),
    facts.AnswerLost(),
    facts.Routed(AGENT, TERMS),
    facts.Routed(Later(1), TERMS),
    facts.Routed(Reject(41, "agent_unavailable"), TERMS),
    facts.Reroute(TO_FAR, "transferred"),
    facts.Unmoved("switch_refused"),
    facts.HangupAsked(Ender.API, "hangup"),
    facts.TimerFired(),
)


ON_THE_WAY = (facts.AnswerLost(), facts.Routed(Later(1), TERMS), facts.HangupAsked(Ender.API, "hangup"))
"""Not tried where an agent may be left behind as well: the other beginnings have shown what they do."""


def inputs_of(start: Call) -> tuple[facts.Fact, ...]:
    return tuple(fact for fact in INPUTS if not (start.asks_on and fact in ON_THE_WAY))


def beginnings() -> Iterator[tuple[str, Call]]:
    yield "in-talking", talking()
    yield "in-agent", inbound(AGENT)
    asked = facts.Dialed(CALLER), facts.Answered(CALLER), facts.Asked()
    yield "out-agent", run(outbound(AGENT), *asked)[0]
    prompt = run(inbound(Connect(Announcement("hello"))), facts.Answered(CALLER))[0]
    yield "in-prompt", prompt


def flat(leg: Leg) -> tuple[object, ...]:
    """The leg, as far as it matters; of one that has ended, only whether it had answered."""
    if not leg.live:
        return leg.channel, leg.answered_at is None
    return leg.rank, leg.channel, leg.refused_why, leg.answered_at is None, leg.ending_at is None


def shape(call: Call) -> tuple[object, ...]:
    """The call without what only counts or tells time, so that equal situations are one state."""
    if call.closed:
        return ()
    when = (call.connected_at, call.answered_at, call.talking_at, call.lost_at)
    move, route = call.move, call.route
    return (
        type(route.endpoint) if isinstance(route, Connect) else type(route),
        call.on_detour,
        call.detours > 0,
        flat(call.caller),
        flat(call.callee),
        tuple((flat(old.leg), old.parted_at is None) for old in call.former),
        None if move is None else (move.made, move.outcome, move.leg),
        *(at is None for at in when),
        None if call.ended_by is None else call.ended_by in (Ender.CALLER, Ender.CALLEE),
        call.asked,
    )


def due(call: Call) -> float:
    at = next_deadline(call)
    return NOW + 100 if at is None else max(at, NOW + 100)


def check_step(before: Call, fact: facts.Fact, after: Call, out: tuple[orders.Order, ...]) -> None:
    assert after.status.rank >= before.status.rank
    assert after.caller.rank >= before.caller.rank
    if after.callee.id == before.callee.id:
        assert after.callee.rank >= before.callee.rank
    check_orders(before, fact, after, out)
    check_legs(before, after)
    if after.moves > before.moves:
        assert isinstance(fact, facts.Reroute)
    assert after.moves <= moving.MOST_MOVES
    assert len(after.former) <= moving.MOST_FORMER + moving.MOST_MOVES + 1
    assert after.closed == (next_deadline(after) is None)
    if after.closed:
        assert after.termination is not None
        assert not any(leg.live for leg in after.legs)
        assert after.move is None or after.move.outcome is not None
        assert (after.answered_at is None) == (after.status is not CallStatus.COMPLETED)
        assert len(cdr(after).former) == len(after.former)
    if after.answered_at is not None and not after.closed:
        assert after.status is CallStatus.IN_PROGRESS, "a move is nothing that the call's status tells"


def check_orders(before: Call, fact: facts.Fact, after: Call, out: tuple[orders.Order, ...]) -> None:
    published = [o for o in out if isinstance(o, orders.Publish)]
    assert [p.sequence for p in published] == list(range(before.sequence + 1, after.sequence + 1))
    finals = [p for p in published if p.type in FINALS]
    closes = [o for o in out if isinstance(o, orders.CloseCall)]
    assert len(closes) == len(finals) == int(after.closed and not before.closed)
    told = [p for p in published if p.type.startswith("call.transfer_")]
    decided = after.move is not None and after.move.outcome is not None
    undecided = before.move is None or before.move.outcome is None or after.moves > before.moves
    assert len(told) == int(decided and undecided), (before.move, after.move)
    redirects = [o for o in out if isinstance(o, orders.Redirect)]
    assert len(redirects) == after.moves - before.moves
    replies = [o for o in out if isinstance(o, orders.Reply)]
    assert len(replies) <= 1
    for order in out:
        if isinstance(order, orders.Hangup):
            leg = before.leg_at(order.channel, order.role)
            known = leg.channel == order.channel and leg.live
            newcomer = isinstance(fact, facts.Dialed) and fact.channel == order.channel
            again = isinstance(fact, facts.SeenLive)
            assert newcomer or (known and (leg.ending_at is None or again)), (fact, order, before)


def check_legs(before: Call, after: Call) -> None:
    """No leg is forgotten while it lives; none has a channel that another has."""
    channels = [leg.channel for leg in after.legs if leg.channel is not None]
    assert len(channels) == len(set(channels))
    still = {leg.channel for leg in before.legs if leg.live} - {None}
    assert still <= set(channels)


def closes_by_timers_alone(call: Call) -> None:
    for _ in range(24):
        if call.closed:
            return
        after, out = step(call, facts.TimerFired(), due(call))
        check_step(call, facts.TimerFired(), after, out)
        call = after
    raise AssertionError(f"still open with the switch silent: {call}")


@pytest.mark.parametrize(("name", "start"), list(beginnings()), ids=lambda v: v if isinstance(v, str) else "")
def test_every_state_answers_every_fact_and_ends(
    name: str, start: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answering, "MOST_DETOURS", 1)
    monkeypatch.setattr(moving, "MOST_MOVES", 1)
    monkeypatch.setattr(moving, "MOST_FORMER", 1)
    seen = {shape(start)}
    todo = deque([start])
    inputs = inputs_of(start)
    outcomes: set[str | None] = set()
    while todo:
        call = todo.popleft()
        if len(seen) % 3 == 0:
            closes_by_timers_alone(call)
        for fact in inputs:
            now = due(call) if isinstance(fact, facts.TimerFired) else NOW + 100
            after, out = step(call, fact, now)
            check_step(call, fact, after, out)
            if after.move is not None:
                outcomes.add(after.move.outcome)
            if shape(after) not in seen:
                seen.add(shape(after))
                todo.append(after)
                if len(seen) % 7 == 0:
                    assert decode(encode(after)) == after
    assert {None, "completed", "busy", "invalid", "timeout", "ended"} <= outcomes
    assert len(seen) > 200, len(seen)
