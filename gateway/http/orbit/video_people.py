"""Hosts' controls over people in a room, and telephones that are called into it."""

from __future__ import annotations

from gateway.http.answers import Answer
from gateway.http.operation import Ask
from gateway.http.orbit.agents import usable_agent
from gateway.http.orbit.audit import note
from gateway.http.orbit.room_dialling import bring_agent, call_into_room
from gateway.http.orbit.room_parties import call_party
from gateway.http.orbit.video_desk import phones_of, place_of, rooms_of
from gateway.http.orbit.video_schemas import CallIn, MuteTrack
from gateway.http.orbit.video_views import person_view
from telephony.errors import RoomsUnavailable
from video_rooms.core.names import identity_shown
from video_rooms.core.room import Json
from video_rooms.core.wishes import CallOut


async def kick(ask: Ask) -> Answer:
    """Put somebody out, for as long as they come with a token they have already. It is on record, too, where
    they are out only once the media server is back."""
    tenant, room_id = place_of(ask)
    identity = ask.path["identity"]
    told: dict[str, Json] = {"identity": identity_shown(identity)}
    try:
        await rooms_of(ask.face).scheduled.kick(tenant, room_id, identity)
    except RoomsUnavailable:
        await note(ask, "room.participant_kicked", room_id, {**told, "media_server": "away"})
        raise
    await note(ask, "room.participant_kicked", room_id, told)
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
    return Answer(person_view(ask.caller, person))


async def deny(ask: Ask) -> Answer:
    """Send somebody away from the lobby."""
    tenant, room_id = place_of(ask)
    identity = ask.path["identity"]
    await rooms_of(ask.face).scheduled.deny(tenant, room_id, identity)
    return Answer({"room_id": room_id, "identity": identity, "denied": True})


async def call_in(ask: Ask) -> Answer:
    """Call a telephone, or bring an agent, into the room. It costs what a call does, so the key must be one
    that places calls."""
    wanted: CallIn = ask.body
    ask.caller.demand("calls:write")
    tenant, room_id = place_of(ask)
    await rooms_of(ask.face).scheduled.detail(tenant, room_id)  # why: no such room is said before all else
    phones = phones_of(ask.face)
    if wanted.agent_id is not None:
        agent = await usable_agent(ask, wanted.agent_id, "agent_id")
        line = await bring_agent(ask, phones, room_id, agent, wanted.display_name, wanted.from_)
        return Answer(person_view(ask.caller, line))
    if wanted.session_id is not None:
        return Answer(person_view(ask.caller, await call_party(ask, phones, room_id, wanted)))
    wish = CallOut(
        to=wanted.to or "",
        display_name=wanted.display_name,
        ring_timeout_s=wanted.ring_timeout,
        consent=wanted.consent,
    )
    return Answer(person_view(ask.caller, await call_into_room(ask, phones, room_id, wish, wanted.from_)))
