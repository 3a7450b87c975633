"""Passes, bans, grants and names: who may come in with what, and what of it is seen."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from telephony.errors import InvalidInput
from telephony.ids import TenantId
from tests.unit.video_rooms.rooms import a_room
from video_rooms.core.bans import ban_now, issued_at, opens, pass_time
from video_rooms.core.grants import LONGEST_S, SHORTEST_S, Who, grant, lifetime_s, must_wait
from video_rooms.core.live import PASS
from video_rooms.core.lobby import waits, was_admitted
from video_rooms.core.names import (
    bare_name,
    identity_shown,
    is_ours,
    live_name,
    number_shown,
    plain,
    prefix,
    shown,
    wire_name,
)
from video_rooms.core.room import Ban, Person, Presence, Role
from video_rooms.fakes_around import CountedChances

pytestmark = pytest.mark.unit

T0 = datetime(2026, 3, 8, 12, 0, 0, 123456, UTC)
MICROSECONDS = st.integers(0, 4_000_000_000_000_000)
MOMENTS = MICROSECONDS.map(lambda micros: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros))


def a_pass(at: datetime) -> dict[str, str]:
    return {PASS: CountedChances().pass_id(at)}


# ---------------------------------------------------------------- bans


@given(MOMENTS)
def test_a_pass_tells_when_it_was_made_to_the_millisecond(at: datetime) -> None:
    issued = issued_at(a_pass(at)[PASS])
    assert issued is not None
    assert timedelta(0) <= at - issued < timedelta(milliseconds=1)


@pytest.mark.parametrize("text", ["", "x" * 26, "0" * 25, "0" * 27, "8" + "0" * 25, "I" * 26, "0" * 25 + "u"])
def test_what_is_no_pass_tells_nothing(text: str) -> None:
    assert issued_at(text) is None
    assert opens({PASS: text}, None, T0)
    assert not opens({PASS: text}, Ban("r", "ann", T0), T0)


def test_the_last_ulid_is_beyond_every_calendar() -> None:
    assert issued_at("7" + "Z" * 25) is None


@given(MOMENTS, st.integers(-300_000, 300_000))
def test_a_ban_closes_what_was_issued_until_then_and_a_later_pass_opens(now: datetime, apart_ms: int) -> None:
    issued = now + timedelta(milliseconds=apart_ms)
    assume(issued.year >= 1970)
    ban = ban_now("r", "ann", a_pass(issued), now)
    assert ban.at >= now
    assert not opens(a_pass(issued), ban, now)
    assert not opens(a_pass(min(issued, now)), ban, now)
    assert not opens({}, ban, now)
    for later in (issued, now, ban.at):
        made_at = pass_time(later, ban)
        assert opens(a_pass(made_at), ban, later)
        assert made_at - max(later, ban.at) <= timedelta(milliseconds=1)


def test_a_pass_from_the_future_is_none_of_ours() -> None:
    forged = a_pass(T0 + timedelta(hours=1))
    ban = ban_now("r", "ann", forged, T0)
    assert ban.at == T0
    assert not opens(forged, ban, T0)


def test_without_a_ban_everybody_may_be_there() -> None:
    assert opens({}, None, T0)
    assert pass_time(T0, None) == T0


# ---------------------------------------------------------------- grants


@given(st.integers(-10, 100_000))
def test_a_pass_lasts_within_bounds_or_is_refused(ttl_s: int) -> None:
    who = Who("ann", "Ann", Role.PARTICIPANT, ttl_s)
    if SHORTEST_S <= ttl_s <= LONGEST_S:
        assert lifetime_s(who) == ttl_s
        assert grant(a_room(), who, "p", T0).expires_at == T0 + timedelta(seconds=ttl_s)
    else:
        with pytest.raises(InvalidInput):
            lifetime_s(who)


def test_a_guests_pass_is_short() -> None:
    assert lifetime_s(Who("g", "G", Role.PARTICIPANT, member=False)) == 3600
    assert {lifetime_s(Who("a", "A", role)) for role in Role} == {6 * 3600}


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("lobby", [False, True])
def test_only_guests_and_participants_wait(role: Role, lobby: bool) -> None:
    room = replace(a_room(), waiting_room=lobby)
    made = grant(room, Who("ann", "Ann", role), "p", T0)
    expected = lobby and role is Role.PARTICIPANT
    assert made.waiting is waits(made.attributes) is must_wait(room, role) is expected


def test_a_grant_says_whom_somebody_stands_for_only_where_that_was_said() -> None:
    made = grant(a_room(), Who("ann", "Ann", Role.HOST, user_id="u", contact_id=None), "p", T0)
    assert made.attributes == {"user_id": "u"}


def test_the_lobby_opens_again_to_the_same_pass_of_the_same_session() -> None:
    line = Person("r", "ann", "Ann", Role.PARTICIPANT, Presence.LEFT, session="s1", admitted="p1")
    assert was_admitted(line, "s1", {PASS: "p1"})
    assert not was_admitted(line, "s2", {PASS: "p1"})
    assert not was_admitted(line, "s1", {PASS: "p2"})
    assert not was_admitted(None, "s1", {PASS: ""})
    never = Person("r", "ann", "Ann", Role.PARTICIPANT, Presence.LEFT, session="s1")
    assert not was_admitted(never, "s1", {})


# ---------------------------------------------------------------- names

TENANTS = st.one_of(
    st.from_regex(r"\A[a-z]{2,5}_[0-9A-Za-z]{1,26}\Z"), st.text("ab_-0", min_size=1, max_size=8)
).map(TenantId)
NAMES = st.from_regex(r"\A[a-zA-Z0-9_-]{3,40}\Z")


@given(TENANTS, TENANTS, NAMES)
def test_no_name_reaches_another_tenants_room(ours: TenantId, theirs: TenantId, name: str) -> None:
    assume(ours != theirs)
    for asked in (name, prefix(theirs) + name):
        wire = wire_name(ours, asked)
        assert wire.startswith(prefix(ours))
        assert bare_name(theirs, wire) is None
        assert wire_name(theirs, asked) != wire


@given(TENANTS, NAMES)
def test_a_name_is_taken_with_the_prefix_and_without(tenant: TenantId, name: str) -> None:
    assume(not name.startswith("tenant_"))
    wire = wire_name(tenant, name)
    assert wire_name(tenant, wire) == wire
    assert bare_name(tenant, wire) == name


@given(TENANTS, TENANTS)
def test_scheduled_rooms_are_nobodys_passing_rooms(ours: TenantId, theirs: TenantId) -> None:
    name = live_name(ours, "x" * 32)
    assert is_ours(name)
    assert bare_name(theirs, name) is None
    assert not is_ours(wire_name(theirs, name))


@given(st.from_regex(r"\A\+[1-9][0-9]{6,14}\Z"))
def test_no_number_is_seen_whole(number: str) -> None:
    for text in (
        number_shown(number),
        shown(number),
        plain(number),
        identity_shown(number),
        shown(f"Ann {number}"),
    ):
        digits = "".join(one for one in text if one.isdigit())
        assert len(digits) <= 7
        assert number[1:] not in digits


@pytest.mark.parametrize(
    ("number", "seen"),
    [
        ("+12025550100", "+1 •••• 0100"),
        ("+79161234567", "+7 •••• 4567"),
        ("+4915123456789", "+49 •••• 6789"),
        ("+390612345678", "+39 •••• 5678"),
        ("+35312345678", "+353 •••• 5678"),
        ("+85212345678", "+852 •••• 5678"),
        ("+9711234567", "+971 •••• 4567"),
        ("07700900123", "••••"),
        ("+1234567", "••••"),
    ],
)
def test_a_number_is_seen_by_its_country_and_its_end(number: str, seen: str) -> None:
    assert number_shown(number) == seen


@pytest.mark.parametrize(
    "identity", ["user_2x7Q", "guest_8f2a01b7", "1234", "8e7c9a02-3e94-4f4f-b2a8-91d6b9b3a002"]
)
def test_an_identity_that_is_no_number_is_seen(identity: str) -> None:
    assert identity_shown(identity) == identity


@pytest.mark.parametrize(
    "identity", ["+447700900123", "447700900123", "tel:+447700900123", "sip:447700900123@x"]
)
def test_an_identity_that_is_a_number_is_masked(identity: str) -> None:
    assert identity_shown(identity) == "+44 •••• 0123"
