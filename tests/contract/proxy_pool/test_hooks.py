"""Hooks over real sockets: signed as the receiver expects, and no answer is late, endless or elsewhere."""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from aiohttp import web

from gateway.masking_hooks import (
    HOOK_LIMITS,
    REPLY_BYTES,
    Allow,
    Announce,
    Away,
    Block,
    Circumstances,
    JoinSession,
    MaskingHooks,
    OpenSession,
)
from gateway.signed_hooks import SignedHooks, secrets_from
from gateway.webhooks.core.signing import make_secret, verify_devotel, verify_standard
from gateway.webhooks.core.ssrf import Policy
from gateway.webhooks.fakes import MemoryEndpointBook, MemoryStore
from gateway.webhooks.ports import TenantSecret
from gateway.webhooks.poster import GuardedPoster
from proxy_pool.core.session import Channel, SessionId
from telephony.errors import StorageUnavailable
from telephony.ids import TenantId
from telephony.numbers import E164

pytestmark = pytest.mark.contract

TENANT = TenantId("ten_01J00000000000000000000000")
SESSION = SessionId("ses_01J00000000000000000000000")
OLD, NEW = make_secret(b"o" * 32), make_secret(b"n" * 32)
LOOPBACK = Policy(allow_private=True)
NOW = 1_800_000_000.5
ABOUT = Circumstances(Channel.VOICE, E164("+12025550100"), "+14155550101")
Serve = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@dataclass
class Application:
    """A receiver on loopback: keeps what came, answers as told."""

    url: str = ""
    came: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    answer: Serve | None = None

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.came.append((headers, await request.read()))
        return web.Response(status=204) if self.answer is None else await self.answer(request)

    def replies(self, body: bytes | dict[str, Any], status: int = 200) -> None:
        raw = json.dumps(body).encode() if isinstance(body, dict) else body

        async def answer(_: web.BaseRequest) -> web.StreamResponse:
            return web.Response(status=status, body=raw)

        self.answer = answer


@pytest.fixture
async def app() -> AsyncIterator[Application]:
    made = Application()
    runner = web.ServerRunner(web.Server(made.serve))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server is not None
    made.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}/hook"  # type: ignore[attr-defined]
    yield made
    await runner.cleanup()


@asynccontextmanager
async def hooks(policy: Policy = LOOPBACK, *secrets: str) -> AsyncIterator[MaskingHooks]:
    poster, count = GuardedPoster(policy, HOOK_LIMITS), itertools.count(1)

    async def of(tenant: TenantId) -> tuple[str, ...]:
        assert tenant == TENANT
        return secrets or (NEW,)

    try:
        yield MaskingHooks(
            SignedHooks(poster, of, lambda: NOW, lambda prefix: f"{prefix}_{next(count):026d}")
        )
    finally:
        await poster.close()


async def unknown(app: Application, timeout_s: float = 5.0) -> object:
    async with hooks() as asked:
        return await asked.unknown_caller(TENANT, app.url, ABOUT, timeout_s)


async def test_a_hook_is_signed_with_every_secret_in_force(app: Application):
    async with hooks(LOOPBACK, NEW, OLD) as asked:
        assert await asked.intercept(TENANT, app.url, ABOUT, 5.0) == Allow()
    ((headers, body),) = app.came
    assert headers["content-type"] == "application/json"
    for secret in (NEW, OLD):
        assert verify_standard(secret, headers, body, int(NOW))
        assert verify_devotel(secret, headers["x-devotel-signature"], body, int(NOW))
    assert not verify_standard(make_secret(b"x" * 32), headers, body, int(NOW))
    event = json.loads(body)
    assert (event["type"], event["id"]) == ("interaction.intercept", headers["webhook-id"])
    assert event["created_at"] == "2027-01-15T08:00:00.500Z"


async def test_what_is_told(app: Application):
    async with hooks() as asked:
        await asked.unknown_caller(TENANT, app.url, ABOUT, 5.0)
        await asked.intercept(
            TENANT, app.url, replace(ABOUT, caller="", session=SESSION, seat=1, to_seat=0), 5.0
        )
    told = [json.loads(body)["data"] for _, body in app.came]
    common = {"channel": "voice", "proxy_number": "+12025550100"}
    nobody = {"session_id": None, "from_seat": None, "to_seat": None}
    assert told[0] == common | nobody | {"from": "+14155550101"}
    assert told[1] == common | {"from": None, "session_id": SESSION, "from_seat": 1, "to_seat": 0}


