"""What is asked of rooms, and what is given back. Every field has passed the face's rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from video_rooms.core.live import LivePerson, LiveRoom
from video_rooms.core.room import Json, Person, Recurrence, Role, Room


@dataclass(frozen=True, slots=True)
class NewRoom:
    """A room to schedule. ``scheduled_at`` None: now. ``host_user_id`` is the caller's own id. ``id``: a UUID
    that no room has; None: one is made."""

    name: str
    scheduled_at: datetime | None
    recording_enabled: bool
    max_participants: int
    settings: Mapping[str, Json]
    host_user_id: str
    duration_minutes: int = 60
    waiting_room: bool = False
    recurrence: Recurrence | None = None
    dial_in: bool = True
    id: str | None = None


@dataclass(frozen=True, slots=True)
class RoomChange:
    """What is to be another of a room; None: stays. ``once``: a series is one no more, and takes place only
    at its next time, or at ``scheduled_at``."""

    scheduled_at: datetime | None = None
    duration_minutes: int | None = None
    recurrence: Recurrence | None = None
    once: bool = False
    name: str | None = None
    max_participants: int | None = None
    waiting_room: bool | None = None
    recording_enabled: bool | None = None


@dataclass(frozen=True, slots=True)
class JoinWish:
    """Who wants in. ``role`` is what the caller may give. ``ttl_s`` None: the installation's."""

    identity: str
    display_name: str
    role: Role
    ttl_s: int | None = None
    user_id: str | None = None
    contact_id: str | None = None


@dataclass(frozen=True, slots=True)
class Pass:
    """A way into a live session: what a browser connects with. ``waiting``: the lobby, until let in."""

    token: str = field(repr=False)
    url: str
    room: Room
    identity: str
    display_name: str
    expires_at: datetime
    waiting: bool = False


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A room just made, with its host's token."""

    room: Room
    host: Pass


@dataclass(frozen=True, slots=True)
class InviteWish:
    """An invite to be made. ``id`` is a UUID that no invite has; None: one is made."""

    participant_name: str | None
    expires_in_hours: int | None
    max_uses: int | None
    id: str | None = None


@dataclass(frozen=True, slots=True)
class AdhocWish:
    """``name`` without the tenant's prefix. ``host_identity`` is the caller's own id."""

    name: str
    max_participants: int | None
    metadata: Mapping[str, Json] | None
    host_identity: str


@dataclass(frozen=True, slots=True)
class Adhoc:
    """An ad-hoc room. ``room.name`` is the wire name, ``display_name`` has no prefix."""

    room: LiveRoom
    display_name: str
    people: tuple[LivePerson, ...] = ()


@dataclass(frozen=True, slots=True)
class AdhocPage:
    """``next_cursor`` is a name; ``total`` counts the tenant's rooms."""

    rooms: tuple[Adhoc, ...]
    next_cursor: str | None
    total: int


@dataclass(frozen=True, slots=True)
class Token:
    token: str = field(repr=False)
    url: str = ""
    room_name: str = ""


@dataclass(frozen=True, slots=True)
class Detail:
    """A room and everybody who was or is in it."""

    room: Room
    people: tuple[Person, ...]


@dataclass(frozen=True, slots=True)
class CallOut:
    """A telephone to be called into a room. ``to``: E.164 or ``phone:NAME``, judged by policy elsewhere.
    ``display_name`` is what the room sees; None: the number, masked. ``consent``: whoever answers has to
    press 1 before they are in the room, so that no answering machine is."""

    to: str = field(repr=False)
    display_name: str | None = None
    ring_timeout_s: int = 40
    consent: bool = True
