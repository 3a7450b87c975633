"""The HTTP face over real repositories in memory, a real director and a fake switch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from starlette.applications import Starlette

from dialplan.core.record import CallRecord
from dialplan.core.routing import Offered, RouteFacts
from dialplan.director import Director, Ports
from dialplan.fakes import FakeArchive, FakeEndings, FakeSwitch, FixedBook, ManualClock
from gateway.auth import Authenticator, mint, scopes_for
from gateway.config import Settings
from gateway.http.app import create_app
from gateway.http.face import Books, Face, TenantLimits
from gateway.http.limits import LocalRates
from gateway.http.ports import Health
from gateway.policy.attempt import CallLimits
from gateway.storage.agent_sessions import AgentSessionRepository
from gateway.storage.agents import AgentRepository
from gateway.storage.audit import AuditRepository
from gateway.storage.calls import CallRepository
from gateway.storage.cursors import Cursors
from gateway.storage.database import Database
from gateway.storage.idempotency import IdempotencyRepository
from gateway.storage.keys import KeyRepository, TenantRepository
from gateway.storage.memory import MemoryBackend, open_memory
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
from telephony.errors import InvalidInput, SpeechUnavailable
from telephony.ids import CallId, ChannelId, TenantId
from telephony.numbers import E164
from tests.unit.http.agents_on_calls import FakeAgentCalls
from tests.unit.http.asgi import Client, Json
from tests.unit.http.masked import Masked, masked, on_database
from tests.unit.http.rooms_behind import RoomsBehind

OURS, THEIRS = TenantId("ten_ours"), TenantId("ten_theirs")
FROM, TO, OTHER = "+12025550100", "+14155552671", "+14155552672"
CALLS = "/api/v1/voice/calls"
ROLES = tuple(role.value for role in KeyRole)


class FakePrompts:
    """Fits ``gateway.http.ports.Prompts``. ``away`` makes it unavailable."""

    def __init__(self) -> None:
        self.away = False
        self.said: list[tuple[str, str | None]] = []

    async def spoken(self, text: str, voice: str | None) -> str:
        if self.away:
            raise SpeechUnavailable
        if voice not in (None, "en-US"):
            raise InvalidInput("no such voice", field="voice", expected="en-US")
        self.said.append((text, voice))
        return f"tts/{len(self.said)}"

    async def stored(self, tenant: TenantId, name: str) -> str | None:
        return f"prompts/{tenant}/{name}" if name == "welcome" else None


class FakePhones:
    """Fits ``gateway.http.ports.PhoneBook``."""

    def knows(self, tenant: TenantId, phone: str) -> bool:
        return tenant == OURS and phone in ("alice", "bob")


@dataclass(eq=False)
class Rig:
    """Everything behind one face, within reach of the test."""

    app: Starlette
    clock: ManualClock
    backend: MemoryBackend | None
    database: Database
    switch: FakeSwitch
    director: Director
    face: Face
    client: Client
    prompts: FakePrompts
    woken: list[str]
    keys: dict[str, str]
    folder: Path
    health: dict[str, Health]
    number_changes: list[int]
    masked: Masked
    agents: FakeAgentCalls
    rooms: RoomsBehind

    face_tenant = OURS
    their_tenant = THEIRS

    def as_role(self, role: str) -> Client:
        return self.client.having(self.keys[role])

    async def place(self, **fields: object) -> Json:
        """The data of a placed call."""
        return (await self.client.post(CALLS, {"to": TO, "from": FROM, **fields})).data

    def channel_of(self, call_id: str) -> ChannelId:
        call = self.director.live(CallId(call_id))
        assert call is not None
        assert call.caller.channel is not None
        return call.caller.channel

    async def settle(self) -> None:
        """Let everything that can happen now happen."""
        for _ in range(200):
            await asyncio.sleep(0)

    async def until(self, call_id: str, holds: Callable[[CallRecord | None], bool]) -> None:
        """Wait until the stored call is as wanted: a database on disk answers when it answers."""
        async with asyncio.timeout(10):
            # why polled: the database tells nobody what it stored
            while not holds(await self.face.books.calls.get(OURS, CallId(call_id))):  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def ringing(self, **fields: object) -> str:
        """A placed call whose far end rings; its id."""
        call_id = str((await self.place(**fields))["id"])
        channel = self.channel_of(call_id)
        await self.settle()
        self.switch.dial(channel)
        self.switch.ring(channel)
        await self.until(call_id, _has("ringing"))
        return call_id

    async def answered(self, **fields: object) -> str:
        """A placed call that was answered; its id."""
        call_id = await self.ringing(**fields)
        channel = self.channel_of(call_id)
        self.switch.answer(channel)
        await self.settle()
        await self.director.answer(Offered(channel, "outbound", "", "patchbay", "carrier"))
        await self.until(call_id, _has("in_progress"))
        return call_id

    async def ended(self, **fields: object) -> str:
        """An answered call that the far end hung up 30 s later; its id."""
        call_id = await self.answered(**fields)
        self.clock.advance(30)
        self.switch.far_end_hangs_up(self.channel_of(call_id))
        await self.until(call_id, lambda call: self.director.live(CallId(call_id)) is None)
        return call_id

    async def own(self, number: str, tenant: TenantId = OURS, **fields: Any) -> OwnedNumber:
        """A number of a tenant's, put there behind the API's back."""
        owned = OwnedNumber(
            self.face.new_id("num"), tenant, E164(number), self.clock.wall(), **{"route": None, **fields}
        )
        await self.face.books.numbers.add(owned)
        self.face.recent.forget_numbers()
        return owned

    async def pool(self, *numbers: str, client: Client | None = None, **fields: object) -> list[str]:
        """Own these numbers and let them serve as proxies; their ids."""
        asked = client or self.client
        made = []
        for number in numbers:
            wanted = {"e164": number, "capabilities": ["voice", "sms"]}
            made.append((await asked.post("/api/v1/numbers", wanted)).data["id"])
            added = await asked.post("/api/v1/proxy/pool/numbers", {"number_id": made[-1], **fields})
            assert added.data["id"] == made[-1]
        return made

    async def key(self, role: str, tenant: TenantId = OURS, **fields: Any) -> str:
        """A key made behind the API's back."""
        mode = fields.pop("mode", KeyMode.LIVE)
        minted = mint(mode, self.face.random_bytes(32))
        key = ApiKey(
            id=self.face.new_id("key"),
            tenant=tenant,
            name=role,
            role=KeyRole(role),
            hash=minted.hash,
            last4=minted.last4,
            prefix=minted.prefix,
            mode=mode,
            created_at=self.clock.wall(),
            **{"scopes": scopes_for(KeyRole(role), ()), **fields},
        )
        await self.face.books.keys.create(key)
        return minted.text


