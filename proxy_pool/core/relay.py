"""What becomes of a text that came to a proxy number. Pure.

A text is relayed by the same rules as a call (``proxy_pool.core.reach``): between two people, from whoever
writes to an open number to its party A, and in a group. Nobody can be reached by an extension, and nobody
with a PIN that is always asked: a text has no moment in which to ask. Party A of an open number reaches the
temporary callee alone: which of several visitors an answer is meant for nobody could tell, and a guess could
reach the wrong person. Whom no session knows is told nothing, so that nobody learns whether one exists.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from proxy_pool.core.interaction import Interaction, InteractionId, Kind
from proxy_pool.core.number import PoolNumber
from proxy_pool.core.party import PHONE, AgentParty, Party, PhoneParty
from proxy_pool.core.reach import NeedsPin, Reached, Refusal, Refused, Way
from proxy_pool.core.receipts import RANK, is_failure
from proxy_pool.core.redaction import countries_of, redact
from proxy_pool.core.segments import MAX_SEGMENTS, count, smart
from proxy_pool.core.session import VISITOR, Channel, Redaction, Session
from proxy_pool.core.text import InboundText, ReceiptState
from telephony.errors import InvalidInput
from telephony.numbers import E164

PHONES: Final = "phones"
"""The carrier of texts from and to registered phones: the switch knows who they are."""
EXPIRES_S: Final = 4 * 3600.0
"""A text that no carrier took by then is ``expired``: it would come out of the blue."""
_PHONE_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")

RECEIVED: Final = "message.received"
BLOCKED: Final = "message.blocked"
OPT_OUT: Final = "message.opt_out"
OPT_IN: Final = "message.opt_in"
REFUSED: Final = "interaction.refused"


class Dropped(StrEnum):
    """Why a text is no text of a session. Nobody is told; it is counted."""

    NOT_OURS = "not_ours"
    LOOP = "loop"
    NO_NUMBER = "no_number"
    UNKNOWN = "unknown_sender"
    WORD = "keyword"


class Fault(StrEnum):
    """Why a text of a session is refused, besides ``Refusal``."""

    OPTED_OUT = "opted_out"
    NO_CARRIER = "no_carrier"
    TOO_LONG = "too_long"
    EMPTY = "nothing_to_relay"


@dataclass(frozen=True, slots=True)
class Draft:
    """A text that is to go out. ``carrier`` and ``sender`` are its lane."""

    carrier: str
    sender: E164
    to: Party = field(repr=False)
    body: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Passed:
    """The text goes out to the other one."""

    draft: Draft
    from_seat: int
    to_seat: int
    flags: tuple[str, ...]
    segments: int


@dataclass(frozen=True, slots=True)
class Stopped:
    """The text goes nowhere. ``status`` is ``refused`` or ``blocked``, ``outcome`` says why."""

    status: str
    outcome: str
    from_seat: int
    to_seat: int = VISITOR
    flags: tuple[str, ...] = ()
    segments: int = 0


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What is known besides the session. ``number``: the proxy number from which the other one is written to,
    None where it has left the pool. ``media``: attachments that can go along; ``lost`` ones could not."""

    number: PoolNumber | None
    opted_out: bool = False
    media: int = 0
    lost: int = 0
    missing: tuple[int, ...] = ()


def writer(text: InboundText, *, to_ours: bool, from_ours: bool) -> Party | Dropped:
    """Who wrote, if it is anybody who can be written back to.

    Only numbers written ``+`` and digits count: a number without its country could be somebody else's.
    Short codes, names and withheld numbers are nobody; a proxy number as the writer would go round for ever.
    """
    if not to_ours:
        return Dropped.NOT_OURS
    if from_ours:
        return Dropped.LOOP
    if text.carrier == PHONES and text.sender.startswith(PHONE):
        name = text.sender.removeprefix(PHONE)
        return PhoneParty(name) if _PHONE_NAME.fullmatch(name) else Dropped.NO_NUMBER
    return number_of(text.sender) or Dropped.NO_NUMBER


