"""What telephones and people in a real room hear of one another, by each way of carrying telephones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from tests.contract.video_rooms.legs_world import LegWorld, running_legs, tone_frames, write_tone
from tests.rig.livekit import LiveKitRig
from tests.rig.visitors import Visitor, loudness, visitor
from video_rooms.core.leg import (
    Gone,
    HangUp,
    HoldMusic,
    Joined,
    Left,
    Mute,
    PlaySounds,
    RoomMuted,
    SoundsDone,
)

pytestmark = [pytest.mark.contract, pytest.mark.timeout(240)]

CARRIERS = {"bridge": "livekit", "workers": "livekit", "sip": "livekit_with_redis"}
"""By the server that each needs."""


@pytest.fixture(scope="module", params=CARRIERS)
def kind(request: pytest.FixtureRequest) -> tuple[str, LiveKitRig]:
    """A carrier, and its server."""
    return request.param, request.getfixturevalue(CARRIERS[request.param])


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def running(
    kind: tuple[str, LiveKitRig], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[LegWorld]:
    async with running_legs(*kind, tmp_path_factory.mktemp("sound")) as world:
        yield world


class Meeting:
    """A room with telephones and people in it."""

    def __init__(self, world: LegWorld, room: str, stack: AsyncExitStack) -> None:
        self.world, self.room, self._stack = world, room, stack

    async def phone(self, leg_id: str, hz: float = 0.0) -> None:
        """A telephone, in the room; it says a tone all the time."""
        await self.world.comes(leg_id)
        if hz:
            self.world.phones[leg_id].says = tone_frames(hz)
        self.world.order(leg_id, self.world.join(self.room, leg_id))
        await self.world.until(lambda: self.world.ears[leg_id].of(Joined), f"{leg_id} in")

    def who(self, leg_id: str) -> str:
        """The identity of a telephone that is in."""
        return self.world.named(self.room, leg_id)

    async def guest(self, identity: str, hz: float = 0.0) -> Visitor:
        assert self.world.rooms is not None
        token = self.world.rooms.token(self.room, identity)
        guest = await self._stack.enter_async_context(visitor(self.world.rooms.url, token))
        if hz:
            await guest.speak(hz)
        return guest

    async def hears(self, leg_id: str, hz: float) -> None:
        phone = self.world.phones[leg_id]
        await self.world.until(lambda: phone.hears(hz), f"{leg_id} hears {hz} Hz")

    async def has_heard(self, leg_id: str, hz: float, since: int) -> None:
        """What ends by itself may be over before it is looked at."""
        phone = self.world.phones[leg_id]
        await self.world.until(lambda: phone.has_heard(hz, since), f"{leg_id} has heard {hz} Hz")

    async def silent(self, leg_id: str) -> None:
        phone = self.world.phones[leg_id]
        await self.world.until(lambda: loudness(phone.heard(0.4)) < 30, f"{leg_id} hears nothing")


@pytest_asyncio.fixture(loop_scope="session")
async def meeting(running: LegWorld) -> AsyncIterator[Meeting]:
    async with AsyncExitStack() as stack:
        yield Meeting(running, await running.room(), stack)
        for leg_id, ear in running.ears.items():
            running.order(leg_id, HangUp())
            await running.until(lambda ear=ear: ear.of(Gone), "the end")  # type: ignore[misc]
        running.ears.clear()
        running.phones.clear()


async def test_a_telephone_and_a_guest_hear_each_other(meeting: Meeting) -> None:
    ada = await meeting.guest("ada", 440)
    await meeting.phone("leg", 1000)
    await meeting.hears("leg", 440)
    await ada.hears(meeting.who("leg"), 1000)
    await ada.speak(600)
    await meeting.hears("leg", 600)


async def test_a_guest_who_comes_later_is_heard_and_one_who_goes_is_not(meeting: Meeting) -> None:
    await meeting.phone("leg", 1000)
    async with AsyncExitStack() as stay:
        world = meeting.world
        assert world.rooms is not None
        bob = await stay.enter_async_context(visitor(world.rooms.url, world.rooms.token(meeting.room, "bob")))
        await bob.speak(700)
        await meeting.hears("leg", 700)
        await bob.hears(meeting.who("leg"), 1000)
    await meeting.silent("leg")


async def test_two_telephones_hear_each_other_and_not_themselves(meeting: Meeting) -> None:
    await meeting.phone("one", 500)
    await meeting.phone("two", 1300)
    await meeting.hears("one", 1300)
    await meeting.hears("two", 500)
    ada = await meeting.guest("ada")
    await asyncio.gather(ada.hears(meeting.who("one"), 500), ada.hears(meeting.who("two"), 1300))


async def test_several_are_heard_at_once(meeting: Meeting) -> None:
    await meeting.guest("ada", 440)
    await meeting.phone("one", 900)
    await meeting.phone("two", 1700)
    await meeting.phone("ear")
    phone = meeting.world.phones["ear"]
    for hz in (440, 900, 1700):
        await meeting.world.until(
            lambda hz=hz: phone.hears(hz, share=0.2),  # type: ignore[misc]
            f"{hz} Hz among others",
        )


async def test_who_is_muted_is_not_heard_by_anybody(meeting: Meeting) -> None:
    ada = await meeting.guest("ada")
    await meeting.phone("one", 500)
    await meeting.phone("two")
    await meeting.hears("two", 500)
    await ada.hears(meeting.who("one"), 500)
    meeting.world.order("one", Mute(True))
    await meeting.silent("two")
    await ada.hears_nothing(meeting.who("one"))
    meeting.world.order("one", Mute(False))
    await meeting.hears("two", 500)
    await ada.hears(meeting.who("one"), 500)


async def test_whom_a_host_muted_is_not_heard_by_anybody(meeting: Meeting) -> None:
    ada = await meeting.guest("ada")
    await meeting.phone("one", 500)
    await meeting.phone("two")
    await ada.hears(meeting.who("one"), 500)
    await meeting.world.host_mutes(meeting.room, "one")
    await meeting.world.until_told("one", RoomMuted(True))
    await meeting.silent("two")
    await ada.hears_nothing(meeting.who("one"))


async def test_a_waiting_telephone_hears_music_and_prompts_over_it(meeting: Meeting, tmp_path: Path) -> None:
    world = meeting.world
    await world.comes("leg")
    world.order("leg", HoldMusic(True))
    await meeting.hears("leg", 500)
    before = len(world.phones["leg"].channel.heard)
    world.order("leg", PlaySounds("wait", (write_tone(tmp_path / "wait.wav", 1200, 1.0, rate=44_100),)))
    await meeting.has_heard("leg", 1200, before)
    await world.until_told("leg", SoundsDone("wait"))
    await meeting.hears("leg", 500)
    world.order("leg", HoldMusic(False))
    await meeting.silent("leg")


async def test_a_prompt_is_for_one_telephone_alone(meeting: Meeting, tmp_path: Path) -> None:
    ada = await meeting.guest("ada")
    await meeting.phone("one")
    await meeting.phone("two")
    prompt = write_tone(tmp_path / "prompt.wav", 1200, 0.8)
    before = len(meeting.world.phones["one"].channel.heard)
    meeting.world.order("one", PlaySounds("p", (prompt,)))
    await meeting.has_heard("one", 1200, before)
    await meeting.world.until_told("one", SoundsDone("p"))
    heard = meeting.world.phones["two"].heard(2.0)
    assert loudness(heard) < 30
    assert loudness(ada.heard(meeting.who("one"))) < 60


async def test_the_guests_go_on_being_heard_when_the_telephone_that_fetched_them_goes(
    meeting: Meeting,
) -> None:
    await meeting.guest("ada", 440)
    for leg_id in ("first", "second", "third"):
        await meeting.phone(leg_id)
        await meeting.hears(leg_id, 440)
    gaps, channel = [], meeting.world.phones["third"].channel
    for goes in ("first", "second"):
        before = len(channel.heard)
        await meeting.world.put_out(meeting.room, goes)
        await meeting.world.until_told(goes, Left("removed"))
        told = len(channel.heard)
        await meeting.world.until(lambda told=told: len(channel.heard) >= told + 25, "half a second")  # type: ignore[misc]
        heard = channel.heard[before : told + 25]
        gaps.append(sum(frame is None or not any(frame) for frame in heard))
        await meeting.hears("third", 440)
    # a busy machine has silences of its own now and then; how they take turns is ``test_hall``'s
    assert min(gaps) <= 18, f"{gaps} frames of silence when they went"


async def test_many_telephones_in_one_room(meeting: Meeting) -> None:
    ada = await meeting.guest("ada", 440)
    legs = [f"leg{number}" for number in range(meeting.world.most)]
    await asyncio.gather(*(meeting.phone(leg) for leg in legs))
    for leg in legs:
        await meeting.hears(leg, 440)
    meeting.world.phones["leg3"].says = tone_frames(1000)
    await ada.hears(meeting.who("leg3"), 1000)
    for leg in legs:
        if leg != "leg3":
            phone = meeting.world.phones[leg]
            await meeting.world.until(
                lambda phone=phone: phone.hears(1000, share=0.2),  # type: ignore[misc]
                f"{leg} hears leg3",
            )
