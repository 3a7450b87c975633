"""Number masking, put together: the index, the ledger, the service, and the book of masked calls.

With ``gateway.wiring`` the only place that names adapters of the pool.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

import structlog
from sqlalchemy import Connection

from dialplan.ami.client import AmiLink
from dialplan.ports import RouteBook
from gateway.clocks import SystemClock, chance, digits, new_id
from gateway.config import Settings
from gateway.copied_doors import Outside
from gateway.http.limits import Rates
from gateway.http.ports import Prompts
from gateway.masked_answers import PROMPT_TEXTS, Answers, MaskingPrompts
from gateway.masked_callers import AttemptLimits
from gateway.masked_doors import Doors, SessionReader
from gateway.masked_in_rooms import MaskedInRooms
from gateway.masked_questions import Questions
from gateway.masked_routes import MaskedParts, MaskedRoutes
from gateway.masking_announcer import MaskingAnnouncer, exhausted_event
from gateway.masking_hooks import HOOK_LIMITS, MaskingHooks
from gateway.masking_interactions import CallInteractions
from gateway.policy.destination import describe
from gateway.signed_hooks import SignedHooks, secrets_from
from gateway.storage.cursors import Cursors
from gateway.storage.database import Database
from gateway.storage.masking_interactions import SqlInteractions
from gateway.storage.masking_ledger import SqlLedger
from gateway.storage.masking_pool import SqlPoolBook
from gateway.storage.masking_settings import SqlSettings
from gateway.storage.webhook_book import SqlEndpointBook
from gateway.switch_copy import SwitchCopyWriter
from gateway.webhooks.core.ssrf import Policy
from gateway.webhooks.ports import EventSink
from gateway.webhooks.poster import GuardedPoster
from gateway.wiring_voice import VoiceEngine
from proxy_pool.core.choice import Exhausted
from proxy_pool.core.session import Binding, OnExpiry, Session, SessionId
from proxy_pool.drafts import Makers
from proxy_pool.keeper import Keeper
from proxy_pool.placing import Placer
from proxy_pool.pool_memory import PoolMemory
from proxy_pool.service import Books, Masking
from proxy_pool.sessions import Places, Sessions
from proxy_pool.settings_memory import SettingsMemory
from proxy_pool.store_memory import MemoryIndex
from proxy_pool.store_redis import RedisIndex
from proxy_pool.store_redis_line import open_redis
from proxy_pool.upkeep import KeptIndex, reconcile
from telephony.errors import PatchbayError, SpeechUnavailable, StorageUnavailable, SwitchUnavailable
from telephony.ids import TenantId
from telephony.numbers import E164

_log = structlog.get_logger("gateway.masking")
_PAGE: Final = 2000
_AGAIN_S: Final = 2.0
_EXHAUSTED_EVERY_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class MaskingStores:
    """What number masking keeps in SQL, and how its events leave."""

    ledger: SqlLedger
    pool: SqlPoolBook
    interactions: SqlInteractions
    settings: SqlSettings
    told: MaskingAnnouncer


def masking_stores(
    database: Database,
    cursors: Cursors,
    outbox: EventSink[Connection],
    wake: Callable[[Sequence[str]], None],
) -> MaskingStores:
    """The repositories, on one database."""
    told = MaskingAnnouncer(outbox, wake)
    return MaskingStores(
        SqlLedger(database, cursors, told),
        SqlPoolBook(database),
        SqlInteractions(database, cursors, told),
        SqlSettings(database),
        told,
    )


class UsedLater:
    """Hears from the call store that a session was used; the service that cares is made after the store."""

    def __init__(self) -> None:
        self.to: MaskingEngine | None = None

    def __call__(self, tenant: TenantId, session_id: SessionId) -> None:
        if self.to is not None:
            self.to.used(tenant, session_id)


def call_interactions(stores: MaskingStores, used: UsedLater) -> CallInteractions:
    """The announcer that makes interactions of calls."""
    return CallInteractions(stores.ledger, stores.interactions, stores.told, used)


class _CopyLater:
    """The switch's copy, which is made after the service that fills it."""

    def __init__(self) -> None:
        self.to: SwitchCopyWriter | None = None

    def keep(self, session: Session) -> None:
        if self.to is not None:
            self.to.keep(session)

    def forget(self, session: Session) -> None:
        if self.to is not None:
            self.to.forget(session)


