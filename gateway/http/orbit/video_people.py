"""Hosts' controls over people in a room, and telephones that are called into it."""

from __future__ import annotations

from gateway.http.answers import Answer
from gateway.http.operation import Ask
from gateway.http.orbit.audit import note
from gateway.http.orbit.video_desk import place_of, rooms_of
from gateway.http.orbit.video_schemas import MuteTrack
from gateway.http.orbit.video_views import person_view


async def kick(ask: Ask) -> Answer:
    """Put somebody out, for as long as they come with a token they have already."""
    tenant, room_id = place_of(ask)
    identity = ask.path["identity"]
    await rooms_of(ask.face).scheduled.kick(tenant, room_id, identity)
    await note(ask, "room.participant_kicked", room_id, {"identity": identity})
    return Answer({"room_id": room_id, "identity": identity, "kicked": True})


async def mute(ask: Ask) -> Answer:
    """Mute somebody, who may unmute themselves."""
    wanted: MuteTrack = ask.body
    tenant, room_id = place_of(ask)
    identity = ask.path["identity"]
    await rooms_of(ask.face).scheduled.mute(tenant, room_id, identity, wanted.kind)
    return Answer({"room_id": room_id, "identity": identity, "kind": wanted.kind, "muted": True})


async def admit(ask: Ask) -> Answer:
    """Let somebody in from the lobby."""
    person = await rooms_of(ask.face).scheduled.admit(*place_of(ask), ask.path["identity"])
    return Answer(person_view(person))


async def deny(ask: Ask) -> Answer:
    """Send somebody away from the lobby."""
    tenant, room_id = place_of(ask)
    identity = ask.path["identity"]
    await rooms_of(ask.face).scheduled.deny(tenant, room_id, identity)
    return Answer({"room_id": room_id, "identity": identity, "denied": True})
