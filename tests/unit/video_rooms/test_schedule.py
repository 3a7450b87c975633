"""When a room takes place, once and again."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.errors import Conflict, InvalidInput, NotFound
from tests.unit.video_rooms.rooms import BERLIN, a_room
from video_rooms.core.room import Recurrence
from video_rooms.core.schedule import (
    MOST,
    bounded_rule,
    check,
    is_open,
    moved,
    next_occurrence,
    next_start,
    occurrences,
    skipped,
)

pytestmark = pytest.mark.unit

START = datetime(2026, 10, 12, 12, 0, tzinfo=UTC)
"""A Monday, 14:00 in Berlin; summer time ends there on 25 October."""
NOW = datetime(2026, 10, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def weekly(rule: str = "FREQ=WEEKLY;COUNT=4", zone: str = "Europe/Berlin") -> Recurrence:
    return Recurrence(rule, zone)


def starts_of(rule: str, start: datetime = START, zone: str = "Europe/Berlin") -> list[datetime]:
    return [one.start for one in occurrences(a_room(start, Recurrence(rule, zone)))]


def test_the_hour_stays_on_the_wall_clock_when_summer_time_ends() -> None:
    found = starts_of("FREQ=WEEKLY;COUNT=4")
    assert [moment.astimezone(BERLIN).hour for moment in found] == [14] * 4
    assert [moment.hour for moment in found] == [12, 12, 13, 13]


def test_an_hour_that_does_not_exist_takes_the_offset_from_before_the_gap() -> None:
    start = datetime(2026, 3, 28, 1, 30, tzinfo=UTC)
    assert starts_of("FREQ=DAILY;COUNT=2", start) == [start, datetime(2026, 3, 29, 1, 30, tzinfo=UTC)]


def test_an_hour_that_comes_twice_is_the_first() -> None:
    start = datetime(2026, 10, 24, 0, 30, tzinfo=UTC)
    assert starts_of("FREQ=DAILY;COUNT=2", start) == [start, datetime(2026, 10, 25, 0, 30, tzinfo=UTC)]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("FREQ=WEEKLY;BYDAY=MO,WE;COUNT=3", [12, 14, 19]),
        ("FREQ=MONTHLY;BYDAY=2MO;COUNT=2", [12, 9]),
        ("FREQ=DAILY;UNTIL=20261014", [12, 13, 14]),
        ("FREQ=DAILY;UNTIL=20261014T115959Z", [12, 13]),
        ("FREQ=DAILY;UNTIL=20261014T120000Z", [12, 13, 14]),
        ("freq=daily;interval=2;count=2", [12, 14]),
        ("FREQ=MONTHLY;BYMONTHDAY=12;BYMONTH=10,12;COUNT=2", [12, 12]),
    ],
)
def test_rules_are_followed(rule: str, expected: list[int]) -> None:
    assert [moment.day for moment in starts_of(rule)] == expected


@pytest.mark.parametrize(
    "rule",
    [
        "",
        "FREQ=HOURLY",
        "FREQ=SECONDLY;COUNT=3",
        "FREQ=WEEKLY;BYSETPOS=1",
        "FREQ=WEEKLY;COUNT=2;UNTIL=20261101",
        "FREQ=WEEKLY;COUNT=731",
        "FREQ=WEEKLY;COUNT=0",
        "FREQ=WEEKLY;FREQ=DAILY",
        "COUNT=3",
        "FREQ=WEEKLY;BYHOUR=3",
        "FREQ=WEEKLY\nEXDATE:20261012",
        "FREQ=DAILY;UNTIL=20261399",
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=DAILY;UNTIL=20200101",
        "FREQ=WEEKLY;BYDAY=TU",
    ],
)
def test_a_rule_that_cannot_be_kept_is_refused_by_name(rule: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check(START, Recurrence(rule, "Europe/Berlin"))
    assert refused.value.field == "recurrence.rule"


@pytest.mark.parametrize(
    "zone", ["", "Mars/Olympus", "../../etc/passwd", "/etc/localtime", "Europe/Berlin\n"]
)
def test_only_a_zone_by_its_name(zone: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check(START, weekly(zone=zone))
    assert refused.value.field == "recurrence.timezone"


def test_a_rule_without_an_end_is_cut() -> None:
    assert len(starts_of("FREQ=DAILY")) == MOST
    assert bounded_rule(a_room(START, weekly("FREQ=DAILY"))).startswith("FREQ=DAILY;UNTIL=20281010T")


def test_a_skipped_occurrence_does_not_take_place() -> None:
    room = a_room(START, weekly())
    second = occurrences(room)[1].original
    changed = skipped(room, second, NOW)
    assert [one.original for one in occurrences(changed)] == [
        one.original for one in occurrences(room) if one.original != second
    ]
    assert (changed.sequence, changed.updated_at) == (1, NOW)
    with pytest.raises(NotFound):
        skipped(changed, second, NOW)


def test_the_last_occurrence_is_not_skipped() -> None:
    room = a_room(START, weekly("FREQ=WEEKLY;COUNT=2"))
    first, second = (one.original for one in occurrences(room))
    with pytest.raises(Conflict):
        skipped(skipped(room, first, NOW), second, NOW)


def test_a_moved_occurrence_keeps_its_name() -> None:
    room = a_room(START, weekly())
    third, to = occurrences(room)[2].original, START + timedelta(days=16, hours=3)
    changed = moved(room, third, to, NOW)
    found = next(one for one in occurrences(changed) if one.original == third)
    assert (found.start, found.end, found.moved) == (to, to + HOUR, True)
    again = moved(changed, third, to + HOUR, NOW)
    assert next(one for one in occurrences(again) if one.original == third).start == to + HOUR
    back = moved(again, third, third, NOW)
    assert occurrences(back) == occurrences(room)
    assert back.sequence == 3


def test_two_occurrences_do_not_begin_at_once() -> None:
    room = a_room(START, weekly())
    first, second, *_ = (one.original for one in occurrences(room))
    with pytest.raises(Conflict):
        moved(room, first, second, NOW)


def test_a_room_that_takes_place_once_has_nothing_to_skip() -> None:
    with pytest.raises(NotFound):
        skipped(a_room(START), START, NOW)


def test_what_is_on_counts_as_next() -> None:
    room = a_room(START, weekly())
    assert next_start(room, START + HOUR / 2) == START
    assert next_start(room, START + HOUR) == START + timedelta(days=7)
    last = occurrences(room)[-1]
    assert next_occurrence(room, last.end) is None


@pytest.mark.parametrize(
    ("offset_minutes", "opened"), [(-61, False), (-60, True), (0, True), (120, True), (121, False)]
)
def test_telephones_come_in_around_the_meeting(offset_minutes: int, opened: bool) -> None:
    assert is_open(a_room(START), START + timedelta(minutes=offset_minutes)) is opened


def test_the_window_follows_a_moved_occurrence() -> None:
    room = a_room(START, weekly())
    to = START + timedelta(days=2)
    changed = moved(room, START, to, NOW)
    assert is_open(changed, to)
    assert not is_open(changed, START)


def test_a_room_without_a_plan_is_always_open() -> None:
    assert is_open(replace(a_room(START), scheduled_at=None), NOW)
    assert next_start(replace(a_room(START), scheduled_at=None), NOW) is None


ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "UTC",
    "Africa/Casablanca",
)


@given(
    start=st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1)).map(
        lambda moment: moment.replace(microsecond=0, tzinfo=UTC)
    ),
    zone=st.sampled_from(ZONES),
    frequency=st.sampled_from(("DAILY", "WEEKLY", "MONTHLY")),
    count=st.integers(1, 60),
)
def test_wherever_and_whenever_the_wall_clock_is_kept(
    start: datetime, zone: str, frequency: str, count: int
) -> None:
    room = a_room(start, Recurrence(f"FREQ={frequency};COUNT={count}", zone))
    found = occurrences(room)
    first = start.astimezone(ZoneInfo(zone))
    if first.fold:
        return
    assert len(found) == count
    assert found[0].start == start
    for one in found:
        local = one.start.astimezone(ZoneInfo(zone))
        wanted = local.replace(hour=first.hour, minute=first.minute, second=first.second, fold=0)
        assert one.start == wanted.astimezone(UTC) or local.hour != first.hour
        there_and_back = wanted.astimezone(UTC).astimezone(ZoneInfo(zone))
        if (there_and_back.hour, there_and_back.minute) == (first.hour, first.minute):
            assert (local.hour, local.minute) == (first.hour, first.minute)
