"""Rooms in every store: memory's own, and SQL on every database."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from telephony.errors import StorageUnavailable
from tests.contract.storage.room_stores import MINUTE, NOW, OURS, THEIRS, Stores, room
from video_rooms.core.room import Recurrence, Room, Status
from video_rooms.fakes_stores import MemoryInvites, MemoryPeople, MemoryRooms
from video_rooms.ports import PinTaken

pytestmark = pytest.mark.contract

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


async def test_a_store_that_is_away_says_so() -> None:
    away = Stores(MemoryRooms(away=True), MemoryPeople(away=True), MemoryInvites(away=True))
    with pytest.raises(StorageUnavailable):
        await away.rooms.add(room(1))
    with pytest.raises(StorageUnavailable):
        await away.people.first_time("EV_1", NOW)
    with pytest.raises(StorageUnavailable):
        await away.invites.use("token_1", NOW)
