"""What this room needs from outside. Adapters fit structurally; ``proxy_pool.fakes`` ships one of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from proxy_pool.core.forecast import Busiest as Busiest
from proxy_pool.core.forecast import NumberLoad as NumberLoad
from proxy_pool.core.interaction import Interaction
from proxy_pool.core.number import PoolNumber
from proxy_pool.core.session import Binding, CloseReason, Door, Entry, Session, SessionId
from proxy_pool.core.settings import ServiceSettings
from telephony.errors import PatchbayError
from telephony.ids import TenantId
from telephony.numbers import E164


class PairTaken(PatchbayError):
    """The ledger refused: somebody else is live or quarantined behind this door."""

    code = "PAIR_TAKEN"

    def __init__(self, binding: Binding) -> None:
        super().__init__()
        self.binding = binding
        """The true owner, to be written back to the index."""


class NameTaken(PatchbayError):
    """An open session of this tenant has this unique name."""

    code = "UNIQUE_NAME_TAKEN"


class StaleVersion(PatchbayError):
    """The session was changed, or closed, by somebody else meanwhile."""

    code = "STALE_VERSION"


@dataclass(frozen=True, slots=True)
class Claim:
    """One side's claim to a door: any of these candidates, in this order of preference; at most 8."""

    tenant: TenantId
    key: str
    candidates: tuple[int, ...]
    session: SessionId
    seat: int


class Index(Protocol):
    """Who stands behind which door, quickly: it proposes. Whatever it forgets, the ledger decides.

    ``reserve`` takes, for each claim, the first candidate that nobody holds (a hold whose ``until`` has
    passed is nobody's), as PENDING for ``PENDING_S``; None where all are held. Each claim is atomic.
    ``put`` writes what the ledger said, unless what stands there is newer (``core.packed.supersedes``): a
    write may arrive late. ``suspend`` makes doors PENDING, so that every look-up asks the ledger until the
    next ``put`` of a later version, or for ``PENDING_S`` where the index did not know who was there;
    ``drop`` forgets doors, but no suspension.
    ``look_up`` gives a LIVE or QUARANTINED entry that is to be trusted, else None: ask the ledger.
    ``taken`` gives the indices that a key holds. An index that is away or not to be trusted raises nothing
    in ``put``, ``suspend``, ``drop`` and ``look_up`` (it gives None); ``reserve`` and ``taken`` raise
    IndexAway, and the caller chooses by the ledger.
    """

    async def reserve(self, claims: Sequence[Claim], now: float) -> Sequence[int | None]: ...

    async def put(self, bindings: Sequence[Binding], now: float) -> None: ...

    async def suspend(self, doors: Sequence[Door], now: float) -> None: ...

    async def drop(self, doors: Sequence[Door]) -> None: ...

    async def look_up(self, tenant: TenantId, key: str, index: int, now: float) -> Entry | None: ...

    async def taken(self, tenant: TenantId, key: str, now: float) -> frozenset[int]: ...


PENDING_S = 60.0
"""How long a reservation that nobody confirms stands in the way of others."""


class IndexAway(PatchbayError):
    """The index cannot be asked now."""

    code = "INDEX_AWAY"


ACTIVE: Final = "active"
"""In a filter: every status but ``closed``."""


@dataclass(frozen=True, slots=True)
class SessionFilter:
    """Which sessions a list shows. ``status`` is a status's word, or ``ACTIVE``."""

    status: str | None = None
    unique_name: str | None = None
    party: str | None = None
    """A key; who may ask by whole number must be allowed to see whole numbers."""


@dataclass(frozen=True, slots=True)
class SessionPage:
    """Newest first."""

    items: tuple[Session, ...]
    cursor: str | None
    total: int


@dataclass(frozen=True, slots=True)
class SessionEvent:
    """Something the world may hear of a session, told in the transaction that makes it true.

    ``detail`` holds (name, text) pairs. ``sequence`` counts within the session from 1: the session's version.
    """

    type: str
    at: float
    detail: tuple[tuple[str, str], ...] = ()


