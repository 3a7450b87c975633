"""What every carrier of legs promises: the bridge within a process, worker processes, and the fake."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from telephony.errors import RoomsUnavailable
from tests.contract.video_rooms.legs_world import LegWorld, running_legs, write_tone
from tests.rig.livekit import LiveKitRig
from video_rooms.core.leg import (
    Answer,
    Arrived,
    Describe,
    Digit,
    Gone,
    HangUp,
    Joined,
    JoinFailed,
    Leave,
    Left,
    Mute,
    Others,
    PlaySounds,
    RoomMuted,
    SoundsDone,
    StopSounds,
)
from video_rooms.siptrunk import stay as stay_by_sip

pytestmark = pytest.mark.contract

CARRIERS = {"fake": "", "bridge": "livekit", "workers": "livekit", "sip": "livekit_with_redis"}
"""By the server that each needs: the fake is tested where there is none, too."""
AT_ONCE_S = 10.0
"""Without its word the media server finds out after 21 s that somebody is gone."""


@pytest.fixture(scope="module", params=CARRIERS)
def kind(request: pytest.FixtureRequest) -> tuple[str, LiveKitRig | None]:
    """A carrier, and its server."""
    server = CARRIERS[request.param]
    return request.param, request.getfixturevalue(server) if server else None


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def running(
    kind: tuple[str, LiveKitRig | None], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[LegWorld]:
    async with running_legs(*kind, tmp_path_factory.mktemp("legs")) as world:
        yield world


@pytest_asyncio.fixture(loop_scope="session")
async def world(running: LegWorld) -> AsyncIterator[LegWorld]:
    yield running
    for leg_id, ear in running.ears.items():
        running.order(leg_id, HangUp())
        await running.until(lambda ear=ear: ear.of(Gone), "the end")  # type: ignore[misc]
        assert ear.after_gone == 0, "nothing follows Gone"
        assert ear.told_within == 0, "no fact is told from within an order"
        assert len(ear.of(Gone)) == 1
    running.ears.clear()
    running.phones.clear()


# ---------------------------------------------------------------- the channel


async def test_a_leg_arrives_is_answered_and_hung_up(world: LegWorld) -> None:
    await world.comes("leg")
    await world.until_told("leg", Arrived())
    world.order("leg", Answer())
    if world.rooms is not None:
        await world.until(lambda: world.phones["leg"].channel.answered, "the answer")
    world.order("leg", HangUp())
    await world.until_told("leg", Gone("hangup"))


async def test_an_answer_that_was_ordered_beforehand_is_given_on_arrival(world: LegWorld) -> None:
    await world.expect("leg")
    world.order("leg", Answer())
    await world.arrives("leg")
    if world.rooms is None:
        assert world.fake.legs["leg"].answered
    else:
        await world.until(lambda: world.phones["leg"].channel.answered, "the answer")


async def test_who_never_comes_is_told_of(world: LegWorld) -> None:
    await world.expect("leg", within_s=0.05)
    await world.until_told("leg", Gone("never_came"))
    assert world.ears["leg"].facts == [Gone("never_came")]


async def test_hung_up_before_it_came_it_never_comes(world: LegWorld) -> None:
    await world.expect("leg")
    world.order("leg", HangUp())
    await world.until_told("leg", Gone("hangup"))
    if world.rooms is not None:
        assert not await world.is_let_in("leg")


async def test_keys_are_told_in_order(world: LegWorld) -> None:
    await world.comes("leg")
    await world.presses("leg", "12*#D")
    await world.until_told("leg", Digit("D"))
    assert world.ears["leg"].facts == [Arrived(), *map(Digit, "12*#D")]


async def test_orders_for_a_leg_that_is_gone_do_nothing(world: LegWorld) -> None:
    await world.comes("leg")
    await world.hangs_up("leg")
    await world.until_told("leg", Gone("hangup"))
    world.order("leg", world.join(await world.room(), "phone"), Mute(True), Leave(), HangUp())
    world.carrier.order("nobody", HangUp())


# ---------------------------------------------------------------- sounds


async def test_sounds_are_told_once_they_were_heard(world: LegWorld, tmp_path: Path) -> None:
    await world.comes("leg")
    sounds = tuple(write_tone(tmp_path / f"{hz}.wav", hz, 0.4) for hz in (600, 900))
    world.order("leg", Answer(), PlaySounds("both", sounds))
    await world.until_told("leg", SoundsDone("both"))
    if world.rooms is not None:
        heard = [frame for frame in world.phones["leg"].channel.heard if frame and any(frame)]
        assert 38 <= len(heard) <= 42, "both were heard to their ends, and no more"


async def test_what_is_playing_is_cut_off_by_other_sounds_and_by_order(
    world: LegWorld, tmp_path: Path
) -> None:
    await world.comes("leg")
    long = (write_tone(tmp_path / "long.wav", 600, 5.0),)
    if world.rooms is None:
        world.fake.quick = False
    try:
        world.order("leg", PlaySounds("one", long), PlaySounds("two", long))
        await world.until_told("leg", SoundsDone("one", cut=True))
        world.order("leg", StopSounds(), StopSounds())
        await world.until_told("leg", SoundsDone("two", cut=True))
        assert len(world.ears["leg"].of(SoundsDone)) == 2
    finally:
        if world.rooms is None:
            world.fake.quick = True


# ---------------------------------------------------------------- in a room


async def test_a_visit_to_a_room(world: LegWorld) -> None:
    room = await world.room()
    await world.comes("leg")
    world.order("leg", Answer(), world.join(room, "phone"))
    await world.until_told("leg", Others(0, False))
    await world.until_inside(room, {"phone": False})
    world.order("leg", Leave())
    await world.until_told("leg", Left("asked"))
    await world.until_inside(room, {})
    assert world.ears["leg"].facts == [Arrived(), Joined(0), Others(0, False), Left("asked")]


async def test_telephones_count_one_another(world: LegWorld) -> None:
    room = await world.room()
    for number in range(3):
        await world.comes(f"leg{number}")
        world.order(f"leg{number}", world.join(room, f"phone-{number}"))
        for leg in ("leg0", f"leg{number}"):  # each process is told by itself
            await world.until_told(leg, Others(number, False))
    await world.hangs_up("leg2")
    await world.until_told("leg0", Others(1, False), times=2)


async def test_who_hangs_up_is_out_of_the_room_at_once(world: LegWorld) -> None:
    room = await world.room()
    await world.comes("leg")
    world.order("leg", world.join(room, "phone"))
    await world.until_told("leg", Joined(0))
    await world.hangs_up("leg")
    await world.until_inside(room, {}, within_s=AT_ONCE_S)
    await world.until_told("leg", Gone("hangup"))
    assert not world.ears["leg"].of(Left)


async def test_who_is_put_out_learns_it_and_keeps_the_line(world: LegWorld) -> None:
    room = await world.room()
    await world.comes("leg")
    world.order("leg", world.join(room, "phone"))
    await world.until_told("leg", Joined(0))
    await world.until_inside(room, {"phone": False})
    await world.put_out(room, "phone")
    await world.until_told("leg", Left("removed"), within_s=AT_ONCE_S)
    assert not world.ears["leg"].of(Gone)
    world.order("leg", world.join(room, "phone"))
    await world.until_told("leg", Joined(0), times=2)


async def test_a_room_that_ends_is_told(world: LegWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    # on a busy machine what has ended may be listed for long
    monkeypatch.setattr(stay_by_sip, "ENDS_S", 10.0)
    monkeypatch.setattr(stay_by_sip, "LOOK_AGAIN_S", 0.5)
    room = await world.room()
    await world.comes("leg")
    world.order("leg", world.join(room, "phone"))
    await world.until_told("leg", Joined(0))
    await world.ends(room)
    await world.until_told("leg", Left("room_ended"))
    world.order("leg", world.join(room, "phone"))
    await world.until_told("leg", JoinFailed("no_room"))


async def test_the_same_identity_takes_the_place_of_the_older(world: LegWorld) -> None:
    room = await world.room()
    for leg in ("old", "new"):
        await world.comes(leg)
        world.order(leg, world.join(room, "phone"))
        await world.until(lambda leg=leg: world.ears[leg].of(Joined), "in")  # type: ignore[misc]
    await world.until_told("old", Left("replaced"))
    await world.until_inside(room, {"phone": False})
    assert not world.ears["new"].of(Left)


async def test_a_room_that_is_not_there_and_one_that_is_full(world: LegWorld) -> None:
    room = await world.room(most=1)
    for leg in ("one", "two"):
        await world.comes(leg)
    world.order("two", world.join(world.missing(), "phone-2"))
    await world.until_told("two", JoinFailed("no_room"))
    world.order("one", world.join(room, "phone-1"))
    await world.until_told("one", Joined(0))
    world.order("two", world.join(room, "phone-2"))
    await world.until_told("two", JoinFailed("full"))
    world.order("one", Leave())
    await world.until_inside(room, {})
    world.order("two", world.join(room, "phone-2"))
    await world.until_told("two", Joined(0))


async def test_a_server_that_is_not_there_and_a_token_of_somebody_elses(
    world: LegWorld, free_port: int
) -> None:
    if world.rooms is None:
        return
    room = await world.room()
    await world.comes("leg")
    good = world.join(room, "phone")
    world.order("leg", replace(good, url=f"ws://127.0.0.1:{free_port}"))
    await world.until_told("leg", JoinFailed("unreachable"))
    if world.shows_tokens:
        head, body, signature = good.token.split(".")
        world.order("leg", replace(good, token=f"{head}.{body}.{signature[::-1]}"))
        await world.until_told("leg", JoinFailed("refused"))
    world.order("leg", good)
    await world.until_told("leg", Joined(0))


async def test_a_join_can_be_taken_back(world: LegWorld) -> None:
    room = await world.room()
    await world.comes("leg")
    world.order("leg", world.join(room, "phone"), Leave())
    await world.until_told("leg", Left("asked"))
    world.order("leg", world.join(room, "phone"))
    await world.until_told("leg", Joined(0))
    assert [Arrived(), Left("asked"), Joined(0)] == world.ears["leg"].facts[:3]
    await world.until_inside(room, {"phone": False})


async def test_another_join_wins_over_one_that_runs(world: LegWorld) -> None:
    first, second = await world.room(), await world.room()
    await world.comes("leg")
    world.order("leg", world.join(first, "phone"), world.join(second, "phone"))
    await world.until_told("leg", Joined(0))
    await world.until_inside(second, {"phone": False})
    await world.until_inside(first, {})
    assert world.ears["leg"].facts == [Arrived(), Left("asked"), Joined(0), Others(0, False)]


async def test_a_channel_that_ends_in_the_middle_of_a_join_leaves_nobody_behind(world: LegWorld) -> None:
    room = await world.room()
    await world.comes("leg")
    world.order("leg", world.join(room, "phone"))
    await asyncio.sleep(0)
    await world.hangs_up("leg")
    await world.until_told("leg", Gone("hangup"))
    await world.comes("after")
    world.order("after", world.join(room, "phone-2"))
    await world.until(lambda: world.ears["after"].of(Joined), "in")
    await world.until_inside(room, {"phone-2": False})


# ---------------------------------------------------------------- muting, and what is shown


async def test_ones_own_mute_is_seen_in_the_room(world: LegWorld) -> None:
    room = await world.room()
    await world.comes("leg")
    world.order("leg", Mute(True), world.join(room, "phone"))
    await world.until_told("leg", Joined(0))
    await world.until_inside(room, {"phone": True})
    world.order("leg", Mute(False))
    await world.until_inside(room, {"phone": False})
    world.order("leg", Mute(True))
    await world.until_inside(room, {"phone": True})
    assert not world.ears["leg"].of(RoomMuted)


async def test_a_hosts_mute_is_told_and_can_be_taken_back_by_either(world: LegWorld) -> None:
    room = await world.room()
    await world.comes("leg")
    world.order("leg", world.join(room, "phone"))
    await world.until_published(room, "phone")
    await world.host_mutes(room, "phone")
    await world.until_told("leg", RoomMuted(True))
    world.order("leg", Mute(False))
    await world.until_told("leg", RoomMuted(False))
    await world.until_inside(room, {"phone": False})
    await world.host_mutes(room, "phone")
    await world.until_told("leg", RoomMuted(True), times=2)
    await world.host_mutes(room, "phone", on=False)
    await world.until_told("leg", RoomMuted(False), times=2)
    assert len(world.ears["leg"].of(RoomMuted)) == 4


async def test_attributes_are_shown_also_those_of_before(world: LegWorld) -> None:
    room = await world.room()
    await world.comes("leg")
    world.order("leg", Describe({"hand": "1", "name": "a"}), world.join(room, "phone"))
    await world.until_told("leg", Joined(0))
    world.order("leg", Describe({"hand": "0"}))
    await world.until_shown(room, "phone", {"hand": "0", "name": "a"})


async def test_a_leg_is_expected_once(world: LegWorld) -> None:
    await world.expect("leg")
    with pytest.raises(RoomsUnavailable):
        await world.carrier.expect("leg", world.ears["leg"], 5.0)
