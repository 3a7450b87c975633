"""When a room takes place: once, or again and again by a rule of RFC 5545.

A series keeps its hour on the wall clock of its zone, whatever the offset is that day. The rule is expanded
in local time: an hour that does not exist on a day takes the offset from before the gap, one that comes twice
is the first (RFC 5545, 3.3.5). An occurrence is named by the UTC moment at which it was first meant to begin;
that name stays when it is moved. A rule without an end is cut after ``MOST`` occurrences.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import islice
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dateutil.rrule import rrulestr

from telephony.errors import Conflict, InvalidInput, NotFound
from video_rooms.core.room import Recurrence, Room

MOST: Final = 730
EARLY: Final = timedelta(hours=1)
"""How long before an occurrence a telephone may come in; as long after its end."""
_YEARS: Final = 30
"""How far a rule is followed: one that never comes true is found out in bounded time."""
_FREQUENCIES: Final = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
_DAYS: Final = r"(?:[+-]?(?:[1-9]|[1-4][0-9]|5[0-3]))?(?:MO|TU|WE|TH|FR|SA|SU)"
_PARTS: Final = {
    "FREQ": "|".join(_FREQUENCIES),
    "INTERVAL": r"[1-9][0-9]{0,2}",
    "COUNT": r"[1-9][0-9]{0,2}",
    "UNTIL": r"[0-9]{8}(?:T[0-9]{6}Z)?",
    "BYDAY": rf"{_DAYS}(?:,{_DAYS}){{0,20}}",
    "BYMONTHDAY": r"-?(?:[1-9]|[12][0-9]|3[01])(?:,-?(?:[1-9]|[12][0-9]|3[01])){0,30}",
    "BYMONTH": r"(?:[1-9]|1[0-2])(?:,(?:[1-9]|1[0-2])){0,11}",
    "WKST": "MO|TU|WE|TH|FR|SA|SU",
}
_ZONE: Final = re.compile(r"[A-Za-z0-9_+-]{1,32}(?:/[A-Za-z0-9_+-]{1,32}){0,2}")


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One time a room takes place; UTC. ``original`` names it."""

    original: datetime
    start: datetime
    end: datetime

    @property
    def moved(self) -> bool:
        return self.start != self.original


def zone_of(name: str) -> ZoneInfo:
    """The zone of this IANA name. Raises InvalidInput."""
    try:
        if _ZONE.fullmatch(name) is None:
            raise ValueError(name)
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidInput(
            "not the name of a time zone", field="recurrence.timezone", expected="an IANA name: Europe/Berlin"
        ) from None


def rule_parts(rule: str) -> dict[str, str]:
    """The parts of a rule, in their order. Raises InvalidInput for what this product does not plan by."""
    parts: dict[str, str] = {}
    for part in rule.upper().split(";"):
        name, found, value = part.partition("=")
        if not found or name not in _PARTS or name in parts or re.fullmatch(_PARTS[name], value) is None:
            raise _unreadable(f"the part {part[:40]!a} is not understood")
        parts[name] = value
    if "FREQ" not in parts:
        raise _unreadable("FREQ is missing")
    if "COUNT" in parts and "UNTIL" in parts:
        raise _unreadable("COUNT and UNTIL do not go together")
    if int(parts.get("COUNT", "1")) > MOST:
        raise _unreadable(f"COUNT is above {MOST}")
    return parts


def check(start: datetime, recurrence: Recurrence) -> None:
    """Whether this series can be kept. Raises InvalidInput; a rule that never comes true is one."""
    zone_of(recurrence.zone)
    rule_parts(recurrence.rule)
    starts = _starts(start, recurrence.rule, recurrence.zone)
    if not starts:
        raise _unreadable("it has no occurrence")
    if starts[0] != start:
        raise _unreadable("the start is not an occurrence of it")
    if not {*recurrence.without, *(original for original, _ in recurrence.moved)} <= set(starts):
        raise InvalidInput("not the start of an occurrence", field="recurrence", expected="an original start")


def occurrences(room: Room) -> tuple[Occurrence, ...]:
    """Every time this room takes place, in order; none for a room that is simply open."""
    if room.scheduled_at is None:
        return ()
    lasts, plan = timedelta(minutes=room.duration_minutes), room.recurrence
    if plan is None:
        return (Occurrence(room.scheduled_at, room.scheduled_at, room.scheduled_at + lasts),)
    moved = dict(plan.moved)
    found = (
        Occurrence(original, moved.get(original, original), moved.get(original, original) + lasts)
        for original in _starts(room.scheduled_at, plan.rule, plan.zone)
        if original not in plan.without
    )
    return tuple(sorted(found, key=lambda occurrence: occurrence.start))


