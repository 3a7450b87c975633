"""The parts behind the face of a rig: repositories, a director and its switch, webhooks, prompts, ids."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from itertools import count
from pathlib import Path

from dialplan.core.routing import RouteFacts
from dialplan.director import Director, Ports
from dialplan.fakes import FakeArchive, FakeEndings, FakeSwitch, FixedBook, ManualClock
from gateway.config import Settings
from gateway.http.face import Books
from gateway.http.ports import Health
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
from gateway.storage.usage import UsageRepository
from gateway.storage.webhook_book import SqlEndpointBook
from gateway.storage.webhook_log import SqlDeliveryLog
from gateway.webhooks.core.signing import make_secret
from gateway.webhooks.core.ssrf import Policy
from gateway.webhooks.service import EndpointService, Makers, Stores
from telephony.errors import InvalidInput, SpeechUnavailable
from telephony.ids import TenantId


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


class CountedMakers:
    """Ids, secrets and random octets of a rig, the same in every run."""

    def __init__(self, first: int) -> None:
        self._ids, self._seeds = count(first), count(first)

    def new_id(self, prefix: str) -> str:
        return f"{prefix}_{next(self._ids):026d}"

    def new_secret(self) -> str:
        return make_secret(self.random_bytes(32))

    def random_bytes(self, size: int) -> bytes:
        return next(self._seeds).to_bytes(size, "big")


def settings_of(folder: Path, environment: Mapping[str, str]) -> Settings:
    usual = {
        "PATCHBAY_VAR_DIR": str(folder),
        "PATCHBAY_RECORDINGS_DIR": str(folder),
        "PATCHBAY_PUBLIC_URL": "https://gw.example",
        "HOME": str(folder),
    }
    return Settings.from_env({**usual, **environment})


def books_on(database: Database, cursors: Cursors) -> Books:
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


def switched(calls: CallRepository, clock: ManualClock, makers: CountedMakers) -> tuple[FakeSwitch, Director]:
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


def webhooks_on(
    database: Database, cursors: Cursors, clock: ManualClock, makers: CountedMakers, woken: list[str]
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


def probe(health: Mapping[str, Health], name: str) -> Callable[[], Awaitable[Health]]:
    async def ask() -> Health:
        return health[name]

    return ask
