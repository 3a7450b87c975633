"""A room as it is kept: its plan, its place in life, who may come in, who was there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from telephony.ids import TenantId

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


class Status(StrEnum):
    """Where a room stands. ``LIVE`` from the first person's coming; a room that all have left before its time
    is ``SCHEDULED`` again; ``ENDED`` is final."""

    SCHEDULED = "scheduled"
    LIVE = "live"
    ENDED = "ended"


class Role(StrEnum):
    """What a person may do. ``PHONE`` and ``AGENT`` are legs that we bring in; ``RECORDER`` is never seen."""

    HOST = "host"
    PARTICIPANT = "participant"
    PHONE = "phone"
    AGENT = "agent"
    RECORDER = "recorder"


class Presence(StrEnum):
    """Where a person on the roster stands. Browsers know only ``JOINED`` and ``LEFT``; who waits in the lobby
    is ``WAITING``; who is called is ``PENDING``, ``RINGING``, then ``JOINED`` or ``LEFT``."""

    WAITING = "waiting"
    PENDING = "pending"
    RINGING = "ringing"
    JOINED = "joined"
    LEFT = "left"


@dataclass(frozen=True, slots=True)
class Recurrence:
    """When a room comes again. ``rule``: RFC 5545 RRULE without DTSTART; ``zone``: an IANA name in which the
    hour stays the same; ``without``: starts that do not take place (EXDATE); ``moved``: original start → new
    start. All moments are UTC; the original start names an occurrence for ever (RECURRENCE-ID)."""

    rule: str
    zone: str
    without: tuple[datetime, ...] = ()
    moved: tuple[tuple[datetime, datetime], ...] = ()


@dataclass(frozen=True, slots=True)
class Room:
    """A scheduled room. ``id`` is a UUID. ``live_name`` is its name at the media server: unguessable, new for
    each live session, so that what was let into an old one opens nothing. ``pin``: digits for telephones.
    ``recording_url`` is written once a recording is finished. ``gone_at``: since when the media server has
    its room ``room_sid`` no more; None: it may be there. ``why_ended``: a word of ``core.life``; None of
    rooms that have not ended, and of those that did before it was kept."""

    id: str
    tenant: TenantId
    name: str
    host_user_id: str
    status: Status
    live_name: str
    room_sid: str | None
    scheduled_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    recording_enabled: bool
    recording_url: str | None
    max_participants: int
    settings: Mapping[str, Json]
    created_at: datetime
    updated_at: datetime
    duration_minutes: int = 60
    waiting_room: bool = False
    recurrence: Recurrence | None = None
    sequence: int = 0
    pin: str = field(default="", repr=False)
    gone_at: datetime | None = None
    why_ended: str | None = None


@dataclass(frozen=True, slots=True)
class Invite:
    """A guest's way in: whoever holds ``token`` may redeem it until ``expires_at``, ``max_uses`` times."""

    id: str
    room_id: str
    tenant: TenantId
    token: str = field(repr=False)
    participant_name: str | None
    expires_at: datetime
    revoked_at: datetime | None
    max_uses: int | None
    uses_count: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Person:
    """One line of the roster. ``display_name`` never holds a real number. ``call_id``: a telephone's call.
    ``sid``: what the media server calls this coming; empty: it has not been seen there. ``session``: the live
    name of the session in which it was. ``admitted``: the pass that was let in from the lobby."""

    room_id: str
    identity: str
    display_name: str
    role: Role
    presence: Presence
    joined_at: datetime | None = None
    left_at: datetime | None = None
    muted: bool = False
    hand_raised: bool = False
    call_id: str | None = None
    why_left: str | None = None
    sid: str = ""
    session: str = ""
    admitted: str = ""


@dataclass(frozen=True, slots=True)
class Ban:
    """Whoever was put out of a live session: passes of ``identity`` issued up to ``at`` open it no more."""

    live_name: str
    identity: str
    at: datetime
