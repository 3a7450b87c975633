"""The whole product for a test: real servers, the gateway as a process of its own, a simulated carrier.

Everything is on free loopback ports in a folder of the test's own, and ends with the test.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from gateway.bootstrap import ensure_first_key
from gateway.clocks import SystemClock, new_id, random_bytes
from gateway.config import Settings
from gateway.runtime.ports import free_port, free_port_row, free_ports, free_sip_port, free_udp_range
from gateway.stack import Stack, base_url
from gateway.trial.sip_behaviour import Decide, by_last_digits
from gateway.trial.sip_phone import SipPhone

OWN = "+12025550100"
"""The number the test's tenant owns."""
CARRIER_IP = "127.0.0.2"
Json = dict[str, Any]


class Api:
    """The product's API as its users see it."""

    def __init__(self, session: aiohttp.ClientSession, root: str) -> None:
        self._session = session
        self.root = root

    async def ask(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Json]:
        """Status and parsed body of one request."""
        async with self._session.request(method, self.root + path, json=body, headers=headers) as response:
            return response.status, {} if response.status == 204 else await response.json()

    async def ok(self, method: str, path: str, body: object = None) -> Any:
        """The ``data`` of a request that must succeed."""
        status, answer = await self.ask(method, path, body)
        assert status < 300, (method, path, status, answer)
        return answer.get("data")

    async def place(self, to: str, **fields: object) -> str:
        """Place a call; its id."""
        placed = await self.ok("POST", "/v1/voice/calls", {"to": to, "from": OWN, **fields})
        assert placed["status"] == "initiating"
        return str(placed["id"])

    async def call(self, call_id: str) -> Json:
        return dict(await self.ok("GET", f"/v1/voice/calls/{call_id}"))

    async def events(self, call_id: str) -> list[Json]:
        return list(await self.ok("GET", f"/v1/voice/calls/{call_id}/events"))

    async def until(
        self, call_id: str, holds: Callable[[Json], bool], within_s: float = 30.0, what: str = "so"
    ) -> Json:
        """Poll a call until it is as wanted; the last seen state is in the failure."""
        seen: Json = {}
        try:
            async with asyncio.timeout(within_s):
                while True:
                    seen = await self.call(call_id)
                    if holds(seen):
                        return seen
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"the call did not become {what} in {within_s} s: {seen}") from None

    async def status(self, call_id: str, wanted: str, within_s: float = 30.0) -> Json:
        """Wait for this status. A terminal status other than the wanted one fails at once."""
        final = {"completed", "failed", "busy", "no_answer", "cancelled"}

        def there(call: Json) -> bool:
            assert call["status"] == wanted or call["status"] not in final, call
            return bool(call["status"] == wanted)

        return await self.until(call_id, there, within_s, wanted)

    async def ended(self, call_id: str, within_s: float = 60.0) -> Json:
        return await self.until(call_id, lambda call: call["ended_at"] is not None, within_s, "ended")


@dataclass(slots=True)
class Product:
    """A running product, and the world outside."""

    stack: Stack
    api: Api
    carrier: SipPhone
    key: str
    var: Path

    @property
    def sip(self) -> tuple[str, int]:
        """Where the switch takes calls."""
        assert self.stack.switch is not None
        address = self.stack.switch.address
        return address.sip_host, address.sip_port


def free_settings(var: Path, extra: Mapping[str, str] | None = None) -> Settings:
    """Settings on ports nobody uses, in this folder. No media server for rooms, unless ``extra`` asks for it
    (``PATCHBAY_LIVEKIT`` ``auto``)."""
    given = {int(value) for name, value in (extra or {}).items() if name.endswith("_PORT")}
    ami, agi, media, api, livekit = tcp = free_ports(5, avoid=given)
    room_media = free_port_row(2, avoid={*given, *tcp})
    sip = free_sip_port(avoid={*given, *tcp, room_media, room_media + 1})
    (livekit_udp,) = free_ports(1, kind=socket.SOCK_DGRAM, avoid={*given, sip})
    first, last = free_udp_range(400, spread=os.getpid())
    return Settings.from_env(
        {
            "HOME": os.environ.get("HOME", "/"),
            **{k: v for k, v in os.environ.items() if k in ("XDG_CACHE_HOME", "PATCHBAY_RUNTIME")},
            "PATCHBAY_VAR_DIR": str(var),
            "PATCHBAY_AMI_PORT": str(ami),
            "PATCHBAY_AGI_PORT": str(agi),
            "PATCHBAY_MEDIA_PORT": str(media),
            "PATCHBAY_LIVEKIT": "off",
            "PATCHBAY_LIVEKIT_PORT": str(livekit),
            "PATCHBAY_ROOM_MEDIA_PORT": str(room_media),
            "PATCHBAY_LIVEKIT_UDP_PORT": str(livekit_udp),
            "PATCHBAY_API_PORT": str(api),
            "PATCHBAY_SIP_PORT": str(sip),
            "PATCHBAY_RTP_PORT_MIN": str(first),
            "PATCHBAY_RTP_PORT_MAX": str(last),
            "PATCHBAY_WEBHOOK_ALLOW_PRIVATE": "1",
            "PATCHBAY_API_RATE_PER_MINUTE": "100000",
            "PATCHBAY_CALL_RATE_PER_MINUTE": "100000",
            "PATCHBAY_ROUTE_BUDGET_MS": "3000",  # a busy machine is no reason to lose a call
            **(extra or {}),
        }
    )


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


@asynccontextmanager
async def running_product(
    var: Path,
    *,
    decide: Decide | None = None,
    extra: Mapping[str, str] | None = None,
    overrides: Mapping[str, str] | None = None,
    before: Callable[[Settings], None] | None = None,
    trunks: Callable[[int], str] | None = None,
) -> AsyncIterator[Product]:
    """Start everything, own one number, and end everything afterwards. ``before`` learns the ports first.

    ``trunks`` gives the text of the trunks file from the carrier's port; without it there is the demo's.
    """
    settings = free_settings(var, extra)
    if before is not None:
        before(settings)
    carrier = await SipPhone.open(CARRIER_IP, free_port(), decide=decide or by_last_digits(), name="carrier")
    if trunks is not None:
        _write(var / "trunks.toml", trunks(carrier.address[1]))
    key = await ensure_first_key(settings, SystemClock(), new_id("key"), random_bytes(32))
    stack = Stack(settings, lambda _: None, trunk_port=carrier.address[1], overrides=overrides)
    timeout = aiohttp.ClientTimeout(total=60)
    try:
        async with aiohttp.ClientSession(timeout=timeout, headers={"X-API-Key": key.text}) as session:
            try:
                await stack.start()
                api = Api(session, base_url(settings))
                route = {"type": "reject", "cause": "busy"}
                await api.ok("POST", "/api/v1/numbers", {"e164": OWN, "route": route})
                yield Product(stack, api, carrier, key.text, var)
            finally:
                await stack.stop()
    finally:
        await carrier.close()
