"""How a call is judged: each way a far end can end it, originated and dialled, before and after it rang.

Causes and finals are the pairs Asterisk 22 gives (``ast_sip_hangup_sip2cause``); a row's verdict follows
from the evidence in its order of trust.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from dialplan.core import facts
from dialplan.core.call import Announcement, Call, Connect, Ender, Phone, Reject, Role
from dialplan.core.outcome import cause_towards
from dialplan.core.waits import next_deadline
from telephony.causes import CallStatus
from tests.unit.dialplan.made_calls import CALLEE, CALLER, TO_FAR, B, inbound, outbound, run, talking

pytestmark = pytest.mark.unit

TO_PHONE = Connect(Phone("alice"))

# SIP final, Q.850 cause, status and termination when it did not ring, and when it did (None: the same)
FINALS: list[tuple[int | None, int, str, str | None]] = [
    (486, 17, "busy far_end/busy", None),
    (600, 17, "busy far_end/busy", None),
    (480, 19, "no_answer far_end/unavailable", None),
    (408, 18, "failed upstream_error/no_response", "no_answer far_end/no_answer"),
    (None, 18, "failed upstream_error/no_response", "no_answer far_end/no_answer"),
    (None, 19, "no_answer far_end/no_answer", None),
    (401, 21, "failed upstream_error/forbidden", None),
    (403, 21, "failed upstream_error/forbidden", None),
    (407, 21, "failed upstream_error/forbidden", None),
    (603, 21, "failed far_end/declined", None),
    (None, 21, "failed far_end/declined", None),
    (404, 1, "failed client_error/unallocated_number", None),
    (485, 1, "failed client_error/unallocated_number", None),
    (604, 1, "failed client_error/unallocated_number", None),
    (None, 1, "failed client_error/unallocated_number", None),
    (410, 22, "failed client_error/number_changed", None),
    (484, 28, "failed client_error/invalid_number", None),
    (503, 34, "failed upstream_error/congestion", None),
    (513, 34, "failed upstream_error/congestion", None),
    (500, 38, "failed upstream_error/carrier_failure", None),
    (502, 27, "failed upstream_error/carrier_failure", None),
    (504, 102, "failed upstream_error/carrier_failure", None),
    (488, 58, "failed upstream_error/incompatible_media", None),
    (606, 58, "failed upstream_error/incompatible_media", None),
    (302, 23, "failed upstream_error/redirected", None),
    (301, 16, "failed upstream_error/redirected", None),
    (380, 16, "failed upstream_error/redirected", None),
    (487, 127, "failed upstream_error/interworking", None),
    (420, 127, "failed upstream_error/interworking", None),
    (699, 127, "failed upstream_error/interworking", None),
    (None, 16, "failed indeterminate/unclassified", None),
    (None, 0, "failed indeterminate/unclassified", None),
]
ROWS = [
    pytest.param(sip, cause, rang, (after if rang and after else before), id=f"{sip}-{cause}-{rang}")
    for sip, cause, before, after in FINALS
    for rang in (False, True)
]


def verdict(call: Call) -> str:
    assert call.closed
    return f"{call.status} {call.termination}"


@pytest.mark.parametrize(("sip", "cause", "rang", "expected"), ROWS)
def test_the_far_end_of_an_originate(sip: int | None, cause: int, rang: bool, expected: str) -> None:
    ring = (facts.Rang(CALLER),) if rang else ()
    # The originate's own word (0 for every refusal) comes before or after: it takes no part.
    for hint in ((), (facts.OriginateFailed("originate_failed_0"),)):
        call, _ = run(outbound(), facts.Dialed(CALLER), *ring, *hint, facts.HungUp(CALLER, cause, sip))
        assert verdict(call) == expected
        assert call.ended_by is Ender.CALLER


@pytest.mark.parametrize(("sip", "cause", "rang", "expected"), ROWS)
def test_the_far_end_of_a_dial(sip: int | None, cause: int, rang: bool, expected: str) -> None:
    ring = (facts.Rang(CALLEE),) if rang else ()
    ends = facts.HungUp(CALLEE, cause, sip), facts.HungUp(CALLER, cause)
    call, _ = run(inbound(), facts.Dialed(CALLEE, B), *ring, *ends)
    assert verdict(call) == expected
    assert call.ended_by is Ender.CALLEE


@pytest.mark.parametrize(("sip", "cause", "rang", "expected"), ROWS)
def test_the_far_end_that_an_answered_caller_is_joined_with(
    sip: int | None, cause: int, rang: bool, expected: str
) -> None:
    ring = (facts.Rang(CALLEE),) if rang else ()
    call, _ = run(
        outbound(TO_FAR),
        facts.Dialed(CALLER),
        facts.Answered(CALLER),
        facts.Asked(),
        facts.Dialed(CALLEE, B),
        *ring,
        facts.HungUp(CALLEE, cause, sip),
        facts.HungUp(CALLER, cause),
    )
    status, termination = expected.split(" ")
    assert verdict(call) == f"completed {termination.split('/')[0]}/connect_{status}"
    assert call.ended_by is Ender.CALLEE


def test_answered_then_hung_up_by_either_side() -> None:
    for role in (CALLER, CALLEE):
        other = CALLEE if role is CALLER else CALLER
        ends = facts.EndRequested(role), facts.HungUp(role, 16), facts.HungUp(other, 16)
        call, _ = run(talking(), *ends)
        assert verdict(call) == f"completed success/hangup_by_{role}"
        assert call.ended_by == role


def test_answered_then_gone_without_a_request_the_first_gone_ended_it() -> None:
    for first, other in ((CALLER, CALLEE), (CALLEE, CALLER)):
        call, _ = run(talking(), facts.HungUp(first, 16), facts.HungUp(other, 16))
        assert verdict(call) == f"completed success/hangup_by_{first}"


@pytest.mark.parametrize("cause", [0, 16, 31, 34, 127])
def test_an_answer_outweighs_every_cause(cause: int) -> None:
    call, _ = run(
        talking(), facts.EndRequested(CALLEE), facts.HungUp(CALLEE, cause), facts.HungUp(CALLER, cause)
    )
    assert call.status is CallStatus.COMPLETED


@pytest.mark.parametrize("rang", [False, True])
@pytest.mark.parametrize(("cause", "sip"), [(16, None), (16, 487), (127, 487), (19, 480)])
def test_our_cancel_of_an_originate(rang: bool, cause: int, sip: int | None) -> None:
    ring = (facts.Rang(CALLER),) if rang else ()
    asked = facts.HangupAsked(Ender.API, "hangup")
    call, _ = run(outbound(), facts.Dialed(CALLER), *ring, asked, facts.HungUp(CALLER, cause, sip))
    assert verdict(call) == "cancelled cancelled/cancelled_by_api"
    assert call.ended_by is Ender.API


@pytest.mark.parametrize("rang", [False, True])
def test_our_cancel_of_a_dial(rang: bool) -> None:
    ring = (facts.Rang(CALLEE),) if rang else ()
    asked = facts.HangupAsked(Ender.API, "hangup")
    ends = facts.HungUp(CALLEE, 16), facts.HungUp(CALLER, 16)
    call, _ = run(inbound(), facts.Dialed(CALLEE, B), *ring, asked, *ends)
    assert verdict(call) == "cancelled cancelled/cancelled_by_api"


@pytest.mark.parametrize("rang", [False, True])
@pytest.mark.parametrize(("cause", "sip"), [(19, None), (16, None), (19, 480)])
def test_our_ring_limit_on_an_originate(rang: bool, cause: int, sip: int | None) -> None:
    ring = (facts.Rang(CALLER),) if rang else ()
    call, _ = run(outbound(ring_timeout_s=9), facts.Dialed(CALLER), *ring)
    at = next_deadline(call)
    assert at is not None
    call, _ = run(call, facts.TimerFired(), facts.HungUp(CALLER, cause, sip), at=at, every=0)
    assert verdict(call) == "no_answer far_end/ring_timeout"
    assert call.ended_by is Ender.GATEWAY


@pytest.mark.parametrize("rang", [False, True])
def test_our_ring_limit_on_a_dial(rang: bool) -> None:
    ring = (facts.Rang(CALLEE),) if rang else ()
    call, _ = run(inbound(ring_timeout_s=9), facts.Dialed(CALLEE, B), *ring)
    at = next_deadline(call)
    assert at is not None
    ends = facts.HungUp(CALLEE, 19), facts.HungUp(CALLER, 19)
    call, _ = run(call, facts.TimerFired(), *ends, at=at, every=0)
    assert verdict(call) == "no_answer far_end/ring_timeout"


def test_our_ring_limit_on_the_far_end_of_an_answered_caller() -> None:
    call, _ = run(
        outbound(TO_FAR, ring_timeout_s=9),
        facts.Dialed(CALLER),
        facts.Answered(CALLER),
        facts.Asked(),
        facts.Dialed(CALLEE, B),
        facts.Rang(CALLEE),
    )
    at = next_deadline(call)
    assert at is not None
    ends = facts.HungUp(CALLEE, 19), facts.HungUp(CALLER, 19)
    call, _ = run(call, facts.TimerFired(), *ends, at=at, every=0)
    assert verdict(call) == "completed far_end/connect_no_answer"


def test_an_answer_that_crosses_our_ring_limit_is_an_answer() -> None:
    call, _ = run(outbound(ring_timeout_s=9), facts.Dialed(CALLER), facts.Rang(CALLER))
    at = next_deadline(call)
    assert at is not None
    call, _ = run(call, facts.TimerFired(), facts.Answered(CALLER), facts.HungUp(CALLER, 16), at=at, every=0)
    assert call.status is CallStatus.COMPLETED


@pytest.mark.parametrize("rang", [False, True])
@pytest.mark.parametrize(
    ("told", "callee"),
    [(True, (127, 500)), (True, (16, None)), (True, (17, 486)), (False, (16, None))],
    ids=["told", "dropped", "crossed", "not told"],
)
def test_the_caller_gives_up_during_a_dial(rang: bool, told: bool, callee: tuple[int, int | None]) -> None:
    """As the switch tells it: a request, 487 on the caller's own end, and anything on the callee's."""
    ring = (facts.Rang(CALLEE),) if rang else ()
    request = (facts.EndRequested(CALLER, 127, 487),) if told else ()
    ends = facts.HungUp(CALLEE, *callee), facts.HungUp(CALLER, 127, 487)
    for order in ends, ends[::-1]:
        call, _ = run(inbound(), facts.Dialed(CALLEE, B), *ring, *request, *order)
        assert verdict(call) == "cancelled cancelled/cancelled_by_caller"
        assert call.ended_by is Ender.CALLER


@pytest.mark.parametrize("fact", [facts.Vanished(CALLER, "switch_restarted"), facts.HungUp(CALLER, 16)])
def test_the_caller_is_gone_before_anybody_was_dialled(fact: facts.Fact) -> None:
    call, _ = run(inbound(), fact)
    lost = isinstance(fact, facts.Vanished)
    expected = "failed server_error/switch_restarted" if lost else "cancelled cancelled/cancelled_by_caller"
    assert verdict(call) == expected


@pytest.mark.parametrize(
    ("cause", "expected"),
    [
        (17, "busy far_end/busy"),
        (34, "failed upstream_error/congestion"),
        (3, "failed upstream_error/trunk_unreachable"),
        (20, "failed upstream_error/trunk_unreachable"),
        (99, "failed indeterminate/unclassified"),
    ],
)
def test_a_dial_that_nobody_heard_of_is_judged_by_what_the_caller_was_told(cause: int, expected: str) -> None:
    call, _ = run(inbound(), facts.HungUp(CALLER, cause))
    assert verdict(call) == expected
    gave_up, _ = run(inbound(), facts.EndRequested(CALLER), facts.HungUp(CALLER, cause))
    assert verdict(gave_up) == "cancelled cancelled/cancelled_by_caller"


@pytest.mark.parametrize("cause", [3, 20])
def test_a_phone_that_is_not_registered(cause: int) -> None:
    """The switch makes no channel for it: its caller's own end is the only word of it."""
    call, _ = run(inbound(TO_PHONE), facts.HungUp(CALLER, cause))
    assert verdict(call) == "failed far_end/phone_not_registered"
    assert call.ended_by is Ender.CALLEE
    up = facts.Dialed(CALLER), facts.Answered(CALLER), facts.Asked()
    joined, _ = run(outbound(TO_PHONE), *up, facts.HungUp(CALLER, cause))
    assert verdict(joined) == "completed far_end/phone_not_registered"
    assert joined.ended_by is Ender.CALLEE
    gave_up, _ = run(outbound(TO_PHONE), *up, facts.EndRequested(CALLER), facts.HungUp(CALLER, cause))
    assert verdict(gave_up) == "completed success/hangup_by_caller"


