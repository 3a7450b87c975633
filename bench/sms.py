"""Texts relayed through the whole product: ``python -m bench.sms``.

One text is: the carrier's signed callback, stored and answered; judged (session, stop words, standing) and
queued; sent over the carrier's API from the number that the other one knows; its receipt, signed, stored,
and joined to the interaction. Carriers on both sides are one load generator in this process, speaking the
documented JSON of our own over HTTP on loopback; the gateway is a process of its own on SQLite and Redis.

Texts/s: so many conversations go on at once, each of which sends its next text when the last one has
arrived. A text counts when its receipt was answered. In → out is the time from the callback's first octet to
the text at the carrier's API, at half of that rate. The bare round trip is a callback for a number that
nobody has: verified, stored, judged, dropped.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

import aiohttp
import uvloop
from aiohttp import web

from bench.calls import percentile
from bench.report import write_result
from bench.rig import cpu_of, free_settings
from gateway.bootstrap import ensure_first_key
from gateway.clocks import SystemClock, new_id, random_bytes
from gateway.runtime.ports import free_port
from gateway.stack import Stack, base_url
from gateway.trial.carrier_json import GenericSpeech
from gateway.trial.carrier_speech import ApiRequest, Callback, Moment, Report, Utterance
from proxy_pool.core.text import ReceiptState

CONVERSATIONS = 200
NUMBERS = 20
AT_ONCE = 64
TEXTS = 4000
ROUNDS = 3
STEADY_SECONDS = 8.0
NOBODYS = "+12025559999"


@dataclass(slots=True)
class Wait:
    """A text on its way: when it was begun, when it came out; ``done`` once its receipt was answered."""

    begun: float
    done: asyncio.Future[None]
    out: float = 0.0


@dataclass(frozen=True, slots=True)
class Side:
    """One direction of a conversation: who writes to which number."""

    sender: str
    to: str


@dataclass(slots=True)
class LoadCarrier:
    """Tells of texts, takes them, and tells of receipts, many at once."""

    http: aiohttp.ClientSession
    root: str = ""
    speech: GenericSpeech = field(default_factory=lambda: GenericSpeech(11))
    waits: dict[str, Wait] = field(default_factory=dict)
    ids: count[int] = field(default_factory=lambda: count(1))
    receipts: set[asyncio.Task[None]] = field(default_factory=set)
    port: int = 0

    def plan(self) -> str:
        lines = ["[carriers.load]", 'kind = "generic"', f'api_base = "http://127.0.0.1:{self.port}"']
        lines += [f'{name} = "{value}"' for name, value in self.speech.keys.items()]
        return "\n".join([*lines, "allow_private = true", "messages_per_second = 1000"]) + "\n"

    async def relay(self, side: Side) -> Wait:
        """One text, from its callback to its receipt."""
        message_id = f"load-{next(self.ids)}"
        wait = Wait(time.perf_counter(), asyncio.get_running_loop().create_future())
        self.waits[message_id] = wait
        await self.tell("inbound", self.speech.says(self.text(message_id, side), self.moment()))
        async with asyncio.timeout(60):
            await wait.done
        return wait

    def text(self, message_id: str, side: Side) -> Utterance:
        return Utterance(message_id, side.sender, side.to, f"{message_id} and then we could meet at noon")

    def moment(self) -> Moment:
        return Moment("", time.time(), secrets.token_hex(8))

    async def tell(self, door: str, callback: Callback) -> None:
        url = f"{self.root}/v1/proxy/{door}/load"
        async with self.http.post(url, data=callback.body, headers=callback.headers) as answer:
            await answer.read()
            if answer.status != 204:
                raise RuntimeError(f"a callback was answered {answer.status}")

    async def taken(self, request: web.Request) -> web.Response:
        """The carrier's API: takes a text, and reports it delivered."""
        came = time.perf_counter()
        headers = {name.lower(): value for name, value in request.headers.items()}
        asked = self.speech.reads(ApiRequest(request.path, headers, await request.read()))
        wait = self.waits.pop(asked.body.partition(" ")[0])
        wait.out = came
        provider_id = f"p-{next(self.ids)}"
        told = asyncio.create_task(self.report(Report(provider_id, "", "", ReceiptState.DELIVERED), wait))
        self.receipts.add(told)
        told.add_done_callback(self.receipts.discard)
        answer = self.speech.takes(provider_id, asked)
        return web.Response(status=answer.status, body=answer.body, headers=dict(answer.headers))

    async def report(self, report: Report, wait: Wait) -> None:
        try:
            await self.tell("receipts", self.speech.reports(report, self.moment()))
            wait.done.set_result(None)
        except Exception as error:  # noqa: BLE001  # why: the text's own wait hears of it
            wait.done.set_exception(error)


@asynccontextmanager
async def served(carrier: LoadCarrier) -> AsyncIterator[None]:
    app = web.Application()
    app.router.add_post("/messages", carrier.taken)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", carrier.port).start()
    try:
        yield
    finally:
        await runner.cleanup()


