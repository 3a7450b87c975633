"""Who is or was in a room, in every store: rosters, bans, claimed names, reports."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import replace

import pytest

from tests.contract.storage.room_stores import MINUTE, NOW, Stores, room
from video_rooms.core.room import Ban, Person, Presence, Role

pytestmark = pytest.mark.contract


def person(identity: str, **changes: object) -> Person:
    made = Person(room(1).id, identity, f"{identity}'s name", Role.PARTICIPANT, Presence.JOINED)
    return replace(made, **changes)  # type: ignore[arg-type]


WHOLE_PERSON = person(
    "ann",
    role=Role.PHONE,
    presence=Presence.LEFT,
    joined_at=NOW,
    left_at=NOW + MINUTE,
    muted=True,
    hand_raised=True,
    call_id="call_1",
    why_left="kicked",
    sid="PA_1",
    session="live_1",
    admitted="01ABC",
)


async def test_a_line_reads_back_as_it_was_put(stores: Stores) -> None:
    await stores.rooms.add(room(1))
    await stores.people.put(person("ann"))
    await stores.people.put(WHOLE_PERSON)
    assert await stores.people.one(room(1).id, "ann") == WHOLE_PERSON
    assert await stores.people.of(room(1).id) == (WHOLE_PERSON,)
    assert await stores.people.one(room(1).id, "bob") is None


async def test_the_roster_is_in_the_order_of_coming(stores: Stores) -> None:
    await stores.rooms.add(room(1))
    await stores.rooms.add(room(2))
    for line in (
        person("late", joined_at=NOW + MINUTE),
        person("never"),
        person("early", joined_at=NOW),
        person("also", joined_at=NOW),
    ):
        await stores.people.put(line)
    await stores.people.put(replace(person("else"), room_id=room(2).id))
    assert [one.identity for one in await stores.people.of(room(1).id)] == ["also", "early", "late", "never"]


async def test_a_line_is_changed_by_what_stands_there(stores: Stores) -> None:
    await stores.rooms.add(room(1))
    heard: list[Person | None] = []

    def come(known: Person | None) -> Person | None:
        heard.append(known)
        return person("ann", presence=Presence.RINGING) if known is None else replace(known, muted=True)

    assert await stores.people.change(room(1).id, "ann", come) == person("ann", presence=Presence.RINGING)
    changed = await stores.people.change(room(1).id, "ann", come)
    assert changed == person("ann", presence=Presence.RINGING, muted=True)
    assert heard[0] is None
    assert heard[-1] == person("ann", presence=Presence.RINGING)
    assert await stores.people.change(room(1).id, "ann", lambda known: None) == changed
    assert await stores.people.change(room(1).id, "bob", lambda known: None) is None
    assert await stores.people.one(room(1).id, "bob") is None


async def test_the_same_line_changed_by_many_at_once_loses_nothing(stores: Stores) -> None:
    await stores.rooms.add(room(1))

    def longer(known: Person | None) -> Person:
        return person("ann", display_name="x" if known is None else known.display_name + "x")

    await asyncio.gather(*(stores.people.change(room(1).id, "ann", longer) for _ in range(8)))
    assert (await stores.people.one(room(1).id, "ann")).display_name == "x" * 8


async def test_lines_are_dropped_and_cleared(stores: Stores) -> None:
    await stores.rooms.add(room(1))
    for line in (
        person("old", presence=Presence.LEFT, session="live_0"),
        person("gone", presence=Presence.LEFT, session="live_1"),
        person("here", session="live_0"),
        person("drop"),
    ):
        await stores.people.put(line)
    await stores.people.drop(room(1).id, "drop")
    await stores.people.drop(room(1).id, "nobody")
    await stores.people.clear(room(1).id, "live_1")
    assert sorted(one.identity for one in await stores.people.of(room(1).id)) == ["gone", "here"]


async def test_whoever_is_on_a_roster_and_not_at_the_media_server_is_found(stores: Stores) -> None:
    put = {
        "pending": person("a", presence=Presence.PENDING),
        "ringing": person("b", presence=Presence.RINGING),
        "waiting": person("c", presence=Presence.WAITING),
        "waiting there": person("d", presence=Presence.WAITING, sid="PA_1"),
        "inside": person("e"),
        "gone": person("f", presence=Presence.LEFT, left_at=NOW),
        "elsewhere": replace(person("a", presence=Presence.RINGING), room_id=room(2).id),
    }
    await stores.rooms.add(room(1))
    await stores.rooms.add(room(2))
    for one in put.values():
        await stores.people.put(one)
    found = await stores.people.outside()
    assert found == (put["pending"], put["ringing"], put["waiting"], put["elsewhere"])


async def test_the_sessions_in_which_somebody_stands(stores: Stores) -> None:
    await stores.rooms.add(room(1))
    for line in (
        person("in", sid="PA_1", session="live_2"),
        person("in too", sid="PA_2", session="live_2"),
        person("waits", sid="PA_3", session="live_1", presence=Presence.WAITING),
        person("outside", session="live_3", presence=Presence.WAITING),
        person("called", sid="PA_4", session="live_4", presence=Presence.RINGING),
        person("gone", sid="PA_5", session="live_5", presence=Presence.LEFT),
    ):
        await stores.people.put(line)
    assert await stores.people.sessions() == ("live_1", "live_2")


async def test_the_latest_ban_counts(stores: Stores) -> None:
    assert await stores.people.ban_of("live_1", "ann") is None
    for minutes in (1, 3, 2):
        await stores.people.ban(Ban("live_1", "ann", NOW + minutes * MINUTE))
    assert await stores.people.ban_of("live_1", "ann") == Ban("live_1", "ann", NOW + 3 * MINUTE)
    assert await stores.people.bans_of("live_1") == {"ann": Ban("live_1", "ann", NOW + 3 * MINUTE)}
    assert await stores.people.bans_of("live_2") == {}
    assert await stores.people.ban_of("live_2", "ann") is None
    assert await stores.people.ban_of("live_1", "bob") is None


async def test_an_identity_is_kept_for_one_guest(stores: Stores) -> None:
    def claim(minutes: int, lasts: int, *, member: bool = False) -> Awaitable[bool]:
        at = NOW + minutes * MINUTE
        return stores.people.claim("live_1", "ann", at, at + lasts * MINUTE, member=member)

    assert await claim(0, 10)
    assert not await claim(9, 10)
    assert await claim(10, 10)
    assert not await claim(11, 60, member=True), "it was a guest's"
    assert await claim(12, 1, member=True), "it is a member's now"
    assert not await claim(70, 1)
    assert await claim(71, 1)
    assert await stores.people.claim("live_2", "ann", NOW, NOW + MINUTE)
    taken = [stores.people.claim("live_3", "ann", NOW, NOW + MINUTE) for _ in range(8)]
    assert sorted(await asyncio.gather(*taken)) == [False] * 7 + [True]
    members = [stores.people.claim("live_4", "ann", NOW, NOW + MINUTE, member=True) for _ in range(3)]
    assert await asyncio.gather(*members) == [True] * 3


async def test_a_report_is_new_once(stores: Stores) -> None:
    assert await stores.people.first_time("EV_1", NOW)
    assert not await stores.people.first_time("EV_1", NOW)
    await stores.people.not_taken("EV_1")
    assert await stores.people.first_time("EV_1", NOW)


async def test_old_bans_claims_and_reports_are_forgotten(stores: Stores) -> None:
    for minutes, name in ((0, "old"), (2, "new")):
        at = NOW + minutes * MINUTE
        await stores.people.first_time(name, at)
        await stores.people.ban(Ban("live_1", name, at))
        await stores.people.claim("live_1", name, NOW, at)
    await stores.people.purge(NOW + MINUTE)
    assert await stores.people.first_time("old", NOW)
    assert not await stores.people.first_time("new", NOW)
    assert await stores.people.ban_of("live_1", "old") is None
    assert await stores.people.ban_of("live_1", "new") is not None
    assert await stores.people.claim("live_1", "old", NOW - MINUTE, NOW)
    assert not await stores.people.claim("live_1", "new", NOW, NOW)
