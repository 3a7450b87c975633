"""Tokens: what somebody may do in one room, signed (LiveKit, "Authentication"; RFC 7519, HS256).

LiveKit takes a right that is not written for given, so every right is written out.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Final

import jwt
from livekit import api

from video_rooms.core.live import PASS, ROLE, Grant
from video_rooms.core.room import Role

_OURS: Final = (Role.PHONE, Role.AGENT)
"""Legs whose tokens never leave our processes: they may write their own attributes (a raised hand), and
administer their room, to see themselves off (``bridge.rtc_exit``)."""
_KINDS: Final = {Role.AGENT: "agent", Role.RECORDER: "egress"}


def press(grant: Grant, key: str, secret: str, now: datetime, *, host_is_admin: bool) -> str:
    """The token of this grant, valid from now on."""
    role = {} if grant.helper else {ROLE: grant.role.value}
    claims: dict[str, Any] = {
        "iss": key,
        "sub": grant.identity,
        "jti": grant.pass_id,
        "nbf": int(now.timestamp()),
        "exp": int(grant.expires_at.timestamp()),
        "name": grant.name,
        "kind": _KINDS.get(grant.role, "standard"),
        "metadata": grant.metadata if grant.helper else with_role(grant.metadata, grant.role),
        "attributes": {**grant.attributes, PASS: grant.pass_id, **role},
        "video": _written(rights(grant, host_is_admin=host_is_admin)),
    }
    return jwt.encode(claims, secret, algorithm="HS256")


def rights(grant: Grant, *, host_is_admin: bool) -> api.VideoGrants:
    """What LiveKit is to allow. Who waits in the lobby may be there, and nothing else."""
    recorder = grant.role is Role.RECORDER
    inside = not grant.waiting
    return api.VideoGrants(
        room_join=True,
        room=grant.room,
        room_admin=inside and (grant.role in _OURS or (host_is_admin and grant.role is Role.HOST)),
        can_publish=inside and not recorder,
        can_subscribe=inside,
        can_publish_data=inside and not recorder,
        can_update_own_metadata=grant.role in _OURS,
        hidden=recorder,
        recorder=recorder,
    )


def with_role(metadata: str, role: Role) -> str:
    """The caller's metadata with ``role`` put in, where they are a JSON object that has none of its own.

    Clients read it there; ours is in the attributes, where nobody else writes it.
    """
    if not metadata:
        return json.dumps({"role": role.value})
    try:
        told = json.loads(metadata)
    except (ValueError, RecursionError):
        return metadata
    if not isinstance(told, dict) or "role" in told:
        return metadata
    return json.dumps({**told, "role": role.value}, ensure_ascii=False)


def _written(grants: api.VideoGrants) -> dict[str, Any]:
    """The claim: names as LiveKit's JSON has them, what is not said left out."""
    claim: dict[str, Any] = api.access_token.Claims(video=grants).asdict()["video"]
    return claim
