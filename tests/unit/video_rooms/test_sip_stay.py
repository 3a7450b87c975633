"""What becomes of a telephone inside a room that it came into by LiveKit's SIP service. All else fake."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest

from tests.unit.video_rooms.sip_stage import ROOM, Stage, settle, staged, until
from video_rooms.core.live import LiveRoom
from video_rooms.fakes import FakeRoomServer

pytestmark = pytest.mark.unit


@pytest.fixture
async def stage(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    async with staged(monkeypatch) as made:
        yield made


async def test_a_host_who_mutes_and_a_key_that_unmutes(stage: Stage) -> None:
    stay, ear = await stage.enter()
    await stage.server.mute(ROOM, stay.identity, "audio")
    await until(lambda: ear.told == ["muted True"])
    stay.mute(False)
    await settle()
    (person,) = [one for one in await stage.server.people(ROOM) if one.identity == stay.identity]
    assert not person.tracks[0].muted
    await stay.leave()
    assert ear.told == ["muted True"]


async def test_a_look_of_before_is_no_new_mute(stage: Stage) -> None:
    stay, ear = await stage.enter()
    await stage.server.mute(ROOM, stay.identity, "audio")
    looks = stage.door._stage.eyes
    old = await looks.look(ROOM)
    assert old is not None
    assert ear.told == ["muted True"]
    stay.mute(False)
    stay.seen(replace(old, turn=looks.turn))
    await settle()
    stay.seen(replace(old, turn=looks.turn))
    assert ear.told == ["muted True"], "it was on its way when the mute was taken back"
    await stage.server.mute(ROOM, stay.identity, "audio")
    await looks.look(ROOM)
    assert ear.told == ["muted True"] * 2


async def test_whoever_is_put_out_while_muted_hears_of_that_alone(stage: Stage) -> None:
    stay, ear = await stage.enter()
    await stage.server.mute(ROOM, stay.identity, "audio")
    await stage.door._stage.eyes.look(ROOM)
    await stage.server.remove(ROOM, stay.identity)
    stage.calls.ends(stay.call_id, 16)
    await until(lambda: len(ear.told) > 1)
    assert ear.told == ["muted True", "out removed"]


async def test_ones_own_mute_is_shown(stage: Stage) -> None:
    stay, _ = await stage.enter()
    for on in (True, False):
        stay.mute(on)
        await settle()
        (person,) = [one for one in await stage.server.people(ROOM) if one.identity == stay.identity]
        assert person.attributes["muted"] == ("true" if on else "false")


async def test_who_comes_is_noticed_by_the_others_at_once(stage: Stage) -> None:
    _, ear = await stage.enter()
    await stage.enter()
    assert ear.told == ["crowd"]


async def test_of_two_looks_at_once_the_later_one_counts(stage: Stage) -> None:
    stay, ear = await stage.enter()
    looks = stage.door._stage.eyes
    old = await looks.look(ROOM)
    await stage.enter()
    assert old is not None
    looks._tell(ROOM, old)
    assert (stay.others, ear.told) == (1, ["crowd"])


async def test_who_comes_is_noticed(stage: Stage) -> None:
    stay, ear = await stage.enter()
    other, _ = await stage.enter()
    await until(lambda: "crowd" in ear.told)
    assert stay.others == 1
    await other.leave()


@pytest.mark.parametrize(
    ("what", "cause", "why"),
    [("removed", 16, "removed"), ("deleted", 16, "room_ended"), ("broken", 44, "lost"), ("away", 16, "lost")],
)
async def test_why_a_stay_is_over(stage: Stage, what: str, cause: int, why: str) -> None:
    stay, ear = await stage.enter()
    match what:
        case "removed":
            await stage.server.remove(ROOM, stay.identity)
        case "deleted":
            await stage.server.delete(ROOM)
        case "away":
            stage.server.away = True
    stage.calls.ends(stay.call_id, cause)
    stay.gone("hangup")
    await until(lambda: bool(ear.told))
    assert ear.told == [f"out {why}"]
    assert not stay.may_hear


async def test_whoever_has_the_same_identity_takes_the_place(stage: Stage) -> None:
    join = stage.join()
    older, ear = await stage.enter(join)
    await stage.enter(join)
    stage.calls.ends(older.call_id, 16)
    await until(lambda: bool(ear.told))
    assert ear.told == ["out replaced"]


async def test_our_own_end_that_breaks_is_the_end_even_if_nobody_says_so(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("video_rooms.siptrunk.stay._TOLD_S", 0.01)
    stay, ear = await stage.enter()
    stay.gone("stalled")
    await until(lambda: bool(ear.told))
    assert ear.told == ["out lost"]


async def test_while_it_is_found_out_why_nobody_is_told_that_it_was_lost(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The media server may take longer to tell than our own end waits for the switch's word."""
    monkeypatch.setattr("video_rooms.siptrunk.stay._TOLD_S", 0.0)
    stay, ear = await stage.enter()
    asked, told, rooms = asyncio.Event(), asyncio.Event(), FakeRoomServer.rooms

    async def slowly(self: FakeRoomServer, names: Sequence[str] | None = None) -> tuple[LiveRoom, ...]:
        asked.set()
        await told.wait()
        return await rooms(self, names)

    monkeypatch.setattr(FakeRoomServer, "rooms", slowly)
    await stage.server.remove(ROOM, stay.identity)
    stage.calls.ends(stay.call_id, 16)
    stay.gone("hangup")
    await asked.wait()
    passed = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(0.001, passed.set_result, None)  # after what is due by then
    await passed
    assert ear.told == []
    told.set()
    await until(lambda: bool(ear.told))
    assert ear.told == ["out removed"]


async def test_whoever_leaves_hears_no_more(stage: Stage) -> None:
    stay, ear = await stage.enter()
    await asyncio.gather(stay.leave(), stay.leave())
    assert stage.port.leg.ended
    stay.over(16)
    await settle()
    assert (ear.told, len(stage.door), stage.calls.ears) == ([], 0, {})
    assert len(stage.port.forgotten) == 1


async def test_what_it_shows_is_shown_in_order(stage: Stage) -> None:
    stay, _ = await stage.enter()
    for number in range(5):
        stay.show({"n": str(number)})
    await settle()
    (person,) = [one for one in await stage.server.people(ROOM) if one.identity == stay.identity]
    assert person.attributes["n"] == "4"