def test_a_phone_that_we_ring_first_and_that_is_not_registered() -> None:
    call = outbound()
    call = replace(call, terms=replace(call.terms, to_number="phone:alice"))
    refused = facts.OriginateFailed("originate_failed_0")
    ended, _ = run(call, refused, facts.TimerFired(), every=2.0)
    assert verdict(ended) == "failed far_end/phone_not_registered"
    busy, _ = run(call, facts.Dialed(CALLER), refused, facts.HungUp(CALLER, 17, 486))
    assert verdict(busy) == "busy far_end/busy"


@pytest.mark.parametrize("silent", [CALLER, CALLEE])
def test_a_side_that_sends_no_audio_is_ended_by_the_switch(silent: Role) -> None:
    other = CALLEE if silent is CALLER else CALLER
    ends = facts.HungUp(silent, 44), facts.HungUp(other, 16)
    for order in ends, ends[::-1]:
        call, _ = run(talking(), *order)
        assert verdict(call) == "completed far_end/media_timeout"
        assert call.ended_by is Ender.SWITCH


def test_a_listener_to_an_announcement_who_sends_no_audio() -> None:
    up = facts.Dialed(CALLER), facts.Answered(CALLER), facts.Asked()
    call, _ = run(outbound(Connect(Announcement("var/hello"))), *up, facts.HungUp(CALLER, 44))
    assert verdict(call) == "completed far_end/media_timeout"


