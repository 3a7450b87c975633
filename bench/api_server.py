"""The servers that ``bench.api`` measures, each a process of its own on a free loopback port.

``face``: the whole HTTP face on a real SQLite file (webhook outbox included), the real director, and a
switch that takes every order in silence. ``bare``: one Starlette route that reads JSON and answers JSON.
Both are served by the same uvicorn with the product's settings. The first line of stderr is ``port key``.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

import uvicorn
import uvloop
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from dialplan.core.orders import Hangup, Originate, TurnTape
from dialplan.core.routing import RouteFacts
from dialplan.director import Director, Ports
from dialplan.fakes import FakeArchive, FakeEndings, FixedBook
from dialplan.ports import LiveChannel
from gateway import logs
from gateway.announcer import WebhookAnnouncer
from gateway.auth import Authenticator, mint, scopes_for
from gateway.clocks import SystemClock, new_id, random_bytes
from gateway.collecting import leave_what_is_loaded
from gateway.config import Settings
from gateway.http.app import create_app
from gateway.http.face import Books, Face, TenantLimits
from gateway.http.limits import LocalRates
from gateway.policy.attempt import CallLimits
from gateway.storage.agent_sessions import AgentSessionRepository
from gateway.storage.agents import AgentRepository
from gateway.storage.audit import AuditRepository
from gateway.storage.calls import CallRepository
from gateway.storage.cursors import Cursors
from gateway.storage.database import Database
from gateway.storage.idempotency import IdempotencyRepository
from gateway.storage.keys import KeyRepository, TenantRepository
from gateway.storage.numbers import NumberRepository
from gateway.storage.outbox import SqlOutbox
from gateway.storage.recordings import RecordingRepository
from gateway.storage.records import ApiKey, KeyMode, KeyRole, OwnedNumber, Tenant
from gateway.storage.usage import UsageRepository
from gateway.storage.webhook_book import SqlEndpointBook
from gateway.storage.webhook_log import SqlDeliveryLog
from gateway.webhooks.core.signing import make_secret
from gateway.webhooks.core.ssrf import Policy
from gateway.webhooks.service import EndpointService, Makers, Stores
from telephony.ids import TenantId
from telephony.numbers import E164

TENANT = TenantId("ten_bench")
FROM = "+12025550100"
PLENTY = CallLimits(None, 10**9, 10**9, 10**9, calls_per_minute=10**9)


class SilentSwitch:
    """Fits ``dialplan.ports.Switch``: takes every order and never says anything."""

    ready = True

    async def originate(self, order: Originate) -> None: ...

    async def hang_up(self, order: Hangup) -> None: ...

    async def turn_tape(self, order: TurnTape) -> None: ...

    async def live_channels(self) -> Sequence[LiveChannel]:
        return ()


class NoPrompts:
    """Nothing is spoken here."""

    async def spoken(self, text: str, voice: str | None) -> str:
        return "silence"

    async def stored(self, tenant: TenantId, name: str) -> str | None:
        return None


class NoPhones:
    """No phones are registered."""

    def knows(self, tenant: TenantId, phone: str) -> bool:
        return False


async def make_face(folder: Path) -> Face:
    """The face on a new database in ``folder``."""
    clock = SystemClock()
    settings = Settings.from_env(
        {
            "PATCHBAY_VAR_DIR": str(folder),
            "PATCHBAY_API_RATE_PER_MINUTE": "1000000",
            "PATCHBAY_LOG_LEVEL": "info",
            "HOME": str(folder),
        }
    )
    database = await Database.open(settings.database_url, synchronous=settings.db_synchronous)
    await database.migrate()
    cursors = Cursors(random_bytes(32))
    book = SqlEndpointBook(clock.mono, lambda: make_secret(random_bytes(32)))
    outbox = SqlOutbox(database, book, clock, new_id)
    calls = CallRepository(database, cursors, WebhookAnnouncer(outbox, lambda lanes: None))
    keys, tenants = KeyRepository(database, cursors), TenantRepository(database)
    director = Director(
        Ports(
            switch=SilentSwitch(),
            store=calls,
            book=FixedBook(RouteFacts(None, None)),
            archive=FakeArchive(),
            endings=FakeEndings(),
            now=clock.epoch,
            new_id=new_id,
            trunk_for=lambda _: "carrier",
        )
    )
    books = Books(
        calls=calls,
        recordings=RecordingRepository(database),
        numbers=NumberRepository(database, cursors),
        keys=keys,
        tenants=tenants,
        idempotency=IdempotencyRepository(database),
        usage=UsageRepository(database),
        audit=AuditRepository(database),
        agents=AgentRepository(database, cursors),
        sessions=AgentSessionRepository(database),
    )
    return Face(
        settings=settings,
        clock=clock,
        new_id=new_id,
        random_bytes=random_bytes,
        signing_secret=random_bytes(32),
        books=books,
        desk=director,
        live_of_key=director.live_of_key,
        webhooks=EndpointService(
            Stores(database, book, SqlDeliveryLog(), outbox),
            Makers(clock, new_id, lambda: make_secret(random_bytes(32))),
            Policy(),
            cursors,
            lambda lanes: None,
        ),
        prompts=NoPrompts(),
        phones=NoPhones(),
        auth=Authenticator(keys, clock),
        rates=LocalRates(clock.epoch),
        limits=TenantLimits(PLENTY, tenants, clock),
        probes={},
        registry=CollectorRegistry(),
    )


async def first_key(face: Face) -> str:
    """A tenant with one number, and its key."""
    books, now = face.books, face.clock.wall()
    assert isinstance(books.tenants, TenantRepository)
    await books.tenants.create(Tenant(TENANT, "bench", now))
    await books.numbers.add(OwnedNumber(new_id("num"), TENANT, E164(FROM), now))
    minted = mint(KeyMode.LIVE, random_bytes(32))
    await books.keys.create(
        ApiKey(
            id=new_id("key"),
            tenant=TENANT,
            name="bench",
            role=KeyRole.OWNER,
            hash=minted.hash,
            last4=minted.last4,
            prefix=minted.prefix,
            mode=KeyMode.LIVE,
            created_at=now,
            scopes=scopes_for(KeyRole.OWNER, ()),
        )
    )
    return minted.text


async def create_bare(request: Request) -> JSONResponse:
    """The least a create can be: read JSON, answer JSON."""
    body = await request.json()
    shown = {
        "id": "call_01JBENCH0000000000000000AA",
        "direction": "outbound",
        "to": body["to"],
        "from": body["from"],
        "agent_id": None,
        "status": "initiating",
        "record": False,
        "metadata": body["metadata"],
        "webhook_url": None,
        "created_at": "2026-03-08T12:00:00.000Z",
    }
    meta = {"request_id": "req_01JBENCH0000000000000000AA", "timestamp": "2026-03-08T12:00:00.000Z"}
    return JSONResponse({"data": shown, "meta": meta}, 201)


async def serve(kind: str, folder: Path) -> None:
    """Serve until SIGTERM."""
    key = "none"
    if kind == "face":
        face = await make_face(folder)
        key = await first_key(face)
        app = create_app(face)
    else:
        app = Starlette(routes=[Route("/api/v1/voice/calls", create_bare, methods=["POST"])])
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=0,
        http="httptools",
        loop="none",
        lifespan="off",
        access_log=False,
        log_level="warning",
        server_header=False,
        date_header=False,
        backlog=1024,
    )
    leave_what_is_loaded()
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    sys.stderr.write(f"{server.servers[0].sockets[0].getsockname()[1]} {key}\n")
    sys.stderr.flush()
    await running


if __name__ == "__main__":
    sys.setswitchinterval(0.001)
    logs.configure("info")
    uvloop.run(serve(sys.argv[1], Path(sys.argv[2])))
