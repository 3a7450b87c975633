"""Calendar files, read by a reader that is not ours: it takes the zone's rules from the file itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import recurring_ical_events
from icalendar import Calendar
from icalendar.timezone import tzp

from telephony.errors import InvalidInput
from tests.unit.video_rooms.rooms import a_room
from video_rooms.core.ics import WayIn, calendar
from video_rooms.core.room import Recurrence, Room, Status
from video_rooms.core.schedule import moved, occurrences, skipped

pytestmark = pytest.mark.unit

START = datetime(2026, 10, 12, 12, 0, tzinfo=UTC)
"""14:00 in Berlin; summer time ends there on 25 October, in New York on 1 November."""
NOW = datetime(2026, 10, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
WAY_IN = WayIn("https://meet.example.com/r/1", ("+493012345678",))


def series(zone: str = "Europe/Berlin", rule: str = "FREQ=WEEKLY;COUNT=5", start: datetime = START) -> Room:
    return a_room(start, Recurrence(rule, zone))


def read(room: Room) -> Any:
    text = calendar(room, WAY_IN)
    assert "\n" not in text.replace("\r\n", "")
    assert all(len(line.encode()) <= 75 for line in text.split("\r\n"))
    return Calendar.from_ical(text)


def starts(room: Room) -> list[datetime]:
    """As another reader expands them, UTC."""
    around = recurring_ical_events.of(read(room)).between(datetime(2020, 1, 1), datetime(2045, 1, 1))
    return sorted(event.start.astimezone(UTC) for event in around)


def events(room: Room) -> list[Any]:
    return list(read(room).walk("VEVENT"))


@pytest.mark.parametrize(
    ("zone", "start"),
    [
        ("Europe/Berlin", START),
        ("America/New_York", START),
        ("America/New_York", datetime(2027, 3, 1, 15, 30, tzinfo=UTC)),
        ("Australia/Sydney", datetime(2026, 9, 20, 23, 0, tzinfo=UTC)),
        ("Australia/Lord_Howe", datetime(2027, 3, 20, 1, 15, tzinfo=UTC)),
        ("Africa/Casablanca", datetime(2027, 1, 25, 9, 0, tzinfo=UTC)),
        ("Asia/Kolkata", START),
    ],
)
@pytest.mark.parametrize("rule", ["FREQ=WEEKLY;COUNT=60", "FREQ=DAILY;COUNT=40", "FREQ=MONTHLY;COUNT=9"])
def test_another_reader_finds_the_same_occurrences(zone: str, start: datetime, rule: str) -> None:
    room = series(zone, rule, start)
    assert starts(room) == [one.start for one in occurrences(room)]


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"])
def test_the_zone_in_the_file_says_what_the_zone_says(zone: str) -> None:
    """Not by its name: by the observances in the file alone."""
    room = series(zone, "FREQ=DAILY;COUNT=300")
    [described] = read(room).walk("VTIMEZONE")
    by_file = described.to_tz(tzp, lookup_tzid=False)
    for one in occurrences(room):
        wall = one.start.astimezone(by_file)
        assert wall.utcoffset() == one.start.astimezone(ZoneInfo(zone)).utcoffset(), one


def test_what_is_skipped_or_moved_reads_so_elsewhere() -> None:
    room = series()
    names = [one.original for one in occurrences(room)]
    to = names[3] + timedelta(days=1, hours=2)
    changed = moved(skipped(room, names[1], NOW), names[3], to, NOW)
    assert starts(changed) == [names[0], names[2], to, names[4]]
    assert [int(event["SEQUENCE"]) for event in events(changed)] == [2, 2]
    assert {str(event["UID"]) for event in events(changed)} == {f"{room.id}@patchbay"}


def test_an_update_is_newer_and_the_same_event() -> None:
    room = a_room(START)
    later = replace(room, scheduled_at=START + HOUR, sequence=1, updated_at=NOW)
    [first], [second] = events(room), events(later)
    assert first["UID"] == second["UID"]
    assert int(second["SEQUENCE"]) > int(first["SEQUENCE"])
    assert second["DTSTAMP"].dt > first["DTSTAMP"].dt
    assert second["DTSTART"].dt == START + HOUR
    assert str(read(later)["METHOD"]) == "REQUEST"


def test_a_room_ended_before_it_began_is_cancelled() -> None:
    room = replace(a_room(START), status=Status.ENDED, ended_at=NOW, updated_at=NOW)
    [event] = events(room)
    assert str(read(room)["METHOD"]) == "CANCEL"
    assert str(event["STATUS"]) == "CANCELLED"
    assert int(event["SEQUENCE"]) == 1


def test_a_series_cancelled_before_it_began_is_cancelled_whole() -> None:
    room = replace(series(), status=Status.ENDED, ended_at=NOW)
    assert str(read(room)["METHOD"]) == "CANCEL"


def test_a_series_that_ended_on_its_way_ends_there() -> None:
    room = replace(series(), status=Status.ENDED, ended_at=START + timedelta(days=8))
    assert str(read(room)["METHOD"]) == "REQUEST"
    assert starts(room) == [START, START + timedelta(days=7)]


def test_a_rule_without_an_end_ends_where_ours_does() -> None:
    room = series(rule="FREQ=WEEKLY;BYDAY=MO")
    assert len(starts(room)) == len(occurrences(room)) == 730


def test_a_telephone_taps_its_way_in() -> None:
    [event] = events(a_room(START))
    assert str(event["LOCATION"]) == "https://meet.example.com/r/1"
    assert "tel:+493012345678,,428193506#" in str(event["DESCRIPTION"])


def test_without_dial_in_nothing_is_said_of_it() -> None:
    text = calendar(a_room(START), WayIn())
    assert "DESCRIPTION" not in text
    assert "428193506" not in text


@pytest.mark.parametrize(
    "name",
    [
        "Grüße; Jürgen, 你好 " * 8,
        "a\r\nATTENDEE:mailto:x@example.com",
        "back\\slash, semi;colon",
        "\x00\x1b[",
    ],
)
def test_a_name_is_text_and_nothing_else(name: str) -> None:
    room = replace(a_room(START), name=name)
    [event] = events(room)
    assert "ATTENDEE" not in event
    assert str(event["SUMMARY"]) == "".join(char for char in name if char.isprintable() or char == "\n")


def test_a_room_without_a_time_has_no_calendar() -> None:
    with pytest.raises(InvalidInput):
        calendar(a_room(None), WayIn())
