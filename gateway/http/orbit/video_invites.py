"""Invites: ways into a room for people from outside."""

from __future__ import annotations

from typing import Final

from gateway.http.answers import Answer
from gateway.http.operation import Ask
from gateway.http.orbit.audit import note
from gateway.http.orbit.video_desk import own_uuid, place_of, rooms_of
from gateway.http.orbit.video_schemas import CreateInvite, ListInvites, RedeemInvite
from gateway.http.orbit.video_views import guest_view, invite_view
from video_rooms.core.wishes import InviteWish

_MOST: Final = 500


async def create(ask: Ask) -> Answer:
    """Make an invite. One that a cut-off attempt made is found again."""
    wanted: CreateInvite = ask.body
    invites, invite_id = rooms_of(ask.face).invites, own_uuid(ask)
    if ask.again:
        known = await invites.page(*place_of(ask), expired_too=True, limit=_MOST)
        made = next((one for one in known if one.id == invite_id), None)
        if made is not None:
            return Answer(invite_view(made))
    wish = InviteWish(wanted.participant_name, wanted.expires_in_hours, wanted.max_uses, invite_id)
    invite = await invites.create(*place_of(ask), wish)
    await note(ask, "room.invite_created", invite.room_id, {"invite_id": invite.id})
    return Answer(invite_view(invite))


async def list_invites(ask: Ask) -> Answer:
    query: ListInvites = ask.query
    invites = await rooms_of(ask.face).invites.page(
        *place_of(ask), expired_too=query.include_expired, limit=query.limit
    )
    return Answer([invite_view(invite) for invite in invites])


async def revoke(ask: Ask) -> Answer:
    """It opens nothing from now on."""
    tenant, room_id = place_of(ask)
    invite_id = ask.path["inviteId"]
    await rooms_of(ask.face).invites.revoke(tenant, room_id, invite_id)
    await note(ask, "room.invite_revoked", room_id, {"invite_id": invite_id})
    return Answer({"id": invite_id, "room_id": room_id, "revoked": True})


async def redeem(ask: Ask) -> Answer:
    """A guest's token. Whatever is wrong with the invite, the answer is the same."""
    wanted: RedeemInvite = ask.body
    way_in = await rooms_of(ask.face).invites.redeem(
        ask.path["inviteToken"], wanted.display_name, wanted.identity
    )
    ask.exchange.facts["room_id"] = way_in.room.id
    return Answer(guest_view(way_in))
