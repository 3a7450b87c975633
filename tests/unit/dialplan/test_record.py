"""What the world may know of a call: the record as it stands, and the one CDR at its end."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialplan.core import facts
from dialplan.core.call import Call, Direction, Ender, Terms
from dialplan.core.record import cause_name, cdr, iso, record, shown
from dialplan.core.waits import next_deadline
from telephony.causes import CallStatus, Cause, Result, Termination
from telephony.ids import TenantId
from tests.unit.dialplan.made_calls import (
    CALLEE,
    CALLER,
    HOLD,
    NOW,
    TO_FAR,
    B,
    inbound,
    outbound,
    run,
    talking,
)

pytestmark = pytest.mark.unit


def test_a_call_just_placed() -> None:
    known = record(outbound())
    assert (known.status, known.direction, known.sequence) == (CallStatus.INITIATING, Direction.OUTBOUND, 1)
    assert (known.created_at, known.answered_at, known.ended_at) == (NOW, None, None)
    assert (known.duration_s, known.hangup_cause, known.sip_code, known.ended_by) == (None, None, None, None)


def test_nothing_of_the_end_is_shown_before_it() -> None:
    call, _ = run(inbound(), facts.Dialed(CALLEE, B), facts.HungUp(CALLEE, 17, 486))
    known = record(call)
    assert (known.hangup_cause, known.sip_code, known.ended_by, known.termination) == (None, None, None, None)


def test_an_answered_call_by_the_second() -> None:
    # Facts come one a second: dialled 1, rang 2, answered 3 (callee) and 4 (caller), then 60 s of talk.
    call, _ = run(talking(), facts.EndRequested(CALLEE), facts.HungUp(CALLEE, 16), at=NOW + 64, every=0)
    call, _ = run(call, facts.HungUp(CALLER, 16), at=NOW + 64, every=0)
    told = cdr(call)
    assert (told.ring_s, told.talk_s, told.call.duration_s) == (1.0, 60.0, 61)
    assert (told.call.answered_at, told.call.ended_at) == (NOW + 3, NOW + 64)
    assert (told.caller_cause, told.callee_cause, told.late_facts) == (16, 16, 0)
    assert told.call.termination == Termination(Result.SUCCESS, "hangup_by_callee")
    assert told.call.ended_by is Ender.CALLEE


def test_an_answer_without_ringing_rang_for_no_time() -> None:
    call, _ = run(outbound(HOLD), facts.Dialed(CALLER), facts.Answered(CALLER), facts.HungUp(CALLER, 16))
    assert cdr(call).ring_s is None


def test_a_call_that_rang_in_vain() -> None:
    call, _ = run(outbound(), facts.Dialed(CALLER), facts.Rang(CALLER), facts.HungUp(CALLER, 19, 480))
    told = cdr(call)
    assert (told.ring_s, told.talk_s, told.call.duration_s) == (1.0, None, 0)
    assert (told.call.hangup_cause, told.call.sip_code) == (19, 480)


def test_an_answered_caller_who_was_never_joined_has_a_duration_and_no_talk() -> None:
    call, _ = run(
        outbound(TO_FAR),
        facts.Dialed(CALLER),
        facts.Answered(CALLER),
        facts.Asked(),
        facts.Dialed(CALLEE, B),
        facts.HungUp(CALLEE, 17, 486),
        facts.HungUp(CALLER, 17),
    )
    told = cdr(call)
    assert (told.talk_s, told.call.duration_s, told.call.status) == (None, 4, CallStatus.COMPLETED)


@pytest.mark.parametrize(("cause", "shown_as"), [(0, 16), (None, 16), (16, 16), (31, 31)])
def test_a_bye_without_a_reason_is_normal_clearing(cause: int | None, shown_as: int) -> None:
    call, _ = run(outbound(), facts.Dialed(CALLER), facts.Answered(CALLER), facts.HungUp(CALLER, cause))
    assert record(call).hangup_cause == shown_as


@pytest.mark.parametrize("cause", [0, None])
def test_an_unanswered_call_shows_the_cause_it_got(cause: int | None) -> None:
    call, _ = run(outbound(), facts.Dialed(CALLER), facts.HungUp(CALLER, cause))
    assert record(call).hangup_cause == cause


def test_late_facts_are_counted_until_the_end() -> None:
    call, _ = run(talking(), facts.Rang(CALLEE), facts.Rang(CALLEE), facts.Answered(CALLER))
    call, _ = run(call, facts.HungUp(CALLER, 16), facts.HungUp(CALLEE, 16))
    assert cdr(call).late_facts == 3


def test_a_record_that_tells_of_earlier_times_folds_to_no_negative_length() -> None:
    """The switch's own record, read after a gap, tells of moments before the last thing we heard."""
    call, _ = run(inbound(), facts.Dialed(CALLEE, B), facts.Rang(CALLEE), at=NOW + 10)
    call, _ = run(call, facts.Answered(CALLEE), facts.Answered(CALLER), at=NOW + 5, every=0)
    call, _ = run(call, facts.HungUp(CALLER, 16), facts.HungUp(CALLEE, 16), at=NOW + 4, every=0)
    told = cdr(call)
    assert (told.ring_s, told.talk_s, told.call.duration_s) == (0.0, 0.0, 0)


