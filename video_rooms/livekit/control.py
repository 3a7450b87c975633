"""A LiveKit server's control interface (Twirp over HTTP, package livekit-api), as ``RoomServer``."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

import aiohttp
from google.protobuf.message import DecodeError
from livekit import api

from telephony.clock import Clock
from telephony.errors import InvalidInput, RoomsUnavailable
from video_rooms.core.live import Grant, LiveEvent, LivePerson, LiveRoom, MediaKind
from video_rooms.livekit import egress
from video_rooms.livekit.hook import hear
from video_rooms.livekit.tokens import press
from video_rooms.livekit.translate import person_of, room_of

DEADLINE_S: Final = 4.0
_NO_RECORDER_HOLDS_S: Final = 60.0
_TYPES: Final = {"audio": api.TrackType.AUDIO, "video": api.TrackType.VIDEO}
_CODES: Final = api.ServerErrorCode
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class LiveKitAddress:
    """A LiveKit server, and one API key of it with its secret. ``url``: ``ws``, ``wss``, ``http`` or
    ``https``. ``public_url``: what browsers connect to, where that is another. ``old_keys``: keys and secrets
    whose signature under reports holds besides the one in use."""

    url: str
    key: str
    secret: str = field(repr=False)
    public_url: str = ""
    old_keys: Mapping[str, str] = field(default_factory=dict, repr=False)


class LiveKitRooms:
    """Rooms at one LiveKit server. Opens no connection before it is asked something; ``close`` at the end.
    ``host_is_admin``: hosts' tokens open the server's own control interface for their room."""

    def __init__(
        self,
        address: LiveKitAddress,
        clock: Clock,
        *,
        host_is_admin: bool = False,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        self._address = address
        self._clock = clock
        self._near = "ws" + address.url.removeprefix("http").removeprefix("ws")
        self._hook_keys = {**address.old_keys, address.key: address.secret}
        self._host_is_admin = host_is_admin
        self._client: api.LiveKitAPI | None = None
        self._deadline_s = deadline_s
        self._no_recorder_until = float("-inf")

    def __repr__(self) -> str:
        return f"LiveKitRooms({self._address.url})"

    @property
    def url(self) -> str:
        return self._address.public_url or self._near

    @property
    def near_url(self) -> str:
        return self._near

    async def close(self) -> None:
        """End its connections."""
        if self._client is not None:
            client, self._client = self._client, None
            await client.aclose()

    def token(self, grant: Grant) -> str:
        key, secret, now = self._address.key, self._address.secret, self._clock.wall()
        return press(grant, key, secret, now, host_is_admin=self._host_is_admin)

    def heard(self, body: bytes, authorization: str) -> LiveEvent | None:
        return hear(body, authorization, self._hook_keys, self._clock.wall)

    async def create(
        self,
        name: str,
        *,
        max_people: int,
        metadata: str = "",
        empty_timeout_s: int = 300,
        departure_timeout_s: int = 20,
    ) -> LiveRoom:
        wanted = api.CreateRoomRequest(
            name=name,
            max_participants=max_people,
            metadata=metadata,
            empty_timeout=empty_timeout_s,
            departure_timeout=departure_timeout_s,
        )

        async def make(client: api.LiveKitAPI) -> api.Room:
            there = await client.room.list_rooms(api.ListRoomsRequest(names=[name]))
            if there.rooms:  # why: LiveKit would change an existing one
                return there.rooms[0]
            return await client.room.create_room(wanted)

        made = await self._ask(make)
        if made is None:
            raise RoomsUnavailable("the media server lost the room while it was made")
        return room_of(made)

    async def rooms(self, names: Sequence[str] | None = None) -> tuple[LiveRoom, ...]:
        if names is not None and not names:
            return ()
        asked = api.ListRoomsRequest(names=list(names or ()))
        listed = await self._ask(lambda client: client.room.list_rooms(asked))
        return () if listed is None else tuple(room_of(room) for room in listed.rooms)

    async def delete(self, name: str) -> bool:
        asked = api.DeleteRoomRequest(room=name)
        return await self._ask(lambda client: client.room.delete_room(asked)) is not None

    async def people(self, name: str) -> tuple[LivePerson, ...]:
        asked = api.ListParticipantsRequest(room=name)
        listed = await self._ask(lambda client: client.room.list_participants(asked))
        gone = api.ParticipantInfo.DISCONNECTED
        return () if listed is None else tuple(person_of(p) for p in listed.participants if p.state != gone)

    async def remove(self, name: str, identity: str) -> bool:
        asked = api.RoomParticipantIdentity(room=name, identity=identity)
        return await self._ask(lambda client: client.room.remove_participant(asked)) is not None

    async def mute(self, name: str, identity: str, kind: MediaKind) -> bool:
        async def mute_all(client: api.LiveKitAPI) -> bool:
            who = api.RoomParticipantIdentity(room=name, identity=identity)
            person = await client.room.get_participant(who)
            orders = [
                api.MuteRoomTrackRequest(room=name, identity=identity, track_sid=track.sid, muted=True)
                for track in person.tracks
                if track.type == _TYPES[kind] and not track.muted
            ]
            results = await asyncio.gather(
                *(client.room.mute_published_track(order) for order in orders), return_exceptions=True
            )
            for result in results:
                if isinstance(result, BaseException) and not is_not_there(result):
                    raise result
            return True

        return await self._ask(mute_all) is not None

    async def update(
        self, name: str, identity: str, *, attributes: Mapping[str, str], let_in: bool | None = None
    ) -> bool:
        wanted = api.UpdateParticipantRequest(room=name, identity=identity, attributes=dict(attributes))

        async def change(client: api.LiveKitAPI) -> api.ParticipantInfo:
            if let_in is not None:
                who = api.RoomParticipantIdentity(room=name, identity=identity)
                person = await client.room.get_participant(who)
                wanted.permission.CopyFrom(person.permission)  # why: what is not written is taken away
                wanted.permission.can_publish = let_in
                wanted.permission.can_subscribe = let_in
                wanted.permission.can_publish_data = let_in
            return await client.room.update_participant(wanted)

        return await self._ask(change) is not None

    async def send(self, name: str, payload: bytes, *, topic: str, to: Sequence[str] = ()) -> None:
        packet = api.SendDataRequest(
            room=name,
            data=payload,
            kind=api.DataPacket.RELIABLE,
            destination_identities=list(to),
            topic=topic,
        )

        async def post(client: api.LiveKitAPI) -> None:
            there = await client.room.list_rooms(api.ListRoomsRequest(names=[name]))
            if there.rooms:  # why: LiveKit answers for one that is not there only after three seconds
                await client.room.send_data(packet)

        await self._ask(post)

    async def start_recording(self, name: str, file: str) -> str | None:
        """A server with a recorder that does not work keeps one waiting for three seconds: after such a
        refusal it is not asked for a minute."""
        if self._clock.mono() < self._no_recorder_until:
            return None
        try:
            found = await self._ask(lambda client: egress.start(client, name, file), egress.DEADLINE_S)
        except egress.NoRecorder:
            self._no_recorder_until = self._clock.mono() + _NO_RECORDER_HOLDS_S
            return None
        return found

    async def stop_recording(self, egress_id: str) -> bool:
        try:
            found = await self._ask(lambda client: egress.stop(client, egress_id), egress.DEADLINE_S)
        except egress.NoRecorder:
            return False
        return found is not None

    async def ask(
        self, asked: Callable[[api.LiveKitAPI], Awaitable[T]], deadline_s: float | None = None
    ) -> T | None:
        """For what else is asked of this server by the same client. Errors as everywhere here."""
        return await self._ask(asked, deadline_s)

    async def _ask(
        self, asked: Callable[[api.LiveKitAPI], Awaitable[T]], deadline_s: float | None = None
    ) -> T | None:
        """What the server answers; None for something that is not there. Raises RoomsUnavailable, and
        InvalidInput for what the server will not have."""
        within_s = self._deadline_s if deadline_s is None else deadline_s
        try:
            async with asyncio.timeout(within_s):
                return await asked(self._open())
        except api.ServerError as refusal:
            if is_not_there(refusal):
                return None
            raise _translated(refusal) from refusal
        except TimeoutError as failure:
            raise RoomsUnavailable(f"the media server does not answer within {within_s:g} s") from failure
        except (aiohttp.ClientError, OSError, DecodeError, AttributeError) as failure:
            # why AttributeError: livekit-api 1.2.2 takes an error without a body for a JSON object
            raise RoomsUnavailable(f"the media server is away: {type(failure).__name__}") from failure

    def _open(self) -> api.LiveKitAPI:
        if self._client is None:
            timeout = aiohttp.ClientTimeout(total=egress.DEADLINE_S + 1)  # why: ours come first
            at = self._address
            self._client = api.LiveKitAPI(at.url, at.key, at.secret, timeout=timeout, failover=False)
        return self._client


def is_not_there(failure: BaseException) -> bool:
    return isinstance(failure, api.ServerError) and failure.code == _CODES.NOT_FOUND


def _translated(refusal: api.ServerError) -> InvalidInput | RoomsUnavailable:
    """Twirp's codes in our words. What the server says may quote a name: it is not passed on."""
    if refusal.status in (401, 403):
        return RoomsUnavailable("the media server refuses our key")
    if refusal.code in (_CODES.INVALID_ARGUMENT, _CODES.MALFORMED, _CODES.OUT_OF_RANGE):
        return InvalidInput("the media server does not take this; a name or a text may be too long for it")
    return RoomsUnavailable(f"the media server answered {refusal.code or refusal.status}")
