"""Text messages as every carrier's adapter tells them. Times are epoch seconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from telephony.numbers import E164


class ReceiptState(StrEnum):
    """How far a text has come. Forward only: see ``proxy_pool.core.receipts``."""

    QUEUED = "queued"
    SENT = "sent"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    FAILED = "failed"
    EXPIRED = "expired"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Media:
    """An attachment at the carrier: fetched through the guarded client, scrubbed, re-hosted."""

    url: str = field(repr=False)
    content_type: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a long text (3GPP TS 23.040 §9.2.3.24.1, .8): ``number`` counts from 1."""

    reference: int
    total: int
    number: int


@dataclass(frozen=True, slots=True)
class InboundText:
    """A text that somebody sent to a number of ours. ``sender`` is as the carrier gave it, maybe no number.

    ``carrier`` is the configured carrier's name; (carrier, message_id) is the same for a repeated delivery.
    """

    carrier: str
    message_id: str
    sender: str = field(repr=False)
    to: E164
    body: str = field(repr=False)
    sent_at: float | None = None
    media: tuple[Media, ...] = ()
    part: Part | None = None
    opt_out: str = ""
    """``stop``, ``start`` or ``help`` where the carrier has seen such a word itself."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a carrier says became of a text that we sent through it."""

    carrier: str
    message_id: str
    state: ReceiptState
    error: str = ""
    at: float | None = None


@dataclass(frozen=True, slots=True)
class OutboundText:
    """A text of ours to be sent. ``id`` (``msg_…``) is passed to carriers that take a reference of ours."""

    id: str
    sender: E164
    to: E164
    body: str = field(repr=False)
    media: tuple[Media, ...] = ()
    phone: str = ""
    """The registered phone that gets it, where the receiver has no number; ``to`` is then ``sender``."""