@dataclass(slots=True)
class World:
    """The running product, and who writes."""

    stack: Stack
    carrier: LoadCarrier
    sides: list[Side]

    @property
    def gateway_cpu(self) -> float:
        assert self.stack.gateway is not None
        assert self.stack.gateway.state.pid is not None
        return cpu_of(self.stack.gateway.state.pid).total


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[World]:
    """The product with its carrier, and as many conversations; ends it all afterwards."""
    async with AsyncExitStack() as exits:
        connector = aiohttp.TCPConnector(limit=4 * AT_ONCE)
        http = await exits.enter_async_context(aiohttp.ClientSession(connector=connector))
        carrier = LoadCarrier(http, port=free_port())
        await exits.enter_async_context(served(carrier))
        plan = folder / "carriers.toml"
        plan.write_text(carrier.plan())
        settings = replace(free_settings(folder / "product"), carriers_file=plan)
        carrier.root = base_url(settings)
        key = await ensure_first_key(settings, SystemClock(), new_id("key"), random_bytes(32))
        stack = Stack(settings, lambda text: print(text, file=sys.stderr), trunk_port=free_port())
        exits.push_async_callback(stack.stop)
        await stack.start()
        api = aiohttp.ClientSession(carrier.root, headers={"X-API-Key": key.text})
        yield World(stack, carrier, await converse(await exits.enter_async_context(api)))


async def converse(api: aiohttp.ClientSession) -> list[Side]:
    """Numbers into the pool, sessions open: both directions of each."""

    async def ask(path: str, body: dict[str, Any]) -> dict[str, Any]:
        async with api.post(path, json=body) as response:
            answer = await response.json()
            if response.status >= 300:
                raise RuntimeError(f"POST {path} answered {response.status}: {answer}")
            return dict(answer["data"])

    for place in range(NUMBERS):
        number = f"+12025558{place:03d}"
        await ask("/api/v1/numbers", {"e164": number, "capabilities": ["voice", "sms"]})
        await ask("/api/v1/proxy/pool/numbers", {"e164": number, "carrier": "load"})
    sides = []
    for place in range(CONVERSATIONS):
        a, b = f"+1415558{place:04d}", f"+1415559{place:04d}"
        session = await ask("/api/v1/proxy/sessions", {"party_a": a, "party_b": b})
        sides += [Side(a, session["proxy_number_a"]), Side(b, session["proxy_number_b"])]
    return sides


async def throughput(world: World, texts: int) -> float:
    """Texts a second, so many conversations at once."""
    left = count(texts, -1)
    started = time.perf_counter()

    async def talk(sides: Sequence[Side]) -> None:
        turn = 0
        while next(left) > 0:
            await world.carrier.relay(sides[turn % len(sides)])
            turn += 1

    await asyncio.gather(*(talk(world.sides[place::AT_ONCE]) for place in range(AT_ONCE)))
    return texts / (time.perf_counter() - started)


async def delays(world: World, per_second: float) -> list[float]:
    """Milliseconds from in to out, at a steady rate."""
    loop = asyncio.get_running_loop()
    started, texts = loop.time(), []
    for number in range(round(per_second * STEADY_SECONDS)):
        await asyncio.sleep(max(0.0, started + number / per_second - loop.time()))
        side = world.sides[number % len(world.sides)]
        texts.append(asyncio.create_task(world.carrier.relay(side)))
    waits = await asyncio.gather(*texts)
    return sorted((wait.out - wait.begun) * 1000 for wait in waits)


async def bare(world: World, texts: int) -> float:
    """Callbacks a second that lead nowhere."""
    left, carrier = count(texts, -1), world.carrier
    nobodys = Side("+14155550000", NOBODYS)
    started = time.perf_counter()

    async def talk() -> None:
        while next(left) > 0:
            text = carrier.text(f"load-{next(carrier.ids)}", nobodys)
            await carrier.tell("inbound", carrier.speech.says(text, carrier.moment()))

    await asyncio.gather(*(talk() for _ in range(AT_ONCE)))
    return texts / (time.perf_counter() - started)


async def measure(folder: Path) -> None:
    async with running(folder) as world:
        await throughput(world, TEXTS // 4)
        rates, spent, callbacks = [], [], []
        for _ in range(ROUNDS):
            before = world.gateway_cpu
            rates.append(await throughput(world, TEXTS))
            spent.append((world.gateway_cpu - before) * 1000 / TEXTS)
            callbacks.append(await bare(world, TEXTS))
            print(f"{rates[-1]:.0f} texts/s, {spent[-1]:.2f} ms of the gateway a text", file=sys.stderr)
        half = median(rates) / 2
        waits = await delays(world, half)
    write_result(
        "sms",
        figures={
            "relays_per_s": median(rates),
            "in_to_out_p50_ms": percentile(waits, 0.5),
            "in_to_out_p99_ms": percentile(waits, 0.99),
            "gateway_cpu_ms_per_text": median(spent),
            "conversations_at_once": AT_ONCE,
            "delay_measured_at_per_s": half,
        },
        baseline={"callbacks_to_nobody_per_s": median(callbacks)},
        ratio={"relays_vs_callbacks": median(rates) / median(callbacks)},
    )


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="patchbay-bench-") as folder:
        uvloop.run(measure(Path(folder)))


if __name__ == "__main__":
    main()
