"""The composition root: the only place where adapters are named and rooms meet."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import structlog
from redis.asyncio import Redis

from dialplan.agi.server import AgiLimits
from dialplan.ports import RouteBook
from gateway.announcer import WebhookAnnouncer
from gateway.archive import RecordingArchive
from gateway.auth import Authenticator
from gateway.clocks import SystemClock, chance, new_id, random_bytes
from gateway.config import Settings, ensure_signing_secret
from gateway.housekeeping import Chore, Housekeeping
from gateway.http.face import Books, Face, TenantLimits, default_limits
from gateway.http.limits import LocalRates, Rates
from gateway.http.limits_redis import RedisRates
from gateway.http.orbit.proxy_people import Judges
from gateway.http.orbit.proxy_reader import SessionReader
from gateway.http.ports import PhoneBook
from gateway.masking_metrics import PoolWatch
from gateway.phone_book import PlannedPhones
from gateway.prompts import SpokenPrompts
from gateway.route_book import NumberRoutes, RouteDefaults
from gateway.runtime.plan import SwitchPlan, parse_plan
from gateway.storage.agent_sessions import AgentSessionRepository
from gateway.storage.agents import AgentRepository
from gateway.storage.audit import AuditRepository
from gateway.storage.calls import Announcers, CallRepository
from gateway.storage.cursors import Cursors
from gateway.storage.database import Database
from gateway.storage.idempotency import IdempotencyRepository
from gateway.storage.keys import KeyRepository, TenantRepository
from gateway.storage.numbers import NumberRepository
from gateway.storage.outbox import SqlOutbox
from gateway.storage.recordings import RecordingRepository
from gateway.storage.usage import UsageRepository
from gateway.storage.webhook_book import SqlEndpointBook
from gateway.switch_records import SwitchRecords
from gateway.trunk_choice import choose_by_prefix, limits_of
from gateway.webhooks.core.ssrf import Policy
from gateway.webhooks.deliver import Deliverer
from gateway.webhooks.poster import GuardedPoster
from gateway.wiring_agents import AgentEngine, AgentParts, AgentStores
from gateway.wiring_masking import (
    MaskingEngine,
    MaskingParts,
    MaskingStores,
    UsedLater,
    call_interactions,
    masking_stores,
)
from gateway.wiring_rooms import RoomParts, Rooms, rooms_over
from gateway.wiring_speech import espeak_command, make_speech
from gateway.wiring_texts import TextEngine, TextParts, masking_face
from gateway.wiring_voice import SwitchDoor, VoiceEngine, VoiceParts
from gateway.wiring_watch import probes, registry
from gateway.wiring_webhooks import Wake, WebhookStores, new_webhook_secret, webhook_service
from telephony.errors import InvalidInput
from telephony.numbers import E164

_log = structlog.get_logger("gateway.wiring")


@dataclass(frozen=True, slots=True)
class _Storage:
    database: Database
    books: Books
    numbers: NumberRepository
    calls: CallRepository
    book: SqlEndpointBook
    outbox: SqlOutbox
    masking: MaskingStores
    used: UsedLater
    agents: AgentStores
    wake: Wake


class Product:
    """One gateway process: everything but the servers it leans on."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._clock = SystemClock()
        self._exits = AsyncExitStack()

    async def start(self) -> Face:
        """Build and start everything; the switch need not be there yet."""
        settings, clock = self._settings, self._clock
        await asyncio.to_thread(_make_folders, settings)
        secret = ensure_signing_secret(settings).reveal().encode()
        plan = await asyncio.to_thread(_plan, settings)
        policy = Policy(allow_private=settings.webhook_allow_private)
        wake = Wake()
        storage = await self._open_storage(secret, wake)
        wake.to = deliverer = await self._start_deliverer(storage, policy)
        prompts = await self._make_prompts()
        routes = NumberRoutes(_defaults(settings, plan))
        numbers_changed = _refill(routes, storage.numbers)
        await numbers_changed()
        phones, limits = PlannedPhones(plan), _limits(settings, storage, clock)
        webhooks = webhook_service(
            WebhookStores(storage.database, storage.book, storage.outbox), deliverer, policy, secret, clock
        )
        masking = await self._make_masking(storage, policy, secret, prompts, choose_by_prefix(plan))
        judges = Judges(limits, storage.numbers, phones, storage.books.agents)
        reader = SessionReader(judges, prompts, webhooks, masking.settings.of, clock.epoch)
        agents = await self._start_agents(storage, policy, secret, limits, prompts, phones)
        rooms = await self._start_rooms(storage, secret, prompts, routes)
        book = rooms.book(agents.book(await masking.book(routes, reader.read)), masking.in_rooms)
        engine = await self._start_engine(plan, storage, book, agents, rooms)
        texts = await self._start_masking(storage, plan, masking, engine, secret)
        self._keep_house(storage, texts)
        return Face(
            settings=settings,
            clock=clock,
            new_id=new_id,
            random_bytes=random_bytes,
            signing_secret=secret,
            books=storage.books,
            desk=engine.director,
            live_of_key=engine.director.live_of_key,
            webhooks=webhooks,
            prompts=prompts,
            phones=phones,
            auth=Authenticator(storage.books.keys, clock),
            rates=self._make_rates(),
            limits=limits,
            probes=probes(storage.database, engine, rooms.server),
            registry=registry(engine, deliverer, masking, texts, self._watch_pool(storage), agents, rooms),
            numbers_changed=numbers_changed,
            agent_calls=agents.on_calls,
            documents=agents.documents,
            rooms=rooms.face,
            **masking_face(masking, texts),
        )

    async def stop(self) -> None:
        """Stop in the opposite order. Calls go on in the switch."""
        await self._exits.aclose()

    async def _start_deliverer(self, storage: _Storage, policy: Policy) -> Deliverer:
        poster = GuardedPoster(policy)
        self._exits.push_async_callback(poster.close)
        deliverer = Deliverer(storage.outbox, poster, self._clock, chance)
        await deliverer.start()
        self._exits.push_async_callback(deliverer.stop)
        return deliverer

    async def _start_agents(
        self,
        storage: _Storage,
        policy: Policy,
        secret: bytes,
        limits: TenantLimits,
        prompts: SpokenPrompts,
        phones: PhoneBook,
    ) -> AgentEngine:
        engine = AgentEngine(
            AgentParts(
                self._settings,
                storage.agents,
                storage.wake,
                policy,
                secret,
                self._clock,
                limits,
                phones,
                prompts.speech,
            )
        )
        self._exits.push_async_callback(engine.close)
        await engine.start()
        return engine

    async def _start_rooms(
        self, storage: _Storage, secret: bytes, prompts: SpokenPrompts, routes: NumberRoutes
    ) -> Rooms:
        parts = RoomParts(
            self._settings,
            storage.database,
            storage.outbox,
            storage.wake,
            self._clock,
            secret,
            self._make_rates(),
            prompts.speech,
            routes.room_lines,
        )
        rooms = rooms_over(parts)
        self._exits.push_async_callback(rooms.stop)
        await rooms.start()
        return rooms

    async def _start_engine(
        self, plan: SwitchPlan, storage: _Storage, routes: RouteBook, agents: AgentEngine, rooms: Rooms
    ) -> VoiceEngine:
        engine = self._make_engine(plan, storage, routes)
        agents.attach(engine)
        rooms.attach(engine, agents.on_calls)
        agents.rooms = rooms.transfers
        await engine.start()
        self._exits.push_async_callback(engine.stop)
        self._exits.push_async_callback(rooms.stop)
        self._exits.push_async_callback(agents.drain)
        return engine

    async def _start_masking(
        self,
        storage: _Storage,
        plan: SwitchPlan,
        masking: MaskingEngine,
        engine: VoiceEngine,
        secret: bytes,
    ) -> TextEngine:
        masking.attach(engine)
        masking.start()
        storage.used.to = masking
        self._exits.push_async_callback(masking.stop)
        parts = TextParts(
            self._settings,
            storage.masking,
            storage.database,
            self._clock,
            plan,
            secret,
            choose_by_prefix(plan),
        )
        texts = await TextEngine.open(parts, masking)
        texts.attach(engine)
        await texts.start()
        self._exits.push_async_callback(texts.stop)
        return texts

    def _keep_house(self, storage: _Storage, texts: TextEngine) -> None:
        forget = IdempotencyRepository(storage.database)
        words = AgentSessionRepository(storage.database)
        kept_s = self._settings.transcript_days * 86_400
        chores: list[tuple[str, Chore]] = [
            ("idempotency", lambda: forget.purge(self._clock.wall())),
            ("media", texts.tidy),
        ]
        if kept_s:
            chores.append(("transcripts", lambda: words.purge(self._clock.epoch() - kept_s)))
        house = Housekeeping(chores)
        house.start()
        self._exits.push_async_callback(house.stop)

    def _watch_pool(self, storage: _Storage) -> PoolWatch:
        watch = PoolWatch(storage.masking.pool, self._clock.epoch)
        watch.start()
        self._exits.push_async_callback(watch.stop)
        return watch

    async def _open_storage(self, secret: bytes, wake: Wake) -> _Storage:
        settings, clock = self._settings, self._clock
        database = await Database.open(settings.database_url, synchronous=settings.db_synchronous)
        self._exits.push_async_callback(database.close)
        await database.migrate()
        cursors = Cursors(secret)
        book = SqlEndpointBook(clock.mono, new_webhook_secret)
        outbox = SqlOutbox(database, book, clock, new_id)
        masking, used = masking_stores(database, cursors, outbox, wake), UsedLater()
        announcers = Announcers([WebhookAnnouncer(outbox, wake), call_interactions(masking, used)])
        calls = CallRepository(database, cursors, announcers)
        numbers = NumberRepository(database, cursors)
        agents_book, sessions = AgentRepository(database, cursors), AgentSessionRepository(database)
        books = Books(
            calls=calls,
            recordings=RecordingRepository(database),
            numbers=numbers,
            keys=KeyRepository(database, cursors),
            tenants=TenantRepository(database),
            idempotency=IdempotencyRepository(database),
            usage=UsageRepository(database),
            audit=AuditRepository(database),
            agents=agents_book,
            sessions=sessions,
        )
        agents = AgentStores(database, agents_book, sessions, numbers, book, outbox)
        return _Storage(database, books, numbers, calls, book, outbox, masking, used, agents, wake)

    async def _make_prompts(self) -> SpokenPrompts:
        settings = self._settings
        command = await asyncio.to_thread(espeak_command, settings)
        speech = make_speech(command, settings.sounds_dir / "tts", self._clock.epoch)
        self._exits.push_async_callback(speech.close)
        prompts = SpokenPrompts(speech, settings.sounds_dir)
        await prompts.prepare_away()
        return prompts

    async def _make_masking(
        self,
        storage: _Storage,
        policy: Policy,
        secret: bytes,
        prompts: SpokenPrompts,
        trunk_for: Callable[[E164], str],
    ) -> MaskingEngine:
        masking = MaskingEngine(
            MaskingParts(
                settings=self._settings,
                stores=storage.masking,
                database=storage.database,
                endpoint_book=storage.book,
                policy=policy,
                secret=secret,
                clock=self._clock,
                rates=self._make_rates(),
                prompts=prompts,
                trunk_for=trunk_for,
            )
        )
        await masking.fill()
        return masking

    def _make_engine(self, plan: SwitchPlan, storage: _Storage, routes: RouteBook) -> VoiceEngine:
        settings = self._settings
        if settings.ami_logins is None:
            raise InvalidInput(
                "the gateway needs a switch: set PATCHBAY_AMI_HOST and the secrets of its three AMI users, "
                "or use `patchbay up`, which starts one",
                field="PATCHBAY_AMI_HOST",
            )
        logins = settings.ami_logins
        users = {
            role: (login.user, login.secret.reveal())
            for role, login in (
                ("control", logins.control),
                ("recording", logins.recording),
                ("events", logins.events),
            )
        }
        recordings = settings.recordings_dir.absolute()
        door = SwitchDoor(settings.ami_host, settings.ami_port, users, str(recordings))
        parts = VoiceParts(
            store=storage.calls,
            book=routes,
            archive=RecordingArchive(recordings),
            endings=SwitchRecords(settings.switch_records_file),
            now=self._clock.epoch,
            new_id=new_id,
            chance=chance,
            trunk_for=choose_by_prefix(plan),
            trunk_limits=limits_of(plan),
            is_on_record=storage.calls.is_on_record,
            agi=(settings.agi_host, settings.agi_port),
            agi_limits=AgiLimits(budget_s=settings.route_budget_ms / 1000),
        )
        return VoiceEngine(door, parts)

    def _make_rates(self) -> Rates:
        if not self._settings.redis_url:
            return LocalRates(self._clock.epoch)
        redis = Redis.from_url(self._settings.redis_url, socket_timeout=0.5, socket_connect_timeout=0.5)
        self._exits.push_async_callback(redis.aclose)
        return RedisRates(redis, self._clock.epoch)


def _make_folders(settings: Settings) -> None:
    for folder in (settings.var_dir, settings.recordings_dir, settings.sounds_dir):
        folder.mkdir(parents=True, exist_ok=True)


def _refill(routes: NumberRoutes, numbers: NumberRepository) -> Callable[[], Awaitable[None]]:
    """Has the book of routes hold the numbers as they are stored now."""

    async def refill() -> None:
        routes.replace(await numbers.all_active())

    return refill


def _limits(settings: Settings, storage: _Storage, clock: SystemClock) -> TenantLimits:
    own = default_limits(settings, calls_per_minute=settings.call_rate_per_minute)
    return TenantLimits(own, storage.books.tenants, clock)


def _plan(settings: Settings) -> SwitchPlan:
    return SwitchPlan() if settings.trunks_file is None else parse_plan(settings.trunks_file.read_text())


def _defaults(settings: Settings, plan: SwitchPlan) -> RouteDefaults:
    return RouteDefaults(
        trunk_for=choose_by_prefix(plan),
        ring_timeout_s=settings.ring_timeout_default_s,
        max_duration_s=settings.max_call_s,
    )
