"""What stands behind the door that a caller is at: looked up, judged, and if need be opened on the spot."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

import structlog

from gateway.masked_callers import Attempter
from proxy_pool.core.number import Use
from proxy_pool.core.opening import has_own_door
from proxy_pool.core.party import ANYONE, key_of
from proxy_pool.core.reach import Approach, Reached, Refusal, Refused, Way, reach
from proxy_pool.core.session import SEAT_A, VISITOR, Channel, Model, Session, SessionId
from proxy_pool.core.settings import ServiceSettings
from proxy_pool.desk import NewSession, Seating
from telephony.errors import InvalidInput, NotFound, PatchbayError
from telephony.ids import TenantId
from telephony.numbers import E164

_log = structlog.get_logger("gateway.masking")

_OPEN_MODELS: Final = (Model.ANYONE, Model.EXTENSION)


class Desk(Protocol):
    """What is asked of the masking service; ``proxy_pool.service.Masking`` fits. ``settings`` and, as a
    rule, ``resolve`` answer from memory or Redis, ``get`` from the ledger."""

    async def resolve(self, tenant: TenantId, key: str, proxy: E164) -> tuple[Session, int] | None: ...

    async def get(self, tenant: TenantId, session_id: SessionId) -> Session: ...

    async def open(self, tenant: TenantId, wanted: NewSession, *, session_id: SessionId) -> Session: ...

    async def settings(self, tenant: TenantId) -> ServiceSettings: ...


SessionReader = Callable[[TenantId, Mapping[str, object]], Awaitable[NewSession]]
"""Reads a session as the request that opens one is read. Raises InvalidInput and its like."""


@dataclass(frozen=True, slots=True)
class ByKey:
    """The way in by a key: one's own line, an extension, a PIN."""

    key: str = field(repr=False)
    pin_shown: bool = False


@dataclass(frozen=True, slots=True)
class Vouched:
    """The way in by the application's word."""

    session: SessionId
    seat: int | None = None


Ticket = ByKey | Vouched
"""How somebody came in: with it, the way is looked up again before they are connected."""


@dataclass(frozen=True, slots=True)
class Behind:
    """A session, and whom the caller reaches in it now."""

    session: Session
    way: Way
    ticket: Ticket

    @property
    def seat(self) -> int:
        """The caller's; -1 for a visitor."""
        return self.way.seat

    @property
    def stranger(self) -> bool:
        """Whether the caller is nobody to this session, so that nothing may tell of it."""
        if not isinstance(self.way, Refused):
            return False
        return self.seat == VISITOR or self.way.reason in (Refusal.CLOSED, Refusal.EXPIRED, Refusal.PIN)


class Doors:
    """Look-ups and openings for calls. ``ours`` tells every tenant's proxy numbers, ``emergency``
    emergency services, ``new_id`` gives a fresh id with this prefix, ``now`` epoch seconds."""

    def __init__(
        self,
        desk: Desk,
        read_session: SessionReader,
        now: Callable[[], float],
        new_id: Callable[[str], str],
        *,
        ours: Callable[[E164], bool],
        emergency: Callable[[E164], bool],
    ) -> None:
        self.desk = desk
        self._read_session = read_session
        self._now = now
        self._new_id = new_id
        self.ours = ours
        self.emergency = emergency

    async def arriving(self, who: Attempter, use: Use) -> Behind | None:
        """What the caller's own line opens, else what is open to everybody on this number."""
        if who.caller.key:
            own = await self.look(who, ByKey(who.caller.key))
            if own is not None:
                return own
        return await self.look(who, ByKey(ANYONE)) if use is Use.ANYONE else None

    async def look(self, who: Attempter, ticket: Ticket) -> Behind | None:
        """Who and what is behind the door now."""
        if isinstance(ticket, Vouched):
            return await self._vouched(who, ticket)
        found = await self.desk.resolve(who.tenant, ticket.key, who.proxy)
        if found is None:
            return None
        return self._behind(who, *found, ticket, pin_shown=ticket.pin_shown)

    async def let_in(self, who: Attempter, ticket: Ticket) -> Behind | None:
        """As ``look``, but only somebody who reaches somebody."""
        behind = await self.look(who, ticket)
        return behind if behind is not None and isinstance(behind.way, Reached) else None

    async def _vouched(self, who: Attempter, ticket: Vouched) -> Behind | None:
        try:
            session = await self.desk.get(who.tenant, ticket.session)
        except NotFound:
            return None
        seat = place_of(session, who, ticket.seat)
        return None if seat is None else self._behind(who, session, seat, ticket, pin_shown=True)

    def _behind(
        self, who: Attempter, session: Session, seat: int, ticket: Ticket, *, pin_shown: bool
    ) -> Behind:
        approach = Approach(who.caller.key, pin_shown, self.ours, self.emergency)
        way = reach(session, seat, Channel.VOICE, self._now(), approach)
        return Behind(session, way, ticket)

    async def open_for(self, who: Attempter, wanted: Mapping[str, object]) -> Ticket | None:
        """Open the session that the application wants for this caller; None where that cannot be."""
        try:
            new = seating_caller(await self._read_session(who.tenant, wanted), who)
            session_id = SessionId(self._new_id("ses"))
            session = await self.desk.open(who.tenant, new, session_id=session_id)
        except PatchbayError as error:
            _log.warning("hook.session_not_opened", code=error.code, tenant=who.tenant)
            return None
        return Vouched(session.id)


def place_of(session: Session, who: Attempter, seat: int | None) -> int | None:
    """Where somebody sits whom the application vouches for; None where that is not clear.

    The seat that is named; else the own one; else a visitor's where strangers visit; else the place of the
    one participant who knows the number that was dialled.
    """
    if seat is not None:
        return seat if session.seated(seat) is not None else None
    own = [one.seat for one in session.participants if key_of(one.party) == who.caller.key]
    if session.model in _OPEN_MODELS:
        return SEAT_A if SEAT_A in own else VISITOR
    callers = [one for one in session.participants if has_own_door(session.model, one)]
    knowing = own or [one.seat for one in callers if one.proxy == who.proxy]
    return knowing[0] if len(knowing) == 1 else None


def seating_caller(new: NewSession, who: Attempter) -> NewSession:
    """The wanted session with the caller on the number that was dialled. Raises InvalidInput where the
    caller would not be in it: a session opened for somebody is theirs."""
    if new.model in _OPEN_MODELS:
        return replace(new, a=_on(new.a, who.proxy))
    people = (new.a, *new.others)
    if who.caller.key not in [key_of(one.party) for one in people]:
        raise InvalidInput("the session is not the caller's", code="CALLER_NOT_SEATED")
    a, *others = (_on(one, who.proxy) if key_of(one.party) == who.caller.key else one for one in people)
    return replace(new, a=a, others=tuple(others))


def _on(seating: Seating, proxy: E164) -> Seating:
    if seating.number not in (None, proxy):
        raise InvalidInput("the caller dialled another number", code="CALLER_NOT_SEATED")
    return replace(seating, number=proxy)
