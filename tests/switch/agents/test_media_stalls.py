"""A gateway whose event loop stands still must not take the switch with it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio

from gateway.runtime.plan import SwitchPlan, Trunk
from gateway.runtime.ports import free_sip_port
from gateway.trial import audio
from gateway.trial.sip_call import CallState
from gateway.trial.sip_outgoing import Dial, OutgoingCall
from gateway.trial.sip_phone import SipPhone
from tests.rig.media import CALLER, CARRIER, MEDIA_DIALPLAN, Port, make_port
from tests.rig.switch import running_switch
from tests.rig.world import static_templates
from voice_agents.core.audio import Codec
from voice_agents.ports import MediaLeg

pytestmark = [pytest.mark.switch, pytest.mark.timeout(300)]

STALL_S = 4.0


@dataclass(slots=True)
class Ear:
    """An agent that answers and listens."""

    heard: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)
    why: str = ""

    def arrived(self, leg: MediaLeg) -> None:
        leg.answer()

    def audio(self, frame: bytes) -> None:
        self.heard.set()

    def digit(self, digit: str) -> None: ...

    def mark(self, name: str, heard: bool) -> None: ...

    def gone(self, why: str) -> None:
        self.why = why
        self.over.set()


class OtherLoop:
    """A media port in a thread with a loop of its own, which can be made to stand still."""

    def __init__(self, driver: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.port: Port
        self.address: tuple[str, int]
        self.port, self.address = asyncio.run_coroutine_threadsafe(make_port(driver), self._loop).result(20.0)

    def expect(self, token: str, ear: Ear) -> str:
        self._loop.call_soon_threadsafe(self.port.expect, token, Codec.ULAW, ear, 20.0)
        return self.port.dial_string(token, Codec.ULAW)

    def stands_still(self) -> None:
        self._loop.call_soon_threadsafe(time.sleep, STALL_S)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self.port.close(), self._loop).result(30.0)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5.0)
        self._loop.close()


@dataclass(slots=True)
class World:
    other: OtherLoop
    phone: SipPhone
    sip: tuple[str, int]

    def dial(self, text: str, number: str = "+15550001000") -> OutgoingCall:
        sound = audio.tone(440, 2.0)
        return self.phone.call(Dial(number, self.sip, CALLER, headers=(("X-Dial", text),), audio=sound))

    async def talks(self, token: str) -> tuple[OutgoingCall, Ear]:
        ear = Ear()
        call = self.dial(self.other.expect(token, ear))
        await call.reaches(CallState.ANSWERED)
        assert await asyncio.to_thread(ear.heard.wait, 20.0)
        return call, ear


@pytest_asyncio.fixture(params=["websocket", "audiosocket"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    other = await asyncio.to_thread(OtherLoop, request.param)
    carrier_port = free_sip_port(CARRIER)
    plan = SwitchPlan((Trunk("carrier", CARRIER, carrier_port, identify=(CARRIER,)),))
    templates = static_templates(tmp_path, MEDIA_DIALPLAN)
    try:
        async with (
            running_switch(tmp_path, plan, templates=templates, media=other.address) as switch,
            await SipPhone.open(CARRIER, carrier_port, name="carrier") as phone,
        ):
            yield World(other, phone, (switch.address.sip_host, switch.address.sip_port))
    finally:
        await asyncio.to_thread(other.close)


async def test_a_loop_that_stands_still_ends_its_calls_and_blocks_none(world: World) -> None:
    (first, ear), (second, _) = [await world.talks(token * 20) for token in "ab"]
    world.other.stands_still()
    began = time.monotonic()
    echo = world.dial("", "+16660001000")
    await echo.hears(lambda pcm: audio.has_tone(pcm, 440, seconds=1.0), 20.0, "the switch works on")
    await first.reaches(CallState.ENDED, within_s=20.0)
    await second.reaches(CallState.ENDED, within_s=20.0)
    over = max(call.reached_at[CallState.ENDED] for call in (first, second)) - began
    assert over < STALL_S, "while the loop stood still"
    await echo.hang_up()
    assert await asyncio.to_thread(ear.over.wait, STALL_S + 20.0)
    assert ear.why == "stalled"
    call, after = await world.talks("c" * 20)
    await call.hang_up()
    assert await asyncio.to_thread(after.over.wait, 20.0)
    assert after.why == "hangup"


async def test_a_caller_may_hang_up_while_the_loop_stands_still(world: World) -> None:
    """Without the watchdog, which here looks too late."""
    call, ear = await world.talks("a" * 20)
    world.other.port._yard.watchdog._stall_s = 2 * STALL_S
    world.other.stands_still()
    began = time.monotonic()
    await call.hang_up()
    await call.reaches(CallState.ENDED)
    assert call.reached_at[CallState.ENDED] - began < STALL_S, "while the loop stood still"
    assert await asyncio.to_thread(ear.over.wait, STALL_S + 20.0)
