"""What each role gets into its token, and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from telephony.errors import InvalidInput
from video_rooms.core.live import Grant
from video_rooms.core.lobby import WAITS
from video_rooms.core.names import shown
from video_rooms.core.room import Role, Room

SHORTEST_S: Final = 60
LONGEST_S: Final = 86_400
USUAL_S: Final = 6 * 3600
GUEST_S: Final = 3600
"""A token is needed to connect, and to connect again: the media server renews the tokens of whoever is
connected. A guest's is short, because an invite can be redeemed again."""


@dataclass(frozen=True, slots=True)
class Who:
    """Somebody who wants in. ``member``: they come with the tenant's own key, not by an invite."""

    identity: str
    name: str
    role: Role
    ttl_s: int | None = None
    member: bool = True
    user_id: str | None = None
    contact_id: str | None = None


def lifetime_s(who: Who) -> int:
    """Seconds for which the token opens. Raises InvalidInput out of bounds (60 to 86400)."""
    if who.ttl_s is None:
        return USUAL_S if who.member else GUEST_S
    if not SHORTEST_S <= who.ttl_s <= LONGEST_S:
        raise InvalidInput(
            "out of bounds",
            field="ttl_seconds",
            value=who.ttl_s,
            expected=f"{SHORTEST_S} to {LONGEST_S}",
        )
    return who.ttl_s


def must_wait(room: Room, role: Role) -> bool:
    """Whether somebody has to be let in from the lobby. Telephones were let in before they come here."""
    return room.waiting_room and role is Role.PARTICIPANT


def grant(room: Room, who: Who, pass_id: str, at: datetime) -> Grant:
    """A grant for this room's live session, made at this moment."""
    waiting = must_wait(room, who.role)
    attributes = {"user_id": who.user_id, "contact_id": who.contact_id}
    told = {name: value for name, value in attributes.items() if value}
    return Grant(
        room=room.live_name,
        identity=who.identity,
        name=shown(who.name),
        role=who.role,
        pass_id=pass_id,
        expires_at=at + timedelta(seconds=lifetime_s(who)),
        attributes={**told, **WAITS} if waiting else told,
        waiting=waiting,
    )
