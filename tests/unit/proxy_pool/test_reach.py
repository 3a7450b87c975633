"""Whom a seat reaches: every model, every bound in time, and nobody who must not be called."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_pool.core.party import Party, PhoneParty, key_of
from proxy_pool.core.reach import Approach, NeedsPin, Reached, Refusal, Refused, Way, reach
from proxy_pool.core.session import (
    SEAT_A,
    SEAT_B,
    VISITOR,
    Channel,
    Flow,
    Model,
    OnExpiry,
    Participant,
    PinMode,
    Session,
    SessionId,
    Status,
    Terms,
)
from telephony.ids import TenantId
from telephony.numbers import E164

pytestmark = pytest.mark.unit

ANNE, BOB, CARL = E164("+14155550101"), E164("+14155550102"), PhoneParty("carl")
P_ANNE, P_BOB = E164("+12025550191"), E164("+12025550192")
NOW, END = 1_000.0, 2_000.0


def session(model: Model = Model.PAIR, *, others: tuple[Party, ...] = (BOB,), **terms: object) -> Session:
    people = [Participant(SEAT_A, ANNE, P_ANNE, "111213")]
    theirs = P_ANNE if model is Model.ANYONE else P_BOB
    people += [Participant(seat, one, theirs, f"21222{seat}") for seat, one in enumerate(others, 1)]
    return Session(
        id=SessionId("ses_01JAY0000000000000000000AA"),
        tenant=TenantId("tnt_1"),
        model=model,
        terms=replace(Terms(max_lifetime_s=2_000), **terms),  # type: ignore[arg-type]
        participants=tuple(people),
        created_at=0.0,
        ends_at=END,
    )


def reached(way: Way) -> Reached:
    assert isinstance(way, Reached), way
    return way


def voice(one: Session, seat: int, now: float = NOW, **how: object) -> Way:
    return reach(one, seat, Channel.VOICE, now, Approach(**how))  # type: ignore[arg-type]


@pytest.mark.parametrize(("seat", "target", "to_seat", "cli"), [(0, BOB, 1, P_BOB), (1, ANNE, 0, P_ANNE)])
def test_a_pair_reaches_each_other_and_sees_the_number_it_knows(
    seat: int, target: Party, to_seat: int, cli: E164
) -> None:
    found = reached(voice(session(), seat))
    assert (found.target, found.seat, found.to_seat, found.cli) == (target, seat, to_seat, cli)


def test_a_visitor_reaches_nobody_in_a_pair_or_a_group() -> None:
    for model in (Model.PAIR, Model.GROUP):
        assert voice(session(model), VISITOR) == Refused(Refusal.NOBODY, VISITOR)


def test_a_seat_that_nobody_has_reaches_nobody() -> None:
    assert voice(session(), 7) == Refused(Refusal.NOBODY, 7)


def test_an_open_number_leads_visitors_to_party_a_and_party_a_to_the_temporary_callee() -> None:
    anyone = session(Model.ANYONE)
    assert reached(voice(anyone, VISITOR)).target == ANNE
    assert reached(voice(anyone, SEAT_A)).target == BOB
    assert reached(voice(anyone, SEAT_A)).cli == P_ANNE
    assert voice(session(Model.ANYONE, others=()), SEAT_A) == Refused(Refusal.NOBODY, SEAT_A)


def test_an_extension_leads_to_party_a() -> None:
    shared = session(Model.EXTENSION, others=())
    found = reached(voice(shared, VISITOR))
    assert (found.target, found.seat, found.to_seat, found.cli) == (ANNE, VISITOR, SEAT_A, P_ANNE)
    assert voice(shared, SEAT_A) == Refused(Refusal.NOBODY, SEAT_A)


def test_party_a_of_a_group_reaches_the_member_heard_from_last() -> None:
    group = session(Model.GROUP, others=(BOB, CARL))
    assert reached(voice(group, SEAT_A)).target == BOB
    assert reached(voice(replace(group, last_seat=2), SEAT_A)).target == CARL
    assert reached(voice(replace(group, last_seat=9), SEAT_A)).target == BOB
    for member in (1, 2):
        assert reached(voice(group, member)).target == ANNE


def test_a_session_is_routable_until_its_end_and_never_from_its_end_on() -> None:
    for on_expiry in OnExpiry:
        one = session(on_expiry=on_expiry)
        assert isinstance(voice(one, SEAT_A, END - 0.001), Reached)
        assert voice(one, SEAT_A, END) == Refused(Refusal.EXPIRED, SEAT_A)
    assert voice(replace(session(), status=Status.CLOSED), SEAT_A) == Refused(Refusal.CLOSED, SEAT_A)


def test_only_the_channels_of_the_session_are_open() -> None:
    one = session(channels=frozenset({Channel.SMS}))
    assert voice(one, SEAT_A) == Refused(Refusal.CHANNEL, SEAT_A)
    assert isinstance(reach(one, SEAT_A, Channel.SMS, NOW), Reached)


@pytest.mark.parametrize(
    ("flow", "open_to"),
    [(Flow.BOTH, {SEAT_A, SEAT_B}), (Flow.A_TO_B, {SEAT_A}), (Flow.B_TO_A, {SEAT_B})],
)
def test_only_the_side_that_may_begins(flow: Flow, open_to: set[int]) -> None:
    one = session(flow=flow)
    assert {seat for seat in (SEAT_A, SEAT_B) if isinstance(voice(one, seat), Reached)} == open_to


def test_a_visitor_counts_as_the_other_side() -> None:
    assert voice(session(Model.ANYONE, flow=Flow.A_TO_B), VISITOR) == Refused(Refusal.DIRECTION, VISITOR)
    assert isinstance(voice(session(Model.ANYONE, flow=Flow.B_TO_A), VISITOR), Reached)


def test_a_forced_pin_is_the_own_one_and_no_other() -> None:
    asked = voice(session(pin_mode=PinMode.ALWAYS), SEAT_B)
    assert isinstance(asked, NeedsPin)
    assert asked.shown_by("212221")
    assert not asked.shown_by("111213")
    assert not asked.shown_by("")
    assert "212221" not in repr(asked)
    assert isinstance(voice(session(pin_mode=PinMode.ALWAYS), SEAT_B, pin_shown=True), Reached)
    assert isinstance(voice(session(pin_mode=PinMode.UNKNOWN), SEAT_B), Reached)


def test_nobody_can_show_a_pin_that_does_not_exist() -> None:
    assert not NeedsPin(SEAT_B, "").shown_by("")


@pytest.mark.parametrize("mode", [PinMode.UNKNOWN, PinMode.ALWAYS])
@pytest.mark.parametrize("model", [Model.ANYONE, Model.EXTENSION])
def test_a_visitor_without_the_pin_is_nobody(mode: PinMode, model: Model) -> None:
    one = session(model, others=(), pin_mode=mode)
    assert voice(one, VISITOR) == Refused(Refusal.PIN, VISITOR)
    assert isinstance(voice(one, VISITOR, pin_shown=True), Reached)


def test_nobody_is_called_who_must_not_be() -> None:
    def refused(**how: object) -> Way:
        return voice(session(), SEAT_A, **how)

    assert refused(caller=key_of(BOB)) == Refused(Refusal.SAME_PARTY, SEAT_A)
    assert refused(ours=lambda number: number == BOB) == Refused(Refusal.LOOP, SEAT_A)
    assert refused(emergency=lambda number: number == BOB) == Refused(Refusal.EMERGENCY, SEAT_A)
    phone = session(others=(CARL,))
    assert reached(voice(phone, SEAT_A, ours=lambda _: True, emergency=lambda _: True)).target == CARL


def test_what_each_party_hears_goes_with_the_party() -> None:
    one = session(announce_a="tts/a", announce_b="tts/b", record=True)
    from_a, from_b = reached(voice(one, SEAT_A)), reached(voice(one, SEAT_B))
    assert (from_a.caller_prompt, from_a.callee_prompt) == ("tts/a", "tts/b")
    assert (from_b.caller_prompt, from_b.callee_prompt) == ("tts/b", "tts/a")
    assert from_a.record


TIMES = [
    (OnExpiry.FINISH, 3600, False, (3600, 0, None)),
    (OnExpiry.FINISH, 3600, True, (3600, 30, None)),
    (OnExpiry.END_NOW, 3600, True, (1000, 0, END)),
    (OnExpiry.END_NOW, 600, True, (600, 30, END)),
    (OnExpiry.END_NOW, 600, False, (600, 0, END)),
    (OnExpiry.WARN_THEN_END, 3600, False, (1030, 30, END + 30)),
    (OnExpiry.WARN_THEN_END, 1030, False, (1030, 0, END + 30)),
    (OnExpiry.WARN_THEN_END, 600, True, (600, 30, END + 30)),
]


@pytest.mark.parametrize(("on_expiry", "limit", "warned", "times"), TIMES)
def test_the_earlier_end_wins(
    on_expiry: OnExpiry, limit: int, warned: bool, times: tuple[int, int, float | None]
) -> None:
    one = session(on_expiry=on_expiry, call_limit_s=limit, warn_before_limit=warned)
    found = reached(voice(one, SEAT_A))
    assert (found.max_s, found.warn_s, found.cut_at) == times


def test_a_sliding_end_has_slid_on_when_the_conversation_begins() -> None:
    one = session(on_expiry=OnExpiry.END_NOW, ttl_s=1_500, max_lifetime_s=9_000)
    assert reached(voice(one, SEAT_A)).cut_at == NOW + 1_500
    bounded = replace(one, terms=replace(one.terms, expires_at=2_100.0))
    assert reached(voice(bounded, SEAT_A)).max_s == 1_100
    assert voice(one, SEAT_A, END) == Refused(Refusal.EXPIRED, SEAT_A)


@given(
    left=st.floats(min_value=0.001, max_value=10_000, allow_nan=False),
    limit=st.integers(1, 14_400),
    warn=st.integers(0, 600),
    ring=st.integers(1, 300),
    on_expiry=st.sampled_from(OnExpiry),
    warned=st.booleans(),
)
def test_times_are_whole_seconds_that_fit_into_one_another(
    left: float, limit: int, warn: int, ring: int, on_expiry: OnExpiry, warned: bool
) -> None:
    one = session(
        on_expiry=on_expiry,
        call_limit_s=limit,
        warn_s=warn,
        ring_timeout_s=ring,
        warn_before_limit=warned,
    )
    if END - left >= END:
        return
    found = reached(voice(one, SEAT_A, END - left))
    assert 1 <= found.max_s <= limit
    assert 0 <= found.warn_s < found.max_s
    assert 1 <= found.ring_s <= ring
    assert found.ring_s <= max(1.0, left)
    if on_expiry is OnExpiry.END_NOW:
        assert found.max_s <= max(1.0, left)
