"""Calls on the real switch, carried by worker processes into rooms of a real LiveKit server: their sound."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio

from gateway.room_workers import RoomWorkers, RoomWorkersPlan
from gateway.runtime.plan import SwitchPlan, Trunk
from gateway.runtime.ports import free_sip_port
from gateway.runtime.switch import EmbeddedSwitch
from gateway.trial import audio
from gateway.trial.sip_call import CallState
from gateway.trial.sip_outgoing import Dial, OutgoingCall
from gateway.trial.sip_phone import SipPhone
from tests.contract.video_rooms.legs_world import Ear
from tests.rig.livekit import LiveKitRig, running_livekit
from tests.rig.media import CALLER, CARRIER, MEDIA_DIALPLAN
from tests.rig.switch import running_switch
from tests.rig.visitors import visitor
from tests.rig.world import static_templates
from video_rooms.core.leg import Answer, Arrived, Gone, HangUp, Join, Joined, Leave, Left, LegFact

pytestmark = [pytest.mark.switch, pytest.mark.timeout(240)]

HOST_HZ = 700.0
AT_ONCE_S = 10.0
"""Without a word of ours the media server finds out after 21 s that somebody is gone."""
_NUMBERS = itertools.count()


@dataclass(eq=False)
class Calls:
    """Calls that the switch brings straight to the workers."""

    switch: EmbeddedSwitch
    workers: RoomWorkers
    phone: SipPhone
    ears: dict[str, Ear] = field(default_factory=dict)

    async def comes(self, hz: float = 0.0) -> tuple[str, OutgoingCall]:
        """A call that is up and answered; it says a tone all the time."""
        leg = f"leg-{next(_NUMBERS)}"
        ear = self.ears[leg] = Ear()
        dialled = await self.workers.expect(leg, ear, 30.0)
        self.workers.order(leg, Answer())
        to = (self.switch.address.sip_host, self.switch.address.sip_port)
        call = self.phone.call(Dial("+15550001000", to, CALLER, headers=(("X-Dial", dialled),)))
        await call.reaches(CallState.ANSWERED, within_s=30.0)
        await self.told(leg, Arrived)
        if hz:
            call.stream.play(audio.tone(hz, 1.0), repeat=True)
        return leg, call

    async def joins(self, leg: str, rig: LiveKitRig, room: str) -> None:
        self.workers.order(leg, Join(rig.url, rig.token(room, leg), leg))
        await self.told(leg, Joined)

    async def told(self, leg: str, kind: type[LegFact], within_s: float = 30.0) -> None:
        ear, loop = self.ears[leg], asyncio.get_running_loop()
        deadline = loop.time() + within_s
        while not ear.of(kind):
            assert loop.time() < deadline, f"{leg} was not told {kind.__name__}: {ear.facts}"
            await asyncio.sleep(0.01)

    async def end(self) -> None:
        for leg in self.ears:
            self.workers.order(leg, HangUp())
        for leg in self.ears:
            await self.told(leg, Gone)
        self.ears.clear()
        await self.phone.quiet()


@asynccontextmanager
async def running_calls(folder: Path) -> AsyncIterator[Calls]:
    workers = RoomWorkers(RoomWorkersPlan(2, "127.0.0.1", 0, log_level="warning"))
    await workers.start()
    try:
        port = free_sip_port(CARRIER)
        plan = SwitchPlan((Trunk("carrier", CARRIER, port, identify=(CARRIER,)),))
        ports = tuple(state.port for state in workers.states)
        templates = static_templates(folder, MEDIA_DIALPLAN)
        async with (
            running_switch(folder, plan, templates=templates, room_media=ports) as switch,
            await SipPhone.open(CARRIER, port, name="carrier") as phone,
        ):
            yield Calls(switch, workers, phone)
    finally:
        await workers.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def running(livekit: LiveKitRig, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Calls]:
    async with running_calls(tmp_path_factory.mktemp("legs")) as calls:
        yield calls


@pytest_asyncio.fixture(loop_scope="session")
async def calls(running: Calls) -> AsyncIterator[Calls]:
    yield running
    await running.end()


async def hears(call: OutgoingCall, hz: float, share: float = 0.5) -> None:
    await call.hears(lambda pcm: audio.has_tone(pcm[-9600:], hz, share=share, seconds=0.3), 40.0, f"{hz} Hz")


class Holes:
    """What is missing in the sound that a telephone is given from one packet on, 150 of them at a time."""

    def __init__(self, call: OutgoingCall, since: int) -> None:
        self._packets, self._at = call.stream.packets, since
        self._levels: list[float] = []
        self._steps: list[int] = []

    def none_for_a_while(self) -> bool:
        for number in range(self._at, len(self._packets)):
            packet, before = self._packets[number], self._packets[number - 1]
            assert packet.payload_type == 0
            samples = np.frombuffer(audio.ulaw_decode(packet.payload), np.int16).astype(int)
            self._levels.append(float(np.abs(samples).mean()))
            self._steps.append(packet.timestamp - before.timestamp)
        self._at = len(self._packets)
        levels, steps = self._levels[-150:], self._steps[-150:]
        if len(levels) < 150:
            return False
        usual = sorted(levels)[75]
        weak = sum(level < usual / 2 for level in levels)
        return usual > 1000 and weak <= 4 and steps.count(160) >= 146


async def test_ten_telephones_and_a_guest_are_in_one_room(calls: Calls, livekit: LiveKitRig) -> None:
    room = await livekit.create()
    async with visitor(livekit.url, livekit.token(room, "ada")) as ada:
        await ada.speak(HOST_HZ)
        legs = [await calls.comes() for _ in range(10)]
        await asyncio.gather(*(calls.joins(leg, livekit, room) for leg, _ in legs))
        for _, call in legs:
            await hears(call, HOST_HZ)
        speaker, speaks = legs[3]
        speaks.stream.play(audio.tone(1000, 1.0), repeat=True)
        await ada.hears(speaker, 1000)
        others = [call for leg, call in legs if leg != speaker]
        for call in others:
            await hears(call, 1000, share=0.25)
        assert len(await livekit.people(room)) == 11


async def test_a_tone_of_the_room_arrives_without_holes(calls: Calls, livekit: LiveKitRig) -> None:
    """What a telephone's ear is given: a packet each 20 ms, and in each the tone as loud as before, for three
    seconds on end. A machine that stands still now and then has holes of its own before and after them."""
    room = await livekit.create()
    async with visitor(livekit.url, livekit.token(room, "ada")) as ada:
        await ada.speak(HOST_HZ)
        leg, call = await calls.comes()
        await calls.joins(leg, livekit, room)
        await hears(call, HOST_HZ)
        seen = Holes(call, len(call.stream.packets))
        await call.stream.until(seen.none_for_a_while, within_s=60, what="three seconds without holes")


async def test_who_hangs_up_is_gone_from_the_room_and_who_is_put_out_keeps_the_line(
    calls: Calls, livekit: LiveKitRig
) -> None:
    room = await livekit.create()
    first, call = await calls.comes()
    second, kept = await calls.comes()
    for leg in (first, second):
        await calls.joins(leg, livekit, room)
    await call.hang_up()
    await livekit.until_people(room, lambda people: [one.identity for one in people] == [second], AT_ONCE_S)
    calls.workers.order(second, Leave())
    await calls.told(second, Left)
    await livekit.until_people(room, lambda people: not people, AT_ONCE_S)
    assert kept.state is CallState.ANSWERED


async def test_a_media_server_that_dies_is_told_and_the_line_stays(
    calls: Calls, tmp_path_factory: pytest.TempPathFactory
) -> None:
    async with running_livekit(tmp_path_factory.mktemp("dies"), restart=False) as rig:
        room = await rig.create()
        leg, call = await calls.comes()
        await calls.joins(leg, rig, room)
        rig.server.kill()
        await calls.told(leg, Left, within_s=60.0)
        assert calls.ears[leg].of(Left) == [Left("lost")]
        assert call.state is CallState.ANSWERED
        calls.workers.order(leg, Join(rig.url, rig.token(room, leg), leg))
        loop = asyncio.get_running_loop()
        deadline = loop.time() + 40.0
        while "unreachable" not in repr(calls.ears[leg].facts):
            assert loop.time() < deadline, calls.ears[leg].facts
            await asyncio.sleep(0.05)
