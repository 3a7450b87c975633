"""A room's life and its roster, folded from what is heard in whatever order: the truth is one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.rig.room_desk import OURS, T0, World
from tests.unit.video_rooms.rooms import a_room
from video_rooms.core import life
from video_rooms.core.live import Kind, LivePerson, LiveTrack
from video_rooms.core.room import Person, Presence, Recurrence, Role, Room, Status
from video_rooms.core.roster import came, is_seen, left, line_of, missing, role_of, told, went, why_left
from video_rooms.fakes import Delivery

pytestmark = pytest.mark.unit

AT = datetime(2026, 3, 8, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
STANDING = replace(a_room(), room_sid="RM_1")
PLANNED = replace(a_room(AT + HOUR), room_sid="RM_1")


# ---------------------------------------------------------------- life


def test_what_is_told_of_another_room_of_the_media_server_changes_nothing() -> None:
    for room in (STANDING, life.began(STANDING, "RM_1", AT, "f"), life.ended(STANDING, AT)):
        assert life.began(room, "RM_2", AT, "f") is room
        assert life.gone(room, "RM_2", AT, "f") is room


def test_the_earliest_coming_is_the_start() -> None:
    live = life.began(STANDING, "RM_1", AT + SECOND, "f")
    assert (live.status, live.started_at) == (Status.LIVE, AT + SECOND)
    assert life.began(live, "RM_1", AT + 2 * SECOND, "f") is live
    assert life.began(live, "RM_1", AT, "f").started_at == AT


def test_a_room_in_which_nobody_was_waits_on() -> None:
    gone = life.gone(STANDING, "RM_1", AT, "f")
    assert (gone.status, gone.gone_at, gone.live_name) == (Status.SCHEDULED, AT, "live_1")
    assert life.stands(gone, "RM_2", AT + HOUR).gone_at is None


def test_an_end_stays_an_end() -> None:
    ended = life.ended(life.began(STANDING, "RM_1", AT, "f"), AT + SECOND)
    for after in (
        life.ended(ended, AT + HOUR),
        life.began(ended, "RM_1", AT, "f"),
        life.gone(ended, "RM_1", AT + HOUR, "f"),
        life.cleared(ended, AT + HOUR),
    ):
        assert (after.status, after.ended_at) == (Status.ENDED, AT + SECOND)
    assert life.began(life.ended(STANDING, AT + HOUR), "RM_1", AT, "f").started_at == AT


def test_a_room_is_not_over_before_it_began_though_reports_are_dated_in_whole_seconds() -> None:
    live = life.began(STANDING, "RM_1", AT + timedelta(milliseconds=900), "f")
    over = life.gone(live, "RM_1", AT, "f")
    assert over.ended_at == over.started_at


def test_before_its_time_a_room_waits_under_a_fresh_name() -> None:
    live = life.began(PLANNED, "RM_1", AT, "f")
    waits = life.gone(live, "RM_1", AT + SECOND, "fresh")
    assert (waits.status, waits.live_name, waits.room_sid, waits.started_at, waits.gone_at) == (
        Status.SCHEDULED,
        "fresh",
        None,
        None,
        None,
    )
    assert life.gone(live, "RM_1", AT + HOUR, "fresh").status is Status.ENDED


def test_a_room_to_which_nobody_came_is_over_a_day_after_its_last_time() -> None:
    ends = AT + 2 * HOUR
    over, planned = ends + life.GRACE, replace(PLANNED, updated_at=AT)
    assert life.over_at(planned) == over
    assert life.timed_out(planned, over - SECOND) is planned
    ended = life.timed_out(planned, over)
    assert (ended.status, ended.started_at, ended.ended_at) == (Status.ENDED, None, over)
    assert life.timed_out(ended, over + HOUR) is ended
    assert life.timed_out(STANDING, over + 1000 * HOUR) is STANDING
    live = life.began(PLANNED, "RM_1", AT, "f")
    assert life.timed_out(live, over) is live


def test_a_plan_in_the_past_and_a_late_way_in_have_the_whole_grace() -> None:
    late = life.stands(replace(PLANNED, updated_at=AT), "RM_2", AT + 90 * HOUR)
    assert life.over_at(late) == AT + 90 * HOUR + life.GRACE


def test_a_series_waits_for_its_last_time() -> None:
    weekly = Recurrence("FREQ=WEEKLY;COUNT=3", "UTC")
    series = replace(a_room(AT, weekly), updated_at=AT)
    assert life.over_at(series) == AT + timedelta(days=14) + HOUR + life.GRACE
    moved = replace(weekly, moved=((AT, AT + timedelta(days=30)),))
    assert life.over_at(replace(series, recurrence=moved)) == AT + timedelta(days=30) + HOUR + life.GRACE


def test_an_end_keeps_the_reason_of_what_brought_it_about() -> None:
    ended = life.explained(STANDING, life.ended(STANDING, AT), life.BY_API)
    assert ended.why_ended == "api"
    assert life.explained(ended, ended, life.EMPTY).why_ended == "api"
    assert life.explained(PLANNED, PLANNED, life.EMPTY).why_ended is None


FACTS = {
    "began": lambda room: life.began(room, "RM_1", AT, "fresh"),
    "began again": lambda room: life.began(room, "RM_1", AT + 5 * SECOND, "fresh"),
    "gone": lambda room: life.gone(room, "RM_1", AT + 60 * SECOND, "fresh"),
    "found gone": lambda room: life.gone(room, "RM_1", AT + 63 * SECOND, "fresh"),
    "other": lambda room: life.gone(room, "RM_0", AT + 90 * SECOND, "fresh"),
}


@given(st.permutations(sorted(FACTS) * 2), st.sampled_from([STANDING, PLANNED]))
def test_in_every_order_the_same_facts_make_the_same_room(order: list[str], room: Room) -> None:
    first = room
    for fact in ("began", "gone"):
        first = FACTS[fact](first)
    for fact in order:
        room = FACTS[fact](room)
    assert replace(room, updated_at=AT) == replace(first, updated_at=AT)


# ---------------------------------------------------------------- the roster


def person(n: int, identity: str = "ann", **changes: object) -> LivePerson:
    made = LivePerson(f"PA_{n}", identity, "Ann", Kind.STANDARD, AT + n * SECOND, publishing=False)
    return replace(made, **changes)  # type: ignore[arg-type]


def line(n: int = 1, **changes: object) -> Person:
    return replace(line_of(STANDING, person(n)), **changes)  # type: ignore[arg-type]


def test_a_line_says_what_the_media_server_shows() -> None:
    tracks = (LiveTrack("T1", "audio", True, "microphone"), LiveTrack("T2", "video", False, "camera"))
    seen = line_of(STANDING, person(1, name="Ann +447700900123", tracks=tracks))
    assert (seen.display_name, seen.muted, seen.presence) == ("Ann +44 •••• 0123", True, Presence.JOINED)
    assert line_of(STANDING, person(1, name="")).display_name == "ann"


@pytest.mark.parametrize(
    ("kind", "attributes", "hidden", "seen", "role"),
    [
        (Kind.STANDARD, {}, False, True, Role.PARTICIPANT),
        (Kind.STANDARD, {"role": "host"}, False, True, Role.HOST),
        (Kind.STANDARD, {"role": "emperor"}, False, True, Role.PARTICIPANT),
        (Kind.STANDARD, {"role": "host"}, True, False, Role.HOST),
        (Kind.SIP, {}, False, True, Role.PHONE),
        (Kind.AGENT, {}, False, False, Role.PARTICIPANT),
        (Kind.AGENT, {"role": "agent"}, False, True, Role.AGENT),
        (Kind.EGRESS, {}, False, False, Role.PARTICIPANT),
        (Kind.STANDARD, {"role": "recorder"}, False, False, Role.RECORDER),
    ],
)
def test_who_stands_on_the_roster(
    kind: Kind, attributes: dict[str, str], hidden: bool, seen: bool, role: Role
) -> None:
    one = person(1, kind=kind, attributes=attributes, hidden=hidden)
    assert (is_seen(one), role_of(one)) == (seen, role)


def test_a_late_coming_does_not_bring_back_who_has_left() -> None:
    gone = went(None, line(), AT + 9 * SECOND, "left")
    assert gone.presence is Presence.LEFT
    assert came(gone, line(), seen=False) == gone
    assert came(gone, line(), seen=True) == gone


def test_who_was_only_not_found_is_back_when_found() -> None:
    lost = left(line(), AT + 9 * SECOND, "lost")
    assert came(lost, line(), seen=False) == lost
    assert came(lost, line(), seen=True).presence is Presence.JOINED


def test_a_telephone_that_was_called_keeps_its_line() -> None:
    ringing = Person(STANDING.id, "ann", "+44 •••• 0123", Role.PHONE, Presence.RINGING, call_id="call_1")
    inside = came(ringing, line(), seen=False)
    assert (inside.presence, inside.display_name, inside.call_id, inside.sid) == (
        Presence.JOINED,
        "+44 •••• 0123",
        "call_1",
        "PA_1",
    )
    hung_up = left(replace(ringing, presence=Presence.JOINED), AT + 5 * SECOND, "left")
    assert came(hung_up, line(), seen=False).presence is Presence.LEFT
    assert [kind for kind, _ in told(ringing, inside)] == ["room.phone.joined", "room.participant.joined"]


def test_who_waits_or_is_called_outside_is_not_missed() -> None:
    asked = AT + HOUR
    assert missing(line(), "live_1", asked)
    assert missing(line(), "live_2", asked)
    assert missing(line(presence=Presence.WAITING), "live_1", asked)
    assert not missing(line(presence=Presence.WAITING, sid=""), "live_1", asked)
    assert not missing(line(presence=Presence.RINGING), "live_1", asked)
    assert not missing(line(presence=Presence.LEFT), "live_1", asked)
    assert not missing(line(2), "live_1", AT + SECOND)


def test_a_reason_that_is_known_stays() -> None:
    kicked = left(line(), AT + 9 * SECOND, "kicked")
    assert left(kicked, AT + 10 * SECOND, "left").why_left == "kicked"
    by_end = left(line(), AT + 9 * SECOND, "room_ended")
    assert left(by_end, AT + 8.5 * SECOND, "left").why_left == "room_ended"
    assert left(by_end, AT + 5 * SECOND, "left").why_left == "left"
    assert left(line(5), AT + SECOND, "left").left_at == AT + 5 * SECOND
    assert [why_left(one) for one in ("duplicate_identity", "client_initiated", "")] == [
        "replaced",
        "left",
        "left",
    ]


def test_what_the_world_is_told() -> None:
    def kinds(before: Person | None, after: Person | None) -> list[str]:
        return [kind.removeprefix("room.participant.") for kind, _ in told(before, after)]

    gone, waits = left(line(), AT, "left"), line(presence=Presence.WAITING)
    assert kinds(None, line()) == ["joined"]
    assert kinds(line(), line()) == kinds(gone, gone) == kinds(None, gone) == kinds(line(), None) == []
    assert kinds(line(), line(muted=True)) == []
    assert kinds(None, waits) == ["waiting"]
    assert kinds(waits, line()) == ["admitted", "joined"]
    assert kinds(waits, left(waits, AT, "denied")) == ["left"]
    assert kinds(line(), left(line(), AT, "kicked")) == ["kicked", "left"]
    assert kinds(line(), line(2)) == ["left", "joined"]
    assert told(line(), line(2))[0][1].why_left == "replaced"
    assert kinds(line(sid=""), line()) == []


@st.composite
def comings(draw: st.DrawFn) -> list[tuple[int, int | None]]:
    """The comings and goings of one identity: from when to when (seconds), the last one maybe still there."""
    found: list[tuple[int, int | None]] = []
    at = 0
    for _ in range(draw(st.integers(1, 4))):
        begins = at + draw(st.integers(1, 20))
        at = begins + draw(st.integers(2, 20))
        found.append((begins, at))
    if draw(st.booleans()):
        found[-1] = (found[-1][0], None)
    return found


@given(comings(), st.data())
def test_in_every_order_the_same_reports_make_the_same_line(
    stays: list[tuple[int, int | None]], data: st.DataObject
) -> None:
    reports = [("came", begins, begins) for begins, _ in stays]
    reports += [("went", begins, ends) for begins, ends in stays if ends is not None]
    order = data.draw(st.permutations(reports * 2))
    known: Person | None = None
    for what, begins, at in order:
        if what == "came":
            known = came(known, line(begins), seen=False)
        else:
            known = went(known, line(begins), AT + at * SECOND, "left")
    begins, ends = stays[-1]
    truth = line(begins) if ends is None else left(line(begins), AT + ends * SECOND, "left")
    assert known == truth


# ---------------------------------------------------------------- all of it: reports late, lost and twice


@dataclass(slots=True)
class Story:
    """Things that happen in a room, and when reports of them arrive: after how many more things, how often;
    never, where that is 0."""

    steps: list[str] = field(default_factory=list)
    late: list[int] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    look_after: list[bool] = field(default_factory=list)


STEPS = st.sampled_from(["ann", "bob", "-ann", "-bob", "-all", "pass"])


@st.composite
def stories(draw: st.DrawFn) -> Story:
    steps = draw(st.lists(STEPS, min_size=1, max_size=10))
    size = 80
    late = draw(st.lists(st.integers(0, 6), min_size=size, max_size=size))
    times = draw(st.lists(st.sampled_from([1, 1, 1, 2, 0]), min_size=size, max_size=size))
    looks = draw(st.lists(st.booleans(), min_size=len(steps), max_size=len(steps)))
    return Story(steps, late, times, looks)


async def _step(world: World, room: Room, step: str) -> None:
    world.clock.advance(20)
    name = room.live_name
    if step in ("ann", "bob"):
        if await world.server.rooms([name]):
            world.server.come_in(world.passes[step])
    elif step in ("-ann", "-bob"):
        world.server.leave(name, step[1:])
    elif step == "-all":
        for one in ("ann", "bob"):
            world.server.leave(name, one)
        world.clock.advance(61)
        world.server.end_idle()


async def _lived(story: Story, *, punctual: bool) -> World:
    """Live through it. ``punctual``: everything is reported at once, once, and nobody looks."""
    world = World()
    room = await world.schedule()
    for one in ("ann", "bob"):
        world.passes[one] = (await world.join(room, one)).token
    world.server.take()
    pending: list[tuple[int, Delivery]] = []
    number = 0
    for place, step in enumerate(story.steps):
        await _step(world, room, step)
        for delivery in world.server.take():
            times = 1 if punctual else story.times[number % len(story.times)]
            due = place if punctual else place + story.late[number % len(story.late)]
            pending += [(due, delivery)] * times
            number += 1
        due_now = [one for due, one in pending if due <= place]
        pending = [(due, one) for due, one in pending if due > place]
        await world.reported(due_now if punctual else due_now[::-1])
        if not punctual and story.look_after[place]:
            world.clock.advance(3)
            await world.look()
            world.clock.passed -= 3  # a look takes no time in the story
    world.clock.advance(30)
    await world.reported([one for _, one in pending][::-1])
    await world.look()
    return world


def _told(world: World) -> tuple[object, ...]:
    """What is true in the end: the room's place in life, and who is there."""
    room = next(iter(world.rooms.rows.values()))
    present = sorted(one.identity for one in world.people.lines.values() if one.presence is Presence.JOINED)
    return room.status, present, sorted(world.there(room))


