"""The route table of people in video rooms: guests with invites, hosts' controls, telephones."""

from __future__ import annotations

from typing import Final

from gateway.http.operation import OPEN
from gateway.http.orbit import video_invites, video_people
from gateway.http.orbit.video_desk import phones_of
from gateway.http.orbit.video_fields import InvitePath, PersonPath, TokenPath
from gateway.http.orbit.video_operations import BARE, KEPT, ROOM, reads, writes
from gateway.http.orbit.video_schemas import CallIn, CreateInvite, ListInvites, MuteTrack, RedeemInvite
from gateway.http.orbit.video_shown import (
    DeniedShown,
    GuestPassShown,
    InviteRevokedShown,
    KickedShown,
    MutedShown,
    PersonShown,
    VideoInviteShown,
)
from telephony.errors import (
    Conflict,
    NotFound,
    RoomsUnavailable,
    SwitchUnavailable,
    TooMany,
    UnknownReference,
)

_INVITES: Final = f"{ROOM}/invites"
_PEOPLE: Final = f"{ROOM}/participants"
_PERSON: Final = f"{_PEOPLE}/{{identity}}"

INVITES: Final = (
    writes(
        _INVITES,
        "createInvite",
        "Invite a guest",
        video_invites.create,
        "VIDEO_INVITE_CREATE_FAILED",
        status=201,
        body=CreateInvite,
        optional_body=True,
        shows=VideoInviteShown,
        raises=(NotFound, Conflict),
        id_prefix="inv",
    ),
    reads(
        _INVITES,
        "listInvites",
        "List the invites of a room",
        video_invites.list_invites,
        "VIDEO_INVITE_LIST_FAILED",
        query=ListInvites,
        shows=VideoInviteShown,
        many=True,
    ),
    writes(
        f"{_INVITES}/{{inviteId}}",
        "revokeInvite",
        "Revoke an invite",
        video_invites.revoke,
        "VIDEO_INVITE_REVOKE_FAILED",
        "DELETE",
        shows=InviteRevokedShown,
        path_rules=InvitePath,
    ),
    writes(
        "/invites/{inviteToken}/redeem",
        "redeemInvite",
        "Come in as a guest",
        video_invites.redeem,
        "VIDEO_INVITE_REDEEM_FAILED",
        access=OPEN,
        tag=KEPT,
        bucket="guests",
        any_origin=True,
        body=RedeemInvite,
        shows=GuestPassShown,
        path_rules=TokenPath,
        raises=(NotFound, Conflict, TooMany, RoomsUnavailable),
        description="No key: the token is the credential. 404 whatever is wrong with the invite. 30 requests "
        "a minute from one address. Pages of any origin may ask it.",
    ),
)

CONTROLS: Final = (
    writes(
        _PEOPLE,
        "callIntoRoom",
        "Call a telephone into a room, or bring an agent in",
        video_people.call_in,
        "VIDEO_PARTICIPANT_CALL_FAILED",
        status=202,
        body=CallIn,
        shows=PersonShown,
        bucket="calls.create",
        id_prefix="call",
        needs=phones_of,
        raises=(NotFound, Conflict, UnknownReference, SwitchUnavailable),
        description="An ordinary outbound call, judged and counted as one: the key needs `calls:write` too. "
        "The answer is its line on the roster; what becomes of it is told there, and by events.",
    ),
    writes(
        f"{_PERSON}/kick",
        "kickParticipant",
        "Put somebody out of a room",
        video_people.kick,
        "VIDEO_PARTICIPANT_KICK_FAILED",
        shows=KickedShown,
        path_rules=PersonPath,
        description="No token that they have already lets them in again; a new one does.",
        **BARE,
    ),
    writes(
        f"{_PERSON}/mute",
        "muteParticipant",
        "Mute somebody's sound or picture",
        video_people.mute,
        "VIDEO_PARTICIPANT_MUTE_FAILED",
        body=MuteTrack,
        optional_body=True,
        shows=MutedShown,
        path_rules=PersonPath,
        description="They may unmute themselves.",
    ),
    writes(
        f"{_PERSON}/admit",
        "admitParticipant",
        "Let somebody in from the lobby",
        video_people.admit,
        "VIDEO_PARTICIPANT_ADMIT_FAILED",
        shows=PersonShown,
        path_rules=PersonPath,
        raises=(NotFound, Conflict),
        **BARE,
    ),
    writes(
        f"{_PERSON}/deny",
        "denyParticipant",
        "Send somebody away from the lobby",
        video_people.deny,
        "VIDEO_PARTICIPANT_DENY_FAILED",
        shows=DeniedShown,
        path_rules=PersonPath,
        **BARE,
    ),
)