def next_occurrence(room: Room, now: datetime) -> Occurrence | None:
    """The one that is on, or comes next."""
    return next((one for one in occurrences(room) if one.end > now), None)


def next_start(room: Room, now: datetime) -> datetime | None:
    """When it begins next, or began if it is on; None: it has no more, or no plan."""
    found = next_occurrence(room, now)
    return None if found is None else found.start


def is_open(room: Room, now: datetime) -> bool:
    """Whether a telephone may come in now: around an occurrence, or at any time where there is no plan."""
    if room.scheduled_at is None:
        return True
    return any(one.start - EARLY <= now <= one.end + EARLY for one in occurrences(room))


def skipped(room: Room, original: datetime, now: datetime) -> Room:
    """The room without this occurrence. Raises NotFound, Conflict where it would be the last one."""
    plan = _series(room)
    _one(room, original)
    without = tuple(sorted({*plan.without, original}))
    moved = tuple(pair for pair in plan.moved if pair[0] != original)
    changed = _planned(room, replace(plan, without=without, moved=moved), now)
    if not occurrences(changed):
        raise Conflict("it is the last occurrence: end the room instead")
    return changed


def moved(room: Room, original: datetime, to: datetime, now: datetime) -> Room:
    """The room with this occurrence at another time; ``to`` its original start brings it back. Raises
    NotFound, Conflict where another one begins at that moment."""
    plan = _series(room)
    _one(room, original)
    if any(one.start == to and one.original != original for one in occurrences(room)):
        raise Conflict("another occurrence begins at that moment")
    others = tuple(pair for pair in plan.moved if pair[0] != original)
    pairs = others if to == original else (*others, (original, to))
    return _planned(room, replace(plan, moved=tuple(sorted(pairs))), now)


def bounded_rule(room: Room, before: datetime | None = None) -> str:
    """The rule for a calendar: with an end, which is ours where it names none, and not beyond ``before``."""
    plan = _series(room)
    assert room.scheduled_at is not None
    parts = rule_parts(plan.rule)
    starts = _starts(room.scheduled_at, plan.rule, plan.zone)
    kept = [start for start in starts if before is None or start < before]
    if kept and (len(kept) < len(starts) or not {"COUNT", "UNTIL"} & parts.keys()):
        parts.pop("COUNT", None)
        parts["UNTIL"] = kept[-1].strftime("%Y%m%dT%H%M%SZ")
    return ";".join(f"{name}={value}" for name, value in parts.items())


@lru_cache(maxsize=512)
def _starts(start: datetime, rule: str, zone_name: str) -> tuple[datetime, ...]:
    """The original starts, UTC. Remembered: a rule is asked about far more often than it changes."""
    zone, parts = zone_of(zone_name), rule_parts(rule)
    until = parts.pop("UNTIL", None)
    first = start.astimezone(zone).replace(tzinfo=None)
    plain = ";".join(f"{name}={value}" for name, value in parts.items())
    last = None if until is None else _until(until, zone)
    return tuple(islice(_expanded(plain, first, zone, last), MOST))


def _expanded(rule: str, first: datetime, zone: ZoneInfo, last: datetime | None) -> Iterator[datetime]:
    horizon = min(first.year + _YEARS, 9999)
    bounded = rule if "COUNT=" in rule else f"{rule};UNTIL={horizon}1231T235959"
    for local in rrulestr(bounded, dtstart=first):
        moment = local.replace(tzinfo=zone).astimezone(UTC)
        if local.year > horizon or (last is not None and moment > last):
            return
        yield moment


def _until(text: str, zone: ZoneInfo) -> datetime:
    """The last moment: UTC as it stands, or the end of that day in the zone."""
    try:
        if text.endswith("Z"):
            return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        day = datetime.strptime(text, "%Y%m%d").replace(tzinfo=zone)
    except ValueError:
        raise _unreadable("UNTIL is not a date") from None
    return (day + timedelta(days=1)).astimezone(UTC) - timedelta(seconds=1)


def _series(room: Room) -> Recurrence:
    if room.recurrence is None:
        raise NotFound("the room takes place only once")
    return room.recurrence


def _one(room: Room, original: datetime) -> Occurrence:
    found = next((one for one in occurrences(room) if one.original == original), None)
    if found is None:
        raise NotFound("the room has no such occurrence")
    return found


def _planned(room: Room, plan: Recurrence, now: datetime) -> Room:
    return replace(room, recurrence=plan, sequence=room.sequence + 1, updated_at=now)


def _unreadable(why: str) -> InvalidInput:
    return InvalidInput(
        f"the rule cannot be used: {why}",
        field="recurrence.rule",
        expected="an RRULE of RFC 5545, daily or rarer",
    )
