"""Masking sessions and bindings as rows and back: pure translation, no statements."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import orjson

from gateway.storage.columns import seconds_to_micros
from gateway.storage.hot import Found
from gateway.storage.jsontext import to_json
from proxy_pool.core.codec import terms_from, terms_json
from proxy_pool.core.opening import USE_OF
from proxy_pool.core.party import key_of, party_of
from proxy_pool.core.session import (
    Binding,
    CloseReason,
    Door,
    Entry,
    Hold,
    Model,
    Participant,
    Session,
    SessionId,
    Status,
    Terms,
)
from telephony.ids import TenantId
from telephony.numbers import E164

Row = dict[str, Any]
"""Values by column, in the form that ``gateway.storage.hot`` gives to a driver."""

FREED: Final = 0
"""``hold`` of a binding that is history."""
_PLAIN: Final = Terms()


class SessionRow(NamedTuple):
    """A row of ``proxy_sessions``, in the order of ``SESSION_COLUMNS``, as the driver gave it."""

    seq: int
    id: str
    tenant_id: str
    model: str
    status: str
    participants: Any
    terms: Any
    metadata: Any
    extension: str | None
    unique_name: str | None
    webhook_url: str | None
    api_key_id: str | None
    created_at: int
    ends_at: int
    last_used_at: int | None
    last_seat: int
    closed_at: int | None
    close_reason: str | None
    free_at: int | None
    version: int
    interactions: int
    told_expiring: bool

    def session(self) -> Session:
        """Raises InvalidInput where another release wrote terms that this one does not know."""
        reason = self.close_reason
        return Session(
            id=SessionId(self.id),
            tenant=TenantId(self.tenant_id),
            model=Model(self.model),
            terms=_PLAIN if self.terms is None else terms_from(_PLAIN, _loaded(self.terms)),
            participants=tuple(_participant(*one) for one in _loaded(self.participants)),
            created_at=self.created_at / 1_000_000,
            ends_at=self.ends_at / 1_000_000,
            status=Status(self.status),
            extension=self.extension or "",
            unique_name=self.unique_name or "",
            metadata=() if self.metadata is None else _pairs(_loaded(self.metadata)),
            webhook_url=self.webhook_url,
            api_key_id=self.api_key_id,
            last_used_at=_seconds(self.last_used_at),
            last_seat=self.last_seat,
            closed_at=_seconds(self.closed_at),
            close_reason=None if reason is None else CloseReason(reason),
            free_at=_seconds(self.free_at),
            version=self.version,
            interactions=self.interactions,
        )


SESSION_COLUMNS: Final = ", ".join(SessionRow._fields)


class BindingRow(NamedTuple):
    """A held row of ``proxy_bindings`` with what its session tells of it, in ``BINDING_COLUMNS``' order."""

    seq: int
    tenant_id: str
    participant: str
    proxy: str
    number_index: int
    seat: int
    hold: int
    until: int | None
    peer: str
    session_id: str
    ends_at: int
    version: int

    def binding(self) -> Binding:
        until = self.ends_at if self.until is None else self.until
        return Binding(
            Door(TenantId(self.tenant_id), self.participant, E164(self.proxy), self.number_index),
            Entry(SessionId(self.session_id), self.seat, Hold(self.hold), until / 1_000_000, self.version),
            self.peer,
        )


BINDING_COLUMNS: Final = (
    "b.seq, b.tenant_id, b.participant, b.proxy, b.number_index, b.seat, b.hold, b.until, b.peer,"
    " s.id, s.ends_at, s.version"
)


def to_session(found: Found) -> Session:
    return SessionRow._make(found).session()


def to_binding(found: Found) -> Binding:
    return BindingRow._make(found).binding()


def session_row(session: Session) -> Row:
    """Every column but ``seq`` and ``told_expiring``. Raises InvalidInput for text that cannot be stored."""
    terms = terms_json(session.terms)
    return {
        "id": session.id,
        "tenant_id": session.tenant,
        "model": session.model.value,
        "status": session.status.value,
        "participants": to_json([_seated(one) for one in session.participants]),
        "terms": to_json(terms) if terms else None,
        "metadata": to_json(session.metadata) if session.metadata else None,
        "extension": session.extension or None,
        "unique_name": session.unique_name or None,
        "webhook_url": session.webhook_url,
        "api_key_id": session.api_key_id,
        "created_at": seconds_to_micros(session.created_at),
        "ends_at": seconds_to_micros(session.ends_at),
        "last_used_at": micros(session.last_used_at),
        "last_seat": session.last_seat,
        "closed_at": micros(session.closed_at),
        "close_reason": None if session.close_reason is None else session.close_reason.value,
        "free_at": micros(session.free_at),
        "version": session.version,
        "interactions": session.interactions,
    }


def binding_rows(session: Session, bindings: Iterable[Binding]) -> list[Row]:
    """New bindings, in the order in which everybody takes them: so nobody waits in a circle."""
    use = USE_OF[session.model].value
    return [
        {
            "tenant_id": session.tenant,
            "participant": one.door.key,
            "proxy": one.door.proxy.reveal(),
            "number_index": one.door.index,
            "seat": one.entry.seat,
            "peer": one.peer,
            "use": use,
        }
        for one in sorted(bindings, key=_order)
    ]


def micros(at: float | None) -> int | None:
    return None if at is None else seconds_to_micros(at)


def _order(binding: Binding) -> tuple[str, E164]:
    return binding.door.key, binding.door.proxy


def _loaded(found: Any) -> Any:
    """A JSON column: SQLite's driver gives the text, PostgreSQL's what it says."""
    return orjson.loads(found) if isinstance(found, str) else found


def _seconds(at: int | None) -> float | None:
    return None if at is None else at / 1_000_000


def _seated(one: Participant) -> list[object]:
    seated: list[object] = [one.seat, key_of(one.party), one.proxy.reveal()]
    return [*seated, one.pin] if one.pin else seated


def _participant(seat: int, key: str, proxy: str, pin: str = "") -> Participant:
    return Participant(seat, party_of(key), E164(proxy), pin)


def _pairs(found: list[list[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in found)