UNDERSTOOD: list[tuple[dict[str, Any], object]] = [
    ({"action": "reject"}, Block()),
    ({"action": "continue"}, Allow()),
    ({"action": "connect", "session_id": SESSION}, JoinSession(SESSION)),
    ({"action": "connect", "session_id": SESSION, "seat": 1}, JoinSession(SESSION, 1)),
    ({"action": "connect", "session": {"party_a": "+1", "x": 1}}, OpenSession({"party_a": "+1", "x": 1})),
    ({"action": "announce", "text": "Closed today."}, Announce(text="Closed today.")),
    ({"action": "announce", "sound": "closed"}, Announce(sound="closed")),
]


@pytest.mark.parametrize(("reply", "meaning"), UNDERSTOOD, ids=lambda value: str(value)[:40])
async def test_answers_about_an_unknown_caller(app: Application, reply: dict[str, Any], meaning: object):
    app.replies(reply)
    assert await unknown(app) == meaning
    app.replies(json.dumps(reply, indent=2).replace("\n", "\r\n").encode())
    assert await unknown(app) == meaning


SENSELESS: list[dict[str, Any] | bytes] = [
    {},
    {"action": "allow"},
    {"action": "connect"},
    {"action": "connect", "session_id": SESSION, "session": {}},
    {"action": "connect", "session": {}, "seat": 1},
    {"action": "connect", "session_id": "ses_x"},
    {"action": "connect", "session_id": SESSION, "seat": "1"},
    {"action": "connect", "session_id": SESSION, "number": "+14155550101"},
    {"action": "announce"},
    {"action": "announce", "text": "a\nb"},
    {"action": "announce", "sound": "a/b"},
    {"action": "reject", "why": "so"},
    b"null",
    b"reject",
    b'{"action": "reject", "action": "continue"}',
    b"[" * 5000 + b"]" * 5000,
    b"\xff\xfe",
]


@pytest.mark.parametrize("reply", SENSELESS, ids=lambda value: str(value)[:40])
async def test_what_is_not_understood_is_no_answer(app: Application, reply: dict[str, Any] | bytes):
    app.replies(reply)
    assert await unknown(app) == Away("not_understood")


@pytest.mark.parametrize(
    ("status", "meaning"),
    [(200, Allow()), (204, Allow()), (403, Block()), (302, Away("status_302")), (500, Away("status_500"))],
)
async def test_statuses_without_a_body(app: Application, status: int, meaning: object):
    app.replies(b"", status)
    assert await unknown(app) == meaning
    async with hooks() as asked:
        assert await asked.intercept(TENANT, app.url, ABOUT, 5.0) == meaning


async def test_a_late_answer_is_none(app: Application):
    never = asyncio.Event()

    async def answer(_: web.BaseRequest) -> web.StreamResponse:
        await never.wait()
        return web.Response()

    app.answer = answer
    assert await unknown(app, timeout_s=0.2) == Away("timeout")
    never.set()


async def test_an_answer_has_an_end(app: Application):
    padded = b'{"action": "reject"}'.ljust(REPLY_BYTES)
    app.replies(padded)
    assert await unknown(app) == Block()
    app.replies(padded + b" ")
    assert await unknown(app) == Away("protocol")


async def test_a_hook_goes_nowhere_inside(app: Application):
    async with hooks(Policy()) as asked:
        for url in (
            app.url,
            app.url.replace("http:", "https:"),
            "https://169.254.169.254/",
            "ftp://example.com/",
        ):
            assert await asked.intercept(TENANT, url, ABOUT, 5.0) == Away("refused")
    assert app.came == []


async def test_nobody_listening_is_no_answer():
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        async with hooks() as asked:
            url = f"http://127.0.0.1:{deaf.getsockname()[1]}/"
            assert await asked.intercept(TENANT, url, ABOUT, 5.0) == Away("connect")


async def test_without_its_secret_a_tenant_is_not_asked(app: Application):
    async def away(tenant: TenantId) -> tuple[str, ...]:
        raise StorageUnavailable

    poster = GuardedPoster(LOOPBACK, HOOK_LIMITS)
    asked = MaskingHooks(SignedHooks(poster, away, lambda: NOW, lambda prefix: f"{prefix}_1"))
    assert await asked.intercept(TENANT, app.url, ABOUT, 5.0) == Away("no_secret")
    assert app.came == []
    await poster.close()


async def test_the_secrets_are_those_of_the_tenants_webhooks():
    store, book, now = MemoryStore(), MemoryEndpointBook(lambda: NEW), [NOW]
    find = secrets_from(store, book, lambda: now[0])
    assert await find(TENANT) == (NEW,)
    assert not store.secrets[TENANT].shown
    store.secrets[TENANT] = TenantSecret(NEW, OLD, NOW + 60, shown=True)
    assert await find(TENANT) == (NEW, OLD)
    now[0] += 60
    assert await find(TENANT) == (NEW,)
