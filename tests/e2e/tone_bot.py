"""An agent of tones, put on calls to the product's own number: what tests of agents on calls share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from gateway.trial.audio import tone, tone_seconds
from gateway.trial.sip_outgoing import Dial, OutgoingCall
from gateway.trial.watch import Watch
from patchbay_agent import Call, CallEnding, serving
from tests.e2e.visitor import route_own_number
from tests.rig.product import OWN, Json, Product

GREETING_HZ, FAREWELL_HZ, CALLER_HZ = 1000.0, 1500.0, 600.0
FAREWELL_S = 0.8
CALLER = "+14155550150"


@dataclass(slots=True)
class Bot:
    """An agent that greets with a tone, counts what it hears, and says goodbye with another."""

    calls: list[Call] = field(default_factory=list)
    endings: list[CallEnding | None] = field(default_factory=list)
    heard: bytearray = field(default_factory=bytearray)
    farewell_heard: list[bool] = field(default_factory=list)
    then: Callable[[Call], Awaitable[None]] | None = None
    outcomes: list[str] = field(default_factory=list)
    watch: Watch = field(default_factory=Watch)

    async def on_call(self, call: Call) -> None:
        self.calls.append(call)
        call.sound(tone(GREETING_HZ, 0.6))
        call.caption("Good day, this is the tone speaking.")
        self.watch.changed()
        listening = asyncio.create_task(self._listen(call))
        if self.then is not None:
            await self.then(call)
        async for _ in call:
            pass
        self.endings.append(call.ending)
        self.watch.changed()
        call.sound(tone(FAREWELL_HZ, FAREWELL_S))
        call.caption("Goodbye.")
        self.farewell_heard.append(await call.mark())
        call.summary("A caller and a tone met.", outcome="greeted")
        listening.cancel()

    async def _listen(self, call: Call) -> None:
        async for frame in call.frames():
            self.heard += frame
            if len(self.heard) % 1600 == 0:
                self.watch.changed()

    async def until(self, holds: Callable[[], bool], what: str, within_s: float = 30.0) -> None:
        await self.watch.until(holds, within_s=within_s, what=what)


@asynccontextmanager
async def agent(house: Product, bot: Bot, **fields: object) -> AsyncIterator[Json]:
    """The same, for tests that route the product's number to it: the route is taken back first."""
    async with registered(house, bot, **fields) as made:
        try:
            yield made
        finally:
            await route_own_number(house, route={"type": "hold"})


@asynccontextmanager
async def registered(house: Product, bot: Bot, **fields: object) -> AsyncIterator[Json]:
    """The bot, registered as an agent of the product."""
    secret = "a-secret-of-the-tests-long-enough"
    async with serving(bot.on_call, secret=secret, hears=True) as port:
        wanted = {
            "name": "tone",
            "dialect": "native",
            "url": f"ws://127.0.0.1:{port}/agent",
            "codec": "slin",
            "auth": {"kind": "hmac", "secret": secret},
            "barge_in": {"mode": "off"},
            "record": True,
            **fields,
        }
        made = await house.api.ok("POST", "/api/v1/agents", wanted)
        try:
            yield made
        finally:
            await house.api.ok("DELETE", f"/api/v1/agents/{made['id']}")


@asynccontextmanager
async def calling_us(house: Product, bot: Bot, **fields: object) -> AsyncIterator[tuple[Json, OutgoingCall]]:
    """Somebody from outside calls the number whose calls the agent takes."""
    async with agent(house, bot, **fields) as made:
        await route_own_number(house, route={"type": "agent", "agent_id": made["id"]})
        dial = Dial(OWN, house.sip, CALLER, audio=tone(CALLER_HZ, 10.0))
        call = house.carrier.call(dial)
        yield made, call
        await call.hang_up()


def hears(hz: float, seconds: float) -> Callable[[bytes], bool]:
    return lambda pcm: tone_seconds(pcm, hz) >= seconds


def whole_farewell(pcm: bytes) -> bool:
    """Whether all of it is there: tones are counted in windows, of which the first and the last may hold a
    part of it alone."""
    return tone_seconds(pcm, FAREWELL_HZ) > FAREWELL_S - 0.15
