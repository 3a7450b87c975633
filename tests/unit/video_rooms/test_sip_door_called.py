"""A telephone's way into a room where LiveKit's SIP service calls the switch. All else fake."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.unit.video_rooms.sip_called_stage import Stage, staged
from tests.unit.video_rooms.sip_stage import PASS_ID, ROOM, Ear, settle, until
from video_rooms.core.live import PASS, ROLE
from video_rooms.core.trunks import CallOut
from video_rooms.fakes import FakeRoomServer
from video_rooms.siptrunk.door import REST_S
from video_rooms.siptrunk.stay import SipStay

pytestmark = pytest.mark.unit


@pytest.fixture
async def stage(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    async with staged(monkeypatch) as made:
        yield made


# ---------------------------------------------------------------- coming in


async def test_a_telephone_is_called_in_as_who_it_is(stage: Stage) -> None:
    join = stage.join()
    stay, _ = await stage.enter(join)
    (call,) = stage.service.asked
    assert call.trunk == stage.keeper.outbound
    assert (call.room, call.identity, call.name) == (ROOM, join.identity, "Ann")
    assert call.attributes == {ROLE: "phone", PASS: PASS_ID}
    assert call.number[0] == "3"
    assert len(call.number) == 33
    assert stay.identity == join.identity
    assert stage.port.legs[0].answered
    assert await stage.inside() == [join.identity]


async def test_neither_rule_nor_anchor_nor_call_of_the_switch_is_needed(stage: Stage) -> None:
    await stage.enter()
    assert (stage.switch.placed, len(stage.anchors), stage.other.entered) == ([], 0, [])
    assert [thing.kind for thing, _ in stage.desk.things.values()] == ["outbound"]


async def test_each_call_has_a_name_of_its_own_that_works_once(stage: Stage) -> None:
    await stage.enter()
    await stage.enter()
    names = [call.number for call in stage.service.asked]
    assert len(set(names)) == 2
    assert not any(stage.port.brings(name) for name in names)


async def test_sound_goes_both_ways(stage: Stage) -> None:
    stay, _ = await stage.enter()
    heard: list[bytes] = []
    stay.hear("mix", heard.append)
    stay.audio(b"a" * 640)
    stay.say(b"b" * 640)
    assert (heard, stage.port.legs[0].played) == ([b"a" * 640], [b"b" * 640])


# ---------------------------------------------------------------- not coming in


@pytest.mark.parametrize(
    ("final", "why"),
    [
        (401, "unreachable"),
        (403, "unreachable"),
        (404, "unreachable"),
        (486, "unreachable"),
        (503, "unreachable"),
        (408, "timeout"),
        (480, "timeout"),
        (487, "timeout"),
        (603, "refused"),
    ],
)
async def test_how_the_call_ended_says_whether_the_other_way_is_tried(
    stage: Stage, final: int, why: str
) -> None:
    stage.service.plays, stage.service.final = "refused", final
    assert await stage.refused() == why
    assert (await stage.inside(), len(stage.door), stage.port.expected) == ([], 0, {})
    assert len(stage.service.asked) == 1


@pytest.mark.parametrize("plays", ["out of order", "away"])
async def test_a_room_that_is_not_there_is_told_whatever_the_service_says(stage: Stage, plays: str) -> None:
    await stage.server.delete(ROOM)
    stage.service.plays = plays
    assert await stage.refused() == "no_room"
    assert stage.door.open, "that is no fault of the service's"


@pytest.mark.parametrize("plays", ["breaks", "elsewhere"])
async def test_nobody_is_left_behind_where_it_comes_to_nothing(stage: Stage, plays: str) -> None:
    stage.service.plays = plays
    assert await stage.refused() == "unreachable"
    assert (await stage.inside(), len(stage.door), stage.port.expected) == ([], 0, {})
    assert not stage.door.open


async def test_a_call_of_which_nothing_is_known_is_not_made_again_and_worth_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("video_rooms.siptrunk.door.TAKE_S", 0.05)
    stage.service.plays = "silent"
    assert await stage.refused() == "timeout"
    (call,) = stage.service.asked
    assert await stage.inside() == []
    assert not stage.port.brings(call.number), "a service that calls late finds nobody"


async def test_whoever_comes_in_by_the_other_way_is_not_taken_out_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.service.plays = "refused"
    join, remove, done = stage.join(), FakeRoomServer.remove, list[str]()

    async def noted(server: FakeRoomServer, name: str, identity: str) -> bool:
        await settle()
        assert stage.other.entered == []
        done.append(identity)
        return await remove(server, name, identity)

    monkeypatch.setattr(FakeRoomServer, "remove", noted)
    await stage.ladder.enter(join, Ear(), muted=False)
    await settle()
    assert (done, [one.identity for one in stage.other.entered]) == ([join.identity], [join.identity])


async def test_a_server_that_does_not_remove_keeps_nobody_waiting(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("video_rooms.siptrunk.ways.REMOVE_S", 0.05)
    stage.service.plays = "refused"

    async def never(*_: object) -> bool:
        await asyncio.Event().wait()
        return True

    monkeypatch.setattr(FakeRoomServer, "remove", never)
    assert await stage.refused() == "unreachable"
    assert len(stage.door) == 0


async def test_our_own_end_that_is_gone_before_the_answer_is_told_is_the_end(stage: Stage) -> None:
    answers = stage.service

    async def hurried(call: CallOut) -> int | None:
        final = await answers(call)
        stage.port.legs[0].hang_up()
        await settle()
        return final

    stage.desk.service = hurried
    assert await stage.refused() == "unreachable"
    assert await stage.inside() == []


async def test_without_a_trunk_to_the_switch_it_is_shut(stage: Stage) -> None:
    stage.desk.away = True
    await stage.keeper.look()
    assert not stage.door.open
    assert await stage.refused() == "unreachable"


async def test_only_telephones_come_so(stage: Stage) -> None:
    join = stage.join("agent_00000001")
    assert not stage.door.knows(join.identity)
    await stage.ladder.enter(join, Ear(), muted=False)
    assert (stage.service.asked, [one.identity for one in stage.other.entered]) == ([], [join.identity])


async def test_a_service_that_failed_is_left_alone_a_while(stage: Stage) -> None:
    stage.service.plays = "breaks"
    await stage.ladder.enter(stage.join(), Ear(), muted=False)
    await stage.ladder.enter(stage.join(), Ear(), muted=False)
    assert len(stage.service.asked) == 1
    stage.service.plays, stage.now[0] = "answers", REST_S
    assert isinstance(await stage.ladder.enter(stage.join(), Ear(), muted=False), SipStay)


# ---------------------------------------------------------------- the end


async def test_whoever_leaves_is_out_of_the_room_and_of_the_switch(stage: Stage) -> None:
    stay, ear = await stage.enter()
    await stay.leave()
    await settle()
    assert (await stage.inside(), len(stage.door), ear.told) == ([], 0, [])
    assert stage.port.legs[0].ended


@pytest.mark.parametrize(
    ("what", "ends", "why"),
    [
        ("removed", "hangup", "removed"),
        ("deleted", "hangup", "room_ended"),
        ("stays", "hangup", "lost"),
        ("removed", "stalled", "lost"),
        ("away", "hangup", "lost"),
    ],
)
async def test_the_end_of_our_own_end_is_the_end(stage: Stage, what: str, ends: str, why: str) -> None:
    stay, ear = await stage.enter()
    match what:
        case "removed":
            await stage.server.remove(ROOM, stay.identity)
        case "deleted":
            await stage.server.delete(ROOM)
        case "away":
            stage.server.away = True
    stay.gone(ends)
    await until(lambda: any(told.startswith("out") for told in ear.told))
    assert [told for told in ear.told if told.startswith("out")] == [f"out {why}"]


async def test_whoever_has_its_place_by_now_stays(stage: Stage) -> None:
    join = stage.join()
    first, _ = await stage.enter(join)
    await stage.server.remove(ROOM, join.identity)
    second, _ = await stage.enter(join)
    await first.leave()
    await settle()
    assert await stage.inside() == [join.identity]
    await second.leave()
    assert await stage.inside() == []


async def test_a_room_that_is_listed_longer_than_its_people_has_ended(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("video_rooms.siptrunk.stay.ENDS_S", 60.0)
    stay, ear = await stage.enter()
    await stage.server.remove(ROOM, stay.identity)
    stay.gone("hangup")
    await settle()
    assert not any(told.startswith("out") for told in ear.told)
    await stage.server.delete(ROOM)
    await until(lambda: any(told.startswith("out") for told in ear.told))
    assert ear.told[-1] == "out room_ended"