def test_a_far_end_that_hangs_up_with_the_same_cause_has_hung_up() -> None:
    call, _ = run(talking(), facts.EndRequested(CALLEE), facts.HungUp(CALLEE, 44), facts.HungUp(CALLER, 16))
    assert verdict(call) == "completed success/hangup_by_callee"


def test_a_vanished_leg_whose_cause_is_known_is_judged_by_it() -> None:
    gone = facts.Vanished(CALLEE, "gateway_was_away", 16, answered=True)
    call, _ = run(inbound(), gone, facts.HungUp(CALLER, 16))
    assert verdict(call) == "completed success/hangup_by_callee"
    gone = facts.Vanished(CALLEE, "gateway_was_away", 17)
    call, _ = run(inbound(), facts.Dialed(CALLEE, B), gone, facts.HungUp(CALLER, 17))
    assert verdict(call) == "busy far_end/busy"


@pytest.mark.parametrize("answered", [False, True])
def test_a_restarted_switch(answered: bool) -> None:
    gone = facts.Vanished(CALLER, "switch_restarted"), facts.Vanished(CALLEE, "switch_restarted")
    start = talking() if answered else run(inbound(), facts.Dialed(CALLEE, B))[0]
    call, _ = run(start, *gone)
    assert verdict(call) == f"{'completed' if answered else 'failed'} server_error/switch_restarted"
    assert call.ended_by is Ender.SWITCH


