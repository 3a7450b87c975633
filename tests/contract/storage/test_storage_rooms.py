"""Rooms, rosters and invites in every store: memory's own, and SQL on every database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from gateway.storage.database import Database
from gateway.storage.keys import TenantRepository
from gateway.storage.memory import open_memory
from gateway.storage.models import METADATA
from gateway.storage.records import Tenant
from gateway.storage.room_invites import RoomInviteRepository
from gateway.storage.room_people import RoomPeopleRepository
from gateway.storage.rooms import RoomRepository
from telephony.errors import StorageUnavailable
from telephony.ids import TenantId
from video_rooms.core.room import Ban, Invite, Person, Presence, Recurrence, Role, Room, Status
from video_rooms.fakes_stores import MemoryInvites, MemoryPeople, MemoryRooms
from video_rooms.ports import InviteStore, PeopleStore, PinTaken, RoomStore

pytestmark = pytest.mark.contract

NOW = datetime(2026, 3, 8, 12, 0, 0, 123456, UTC)
MINUTE = timedelta(minutes=1)
OURS, THEIRS = TenantId("tnt_ours"), TenantId("tnt_theirs")


@dataclass(slots=True)
class Stores:
    rooms: RoomStore
    people: PeopleStore
    invites: InviteStore


@pytest.fixture(params=["fake", "memory", "sqlite", "postgresql"])
def where(request: pytest.FixtureRequest) -> str:
    """A database's address; ``fake`` and ``memory`` have none."""
    match request.param:
        case "sqlite":
            return f"sqlite:///{request.getfixturevalue('sqlite_file')}"
        case "postgresql":
            return str(request.getfixturevalue("migrated_postgres"))
    return str(request.param)


@pytest.fixture
async def stores(where: str) -> AsyncIterator[Stores]:
    if where == "fake":
        yield Stores(MemoryRooms(), MemoryPeople(), MemoryInvites())
        return
    opened = open_memory() if where == "memory" else await Database.open(where)
    if opened.dialect == "postgresql":
        tables = ", ".join(table.name for table in METADATA.sorted_tables)
        await opened.write(lambda conn: conn.execute(text(f"TRUNCATE {tables} CASCADE")) and None)
    tenants = TenantRepository(opened)
    await tenants.create(Tenant(OURS, "Ours", NOW))
    await tenants.create(Tenant(THEIRS, "Theirs", NOW))
    yield Stores(RoomRepository(opened), RoomPeopleRepository(opened), RoomInviteRepository(opened))
    await opened.close()


