"""A caller sent on a detour: what the call is for the world meanwhile, how it goes on, and how it ends."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dialplan.core import facts, orders
from dialplan.core.call import (
    MOST_DETOURS,
    Announcement,
    Call,
    Connect,
    Ender,
    Gather,
    Later,
    Reject,
    Route,
    Terms,
)
from dialplan.core.machine import step
from dialplan.core.record import record
from dialplan.core.waits import PATIENCE, next_deadline, waits
from telephony.causes import CallStatus
from tests.unit.dialplan.made_calls import CALLEE, CALLER, NOW, TO_FAR, B, inbound, published, run

pytestmark = pytest.mark.unit

PIN = Gather("prompts/pin", 6)
UP = facts.Answered(CALLER)


def terms(**changes: object) -> Terms:
    return replace(inbound().terms, **changes)  # type: ignore[arg-type]


def routed(route: Route, **changes: object) -> facts.Routed:
    return facts.Routed(route, terms(**changes))


def gathering() -> Call:
    """A caller who listens to the prompt: its channel is up."""
    return run(inbound(PIN), UP)[0]


def waiting(call: Call) -> dict[str, float]:
    return {wait.name: wait.at - NOW for wait in waits(call)}


def replies(out: list[orders.Order]) -> list[orders.Reply]:
    return [order for order in out if isinstance(order, orders.Reply)]


def ended(call: Call) -> str:
    assert call.closed
    return f"{call.status} {call.termination} by {call.ended_by}"


# ---------------------------------------------------------------- while it lasts


def test_typing_digits_is_no_connection() -> None:
    call = gathering()
    assert (call.status, call.answered_at, call.connected_at) == (CallStatus.INITIATING, None, None)
    assert call.subject.role is CALLEE
    assert waiting(call) == {"again": PATIENCE.gather_s + PATIENCE.ask_s}


def test_a_wait_is_as_long_as_it_was_to_be() -> None:
    assert waiting(inbound(Later(3))) == {"again": 3 + PATIENCE.ask_s}


def test_a_detour_has_no_tape_and_no_far_end() -> None:
    call = inbound(PIN, record=True)
    assert call.tapes == ()
    _, out = run(call, routed(TO_FAR, record=True))
    assert [reply.tape_id for reply in replies(out)] == [f"{call.id}-1"]


def test_a_detour_that_nobody_comes_back_from_ends() -> None:
    call = gathering()
    call, out = step(call, facts.TimerFired(), NOW + 1000)
    assert orders.Hangup(CALLER, call.caller.channel, 16) in out  # type: ignore[arg-type]
    call, _ = run(call, facts.HungUp(CALLER, 16), at=NOW + 1000)
    assert ended(call) == "failed server_error/question_not_asked by gateway"


# ---------------------------------------------------------------- going on


def test_the_last_answer_decides_route_and_terms() -> None:
    call, out = run(
        gathering(),
        routed(TO_FAR, session_id="ses_1", seat=1, to_seat=0, max_duration_s=60, ring_timeout_s=9),
    )
    (reply,) = replies(out)
    assert (reply.route, reply.backstop_ring_s) == (TO_FAR, 14)
    known = record(call)
    assert (known.session_id, known.seat, known.to_seat) == ("ses_1", 1, 0)
    assert waiting(call) == {"connect": 11.0}
    call, out = run(call, facts.Dialed(CALLEE, B), facts.Rang(CALLEE), facts.Answered(CALLEE))
    assert published(out) == ["call.ringing", "call.answered"]
    assert (call.answered_at, call.status) == (NOW + 3, CallStatus.IN_PROGRESS)
    assert waiting(call)["max_duration"] == 3 + 60


def test_one_detour_may_follow_another() -> None:
    call, out = run(inbound(Later(1)), routed(PIN), routed(Later(2)), UP, routed(TO_FAR))
    assert [reply.route for reply in replies(out)] == [PIN, Later(2), TO_FAR]
    assert call.detours == 3
    assert call.status is CallStatus.INITIATING


def test_nobody_is_sent_round_for_ever() -> None:
    call = inbound(Later(1))
    answers = [routed(Later(1)) for _ in range(MOST_DETOURS)]
    call, out = run(call, *answers)
    assert [type(reply.route) for reply in replies(out)] == [Later] * (MOST_DETOURS - 1) + [Reject]
    call, _ = run(call, facts.HungUp(CALLER, 41), at=NOW + 20)
    assert ended(call) == "failed server_error/too_many_questions by gateway"


def test_an_answer_to_nobodys_question_changes_nothing() -> None:
    for call in (
        inbound(),
        run(gathering(), routed(TO_FAR))[0],
        run(gathering(), facts.HungUp(CALLER, 16))[0],
    ):
        after, out = step(call, routed(Later(1), session_id="ses_9"), NOW + 9)
        assert (after.route, after.terms, out) == (call.route, call.terms, ())
        assert after.late_facts == call.late_facts + 1


def test_what_was_private_stays_private() -> None:
    call = replace(gathering(), terms=terms(private=True))
    call, _ = run(call, routed(TO_FAR, private=False))
    assert call.terms.private


def test_a_private_callers_number_does_not_leave_with_the_answer() -> None:
    for private, caller in ((False, "+12025550100"), (True, "")):
        _, out = run(gathering(), routed(TO_FAR, private=private))
        assert [reply.caller for reply in replies(out)] == [caller]


# ---------------------------------------------------------------- endings


@pytest.mark.parametrize("route", [PIN, Later(5)])
@pytest.mark.parametrize("said", [True, False])
def test_a_caller_who_leaves_on_a_detour_has_cancelled(route: Route, said: bool) -> None:
    call = run(inbound(route), *([UP] if route is PIN else []))[0]
    leaving = [facts.EndRequested(CALLER)] if said else []
    call, out = run(call, *leaving, facts.HungUp(CALLER, 16), at=NOW + 5)
    assert ended(call) == "cancelled cancelled/cancelled_by_caller by caller"
    assert published(out) == ["call.cancelled"]
    assert record(call).duration_s == 0


@pytest.mark.parametrize("order", [1, -1])
def test_a_refusal_after_a_detour_names_its_reason(order: int) -> None:
    call, out = run(gathering(), routed(Reject(21, "wrong_pin")))
    assert [reply.route for reply in replies(out)] == [Reject(21, "wrong_pin")]
    call, out = run(call, *[UP, facts.HungUp(CALLER, 21)][::order], at=NOW + 5)
    assert ended(call) == "failed client_error/wrong_pin by gateway"
    assert published(out) == ["call.failed"]


def test_an_announcement_after_a_detour_is_answered_when_it_begins() -> None:
    call, out = run(gathering(), routed(Connect(Announcement("closed"))), at=NOW + 10)
    assert (call.answered_at, published(out)) == (NOW + 11, ["call.answered"])
    call, _ = run(call, facts.HungUp(CALLER, 16), at=NOW + 20)
    assert ended(call) == "completed success/announcement_finished by gateway"


def test_the_api_may_cancel_a_detour() -> None:
    call, out = run(gathering(), facts.HangupAsked(Ender.API, "hangup"))
    assert any(isinstance(order, orders.Hangup) for order in out)
    call, out = run(call, routed(TO_FAR), facts.HungUp(CALLER, 16))
    assert [type(reply.route) for reply in replies(out)] == [Reject]
    assert ended(call) == "cancelled cancelled/cancelled_by_api by api"


def test_a_far_end_that_is_busy_after_a_detour() -> None:
    sequence = (routed(TO_FAR), facts.Dialed(CALLEE, B), facts.HungUp(CALLEE, 17, 486))
    call, _ = run(gathering(), *sequence, facts.HungUp(CALLER, 17))
    assert ended(call) == "busy far_end/busy by callee"


def test_what_the_switch_ended_by_itself_is_not_the_callers_doing() -> None:
    call, _ = run(gathering(), facts.HungUp(CALLER, 41), at=NOW + 5)
    assert ended(call) == "failed server_error/question_not_asked by switch"


# ---------------------------------------------------------------- an answer that was lost


def test_an_answer_lost_on_a_detour_ends_as_too_late() -> None:
    call, _ = run(gathering(), facts.AnswerLost())
    assert not call.on_detour
    assert waiting(call) == {"apology": 2 + PATIENCE.apology_s - 1}
    after, _ = run(call, facts.EndRequested(CALLER), facts.HungUp(CALLER, 41), at=NOW + 5)
    assert ended(after) == "failed server_error/answer_too_late by gateway"
    after, _ = run(call, routed(TO_FAR))
    assert after.route is PIN


@pytest.mark.parametrize("route", [PIN, TO_FAR])
def test_whoever_the_fallback_joins_by_itself_is_not_hung_up(route: Route) -> None:
    call, _ = run(inbound(route), facts.AnswerLost())
    call, out = run(call, facts.Dialed(CALLEE, B), facts.Rang(CALLEE), facts.Answered(CALLEE), UP, at=NOW + 2)
    assert not any(isinstance(order, orders.Hangup) for order in out)
    assert call.status is CallStatus.IN_PROGRESS
    assert set(waiting(call)) == {"max_duration"}
    call, _ = run(call, facts.EndRequested(CALLEE), facts.HungUp(CALLEE, 16), facts.HungUp(CALLER, 16))
    assert ended(call) == "completed success/hangup_by_callee by callee"


def test_the_fallback_may_join_a_caller_whose_gateway_died_on_the_detour() -> None:
    call, out = run(gathering(), facts.Dialed(CALLEE, B), facts.SeenLive(CALLEE, up=True))
    assert not any(isinstance(order, orders.Hangup) for order in out)
    assert (call.status, call.on_detour) == (CallStatus.IN_PROGRESS, False)


# ---------------------------------------------------------------- prompts, warnings, arranged ends


def test_a_prompt_on_the_way_has_its_time() -> None:
    call, out = run(gathering(), routed(replace(TO_FAR, caller_prompt="hi")), at=NOW, every=0)
    assert waiting(call) == {"connect": PATIENCE.connect_s + PATIENCE.prompt_s}
    assert replies(out)[0].backstop_max_s == PATIENCE.prompt_s + 60 + 3600 + PATIENCE.backstop_s
    told = replace(TO_FAR, callee_prompt="hi")
    call, _ = run(inbound(told), facts.Dialed(CALLEE, B), facts.Answered(CALLEE), at=NOW, every=0)
    assert waiting(call) == {"answer": PATIENCE.answer_s + PATIENCE.prompt_s}


@pytest.mark.parametrize(
    ("warn_s", "limits"),
    [(0, (0, 0)), (30, (65, 35)), (59, (65, 64)), (60, (0, 0)), (90, (0, 0)), (-1, (0, 0))],
)
def test_the_switch_warns_as_long_before_the_end_that_we_make(warn_s: int, limits: tuple[int, int]) -> None:
    _, out = run(gathering(), routed(replace(TO_FAR, warn_s=warn_s), max_duration_s=60))
    (reply,) = replies(out)
    assert (reply.limit_s, reply.warn_s) == limits


def test_an_arranged_end_comes_at_its_time_and_the_earliest_counts() -> None:
    call, _ = run(inbound(), facts.Dialed(CALLEE, B), facts.Answered(CALLEE), UP)
    for after_s in (60.0, 30.0, 90.0):
        call, out = step(call, facts.HangupAsked(Ender.GATEWAY, "session_ended", after_s), NOW + 10)
        assert out == ()
    assert next_deadline(call) == NOW + 40
    call, out = step(call, facts.TimerFired(), NOW + 40)
    assert len(out) == 2
    call, _ = run(call, facts.HungUp(CALLEE, 16), facts.HungUp(CALLER, 16), at=NOW + 40)
    assert ended(call) == "completed success/session_ended by gateway"


def test_who_hangs_up_before_an_arranged_end_has_ended_the_call() -> None:
    call, _ = run(inbound(), facts.Dialed(CALLEE, B), facts.Answered(CALLEE), UP)
    arranged = facts.HangupAsked(Ender.GATEWAY, "session_ended", 30.0)
    call, _ = run(
        call, arranged, facts.EndRequested(CALLEE), facts.HungUp(CALLEE, 16), facts.HungUp(CALLER, 16)
    )
    assert ended(call) == "completed success/hangup_by_callee by callee"


def test_a_session_that_ends_while_its_call_rings_cancels_it() -> None:
    call, _ = run(inbound(), facts.Dialed(CALLEE, B), facts.Rang(CALLEE))
    call, _ = run(call, facts.HangupAsked(Ender.GATEWAY, "session_ended"))
    call, _ = run(call, facts.HungUp(CALLEE, 16, 487), facts.HungUp(CALLER, 16))
    assert ended(call) == "cancelled cancelled/session_ended by gateway"
