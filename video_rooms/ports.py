"""What the rooms need from outside."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol

from telephony.errors import Conflict
from telephony.ids import TenantId
from video_rooms.core.leg import LegFact, LegOrder
from video_rooms.core.live import EgressNews, Grant, LiveEvent, LivePerson, LiveRoom, MediaKind
from video_rooms.core.pin import PinJudgement
from video_rooms.core.room import Ban, Invite, Json, Person, Room, Status
from video_rooms.core.wishes import JoinWish, Pass


class RoomServer(Protocol):
    """The media server's control side. Every method raises ``RoomsUnavailable`` where it does not answer in
    time, or refuses our key; what is not there is False or empty."""

    @property
    def url(self) -> str:
        """What browsers connect to, ``ws://`` or ``wss://``."""
        ...

    @property
    def near_url(self) -> str:
        """The same for legs and recorders of our own, which may have a shorter way."""
        ...

    def token(self, grant: Grant) -> str:
        """A signed token. Asks nobody."""
        ...

    def heard(self, body: bytes, authorization: str) -> LiveEvent | None:
        """A report that the server posted, verified; None for a kind that we pass over. Raises
        NotAuthenticated for a signature that is not the server's, InvalidInput for what makes no sense."""
        ...

    async def create(
        self,
        name: str,
        *,
        max_people: int,
        metadata: str = "",
        empty_timeout_s: int = 300,
        departure_timeout_s: int = 20,
    ) -> LiveRoom:
        """The room of this name, made where it is not there. An existing one is kept as it is."""
        ...

    async def rooms(self, names: Sequence[str] | None = None) -> tuple[LiveRoom, ...]:
        """Those of these names that are there; all, without names."""
        ...

    async def delete(self, name: str) -> bool:
        """End it and put everybody out. False where it is not there."""
        ...

    async def people(self, name: str) -> tuple[LivePerson, ...]:
        """Who is in it; nobody where it is not there."""
        ...

    async def remove(self, name: str, identity: str) -> bool:
        """Put somebody out. False where they are not there."""
        ...

    async def mute(self, name: str, identity: str, kind: MediaKind) -> bool:
        """Mute every published track of this kind (a camera's and a screen's are both video). The right to
        publish stays. False where the person is not there; one without such a track is muted already."""
        ...

    async def update(
        self, name: str, identity: str, *, attributes: Mapping[str, str], let_in: bool | None = None
    ) -> bool:
        """Set attributes; ``let_in`` gives (or takes) the right to publish and hear. False: not there."""
        ...

    async def send(self, name: str, payload: bytes, *, topic: str, to: Sequence[str] = ()) -> None:
        """A reliable packet for these identities, or for all."""
        ...

    async def start_recording(self, name: str, file: str) -> str | None:
        """Have the server's own recorder record the room; its id. None where no such recorder answers."""
        ...

    async def stop_recording(self, egress_id: str) -> bool:
        """False where it is not running."""
        ...


class PinTaken(Conflict):
    """Another room that has not ended has this PIN."""


class RoomStore(Protocol):
    """Scheduled rooms. A foreign tenant's room is None, as one that is not there."""

    async def add(self, room: Room) -> None:
        """Raises PinTaken."""
        ...

    async def get(self, tenant: TenantId, room_id: str) -> Room | None: ...

    async def of_live(self, live_name: str) -> Room | None:
        """The room whose live session has this name at the media server."""
        ...

    async def of_pin(self, pin: str) -> Room | None:
        """The room, not ended, that this PIN opens."""
        ...

    async def page(self, tenant: TenantId, status: Status | None, limit: int) -> tuple[Room, ...]:
        """The newest first (by ``scheduled_at``, else ``created_at``)."""
        ...

    async def unfinished(self) -> tuple[Room, ...]:
        """Every room of every tenant that is live, or ended with its media server's room maybe left
        (``gone_at`` is None)."""
        ...

    async def begun_by(self, at: datetime, *, after: str, limit: int) -> tuple[Room, ...]:
        """Rooms of every tenant that are scheduled and whose first time has begun by then, those with ids
        after this one, by id."""
        ...

    async def change(self, tenant: TenantId, room_id: str, edit: Callable[[Room], Room]) -> Room | None:
        """Read, change and write in one transaction; the changed room. ``edit`` may be asked more than once;
        what it was asked last is what was written. ``id``, ``tenant`` and ``created_at`` never change."""
        ...


