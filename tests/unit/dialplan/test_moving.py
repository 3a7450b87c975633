"""A caller taken from one callee to another: what is ordered, what comes of it, and what is told of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dialplan.core import facts, moving, orders
from dialplan.core.call import AgentSocket, Call, Connect, Ender, HoldMusic, Later, Phone, Rank, Reject
from dialplan.core.machine import step
from dialplan.core.record import cdr
from dialplan.core.waits import PATIENCE, next_deadline, waits
from dialplan.lines import lines_of
from telephony.causes import CallStatus
from telephony.ids import ChannelId
from tests.unit.dialplan.made_calls import (
    CALLEE,
    CALLER,
    CLI,
    NOW,
    TO_FAR,
    A,
    B,
    inbound,
    outbound,
    published,
    run,
    talking,
)

pytestmark = pytest.mark.unit

AGENT = Connect(AgentSocket("WebSocket/patchbay/c(ulaw)nf(json)/0123456789abcdef", "agt_1"), CLI)
ALICE = Connect(Phone("alice"), CLI, ring_s=20)
B2 = ChannelId("b-2")
MOVE = facts.Reroute(ALICE, "transferred")
ASKED = facts.Asked()
B_GONE = facts.HungUp(CALLEE, 16, channel=B)


def waiting(call: Call) -> dict[str, float]:
    return {wait.name: wait.at - NOW for wait in waits(call)}


def replies(out: list[orders.Order]) -> list[orders.Reply]:
    return [order for order in out if isinstance(order, orders.Reply)]


def hung_up(out: list[orders.Order]) -> list[str]:
    return [order.channel for order in out if isinstance(order, orders.Hangup)]


def ringing_elsewhere() -> Call:
    """A talking call whose caller was taken to Alice, whose phone rings now; ten seconds old."""
    rings = (facts.Dialed(CALLEE, B2), facts.Rang(CALLEE, B2))
    return run(talking(), MOVE, B_GONE, ASKED, *rings, at=NOW + 5)[0]


def moved_often() -> Call:
    call, _ = run(ringing_elsewhere(), facts.Answered(CALLEE, B2), at=NOW + 10)
    assert call.move is not None
    return replace(call, move=replace(call.move, number=moving.MOST_MOVES))


def outcome(call: Call) -> str | None:
    assert call.move is not None
    return call.move.outcome


def ended(call: Call) -> str:
    assert call.closed
    return f"{call.status} {call.termination} by {call.ended_by}"


# ---------------------------------------------------------------- on the way


def test_the_caller_is_taken_away_and_then_asked_for() -> None:
    call, out = run(talking(), MOVE)
    assert out == [orders.Redirect(A)]
    assert call.moving
    assert waiting(call)["move"] == 1 + PATIENCE.move_s
    call, out = run(call, B_GONE, ASKED)
    (reply,) = replies(out)
    assert (reply.route, reply.again, reply.backstop_ring_s) == (ALICE, True, 25)
    assert call.status is CallStatus.IN_PROGRESS
    assert hung_up(out) == []


def test_what_is_left_ends_nothing_and_its_successor_has_a_leg_of_its_own() -> None:
    call = ringing_elsewhere()
    (left,) = call.former
    assert (left.leg.channel, left.leg.rank, left.why) == (B, Rank.ENDED, "transferred")
    assert (call.callee.channel, call.callee.rank) == (B2, Rank.RINGING)
    assert call.callee.id != left.leg.id
    assert waiting(call)["ring"] == 9 + 20


def test_who_answers_ends_the_move() -> None:
    call, out = run(ringing_elsewhere(), facts.Answered(CALLEE, B2), at=NOW + 10)
    assert outcome(call) == "completed"
    assert published(out) == ["call.transfer_completed"]
    assert set(waiting(call)) == {"max_duration"}
    sequence = (facts.EndRequested(CALLEE, channel=B2), facts.HungUp(CALLEE, 16, channel=B2))
    call, _ = run(call, *sequence, facts.HungUp(CALLER, 16), at=NOW + 20)
    assert ended(call) == "completed success/hangup_by_callee by callee"
    told = cdr(call)
    assert told.callee == "phone:alice"
    assert [(p.who, p.why, p.answered_at) for p in told.former] == [("+14155550102", "transferred", NOW + 3)]
    assert told.talk_s == 19.0


def test_the_call_lasts_as_long_as_it_was_to_last() -> None:
    call, _ = run(ringing_elsewhere(), facts.Answered(CALLEE, B2), at=NOW + 10)
    assert waiting(call)["max_duration"] == 4 + 3600


@pytest.mark.parametrize(
    ("cause", "sip", "found"),
    [
        (17, 486, "busy"),
        (21, 603, "declined"),
        (23, 302, "declined"),
        (19, 480, "no_answer"),
        (16, None, "no_answer"),
        (1, 404, "invalid"),
        (20, None, "no_answer"),
        (34, 503, "invalid"),
    ],
)
def test_who_does_not_answer_is_told_as_he_did(cause: int, sip: int | None, found: str) -> None:
    call, out = run(ringing_elsewhere(), facts.HungUp(CALLEE, cause, sip, B2), at=NOW + 10)
    assert outcome(call) == found
    assert published(out) == ["call.transfer_failed"]
    assert hung_up(out) == []
    assert waiting(call)["back"] == 11 + PATIENCE.ask_s
    assert not call.closed


def test_nobody_is_rung_for_ever() -> None:
    call = ringing_elsewhere()
    at = next_deadline(call)
    assert at == NOW + 9 + 20
    call, out = step(call, facts.TimerFired(), at)
    assert out == (orders.Hangup(CALLEE, B2, 19),)
    call, _ = run(call, facts.HungUp(CALLEE, 16, channel=B2), at=at)
    assert outcome(call) == "no_answer"
    assert call.ended_by is None


def test_after_a_failure_the_switch_asks_on() -> None:
    call, _ = run(ringing_elsewhere(), facts.HungUp(CALLEE, 17, 486, B2), at=NOW + 10)
    call, out = run(call, facts.Routed(AGENT, call.terms), at=NOW + 12)
    (reply,) = replies(out)
    assert (reply.route, reply.again) == (AGENT, True)
    assert [(old.leg.channel, old.why) for old in call.former] == [(B, "transferred"), (B2, "")]
    back = (facts.Dialed(CALLEE, ChannelId("b-3")), facts.Answered(CALLEE, ChannelId("b-3")))
    call, _ = run(call, *back, at=NOW + 13)
    call, _ = run(call, facts.EndRequested(CALLER), facts.HungUp(CALLER, 16), at=NOW + 20)
    call, _ = run(call, facts.HungUp(CALLEE, 16, channel=ChannelId("b-3")), at=NOW + 22)
    assert ended(call) == "completed success/hangup_by_caller by caller"
    told = cdr(call)
    assert told.callee == "agent:agt_1"
    assert [(party.who, party.why) for party in told.former] == [
        ("+14155550102", "transferred"),
        ("phone:alice", "busy"),
    ]


def test_a_failure_that_nobody_asks_after_ends_the_call() -> None:
    call, _ = run(ringing_elsewhere(), facts.HungUp(CALLEE, 17, 486, B2), at=NOW + 10)
    call, out = step(call, facts.TimerFired(), NOW + 11 + PATIENCE.ask_s)
    assert hung_up(list(out)) == [A]
    call, _ = run(call, facts.HungUp(CALLER, 16), at=NOW + 30)
    assert ended(call) == "completed server_error/question_not_asked by gateway"


def test_a_wait_before_the_way_back_is_a_detour() -> None:
    call, _ = run(ringing_elsewhere(), facts.HungUp(CALLEE, 17, 486, B2), at=NOW + 10)
    call, _ = run(call, facts.Routed(Later(1), call.terms), at=NOW + 12)
    assert call.on_detour
    assert call.status is CallStatus.IN_PROGRESS
    call, out = run(call, facts.Routed(AGENT, call.terms), at=NOW + 13)
    assert [reply.route for reply in replies(out)] == [AGENT]


def test_the_way_back_may_be_a_refusal() -> None:
    call, _ = run(ringing_elsewhere(), facts.HungUp(CALLEE, 17, 486, B2), at=NOW + 10)
    call, out = run(call, facts.Routed(Reject(41, "agent_unavailable"), call.terms), at=NOW + 12)
    assert [reply.again for reply in replies(out)] == [False]
    call, _ = run(call, facts.HungUp(CALLER, 41), at=NOW + 13)
    assert ended(call) == "completed upstream_error/agent_unavailable by gateway"


# ---------------------------------------------------------------- what does not happen


def test_an_order_that_was_refused_changes_nothing() -> None:
    before = talking()
    call, out = run(before, MOVE, facts.Unmoved("switch_refused"))
    assert published(out) == ["call.transfer_failed"]
    assert outcome(call) == "timeout"
    assert (call.callee, call.route, call.connected_at) == (before.callee, before.route, before.connected_at)
    assert (call.former, set(waiting(call))) == ((), {"max_duration"})


def test_who_was_not_taken_away_in_time_is_where_it_was() -> None:
    call, _ = run(talking(), MOVE)
    call, out = step(call, facts.TimerFired(), NOW + 1 + PATIENCE.move_s)
    assert hung_up(list(out)) == []
    assert (outcome(call), call.callee.channel, call.callee.rank) == ("timeout", B, Rank.UP)


def test_who_was_taken_away_and_never_asked_is_ended() -> None:
    call, _ = run(talking(), MOVE, B_GONE)
    call, out = step(call, facts.TimerFired(), NOW + 1 + PATIENCE.move_s)
    assert hung_up(list(out)) == [A]
    assert call.ended_why == "question_not_asked"
    assert outcome(call) == "ended"


def test_a_callee_that_left_while_the_order_was_refused_ends_the_call() -> None:
    call, _ = run(talking(), MOVE, B_GONE, facts.Unmoved("switch_refused"))
    assert not call.callee.live
    assert set(waiting(call)) == {"linger", "max_duration"}


def test_a_caller_who_leaves_on_the_way_ends_it() -> None:
    for told in ((MOVE,), (MOVE, B_GONE), (MOVE, B_GONE, ASKED), (MOVE, ASKED, facts.Dialed(CALLEE, B2))):
        call, _ = run(talking(), *told, facts.EndRequested(CALLER), facts.HungUp(CALLER, 16))
        assert outcome(call) == "ended"
        for channel in (B, B2):
            call, _ = run(call, facts.HungUp(CALLEE, 16, channel=channel), at=NOW + 20)
        assert ended(call) == "completed success/hangup_by_caller by caller"


def test_a_gateway_that_was_away_when_the_switch_asked_says_so() -> None:
    call, _ = run(talking(), MOVE, B_GONE, facts.HungUp(CALLER, 41))
    assert ended(call) == "completed server_error/question_not_asked by switch"


def test_who_lives_on_after_it_was_left_is_hung_up() -> None:
    call, _ = run(talking(), MOVE, ASKED)
    call, _ = run(call, facts.Dialed(CALLEE, B2), facts.Answered(CALLEE, B2), at=NOW + 2, every=0)
    assert waiting(call)["left"] == 2 + PATIENCE.linger_s
    call, out = step(call, facts.TimerFired(), NOW + 2 + PATIENCE.linger_s)
    assert hung_up(list(out)) == [B]
    assert waiting(call)["left_watchdog"] == 2 + PATIENCE.linger_s + PATIENCE.watchdog_s
    call, _ = step(call, facts.TimerFired(), NOW + 2 + PATIENCE.linger_s + PATIENCE.watchdog_s)
    assert (call.former[0].leg.lost, call.ended_by) == ("watchdog", None)


@pytest.mark.parametrize(
    "call",
    [
        inbound(),
        run(inbound(), facts.Dialed(CALLEE, B))[0],
        run(talking(), facts.EndRequested(CALLER))[0],
        run(talking(), B_GONE)[0],
        run(talking(), MOVE)[0],
        ringing_elsewhere(),
        moved_often(),
    ],
    ids=["not-dialled", "not-up", "caller-gone", "callee-gone", "moving", "ringing-elsewhere", "too-often"],
)
def test_who_cannot_be_moved_is_not(call: Call) -> None:
    assert moving.why_not(call)
    after, out = run(call, MOVE)
    assert (after.moves, after.route, out) == (call.moves, call.route, [])


# ---------------------------------------------------------------- several


def test_from_the_agent_to_a_person_to_hold_and_back() -> None:
    up = (facts.Dialed(CALLER), facts.Answered(CALLER), ASKED)
    call, out = run(outbound(AGENT), *up, facts.Dialed(CALLEE, B), facts.Answered(CALLEE, B))
    assert replies(out)[0].again
    call, _ = run(call, MOVE, B_GONE, ASKED, facts.Dialed(CALLEE, B2), facts.Answered(CALLEE, B2))
    call, out = run(call, facts.Reroute(Connect(HoldMusic()), "held"))
    assert out == [orders.Redirect(A)]
    call, out = run(call, facts.HungUp(CALLEE, 16, channel=B2), ASKED)
    assert [reply.again for reply in replies(out)] == [False]
    assert (outcome(call), call.callee.rank) == ("completed", Rank.UP)
    call, _ = run(call, facts.Reroute(AGENT, "hand_back"), ASKED)
    assert [old.leg.live for old in call.former] == [False, False, False]
    assert call.moves == 3
    assert call.callee.id == "leg_b-4"


def test_both_trunks_are_in_use_while_one_is_left() -> None:
    call = talking()
    assert lines_of(call) == ("carrier",)
    call, _ = run(call, facts.Reroute(TO_FAR, "transferred"))
    assert lines_of(call) == ("carrier", "carrier")
    call, _ = run(call, B_GONE)
    assert lines_of(call) == ("carrier",)


def test_a_moved_call_is_recorded_on() -> None:
    call = talking(record=True)
    assert len(call.tapes) == 1
    call, out = run(call, MOVE, B_GONE, ASKED)
    assert (len(call.tapes), replies(out)[0].tape_id) == (1, "")


# ---------------------------------------------------------------- agents that do not answer


def test_an_agent_that_does_not_answer_leaves_its_caller_to_the_next() -> None:
    call, _ = run(inbound(AGENT), facts.Dialed(CALLEE, B), facts.HungUp(CALLEE, 0, channel=B))
    assert waiting(call) == {"back": 2 + PATIENCE.ask_s}
    call, out = run(call, facts.Routed(ALICE, call.terms), at=NOW + 3)
    assert [reply.route for reply in replies(out)] == [ALICE]
    answered = (facts.Dialed(CALLEE, B2), facts.Answered(CALLEE, B2), facts.Answered(CALLER))
    call, out = run(call, *answered, at=NOW + 4)
    assert published(out) == ["call.answered"]
    call, _ = run(call, facts.HungUp(CALLER, 16), facts.HungUp(CALLEE, 16, channel=B2), at=NOW + 10)
    assert [(party.who, party.why) for party in cdr(call).former] == [("agent:agt_1", "agent_unavailable")]


def test_an_agent_whose_socket_was_refused_was_never_dialled() -> None:
    call, out = run(inbound(AGENT), facts.Routed(Reject(41, "agent_unavailable"), inbound().terms))
    assert isinstance(replies(out)[0].route, Reject)
    call, _ = run(call, facts.HungUp(CALLER, 41), at=NOW + 5)
    assert ended(call) == "failed upstream_error/agent_unavailable by gateway"


def test_a_caller_who_gives_up_while_the_agent_is_awaited_has_cancelled() -> None:
    call, _ = run(inbound(AGENT), facts.Dialed(CALLEE, B), facts.EndRequested(CALLER))
    call, _ = run(call, facts.HungUp(CALLER, 16), facts.HungUp(CALLEE, 16, channel=B))
    assert ended(call) == "cancelled cancelled/cancelled_by_caller by caller"


def test_an_agent_that_hangs_up_is_named() -> None:
    talks = (facts.Dialed(CALLEE, B), facts.Answered(CALLEE, B), facts.Answered(CALLER))
    sequence = (facts.EndRequested(CALLEE, channel=B), facts.HungUp(CALLEE, 16, channel=B))
    call, _ = run(inbound(AGENT), *talks, *sequence, facts.HungUp(CALLER, 16))
    assert ended(call) == "completed success/hangup_by_agent by callee"


def test_who_is_dialled_after_a_refusal_that_was_not_heard_is_not_taken_for_the_refused() -> None:
    """The switch's question overtook what it said of the callee."""
    call, _ = run(inbound(AGENT), facts.Routed(AGENT, inbound().terms))
    late = (facts.Dialed(CALLEE, B), facts.HungUp(CALLEE, 0, channel=B), facts.Dialed(CALLEE, B2))
    call, out = run(call, *late, at=NOW + 5)
    assert hung_up(out) == []
    assert (call.callee.channel, call.callee.rank) == (B2, Rank.DIALING)
    assert [old.leg.channel for old in call.former] == [None, B]


