"""What is left of telephones in rooms where a gateway ends, on stand-ins, in virtual time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.dialplan.virtual_time import in_virtual_time
from tests.unit.video_rooms.phone_stage import ROOM, host, open_stage
from video_rooms.core.room import Person, Presence, Role

pytestmark = pytest.mark.unit

OUTSIDE = {
    "phone_0000000a": (Presence.PENDING, "call_a"),
    "phone_0000000b": (Presence.RINGING, "call_b"),
    "phone_0000000c": (Presence.WAITING, "call_c"),
}


@in_virtual_time
async def test_at_the_end_every_visit_is_over(tmp_path: Path) -> None:
    async with open_stage(tmp_path, None, host()) as stage:
        await stage.comes_in()
        await stage.calls_out("call_2")
        await stage.desk.close()
        assert {why for _, why in stage.calls.ended} == {"gateway_stopping"}
        assert all(one.presence is Presence.LEFT for one in await stage.people.of(ROOM) if one.call_id)


@in_virtual_time
async def test_who_was_outside_when_the_gateway_ended_is_lost_and_told(tmp_path: Path) -> None:
    async with open_stage(tmp_path, None, host()) as stage:
        for name, (presence, call_id) in OUTSIDE.items():
            line = Person(ROOM, name, "+44 •••• 0123", Role.PHONE, presence, call_id=call_id)
            await stage.people.put(replace(line, session="vr_tnt_1_x"))
        await stage.desk.start()
        lines = [await stage.line(name) for name in OUTSIDE]
        assert {(line.presence, line.why_left) for line in lines} == {(Presence.LEFT, "lost")}
        assert (await stage.line("usr_1")).presence is Presence.JOINED
        told = [(kind, body["call_id"], body.get("reason")) for kind, _, body in stage.told.events]
        assert told == [
            ("room.phone.failed", "call_a", "room_leg_lost"),
            ("room.phone.failed", "call_b", "room_leg_lost"),
            ("room.participant.left", "call_c", None),
        ]
        await stage.desk.start()
        assert len(stage.told.events) == 3, "once"


@in_virtual_time
async def test_calls_that_nobody_carries_into_a_room_any_more_are_ended_once(tmp_path: Path) -> None:
    async with open_stage(tmp_path, None, host()) as stage:
        for name, (presence, call_id) in OUTSIDE.items():
            await stage.people.put(Person(ROOM, name, name, Role.PHONE, presence, call_id=call_id))
        await stage.desk.start()
        assert stage.calls.ended == [], "which of them go on is not known yet"
        assert stage.told.events == [], "of a session that is no more nothing is told"
        stage.desk.end_left_behind()
        stage.desk.end_left_behind()
        assert stage.calls.ended == [(call, "room_leg_lost") for _, call in OUTSIDE.values()]
