"""What the media server must know of our SIP trunks, and what is done where it does not."""

from __future__ import annotations

import json

import pytest

from video_rooms.core.trunk_ends import ELSEWHERE, why_not, why_not_called
from video_rooms.core.trunks import (
    RULE_LASTS_S,
    CallOut,
    Change,
    Drop,
    Inbound,
    Make,
    OneCall,
    Outbound,
    There,
    TrunkPlan,
    all_ours,
    identity_of,
    is_ours,
    judge,
    metadata_of,
    one_call,
)

pytestmark = pytest.mark.unit

IN = Inbound("rooms-1", "patchbay", "p" * 32, ("127.0.0.1/32",))
OUT = Outbound("127.0.0.1:5060", "room_sip", "q" * 32)
PLAN = TrunkPlan("mark", IN, OUT)
NOW = 1_000.0


def there(thing: Inbound | Outbound, id_: str, mark: str = "mark") -> There:
    return There(thing.kind, id_, metadata_of(mark, thing), thing)  # type: ignore[arg-type]


def rule(id_: str, until: int, mark: str = "mark") -> There:
    return There("rule", id_, metadata_of(mark, OneCall("r", "ST_1", "n", "c", until)))


def test_where_nothing_is_both_are_made() -> None:
    verdict = judge(PLAN, [], NOW)
    assert verdict.deeds == (Make(IN), Make(OUT))
    assert (verdict.inbound, verdict.outbound) == ("", "")


def test_where_all_is_as_wanted_nothing_is_done() -> None:
    verdict = judge(PLAN, [there(OUT, "ST_2"), there(IN, "ST_1")], NOW)
    assert verdict.deeds == ()
    assert (verdict.inbound, verdict.outbound) == ("ST_1", "ST_2")


@pytest.mark.parametrize(
    "shown",
    [
        Inbound("rooms-1", "patchbay", "another password", ("127.0.0.1/32",)),
        Inbound("rooms-1", "patchbay", "p" * 32, ("0.0.0.0/0",)),
        Inbound("rooms-2", "patchbay", "p" * 32, ("127.0.0.1/32",)),
        None,
    ],
)
def test_what_differs_is_changed_where_it_is(shown: Inbound | None) -> None:
    found = [There("inbound", "ST_1", metadata_of("mark", IN), shown), there(OUT, "ST_2")]
    assert judge(PLAN, found, NOW).deeds == (Change("ST_1", IN),)


def test_one_of_several_stays_and_it_is_the_same_for_everybody() -> None:
    found = [there(IN, "ST_9"), there(IN, "ST_1"), there(IN, "ST_5"), there(OUT, "ST_2")]
    for order in (found, found[::-1]):
        verdict = judge(PLAN, order, NOW)
        assert set(verdict.deeds) == {Drop("inbound", "ST_5"), Drop("inbound", "ST_9")}
        assert verdict.inbound == "ST_1"


def test_a_trunk_that_is_not_wanted_any_more_goes() -> None:
    verdict = judge(TrunkPlan("mark", IN), [there(IN, "ST_1"), there(OUT, "ST_2")], NOW)
    assert verdict.deeds == (Drop("outbound", "ST_2"),)
    assert verdict.outbound == ""


@pytest.mark.parametrize(
    "metadata",
    [
        "",
        "patchbay",
        "null",
        "[1]",
        "[" * 100_000,
        "{}",
        '{"patchbay": "mark"}',
        '{"patchbay": "other", "kind": "inbound"}',
        '{"patchbay": "mark", "kind": "outbound"}',
        '{"patchbay": {"mark": 1}, "kind": "inbound"}',
    ],
)
def test_what_does_not_say_that_it_is_ours_is_left_alone(metadata: str) -> None:
    theirs = There("inbound", "ST_1", metadata, IN)
    assert not is_ours(theirs, "mark")
    assert judge(PLAN, [theirs], NOW).deeds == (Make(IN), Make(OUT))
    assert all_ours("mark", [theirs]) == ()


def test_rules_live_as_long_as_they_are_worth_something() -> None:
    found = [there(IN, "a"), there(OUT, "b"), rule("old", 999), rule("due", 1_000), rule("theirs", 1, "x")]
    assert judge(PLAN, found, NOW).deeds == (Drop("rule", "old"),)
    broken = There("rule", "odd", json.dumps({"patchbay": "mark", "kind": "rule", "until": "soon"}))
    assert judge(PLAN, [*found[:2], broken], NOW).deeds == (Drop("rule", "odd"),)


def test_at_the_end_rules_go_before_the_trunk_that_they_name() -> None:
    found = [there(IN, "ST_1"), rule("SDR_9", 9_999), there(OUT, "ST_2"), there(IN, "ST_0", "other")]
    assert all_ours("mark", found) == (
        Drop("rule", "SDR_9"),
        Drop("inbound", "ST_1"),
        Drop("outbound", "ST_2"),
    )


def test_the_rule_of_a_call() -> None:
    made = one_call("rooms-1", "ST_1", "live", caller="c", now=NOW, attributes={"a": "b"})
    assert made == OneCall("live", "ST_1", "rooms-1", "c", int(NOW) + RULE_LASTS_S, {"a": "b"})
    assert json.loads(metadata_of("mark", made)) == {"patchbay": "mark", "kind": "rule", "until": 1_060}


def test_no_secret_is_shown_by_what_holds_it() -> None:
    told = repr((PLAN, one_call("rooms-1", "ST_1", "live", caller="secretname", now=NOW, attributes={})))
    assert not any(secret in told for secret in ("p" * 32, "q" * 32, "secretname"))


def test_the_identity_that_livekit_makes_of_a_hidden_caller() -> None:
    # sha256("alice") = 2bd806c97f0e00af1a1fc3328fa763a9…
    assert identity_of("alice") == "sip_2bd806c97f0e00af"


@pytest.mark.parametrize(
    ("cause", "why"),
    [
        (17, "no_room"),
        (18, "timeout"),
        (19, "timeout"),
        (20, "timeout"),
        (29, "refused"),
        *((cause, "unreachable") for cause in (None, 0, 1, 3, 16, 21, 34, 38, 41, 127, 999)),
    ],
)
def test_what_an_ending_says_of_the_room(cause: int | None, why: str) -> None:
    assert why_not(cause) == why


@pytest.mark.parametrize(
    ("status", "why"),
    [
        (408, "timeout"),
        (480, "timeout"),
        (487, "timeout"),
        (486, "no_room"),
        (600, "no_room"),
        (603, "refused"),
        *((status, "unreachable") for status in (0, 300, 400, 401, 403, 404, 407, 484, 500, 503, 699)),
    ],
)
def test_what_a_final_of_a_call_to_the_switch_says(status: int, why: str) -> None:
    assert why_not_called(status) == why


def test_where_the_switch_calls_nobody_there_is_one_trunk_and_no_other() -> None:
    plan = TrunkPlan("mark", None, OUT)
    assert judge(plan, [], NOW).deeds == (Make(OUT),)
    verdict = judge(plan, [there(IN, "ST_1"), there(OUT, "ST_2")], NOW)
    assert verdict.deeds == (Drop("inbound", "ST_1"),)
    assert (verdict.inbound, verdict.outbound) == ("", "ST_2")


def test_what_is_dialled_is_not_shown() -> None:
    assert "a" * 32 not in repr(CallOut("ST_1", "0" + "a" * 32, "live", "phone_0"))


def test_another_way_is_tried_where_the_room_was_not_meant() -> None:
    assert set(ELSEWHERE) == {"unreachable", "timeout"}
