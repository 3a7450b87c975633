"""A masking service over whatever index and ledger a test gives it."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from proxy_pool.core.number import PoolNumber, Use
from proxy_pool.core.session import Channel, Session
from proxy_pool.drafts import Makers
from proxy_pool.fakes import MemoryLedger, MemoryPoolBook, MemorySettings
from proxy_pool.placing import Placer, Point
from proxy_pool.pool_memory import PoolMemory
from proxy_pool.ports import Index, Ledger, PoolBook, SettingsBook
from proxy_pool.sessions import Places, Sessions
from proxy_pool.settings_memory import SettingsMemory
from telephony.ids import TenantId
from telephony.numbers import E164

TENANT = TenantId("ten_01J00000000000000000000000")


def proxy(count: int) -> E164:
    """The pool's numbers, 1, 2, 3 …"""
    return E164(f"+1202555{count:04d}")


def person(count: int) -> E164:
    return E164(f"+1415{count:07d}")


def ulid(prefix: str, count: int) -> str:
    """A well-formed id that is easy to tell apart."""
    return f"{prefix}_01J{count:023d}"


@dataclass
class Hand:
    """The test's clock, dice and crash points."""

    at: float = 1_800_000_000.0
    dice: random.Random = field(default_factory=lambda: random.Random(7))
    reached: list[Point] = field(default_factory=list)
    on_point: Callable[[Point], None] = lambda point: None

    def now(self) -> float:
        return self.at

    def digits(self, count: int) -> str:
        return "".join(str(self.dice.randrange(10)) for _ in range(count))

    def pass_point(self, point: Point) -> None:
        self.reached.append(point)
        self.on_point(point)


class Copy:
    """Keeps what the switch would be told."""

    def __init__(self) -> None:
        self.kept: dict[str, Session] = {}

    def keep(self, session: Session) -> None:
        self.kept[session.id] = session

    def forget(self, session: Session) -> None:
        self.kept.pop(session.id, None)


@dataclass
class Service:
    sessions: Sessions
    ledger: Ledger
    index: Index
    book: PoolBook
    pool: PoolMemory
    hand: Hand
    copy: Copy
    ended: list[Session]


async def service(
    index: Index,
    *,
    ledger: Ledger | None = None,
    book: PoolBook | None = None,
    settings: SettingsBook | None = None,
    hand: Hand | None = None,
    numbers: int = 5,
    use: Use = Use.PAIRS,
) -> Service:
    """The service on memory where nothing else is given, with so many numbers in the pool."""
    hand = hand or Hand()
    ledger = ledger or MemoryLedger()
    if book is None:
        assert isinstance(ledger, MemoryLedger)
        book = MemoryPoolBook(ledger)
    for count in range(1, numbers + 1):
        await book.add(pool_number(count, use))
    pool = PoolMemory(book, hand.dice.randrange)
    await pool.refresh()
    makers = Makers(hand.now, hand.digits, lambda number: "US")
    memory = SettingsMemory(settings or MemorySettings(), hand.now)
    copy, ended = Copy(), list[Session]()
    placer = Placer(ledger, index, pool, hand.now, hand.pass_point)
    places = Places(ledger, index, pool, copy, placer, makers, memory.of, ended.append)
    return Service(Sessions(places), ledger, index, book, pool, hand, copy, ended)


def pool_number(count: int, use: Use = Use.PAIRS) -> PoolNumber:
    return PoolNumber(
        id=ulid("num", count),
        tenant=TENANT,
        number=proxy(count),
        index=0,
        country="US",
        area="202",
        capabilities=frozenset(Channel),
        use=use,
    )


__all__ = ["TENANT", "Copy", "Hand", "Service", "person", "proxy", "service", "ulid"]