@pytest.mark.parametrize(
    ("cause", "name"),
    [(None, None), (16, "normal_clearing"), (17, "user_busy"), (0, "unknown"), (99, "cause_99")],
)
def test_causes_have_names(cause: int | None, name: str | None) -> None:
    assert cause_name(cause) == name
    assert len({cause_name(known) for known in Cause}) == len(Cause)


def test_times_are_utc_with_milliseconds() -> None:
    assert iso(None) is None
    assert iso(1_772_971_200.25) == "2026-03-08T12:00:00.250Z"
    assert iso(1_772_971_199.9999) == "2026-03-08T11:59:59.999Z"


def _busy() -> Call:
    call, _ = run(outbound(), facts.Dialed(CALLER), facts.HungUp(CALLER, 17, 486))
    return call


def test_the_public_form_is_json_and_tells_the_end() -> None:
    public = shown(record(_busy()))
    assert json.loads(json.dumps(public)) == public
    assert public["status"] == "busy"
    assert public["termination"] == {"result": "far_end", "reason": "busy"}
    assert (public["hangup_cause"], public["hangup_cause_code"], public["sip_code"]) == ("user_busy", 17, 486)
    assert (public["answered_at"], public["duration_seconds"]) == (None, 0)


def test_a_record_does_not_show_its_numbers_in_a_log() -> None:
    for call in (outbound(), _busy(), talking()):
        for text in (repr(record(call)), repr(call.terms), str(record(call))):
            assert "0101" not in text
            assert "0100" not in text


@pytest.mark.parametrize(
    ("direction", "to", "from_"),
    [
        (Direction.INBOUND, "+12025550100", "+141••••••01"),
        (Direction.OUTBOUND, "+120••••••00", "+14155550101"),
    ],
)
def test_the_real_number_of_a_private_call_is_shown_to_nobody_who_did_not_ask_for_it(
    direction: Direction, to: str, from_: str
) -> None:
    terms = Terms(TenantId("tnt_1"), direction, "+12025550100", "+14155550101", session_id="ses_1")
    known = record(replace(talking(), terms=terms))
    assert (shown(known)["to"], shown(known)["from"]) == ("+12025550100", "+14155550101")
    private = replace(known, private=True)
    assert (shown(private)["to"], shown(private)["from"]) == (to, from_)
    whole = shown(private, whole=True)
    assert (whole["to"], whole["from"]) == ("+12025550100", "+14155550101")
    assert whole["session_id"] == "ses_1"


def test_a_phone_of_ours_has_no_number_to_hide() -> None:
    terms = Terms(TenantId("tnt_1"), Direction.INBOUND, "+12025550100", "phone:alice", private=True)
    assert shown(record(replace(talking(), terms=terms)))["from"] == "phone:alice"


def test_a_closed_call_waits_for_nothing() -> None:
    assert next_deadline(_busy()) is None


@given(st.integers(0, 4_102_444_800_000_000))
def test_a_moment_is_told_as_the_calendar_tells_it_and_as_it_is_stored(micros: int) -> None:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
    wanted = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert iso(micros / 1_000_000) == wanted
