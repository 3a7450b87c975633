"""Deadlines: which wait runs in which situation, until when, and what its end does."""

from __future__ import annotations

import pytest

from dialplan.core import facts, orders
from dialplan.core.call import Announcement, Call, Connect, Ender, Rank
from dialplan.core.machine import step
from dialplan.core.waits import PATIENCE, Patience, Wait, next_deadline, waits
from tests.unit.dialplan.made_calls import (
    CALLEE,
    CALLER,
    HOLD,
    NOW,
    TO_FAR,
    A,
    B,
    inbound,
    outbound,
    run,
    talking,
)

pytestmark = pytest.mark.unit

DIALED, RANG, UP = facts.Dialed(CALLER), facts.Rang(CALLER), facts.Answered(CALLER)
HANGUP = facts.HangupAsked(Ender.API, "hangup")


def waiting(call: Call) -> dict[tuple[str, str], float]:
    """Names and legs of the waits, with their ends in seconds after the call was made."""
    return {(wait.name, str(wait.role)): wait.at - NOW for wait in waits(call)}


def test_until_the_switch_has_a_channel() -> None:
    assert waiting(outbound()) == {("setup", "caller"): 10.0}


def test_until_somebody_answers() -> None:
    assert waiting(run(outbound(ring_timeout_s=20), DIALED)[0]) == {("ring", "caller"): 21.0}
    assert waiting(run(outbound(ring_timeout_s=20), DIALED, RANG)[0]) == {("ring", "caller"): 21.0}


def test_until_the_answered_caller_asks() -> None:
    assert waiting(run(outbound(), DIALED, UP)[0]) == {("ask", "caller"): 7.0}


def test_until_the_callee_is_dialled_rings_and_answers() -> None:
    call, _ = run(outbound(TO_FAR, ring_timeout_s=20), DIALED, UP, facts.Asked())
    assert waiting(call) == {("connect", "callee"): 13.0}
    call, _ = run(call, facts.Dialed(CALLEE, B), at=NOW + 3)
    assert waiting(call) == {("ring", "callee"): 24.0}
    call, _ = run(call, facts.Answered(CALLEE), at=NOW + 4)
    assert waiting(call) == {("max_duration", "caller"): 3605.0}


def test_until_an_inbound_caller_is_up_after_its_callee() -> None:
    call, _ = run(inbound(), facts.Dialed(CALLEE, B), facts.Answered(CALLEE))
    assert waiting(call) == {("answer", "caller"): 12.0}


def test_until_a_prompts_caller_is_up() -> None:
    assert waiting(inbound(Connect(Announcement("x")))) == {("answer", "callee"): 10.0}


def test_until_an_ordered_hang_up_is_confirmed() -> None:
    call, _ = run(talking(), HANGUP, at=NOW + 10)
    assert waiting(call) == {("watchdog", "caller"): 19.0, ("watchdog", "callee"): 19.0}


def test_until_the_hangup_behind_a_failed_originate_is_heard() -> None:
    call, _ = run(outbound(), DIALED, facts.OriginateFailed("originate_failed_0"))
    assert waiting(call)[("verdict", "caller")] == 2 + PATIENCE.verdict_s


def test_until_the_switch_took_the_other_leg_down() -> None:
    call, _ = run(talking(), facts.EndRequested(CALLEE), facts.HungUp(CALLEE, 16), at=NOW + 10)
    assert waiting(call) == {("linger", "caller"): 13.0}


def test_a_closed_call_waits_for_nothing() -> None:
    call, _ = run(talking(), facts.HungUp(CALLER, 16), facts.HungUp(CALLEE, 16))
    assert call.closed
    assert waiting(call) == {}
    assert next_deadline(call) is None


def test_the_next_deadline_is_the_earliest() -> None:
    call, _ = run(outbound(ring_timeout_s=20), DIALED, facts.OriginateFailed("originate_failed_0"))
    assert next_deadline(call) == min(wait.at for wait in waits(call)) == NOW + 2 + PATIENCE.verdict_s


def test_patience_is_an_argument() -> None:
    short = Patience(setup_s=1.0, watchdog_s=0.5)
    assert next_deadline(outbound(), short) == NOW + 1
    call, out = step(outbound(), facts.TimerFired(), NOW + 1, short)
    assert [o.channel for o in out if isinstance(o, orders.Hangup)] == [A]
    assert next_deadline(call, short) == NOW + 1.5


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (outbound(), "setup"),
        (run(outbound(), DIALED)[0], "ring"),
        (run(outbound(), DIALED, UP)[0], "ask"),
        (run(outbound(TO_FAR), DIALED, UP, facts.Asked())[0], "connect"),
        (run(inbound(), facts.Dialed(CALLEE, B), facts.Answered(CALLEE))[0], "answer"),
        (talking(), "max_duration"),
        (run(talking(), HANGUP)[0], "watchdog"),
        (run(talking(), facts.HungUp(CALLEE, 16))[0], "linger"),
        (run(outbound(HOLD), DIALED, facts.OriginateFailed("x"))[0], "verdict"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_no_wait_is_over_a_moment_before_its_time_nor_lasts_a_moment_longer(call: Call, name: str) -> None:
    at = next_deadline(call)
    assert at is not None
    assert [wait.name for wait in waits(call) if wait.at == at] in ([name], [name, name])
    early, out = step(call, facts.TimerFired(), at - 0.001)
    assert (early, out) == (call, ())
    after, out = step(call, facts.TimerFired(), at)
    assert after != call
    left = [wait for wait in waits(after) if wait.at <= at]
    assert left == []


REASONS = {
    "setup": "switch_silent",
    "ask": "question_not_asked",
    "connect": "connect_not_started",
    "answer": "answer_not_reported",
    "max_duration": "max_duration",
}


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (outbound(), "setup"),
        (run(outbound(), DIALED, UP)[0], "ask"),
        (run(outbound(TO_FAR), DIALED, UP, facts.Asked())[0], "connect"),
        (run(inbound(), facts.Dialed(CALLEE, B), facts.Answered(CALLEE))[0], "answer"),
        (talking(), "max_duration"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_a_wait_that_is_over_says_why_and_hangs_up_what_lives(call: Call, name: str) -> None:
    at = next_deadline(call)
    assert at is not None
    after, out = step(call, facts.TimerFired(), at)
    assert after.ended_by is Ender.GATEWAY
    assert after.ended_why == REASONS[name]
    hung_up = {o.channel for o in out if isinstance(o, orders.Hangup)}
    live = {
        leg.channel for leg in (call.caller, call.callee) if leg.rank not in (Rank.ENDED,) and leg.channel
    }
    assert hung_up == live


def test_a_wait_is_a_value() -> None:
    assert list(waits(outbound())) == [Wait("setup", NOW + 10, CALLER)]
