"""Rooms that only the media server knows. Fits ``gateway.http.ports_rooms.AdhocRooms``."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from telephony.errors import MalformedRequest, NotFound
from telephony.ids import TenantId
from video_rooms.core.grants import USUAL_S
from video_rooms.core.live import Grant, LiveRoom
from video_rooms.core.names import bare_name, is_url_safe, prefix, shown, wire_name
from video_rooms.core.room import Role
from video_rooms.core.roster import counts
from video_rooms.core.wishes import Adhoc, AdhocPage, AdhocWish, Token
from video_rooms.ports import Chances, RoomServer

MOST_PEOPLE: Final = 100
"""In a room whose maker named no bound."""
_EMPTY_S: Final = 300
_DEPARTURE_S: Final = 20


class PassingRooms:
    """Every name carries its tenant's prefix at the media server; names may be given with it or without."""

    def __init__(self, server: RoomServer, chances: Chances, now: Callable[[], datetime]) -> None:
        self._server = server
        self._chances = chances
        self._now = now

    async def create(self, tenant: TenantId, wish: AdhocWish) -> tuple[Adhoc, Token]:
        """The room and its maker's token; one of this name that is there is kept as it is."""
        name = wire_name(tenant, wish.name)
        room = await self._server.create(
            name,
            max_people=wish.max_participants or MOST_PEOPLE,
            metadata="" if wish.metadata is None else json.dumps(dict(wish.metadata), ensure_ascii=False),
            empty_timeout_s=_EMPTY_S,
            departure_timeout_s=_DEPARTURE_S,
        )
        host = self._token(name, wish.host_identity, Role.HOST, "")
        return _told(tenant, room), host

    async def page(self, tenant: TenantId, *, cursor: str | None, limit: int) -> AdhocPage:
        """See the port. The cursor is the name that the page begins with."""
        own = prefix(tenant)
        listed = await self._server.rooms()
        mine = sorted((room for room in listed if room.name.startswith(own)), key=lambda room: room.name)
        start = "" if cursor is None else _from(tenant, cursor)
        left = [room for room in mine if room.name >= start]
        following = left[limit].name if len(left) > limit else None
        return AdhocPage(tuple(_told(tenant, room) for room in left[:limit]), following, len(mine))

    async def one(self, tenant: TenantId, name: str) -> Adhoc:
        """The room with whoever is in it; recorders are not shown."""
        room = await self._found(tenant, name)
        people = await self._server.people(room.name)
        visible = tuple(person for person in people if not person.hidden)
        now = replace(
            room, people=sum(map(counts, people))
        )  # why: what the room itself tells is some seconds old
        return Adhoc(now, bare_name(tenant, room.name) or "", visible)

    async def delete(self, tenant: TenantId, name: str) -> None:
        """See the port."""
        await self._server.delete(wire_name(tenant, name))

    async def token(self, tenant: TenantId, name: str, participant_name: str, metadata: str) -> Token:
        """A way in for somebody of this name, which is their identity too. Raises NotFound."""
        room = await self._found(tenant, name)
        return self._token(room.name, participant_name, Role.PARTICIPANT, metadata)

    async def _found(self, tenant: TenantId, name: str) -> LiveRoom:
        found = await self._server.rooms([wire_name(tenant, name)])
        if not found:
            raise NotFound("there is no such room")
        return found[0]

    def _token(self, room: str, identity: str, role: Role, metadata: str) -> Token:
        now = self._now()
        granted = Grant(
            room=room,
            identity=identity,
            name=shown(identity),
            role=role,
            pass_id=self._chances.pass_id(now),
            expires_at=now + timedelta(seconds=USUAL_S),
            metadata=metadata,
        )
        return Token(self._server.token(granted), self._server.url, room)


def _told(tenant: TenantId, room: LiveRoom) -> Adhoc:
    return Adhoc(room, bare_name(tenant, room.name) or "")


def _from(tenant: TenantId, cursor: str) -> str:
    if not is_url_safe(cursor):
        raise MalformedRequest(
            "this is no cursor of ours",
            field="cursor",
            expected="next_cursor of a page",
            code="INVALID_CURSOR",
        )
    return wire_name(tenant, cursor)
