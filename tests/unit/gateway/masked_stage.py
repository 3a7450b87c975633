"""The book of masked calls over the real masking service on memory, with a scripted application."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from dialplan.core.call import Announcement, Call, Connect, Direction, Gather, Leg, Phone, Reject, Role, Terms
from dialplan.core.call import Trunk as TrunkEnd
from dialplan.core.routing import Offered, RouteFacts
from dialplan.fakes import FixedBook
from gateway.http.limits import LocalRates
from gateway.masked_answers import Answers, MaskingPrompts
from gateway.masked_callers import AttemptLimits
from gateway.masked_doors import Doors
from gateway.masked_questions import Questions
from gateway.masked_routes import MaskedParts, MaskedRoutes
from gateway.masking_hooks import MaskingHooks
from gateway.policy.destination import describe
from gateway.signed_hooks import SignedHooks
from gateway.webhooks.core.backoff import Answer, Reply
from gateway.webhooks.core.signing import make_secret
from proxy_pool.core.number import Use
from proxy_pool.core.party import party_of
from proxy_pool.core.session import Model, Session, SessionId
from proxy_pool.core.settings import UnknownCallers
from proxy_pool.desk import NewSession, Seating
from proxy_pool.fakes import MemoryInteractions, MemoryLedger, MemoryPoolBook, MemorySettings
from proxy_pool.no_index import NoIndex
from proxy_pool.service import Books, Masking
from proxy_pool.settings_memory import SettingsMemory
from telephony.ids import CallId, ChannelId, LegId, TenantId
from telephony.numbers import E164
from tests.rig.masking import TENANT, Hand, person, service, ulid

SECRET = make_secret(bytes(32))
PROMPTS = MaskingPrompts("mask/pin", "mask/extension", "mask/again")
OTHER = RouteFacts(tenant=TenantId("ten_other"), route=Reject(1, "no_route"))
Post = Callable[[str, dict[str, Any]], Answer]


class App:
    """The tenant's application: fits ``Poster``. ``says`` answers (URL, body); ``hold`` keeps it waiting."""

    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []
        self.says: Callable[[dict[str, Any]], Answer] = lambda body: Reply(204, {})
        self.hold: Any = None

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        event = json.loads(body)
        self.heard.append(event)
        if self.hold is not None:
            await self.hold.wait()
        return self.says(event)

    def answers(self, **answer: Any) -> None:
        self.says = lambda body: Reply(200, {}, body=json.dumps(answer).encode())


class Sounds:
    """Fits ``gateway.http.ports.Prompts``."""

    async def spoken(self, text: str, voice: str | None) -> str:
        return f"tts/{len(text)}"

    async def stored(self, tenant: TenantId, name: str) -> str | None:
        return f"prompts/{tenant}/{name}" if name == "closed" else None


async def read_session(tenant: TenantId, raw: Mapping[str, object]) -> NewSession:
    """As much of the request that opens a session as these tests say."""
    others = (Seating(party_of(str(raw["party_b"]))),) if "party_b" in raw else ()
    return NewSession(Seating(party_of(str(raw["party_a"]))), others, Model(str(raw.get("model", "pair"))))


@dataclass
class Stage:
    """Calls come in through ``call``; whoever is asked for digits goes on with ``types`` or ``waits``."""

    masking: Masking
    routes: MaskedRoutes
    app: App
    hand: Hand
    settings: SettingsMemory
    other: FixedBook
    trunks: dict[str, str]
    refused: list[tuple[str, int, str]]
    ids: Any = field(default_factory=itertools.count)

    async def unknown(self, **how: Any) -> None:
        """Set how the service meets unknown callers."""
        before = await self.masking.settings(TENANT)
        await self.masking.set_settings(TENANT, replace(before, unknown=UnknownCallers(**how)))

    async def open(self, a: Any, *others: Any, model: Model = Model.PAIR, **more: Any) -> Session:
        seats = [one if isinstance(one, Seating) else Seating(one) for one in (a, *others)]
        terms = {key: more.pop(key) for key in tuple(more) if key not in ("extension",)}
        wanted = NewSession(seats[0], tuple(seats[1:]), model, terms=terms, **more)
        return await self.masking.open(
            TENANT, wanted, session_id=SessionId(ulid("ses", next(self.ids) + 5_000))
        )

    async def call(self, caller: Any, dialled: E164 | str, **how: Any) -> Line:
        text = caller.reveal() if isinstance(caller, E164) else caller
        number = dialled.reveal() if isinstance(dialled, E164) else dialled
        channel = ChannelId(f"pb-1.{next(self.ids)}")
        door, line = how.get("door", "from-trunk"), how.get("line", "carrier")
        one = Line(self, Offered(channel, number, text, door, line))
        one.facts.append(await self.routes.facts_for(one.offered))
        return one


