"""Telephones that are called into rooms through the desk, on stand-ins, in virtual time."""

from __future__ import annotations

from pathlib import Path

import pytest

from telephony.errors import Conflict, NotFound, RoomsUnavailable, StorageUnavailable
from telephony.ids import TenantId
from tests.unit.dialplan.virtual_time import in_virtual_time
from tests.unit.video_rooms.phone_stage import ROOM, host, open_stage, room
from video_rooms.core.leg import HangUp
from video_rooms.core.room import Presence, Status
from video_rooms.core.words_spoken import ENGLISH, Words

pytestmark = pytest.mark.unit


@in_virtual_time
async def test_a_telephone_is_called_into_the_room(tmp_path: Path) -> None:
    async with open_stage(tmp_path, None, host()) as stage:
        line = await stage.calls_out()
        assert line == await stage.line()
        assert (line.presence, line.display_name) == (Presence.PENDING, "+44 •••• 0123")
        stage.desk.call_rang("call_1")
        await stage.rest()
        assert (await stage.line()).presence is Presence.RINGING
        stage.carrier.arrives("call_1")
        await stage.rest()
        assert stage.heard() == [ENGLISH[Words.ASK_CONSENT]]
        await stage.press("1")
        assert (await stage.line()).presence is Presence.JOINED
        assert stage.told.kinds == ["room.phone.ringing", "room.phone.joined", "room.participant.joined"]
        assert (await stage.desk.line_of(ROOM, "call_1")) == await stage.line()


@in_virtual_time
async def test_a_name_of_its_own_is_shown(tmp_path: Path) -> None:
    async with open_stage(tmp_path, None, host()) as stage:
        assert (await stage.calls_out(display_name="Bob")).display_name == "Bob"


@pytest.mark.parametrize("why", ["busy", "no_answer", "declined", "failed"])
@in_virtual_time
async def test_a_call_in_vain_is_told(tmp_path: Path, why: str) -> None:
    async with open_stage(tmp_path, None, host()) as stage:
        await stage.calls_out()
        stage.desk.call_over("call_1", why)
        await stage.rest()
        line = await stage.line()
        assert (line.presence, line.why_left) == (Presence.LEFT, why)
        kind, room_id, told = stage.told.events[-1]
        assert (kind, room_id, told["reason"]) == ("room.phone.failed", ROOM, why)
        assert "+447700900123" not in str(told)


@pytest.mark.parametrize("how", ["kicked", "room_ended"])
@in_virtual_time
async def test_a_telephone_that_rings_is_cancelled(tmp_path: Path, how: str) -> None:
    async with open_stage(tmp_path, None, host()) as stage:
        await stage.calls_out()
        stage.desk.call_rang("call_1")
        if how == "kicked":
            assert stage.desk.put_out(ROOM, "phone_00000001")
        else:
            stage.desk.room_over(ROOM)
        await stage.rest()
        assert (await stage.line()).why_left == how
        assert len(stage.calls.ended) == 1


@in_virtual_time
async def test_a_call_that_was_not_placed_leaves_nothing(tmp_path: Path) -> None:
    async with open_stage(tmp_path, None, host()) as stage:
        await stage.calls_out()
        await stage.desk.forget("call_1")
        await stage.desk.forget("call_1")
        assert await stage.people.of(ROOM) == (host(),)
        assert stage.told.kinds == []
        assert len(stage.desk) == 0


@in_virtual_time
async def test_nobody_is_called_into_a_room_that_is_not_there_or_full(tmp_path: Path) -> None:
    async with open_stage(tmp_path, room(max_participants=1), host()) as stage:
        with pytest.raises(Conflict) as full:
            await stage.calls_out()
        assert full.value.code == "ROOM_FULL"
        await stage.rooms.change(TenantId("tnt_1"), ROOM, lambda _: room(status=Status.ENDED))
        with pytest.raises(NotFound):
            await stage.calls_out()


@in_virtual_time
async def test_a_place_that_cannot_be_written_is_no_place(tmp_path: Path) -> None:
    async with open_stage(tmp_path, None, host()) as stage:
        stage.carrier.up = False
        with pytest.raises(RoomsUnavailable):
            await stage.calls_out()
        stage.carrier.up = True
        stage.people.takes_nobody = True
        with pytest.raises(StorageUnavailable):
            await stage.calls_out()
        assert stage.carrier.orders == [("call_1", HangUp())]
        assert len(stage.desk) == 0
