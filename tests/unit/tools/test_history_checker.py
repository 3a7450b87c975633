"""The judge of recorded histories finds each kind of fault, and excuses what nobody can know."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from tools.verify_pool.checker import check
from tools.verify_pool.history import History, Op, Person, Recorder, Told, read

pytestmark = pytest.mark.unit

A, B, C = "+1001", "+1002", "+1003"
X, Y = "+9001", "+9002"


def told(session: str, *people: tuple[str, str], ends_at: float = 1000.0) -> Told:
    return Told(session, tuple(Person(key, proxy, seat) for seat, (key, proxy) in enumerate(people)), ends_at)


def opened(session: str, at: float, *people: tuple[str, str], ends_at: float = 1000.0) -> Op:
    keys = tuple(key for key, _ in people)
    return Op("open", at, at + 1, session, keys, told(session, *people, ends_at=ends_at))


def closed(session: str, at: float) -> Op:
    return Op("close", at, at + 1, session)


def looked_up(at: float, key: str, proxy: str, found: tuple[str, int, str] | None) -> Op:
    if found is None:
        return Op("resolve", at, at + 1, key=key, proxy=proxy)
    session, seat, target = found
    return Op("resolve", at, at + 1, key=key, proxy=proxy, told=told(session), seat=seat, target=target)


def faults(*ops: Op, quarantine_s: float = 50.0) -> Sequence[str]:
    return [fault.kind for fault in check(History(quarantine_s, ops)).faults]


FIRST = opened("s1", 0, (A, X), (B, Y))


def test_a_true_run_has_no_fault():
    again = opened("s2", 20, (A, X), (B, Y))
    assert not faults(
        FIRST,
        looked_up(5, A, X, ("s1", 0, B)),
        closed("s1", 10),
        looked_up(15, A, X, None),
        again,
        opened("s3", 90, (C, X), (A, Y)),
    )


def test_two_sessions_behind_one_door_at_one_time():
    assert faults(FIRST, opened("s2", 5, (A, X), (C, Y))) == ["double_assignment"]


def test_a_door_given_to_others_before_its_quarantine_is_over():
    assert faults(FIRST, closed("s1", 10), opened("s2", 20, (A, X), (C, Y))) == ["reuse_in_quarantine"]
    assert not faults(FIRST, closed("s1", 10), opened("s2", 61, (A, X), (C, Y)))


def test_the_quarantine_of_an_expired_session_counts_from_its_end():
    short = opened("s1", 0, (A, X), (B, Y), ends_at=30.0)
    assert faults(short, opened("s2", 70, (A, X), (C, Y))) == ["reuse_in_quarantine"]


def test_a_caller_connected_with_somebody_else():
    assert faults(FIRST, looked_up(5, A, X, ("s1", 0, C))) == ["wrong_party"]
    assert faults(FIRST, looked_up(5, A, X, ("s1", 1, B))) == ["wrong_party"]
    assert faults(FIRST, looked_up(5, C, X, ("s1", 0, B))) == ["wrong_party"]


def test_a_caller_connected_after_the_end():
    assert faults(FIRST, closed("s1", 10), looked_up(15, A, X, ("s1", 0, B))) == ["late"]
    short = opened("s1", 0, (A, X), (B, Y), ends_at=30.0)
    assert faults(short, looked_up(31, A, X, ("s1", 0, B))) == ["late"]


def test_a_look_up_beside_the_closing_may_have_come_first():
    assert not faults(FIRST, closed("s1", 10), looked_up(10.5, A, X, ("s1", 0, B)))
    assert not faults(FIRST, closed("s1", 10), looked_up(10.5, A, X, None))


def test_a_live_session_that_is_not_found():
    assert faults(FIRST, looked_up(5, A, X, None)) == ["lost"]
    assert faults(FIRST, Op("get", 5, 6, "s1")) == ["lost"]


def test_whoever_was_replaced_no_longer_gets_through():
    changed = Op("change", 10, 11, "s1", (A, C), told("s1", (A, X), (C, Y)))
    assert faults(FIRST, changed, looked_up(15, B, Y, ("s1", 1, A))) == ["late"]
    assert faults(FIRST, changed, looked_up(15, A, X, ("s1", 0, B))) == ["late"]
    assert not faults(FIRST, changed, looked_up(15, A, X, ("s1", 0, C)))


def test_a_number_that_was_handed_on_within_its_session_rests_after_it_alone():
    changed = Op("change", 10, 11, "s1", (A, C), told("s1", (A, X), (C, Y)))
    assert not faults(FIRST, changed, closed("s1", 20), opened("s2", 25, (A, X), (C, Y)))
    assert faults(FIRST, changed, closed("s1", 20), opened("s2", 25, (B, Y), (C, X))) == [
        "reuse_in_quarantine"
    ]


def test_a_rest_that_gave_way_to_the_same_two_is_over_whoever_comes_into_their_new_session():
    again = opened("s2", 20, (A, X), (B, Y))
    handed = Op("change", 24, 25, "s2", (A, C), told("s2", (A, X), (C, "+9003")))
    theirs = opened("s3", 34, (A, X), (C, "+9003"))
    assert not faults(FIRST, closed("s1", 10), again, handed, closed("s2", 30), theirs)
    others = opened("s3", 34, (A, X), ("+1004", "+9004"))
    assert faults(FIRST, closed("s1", 10), again, handed, closed("s2", 30), others) == ["reuse_in_quarantine"]
    assert faults(FIRST, closed("s1", 10), theirs) == ["reuse_in_quarantine"]


def test_what_was_never_answered_may_have_happened_or_not():
    unsure = Op("open", 0, None, "s1", (A, B))
    assert not faults(unsure, looked_up(5, A, X, ("s1", 0, B)))
    assert not faults(unsure, looked_up(5, A, X, None))
    assert faults(unsure, looked_up(5, A, X, ("s1", 0, C))) == ["wrong_party"]
    half_closed = Op("close", 10, None, "s1")
    assert not faults(FIRST, half_closed, looked_up(15, A, X, ("s1", 0, B)))
    assert not faults(FIRST, half_closed, looked_up(15, A, X, None))


def test_a_use_moves_the_end_on():
    short = opened("s1", 0, (A, X), (B, Y), ends_at=30.0)
    used = Op("use", 20, 21, "s1", told=told("s1", (A, X), (B, Y), ends_at=50.0))
    assert not faults(short, used, looked_up(40, A, X, ("s1", 0, B)))
    assert faults(short, used, looked_up(40, A, X, None)) == ["lost"]
    assert faults(short, used, looked_up(51, A, X, ("s1", 0, B))) == ["late"]


def test_a_history_is_kept_and_read_back(tmp_path: Path):
    ops = (FIRST, closed("s1", 10), looked_up(5, A, X, ("s1", 0, B)))
    recorder = Recorder(tmp_path / "run.jsonl", 50.0)
    for op in ops:
        recorder.note(op)
    recorder.close()
    kept = read(tmp_path / "run.jsonl")
    assert (kept.quarantine_s, tuple(kept.ops)) == (50.0, ops)
    assert tuple(kept.ops) == ops, "a second walk finds the same"


def test_a_door_with_very_many_tenures_is_judged_in_one_walk():
    ops = [
        op
        for n in range(20_000)
        for op in (opened(f"s{n}", 100 * n, (A, X), (B, Y), ends_at=1e9), closed(f"s{n}", 100 * n + 10))
    ]
    assert not faults(*ops)
    assert faults(*ops, opened("s", 100 * 19_999 + 20, (A, X), (C, "+9003"), ends_at=1e9)) == [
        "reuse_in_quarantine"
    ]