class Ledger(Protocol):
    """SQL: it decides. Every verb is one transaction, durable when it returns; raises StorageUnavailable.

    ``open`` stores a session with all its bindings (LIVE), or nothing: PairTaken, NameTaken. A quarantined
    binding with the same door *and the same peer* gives way to it (I5: the same two people may have their
    numbers again). Opening the same session id twice is the same as once.
    ``change`` replaces the session (``after.version`` is one more than stored, else StaleVersion): bindings
    that ``after`` no longer has go into quarantine until ``after.free_at`` or ``free_at``, new ones must be
    free (PairTaken); those kept take ``after.ends_at`` as their ``until``. It also is stale when an
    interaction was noted since ``after`` was made: a sliding end has moved.
    ``close`` ends an open session and quarantines its bindings; None when there is no open one, or when it
    was to be closed as EXPIRED and an interaction has moved its end beyond ``at``.
    ``use`` notes an interaction: last use, end, status, counters; it never shortens ``ends_at``, and never
    revives a session whose end has passed (None). The first one tells ``session.in_progress`` and, like
    telling ``session.expiring``, counts as a change of ``version``.
    ``resolve`` is the true answer of a look-up: the binding behind the door that is LIVE (``until`` may have
    passed: nobody closed it yet) or QUARANTINED (until later than ``now``).
    ``open`` and ``change`` raise Conflict (NUMBER_NOT_IN_POOL) where a new door's number is not, or is no
    longer, in the tenant's pool with this index and the use that the session's model takes.
    """

    async def open(
        self, session: Session, bindings: Sequence[Binding], events: Sequence[SessionEvent]
    ) -> None: ...

    async def change(
        self,
        after: Session,
        bindings: Sequence[Binding],
        free_at: float,
        events: Sequence[SessionEvent],
    ) -> Sequence[Binding]:
        """The bindings that went into quarantine."""
        ...

    async def close(
        self,
        tenant: TenantId,
        session_id: SessionId,
        reason: CloseReason,
        at: float,
        free_at: float,
        events: Sequence[SessionEvent],
    ) -> tuple[Session, Sequence[Binding]] | None: ...

    async def use(
        self, tenant: TenantId, session_id: SessionId, seat: int, at: float, ends_at: float
    ) -> Session | None: ...

    async def get(self, tenant: TenantId, session_id: SessionId) -> Session | None: ...

    async def bindings_of(self, tenant: TenantId, session_id: SessionId) -> Sequence[Binding]: ...

    async def page(
        self, tenant: TenantId, wanted: SessionFilter, *, limit: int, cursor: str | None = None
    ) -> SessionPage: ...

    async def resolve(self, tenant: TenantId, key: str, proxy: E164, now: float) -> Binding | None: ...

    async def held(self, tenant: TenantId, key: str, now: float) -> frozenset[int]:
        """Indices of the numbers that are live or quarantined for this key."""
        ...

    async def last_of_pair(self, tenant: TenantId, key: str, peer: str) -> tuple[E164, E164] | None:
        """The numbers that these two had last: (the key's, the peer's)."""
        ...

    async def due(self, now: float, limit: int) -> Sequence[Session]:
        """Open sessions whose end has passed, the oldest first."""
        ...

    async def expiring(self, now: float, within_s: float, limit: int) -> Sequence[Session]:
        """Open sessions that end within this time and whose ``session.expiring`` was not told yet."""
        ...

    async def told_expiring(self, session: Session, events: Sequence[SessionEvent]) -> None: ...

    async def sweep(self, now: float, limit: int) -> Sequence[Binding]:
        """Free quarantined bindings whose time is over; those that were freed."""
        ...

    async def all_held(self, after: int, limit: int) -> Sequence[tuple[int, Binding]]:
        """Every live or quarantined binding of all tenants, by row number, behind ``after``."""
        ...

    async def all_open(self, after: int, limit: int) -> Sequence[tuple[int, Session]]:
        """Every open session of all tenants, by row number, behind ``after``."""
        ...


class PoolBook(Protocol):
    """Which numbers are in the pool. ``numbers`` answers for every tenant, for the process's memory.

    ``add`` gives the number the next index of the tenant, and raises Conflict when it is in the pool.
    ``change`` raises Conflict where ``use`` would change under live or quarantined bindings; ``remove``
    likewise while there are any.
    """

    async def numbers(self) -> Sequence[PoolNumber]: ...

    async def add(self, number: PoolNumber) -> PoolNumber: ...

    async def change(self, number: PoolNumber) -> PoolNumber | None: ...

    async def remove(self, tenant: TenantId, number_id: str) -> PoolNumber | None: ...

    async def loads(self, tenant: TenantId) -> Sequence[NumberLoad]: ...

    async def busiest(self, tenant: TenantId, limit: int) -> Sequence[Busiest]: ...

    async def opened_since(self, tenant: TenantId, since: float) -> int:
        """How many sessions were opened since then: the arrival rate."""
        ...


class InteractionBook(Protocol):
    """Interactions as stored. ``keep`` stores or replaces one (only a higher ``sequence`` replaces), with its
    events, in one transaction. ``forget`` removes it for good: what is kept of it later is not stored."""

    async def keep(self, interaction: Interaction, events: Sequence[SessionEvent]) -> None: ...

    async def get(self, tenant: TenantId, interaction_id: str) -> Interaction | None: ...

    async def page(
        self, tenant: TenantId, session_id: SessionId, *, limit: int, cursor: str | None = None
    ) -> tuple[Sequence[Interaction], str | None, int]: ...

    async def forget(self, tenant: TenantId, interaction_id: str) -> bool: ...


class SettingsBook(Protocol):
    """Each tenant's service settings, as stored."""

    async def get(self, tenant: TenantId) -> ServiceSettings | None: ...

    async def put(self, tenant: TenantId, settings: ServiceSettings) -> None: ...


class SwitchCopy(Protocol):
    """Live doors, copied into the switch, so that masked calls go on while we are away.

    Never waits and never fails the caller: what cannot be written now is written later, or found by the
    next comparison. ``keep`` takes doors with everything the switch needs to join the call by itself.
    """

    def keep(self, session: Session) -> None: ...

    def forget(self, session: Session) -> None: ...
