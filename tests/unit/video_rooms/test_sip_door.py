"""A telephone's way into a room by LiveKit's SIP service: who comes in, and who does not. All else fake."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from tests.unit.video_rooms.sip_stage import PASS_ID, ROOM, URL, Ear, Stage, settle, staged
from video_rooms.core.leg import Join
from video_rooms.core.live import PASS, ROLE, LivePerson
from video_rooms.core.roster import is_seen
from video_rooms.core.trunk_pass import read_pass
from video_rooms.core.trunks import OneCall
from video_rooms.fakes import FakeRoomServer
from video_rooms.fakes_around import CountedChances
from video_rooms.fakes_trunk import FakeTrunkDesk
from video_rooms.ports_media import NotAdmitted
from video_rooms.siptrunk.door import REST_S, SipDoor
from video_rooms.siptrunk.names import TrunkNames
from video_rooms.siptrunk.stay import VOICE, SipStay

pytestmark = pytest.mark.unit


@pytest.fixture
async def stage(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    async with staged(monkeypatch) as made:
        yield made


def rules(stage: Stage) -> list[OneCall]:
    return [thing for thing, _ in stage.desk.things.values() if isinstance(thing, OneCall)]


# ---------------------------------------------------------------- coming in


async def test_a_telephone_comes_in_as_who_it_was_to_be(stage: Stage) -> None:
    join = stage.join()
    stay, _ = await stage.enter(join)
    (call,) = stage.calls.placed
    assert stay.identity == join.identity
    assert call.caller == stage.names.caller_of(join.identity)
    assert (call.number, call.name) == ("rooms-1", "+44 •••• 1234")
    assert call.socket == stage.port.dial_string(next(iter(stage.port.legs)))
    people = {one.identity: one for one in await stage.server.people(ROOM)}
    assert people[join.identity].attributes[PASS] == PASS_ID
    assert people[join.identity].attributes[ROLE] == "phone"
    assert stage.desk.names == {join.identity: "+44 •••• 1234"}
    assert stage.port.leg.answered


async def test_the_rule_is_gone_once_the_call_was_taken(stage: Stage) -> None:
    await stage.enter()
    assert rules(stage) == []


async def test_somebody_who_counts_for_nobody_holds_the_room_open(stage: Stage) -> None:
    first, _ = await stage.enter()
    second, _ = await stage.enter()
    anchors = [one for one in await stage.server.people(ROOM) if one.identity.startswith("anchor_")]
    assert len(anchors) == 1
    assert not is_seen(anchors[0])
    assert second.others == 1, "the other telephone, and no anchor"
    await first.leave()
    assert len(stage.anchors) == 1
    await second.leave()
    assert len(stage.anchors) == 0
    assert stage.other.left == [anchors[0].identity]


async def test_sound_goes_both_ways(stage: Stage) -> None:
    stay, _ = await stage.enter()
    heard: list[bytes] = []
    assert dict(stay.published) == {VOICE: ""}
    stay.fetch(VOICE)
    stay.hear(VOICE, heard.append)
    stay.audio(b"a" * 640)
    stay.say(b"b" * 640)
    stay.mute(True)
    stay.say(b"c" * 640)
    stay.drop(VOICE)
    stay.audio(b"d" * 640)
    assert heard == [b"a" * 640]
    assert stage.port.leg.played == [b"b" * 640]


async def test_what_the_switch_has_not_played_yet_does_not_grow(stage: Stage) -> None:
    stay, _ = await stage.enter()
    stage.port.leg.queued_ms = 20
    for _ in range(100):
        stay.say(bytes(640))
    assert 80 < len(stage.port.leg.played) < 100


async def test_a_name_that_nobody_takes_is_not_waited_for(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("video_rooms.siptrunk.door.INTRODUCE_S", 0.01)

    async def introduce(*_: object) -> bool:
        await asyncio.Event().wait()
        return False

    monkeypatch.setattr(FakeTrunkDesk, "introduce", introduce)
    stay, _ = await stage.enter()
    async with asyncio.timeout(2):  # less than the door waits for what never ends
        await stage.door.close()
    assert not stay.connected


async def test_each_stay_is_a_hall_of_its_own(stage: Stage) -> None:
    first, _ = await stage.enter()
    second, _ = await stage.enter()
    assert first.room != second.room


# ---------------------------------------------------------------- not coming in


@pytest.mark.parametrize(
    ("cause", "why"),
    [(17, "no_room"), (29, "refused"), (21, "unreachable"), (34, "unreachable"), (18, "timeout")],
)
async def test_a_refusal_is_told_in_the_rooms_words(stage: Stage, cause: int, why: str) -> None:
    if why == "no_room":
        await stage.server.delete(ROOM)
    stage.calls.cause = cause
    with pytest.raises(NotAdmitted) as caught:
        await stage.enter()
    await settle()
    assert caught.value.why == why
    assert (rules(stage), len(stage.door), len(stage.anchors)) == ([], 0, 0)
    assert len(stage.calls.placed) == (0 if why == "no_room" else 1)


async def test_busy_where_the_room_is_there_is_the_services_own_trouble(stage: Stage) -> None:
    stage.calls.cause = 17
    with pytest.raises(NotAdmitted) as caught:
        await stage.enter()
    assert caught.value.why == "unreachable"


async def test_busy_where_nobody_more_fits_in_says_so_and_the_service_is_not_blamed(stage: Stage) -> None:
    for _ in range(10):
        await stage.enter()
    stage.calls.cause = 17
    with pytest.raises(NotAdmitted) as caught:
        await stage.enter()
    assert (caught.value.why, stage.door.resting) == ("full", False)


async def test_where_nobody_else_brings_telephones_in_each_is_tried(stage: Stage) -> None:
    door = SipDoor(replace(stage.parts, rests=False))
    stage.calls.cause = 34
    for _ in range(2):
        with pytest.raises(NotAdmitted):
            await door.enter(stage.join(), Ear(), muted=False)
    assert len(stage.calls.placed) == 2
    await door.close()


async def test_whoever_is_listed_a_little_later_is_waited_for(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("video_rooms.siptrunk.door.LOOK_AGAIN_S", 0)
    people, looks = stage.server.people, iter(range(3))

    async def late(name: str) -> tuple[LivePerson, ...]:
        return () if next(looks, None) is not None else await people(name)

    monkeypatch.setattr(FakeRoomServer, "people", lambda _, name: late(name))
    stay, _ = await stage.enter()
    assert stay.may_hear


async def test_whoever_was_led_into_anothers_room_is_taken_out_of_it(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("video_rooms.siptrunk.door.SEEN_S", 0)
    stage.calls.elsewhere = True
    with pytest.raises(NotAdmitted) as caught:
        await stage.enter()
    await settle()
    assert caught.value.why == "unreachable"
    assert stage.port.leg.ended


async def test_a_service_that_says_nothing_is_waited_for_no_longer_than_it_may(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("video_rooms.siptrunk.door.TAKE_S", 0.05)
    stage.calls.silent = True
    with pytest.raises(NotAdmitted) as caught:
        await stage.enter()
    await settle()
    assert caught.value.why == "timeout"
    assert stage.port.leg.ended
    assert (rules(stage), len(stage.anchors)) == ([], 0)


@pytest.mark.parametrize("fault", ["switch", "server", "no_trunk", "stranger", "no_pass", "anchor"])
async def test_whatever_is_missing_the_other_way_is_open(stage: Stage, fault: str) -> None:
    join = stage.join()
    match fault:
        case "switch":
            stage.calls.away = True
        case "server":
            stage.desk.away = True
        case "no_trunk":
            stage.desk.away = True
            await stage.keeper.look()
            stage.desk.away = False
        case "stranger":
            join = stage.join("phone_00000001")
        case "no_pass":
            join = Join(URL, "no.pass", join.identity)
        case "anchor":
            stage.other.refuses = "unreachable"
    with pytest.raises(NotAdmitted) as caught:
        await stage.enter(join)
    await settle()
    assert caught.value.why == "unreachable"
    assert (len(stage.door), len(stage.anchors)) == (0, 0)


async def test_where_the_service_fails_the_other_way_is_taken_and_it_is_left_alone_a_while(
    stage: Stage,
) -> None:
    stage.calls.cause = 34
    join = stage.join()
    stay = await stage.ladder.enter(join, Ear(), muted=False)
    assert (stay.identity, stage.door.resting) == (join.identity, True)
    assert [one.identity for one in stage.other.entered][-1] == join.identity
    await stage.ladder.enter(stage.join(), Ear(), muted=False)
    assert len(stage.calls.placed) == 1, "no call while it rests"
    stage.calls.cause, stage.now[0] = None, REST_S
    assert isinstance(await stage.ladder.enter(stage.join(), Ear(), muted=False), SipStay)
    assert stage.ladder.joins == {("sip", "unreachable"): 1, ("bridge", "joined"): 2, ("sip", "joined"): 1}
    assert stage.ladder.fallbacks == {"unreachable": 1, "closed": 1}


@pytest.mark.parametrize(("cause", "why"), [(29, "refused")])
async def test_what_is_said_of_the_room_holds_for_either_way(stage: Stage, cause: int, why: str) -> None:
    stage.calls.cause = cause
    with pytest.raises(NotAdmitted) as caught:
        await stage.ladder.enter(stage.join(), Ear(), muted=False)
    assert caught.value.why == why
    assert (stage.door.open, stage.door.resting) == (True, False)
    assert (stage.ladder.joins, stage.ladder.fallbacks) == ({("sip", why): 1}, {})


async def test_an_anchor_that_is_slow_is_not_broken_off(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("video_rooms.siptrunk.door.TAKE_S", 0.05)
    stage.other.waits = asyncio.Event()
    with pytest.raises(NotAdmitted) as caught:
        await stage.enter()
    assert caught.value.why == "timeout"
    assert stage.calls.placed == []
    stage.other.waits.set()
    await settle()
    assert len(stage.other.left) == 1, "it came in, and left, for nobody wanted it any more"


# ---------------------------------------------------------------- passes and names


def test_a_pass_is_read_and_nothing_else_is() -> None:
    for text in (
        "",
        "a.b",
        "a.b.c",
        "a.bm90IGpzb24.c",
        "a.W10.c",
        "a.e30.c",
        "a.eyJ2aWRlbyI6MX0.c",
        "fake.1.r.i",
    ):
        assert read_pass(text) is None


def test_names_are_remembered_for_as_long_as_there_is_room() -> None:
    names = TrunkNames(CountedChances().hexes)
    first = names.identity()
    assert names.caller_of(first) == f"{1:032x}"
    for _ in range(20_000):
        names.identity()
    assert names.caller_of(first) is None