@dataclass(frozen=True, slots=True)
class MaskingParts:
    """What the engine stands on."""

    settings: Settings
    stores: MaskingStores
    database: Database
    endpoint_book: SqlEndpointBook
    policy: Policy
    secret: bytes
    clock: SystemClock
    rates: Rates
    prompts: Prompts
    trunk_for: Callable[[E164], str]


class MaskingEngine:
    """The service and everything that keeps it true; ``attach`` joins it with the switch."""

    def __init__(self, parts: MaskingParts) -> None:
        self._parts = parts
        self._exits = AsyncExitStack()
        stores, now = parts.stores, parts.clock.epoch
        self.index = self._make_index(parts)
        self.pool = PoolMemory(stores.pool, lambda count: int(chance() * count))
        self.settings = SettingsMemory(stores.settings, now)
        self._copy = _CopyLater()
        self._engine: VoiceEngine | None = None
        self.placer = Placer(stores.ledger, self.index, self.pool, now)
        places = Places(
            ledger=stores.ledger,
            index=self.index,
            pool=self.pool,
            copy=self._copy,
            placer=self.placer,
            makers=Makers(now, digits, _country_of),
            settings=self.settings.of,
            ended=self._ended,
        )
        self.sessions = Sessions(places)
        books = Books(stores.ledger, stores.pool, stores.interactions)
        self.service = Masking(self.sessions, books, self.pool, self.settings, now, self._tell_exhausted)
        self._told_exhausted: dict[TenantId, float] = {}
        self.keeper = Keeper(self.sessions, stores.ledger, self.index, self.pool, now, self._notice_s)
        self.routes: MaskedRoutes | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def _make_index(self, parts: MaskingParts) -> KeptIndex:
        url = parts.settings.redis_url
        if not url:
            return MemoryIndex()
        redis = open_redis(url)
        self._exits.push_async_callback(redis.aclose)
        return RedisIndex(redis, parts.secret, member=parts.settings.redis_member)

    @property
    def copy(self) -> SwitchCopyWriter | None:
        """The copy in the switch, once it is attached."""
        return self._copy.to

    async def fill(self) -> None:
        """Learn the pool. Raises StorageUnavailable."""
        await self.pool.refresh(load=True)

    async def book(self, other: RouteBook, read_session: SessionReader) -> MaskedRoutes:
        """The book of masked calls in front of ``other``."""
        parts, now = self._parts, self._parts.clock.epoch
        poster = GuardedPoster(parts.policy, HOOK_LIMITS)
        self._exits.push_async_callback(poster.close)
        secrets = secrets_from(parts.database, parts.endpoint_book, now)
        hooks = MaskingHooks(SignedHooks(poster, secrets, now, new_id))
        doors = Doors(self.service, read_session, now, new_id, ours=self.is_ours, emergency=_is_emergency)
        prompts = await _speak(parts.prompts)
        self.doors = doors
        self.routes = MaskedRoutes(
            MaskedParts(
                other=other,
                number_of=self.pool.owner_of,
                doors=doors,
                questions=Questions(hooks, doors, parts.prompts),
                limits=AttemptLimits(parts.rates, parts.secret),
                answers=Answers(prompts, parts.trunk_for),
                now=now,
            )
        )
        self._exits.push_async_callback(self.routes.stop)
        return self.routes

    @property
    def in_rooms(self) -> MaskedInRooms:
        """Tells who must stay unknown in video rooms."""
        return MaskedInRooms(self._parts.stores.ledger.held, self._parts.clock.epoch)

    def attach(self, engine: VoiceEngine) -> None:
        """From now on live doors are copied into the switch, and calls of ended sessions are ended."""
        outside = Outside(self._parts.trunk_for, self.is_ours, _is_emergency)
        on = self._parts.settings.masking_switch_copy
        self._engine = engine
        self._copy.to = SwitchCopyWriter(engine.links["recording"], outside, self._parts.clock.epoch, on=on)

    def start(self) -> None:
        """Begin: the index is filled, sessions end in time, the copy is made anew."""
        now = self._parts.clock.epoch
        self._begin(self.index.run(self._held), "masking-index")
        self._begin(reconcile(self.index, self._parts.stores.ledger.all_held, now), "masking-compare")
        self.keeper.start()
        self._exits.push_async_callback(self.keeper.stop)
        copy = self._copy.to
        if copy is not None and self._engine is not None:
            copy.start()
            self._exits.push_async_callback(copy.stop)
            self._begin(self._resync(copy, self._engine.links["control"]), "masking-copy")

    async def stop(self) -> None:
        """Stop in the opposite order. Sessions go on; the switch's copy serves their calls."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._exits.aclose()

    def is_ours(self, number: E164) -> bool:
        """Whether this is anybody's proxy number."""
        return self.pool.owner_of(number) is not None

    def used(self, tenant: TenantId, session_id: SessionId) -> None:
        """A call or a text has moved a session's end: the index and the switch's copy follow."""
        self._begin(self._follow(tenant, session_id), "masking-used")

    async def _follow(self, tenant: TenantId, session_id: SessionId) -> None:
        session = await self._parts.stores.ledger.get(tenant, session_id)
        if session is not None and session.live:
            self.sessions.used(session)

    def _begin(self, work: Awaitable[None], name: str) -> None:
        async def safely() -> None:
            try:
                await work
            except PatchbayError as error:
                _log.warning("masking.behind", work=name, code=error.code)
            except Exception:  # noqa: BLE001  # why: edge of a task; what is not told now is read through
                _log.exception("masking.broken", work=name)

        task = asyncio.create_task(safely(), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _notice_s(self, tenant: TenantId) -> int:
        return (await self.settings.of(tenant)).expiring_notice_s

    def _ended(self, session: Session) -> None:
        """Conversations that outlive their session end as its terms say."""
        if self._engine is None or session.terms.on_expiry is OnExpiry.FINISH:
            return
        after_s = session.terms.warn_s if session.terms.on_expiry is OnExpiry.WARN_THEN_END else 0
        director = self._engine.director
        director.end_calls(director.calls_of_session(session.id), "session_ended", after_s=after_s)

    def _tell_exhausted(self, tenant: TenantId, error: Exhausted) -> None:
        """The tenant hears of it once a minute at most, however many sessions are refused."""
        now = self._parts.clock.epoch()
        if now - self._told_exhausted.get(tenant, 0.0) < _EXHAUSTED_EVERY_S:
            return
        self._told_exhausted[tenant] = now
        _log.warning("pool.exhausted", tenant=tenant, constraint=error.constraint)
        told = self._parts.stores.told
        event = exhausted_event(new_id("evt"), error, self._parts.clock.wall())

        async def tell() -> None:
            told.committed(await self._parts.database.write(lambda conn: told.pool(conn, tenant, event)))

        self._begin(tell(), "masking-exhausted")

    async def _held(self) -> AsyncIterator[Sequence[Binding]]:
        """Every live or quarantined binding, for the index to fill itself."""
        after = 0
        while rows := await self._parts.stores.ledger.all_held(after, _PAGE):
            after = rows[-1][0]
            yield [binding for _, binding in rows]

    async def _live(self) -> AsyncIterator[Session]:
        """Every live session, for the switch's copy."""
        after = 0
        while page := await self._parts.stores.ledger.all_open(after, _PAGE):
            after = page[-1][0]
            for _, session in page:
                yield session

    async def _resync(self, copy: SwitchCopyWriter, control: AmiLink) -> None:
        """Make the copy anew for every start of the switch, and as often as it says that it lacks doors.

        A switch that was killed has lost what it acknowledged in its last seconds: a door that was taken
        away may stand there again.
        """
        made_for: str | None = None
        while True:
            try:
                boot = (await control.wait_up(_AGAIN_S)).boot_epoch
                if copy.due or boot != made_for:
                    await copy.resync(self._live())
                    made_for = boot
            except SwitchUnavailable:
                continue
            except StorageUnavailable:
                made_for = None
            await asyncio.sleep(_AGAIN_S)


def _country_of(number: E164) -> str:
    """ISO 3166 alpha-2 of a number; empty where the plan names no single country."""
    region = describe(number.reveal()).region
    return region if region is not None and region.isalpha() else ""


def _is_emergency(number: E164) -> bool:
    return describe(number.reveal()).emergency


async def _speak(prompts: Prompts) -> MaskingPrompts:
    """What callers are asked; silent where the machine cannot speak, and said so."""
    sounds = dict.fromkeys(PROMPT_TEXTS, "")
    try:
        for name, text in PROMPT_TEXTS.items():
            sounds[name] = await prompts.spoken(text, None)
    except SpeechUnavailable as error:
        _log.warning("prompt.masking_missing", reason=error.message)
    return MaskingPrompts(sounds["ask_pin"], sounds["ask_extension"], sounds["wrong_again"])