class PeopleStore(Protocol):
    """Rosters, bans, and the reports already taken."""

    async def put(self, person: Person) -> None:
        """Insert, or overwrite the line of this room and identity."""
        ...

    async def change(
        self, room_id: str, identity: str, edit: Callable[[Person | None], Person | None]
    ) -> Person | None:
        """Read, change and write this line in one transaction; the line as it stands then. ``edit`` may be
        asked more than once; what it was asked last is what was written. None stays as it is."""
        ...

    async def drop(self, room_id: str, identity: str) -> None:
        """Take this line off the roster."""
        ...

    async def clear(self, room_id: str, session: str) -> None:
        """Take everybody off the roster who has left another session than this one."""
        ...

    async def of(self, room_id: str) -> tuple[Person, ...]:
        """In the order of their first coming, those who never came last."""
        ...

    async def one(self, room_id: str, identity: str) -> Person | None: ...

    async def outside(self) -> tuple[Person, ...]:
        """Of all rooms, whoever is called, rings, or waits without having been seen at the media server."""
        ...

    async def sessions(self) -> tuple[str, ...]:
        """The live sessions in which somebody stands whom the media server has told of: inside, or in the
        lobby."""
        ...

    async def ban(self, ban: Ban) -> None:
        """The latest ban of an identity counts."""
        ...

    async def ban_of(self, live_name: str, identity: str) -> Ban | None: ...

    async def bans_of(self, live_name: str) -> Mapping[str, Ban]:
        """Every ban of a live session, by identity."""
        ...

    async def first_time(self, event_id: str, at: datetime) -> bool:
        """Whether this report is new; from now on it is not."""
        ...

    async def not_taken(self, event_id: str) -> None:
        """The report could not be made use of: it is new again."""
        ...

    async def claim(
        self, live_name: str, identity: str, now: datetime, until: datetime, *, member: bool = False
    ) -> bool:
        """Keep this identity of a live session for one pass, until that is over. False: it is kept for a
        guest's. A ``member`` takes it from that all the same, and shares what a member has; a guest does not
        get what anybody has."""
        ...

    async def purge(self, before: datetime) -> None:
        """Forget bans, reports and claims older than this."""
        ...


class InviteStore(Protocol):
    async def add(self, invite: Invite) -> None: ...

    async def find(self, token: str, now: datetime) -> Invite | None:
        """The invite that can be used now. Nothing is counted."""
        ...

    async def of_room(
        self, tenant: TenantId, room_id: str, *, expired_too: bool, now: datetime, limit: int
    ) -> tuple[Invite, ...]: ...

    async def revoke(self, tenant: TenantId, room_id: str, invite_id: str, at: datetime) -> bool: ...

    async def use(self, token: str, now: datetime) -> Invite | None:
        """Count one use, atomically. Unknown, revoked, expired or used up: None, nothing counted."""
        ...


class LegEar(Protocol):
    """Who hears of a leg. Must return at once."""

    def heard(self, leg_id: str, fact: LegFact) -> None: ...


class LegCarrier(Protocol):
    """Carries the sound of telephones in rooms. Nothing here waits but ``expect``."""

    async def expect(self, leg_id: str, ear: LegEar, within_s: float, *, room: str = "") -> str:
        """Be ready for the switch to bring this leg within so many seconds; what Dial() is given. ``room``:
        the live name of the room that it will enter, where that is known: telephones of one room are better
        together. ``Gone`` (``never_came``) follows where it does not come. Raises RoomsUnavailable where
        nobody can carry it."""
        ...

    def order(self, leg_id: str, order: LegOrder) -> None:
        """Have this done. For a leg that is gone: nothing happens."""
        ...


class RoomAnnouncer(Protocol):
    """Tells the world what happened in a room, through the tenant's webhooks."""

    def tell(self, tenant: TenantId, kind: str, room_id: str, told: Mapping[str, Json]) -> None:
        """Queue an event of this kind (``room.started``, ``participant.joined``). Never waits or raises."""
        ...


