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

pytestmark = pytest.mark.switch

HOST_HZ = 700.0
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
        dialled = await self.workers.expect(leg, ear, 10.0)
        self.workers.order(leg, Answer())
        to = (self.switch.address.sip_host, self.switch.address.sip_port)
        call = self.phone.call(Dial("+15550001000", to, CALLER, headers=(("X-Dial", dialled),)))
        await call.reaches(CallState.ANSWERED, within_s=8.0)
        await self.told(leg, Arrived)
        if hz:
            call.stream.play(audio.tone(hz, 1.0), repeat=True)
        return leg, call

    async def joins(self, leg: str, rig: LiveKitRig, room: str) -> None:
        self.workers.order(leg, Join(rig.url, rig.token(room, leg), leg))
        await self.told(leg, Joined)

    async def told(self, leg: str, kind: type[LegFact], within_s: float = 10.0) -> None:
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


async def hears(call: OutgoingCall, hz: float, within_s: float = 8.0, share: float = 0.5) -> None:
    await call.hears(
        lambda pcm: audio.has_tone(pcm[-9600:], hz, share=share, seconds=0.3), within_s, f"{hz} Hz"
    )


async def test_ten_telephones_and_a_guest_are_in_one_room(calls: Calls, livekit: LiveKitRig) -> None:
    room = await livekit.create()
    async with visitor(livekit.url, livekit.token(room, "ada")) as ada:
        await ada.speak(HOST_HZ)
        legs = [await calls.comes() for _ in range(10)]
        await asyncio.gather(*(calls.joins(leg, livekit, room) for leg, _ in legs))
        await asyncio.gather(*(hears(call, HOST_HZ) for _, call in legs))
        speaker, speaks = legs[3]
        speaks.stream.play(audio.tone(1000, 1.0), repeat=True)
        await ada.hears(speaker, 1000)
        others = [call for leg, call in legs if leg != speaker]
        await asyncio.gather(*(hears(call, 1000, share=0.25) for call in others))
        assert len(await livekit.people(room)) == 11


async def test_a_tone_of_the_room_arrives_without_holes(calls: Calls, livekit: LiveKitRig) -> None:
    """What a telephone's ear is given: a packet each 20 ms, and in each the tone as loud as before."""
    room = await livekit.create()
    async with visitor(livekit.url, livekit.token(room, "ada")) as ada:
        await ada.speak(HOST_HZ)
        leg, call = await calls.comes()
        await calls.joins(leg, livekit, room)
        await hears(call, HOST_HZ)
        await asyncio.sleep(1.5)
        first = len(call.stream.packets)
        await call.stream.until(lambda: len(call.stream.packets) >= first + 300, within_s=10, what="6 s")
        packets = [packet for packet in call.stream.packets[first:] if packet.payload_type == 0]
        steps = [b.timestamp - a.timestamp for a, b in itertools.pairwise(packets)]
        levels = [
            float(np.abs(np.frombuffer(audio.ulaw_decode(packet.payload), np.int16).astype(int)).mean())
            for packet in packets
        ]
        usual = sorted(levels)[len(levels) // 2]
        weak = sum(level < usual / 2 for level in levels)
        assert steps.count(160) >= len(steps) * 0.97, "packets are missing"
        assert weak <= len(levels) * 0.03, f"{weak} of {len(levels)} packets are soft or silent"


async def test_who_hangs_up_is_gone_from_the_room_and_who_is_put_out_keeps_the_line(
    calls: Calls, livekit: LiveKitRig
) -> None:
    room = await livekit.create()
    first, call = await calls.comes()
    second, kept = await calls.comes()
    for leg in (first, second):
        await calls.joins(leg, livekit, room)
    loop = asyncio.get_running_loop()
    began = loop.time()
    await call.hang_up()
    await livekit.until_people(room, lambda people: [one.identity for one in people] == [second], 2.0)
    assert loop.time() - began < 0.7
    calls.workers.order(second, Leave())
    await calls.told(second, Left)
    await livekit.until_people(room, lambda people: not people, 2.0)
    assert kept.state is CallState.ANSWERED


async def test_a_media_server_that_dies_is_told_and_the_line_stays(
    calls: Calls, tmp_path_factory: pytest.TempPathFactory
) -> None:
    async with running_livekit(tmp_path_factory.mktemp("dies"), restart=False) as rig:
        room = await rig.create()
        leg, call = await calls.comes()
        await calls.joins(leg, rig, room)
        rig.server.kill()
        await calls.told(leg, Left, within_s=15.0)
        assert calls.ears[leg].of(Left) == [Left("lost")]
        assert call.state is CallState.ANSWERED
        calls.workers.order(leg, Join(rig.url, rig.token(room, leg), leg))
        loop = asyncio.get_running_loop()
        deadline = loop.time() + 5.0
        while "unreachable" not in repr(calls.ears[leg].facts):
            assert loop.time() < deadline, calls.ears[leg].facts
            await asyncio.sleep(0.05)