NUMBER_LIMITS = CallLimits(
    frozenset({"US", "CA", "GB"}),
    concurrent=20,
    concurrent_per_key=30,
    daily_minutes=100,
    calls_per_minute=60,
)


def _has(status: str) -> Callable[[CallRecord | None], bool]:
    return lambda call: call is not None and call.status == status


class _Makers:
    """Ids, secrets and random octets of a rig, the same in every run."""

    def __init__(self, first: int) -> None:
        self._ids, self._seeds = count(first), count(first)

    def new_id(self, prefix: str) -> str:
        return f"{prefix}_{next(self._ids):026d}"

    def new_secret(self) -> str:
        return make_secret(self.random_bytes(32))

    def random_bytes(self, size: int) -> bytes:
        return next(self._seeds).to_bytes(size, "big")


@asynccontextmanager
async def open_rig(
    folder: Path,
    database: Database | None = None,
    limits: CallLimits = NUMBER_LIMITS,
    environment: Mapping[str, str] | None = None,
    first_id: int = 1,
    *,
    masking_in_sql: bool = False,
) -> AsyncIterator[Rig]:
    """A rig on an empty database: ours owns FROM, theirs owns nothing; one key for each role of ours.

    With another ``first_id`` the database is one that a rig has filled before.
    """
    backend = None if database is not None else MemoryBackend()
    database = database or open_memory(backend)
    clock, makers, cursors = ManualClock(), _Makers(first_id), Cursors(b"c" * 32)
    books, prompts = _books(database, cursors), FakePrompts()
    switch, director = _switched(books.calls, clock, makers)
    health = {"database": Health(True), "switch": Health(True)}
    changes: list[int] = []
    woken: list[str] = []
    agents, rooms = FakeAgentCalls(), RoomsBehind(clock)
    behind = masked(clock, on_database(database, cursors) if masking_in_sql else None)

    async def numbers_changed() -> None:
        changes.append(1)

    face = Face(
        settings=_settings(folder, environment or {}),
        clock=clock,
        new_id=makers.new_id,
        random_bytes=makers.random_bytes,
        signing_secret=b"s" * 32,
        books=books,
        desk=director,
        live_of_key=director.live_of_key,
        webhooks=_webhooks(database, cursors, clock, makers, woken),
        prompts=prompts,
        phones=FakePhones(),
        auth=Authenticator(books.keys, clock),
        rates=LocalRates(clock.now),
        limits=TenantLimits(limits, books.tenants, clock),
        probes={name: _probe(health, name) for name in health},
        registry=CollectorRegistry(),
        numbers_changed=numbers_changed,
        masking=behind.masking,
        inbound_texts=behind.texts,
        inbound_calls=behind.calls,
        carriers=behind.carriers,
        agent_calls=agents,
        rooms=rooms.ports(),
    )
    app = create_app(face)
    rig = Rig(
        app=app,
        clock=clock,
        backend=backend,
        database=database,
        switch=switch,
        director=director,
        face=face,
        client=Client(app),
        prompts=prompts,
        woken=woken,
        keys={},
        folder=folder,
        health=health,
        number_changes=changes,
        masked=behind,
        agents=agents,
        rooms=rooms,
    )
    if first_id == 1:
        await _fill(rig)
    try:
        yield rig
    finally:
        await director.stop()
        await database.close()


