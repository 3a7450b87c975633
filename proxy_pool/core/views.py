"""What the world may see of a session and of an interaction: one form for API and webhooks.

Without ``whole`` nothing in it tells a participant's number: parties are masked, PINs and texts' bodies are
left out. Proxy numbers are ours, and always whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from proxy_pool.core.codec import Json, all_terms
from proxy_pool.core.interaction import Interaction, Kind
from proxy_pool.core.party import shown
from proxy_pool.core.session import SEAT_A, SEAT_B, VISITOR, Model, Participant, Session
from telephony.numbers import mask_text

WORDS: Final[Mapping[str, str]] = {
    "ttl_s": "ttl",
    "max_lifetime_s": "max_lifetime",
    "warn_s": "warn_seconds",
    "call_limit_s": "call_time_limit",
    "flow": "direction",
    "announce_a": "announcement_a",
    "announce_b": "announcement_b",
    "ring_timeout_s": "ring_timeout",
    "quarantine_s": "quarantine",
}
"""The world's words for fields of ``Terms`` that are named otherwise here."""


def iso(at: float | None) -> str | None:
    """RFC 3339 in UTC with milliseconds, or None.

    >>> iso(0.0)
    '1970-01-01T00:00:00.000Z'
    """
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def session_view(session: Session, *, whole: bool) -> dict[str, Json]:
    """The public form of a session; ``whole`` for readers who may see real numbers, PINs included."""
    group = session.model is Model.GROUP
    a = session.seated(SEAT_A)
    b = None if group else session.seated(SEAT_B)
    view: dict[str, Json] = {
        "id": session.id,
        "model": session.model.value,
        "status": session.status.value,
        "party_a": None if a is None else shown(a.party, whole=whole),
        "party_b": None if b is None else shown(b.party, whole=whole),
        "members": _members(session, whole=whole) if group else [],
        "proxy_number": _proxy(a),
        "proxy_number_a": _proxy(a),
        "proxy_number_b": _proxy(b),
        "channels": [one.value for one in sorted(session.terms.channels)],
        "extension": session.extension or None,
        "has_pin_a": a is not None and bool(a.pin),
        "has_pin_b": b is not None and bool(b.pin),
        "unique_name": session.unique_name or None,
        "metadata": dict(session.metadata),
        "terms": terms_view(session),
        "interactions": session.interactions,
        "version": session.version,
        **_times(session),
    }
    if whole:
        view["pin_a"] = a.pin or None if a is not None else None
        view["pin_b"] = b.pin or None if b is not None else None
    return view


def terms_view(session: Session) -> dict[str, Json]:
    """Every term of the session as it holds, in the words of requests; ``expires_at`` as a date."""
    terms = all_terms(session.terms) | {"expires_at": iso(session.terms.expires_at or None)}
    return {WORDS.get(name, name): value for name, value in terms.items()}


def interaction_view(interaction: Interaction, *, whole: bool) -> dict[str, Json]:
    """The public form of an interaction. ``from`` and ``to`` name seats: ``party_a``, ``visitor`` …"""
    voice = interaction.kind is Kind.VOICE
    return {
        "id": interaction.id,
        "session_id": interaction.session,
        "kind": interaction.kind.value,
        "from": seat_name(interaction.from_seat),
        "from_seat": interaction.from_seat,
        "to": seat_name(interaction.to_seat),
        "to_seat": interaction.to_seat,
        "proxy_number": interaction.proxy.reveal(),
        "call_id": interaction.subject if voice else None,
        "message_id": None if voice else interaction.subject,
        "status": interaction.status,
        "outcome": interaction.outcome if whole else mask_text(interaction.outcome),
        "created_at": iso(interaction.created_at),
        "answered_at": iso(interaction.answered_at),
        "ended_at": iso(interaction.ended_at),
        "duration_seconds": interaction.duration_s,
        "segments": interaction.segments,
        "flags": list(interaction.flags),
        "body": (interaction.body or None) if whole else None,
        "media": interaction.media,
        "sequence": interaction.sequence,
    }


def seat_name(seat: int) -> str:
    """
    >>> seat_name(0), seat_name(1), seat_name(2), seat_name(-1)
    ('party_a', 'party_b', 'member_2', 'visitor')
    """
    named = {VISITOR: "visitor", SEAT_A: "party_a", SEAT_B: "party_b"}
    return named.get(seat, f"member_{seat}")


def _proxy(seated: Participant | None) -> str | None:
    return None if seated is None else seated.proxy.reveal()


def _members(session: Session, *, whole: bool) -> list[Json]:
    return [_member(one, whole=whole) for one in session.participants if one.seat != SEAT_A]


def _member(seated: Participant, *, whole: bool) -> dict[str, Json]:
    view: dict[str, Json] = {
        "seat": seated.seat,
        "party": shown(seated.party, whole=whole),
        "proxy_number": seated.proxy.reveal(),
        "has_pin": bool(seated.pin),
    }
    return view | {"pin": seated.pin or None} if whole else view


def _times(session: Session) -> dict[str, Json]:
    return {
        "created_at": iso(session.created_at),
        "expires_at": iso(session.ends_at),
        "last_interaction_at": iso(session.last_used_at),
        "closed_at": iso(session.closed_at),
        "close_reason": None if session.close_reason is None else session.close_reason.value,
        "quarantine_until": iso(session.free_at),
    }