def test_who_is_dialled_while_nobody_should_be_is_hung_up() -> None:
    call, _ = run(talking(), MOVE)
    call, out = run(call, facts.Dialed(CALLEE, B2))
    assert hung_up(out) == [B2]
    assert call.callee.channel is None


def test_who_is_dialled_next_before_the_refusal_was_answered_is_not_hung_up() -> None:
    """The first agent's end is known, our answer to the question is not folded yet."""
    call, _ = run(inbound(AGENT), facts.Dialed(CALLEE, B), facts.HungUp(CALLEE, 0, channel=B))
    call, out = run(call, facts.Dialed(CALLEE, B2))
    assert hung_up(out) == []
    assert (call.callee.channel, [old.leg.channel for old in call.former]) == (B2, [B])


def test_nobody_is_dialled_for_music() -> None:
    call, _ = run(talking(), facts.Reroute(Connect(HoldMusic()), "held"), B_GONE, ASKED)
    _, out = run(call, facts.Dialed(CALLEE, B2))
    assert hung_up(out) == [B2]


@pytest.mark.parametrize(
    ("why", "truth"),
    [
        ("hangup_by_agent", "failed far_end/hangup_by_agent by callee"),
        ("agent_lost", "failed upstream_error/agent_lost by gateway"),
    ],
)
def test_an_agent_that_ends_a_call_before_it_is_answered(why: str, truth: str) -> None:
    call, _ = run(inbound(AGENT), facts.Dialed(CALLEE, B), facts.HangupAsked(Ender.GATEWAY, why))
    call, _ = run(call, facts.HungUp(CALLEE, 16, channel=B), facts.HungUp(CALLER, 16))
    assert ended(call) == truth
