"""Answers about video rooms. They document the shape; ``video_views`` builds them."""

from __future__ import annotations

from pydantic import JsonValue

from gateway.http.schema import Shown

Text = str | None


class RoomMadeShown(Shown):
    """A room just scheduled. `host_token` lets its maker in at once."""

    room_id: str
    room_sid: Text
    host_token: str
    ws_url: str
    pin: Text
    dial_in: bool


class ListedRoomShown(Shown):
    """A room in a list."""

    id: str
    name: str
    room_sid: Text
    host_user_id: str
    status: str
    scheduled_at: Text
    started_at: Text
    ended_at: Text
    recording_enabled: bool
    recording_url: Text
    max_participants: int
    settings: dict[str, JsonValue]
    created_at: str
    updated_at: str


class RecurrenceShown(Shown):
    """When a room comes again. `skipped` and `moved` (`from`, `to`) name occurrences by their
    original start."""

    rule: str
    timezone: str
    skipped: list[str]
    moved: list[dict[str, str]]


class RoomShown(ListedRoomShown):
    """A room whole. `next_start`: when it takes place next, or began if it is on. `why_ended`: `api`,
    `empty`, `media_server_lost_it` or `time_over`. `dial_in_numbers`: your numbers, E.164, at
    which `pin` opens it."""

    duration_minutes: int
    waiting_room: bool
    recurrence: RecurrenceShown | None
    next_start: Text
    why_ended: Text
    pin: Text
    dial_in: bool
    dial_in_numbers: list[str]


class OccurrenceShown(Shown):
    """One time a room takes place. `occurrence` names it: its original start, as addresses take it."""

    occurrence: str
    starts_at: str
    ends_at: str
    moved: bool


class PersonShown(Shown):
    """Somebody on a room's roster. `status`: waiting, pending, ringing, joined, left."""

    identity: str
    display_name: str
    role: str
    joined_at: Text
    left_at: Text
    status: str
    muted: bool
    hand_raised: bool
    call_id: Text
    why_left: Text


class DetailShown(Shown):
    """A room, and everybody who is or was in it."""

    room: RoomShown
    participants: list[PersonShown]


class PassShown(Shown):
    """A way in. `waiting`: into the lobby first; only where the room has one."""

    token: str
    ws_url: str
    room_sid: Text
    waiting: bool = False


class GuestPassShown(PassShown):
    """A guest's way in. The address stands there under three names."""

    media_url: str
    livekit_url: str
    room_id: str
    room_name: str
    identity: str
    display_name: str
    expires_at: str


class EndedShown(Shown):
    """A room that has ended."""

    room_id: str
    status: str
    ended_at: Text


class RecordingBegunShown(Shown):
    """A recording that runs."""

    egress_id: str


class RecordingEndedShown(Shown):
    """Nothing is recorded any more; `recording_url` comes once the file is finished."""

    room_id: str
    stopped: bool


class VideoInviteShown(Shown):
    """An invite. Whoever holds the token may redeem it."""

    id: str
    room_id: str
    invite_token: str
    participant_name: Text
    expires_at: str
    revoked_at: Text
    max_uses: int | None
    uses_count: int
    created_at: str


class InviteRevokedShown(Shown):
    """An invite that opens nothing any more."""

    id: str
    room_id: str
    revoked: bool


class KickedShown(Shown):
    """Somebody who was put out."""

    room_id: str
    identity: str
    kicked: bool


class MutedShown(Shown):
    """Somebody whose track was muted."""

    room_id: str
    identity: str
    kind: str
    muted: bool


class DeniedShown(Shown):
    """Somebody who was sent away from the lobby."""

    room_id: str
    identity: str
    denied: bool


class AdhocMadeShown(Shown):
    """An ad-hoc room just begun, with its host's token."""

    room_name: str
    display_name: str
    token: str
    url: str


class AdhocShown(Shown):
    """An ad-hoc room. `name` is its name at the media server; `max_participants` 0: no limit."""

    name: str
    display_name: str
    num_participants: int
    max_participants: int
    creation_time: str
    metadata: str


class AdhocPersonShown(Shown):
    """Somebody in an ad-hoc room."""

    identity: str
    name: str
    joined_at: str
    is_publishing: bool


class AdhocDetailShown(AdhocShown):
    """An ad-hoc room and who is in it."""

    participants: list[AdhocPersonShown]


class AdhocClosedShown(Shown):
    """An ad-hoc room that is no more."""

    name: str
    deleted: bool


class TokenShown(Shown):
    """A token, and where it is used."""

    token: str
    url: str
