"""25 bytes say what stands behind a door, and which of two such statements is the newer."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ulid import ULID

from proxy_pool.core.packed import (
    SIZE,
    Drift,
    State,
    drift,
    entry_of,
    milliseconds,
    pack,
    passed,
    state_of,
    supersedes,
    suspended,
)
from proxy_pool.core.session import Entry, Hold, SessionId
from telephony.errors import UnsafeValue

pytestmark = pytest.mark.unit

NOW = 1_772_971_200.0
NOW_MS = milliseconds(NOW)


def session(number: int) -> SessionId:
    return SessionId(f"ses_{ULID.from_int(number)}")


def entry(
    owner: int = 1, hold: Hold = Hold.LIVE, version: int = 1, until: float = NOW + 60, seat: int = 0
) -> Entry:
    return Entry(session(owner), seat, hold, until, version)


settled = st.builds(
    Entry,
    st.integers(0, 2**128 - 1).map(session),
    st.integers(-1, 254),
    st.sampled_from([Hold.LIVE, Hold.QUARANTINED]),
    st.integers(0, 2**41).map(lambda ms: ms / 1000),
    st.integers(0, 16_383),
)


@given(settled)
def test_what_is_packed_is_unpacked(said: Entry):
    packed = pack(said)
    assert len(packed) == SIZE
    assert entry_of(packed) == said


@given(st.floats(0, 4e9), st.floats(0, 4e9))
def test_an_end_is_never_late(until: float, now: float):
    packed = pack(entry(until=until))
    if now >= until:
        assert passed(packed, milliseconds(now))
    if now <= until - 0.0011:
        assert not passed(packed, milliseconds(now))


def test_versions_come_back_modulo_16384():
    unpacked = entry_of(pack(entry(version=16_385)))
    assert unpacked is not None
    assert unpacked.version == 1


@pytest.mark.parametrize(
    "odd",
    [
        Entry(SessionId("call_01ARZ3NDEKTSV4RRFFQ69G5FAV"), 0, Hold.LIVE, NOW),
        Entry(SessionId("ses_short"), 0, Hold.LIVE, NOW),
        Entry(SessionId("ses_81ARZ3NDEKTSV4RRFFQ69G5FAV"), 0, Hold.LIVE, NOW),
        entry(seat=255),
        entry(seat=-2),
        entry(until=-1.0),
    ],
)
def test_what_cannot_be_packed_is_refused(odd: Entry):
    with pytest.raises(UnsafeValue):
        pack(odd)


@pytest.mark.parametrize("state", [State.RESERVED, State.SUSPENDED])
def test_what_is_pending_names_nobody(state: State):
    assert entry_of(pack(entry(), state)) is None


def test_bytes_of_another_layout_name_nobody():
    assert entry_of(b"") is None
    assert entry_of(bytes(24)) is None


def test_a_suspension_remembers_whom_it_suspends():
    packed = suspended(pack(entry(7, version=9, seat=3)), NOW + 60)
    assert state_of(packed) is State.SUSPENDED
    assert packed[:16] == pack(entry(7))[:16]
    assert supersedes(pack(entry(7, version=10)), packed, NOW_MS)
    assert not supersedes(pack(entry(7, version=9)), packed, NOW_MS)


STATEMENTS = [
    pack(entry(owner, hold, version)) for owner in (1, 2) for version in (1, 2) for hold in list(Hold)[1:]
]


@given(st.permutations(range(4)), st.integers(1, 2))
def test_in_whatever_order_one_sessions_statements_arrive_the_last_one_stays(order: list[int], owner: int):
    mine = [one for one in STATEMENTS if one[:16] == pack(entry(owner))[:16]]
    stands = mine[order[0]]
    for place in order[1:]:
        if supersedes(mine[place], stands, NOW_MS):
            stands = mine[place]
    assert entry_of(stands) == entry(owner, Hold.QUARANTINED, version=2)


def test_of_two_sessions_the_younger_live_one_stays():
    older, younger = pack(entry(1, version=9)), pack(entry(2, version=1))
    assert supersedes(younger, older, NOW_MS)
    assert not supersedes(older, younger, NOW_MS)
    assert supersedes(older, pack(entry(2, Hold.QUARANTINED)), NOW_MS)
    assert supersedes(older, pack(entry(2, version=0), State.RESERVED), NOW_MS)
    assert supersedes(older, pack(entry(2, until=NOW)), NOW_MS)


@pytest.mark.parametrize("new", STATEMENTS)
def test_nothing_gets_past_the_suspension_of_something_unknown(new: bytes):
    unknown = suspended(None, NOW + 60)
    assert not supersedes(new, unknown, NOW_MS)
    assert supersedes(new, unknown, milliseconds(NOW + 60))


@pytest.mark.parametrize(("new", "old"), itertools.product(STATEMENTS, repeat=2))
def test_no_statement_gets_past_a_suspension_but_a_newer_one(new: bytes, old: bytes):
    was, says = entry_of(old), entry_of(new)
    assert was is not None
    assert says is not None
    if supersedes(new, suspended(old, NOW + 60), NOW_MS):
        assert (says.session, says.version) > (was.session, was.version)


def test_versions_that_have_gone_round_are_still_newer():
    assert supersedes(pack(entry(version=16_384)), pack(entry(version=16_383)), NOW_MS)
    assert not supersedes(pack(entry(version=16_383)), pack(entry(version=16_384)), NOW_MS)


@pytest.mark.parametrize(
    ("stands", "expected"),
    [
        (pack(entry()), None),
        (None, Drift.MISSING),
        (pack(entry(until=NOW - 1)), Drift.MISSING),
        (pack(entry(until=NOW + 59)), Drift.BEHIND),
        (pack(entry(version=0)), Drift.BEHIND),
        (pack(entry(until=NOW + 61)), Drift.WRONG),
        (pack(entry(version=2)), Drift.WRONG),
        (pack(entry(hold=Hold.QUARANTINED)), Drift.WRONG),
        (pack(entry(owner=2)), Drift.WRONG),
        (pack(entry(seat=1)), Drift.WRONG),
        (b"odd", Drift.WRONG),
        (suspended(pack(entry(owner=2)), NOW + 9), None),
        (pack(entry(owner=2), State.RESERVED), None),
    ],
)
def test_drift(stands: bytes | None, expected: Drift | None):
    assert drift(entry(), stands, NOW_MS) is expected


def test_what_has_passed_needs_not_be_there():
    assert drift(entry(until=NOW - 1), None, NOW_MS) is None
