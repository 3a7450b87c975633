"""A text store of every backend beside the masking books, and a relay and a pump on a clock of our own."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import count

from gateway.storage.masking_interactions import SqlInteractions
from gateway.storage.masking_ledger import SqlLedger
from gateway.storage.texts import SqlTexts
from gateway.storage.texts_out import Stores
from proxy_pool.core.interaction import Interaction
from proxy_pool.core.number import PoolNumber, Use
from proxy_pool.core.session import Model, Session, Terms
from proxy_pool.core.settings import ServiceSettings
from proxy_pool.core.text import InboundText, Media, OutboundText, Part
from proxy_pool.texts.fakes import FakeSender, MemoryTexts
from proxy_pool.texts.ports import Arrived, KeptMedia, MediaUnfit, Outgoing, TextStore
from proxy_pool.texts.pump import Chances, TextPump
from proxy_pool.texts.relay import Surroundings, TextRelay
from telephony.errors import Unavailable
from telephony.ids import TenantId
from telephony.numbers import E164
from tests.contract.proxy_pool.ledger_rig import (
    ANN,
    BOB,
    NUMBERS,
    ONE,
    OURS,
    T0,
    Books,
    opened,
    pair,
    pooled,
    ulid,
)

NOW = T0 + 10.0
_NUMBER = count(1)


def text(
    body: str, sender: E164 | str = ANN, to: E164 = ONE, message_id: str = "", **more: object
) -> InboundText:
    sent_by = sender.reveal() if isinstance(sender, E164) else sender
    made = InboundText("sim", message_id or f"m{next(_NUMBER)}", sent_by, to, body)
    return replace(made, **more)  # type: ignore[arg-type]


def part(number: int, total: int, body: str, reference: int = 7, **more: object) -> InboundText:
    return text(body, part=Part(reference, total, number), **more)


class FakeMedia:
    """Keeps attachments by what their address says."""

    def __init__(self) -> None:
        self.away = False

    async def keep(self, carrier: str, media: Media) -> KeptMedia:
        if self.away:
            raise Unavailable
        if "bad" in media.url:
            raise MediaUnfit("not a picture")
        name = f"med{next(_NUMBER)}"
        return KeptMedia(f"med_{name}", f"{name}.jpg", "image/jpeg", 7)

    def link(self, media: KeptMedia, now: float) -> Media:
        return Media(f"https://gateway.example/media/{media.id}", media.content_type)


@dataclass(slots=True)
class TextRig:
    """The relay and the pump over one store."""

    books: Books
    store: TextStore
    sender: FakeSender = field(default_factory=FakeSender)
    settings: ServiceSettings = field(default_factory=ServiceSettings)
    media: FakeMedia = field(default_factory=FakeMedia)
    now: float = NOW
    per_second: float = 1000.0
    uses: dict[E164, Use] = field(default_factory=dict)
    owned: tuple[E164, ...] = NUMBERS
    carrier: str = "sim"

    def owner(self, number: E164) -> PoolNumber | None:
        if number not in self.owned:
            return None
        return replace(pooled(number), carrier=self.carrier, use=self.uses.get(number, Use.PAIRS))

    async def of(self, tenant: TenantId) -> ServiceSettings:
        return self.settings

    async def resolve(self, tenant: TenantId, key: str, proxy: E164) -> tuple[Session, int] | None:
        """As the service does, without an index."""
        binding = await self.books.ledger.resolve(tenant, key, proxy, self.now)
        if binding is None or binding.entry.until <= self.now:
            return None
        session = await self.books.ledger.get(tenant, binding.entry.session)
        return None if session is None or not session.live else (session, binding.entry.seat)

    def relay(self) -> TextRelay:
        around = Surroundings(
            resolve=self.resolve,
            owner=self.owner,
            settings=self,
            now=lambda: self.now,
            new_id=lambda prefix: f"{prefix}_{ulid(next(_NUMBER))}",
            media=self.media,
        )
        return TextRelay(self.store, around)

    def pump(self) -> TextPump:
        chances = Chances(lambda: self.now, lambda: 0.5)
        return TextPump(self.store, self.sender, lambda carrier: self.per_second, chances, self.media)

    async def session(self, number: int = 1, **changes: object) -> Session:
        """An open session of ANN (who dials ONE) and BOB (who dials TWO)."""
        return await opened(self.books, pair(number, **changes))  # type: ignore[arg-type]

    async def passes(self, *texts: InboundText) -> list[OutboundText]:
        """Take texts in, judge them, send what is due; everything sent so far."""
        relay = self.relay()
        await relay.take_in(texts, ())
        while await relay.judge_due():
            pass
        return await self.pumped()

    async def pumped(self) -> list[OutboundText]:
        pump, before = self.pump(), -1
        while before != self.sender.tried:
            before = self.sender.tried
            await pump.send_due()
        return [one for _, one in self.sender.sent]

    async def taken(self, *texts: InboundText) -> list[str]:
        """Store texts without a relay; their ids."""
        arrived = [Arrived(f"msg_{ulid(next(_NUMBER))}", one) for one in texts]
        return [one.id for one in await self.store.take_in(arrived, (), self.now)]

    async def claimed(self) -> list[Outgoing]:
        return [
            one
            for lane in await self.store.lanes(self.now)
            for one in await self.store.claim_out(lane, self.now, self.now + 60, 10)
        ]

    async def interactions(self, session: Session) -> list[Interaction]:
        """Oldest first."""
        page, _, _ = await self.books.interactions.page(OURS, session.id, limit=100)
        return list(reversed(page))

    async def told(self) -> list[str]:
        """What the world heard of texts."""
        return [name for name in await self.books.told() if name.startswith(("message.", "interaction."))]


def store_of(books: Books) -> TextStore:
    if books.database is None:
        return MemoryTexts(books.interactions, books.ledger)
    assert isinstance(books.interactions, SqlInteractions)
    assert isinstance(books.ledger, SqlLedger)
    return SqlTexts(Stores(books.database, books.interactions, books.ledger, books.interactions._told))


def anyone_session(number: int, callee: E164 | None = None) -> Session:
    """Whoever writes to ONE reaches ANN."""
    session = pair(
        number, ANN, callee or BOB, (ONE, ONE), model=Model.ANYONE, terms=Terms(expires_at=T0 + 7200)
    )
    return session if callee is not None else replace(session, participants=session.participants[:1])
