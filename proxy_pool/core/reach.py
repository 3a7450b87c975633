"""Whom somebody behind a door of a session reaches now, shown as what, for how long. Pure.

Who is let through, by model (``proxy_pool.core.session.Model``):

    pair       each reaches the other
    anyone     visitors reach party A; A reaches the temporary callee, who reaches A too
    extension  whoever has the extension reaches party A
    group      a member reaches party A; A reaches the member heard from last, else the first

A PIN seats its holder as the participant it belongs to, for this interaction only. Where a session asks
for a PIN (``PinMode``), a visitor without one is nobody, whatever door was found: there is no question
that only they would hear, so nobody learns from a question that a session exists.

How long, with the earlier end winning:

    the conversation's own limit   ``call_limit_s``, tone ``warn_s`` before it if ``warn_before_limit``
    ``finish``                     the session's end cuts nothing
    ``warn_then_end``              cut ``warn_s`` after the session's end, tone at the session's end
    ``end_now``                    cut at the session's end

In each case nobody is rung longer than the session lasts. Where its end slides with its use, this use
counts: the end is the one that it has once the interaction has begun.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from proxy_pool.core.opening import end_of, first_callee
from proxy_pool.core.party import Party, key_of
from proxy_pool.core.session import (
    SEAT_A,
    VISITOR,
    Channel,
    Flow,
    Model,
    OnExpiry,
    Participant,
    PinMode,
    Session,
    Terms,
)
from telephony.numbers import E164


class Refusal(StrEnum):
    """Why somebody whom a session knows is not let through."""

    CLOSED = "session_closed"
    EXPIRED = "session_expired"
    CHANNEL = "channel_not_allowed"
    DIRECTION = "direction_not_allowed"
    PIN = "pin_required"
    NOBODY = "nobody_to_reach"
    SAME_PARTY = "same_party"
    LOOP = "loop"
    EMERGENCY = "emergency_number"


@dataclass(frozen=True, slots=True)
class Reached:
    """``target`` is called (or written to) from ``cli``, the number that it knows, so that redial works.

    ``seat`` is the seat of who reaches out, ``to_seat`` the target's. ``ring_s``, ``max_s`` whole seconds,
    the latter from when both talk; ``warn_s`` before its end a tone is heard, 0 for none. ``cut_at`` (epoch
    seconds): the conversation is over then, however late it began; None where only ``max_s`` ends it.
    """

    target: Party
    seat: int
    to_seat: int
    cli: E164
    ring_s: int
    max_s: int
    warn_s: int = 0
    record: bool = False
    caller_prompt: str = ""
    callee_prompt: str = ""
    cut_at: float | None = None


@dataclass(frozen=True, slots=True)
class NeedsPin:
    """This participant is let through once they have shown the PIN of their own seat."""

    seat: int
    pin: str = field(repr=False)
    """Empty where the seat has none: then nobody can show it."""

    def shown_by(self, digits: str) -> bool:
        """Whether these digits are the PIN. Compared in constant time."""
        return bool(self.pin) and hmac.compare_digest(self.pin.encode(), digits.encode())


@dataclass(frozen=True, slots=True)
class Refused:
    """``seat``: of who was refused."""

    reason: Refusal
    seat: int = VISITOR


Way = Reached | NeedsPin | Refused


def _never(number: E164) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Approach:
    """How somebody came to the door.

    ``caller`` is their own key, where they have one. ``pin_shown``: a PIN opened the door, or the
    application vouches for them. ``ours`` tells proxy numbers, ``emergency`` emergency services; neither is
    ever called.
    """

    caller: str = field(default="", repr=False)
    pin_shown: bool = False
    ours: Callable[[E164], bool] = _never
    emergency: Callable[[E164], bool] = _never


UNASKED: Final = Approach()


def reach(session: Session, seat: int, channel: Channel, now: float, approach: Approach = UNASKED) -> Way:
    """Whom ``seat`` (as the look-up of the door gave it) reaches at ``now`` (epoch seconds)."""
    ended = _ended(session, now)
    if ended is not None:
        return Refused(ended, seat)
    if channel not in session.terms.channels:
        return Refused(Refusal.CHANNEL, seat)
    if not _flows(session.terms.flow, seat):
        return Refused(Refusal.DIRECTION, seat)
    if not approach.pin_shown:
        asked = _asked_for_pin(session, seat)
        if asked is not None:
            return asked
    target = _target(session, seat)
    if target is None:
        return Refused(Refusal.NOBODY, seat)
    barred = _barred(target.party, approach)
    return _reached(session, seat, target, now) if barred is None else Refused(barred, seat)


def _ended(session: Session, now: float) -> Refusal | None:
    if not session.live:
        return Refusal.CLOSED
    return Refusal.EXPIRED if now >= session.ends_at else None


def _flows(flow: Flow, seat: int) -> bool:
    if flow is Flow.BOTH:
        return True
    return (flow is Flow.A_TO_B) == (seat == SEAT_A)


def _asked_for_pin(session: Session, seat: int) -> Way | None:
    mode = session.terms.pin_mode
    if seat == VISITOR:
        return None if mode is PinMode.OFF else Refused(Refusal.PIN, seat)
    if mode is not PinMode.ALWAYS:
        return None
    one = session.seated(seat)
    return NeedsPin(seat, one.pin if one is not None else "")


def _target(session: Session, seat: int) -> Participant | None:
    if seat == SEAT_A:
        found = first_callee(session)
        return None if found is None or found.seat == SEAT_A else found
    if seat == VISITOR:
        return session.seated(SEAT_A) if session.model in (Model.ANYONE, Model.EXTENSION) else None
    return session.seated(SEAT_A) if session.seated(seat) is not None else None


def _barred(target: Party, approach: Approach) -> Refusal | None:
    if key_of(target) == approach.caller:
        return Refusal.SAME_PARTY
    if not isinstance(target, E164):
        return None
    if approach.ours(target):
        return Refusal.LOOP
    return Refusal.EMERGENCY if approach.emergency(target) else None


def _reached(session: Session, seat: int, target: Participant, now: float) -> Reached:
    terms = session.terms
    ends_at = max(session.ends_at, end_of(terms, session.created_at, now))
    left = ends_at - now
    max_s, warn_s, cut_at = _time(terms, ends_at, left)
    own, other = (terms.announce_a, terms.announce_b)[:: 1 if seat == SEAT_A else -1]
    return Reached(
        target=target.party,
        seat=seat,
        to_seat=target.seat,
        cli=target.proxy,
        ring_s=max(1, min(terms.ring_timeout_s, int(left))),
        max_s=max_s,
        warn_s=warn_s,
        record=terms.record,
        caller_prompt=own,
        callee_prompt=other,
        cut_at=cut_at,
    )


def _time(terms: Terms, ends_at: float, left: float) -> tuple[int, int, float | None]:
    """Longest conversation, when the tone is heard before its end, and the moment nobody outlasts."""
    limit = max(1, terms.call_limit_s)
    before_limit = min(terms.warn_s, limit - 1) if terms.warn_before_limit else 0
    if terms.on_expiry is OnExpiry.FINISH:
        return limit, before_limit, None
    grace = terms.warn_s if terms.on_expiry is OnExpiry.WARN_THEN_END else 0
    cut = max(1, int(left) + grace)
    if limit <= cut:
        return limit, before_limit, ends_at + grace
    return cut, min(grace, cut - 1), ends_at + grace
