"""A webhook receiver for trials: checks both signatures, keeps what came, and can be told to misbehave.

The checks are written from the specifications, apart from the sender's code: Standard Webhooks
(``webhook-id``, ``webhook-timestamp``, ``webhook-signature: v1,<base64>``) and
``X-Devotel-Signature: t=<unix>,v1=<hex of HMAC-SHA256 over "t.body">``.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from aiohttp import web

from gateway.trial.watch import Watch

TOLERANCE_S = 300
_MOST_OCTETS = 1_000_000


@dataclass(frozen=True, slots=True)
class Mood:
    """How the receiver answers. ``status`` 0 means: closes the connection without an answer."""

    status: int = 200
    delay_s: float = 0.0
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Delivery:
    """One request that came in. ``faults`` is empty if both signatures hold."""

    at: float
    path: str
    headers: Mapping[str, str]
    body: bytes
    faults: tuple[str, ...]

    @property
    def webhook_id(self) -> str:
        return self.headers.get("webhook-id", "")

    @property
    def event(self) -> Mapping[str, Any]:
        """The body as JSON. Raises ``ValueError`` if it is not an object."""
        read = json.loads(self.body)
        if not isinstance(read, dict):
            raise ValueError("the body is not a JSON object")
        return read


def standard_signature(secret: str, webhook_id: str, timestamp: str, body: bytes) -> str:
    """``v1,<base64>`` by Standard Webhooks; ``secret`` is ``whsec_<base64 of the key>``."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{webhook_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def devotel_signature(secret: str, timestamp: str, body: bytes) -> str:
    """The hex that stands behind ``v1=``; the key is the secret's text as its owner sees it."""
    return hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()


def signature_faults(
    headers: Mapping[str, str], body: bytes, secrets: tuple[str, ...], now: float
) -> tuple[str, ...]:
    """What is wrong with a delivery's signatures; empty if nothing is. Header names are lower-case."""
    return (
        *_standard_faults(headers, body, secrets, now),
        *_devotel_faults(headers.get("x-devotel-signature", ""), body, secrets, now),
    )


def _standard_faults(
    headers: Mapping[str, str], body: bytes, secrets: tuple[str, ...], now: float
) -> tuple[str, ...]:
    webhook_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not webhook_id or not timestamp.isdigit():
        return ("webhook-id or webhook-timestamp is missing",)
    if abs(now - int(timestamp)) > TOLERANCE_S:
        return ("webhook-timestamp is too far from now",)
    given = headers.get("webhook-signature", "").split(" ")
    wanted = [standard_signature(secret, webhook_id, timestamp, body) for secret in secrets]
    if not any(hmac.compare_digest(a.encode(), b.encode()) for a in given for b in wanted):
        return ("webhook-signature does not match",)
    return ()


def _devotel_faults(value: str, body: bytes, secrets: tuple[str, ...], now: float) -> tuple[str, ...]:
    parts = [part.split("=", 1) for part in value.split(",") if "=" in part]
    timestamp = next((v for k, v in parts if k.strip() == "t"), "")
    given = [v for k, v in parts if k.strip() == "v1"]
    if not timestamp.isdigit() or abs(now - int(timestamp)) > TOLERANCE_S:
        return ("x-devotel-signature has no fresh t=",)
    wanted = [devotel_signature(secret, timestamp, body) for secret in secrets]
    if not any(hmac.compare_digest(a.encode(), b.encode()) for a in given for b in wanted):
        return ("x-devotel-signature does not match",)
    return ()


class WebhookListener:
    """An HTTP server on loopback. ``deliveries`` holds all that came; ``mood`` may be changed at any time."""

    def __init__(self, secrets: tuple[str, ...], wall: Callable[[], float]) -> None:
        self.secrets = secrets
        self.mood = Mood()
        self.moods: list[Mood] = []
        """Moods for the next requests, one each; then ``mood`` holds again."""
        self.deliveries: list[Delivery] = []
        self._wall = wall
        self._watch = Watch()
        self._runner: web.AppRunner | None = None
        self.port = 0

    @classmethod
    async def start(
        cls, secret: str, wall: Callable[[], float], *, host: str = "127.0.0.1", port: int = 0
    ) -> WebhookListener:
        """Listens; port 0 lets the system choose. ``wall`` gives seconds since 1970."""
        listener = cls((secret,), wall)
        app = web.Application(client_max_size=_MOST_OCTETS)
        app.router.add_post("/{path:.*}", listener._received)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, host, port)
        await site.start()
        listener._runner = runner
        listener.port = runner.addresses[0][1]
        return listener

    def url(self, path: str = "hook") -> str:
        return f"http://127.0.0.1:{self.port}/{path}"

    async def _received(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        faults = signature_faults(headers, body, self.secrets, self._wall())
        now = asyncio.get_running_loop().time()
        self.deliveries.append(Delivery(now, request.path, headers, body, faults))
        self._watch.changed()
        mood = self.moods.pop(0) if self.moods else self.mood
        await asyncio.sleep(mood.delay_s)
        if not mood.status:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=500)
        return web.Response(status=mood.status, headers=dict(mood.headers))

    async def waits_for(
        self, which: Callable[[Delivery], bool], within_s: float, what: str = "a delivery"
    ) -> Delivery:
        """The first delivery that fits, waiting for it if need be. Raises ``NotInTime``."""

        def found() -> Delivery | None:
            return next((delivery for delivery in self.deliveries if which(delivery)), None)

        await self._watch.until(lambda: found() is not None, within_s=within_s, what=what, seen=self._summary)
        delivery = found()
        assert delivery is not None
        return delivery

    async def waits_for_count(self, count: int, within_s: float) -> list[Delivery]:
        """All deliveries once there are ``count`` of them."""
        await self._watch.until(
            lambda: len(self.deliveries) >= count,
            within_s=within_s,
            what=f"{count} deliveries",
            seen=self._summary,
        )
        return list(self.deliveries)

    def _summary(self) -> str:
        kinds = [json.loads(d.body).get("type", "?") if d.body[:1] == b"{" else "?" for d in self.deliveries]
        faults = sorted({fault for d in self.deliveries for fault in d.faults})
        return f"{len(kinds)} deliveries {kinds}, faults {faults}"

    async def close(self) -> None:
        """Stops listening: connections are then refused."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> WebhookListener:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
