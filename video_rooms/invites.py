"""Guests' ways into rooms. Fits ``gateway.http.ports_rooms.RoomInvites``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from telephony.errors import NotFound, RoomsUnavailable
from telephony.ids import TenantId
from video_rooms.core.grants import GUEST_S, Who
from video_rooms.core.names import identity_shown, shown
from video_rooms.core.room import Invite, Role, Room, Status
from video_rooms.core.roster import is_present
from video_rooms.core.wishes import InviteWish, Pass
from video_rooms.doors import Doors
from video_rooms.ports import Chances, InviteStore, PeopleStore, RoomAnnouncer, RoomStore

USUAL_HOURS: Final = 24
_TRIES: Final = 8
_LONGEST_IDENTITY: Final = 120
_MINTED_LETTERS: Final = 8
_SUFFIX_LETTERS: Final = 4


class Guests:
    """Invites, and what they are redeemed for. No two guests of a live session get one identity."""

    def __init__(
        self,
        invites: InviteStore,
        rooms: RoomStore,
        people: PeopleStore,
        doors: Doors,
        announcer: RoomAnnouncer,
        chances: Chances,
        now: Callable[[], datetime],
    ) -> None:
        self._invites = invites
        self._rooms = rooms
        self._people = people
        self._doors = doors
        self._announcer = announcer
        self._chances = chances
        self._now = now

    async def create(self, tenant: TenantId, room_id: str, wish: InviteWish) -> Invite:
        """Raises NotFound for a room that is not there or has ended."""
        if (await self._room(tenant, room_id)).status is Status.ENDED:
            raise NotFound("the room has ended")
        at = self._now()
        invite = Invite(
            id=wish.id or self._chances.uuid(),
            room_id=room_id,
            tenant=tenant,
            token=self._chances.token(),
            participant_name=wish.participant_name,
            expires_at=at + timedelta(hours=wish.expires_in_hours or USUAL_HOURS),
            revoked_at=None,
            max_uses=wish.max_uses,
            uses_count=0,
            created_at=at,
        )
        await self._invites.add(invite)
        return invite

    async def page(
        self, tenant: TenantId, room_id: str, *, expired_too: bool, limit: int
    ) -> Sequence[Invite]:
        """Newest first. Raises NotFound without the room."""
        await self._room(tenant, room_id)
        return await self._invites.of_room(
            tenant, room_id, expired_too=expired_too, now=self._now(), limit=limit
        )

    async def revoke(self, tenant: TenantId, room_id: str, invite_id: str) -> None:
        """See the port. Whoever is in the room by it stays."""
        if not await self._invites.revoke(tenant, room_id, invite_id, self._now()):
            raise NotFound("there is no such invite")

    async def redeem(self, token: str, display_name: str, identity: str | None) -> Pass:
        """See the port. A use is counted once the room is there; the pass may be one for the lobby."""
        invite = await self._invites.find(token, self._now())
        if invite is None:
            raise _no_way_in()
        room = await self._doors.open(invite.tenant, invite.room_id)
        if await self._invites.use(token, self._now()) is None:
            raise _no_way_in()
        own = await self._own(room, identity)
        passed = await self._doors.let(room, Who(own, display_name, Role.PARTICIPANT, member=False))
        told = {"invite_id": invite.id, "identity": identity_shown(own), "display_name": shown(display_name)}
        self._announcer.tell(
            room.tenant, "room.invite.redeemed", room.id, {**told, "waiting": passed.waiting}
        )
        return passed

    async def _own(self, room: Room, wanted: str | None) -> str:
        """An identity that is nobody else's for as long as this guest's pass may open."""
        for one in self._candidates(wanted):
            line = await self._people.one(room.id, one)
            now = self._now()
            if line is not None and is_present(line):
                continue
            if await self._people.claim(room.live_name, one, now, now + timedelta(seconds=GUEST_S)):
                return one
        raise RoomsUnavailable("no identity is free")

    def _candidates(self, wanted: str | None) -> Iterator[str]:
        if wanted is None:
            for _ in range(_TRIES):
                yield "guest_" + self._chances.hexes(_MINTED_LETTERS)
            return
        yield wanted
        stem = wanted[: _LONGEST_IDENTITY - _SUFFIX_LETTERS - 1]
        for _ in range(_TRIES):
            yield f"{stem}_{self._chances.hexes(_SUFFIX_LETTERS)}"

    async def _room(self, tenant: TenantId, room_id: str) -> Room:
        room = await self._rooms.get(tenant, room_id)
        if room is None:
            raise NotFound("there is no such room")
        return room


def _no_way_in() -> NotFound:
    """One answer for all: whoever guesses learns nothing."""
    return NotFound("there is no such invite, or it opens nothing any more")