def _settings(folder: Path, environment: Mapping[str, str]) -> Settings:
    usual = {
        "PATCHBAY_VAR_DIR": str(folder),
        "PATCHBAY_RECORDINGS_DIR": str(folder),
        "PATCHBAY_PUBLIC_URL": "https://gw.example",
        "HOME": str(folder),
    }
    return Settings.from_env({**usual, **environment})


def _books(database: Database, cursors: Cursors) -> Books:
    return Books(
        calls=CallRepository(database, cursors),
        recordings=RecordingRepository(database),
        numbers=NumberRepository(database, cursors),
        keys=KeyRepository(database, cursors),
        tenants=TenantRepository(database),
        idempotency=IdempotencyRepository(database),
        usage=UsageRepository(database),
        audit=AuditRepository(database),
        agents=AgentRepository(database, cursors),
        sessions=AgentSessionRepository(database),
    )


def _switched(calls: CallRepository, clock: ManualClock, makers: _Makers) -> tuple[FakeSwitch, Director]:
    """A switch, and the director that hears it."""
    switch = FakeSwitch()
    director = Director(
        Ports(
            switch=switch,
            store=calls,
            book=FixedBook(RouteFacts(None, None)),
            archive=FakeArchive(),
            endings=FakeEndings(),
            now=clock.now,
            new_id=makers.new_id,
            trunk_for=lambda _: "carrier",
        )
    )
    switch.tell = director.hear
    return switch, director


def _webhooks(
    database: Database, cursors: Cursors, clock: ManualClock, makers: _Makers, woken: list[str]
) -> EndpointService:
    """Endpoints; ``woken`` keeps the deliveries that would be made at once."""
    book = SqlEndpointBook(clock.mono, makers.new_secret)
    outbox = SqlOutbox(database, book, clock, makers.new_id)
    return EndpointService(
        Stores(database, book, SqlDeliveryLog(), outbox),
        Makers(clock, makers.new_id, makers.new_secret),
        Policy(),
        cursors,
        woken.extend,
    )


def _probe(health: Mapping[str, Health], name: str) -> Callable[[], Awaitable[Health]]:
    async def ask() -> Health:
        return health[name]

    return ask


async def _fill(rig: Rig) -> None:
    for tenant in (OURS, THEIRS):
        await TenantRepository(rig.database).create(Tenant(tenant, tenant, rig.clock.wall()))
    for role in ROLES:
        rig.keys[role] = await rig.key(role)
    rig.keys["theirs"] = await rig.key("owner", THEIRS)
    rig.keys["test"] = await rig.key("owner", mode=KeyMode.TEST)
    await rig.own(FROM)
    rig.client.key = rig.keys["owner"]
