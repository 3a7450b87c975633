"""Rooms as the media server tells of them, and what it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal

from video_rooms.core.room import Role

PASS: str = "patchbay.pass"  # noqa: S105  # a name, no secret
"""The attribute in which a token's own id travels: time-ordered (ULID), so that a ban knows older ones."""
ROLE: str = "role"
MediaKind = Literal["audio", "video"]


class Kind(StrEnum):
    """What sort of participant the media server takes somebody for."""

    STANDARD = "standard"
    INGRESS = "ingress"
    EGRESS = "egress"
    SIP = "sip"
    AGENT = "agent"


@dataclass(frozen=True, slots=True)
class LiveTrack:
    sid: str
    kind: MediaKind
    muted: bool
    source: str


@dataclass(frozen=True, slots=True)
class LivePerson:
    """Somebody in a room now."""

    sid: str
    identity: str
    name: str
    kind: Kind
    joined_at: datetime
    publishing: bool
    hidden: bool = False
    attributes: Mapping[str, str] = field(default_factory=dict)
    metadata: str = ""
    tracks: tuple[LiveTrack, ...] = ()


@dataclass(frozen=True, slots=True)
class LiveRoom:
    """A room at the media server. ``people`` counts those who count; it may be some seconds old."""

    name: str
    sid: str
    people: int
    max_people: int
    created_at: datetime
    metadata: str = ""
    recording: bool = False


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token opens: one room, one identity, until ``expires_at``. ``pass_id`` is a ULID made for it.
    ``helper``: somebody of ours whom no roster shows."""

    room: str
    identity: str
    name: str
    role: Role
    pass_id: str
    expires_at: datetime
    metadata: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    waiting: bool = False
    helper: bool = False


class Happened(StrEnum):
    """What the media server reports (LiveKit, "Webhooks"); others are passed over."""

    ROOM_STARTED = "room_started"
    ROOM_FINISHED = "room_finished"
    JOINED = "participant_joined"
    LEFT = "participant_left"
    ABORTED = "participant_connection_aborted"
    PUBLISHED = "track_published"
    UNPUBLISHED = "track_unpublished"
    EGRESS_STARTED = "egress_started"
    EGRESS_UPDATED = "egress_updated"
    EGRESS_ENDED = "egress_ended"


@dataclass(frozen=True, slots=True)
class EgressNews:
    """A recording by the media server's own recorder. ``failed`` says why it failed; empty: it did not."""

    id: str
    room: str
    done: bool
    failed: str = ""
    location: str = ""
    duration_ms: int = 0
    size: int = 0


@dataclass(frozen=True, slots=True)
class LiveEvent:
    """One report, verified. ``id`` is the same for a repeated delivery. ``why``: why somebody left
    (LiveKit's ``DisconnectReason`` in small letters, ``client_initiated``, ``duplicate_identity``). A report
    of a track (``PUBLISHED``, ``UNPUBLISHED``) has names and ids of its room and person, and that track: the
    rest of them is empty there, and their moments are 1970."""

    id: str
    what: Happened
    at: datetime
    room: LiveRoom | None
    person: LivePerson | None = None
    egress: EgressNews | None = None
    why: str = ""
