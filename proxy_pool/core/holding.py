"""The ledger's own judgements, the same wherever it is kept."""

from __future__ import annotations

from typing import Final

from proxy_pool.core.session import SEAT_A, Binding, CloseReason, Door, Hold, Model, Session, Status
from telephony.errors import Conflict
from telephony.evolve import replace

IN_PROGRESS: Final = "session.in_progress"
"""The event of a session's first interaction; ``Ledger.use`` tells it."""


def gives_way(holder: Binding, newcomer: Binding, at: float) -> bool:
    """Whether a held door may be taken: its quarantine is over, or it is kept for the same two people."""
    if holder.entry.hold is not Hold.QUARANTINED:
        return False
    return holder.entry.until <= at or (holder.peer != "" and holder.peer == newcomer.peer)


def follows(after: Session, before: Session) -> bool:
    """Whether ``after`` was made from the session as it stands: no change and no interaction came between.

    An interaction moves a sliding end, so what was reckoned without it could end the session too early.
    """
    return before.live and after.version == before.version + 1 and after.interactions == before.interactions


def may_close(session: Session, reason: CloseReason, at: float) -> bool:
    """Whether an open session may be closed: an expired one only if no interaction has moved its end on."""
    return session.live and (reason is not CloseReason.EXPIRED or session.ends_at <= at)


def closed(session: Session, reason: CloseReason, at: float, free_at: float) -> Session:
    """The session after its end; its doors stay in quarantine until ``free_at``."""
    return replace(
        session,
        status=Status.CLOSED,
        closed_at=at,
        close_reason=reason,
        free_at=free_at,
        version=session.version + 1,
    )


def noted(session: Session, seat: int, at: float, ends_at: float) -> Session | None:
    """The session after an interaction that ``seat`` began; None when it is over."""
    if not session.live or session.ends_at <= at:
        return None
    return replace(
        session,
        status=Status.IN_PROGRESS,
        last_used_at=at if session.last_used_at is None else max(at, session.last_used_at),
        last_seat=seat if seat > SEAT_A else session.last_seat,
        ends_at=max(ends_at, session.ends_at),
        interactions=session.interactions + 1,
        version=session.version + (session.status is Status.OPEN),
    )


def moves_doors(session: Session) -> bool:
    """Whether the interaction that was just noted may have changed what stands behind the session's doors:
    the version (the first one does), the end, or whom party A reaches."""
    slides = bool(session.terms.ttl_s)
    return session.interactions <= 1 or slides or session.model in (Model.GROUP, Model.ANYONE)


def not_in_pool(door: Door) -> Conflict:
    """The number was removed from the pool, or put to another use, since it was chosen."""
    return Conflict(f"{door.proxy.masked} is not in the pool for this use", code="NUMBER_NOT_IN_POOL")


def in_use() -> Conflict:
    """Something is live or quarantined on a pool number."""
    return Conflict("sessions hold this number, or held it lately", code="NUMBER_IN_USE")


def in_pool() -> Conflict:
    """A number can be in the pool once."""
    return Conflict("the number is in the pool already", code="NUMBER_IN_POOL")
