"""The whole product between two carriers, with a webhook receiver and a reader who may not see numbers."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp

from gateway.auth import SCOPES
from gateway.copied_doors import FAMILY
from gateway.runtime.ports import free_port
from gateway.trial.listener import WebhookListener
from gateway.trial.sip_behaviour import answers
from tests.rig.links import ami_link, database
from tests.rig.product import Product, running_product
from tools.verify_privacy.far import FarSide
from tools.verify_privacy.people import ALPHA, BETA, SIDES, Side

Json = dict[str, Any]
POOL: Final = tuple(f"+1202555{number:04d}" for number in range(110, 122))
OPEN_NUMBERS: Final = tuple(f"+1202555{number:04d}" for number in range(122, 138))
"""Each serves one session for anyone at a time."""
EXTENSION_NUMBERS: Final = tuple(f"+1202555{number:04d}" for number in range(138, 142))
STRANGERS: Final = range(940, 990)
FALLBACK: Final = ALPHA.number(990)
_SETTLED_S: Final = 120.0
_QUIET_S: Final = 90.0
_SETTINGS: Final = {
    "PATCHBAY_LOG_LEVEL": "debug",
    "PATCHBAY_MAX_CONCURRENT_CALLS": "1000",
    "PATCHBAY_ALLOWED_COUNTRIES": "US,GB",
}


class Reader:
    """The API as the holder of this key uses it. Keeps every answer."""

    def __init__(self, http: aiohttp.ClientSession, root: str, key: str) -> None:
        self._http = http
        self._root = root
        self._key = {"X-API-Key": key}
        self.answers: list[bytes] = []

    async def ask(self, method: str, path: str, body: object = None) -> Any:
        """The parsed answer; kept as it came, with its headers."""
        url = self._root + path
        async with self._http.request(method, url, json=body, headers=self._key) as response:
            raw = await response.read()
            heads = "\n".join(f"{name}: {value}" for name, value in response.headers.items())
            self.answers.append(heads.encode() + b"\n\n" + raw)
            return await response.json() if raw[:1] in (b"{", b"[") else raw

    async def ok(self, method: str, path: str, body: object = None) -> Any:
        """The ``data`` of a request that must succeed."""
        answer = await self.ask(method, path, body)
        assert "data" in answer, answer
        return answer["data"]

    def take(self) -> list[bytes]:
        answers, self.answers = self.answers, []
        return answers


@dataclass(slots=True)
class World:
    """Everything up. ``owner`` may see whole numbers; ``reader`` may do all that, but not see them."""

    product: Product
    far: Mapping[str, FarSide]
    listener: WebhookListener
    owner: Reader
    reader: Reader
    people: Mapping[str, set[str]] = field(default_factory=lambda: {side.name: set() for side in SIDES})
    _next: Mapping[str, Any] = field(default_factory=lambda: {side.name: itertools.count() for side in SIDES})

    @property
    def sip(self) -> tuple[str, int]:
        return self.product.sip

    def person(self, side: Side) -> str:
        """Somebody of this side whom no open session knows."""
        return self.known(side, side.number(next(self._next[side.name]) % STRANGERS.start))

    def stranger(self, side: Side, chance: random.Random) -> str:
        return self.known(side, side.number(chance.choice(STRANGERS)))

    def known(self, side: Side, number: str) -> str:
        self.people[side.name].add(number)
        return number

    async def quiet(self) -> None:
        """Wait until no call is left."""
        for far in self.far.values():
            await far.quiet(_QUIET_S)

    async def copied(self, doors: set[tuple[str, str]]) -> None:
        """Wait until the switch's copy knows these (dialled, caller)."""
        assert self.product.stack.switch is not None
        wanted = {f"{dialled.lstrip('+')}/{caller.lstrip('+')}" for dialled, caller in doors}
        async with (
            ami_link(self.product.stack.switch.address, "recording") as link,
            asyncio.timeout(_SETTLED_S),
        ):
            while wanted - (await database(link, FAMILY)).keys():  # noqa: ASYNC110  # why: nobody tells
                await asyncio.sleep(0.1)

    async def metrics(self) -> str:
        url = f"{self.product.api.root}/metrics"
        async with aiohttp.ClientSession() as http, http.get(url) as response:
            return await response.text()

    async def told(self) -> None:
        """Wait until every webhook has been delivered."""
        async with asyncio.timeout(_SETTLED_S):
            while True:
                path = "/api/v1/webhooks/deliveries?status=pending&limit=1"
                if not await self.owner.ok("GET", path):
                    return
                await asyncio.sleep(0.2)

    async def gateway_gone(self) -> None:
        """SIGKILL, and nobody starts it again until ``gateway_back``."""
        assert self.product.stack.gateway is not None
        self.product.stack.gateway.kill()
        await self.product.stack.gateway.stop()

    async def gateway_back(self) -> None:
        assert self.product.stack.gateway is not None
        await self.product.stack.gateway.start()

    async def gateway_hangs(self) -> None:
        """It is there and answers nothing."""
        self._signal(signal.SIGSTOP)

    async def gateway_goes_on(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self.product.stack.gateway is not None
        pid = self.product.stack.gateway.state.pid
        assert pid is not None
        os.kill(pid, number)


def trunks(alpha_port: int, beta_port: int) -> str:
    """Each side behind a carrier connection of its own."""
    connections = "".join(
        f'[[trunk]]\nname = "{side.name}"\nhost = "{side.host}"\nport = {port}\ntransport = "udp"\n'
        f'identify = ["{side.host}"]\nprefixes = ["{side.prefix}"]\n\n'
        for side, port in ((ALPHA, alpha_port), (BETA, beta_port))
    )
    return f"{connections}[sip]\ntexts = true\n"


@asynccontextmanager
async def running_world(var: Path, seed: int) -> AsyncIterator[World]:
    """Start everything; numbers are in the pool and a webhook receiver hears of all events."""
    alpha_port, beta_port = free_port(), free_port()
    async with AsyncExitStack() as exits:
        product = await exits.enter_async_context(
            running_product(var, extra=_SETTINGS, trunks=lambda _: trunks(alpha_port, beta_port))
        )
        far: dict[str, FarSide] = {}
        for side, port in ((ALPHA, alpha_port), (BETA, beta_port)):
            phone = FarSide(side, seed)
            await phone.transport.open(side.host, port)
            await exits.enter_async_context(phone)
            far[side.name] = phone
        listener = await exits.enter_async_context(await _listening(product))
        # a connection each: one that is kept may be closed, by time or with the gateway, under a request
        http = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=90), connector=aiohttp.TCPConnector(force_close=True)
        )
        await exits.enter_async_context(http)
        root = product.api.root
        reader = Reader(http, root, await _blind_key(product))
        world = World(product, far, listener, Reader(http, root, product.key), reader)
        world.known(ALPHA, FALLBACK)
        far[ALPHA.name].always[FALLBACK] = answers(after_ms=20)
        await _fill_pool(product)
        yield world


async def _listening(product: Product) -> WebhookListener:
    listener = await WebhookListener.start("whsec_c2VjcmV0LXRoYXQtaXMtbmV2ZXItY2hlY2tlZA==", time.time)
    await product.api.ok("POST", "/api/v1/webhooks", {"url": listener.url("all"), "events": ["*"]})
    return listener


async def _blind_key(product: Product) -> str:
    scopes = [scope for scope in SCOPES if scope != "pii:read"]
    made = await product.api.ok(
        "POST", "/api/v1/settings/api-keys", {"name": "blind", "role": "admin", "scopes": scopes}
    )
    return str(made["value"])


async def _fill_pool(product: Product) -> None:
    for use, numbers in (("pairs", POOL), ("anyone", OPEN_NUMBERS), ("extensions", EXTENSION_NUMBERS)):
        for number in numbers:
            owned = {"e164": number, "capabilities": ["voice", "sms"]}
            await product.api.ok("POST", "/api/v1/numbers", owned)
            pooled = {"e164": number, "use": use, "carrier": "sip"}
            await product.api.ok("POST", "/api/v1/proxy/pool/numbers", pooled)