def number_of(sender: str) -> E164 | None:
    """The sender as a number, where it is one in E.164 form."""
    try:
        return E164(sender)
    except InvalidInput:
        return None


def carry(session: Session, way: Way, body: str, known: Circumstances) -> Passed | Stopped:
    """Whether a text goes on, and as what."""
    if isinstance(way, Refused):
        return Stopped("refused", way.reason, way.seat)
    if isinstance(way, NeedsPin):
        return Stopped("refused", Refusal.PIN, way.seat)
    fault = _fault(way, body, known)
    if fault is not None:
        return Stopped("refused", fault, way.seat, way.to_seat)
    return _redacted(session, way, body, known)


def _fault(way: Reached, body: str, known: Circumstances) -> Fault | None:
    if known.opted_out:
        return Fault.OPTED_OUT
    if _carrier(way.target, known.number) is None:
        return Fault.NO_CARRIER
    if not body.strip() and known.media == 0:
        return Fault.EMPTY
    return None


def _carrier(target: Party, number: PoolNumber | None) -> str | None:
    """The carrier that takes a text from this number to this party; None where none does: agents do not
    read texts."""
    if isinstance(target, PhoneParty):
        return PHONES
    if isinstance(target, AgentParty):
        return None
    if number is None or not number.carrier or Channel.SMS not in number.capabilities:
        return None
    return number.carrier


def _redacted(session: Session, way: Reached, body: str, known: Circumstances) -> Passed | Stopped:
    mode = session.terms.redaction
    redacted = redact(body, mode, () if mode is Redaction.OFF else countries_in(session))
    lost = ("media_removed",) if known.lost else ()
    flags = (*redacted.flags, *lost, *(("incomplete",) if known.missing else ()))
    if redacted.blocked:
        return Stopped("blocked", "redaction", way.seat, way.to_seat, flags)
    out = smart(redacted.body)
    segments = count(out)
    if segments > MAX_SEGMENTS:
        return Stopped("refused", Fault.TOO_LONG, way.seat, way.to_seat, flags, segments)
    carrier = _carrier(way.target, known.number) or ""
    return Passed(Draft(carrier, way.cli, way.target, out), way.seat, way.to_seat, flags, segments)


def countries_in(session: Session) -> tuple[str, ...]:
    """The countries whose national forms count as numbers in this session: its people's and its numbers'."""
    people = [one.party for one in session.participants if isinstance(one.party, E164)]
    return countries_of([*people, *(one.proxy for one in session.participants)])


def interaction_id(message_id: str) -> InteractionId:
    """The interaction that a text is: its ULID is the text's.

    >>> interaction_id("msg_01")
    'int_01'
    """
    return InteractionId(f"int_{message_id.partition('_')[2]}")


def interaction_of(
    session: Session, message_id: str, proxy: E164, verdict: Passed | Stopped, taken_at: float, now: float
) -> Interaction:
    """The interaction as it stands when the text was judged."""
    stopped = isinstance(verdict, Stopped)
    return Interaction(
        id=interaction_id(message_id),
        tenant=session.tenant,
        session=session.id,
        kind=Kind.MESSAGE,
        from_seat=verdict.from_seat,
        to_seat=verdict.to_seat,
        proxy=proxy,
        subject=message_id,
        status=verdict.status if isinstance(verdict, Stopped) else ReceiptState.QUEUED.value,
        created_at=taken_at,
        ended_at=now if stopped else None,
        outcome=str(verdict.outcome) if isinstance(verdict, Stopped) else "",
        segments=verdict.segments,
        flags=verdict.flags,
        sequence=RANK[ReceiptState.QUEUED],
    )


def event_of(state: ReceiptState) -> str | None:
    """What the world hears when a relayed text has come this far."""
    if is_failure(state):
        return "message.failed"
    return {ReceiptState.SENT: "message.sent", ReceiptState.DELIVERED: "message.delivered"}.get(state)
