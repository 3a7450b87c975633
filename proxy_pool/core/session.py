"""A masking session and its terms, as immutable values. Times are epoch seconds, durations seconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Final, NewType

from proxy_pool.core.party import Party
from telephony.ids import TenantId
from telephony.numbers import E164

SessionId = NewType("SessionId", str)
"""``ses_`` and a ULID."""

VISITOR: Final = -1
"""The seat of somebody who is not a participant: let in by an open number, an extension or a PIN."""
SEAT_A: Final = 0
SEAT_B: Final = 1
"""In a group the members have the seats 1, 2, 3 …"""


class Model(StrEnum):
    """Who may reach whom. AXB, AX, AXE and AXG in the words of the carriers' masking products."""

    PAIR = "pair"
    """Two people, each other."""
    ANYONE = "anyone"
    """Whoever dials the number reaches party A; A reaches the temporary callee."""
    EXTENSION = "extension"
    """Whoever dials the number and this session's extension reaches party A."""
    GROUP = "group"
    """Each member reaches party A; A reaches the member heard from last, else the first."""


class Channel(StrEnum):
    VOICE = "voice"
    SMS = "sms"


class Numbers(StrEnum):
    PER_SIDE = "per_side"
    SHARED = "shared"


class Flow(StrEnum):
    """Which side may begin an interaction."""

    BOTH = "both"
    A_TO_B = "a_to_b"
    B_TO_A = "b_to_a"


class OnExpiry(StrEnum):
    """What becomes of a conversation when its session ends under it."""

    FINISH = "finish"
    WARN_THEN_END = "warn_then_end"
    END_NOW = "end_now"


class PinMode(StrEnum):
    OFF = "off"
    UNKNOWN = "unknown"
    """Asked only of callers who are not known."""
    ALWAYS = "always"
    """Asked of the participants too."""


class Sticky(StrEnum):
    """Whether the same two people get the numbers they had before."""

    PREFER = "prefer"
    AVOID = "avoid"


class Redaction(StrEnum):
    OFF = "off"
    MASK = "mask"
    BLOCK = "block"
    FLAG = "flag"


class Status(StrEnum):
    """``open`` until the first interaction, ``in_progress`` after it, ``closed`` for good."""

    OPEN = "open"
    IN_PROGRESS = "in_progress"
    CLOSED = "closed"


class CloseReason(StrEnum):
    API = "api"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds in a session. Each has a default of the service's, each may be said per session.

    The session ends at the earliest of ``expires_at``, last use plus ``ttl_s``, creation plus
    ``max_lifetime_s``; 0 means that this bound is not set, and ``max_lifetime_s`` is never 0.
    ``announcements``: (spoken to the caller when party A calls, … when party B calls); empty is none.
    """

    channels: frozenset[Channel] = frozenset(Channel)
    numbers: Numbers = Numbers.PER_SIDE
    expires_at: float = 0.0
    ttl_s: int = 0
    max_lifetime_s: int = 90 * 86_400
    on_expiry: OnExpiry = OnExpiry.FINISH
    warn_s: int = 30
    """How long before its end a conversation hears the warning tone, where it does."""
    call_limit_s: int = 3600
    warn_before_limit: bool = False
    flow: Flow = Flow.BOTH
    record: bool = False
    announce_a: str = ""
    """Sound (a prompt's file name) that party A hears before being joined; ``announce_b`` for party B."""
    announce_b: str = ""
    ring_timeout_s: int = 30
    pin_mode: PinMode = PinMode.OFF
    pin_length: int = 6
    quarantine_s: int = 7 * 86_400
    """How long a (participant, number) stays unused after the session, but by the same two people."""
    sticky: Sticky = Sticky.PREFER
    redaction: Redaction = Redaction.OFF


@dataclass(frozen=True, slots=True)
class Participant:
    """One seat of a session: who sits there, and the proxy number that this person dials and sees.

    ``pin`` lets another phone in as this participant. Party B of an anyone-session is the temporary callee
    and has no number of its own to dial: its ``proxy`` is party A's.
    """

    seat: int
    party: Party
    proxy: E164
    pin: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Session:
    """``ends_at`` is when it ends if nothing more happens; ``version`` counts changes from 1.

    ``last_seat`` is the group member (or visitor, by ``last_visitor``) heard from last, for calling back.
    """

    id: SessionId
    tenant: TenantId
    model: Model
    terms: Terms
    participants: tuple[Participant, ...]
    created_at: float
    ends_at: float
    status: Status = Status.OPEN
    extension: str = ""
    unique_name: str = ""
    metadata: tuple[tuple[str, str], ...] = ()
    webhook_url: str | None = field(default=None, repr=False)
    api_key_id: str | None = None
    last_used_at: float | None = None
    last_seat: int = SEAT_B
    closed_at: float | None = None
    close_reason: CloseReason | None = None
    free_at: float | None = None
    """When its pairs leave quarantine; set when it is closed."""
    version: int = 1
    interactions: int = 0

    @property
    def live(self) -> bool:
        return self.status is not Status.CLOSED

    def seated(self, seat: int) -> Participant | None:
        return next((one for one in self.participants if one.seat == seat), None)


class Hold(IntEnum):
    """The state of a (key, proxy number)."""

    PENDING = 0
    """Reserved, or being changed: only SQL knows."""
    LIVE = 1
    QUARANTINED = 2


@dataclass(frozen=True, slots=True)
class Door:
    """One (tenant, key, proxy number): the thing that is never given twice. ``index`` stands for the
    proxy number in the index: a small integer, stable for this tenant."""

    tenant: TenantId
    key: str
    proxy: E164
    index: int

    def __repr__(self) -> str:
        return f"Door({self.tenant}, {self.proxy.masked})"


@dataclass(frozen=True, slots=True)
class Entry:
    """What stands behind a door. ``until``: LIVE, the session's end; QUARANTINED, when it is free again.
    ``version`` is the session's.
    """

    session: SessionId
    seat: int
    hold: Hold
    until: float
    version: int = 1


@dataclass(frozen=True, slots=True)
class Binding:
    """A door of a session, as the ledger keeps it. ``peer`` is the key of the other one of a pair, to whom
    together sticky reuse is allowed; else empty."""

    door: Door
    entry: Entry
    peer: str = field(default="", repr=False)
