"""What a telephone's own token says: which room it opens, and what the room is to be shown. Pure.

Whoever comes in by SIP has no token: LiveKit makes one for them. What ours says is put where LiveKit gives it
to them (the rule's attributes), so that a ban knows their pass, and the roster their role.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Opened:
    """``attributes``: those of the participant that the token makes. ``admin``: it opens the server's control
    interface for that room."""

    room: str
    identity: str
    name: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    admin: bool = False


def read_pass(token: str) -> Opened | None:
    """The claims of a token that we pressed ourselves; None for what is none. No signature is looked at:
    nobody is let in by what is read here."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return None
    if not isinstance(claims, dict):
        return None
    video, shown = claims.get("video"), claims.get("attributes", {})
    room = video.get("room") if isinstance(video, dict) else None
    identity, name = claims.get("sub"), claims.get("name", "")
    texts = (room, identity, name)
    if not all(isinstance(text, str) for text in texts) or not room or not isinstance(shown, dict):
        return None
    told = {key: value for key, value in shown.items() if isinstance(value, str)}
    admin = isinstance(video, dict) and video.get("roomAdmin") is True
    return Opened(str(room), str(identity), str(name), told, admin)
