"""A delivery as one attempt needs it, and what an answer makes of it. Times are seconds since 1970."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from gateway.webhooks.core.backoff import Answer, Delivered, GiveUp, Reply, Verdict, describe

Ending = Literal["delivered", "retry", "dead", "returned"]


@dataclass(frozen=True, slots=True)
class Delivery:
    """A claimed delivery: everything one attempt needs. ``attempts`` counts those made before.

    ``lane`` names the receiver, ``secrets`` are those to sign with now, ``claimed_until`` is when
    another worker may take it over.
    """

    id: str
    tenant_id: str
    event_id: str
    endpoint_id: str | None
    lane: str
    url: str
    subject: str
    sequence: int
    attempts: int
    created_at: float
    claimed_until: float
    body: bytes = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Settlement:
    """What became of one attempt. ``verdict``: delivered, retry (at ``next_at``), dead, or returned unused.

    ``status`` is the HTTP status (None without a reply), ``note`` one line for people, ``excerpt`` the
    start of the reply's body. ``endpoint_gone``: the receiver answered 410.
    """

    delivery: Delivery
    verdict: Ending
    at: float
    next_at: float = 0.0
    status: int | None = None
    note: str = ""
    excerpt: str = ""
    endpoint_gone: bool = False
    took_ms: int = 0


def settlement(delivery: Delivery, answer: Answer, verdict: Verdict, at: float, took_ms: int) -> Settlement:
    """The record of an attempt that was answered, or not, at ``at`` and judged."""
    status = answer.status if isinstance(answer, Reply) else None
    note = describe(answer)
    if isinstance(verdict, Delivered):
        return Settlement(delivery, "delivered", at, status=status, note=note, took_ms=took_ms)
    excerpt = answer.excerpt if isinstance(answer, Reply) else ""
    if isinstance(verdict, GiveUp):
        return Settlement(
            delivery,
            "dead",
            at,
            status=status,
            note=f"{note}; given up: {verdict.reason}",
            excerpt=excerpt,
            endpoint_gone=verdict.endpoint_gone,
            took_ms=took_ms,
        )
    next_at = at + verdict.delay_s
    return Settlement(delivery, "retry", at, next_at, status, note, excerpt, took_ms=took_ms)
