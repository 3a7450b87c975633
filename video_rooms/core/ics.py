"""A room as a calendar file: invitation, update and cancellation (RFC 5545, RFC 5546).

One UID for a room's whole life; SEQUENCE rises with each change of its times, so that a calendar knows which
file is newer. A series carries its zone's own rules (VTIMEZONE), what is skipped (EXDATE), and what is moved
(an event of its own with RECURRENCE-ID). A room that ended before it ever began is cancelled; a series that
ended on its way ends there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from telephony.errors import InvalidInput
from video_rooms.core.room import Room, Status
from video_rooms.core.schedule import Occurrence, bounded_rule, occurrences, zone_of

_FOLD: Final = 75
_STEP: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class WayIn:
    """How somebody gets in: ``url`` for browsers, or empty; ``numbers`` of dial-in lines, E.164 with plus.
    Both stand in the file as they are: nothing secret but the PIN that the room's own people may know."""

    url: str = ""
    numbers: tuple[str, ...] = ()


def calendar(room: Room, way_in: WayIn) -> str:
    """The file, with CRLF. Raises InvalidInput for a room without a time."""
    if room.scheduled_at is None:
        raise InvalidInput("the room has no time", field="scheduled_at", expected="a scheduled room")
    before = room.ended_at if room.status is Status.ENDED else None
    every = occurrences(room)
    kept = tuple(one for one in every if before is None or one.start < before)
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//Patchbay//Video rooms//EN",
        "CALSCALE:GREGORIAN",
        f"METHOD:{'REQUEST' if kept else 'CANCEL'}",
    ]
    shown = kept or every
    if room.recurrence is not None:
        lines += _zone_lines(zone_of(room.recurrence.zone), room.scheduled_at, _last(shown, room))
    lines += _main_event(room, way_in, shown, cancelled=not kept, before=before)
    for one in shown:
        if room.recurrence is not None and one.moved and kept:
            lines += _moved_event(room, way_in, one, zone_of(room.recurrence.zone))
    return "".join(_folded(line) for line in (*lines, "END:VCALENDAR"))


def _main_event(
    room: Room, way_in: WayIn, shown: tuple[Occurrence, ...], *, cancelled: bool, before: datetime | None
) -> list[str]:
    assert room.scheduled_at is not None
    plan, lasts = room.recurrence, timedelta(minutes=room.duration_minutes)
    if plan is None:
        times = [f"DTSTART:{_utc(room.scheduled_at)}", f"DTEND:{_utc(room.scheduled_at + lasts)}"]
    else:
        zone = zone_of(plan.zone)
        times = [
            f"DTSTART;{_local(room.scheduled_at, zone)}",
            f"DTEND;{_local(room.scheduled_at + lasts, zone)}",
            f"RRULE:{bounded_rule(room, None if cancelled else before)}",
            *(f"EXDATE;{_local(original, zone)}" for original in plan.without),
        ]
    return _event(room, way_in, times, cancelled=cancelled)


def _moved_event(room: Room, way_in: WayIn, one: Occurrence, zone: ZoneInfo) -> list[str]:
    times = [
        f"RECURRENCE-ID;{_local(one.original, zone)}",
        f"DTSTART;{_local(one.start, zone)}",
        f"DTEND;{_local(one.end, zone)}",
    ]
    return _event(room, way_in, times, cancelled=False)


def _event(room: Room, way_in: WayIn, times: list[str], *, cancelled: bool) -> list[str]:
    lines = [
        "BEGIN:VEVENT",
        f"UID:{room.id}@patchbay",
        f"SEQUENCE:{room.sequence + (1 if cancelled else 0)}",
        f"DTSTAMP:{_utc(room.updated_at)}",
        *times,
        f"SUMMARY:{_text(room.name)}",
        f"STATUS:{'CANCELLED' if cancelled else 'CONFIRMED'}",
    ]
    tapped = [f"tel:{number},,{room.pin}#" for number in way_in.numbers if room.pin]
    ways = [*([way_in.url] if way_in.url else []), *tapped]
    if ways and not cancelled:
        lines.append(f"LOCATION:{_text(ways[0])}")
    if tapped and not cancelled:
        spoken = [f"{number}, PIN {room.pin}#" for number in way_in.numbers]
        lines.append("DESCRIPTION:" + _text("\n".join(["By telephone:", *spoken, *tapped])))
    return [*lines, "END:VEVENT"]


