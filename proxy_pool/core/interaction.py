"""One call or one text of a masking session, both legs' results joined."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NewType

from proxy_pool.core.session import SessionId
from telephony.ids import TenantId
from telephony.numbers import E164

InteractionId = NewType("InteractionId", str)
"""``int_`` and a ULID; a call's interaction has its call's ULID."""


class Kind(StrEnum):
    VOICE = "voice"
    MESSAGE = "message"


@dataclass(frozen=True, slots=True)
class Interaction:
    """``from_seat`` and ``to_seat``: who reached out to whom (-1 is a visitor). ``proxy`` was dialled.

    ``status`` of a call is the call's (``ringing``, ``completed`` …); of a text ``received``, then the
    states of ``ReceiptState``, ``blocked`` by redaction, or ``refused``. ``outcome`` is the termination's
    reason, the carrier's error, or why it was refused.
    ``subject`` is the call's id or the text's; ``duration_s`` of the talk, ``segments`` of the text;
    ``flags``: what redaction found. ``body`` only where the service keeps bodies, as it was relayed.
    """

    id: InteractionId
    tenant: TenantId
    session: SessionId
    kind: Kind
    from_seat: int
    to_seat: int
    proxy: E164
    subject: str
    status: str
    created_at: float
    answered_at: float | None = None
    ended_at: float | None = None
    duration_s: int | None = None
    outcome: str = ""
    segments: int = 0
    flags: tuple[str, ...] = ()
    body: str = field(default="", repr=False)
    media: int = 0
    sequence: int = 0
    """Counts its changes from 1; its events carry it."""

    @property
    def over(self) -> bool:
        return self.ended_at is not None