@pytest.mark.parametrize(
    ("cause", "why", "result"),
    [
        (17, "line_busy", "client_error"),
        (34, "trunk_full", "server_error"),
        (41, "route_unreadable", "server_error"),
        (27, "agent_unavailable", "upstream_error"),
    ],
)
def test_a_route_that_rejects(cause: int, why: str, result: str) -> None:
    call, _ = run(inbound(Reject(cause, why)), facts.HungUp(CALLER, cause))
    assert verdict(call) == f"failed {result}/{why}"


def test_an_announcement_played_to_its_end_or_cut_by_its_caller() -> None:
    route = Connect(Announcement("var/hello"))
    up = facts.Dialed(CALLER), facts.Answered(CALLER), facts.Asked()
    heard, _ = run(outbound(route), *up, facts.HungUp(CALLER, 16))
    cut, _ = run(outbound(route), *up, facts.EndRequested(CALLER), facts.HungUp(CALLER, 16))
    assert verdict(heard) == "completed success/announcement_finished"
    assert verdict(cut) == "completed success/hangup_by_caller"


@pytest.mark.parametrize(
    ("why", "result"),
    [("max_duration", "success"), ("question_not_asked", "server_error"), ("something", "server_error")],
)
def test_an_answered_call_that_we_end(why: str, result: str) -> None:
    ends = facts.HungUp(CALLEE, 16), facts.HungUp(CALLER, 16)
    call, _ = run(talking(), facts.HangupAsked(Ender.GATEWAY, why), *ends)
    assert verdict(call) == f"completed {result}/{why}"


def test_a_leg_that_never_confirmed_its_end() -> None:
    call, _ = run(talking(), facts.EndRequested(CALLEE), facts.HungUp(CALLEE, 16))
    for _ in range(2):  # the linger, then the watchdog
        at = next_deadline(call)
        assert at is not None
        call, _ = run(call, facts.TimerFired(), at=at, every=0)
    assert verdict(call) == "completed indeterminate/watchdog"


def _ended(role: Role, cause: int) -> Call:
    return run(inbound(), facts.Dialed(CALLEE, B), facts.HungUp(role, cause))[0]


def test_the_cause_a_party_hears() -> None:
    assert cause_towards(_ended(CALLEE, 17), CALLER) == 17
    assert cause_towards(_ended(CALLEE, 0), CALLER) == 16
    assert cause_towards(talking(), CALLER) == 16
    assert cause_towards(inbound(Reject(21, "no")), CALLER) == 21
    cancelled, _ = run(_ended(CALLEE, 17), facts.HangupAsked(Ender.API, "hangup"))
    assert cause_towards(cancelled, CALLER) == 16
    expired, _ = run(inbound(ring_timeout_s=9), facts.Dialed(CALLEE, B), facts.TimerFired(), every=10)
    assert cause_towards(expired, CALLER) == cause_towards(expired, CALLEE) == 19