def _last(shown: tuple[Occurrence, ...], room: Room) -> datetime:
    assert room.scheduled_at is not None
    return max((one.end for one in shown), default=room.scheduled_at)


def _zone_lines(zone: ZoneInfo, first: datetime, last: datetime) -> list[str]:
    """The zone as far as the series reaches: each change of its offset, written out."""
    lines = ["BEGIN:VTIMEZONE", f"TZID:{zone.key}"]
    start = (first - timedelta(days=366)).replace(microsecond=0)
    begin = start.astimezone(zone)
    lines += _observance(begin, begin.utcoffset() or timedelta())
    for moment, before in _changes(zone, start, last + timedelta(days=366)):
        lines += _observance(moment.astimezone(zone), before)
    return [*lines, "END:VTIMEZONE"]


def _observance(begins: datetime, before: timedelta) -> list[str]:
    """``begins``: in the zone, at its new offset; ``before``: the offset until then."""
    after = begins.utcoffset() or timedelta()
    kind = "DAYLIGHT" if begins.dst() else "STANDARD"
    wall = (begins.astimezone(UTC) + before).strftime("%Y%m%dT%H%M%S")
    return [
        f"BEGIN:{kind}",
        f"DTSTART:{wall}",
        f"TZOFFSETFROM:{_offset(before)}",
        f"TZOFFSETTO:{_offset(after)}",
        f"TZNAME:{_text(begins.tzname() or zone_label(after))}",
        f"END:{kind}",
    ]


def zone_label(offset: timedelta) -> str:
    """What an offset without a name is called.

    >>> zone_label(timedelta(hours=3))
    'UTC+0300'
    """
    return f"UTC{_offset(offset)}"


def _changes(zone: ZoneInfo, start: datetime, end: datetime) -> Iterator[tuple[datetime, timedelta]]:
    """Each moment (UTC, to the second) at which the offset changes, with the offset before it."""
    at, offset = start, _offset_at(zone, start)
    while at < end:
        following = at + _STEP
        if _offset_at(zone, following) != offset:
            low, high = at, following
            while high - low > timedelta(seconds=1):
                middle = low + timedelta(seconds=(high - low) // timedelta(seconds=2))
                low, high = (middle, high) if _offset_at(zone, middle) == offset else (low, middle)
            yield high, offset
            offset = _offset_at(zone, high)
        at = following


def _offset_at(zone: ZoneInfo, moment: datetime) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta()


def _offset(offset: timedelta) -> str:
    seconds = int(offset.total_seconds())
    sign, seconds = ("-", -seconds) if seconds < 0 else ("+", seconds)
    hours, rest = divmod(seconds, 3600)
    text = f"{sign}{hours:02d}{rest // 60:02d}"
    return text if rest % 60 == 0 else f"{text}{rest % 60:02d}"


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def _local(moment: datetime, zone: ZoneInfo) -> str:
    return f"TZID={zone.key}:{moment.astimezone(zone).strftime('%Y%m%dT%H%M%S')}"


def _text(text: str) -> str:
    """TEXT of RFC 5545, 3.3.11; control characters are left out."""
    escaped = text.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,").replace("\n", "\\n")
    return "".join(char for char in escaped if char.isprintable())


def _folded(line: str) -> str:
    """The line with CRLF, in pieces of at most 75 octets (3.1); no character is cut in two."""
    pieces, size, begun = [], 0, 0
    for at, char in enumerate(line):
        octets = len(char.encode())
        if size + octets > _FOLD:
            pieces.append(line[begun:at])
            begun, size = at, 1
        size += octets
    return "\r\n ".join([*pieces, line[begun:]]) + "\r\n"
