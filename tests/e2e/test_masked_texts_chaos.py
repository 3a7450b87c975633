"""Texts of masked people through the whole product, between carriers that duplicate, reorder, forge, throttle
and lose, and a gateway that is killed: every text arrives once, at the right person, and its story is true.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import aiohttp
import pytest
import pytest_asyncio

from gateway.runtime.ports import free_port
from gateway.trial.carrier_faults import Faults
from gateway.trial.carrier_sim import CarrierSim, SimSetup
from tests.rig.crowd import Crowd, Pair
from tests.rig.product import Json, running_product

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

KINDS: Final = {"one": "generic", "two": "twilio"}
"""The carriers by name; each has two numbers of the pool, so that sessions have sides on both."""
WILD: Final = Faults(
    duplicate=0.4, reorder=0.3, forge=0.4, lost=0.2, late=0.3, undelivered=0.2, throttle=0.1,
    late_s=0.4, reorder_s=0.1, retry_after_s=1.0, receipt_s=0.05,
)  # fmt: skip
FINAL: Final = {"delivered", "undelivered"}


@dataclass(frozen=True, slots=True)
class World:
    crowd: Crowd
    sims: dict[str, CarrierSim]
    carrier_of: dict[str, str]

    def tell(self, sender: str, to: str, body: str) -> None:
        """Somebody writes, over the carrier of the number written to."""
        self.sims[self.carrier_of[to]].text_in(sender, to, body)

    def arrived(self) -> Counter[tuple[str, str, str]]:
        """(shown sender, receiver, body) of all that any carrier was given."""
        sent = [taken.asked for sim in self.sims.values() for taken in sim.sent]
        return Counter((one.sender, one.to, one.body) for one in sent)

    async def all_sent(self, wanted: Counter[tuple[str, str, str]], within_s: float = 120.0) -> None:
        """Until everything wanted arrived; then nothing else did, and nothing twice."""
        try:
            async with asyncio.timeout(within_s):
                while True:
                    if wanted <= self.arrived():
                        break
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(f"missing: {wanted - self.arrived()}") from None
        for sim in self.sims.values():
            await sim.settled(60)
        assert self.arrived() == wanted

    async def throttles(self) -> None:
        """Until a carrier has turned a text away for now."""
        async with asyncio.timeout(60):
            while True:
                if any("throttled" in sim.refused for sim in self.sims.values()):
                    return
                await asyncio.sleep(0.05)

    def calm(self, faults: Faults | None = None) -> None:
        for sim in self.sims.values():
            sim.sent.clear()
            sim.faults = faults or Faults()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    folder: Path = tmp_path_factory.mktemp("texts-chaos")
    port, plan = free_port(), folder / "carriers.toml"
    async with AsyncExitStack() as exits:
        sims = {}
        for name, kind in KINDS.items():
            setup = SimSetup(kind, f"http://127.0.0.1:{port}/v1/proxy/inbound/{name}", name=name, seed=7)
            sims[name] = await exits.enter_async_context(await CarrierSim.start(setup, time.time))
        plan.write_text("\n".join(sim.plan_text() for sim in sims.values()))
        extra = {"PATCHBAY_API_PORT": str(port), "PATCHBAY_CARRIERS_FILE": str(plan)}
        product = await exits.enter_async_context(running_product(folder / "var", extra=extra))
        crowd = Crowd(product)
        carrier_of = {f"+120255501{place}": "one" if place % 2 else "two" for place in range(31, 35)}
        for number, carrier in carrier_of.items():
            await crowd.numbers(number, carrier=carrier)
        await product.api.ok("PUT", "/api/v1/proxy/settings", {"keep_bodies": True})
        yield World(crowd, sims, carrier_of)


async def interactions(world: World, pair: Pair) -> list[Json]:
    path = f"/api/v1/proxy/sessions/{pair.id}/interactions?limit=100"
    return list(await world.crowd.product.api.ok("GET", path))


async def stories(world: World, pair: Pair, due: Callable[[Json], set[str]]) -> list[Json]:
    """The session's interactions, once each has one of the states that are ``due``.

    A carrier has a text before the gateway has stored that it was taken, and what was reported of it.
    """
    told: list[Json] = []
    try:
        async with asyncio.timeout(60):
            while True:
                told = await interactions(world, pair)
                if all(one["status"] in due(one) for one in told):
                    return told
                await asyncio.sleep(0.1)
    except TimeoutError:
        wrong = [(one, due(one)) for one in told if one["status"] not in due(one)]
        raise AssertionError(f"told otherwise: {wrong}") from None


def reports(world: World, body: str) -> set[str]:
    """The final states that the gateway was told, and took, of the text with this body."""
    found = set()
    for sim in world.sims.values():
        ids = {taken.id for taken in sim.sent if taken.asked.body == body}
        found |= {told.what for told in sim.told if told.id in ids and told.status // 100 == 2}
    return found & FINAL


async def test_replayed_and_forged_callbacks_have_no_second_effect(world: World) -> None:
    world.calm()
    (pair,) = await world.crowd.open_many(1)
    way = pair.ways[0]
    sim = world.sims["one"]
    root = world.crowd.product.api.root
    caught: list[tuple[dict[str, str], bytes]] = []
    says = sim.speech.says

    def remembering(text: object, moment: object) -> object:
        callback = says(text, moment)  # type: ignore[arg-type]
        caught.append((dict(callback.headers), callback.body))
        return callback

    sim.speech.says = remembering  # type: ignore[assignment, method-assign]
    try:
        sim.text_in(way.caller, way.number, "only once")
        await world.all_sent(Counter([(way.shown, way.to, "only once")]))
    finally:
        sim.speech.says = says  # type: ignore[method-assign]
    headers, body = caught[0]
    bent = json.loads(body) | {"text": "another"}
    async with aiohttp.ClientSession() as http:
        answers = []
        for raw in (body, body, json.dumps(bent).encode(), b"\xff\x00 garbage", b"[]" * 1000):
            async with http.post(f"{root}/v1/proxy/inbound/one", data=raw, headers=headers) as answer:
                answers.append(answer.status)
        async with http.post(f"{root}/v1/proxy/inbound/nobody", data=body, headers=headers) as answer:
            answers.append(answer.status)
    assert answers == [204, 204, 401, 401, 401, 401]
    await world.all_sent(Counter([(way.shown, way.to, "only once")]))
    assert len(await interactions(world, pair)) == 1


async def test_every_text_arrives_once_through_carriers_at_their_worst(world: World) -> None:
    pairs = await world.crowd.open_many(6)
    strangers = [world.crowd.stranger() for _ in range(6)]
    first = pairs[0].ways[0]
    wanted = Counter([(first.shown, first.to, "before all others")])
    world.calm(replace(WILD, throttle=1.0))
    world.tell(first.caller, first.number, "before all others")
    await world.throttles()
    world.calm(WILD)
    for turn in range(6):
        for place, pair in enumerate(pairs):
            for way in pair.ways:
                body = f"{turn} of {place} to {way.to[-4:]}"
                wanted[way.shown, way.to, body] += 1
                world.tell(way.caller, way.number, body)
            world.tell(strangers[place], pair.ways[0].number, f"{turn}: who is there?")
    await world.all_sent(wanted)
    for pair in pairs:
        told = await stories(world, pair, lambda one: reports(world, one["body"]) or {"sent"})
        assert Counter(one["body"] for one in told) == Counter(
            body for (shown, to, body) in wanted if (shown, to) in {(w.shown, w.to) for w in pair.ways}
        )
    forged = [told for sim in world.sims.values() for told in sim.told if told.forged]
    assert forged
    assert any("throttled" in sim.refused for sim in world.sims.values())
    assert {told.status for told in forged} <= {401, 429}
    world.calm()


async def test_what_was_taken_in_outlives_the_gateway(world: World) -> None:
    """Answered to the carrier, then killed: before judging, after it, before the carrier took it."""
    crowd, product = world.crowd, world.crowd.product
    pairs = await crowd.open_many(8)
    world.calm(Faults(throttle=1.0))
    wanted: Counter[tuple[str, str, str]] = Counter()

    def all_write(turn: int) -> None:
        for pair in pairs:
            for way in pair.ways:
                wanted[way.shown, way.to, f"{turn}: from {way.caller[-4:]}"] += 1
                world.tell(way.caller, way.number, f"{turn}: from {way.caller[-4:]}")

    gateway = product.stack.gateway
    assert gateway is not None
    for turn in range(2):
        all_write(turn)
        for sim in world.sims.values():
            await sim.settled(60)  # every text is answered; judging goes on, nothing has left
        gateway.kill()
        await gateway.stop()
        await gateway.start()
    assert not world.arrived()
    world.calm()
    await world.all_sent(wanted)
    for pair in pairs:
        told = await stories(world, pair, lambda _: {"sent", "delivered"})
        assert len(told) == 4
