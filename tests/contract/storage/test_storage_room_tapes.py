"""Rooms' recordings, in each kind of database."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gateway.storage.database import Database
from gateway.storage.room_tapes import RoomTapeRepository
from telephony.ids import TenantId
from video_rooms.core.tape import RoomTape, TapeState

pytestmark = pytest.mark.contract

MINE, OTHERS = TenantId("tnt_mine"), TenantId("tnt_others")
AT = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
TAPE = RoomTape("EG_1", "room_1", MINE, TapeState.RECORDING, AT)
DONE = replace(
    TAPE,
    state=TapeState.READY,
    ended_at=AT + timedelta(minutes=5),
    duration_ms=300_000,
    size=5_000_000_000,
    speakers=3,
)


async def test_a_recording_is_kept_as_it_goes_on(database: Database) -> None:
    tapes = RoomTapeRepository(database)
    await tapes.save(TAPE)
    assert await tapes.unfinished() == (TAPE,)
    await tapes.save(DONE)
    assert await tapes.get(MINE, "EG_1") == DONE
    assert await tapes.unfinished() == ()


async def test_a_rooms_recordings_come_oldest_first(database: Database) -> None:
    tapes = RoomTapeRepository(database)
    later = replace(DONE, id="EG_0", started_at=AT + timedelta(hours=1))
    for tape in (later, DONE, replace(DONE, id="EG_9", room_id="room_2")):
        await tapes.save(tape)
    assert await tapes.of_room(MINE, "room_1") == (DONE, later)


async def test_anothers_recordings_are_not_there(database: Database) -> None:
    tapes = RoomTapeRepository(database)
    await tapes.save(DONE)
    assert await tapes.get(OTHERS, "EG_1") is None
    assert await tapes.of_room(OTHERS, "room_1") == ()
    assert not await tapes.forget(OTHERS, "EG_1")
    assert await tapes.get(MINE, "EG_1") == DONE


async def test_the_end_of_a_recording_is_kept_by_the_first_who_tells_of_it(database: Database) -> None:
    tapes = RoomTapeRepository(database)
    await tapes.save(TAPE)
    assert await tapes.settle(DONE)
    assert not await tapes.settle(replace(DONE, state=TapeState.FAILED, why="crashed"))
    assert await tapes.get(MINE, "EG_1") == DONE
    assert await tapes.settle(replace(DONE, id="EG_2")), "one that could not be kept when it began"


async def test_recordings_are_known_whosever_they_are(database: Database) -> None:
    tapes = RoomTapeRepository(database)
    for number in range(3):
        await tapes.save(replace(TAPE, id=f"EG_{number}", tenant=(MINE, OTHERS)[number % 2]))
    asked = [f"EG_{number}" for number in range(1, 1200)]
    assert await tapes.known(asked) == {"EG_1", "EG_2"}
    assert await tapes.known([]) == frozenset()


async def test_only_what_is_finished_is_forgotten(database: Database) -> None:
    tapes = RoomTapeRepository(database)
    await tapes.save(TAPE)
    assert not await tapes.forget(MINE, "EG_1")
    await tapes.save(replace(TAPE, state=TapeState.FAILED, why="disk"))
    assert await tapes.forget(MINE, "EG_1")
    assert await tapes.get(MINE, "EG_1") is None
