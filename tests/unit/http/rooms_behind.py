"""Video rooms behind the face: what fits its ports, in memory, and what a test does with it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from dialplan.core.call import Endpoint, HoldMusic, VideoRoom
from gateway.http.ports_rooms import VideoRooms
from telephony.errors import InvalidInput, NotAuthenticated, NotFound
from telephony.ids import CallId, TenantId
from telephony.numbers import mask
from tests.unit.http.rooms_kept import Invites, Kept
from tests.unit.http.rooms_known import URL, RoomsKnown
from video_rooms.core.live import Kind, LivePerson, LiveRoom
from video_rooms.core.room import Person, Presence, Role, Status
from video_rooms.core.tape import RoomTape, TapeState
from video_rooms.core.wishes import Adhoc, AdhocPage, AdhocWish, CallOut, Token

VIDEO = "/api/v1/video"
KEPT = f"{VIDEO}/rooms-scheduled"
PASSING = f"{VIDEO}/rooms"
SIGNED = "signed-by-the-media-server"
FIRST = "2026-05-10T14:00:00Z"
TAPE = "EG_0000000000{}"
"""Each room of these tests has one recording, of this id."""


async def room_paths(client: Any) -> dict[str, str]:
    """An existing thing of the client's for every parameter of video's paths: a series with a guest in it,
    who is invited, and an ad-hoc room."""
    daily = {"rule": "FREQ=DAILY;COUNT=9", "timezone": "Europe/Berlin"}
    wanted = {"name": "Stand-up", "scheduled_at": FIRST, "recurrence": daily}
    room_id = (await client.post(KEPT, wanted)).data["room_id"]
    invite = (await client.post(f"{KEPT}/{room_id}/invites")).data
    assert (await client.post(f"{KEPT}/{room_id}/join", {"identity": "user_42"})).status == 200
    assert (await client.post(PASSING, {"name": "quick-sync"})).status == 201
    return {
        "id": room_id,
        "inviteId": invite["id"],
        "inviteToken": invite["invite_token"],
        "identity": "user_42",
        "occurrence": "20260511T140000Z",
        "name": "quick-sync",
        "recordingId": TAPE.format(room_id[-4:]),
        "file": "composite.mp4",
    }


@dataclass(eq=False)
class RoomsBehind(RoomsKnown):
    """Everything the stand-ins know, and the ports that they fit."""

    def ports(self) -> VideoRooms:
        behind = Kept(self), Invites(self), Passing(self), Hook(self), Phones(self), Tapes(self)
        return VideoRooms(*behind, lines=lambda tenant: self.lines.get(tenant, ()))


@dataclass(eq=False)
class Passing:
    """Fits ``AdhocRooms``."""

    behind: RoomsKnown

    async def create(self, tenant: TenantId, wish: AdhocWish) -> tuple[Adhoc, Token]:
        self.behind.check()
        self.behind.asked.append(wish)
        name = self._wire(tenant, wish.name)
        metadata = "" if wish.metadata is None else json.dumps(wish.metadata)
        room = LiveRoom(
            name, f"RM_{self.behind.number()}", 0, wish.max_participants or 0, self.behind.now(), metadata
        )
        adhoc = self.behind.passing.setdefault(name, Adhoc(room, wish.name))
        return adhoc, self._token(wish.host_identity)

    async def page(self, tenant: TenantId, *, cursor: str | None, limit: int) -> AdhocPage:
        self.behind.check()
        names = sorted(name for name in self.behind.passing if name.startswith(self._wire(tenant, "")))
        if cursor is not None and cursor not in names:
            raise InvalidInput("no such cursor", field="cursor", code="INVALID_CURSOR")
        rest = names[names.index(cursor) if cursor else 0 :]
        beyond = rest[limit] if len(rest) > limit else None
        return AdhocPage(tuple(self.behind.passing[name] for name in rest[:limit]), beyond, len(names))

    async def one(self, tenant: TenantId, name: str) -> Adhoc:
        self.behind.check()
        adhoc = self.behind.passing.get(self._wire(tenant, name))
        if adhoc is None:
            raise NotFound("there is no such room")
        return adhoc

    async def delete(self, tenant: TenantId, name: str) -> None:
        self.behind.check()
        self.behind.passing.pop(self._wire(tenant, name), None)

    async def token(self, tenant: TenantId, name: str, participant_name: str, metadata: str) -> Token:
        adhoc = await self.one(tenant, name)
        self.behind.asked.append((participant_name, metadata))
        person = LivePerson(
            "PA_1", participant_name, participant_name, Kind.STANDARD, self.behind.now(), True
        )
        room = replace(adhoc.room, people=len(adhoc.people) + 1)
        self.behind.passing[room.name] = Adhoc(room, adhoc.display_name, (*adhoc.people, person))
        return self._token(participant_name)

    def _wire(self, tenant: TenantId, name: str) -> str:
        prefix = f"tenant_{tenant}_"
        return name if name.startswith(prefix) else prefix + name

    def _token(self, identity: str) -> Token:
        return Token(f"token-{self.behind.number()}-{identity}", URL)


@dataclass(eq=False)
class Hook:
    """Fits ``RoomHook``."""

    behind: RoomsKnown

    async def heard(self, body: bytes, authorization: str) -> None:
        self.behind.check()
        if authorization != SIGNED:
            raise NotAuthenticated("the signature is not the media server's")
        self.behind.heard.append(body)


@dataclass(eq=False)
class Phones:
    """Fits ``RoomPhones``."""

    behind: RoomsKnown

    async def prepare(
        self, tenant: TenantId, room_id: str, wanted: CallOut, call_id: CallId
    ) -> tuple[Endpoint, Person]:
        room = self.behind.find(tenant, room_id)
        if room.status is Status.ENDED:
            raise NotFound("the room has ended")
        self.behind.asked.append(wanted)
        shown = wanted.display_name or ("Phone" if wanted.to.startswith("phone:") else mask(wanted.to))
        line = Person(room_id, f"phone_{call_id}", shown, Role.PHONE, Presence.PENDING, call_id=call_id)
        self.behind.people[room_id][line.identity] = line
        return HoldMusic(), line

    async def prepare_agent(
        self, tenant: TenantId, room_id: str, name: str, call_id: CallId
    ) -> tuple[VideoRoom, Person]:
        self.behind.find(tenant, room_id)
        self.behind.asked.append(name)
        line = Person(room_id, f"phone_{call_id}", name, Role.AGENT, Presence.PENDING, call_id=call_id)
        self.behind.people[room_id][line.identity] = line
        return VideoRoom("WebSocket/room0/c(slin16)nf(json)/0123456789abcdef", room_id), line

    async def forget(self, call_id: CallId) -> None:
        for people in self.behind.people.values():
            people.pop(f"phone_{call_id}", None)

    async def one(self, room_id: str, call_id: CallId) -> Person | None:
        return self.behind.people[room_id].get(f"phone_{call_id}")


@dataclass(eq=False)
class Tapes:
    """Fits ``RoomTapes``: one finished recording of every room."""

    behind: RoomsKnown

    async def get(self, tenant: TenantId, tape_id: str) -> RoomTape | None:
        found = [tape for room in self.behind.kept for tape in await self.of_room(tenant, room)]
        return next((tape for tape in found if tape.id == tape_id), None)

    async def of_room(self, tenant: TenantId, room_id: str) -> Sequence[RoomTape]:
        if self.behind.broken:
            self.behind.check()
        room = self.behind.kept[room_id]
        if room.tenant != tenant or room_id in self.behind.forgotten:
            return ()
        now, tape_id = self.behind.now(), TAPE.format(room_id[-4:])
        tape = RoomTape(tape_id, room_id, tenant, TapeState.READY, now, now, 61_000, 9_000, 2)
        return (replace(tape, why=self.behind.broken_off.get(tape_id, "")),)

    async def forget(self, tenant: TenantId, tape_id: str) -> bool:
        tape = await self.get(tenant, tape_id)
        if tape is None:
            return False
        self.behind.forgotten.add(tape.room_id)
        return True