@settings(max_examples=60, deadline=None)
@given(stories())
def test_reports_late_lost_and_twice_lead_where_punctual_ones_do(story: Story) -> None:
    as_it_was = asyncio.run(_lived(story, punctual=True))
    as_heard = asyncio.run(_lived(story, punctual=False))
    assert _told(as_heard) == _told(as_it_was)
    for world in (as_heard, as_it_was):
        _, present, there = _told(world)
        assert present == there


@settings(max_examples=60, deadline=None)
@given(stories())
def test_where_nothing_is_lost_the_whole_record_is_the_same(story: Story) -> None:
    story.times = [max(1, times) for times in story.times]
    as_it_was = asyncio.run(_lived(story, punctual=True))
    as_heard = asyncio.run(_lived(story, punctual=False))

    def record(world: World) -> object:
        room = next(iter(world.rooms.rows.values()))
        lines: Sequence[Person] = sorted(world.people.lines.values(), key=lambda one: one.identity)
        return room.status, room.started_at, room.ended_at, lines

    assert record(as_heard) == record(as_it_was)
    assert as_heard.told.kinds().count("room.started") == as_it_was.told.kinds().count("room.started")
    assert as_heard.told.kinds().count("room.ended") == as_it_was.told.kinds().count("room.ended")
    assert OURS in as_heard.told.tenants
    assert as_heard.clock.wall() >= T0