@dataclass
class Line:
    """One call, and everything the switch was told about it."""

    stage: Stage
    offered: Offered
    facts: list[RouteFacts] = field(default_factory=list)

    async def types(self, *digits: str) -> Line:
        for one in digits:
            assert isinstance(self.route, Gather), self.route
            self.facts.append(await self.stage.routes.go_on(self.offered, a_call(), one))
        return self

    async def waits(self) -> Line:
        self.facts.append(await self.stage.routes.go_on(self.offered, a_call(), ""))
        return self

    @property
    def last(self) -> RouteFacts:
        return self.facts[-1]

    @property
    def route(self) -> Any:
        return self.last.route

    @property
    def told(self) -> list[Any]:
        """Everything the switch can tell the caller: rejections by their cause alone."""
        return [one.route.cause if isinstance(one.route, Reject) else one.route for one in self.facts]

    @property
    def reached(self) -> E164 | str | None:
        """Who is dialled, or None where nobody is."""
        end = self.route.endpoint if isinstance(self.route, Connect) else None
        if isinstance(end, Announcement) or end is None:
            return None
        assert isinstance(end, (TrunkEnd, Phone))
        return end.number if isinstance(end, TrunkEnd) else end.name

    @property
    def rejection(self) -> tuple[int, str]:
        assert isinstance(self.route, Reject), self.route
        return self.route.cause, self.route.reason


def a_call() -> Call:
    return Call(
        CallId("call_1"),
        Terms(TENANT, Direction.INBOUND, "", ""),
        0.0,
        Leg(LegId("leg_1"), Role.CALLER),
        Leg(LegId("leg_2"), Role.CALLEE),
    )


@asynccontextmanager
async def staged(use: Use = Use.PAIRS, *, numbers: int = 5) -> AsyncIterator[Stage]:
    hand, book = Hand(), MemorySettings()
    ledger = MemoryLedger()
    pool_book = MemoryPoolBook(ledger)
    made = await service(
        NoIndex(), ledger=ledger, book=pool_book, settings=book, hand=hand, numbers=numbers, use=use
    )
    settings = SettingsMemory(book, hand.now)
    books = Books(ledger, pool_book, MemoryInteractions())
    masking = Masking(made.sessions, books, made.pool, settings, hand.now)
    app, other, refused, trunks = App(), FixedBook(OTHER), list[tuple[str, int, str]](), {"+": "carrier"}
    counter = itertools.count(1)

    def new_id(prefix: str) -> str:
        return ulid(prefix, next(counter))

    async def secrets(tenant: TenantId) -> tuple[str, ...]:
        return (SECRET,)

    doors = Doors(
        masking,
        read_session,
        hand.now,
        new_id,
        ours=lambda number: made.pool.owner_of(number) is not None,
        emergency=lambda number: describe(number.reveal()).emergency or number == person(911),
    )
    parts = MaskedParts(
        other=other,
        number_of=made.pool.owner_of,
        doors=doors,
        questions=Questions(MaskingHooks(SignedHooks(app, secrets, hand.now, new_id)), doors, Sounds()),
        limits=AttemptLimits(LocalRates(hand.now), b"k" * 32),
        answers=Answers(PROMPTS, lambda number: trunks["+"]),
        now=hand.now,
        on_refused=lambda session, seat, reason: refused.append((session.id, seat, reason)),
    )
    routes = MaskedRoutes(parts)
    try:
        yield Stage(masking, routes, app, hand, settings, other, trunks, refused)
    finally:
        await routes.stop()
