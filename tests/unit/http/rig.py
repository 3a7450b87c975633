"""The HTTP face over real repositories in memory, a real director and a fake switch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from starlette.applications import Starlette

from dialplan.core.record import CallRecord
from dialplan.core.routing import Offered
from dialplan.director import Director
from dialplan.fakes import FakeSwitch, ManualClock
from gateway.auth import Authenticator, mint, scopes_for
from gateway.config import Settings
from gateway.http.app import create_app
from gateway.http.face import Face, TenantLimits
from gateway.http.limits import LocalRates
from gateway.http.ports import Health
from gateway.policy.attempt import CallLimits
from gateway.storage.cursors import Cursors
from gateway.storage.database import Database
from gateway.storage.keys import TenantRepository
from gateway.storage.memory import MemoryBackend, open_memory
from gateway.storage.records import ApiKey, KeyMode, KeyRole, OwnedNumber, Tenant
from telephony.ids import CallId, ChannelId, TenantId
from telephony.numbers import E164
from tests.unit.http.agents_on_calls import FakeAgentCalls
from tests.unit.http.asgi import Client, Json
from tests.unit.http.behind_face import (
    CountedMakers,
    FakePrompts,
    books_on,
    probe,
    settings_of,
    switched,
    webhooks_on,
)
from tests.unit.http.masked import Masked, masked, on_database
from tests.unit.http.rooms_behind import RoomsBehind

OURS, THEIRS = TenantId("ten_ours"), TenantId("ten_theirs")
FROM, TO, OTHER = "+12025550100", "+14155552671", "+14155552672"
CALLS = "/api/v1/voice/calls"
ROLES = tuple(role.value for role in KeyRole)


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
        async with asyncio.timeout(60):
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
    behind = _Behind(database or open_memory(backend), first_id, masking_in_sql=masking_in_sql)
    face = behind.face(settings_of(folder, environment or {}), limits)
    rig = behind.rig(face, folder, backend)
    if first_id == 1:
        await _fill(rig)
    try:
        yield rig
    finally:
        await behind.director.stop()
        await behind.database.close()


class _Behind:
    """What stands behind a face, made before the face is."""

    def __init__(self, database: Database, first_id: int, *, masking_in_sql: bool) -> None:
        self.database = database
        self.clock, self.makers, self.cursors = ManualClock(), CountedMakers(first_id), Cursors(b"c" * 32)
        self.books, self.prompts = books_on(database, self.cursors), FakePrompts()
        self.switch, self.director = switched(self.books.calls, self.clock, self.makers)
        self.health = {"database": Health(True), "switch": Health(True)}
        self.number_changes: list[int] = []
        self.woken: list[str] = []
        self.agents, self.rooms = FakeAgentCalls(), RoomsBehind(self.clock)
        self.masked = masked(self.clock, on_database(database, self.cursors) if masking_in_sql else None)

    async def numbers_changed(self) -> None:
        self.number_changes.append(1)

    def face(self, settings: Settings, limits: CallLimits) -> Face:
        return Face(
            settings=settings,
            clock=self.clock,
            new_id=self.makers.new_id,
            random_bytes=self.makers.random_bytes,
            signing_secret=b"s" * 32,
            books=self.books,
            desk=self.director,
            live_of_key=self.director.live_of_key,
            webhooks=webhooks_on(self.database, self.cursors, self.clock, self.makers, self.woken),
            prompts=self.prompts,
            phones=FakePhones(),
            auth=Authenticator(self.books.keys, self.clock),
            rates=LocalRates(self.clock.now),
            limits=TenantLimits(limits, self.books.tenants, self.clock),
            probes={name: probe(self.health, name) for name in self.health},
            registry=CollectorRegistry(),
            numbers_changed=self.numbers_changed,
            masking=self.masked.masking,
            inbound_texts=self.masked.texts,
            inbound_calls=self.masked.calls,
            carriers=self.masked.carriers,
            agent_calls=self.agents,
            rooms=self.rooms.ports(),
        )

    def rig(self, face: Face, folder: Path, backend: MemoryBackend | None) -> Rig:
        app = create_app(face)
        return Rig(
            app=app,
            clock=self.clock,
            backend=backend,
            database=self.database,
            switch=self.switch,
            director=self.director,
            face=face,
            client=Client(app),
            prompts=self.prompts,
            woken=self.woken,
            keys={},
            folder=folder,
            health=self.health,
            number_changes=self.number_changes,
            masked=self.masked,
            agents=self.agents,
            rooms=self.rooms,
        )


async def _fill(rig: Rig) -> None:
    for tenant in (OURS, THEIRS):
        await TenantRepository(rig.database).create(Tenant(tenant, tenant, rig.clock.wall()))
    for role in ROLES:
        rig.keys[role] = await rig.key(role)
    rig.keys["theirs"] = await rig.key("owner", THEIRS)
    rig.keys["test"] = await rig.key("owner", mode=KeyMode.TEST)
    await rig.own(FROM)
    rig.client.key = rig.keys["owner"]