class Recorder(Protocol):
    """Records rooms. What becomes of a recording is told to ``Recordings.recorded``."""

    async def start(self, room: Room) -> str:
        """Begin; the recording's id, a running one's where the room is recorded already. Raises
        RoomsUnavailable."""
        ...

    async def stop(self, room_id: str) -> bool:
        """Finish it; the file is made afterwards. False where the room is not recorded."""
        ...

    def running(self, room_id: str) -> str | None:
        """The id of the recording that runs in this room."""
        ...

    def heard(self, news: EgressNews) -> None:
        """What the media server's own recorder reports; of recordings of others' too. Never waits."""
        ...

    async def goes_on(self, room: Room) -> bool:
        """After our own start: whether this live room is to be recorded, now that nobody of ours does. Raises
        StorageUnavailable."""
        ...

    def when_broken_off(self, hear: Callable[[TenantId, str, float], None]) -> None:
        """``hear`` of every recording that broke off and that nobody wished to end: the room, and how many
        seconds it had lasted."""
        ...


class Chances(Protocol):
    """Whatever nobody must guess."""

    def uuid(self) -> str: ...

    def pass_id(self, at: datetime) -> str:
        """A ULID of this moment."""
        ...

    def token(self) -> str:
        """32 URL-safe characters."""
        ...

    def digits(self, count: int) -> str: ...

    def hexes(self, count: int) -> str:
        """So many of ``0-9a-f``."""
        ...


# ---------------------------------------------------------------- telephones


class PhonesInRooms(Protocol):
    """Telephones that are not in the media server's room: called, or waiting in the lobby. A telephone that
    waits hears music and is no participant, so whoever admits, denies or kicks tells this first. Every verb
    returns at once; False: no such telephone is here in that state. Kicking and muting one that is in the
    room goes through the media server, as anybody's."""

    def admit(self, room_id: str, identity: str) -> bool: ...

    def deny(self, room_id: str, identity: str) -> bool: ...

    def put_out(self, room_id: str, identity: str) -> bool:
        """Kick one that is pending, ringing or waiting: its call ends."""
        ...

    def host_came(self, room_id: str) -> None:
        """Whoever waits for a host alone comes in."""
        ...

    def room_over(self, room_id: str) -> None:
        """The room has ended: who waits hears so, who rings is cancelled."""
        ...


class Entrance(Protocol):
    """Lets people into rooms. ``ScheduledRooms`` fits."""

    async def join(self, tenant: TenantId, room_id: str, wish: JoinWish) -> Pass:
        """A pass into the live session, which is begun where there is none. For ``Role.PHONE`` the lobby has
        been passed already. Raises NotFound (not there, or ended), Conflict or TooMany where the room is
        full, RoomsUnavailable."""
        ...


class RoomVoice(Protocol):
    """Speaks what telephones hear."""

    async def speak(self, text: str, language: str) -> Path:
        """A WAV file of it; the same text has the same file. Raises SpeechUnavailable, InvalidInput."""
        ...


class PinTries(Protocol):
    """How often PINs may be tried in vain. Names are hashed by whoever counts, never shown."""

    async def allowed(self, caller: str, line: str) -> bool:
        """Whether this caller may try a PIN on this dial-in number now. Counts nothing."""
        ...

    async def failed(self, caller: str, line: str) -> None:
        """A PIN was wrong."""
        ...


class RoomCalls(Protocol):
    """The calls that telephones' visits are part of. Nothing here waits; one that is over is left alone."""

    def end(self, call_id: str, why: str) -> None:
        """Order the end of this call; ``why`` is what its termination says."""
        ...

    def entered(self, call_id: str, room_id: str) -> None:
        """The call's caller is in this room."""
        ...


class PinBook(Protocol):
    """Judges meeting numbers. Nothing of the judgement but a room tells one reason from another."""

    async def judge(self, tenant: TenantId, pin: str, caller: str, line: str) -> PinJudgement:
        """What this number opens now, typed by this caller (E.164, or empty) on this dial-in line of the
        tenant's. Raises StorageUnavailable."""
        ...
