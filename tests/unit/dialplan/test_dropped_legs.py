"""A callee's leg that Dial() drops without a word of why: a redirection, or what the caller was told of.

The orders are those of a real switch under load: it drops a redirected leg before its cause is set, while it
is, or after it, and reports the legs' ends in any order.
"""

from __future__ import annotations

import pytest

from dialplan.core import facts
from dialplan.core.call import Call, Ender
from dialplan.core.outcome import cause_towards
from dialplan.core.record import record
from tests.unit.dialplan.made_calls import CALLEE, CALLER, TO_FAR, B, inbound, outbound, run

pytestmark = pytest.mark.unit


def verdict(call: Call) -> str:
    assert call.closed
    return f"{call.status} {call.termination}"


def test_the_order_in_which_the_legs_are_gone_tells_nothing() -> None:
    ends = facts.HungUp(CALLEE, 0), facts.HungUp(CALLER, 16)
    for order in ends, ends[::-1]:
        call, _ = run(inbound(), facts.Dialed(CALLEE, B), facts.Rang(CALLEE), *order)
        assert verdict(call) == "failed indeterminate/unclassified"


REDIRECTED = (
    (facts.HungUp(CALLEE, 0), facts.HungUp(CALLER, 25)),
    (facts.HungUp(CALLER, 25), facts.HungUp(CALLEE, 0)),
    (facts.EndRequested(CALLEE, 23, 302), facts.HungUp(CALLEE, 0), facts.HungUp(CALLER, 25)),
    (facts.HungUp(CALLEE, 0), facts.EndRequested(CALLEE, 23, 302), facts.HungUp(CALLER, 25)),
    (facts.EndRequested(CALLEE, 23, 302), facts.HungUp(CALLER, 25), facts.HungUp(CALLEE, 23, 302)),
    (facts.EndRequested(CALLEE, 16, 301), facts.HungUp(CALLEE, 16, 301), facts.HungUp(CALLER, 25)),
)


@pytest.mark.parametrize("rang", [False, True])
@pytest.mark.parametrize("ends", REDIRECTED)
def test_a_redirection_however_much_of_it_is_heard(rang: bool, ends: tuple[facts.Fact, ...]) -> None:
    ring = (facts.Rang(CALLEE),) if rang else ()
    call, _ = run(inbound(), facts.Dialed(CALLEE, B), *ring, *ends)
    assert verdict(call) == "failed upstream_error/redirected"
    assert call.ended_by is Ender.CALLEE
    known = any(getattr(fact, "sip", None) for fact in ends)
    assert record(call).sip_code == (call.callee.sip if known else None)
    assert (record(call).sip_code is not None) == known
    up = facts.Dialed(CALLER), facts.Answered(CALLER), facts.Asked()
    joined, _ = run(outbound(TO_FAR), *up, facts.Dialed(CALLEE, B), *ring, *ends)
    assert verdict(joined) == "completed upstream_error/connect_failed"


def test_a_redirection_of_which_the_caller_alone_heard_has_its_cause() -> None:
    call, _ = run(inbound(), facts.Dialed(CALLEE, B), *REDIRECTED[0])
    assert record(call).hangup_cause == 23


@pytest.mark.parametrize("ends", REDIRECTED[:2])
def test_a_caller_who_gave_up_before_the_redirection_has_cancelled(ends: tuple[facts.Fact, ...]) -> None:
    call, _ = run(inbound(), facts.Dialed(CALLEE, B), facts.EndRequested(CALLER, 127, 487), *ends)
    assert verdict(call) == "cancelled cancelled/cancelled_by_caller"


@pytest.mark.parametrize(
    ("cause", "expected"), [(19, "no_answer far_end/no_answer"), (17, "busy far_end/busy")]
)
def test_a_leg_dropped_without_a_word_is_judged_by_what_the_caller_was_told(
    cause: int, expected: str
) -> None:
    ends = facts.HungUp(CALLEE, 0), facts.HungUp(CALLER, cause)
    for order in ends, ends[::-1]:
        call, _ = run(inbound(), facts.Dialed(CALLEE, B), facts.Rang(CALLEE), *order)
        assert verdict(call) == expected


def test_no_caller_hears_302_from_us() -> None:
    call, _ = run(inbound(), facts.Dialed(CALLEE, B), facts.HungUp(CALLEE, 23, 302))
    assert cause_towards(call, CALLER) == 25
