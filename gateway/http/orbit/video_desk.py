"""The rooms behind a request, where there are any."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID, uuid5

from gateway.http.face import Face
from gateway.http.operation import Ask
from gateway.http.ports_rooms import RoomPhones, VideoRooms
from telephony.errors import RoomsUnavailable
from telephony.ids import TenantId

_MADE: Final = UUID("5d0f6a52-3d0b-4c56-9d51-1f0f0a6a3c6e")
"""Under which the ids of what is made here are UUIDs."""


def rooms_of(face: Face) -> VideoRooms:
    """Raises RoomsUnavailable where none are set up."""
    if face.rooms is None:
        raise RoomsUnavailable("video rooms are not set up here: the media server is missing")
    return face.rooms


def phones_of(face: Face) -> RoomPhones:
    """Raises RoomsUnavailable where telephones cannot be called into rooms."""
    phones = rooms_of(face).phones
    if phones is None:
        raise RoomsUnavailable("telephones cannot be called into rooms here")
    return phones


def place_of(ask: Ask) -> tuple[TenantId, str]:
    """Whose room is meant, and which."""
    ask.exchange.facts["room_id"] = ask.path["id"]
    return ask.caller.tenant, ask.path["id"]


def own_uuid(ask: Ask) -> str:
    """The UUID that what is made shall have: the same one for every attempt with one Idempotency-Key."""
    return str(uuid5(_MADE, ask.resource_id))


def occurrence_of(ask: Ask) -> datetime:
    """The original start in the path."""
    return datetime.fromisoformat(ask.path["occurrence"])
