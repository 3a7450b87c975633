"""What the HTTP face needs of video rooms. A foreign tenant's room is one that is not there: NotFound."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from dialplan.core.call import Endpoint, VideoRoom
from telephony.ids import CallId, TenantId
from video_rooms.core.live import MediaKind
from video_rooms.core.room import Invite, Person, Room, Status
from video_rooms.core.tape import RoomTape
from video_rooms.core.wishes import (
    Adhoc,
    AdhocPage,
    AdhocWish,
    CallOut,
    Detail,
    InviteWish,
    JoinWish,
    NewRoom,
    Pass,
    RoomChange,
    Scheduled,
    Token,
)


class ScheduledRooms(Protocol):
    """Rooms that are kept. All raise RoomsUnavailable where the media server is needed and not there, and
    NotFound for a room that is not there or, where somebody wants in, has ended."""

    async def schedule(self, tenant: TenantId, wanted: NewRoom) -> Scheduled: ...

    async def page(self, tenant: TenantId, status: Status | None, limit: int) -> Sequence[Room]: ...

    async def detail(self, tenant: TenantId, room_id: str) -> Detail: ...

    async def join(self, tenant: TenantId, room_id: str, wish: JoinWish) -> Pass: ...

    async def end(self, tenant: TenantId, room_id: str) -> Room:
        """Put everybody out, stop what is recorded; an ended room stays as it is."""
        ...

    async def start_recording(self, tenant: TenantId, room_id: str) -> str:
        """The recording's id; a running one's where there is one. Raises Conflict where nobody is there."""
        ...

    async def stop_recording(self, tenant: TenantId, room_id: str) -> None:
        """Nothing happens where none runs."""
        ...

    async def kick(self, tenant: TenantId, room_id: str, identity: str) -> None:
        """Put somebody out, for as long as they come with a pass issued until now. NotFound: not there."""
        ...

    async def mute(self, tenant: TenantId, room_id: str, identity: str, kind: MediaKind) -> None: ...

    async def admit(self, tenant: TenantId, room_id: str, identity: str) -> Person:
        """Let somebody in who waits in the lobby. NotFound: nobody of this name waits."""
        ...

    async def deny(self, tenant: TenantId, room_id: str, identity: str) -> None:
        """Send somebody away who waits in the lobby."""
        ...

    async def change(self, tenant: TenantId, room_id: str, wanted: RoomChange) -> Room:
        """Another plan; any change makes ``sequence`` go up (RFC 5546). Raises Conflict once it ended, and
        for another ``max_participants`` while people are in it, InvalidInput for what cannot be planned."""
        ...

    async def skip(self, tenant: TenantId, room_id: str, occurrence: datetime) -> Room:
        """One occurrence, named by its original start, does not take place. NotFound: there is none."""
        ...

    async def move(self, tenant: TenantId, room_id: str, occurrence: datetime, to: datetime) -> Room:
        """One occurrence takes place at another time."""
        ...

    async def calendar(self, tenant: TenantId, room_id: str) -> str:
        """The room as a calendar file, lines ended by CRLF. Raises InvalidInput for a room without a time."""
        ...


class RoomInvites(Protocol):
    async def create(self, tenant: TenantId, room_id: str, wish: InviteWish) -> Invite: ...

    async def page(
        self, tenant: TenantId, room_id: str, *, expired_too: bool, limit: int
    ) -> Sequence[Invite]: ...

    async def revoke(self, tenant: TenantId, room_id: str, invite_id: str) -> None:
        """NotFound where there is no such invite of this room."""
        ...

    async def redeem(self, token: str, display_name: str, identity: str | None) -> Pass:
        """The token is the credential. NotFound where it is unknown, revoked, expired or used up, or its
        room has ended: one answer for all."""
        ...


class AdhocRooms(Protocol):
    """Rooms that only the media server knows. Names are taken with the tenant's prefix or without."""

    async def create(self, tenant: TenantId, wish: AdhocWish) -> tuple[Adhoc, Token]: ...

    async def page(self, tenant: TenantId, *, cursor: str | None, limit: int) -> AdhocPage:
        """By name, from the cursor on. Raises InvalidInput (INVALID_CURSOR)."""
        ...

    async def one(self, tenant: TenantId, name: str) -> Adhoc: ...

    async def delete(self, tenant: TenantId, name: str) -> None:
        """Nothing happens where it is not there."""
        ...

    async def token(self, tenant: TenantId, name: str, participant_name: str, metadata: str) -> Token: ...


class RoomHook(Protocol):
    async def heard(self, body: bytes, authorization: str) -> None:
        """A report of the media server's. Raises NotAuthenticated, InvalidInput, StorageUnavailable (the
        server then sends it again)."""
        ...


class RoomPhones(Protocol):
    """Telephones that are called into rooms. The call itself is placed as every other one, by
    ``gateway.http.orbit.room_dialling.call_into_room``, which asks these."""

    async def prepare(
        self, tenant: TenantId, room_id: str, wanted: CallOut, call_id: CallId
    ) -> tuple[Endpoint, Person]:
        """Make a place for a telephone that is about to be called: what the call shall be joined with, and
        its line on the roster, ``PENDING``. Raises NotFound (not there, or ended), Conflict (ROOM_FULL),
        RoomsUnavailable."""
        ...

    async def prepare_agent(
        self, tenant: TenantId, room_id: str, name: str, call_id: CallId
    ) -> tuple[VideoRoom, Person]:
        """The same for an agent that is about to be brought in: the room is what the call rings first."""
        ...

    async def forget(self, call_id: CallId) -> None:
        """The call that was prepared for was not placed: its line on the roster goes with it."""
        ...

    async def one(self, room_id: str, call_id: CallId) -> Person | None:
        """The telephone of this call, as it stands on the room's roster."""
        ...


class RoomTapes(Protocol):
    """What is kept of rooms' recordings; see ``gateway.storage.room_tapes``."""

    async def get(self, tenant: TenantId, tape_id: str) -> RoomTape | None: ...

    async def of_room(self, tenant: TenantId, room_id: str) -> Sequence[RoomTape]:
        """Oldest first."""
        ...

    async def forget(self, tenant: TenantId, tape_id: str) -> bool:
        """False where it is not there, or still being made."""
        ...


def _no_lines(tenant: TenantId) -> Sequence[str]:
    return ()


@dataclass(frozen=True, slots=True)
class VideoRooms:
    """All that the face asks of rooms. Without ``phones`` no telephone can be called into one. ``lines``
    gives the tenant's own numbers that lead to its rooms, E.164 with plus."""

    scheduled: ScheduledRooms
    invites: RoomInvites
    adhoc: AdhocRooms
    hook: RoomHook
    phones: RoomPhones | None = None
    tapes: RoomTapes | None = None
    lines: Callable[[TenantId], Sequence[str]] = _no_lines
