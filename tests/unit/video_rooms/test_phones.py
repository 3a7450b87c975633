"""Telephones that dial into rooms through the desk: rosters, events, calls and sounds, on stand-ins, in
virtual time."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from telephony.errors import Conflict, NotFound, RoomsUnavailable
from telephony.ids import TenantId
from tests.unit.dialplan.virtual_time import in_virtual_time
from tests.unit.video_rooms.phone_stage import CALLER, LINE, PIN, ROOM, START, host, open_stage, room
from video_rooms.core.leg import HangUp
from video_rooms.core.room import Presence, Role, Status
from video_rooms.core.words_spoken import ENGLISH, Words

pytestmark = pytest.mark.unit


def words(*said: Words) -> list[str]:
    return [ENGLISH[one] for one in said]


@in_virtual_time
async def test_the_right_number_leads_into_the_room(tmp_path: Path) -> None:
    async with open_stage(tmp_path, None, host()) as stage:
        leg = await stage.dials_in()
        assert leg.answered
        assert stage.heard() == words(Words.WELCOME, Words.ASK_PIN)
        await stage.press(PIN)
        assert leg.room == "vr_tnt_1_x"
        assert stage.heard() == ["room-joined", "You are number 1 in the meeting."]
        assert stage.calls.inside == [("call_1", ROOM)]
        line = await stage.line()
        assert (line.presence, line.role, line.call_id) == (Presence.JOINED, Role.PHONE, "call_1")
        assert (line.display_name, line.session) == ("+44 •••• 0123", "vr_tnt_1_x")
        assert stage.told.kinds == ["room.participant.joined"]
        assert CALLER not in str(stage.told.events)
        (wish,) = stage.door.wishes
        assert (wish.identity, wish.role) == ("phone_00000001", Role.PHONE)


@pytest.mark.parametrize("by_call", [True, False])
@in_virtual_time
async def test_who_hangs_up_is_off_the_roster_at_once(tmp_path: Path, by_call: bool) -> None:
    async with open_stage(tmp_path, None, host()) as stage:
        await stage.comes_in()
        if by_call:
            stage.desk.call_over("call_1", "hangup")
        else:
            stage.carrier.hangs_up("call_1")
        await stage.rest()
        line = await stage.line()
        assert (line.presence, line.why_left) == (Presence.LEFT, "left")
        assert stage.told.kinds[-1] == "room.participant.left"
        assert stage.calls.ended == [], "its call ends by itself"
        assert len(stage.desk) == 0
        assert [who for _, who in stage.seen_off] == [line.identity], (
            "and off the media server's, whoever forgets"
        )


@in_virtual_time
async def test_a_kick_is_said_and_the_call_ends_within_a_second(tmp_path: Path) -> None:
    async with open_stage(tmp_path, None, host()) as stage:
        await stage.comes_in()
        stage.carrier.quick = False
        kicked_at = asyncio.get_running_loop().time()
        stage.carrier.put_out("call_1")
        await stage.rest()
        assert stage.heard() == words(Words.REMOVED)
        line = await stage.line()
        assert (line.presence, line.why_left) == (Presence.LEFT, "kicked")
        assert stage.told.kinds[-2:] == ["room.participant.kicked", "room.participant.left"]
        await asyncio.sleep(0.75)
        assert asyncio.get_running_loop().time() - kicked_at < 1.0
        assert stage.calls.ended == [("call_1", "removed_from_room")]
        assert stage.carrier.orders[-1] == ("call_1", HangUp())


@in_virtual_time
async def test_wrong_numbers_and_early_ones_are_answered_alike_and_let_go(tmp_path: Path) -> None:
    kept = room(scheduled_at=START + timedelta(hours=2), status=Status.SCHEDULED)
    async with open_stage(tmp_path, kept, host()) as stage:
        leg = await stage.dials_in()
        for number in ("111111#", PIN, "999999#"):  # wrong, too early, wrong
            count = len(leg.played)
            await stage.press(number)
            await asyncio.sleep(0.99)
            assert len(leg.played) == count
            await asyncio.sleep(0.02)
            assert len(leg.played) == count + 1
        answers = [[path.stem for path in one.paths] for one in leg.played]
        again = words(Words.REFUSED, Words.ASK_AGAIN)
        assert answers == [
            words(Words.WELCOME, Words.ASK_PIN),
            again,
            again,
            words(Words.REFUSED, Words.GOODBYE),
        ]
        await stage.rest()
        assert stage.calls.ended == [("call_1", "room_pin_wrong")]
        assert stage.tries.left == 7
        assert stage.tries.asked == [(CALLER, LINE)] * 3
        assert await stage.people.of(ROOM) == (host(),)


@in_virtual_time
async def test_who_tried_too_often_is_refused_with_the_right_number(tmp_path: Path) -> None:
    async with open_stage(tmp_path, None, host()) as stage:
        stage.tries.left = 0
        leg = await stage.dials_in()
        await stage.press(PIN)
        await asyncio.sleep(1.1)
        assert leg.room is None
        assert stage.heard() == words(Words.REFUSED, Words.ASK_AGAIN)


@in_virtual_time
async def test_a_line_leads_to_its_own_tenants_rooms_alone(tmp_path: Path) -> None:
    async with open_stage(tmp_path, room(tenant=TenantId("ten_b")), host()) as stage:
        leg = await stage.dials_in()
        await stage.press(PIN)
        await asyncio.sleep(1.1)
        assert leg.room is None
        assert stage.heard() == words(Words.REFUSED, Words.ASK_AGAIN)


@in_virtual_time
async def test_the_lobby_plays_music_until_a_host_lets_in(tmp_path: Path) -> None:
    async with open_stage(tmp_path, room(waiting_room=True), host()) as stage:
        leg = await stage.dials_in()
        await stage.press(PIN)
        assert leg.music
        assert leg.room is None
        assert (await stage.line()).presence is Presence.WAITING
        assert stage.told.kinds == ["room.participant.waiting"]
        assert not stage.desk.admit(ROOM, "phone_99999999")
        assert not stage.desk.admit("another", "phone_00000001")
        stage.desk.host_came(ROOM)
        await stage.rest()
        assert leg.room is None
        assert stage.desk.admit(ROOM, "phone_00000001")
        await stage.rest()
        assert leg.room == "vr_tnt_1_x"
        assert not leg.music
        assert stage.told.kinds[1:] == ["room.participant.admitted", "room.participant.joined"]
        assert not stage.desk.admit(ROOM, "phone_00000001"), "it waits no longer"
        assert not stage.desk.put_out(ROOM, "phone_00000001"), "the media server puts it out"


@pytest.mark.parametrize("how", ["denied", "kicked", "room_ended"])
@in_virtual_time
async def test_who_waits_is_sent_away(tmp_path: Path, how: str) -> None:
    async with open_stage(tmp_path, room(waiting_room=True), host()) as stage:
        await stage.dials_in()
        await stage.press(PIN)
        if how == "denied":
            assert stage.desk.deny(ROOM, "phone_00000001")
        elif how == "kicked":
            assert stage.desk.put_out(ROOM, "phone_00000001")
        else:
            stage.desk.room_over(ROOM)
        await stage.rest()
        line = await stage.line()
        assert (line.presence, line.why_left) == (Presence.LEFT, how)
        assert len(stage.calls.ended) == 1


@in_virtual_time
async def test_who_comes_before_the_host_comes_in_with_the_host(tmp_path: Path) -> None:
    async with open_stage(tmp_path, None, host(Presence.LEFT)) as stage:
        leg = await stage.dials_in()
        await stage.press(PIN)
        assert stage.heard() == words(Words.WAIT_FOR_HOST)
        stage.desk.host_came(ROOM)
        await stage.rest()
        assert leg.room == "vr_tnt_1_x"


@in_virtual_time
async def test_keys_do_what_buttons_do(tmp_path: Path) -> None:
    async with open_stage(tmp_path, None, host()) as stage:
        leg = await stage.comes_in()
        await stage.press("*6")
        assert leg.muted
        assert leg.shown["muted"] == "true"
        assert (await stage.line()).muted
        stage.carrier.host_mutes("call_1", False)
        await stage.press("*6")
        assert not leg.muted
        assert leg.heard_by_room
        stage.carrier.host_mutes("call_1")
        await stage.rest()
        assert stage.heard() == words(Words.HOST_MUTED)
        assert (await stage.line()).muted
        await stage.press("*6")
        assert leg.heard_by_room
        assert not (await stage.line()).muted
        await stage.press("*2")
        assert leg.shown["hand_raised"] == "true"
        assert (await stage.line()).hand_raised
        stage.carrier.crowd("vr_tnt_1_x", guests=3)
        await stage.rest()
        await stage.press("*1")
        assert stage.heard() == ["There are 4 of you in the meeting."]
        await stage.press("*4")
        assert stage.heard() == words(Words.KEYS)


@in_virtual_time
async def test_a_recording_is_told(tmp_path: Path) -> None:
    async with open_stage(tmp_path, None, host()) as stage:
        stage.carrier.crowd("vr_tnt_1_x", recording=True)
        await stage.comes_in()
        assert stage.heard() == words(Words.RECORDED)
        assert len(stage.said()) == 3


@in_virtual_time
async def test_two_callers_with_one_number_are_two_people(tmp_path: Path) -> None:
    async with open_stage(tmp_path, None, host()) as stage:
        first, second = await stage.comes_in("call_1"), await stage.comes_in("call_2")
        assert first.identity != second.identity
        assert first.room == second.room == "vr_tnt_1_x"
        assert stage.heard("call_2") == ["room-joined", "You are number 2 in the meeting."]
        stage.carrier.hangs_up("call_1")
        await stage.rest()
        assert second.room == "vr_tnt_1_x"


@pytest.mark.parametrize(
    ("refuses", "heard"),
    [
        (Conflict("full", code="ROOM_FULL"), Words.REFUSED),
        (NotFound("ended"), Words.REFUSED),
        (RoomsUnavailable("away"), Words.UNAVAILABLE),
    ],
)
@in_virtual_time
async def test_a_door_that_does_not_open(tmp_path: Path, refuses: Conflict, heard: Words) -> None:
    async with open_stage(tmp_path, None, host()) as stage:
        stage.door.refuses = refuses
        leg = await stage.dials_in()
        await stage.press(PIN)
        await asyncio.sleep(1.1)
        assert stage.heard()[0] == ENGLISH[heard]
        assert leg.room is None


@in_virtual_time
async def test_a_pass_that_comes_after_the_hang_up_opens_nothing(tmp_path: Path) -> None:
    async with open_stage(tmp_path, None, host()) as stage:
        stage.door.opens.clear()
        leg = await stage.dials_in()
        await stage.press(PIN)
        stage.desk.call_over("call_1", "hangup")
        stage.door.opens.set()
        await stage.rest()
        assert leg.room is None
        assert await stage.people.of(ROOM) == (host(),)


@in_virtual_time
async def test_stores_that_are_away_end_the_call_with_words(tmp_path: Path) -> None:
    async with open_stage(tmp_path, None, host()) as stage:
        stage.rooms.away = True
        await stage.dials_in()
        await stage.press(PIN)
        assert stage.heard() == words(Words.UNAVAILABLE)
        assert stage.calls.ended == [("call_1", "room_unavailable")]


@in_virtual_time
async def test_a_roster_that_cannot_be_written_is_written_a_second_later(tmp_path: Path) -> None:
    async with open_stage(tmp_path, None, host()) as stage:
        await stage.comes_in()
        stage.people.away = True
        stage.carrier.hangs_up("call_1")
        await asyncio.sleep(1.5)
        stage.people.away = False
        await asyncio.sleep(1.0)
        assert (await stage.line()).presence is Presence.LEFT


@pytest.mark.parametrize("how", ["mute", "slow"])
@in_virtual_time
async def test_without_speech_there_are_tones(tmp_path: Path, how: str) -> None:
    async with open_stage(tmp_path, None, host()) as stage:
        stage.voice.mute, stage.voice.slow = how == "mute", how == "slow"
        stage.sounds._known.clear()
        leg = await stage.dials_in()
        await asyncio.sleep(4.5)
        assert stage.heard()[:1] == ["room-no-speech"]
        assert all(path.is_file() for path in leg.played[0].paths)
        await stage.press(PIN)
        assert leg.room == "vr_tnt_1_x"


@in_virtual_time
async def test_a_file_that_was_cleared_away_is_spoken_again(tmp_path: Path) -> None:
    async with open_stage(tmp_path, None, host()) as stage:
        (tmp_path / f"{ENGLISH[Words.WELCOME]}.wav").unlink()
        await stage.dials_in()
        assert stage.heard() == words(Words.WELCOME, Words.ASK_PIN)
        assert (tmp_path / f"{ENGLISH[Words.WELCOME]}.wav").is_file()