def room(n: int, **changes: object) -> Room:
    made = Room(
        id=f"00000000-0000-4000-8000-{n:012d}",
        tenant=OURS,
        name=f"Room {n} \u20ac",
        host_user_id="key_1",
        status=Status.SCHEDULED,
        live_name=f"live_{n}",
        room_sid=None,
        scheduled_at=None,
        started_at=None,
        ended_at=None,
        recording_enabled=False,
        recording_url=None,
        max_participants=10,
        settings={"nested": {"list": [1, 2.5, None, "x"]}},
        created_at=NOW + n * MINUTE,
        updated_at=NOW + n * MINUTE,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


SERIES = Recurrence(
    "FREQ=WEEKLY;COUNT=4",
    "Europe/Berlin",
    without=(NOW + 7 * 1440 * MINUTE,),
    moved=((NOW + 14 * 1440 * MINUTE, NOW + 15 * 1440 * MINUTE),),
)
WHOLE = room(
    7,
    status=Status.LIVE,
    room_sid="RM_7",
    scheduled_at=NOW,
    started_at=NOW + MINUTE,
    recording_enabled=True,
    recording_url="https://files.example/7",
    max_participants=500,
    duration_minutes=45,
    waiting_room=True,
    recurrence=SERIES,
    sequence=3,
    pin="012345678",
    gone_at=NOW + 2 * MINUTE,
    why_ended="time_over",
)


# ---------------------------------------------------------------- rooms


@pytest.mark.parametrize("kept", [room(1), WHOLE, replace(WHOLE, status=Status.ENDED, ended_at=NOW)])
async def test_a_room_reads_back_as_it_was_kept(stores: Stores, kept: Room) -> None:
    await stores.rooms.add(kept)
    assert await stores.rooms.get(OURS, kept.id) == kept
    assert await stores.rooms.of_live(kept.live_name) == kept


async def test_another_tenants_room_is_not_there(stores: Stores) -> None:
    await stores.rooms.add(room(1))
    assert await stores.rooms.get(THEIRS, room(1).id) is None
    assert await stores.rooms.change(THEIRS, room(1).id, lambda known: replace(known, name="x")) is None
    assert await stores.rooms.page(THEIRS, None, 10) == ()
    assert (await stores.rooms.get(OURS, room(1).id)) == room(1)
    assert await stores.rooms.of_live("live_2") is None


async def test_a_change_is_written_whole_or_not_at_all(stores: Stores) -> None:
    await stores.rooms.add(room(7))
    edited = await stores.rooms.change(OURS, WHOLE.id, lambda known: replace(WHOLE, id=known.id))
    assert edited == WHOLE == await stores.rooms.get(OURS, WHOLE.id)

    def broken(known: Room) -> Room:
        raise ValueError(known.name)

    with pytest.raises(ValueError, match="Room 7"):
        await stores.rooms.change(OURS, WHOLE.id, broken)
    assert await stores.rooms.get(OURS, WHOLE.id) == WHOLE


async def test_changes_of_one_room_at_once_lose_none(stores: Stores) -> None:
    await stores.rooms.add(room(1))
    more = [
        stores.rooms.change(OURS, room(1).id, lambda known: replace(known, sequence=known.sequence + 1))
        for _ in range(8)
    ]
    await asyncio.gather(*more)
    assert (await stores.rooms.get(OURS, room(1).id)).sequence == 8


async def test_a_pin_opens_one_room_among_those_that_have_not_ended(stores: Stores) -> None:
    await stores.rooms.add(room(1, pin="123456"))
    assert (await stores.rooms.of_pin("123456")).id == room(1).id
    assert await stores.rooms.of_pin("123457") is None
    with pytest.raises(PinTaken):
        await stores.rooms.add(room(2, pin="123456", tenant=THEIRS))
    await stores.rooms.add(room(2, pin="654321"))
    with pytest.raises(PinTaken):
        await stores.rooms.change(OURS, room(2).id, lambda known: replace(known, pin="123456"))
    await stores.rooms.change(OURS, room(1).id, lambda known: replace(known, status=Status.ENDED))
    assert await stores.rooms.of_pin("123456") is None
    await stores.rooms.change(OURS, room(2).id, lambda known: replace(known, pin="123456"))
    assert (await stores.rooms.of_pin("123456")).id == room(2).id


async def test_many_rooms_have_no_pin(stores: Stores) -> None:
    await stores.rooms.add(room(1))
    await stores.rooms.add(room(2))
    assert await stores.rooms.of_pin("") is None


async def test_rooms_are_listed_by_their_plan_newest_first(stores: Stores) -> None:
    await stores.rooms.add(room(1))
    await stores.rooms.add(room(2, scheduled_at=NOW + 60 * MINUTE))
    await stores.rooms.add(room(3, status=Status.LIVE))
    await stores.rooms.add(room(4, tenant=THEIRS))
    found = await stores.rooms.page(OURS, None, 10)
    assert [one.id[-1] for one in found] == ["2", "3", "1"]
    assert [one.id[-1] for one in await stores.rooms.page(OURS, None, 2)] == ["2", "3"]
    assert [one.id[-1] for one in await stores.rooms.page(OURS, Status.LIVE, 10)] == ["3"]
    await stores.rooms.change(OURS, room(1).id, lambda known: replace(known, scheduled_at=NOW + 90 * MINUTE))
    assert [one.id[-1] for one in await stores.rooms.page(OURS, None, 10)] == ["1", "2", "3"]


async def test_unfinished_rooms_are_live_or_may_stand_at_the_media_server(stores: Stores) -> None:
    await stores.rooms.add(room(1))
    await stores.rooms.add(room(2, status=Status.LIVE))
    await stores.rooms.add(room(3, status=Status.ENDED, tenant=THEIRS))
    await stores.rooms.add(room(4, status=Status.ENDED, gone_at=NOW))
    assert [one.id[-1] for one in await stores.rooms.unfinished()] == ["2", "3"]


async def test_rooms_whose_first_time_has_begun_are_found_in_batches(stores: Stores) -> None:
    await stores.rooms.add(room(1))
    for n in (2, 3, 4):
        await stores.rooms.add(room(n, scheduled_at=NOW, tenant=THEIRS if n == 3 else OURS))
    await stores.rooms.add(room(5, scheduled_at=NOW + MINUTE))
    await stores.rooms.add(room(6, scheduled_at=NOW, status=Status.LIVE))
    await stores.rooms.add(room(7, scheduled_at=NOW, status=Status.ENDED))
    batch = await stores.rooms.begun_by(NOW, after="", limit=2)
    assert [one.id[-1] for one in batch] == ["2", "3"]
    rest = await stores.rooms.begun_by(NOW, after=batch[-1].id, limit=2)
    assert [one.id[-1] for one in rest] == ["4"]
    assert await stores.rooms.begun_by(NOW, after=rest[-1].id, limit=2) == ()


# ---------------------------------------------------------------- rosters


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


# ---------------------------------------------------------------- invites


def invite(n: int, **changes: object) -> Invite:
    made = Invite(
        id=f"10000000-0000-4000-8000-{n:012d}",
        room_id=room(1).id,
        tenant=OURS,
        token=f"token_{n}",
        participant_name=None,
        expires_at=NOW + 60 * MINUTE,
        revoked_at=None,
        max_uses=None,
        uses_count=0,
        created_at=NOW + n * MINUTE,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


async def test_invites_are_listed_newest_first(stores: Stores) -> None:
    await stores.rooms.add(room(1))
    await stores.rooms.add(room(2))
    kept = [invite(1, participant_name="Ann"), invite(2, max_uses=3), invite(3, expires_at=NOW)]
    for one in (*kept, invite(4, room_id=room(2).id)):
        await stores.invites.add(one)

    async def listed(tenant: TenantId = OURS, expired_too: bool = True, limit: int = 9) -> tuple[Invite, ...]:
        return await stores.invites.of_room(tenant, room(1).id, expired_too=expired_too, now=NOW, limit=limit)

    assert await listed() == tuple(reversed(kept))
    assert await listed(expired_too=False) == (kept[1], kept[0])
    assert await listed(limit=1) == (kept[2],)
    assert await listed(THEIRS) == ()


async def test_an_invite_is_revoked_by_its_own_tenant_and_room(stores: Stores) -> None:
    await stores.rooms.add(room(1))
    await stores.invites.add(invite(1))
    assert not await stores.invites.revoke(THEIRS, room(1).id, invite(1).id, NOW)
    assert not await stores.invites.revoke(OURS, room(2).id, invite(1).id, NOW)
    assert await stores.invites.find("token_1", NOW) == invite(1)
    assert await stores.invites.revoke(OURS, room(1).id, invite(1).id, NOW)
    assert await stores.invites.revoke(OURS, room(1).id, invite(1).id, NOW + MINUTE)
    listed = await stores.invites.of_room(OURS, room(1).id, expired_too=True, now=NOW, limit=1)
    assert listed[0].revoked_at == NOW
    assert await stores.invites.use("token_1", NOW) is None
    assert await stores.invites.find("token_1", NOW) is None


async def test_an_invite_ends_with_its_time(stores: Stores) -> None:
    await stores.rooms.add(room(1))
    await stores.invites.add(invite(1))
    assert await stores.invites.use("token_1", NOW + 60 * MINUTE) is None
    used = await stores.invites.use("token_1", NOW + 59 * MINUTE)
    assert used == invite(1, uses_count=1)
    assert await stores.invites.use("nobody's", NOW) is None


async def test_uses_are_counted_one_by_one_however_many_come_at_once(stores: Stores) -> None:
    await stores.rooms.add(room(1))
    await stores.invites.add(invite(1, max_uses=5))
    used = await asyncio.gather(*(stores.invites.use("token_1", NOW) for _ in range(12)))
    counts = sorted(one.uses_count for one in used if one is not None)
    assert counts == [1, 2, 3, 4, 5]
    assert await stores.invites.find("token_1", NOW) is None
    listed = await stores.invites.of_room(OURS, room(1).id, expired_too=False, now=NOW, limit=1)
    assert listed[0].uses_count == 5


async def test_a_store_that_is_away_says_so() -> None:
    away = Stores(MemoryRooms(away=True), MemoryPeople(away=True), MemoryInvites(away=True))
    with pytest.raises(StorageUnavailable):
        await away.rooms.add(room(1))
    with pytest.raises(StorageUnavailable):
        await away.people.first_time("EV_1", NOW)
    with pytest.raises(StorageUnavailable):
        await away.invites.use("token_1", NOW)
