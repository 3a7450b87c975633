"""The rules by which a text goes on or not, without any store."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_pool.core.number import PoolNumber
from proxy_pool.core.party import PhoneParty
from proxy_pool.core.reach import NeedsPin, Reached, Refusal, Refused
from proxy_pool.core.receipts import RANK
from proxy_pool.core.relay import (
    PHONES,
    Circumstances,
    Dropped,
    Passed,
    Stopped,
    carry,
    countries_in,
    event_of,
    interaction_of,
    writer,
)
from proxy_pool.core.session import Channel, Model, Participant, Redaction, Session, SessionId, Terms
from proxy_pool.core.text import InboundText, ReceiptState
from telephony.ids import TenantId
from telephony.numbers import E164

pytestmark = pytest.mark.unit

ANN, BEN = E164("+14155550111"), E164("+447700900123")
X, Y = E164("+14155550100"), E164("+442079460100")
NUMBER = PoolNumber("num_1", TenantId("t"), Y, 1, "GB", "20", frozenset(Channel), carrier="sim")
WAY = Reached(BEN, 0, 1, Y, ring_s=30, max_s=60)
KNOWN = Circumstances(NUMBER)


def session(redaction: Redaction = Redaction.OFF) -> Session:
    return Session(
        SessionId("ses_1"),
        TenantId("t"),
        Model.PAIR,
        Terms(redaction=redaction),
        (Participant(0, ANN, X), Participant(1, BEN, Y)),
        0.0,
        1e9,
    )


def came(sender: str, carrier: str = "sim") -> InboundText:
    return InboundText(carrier, "m", sender, X, "hi")


@pytest.mark.parametrize(
    ("sender", "carrier", "who"),
    [
        ("+14155550111", "sim", ANN),
        ("phone:alice", PHONES, PhoneParty("alice")),
        ("phone:alice", "sim", Dropped.NO_NUMBER),
        ("phone:", PHONES, Dropped.NO_NUMBER),
        ("phone:a\r\nb", PHONES, Dropped.NO_NUMBER),
        ("14155550111", "sim", Dropped.NO_NUMBER),
        ("0014155550111", "sim", Dropped.NO_NUMBER),
        ("+112", "sim", Dropped.NO_NUMBER),
        ("112", "sim", Dropped.NO_NUMBER),
        ("Taxi", "sim", Dropped.NO_NUMBER),
        ("+١٤١٥٥٥٥٠١١١", "sim", Dropped.NO_NUMBER),
    ],
)
def test_who_wrote(sender: str, carrier: str, who: object):
    assert writer(came(sender, carrier), to_ours=True, from_ours=False) == who


def test_a_loop_and_a_foreign_number_are_dropped_whoever_writes():
    assert writer(came("+14155550111"), to_ours=True, from_ours=True) is Dropped.LOOP
    assert writer(came("+14155550111"), to_ours=False, from_ours=False) is Dropped.NOT_OURS


@pytest.mark.parametrize(
    ("way", "known", "body", "outcome"),
    [
        (Refused(Refusal.CLOSED, 0), KNOWN, "hi", "session_closed"),
        (NeedsPin(0, "1234"), KNOWN, "hi", "pin_required"),
        (WAY, replace(KNOWN, opted_out=True), "hi", "opted_out"),
        (WAY, replace(KNOWN, number=None), "hi", "no_carrier"),
        (WAY, replace(KNOWN, number=replace(NUMBER, carrier="")), "hi", "no_carrier"),
        (WAY, replace(KNOWN, number=replace(NUMBER, capabilities=frozenset())), "hi", "no_carrier"),
        (WAY, KNOWN, " \n ", "nothing_to_relay"),
        (WAY, KNOWN, "a" * 1531, "too_long"),
    ],
)
def test_why_a_text_does_not_go_on(way: object, known: Circumstances, body: str, outcome: str):
    verdict = carry(session(), way, body, known)  # type: ignore[arg-type]
    assert isinstance(verdict, Stopped)
    assert (verdict.status, verdict.outcome) == ("refused", outcome)


@given(st.text(min_size=1, max_size=300))
def test_a_text_that_goes_on_goes_to_the_way_s_target_from_the_number_it_knows(body: str):
    verdict = carry(session(), WAY, body, KNOWN)
    if isinstance(verdict, Passed):
        assert (verdict.draft.to, verdict.draft.sender, verdict.draft.carrier) == (BEN, Y, "sim")
        assert (verdict.from_seat, verdict.to_seat) == (0, 1)
        assert 1 <= verdict.segments <= 10


def test_a_phone_needs_no_carrier_and_a_picture_no_words():
    to_phone = carry(session(), replace(WAY, target=PhoneParty("alice")), "hi", Circumstances(None))
    assert isinstance(to_phone, Passed)
    assert to_phone.draft.carrier == PHONES
    assert isinstance(carry(session(), WAY, "", replace(KNOWN, media=1)), Passed)


def test_redaction_reads_numbers_as_both_sides_countries_write_them():
    assert countries_in(session()) == ("US", "GB")
    for words in ("call 07700 900456", "call 415-555-0123"):
        blocked = carry(session(Redaction.BLOCK), WAY, words, KNOWN)
        assert isinstance(blocked, Stopped)
        assert (blocked.status, blocked.outcome, blocked.flags) == ("blocked", "redaction", ("number",))


def test_what_was_lost_on_the_way_is_flagged():
    verdict = carry(session(), WAY, "hi", replace(KNOWN, lost=1, missing=(2,)))
    assert verdict.flags == ("media_removed", "incomplete")


def test_a_stopped_text_is_over_at_once_and_a_passed_one_is_not():
    stopped = carry(session(), Refused(Refusal.NOBODY, 0), "hi", KNOWN)
    over = interaction_of(session(), "msg_A", X, stopped, 5.0, 6.0)
    assert (over.status, over.ended_at, over.outcome) == ("refused", 6.0, "nobody_to_reach")
    under_way = interaction_of(session(), "msg_A", X, carry(session(), WAY, "hi", KNOWN), 5.0, 6.0)
    assert (under_way.status, under_way.ended_at, under_way.id) == ("queued", None, "int_A")


def test_every_state_beyond_the_queue_is_told():
    told = {state: event_of(state) for state in ReceiptState}
    assert told.pop(ReceiptState.QUEUED) is None
    assert told[ReceiptState.SENT] == "message.sent"
    assert told[ReceiptState.DELIVERED] == "message.delivered"
    failures = {state for state in told if RANK[state] == 3}
    assert {told[state] for state in failures} == {"message.failed"}
