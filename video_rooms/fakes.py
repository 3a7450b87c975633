"""A media server in memory, exact, gone with the process: a stand-in for LiveKit's.

It keeps the same promises as ``video_rooms.livekit``; one contract suite tests both. Tests bring people in
(``come_in``), let them publish and take them out; what the server would report piles up in ``deliveries``,
signed, as it would be posted. While ``away`` is true whatever asks the server raises RoomsUnavailable.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Literal

from telephony.clock import Clock
from telephony.errors import InvalidInput, NotAuthenticated, RoomsUnavailable
from video_rooms.core.live import (
    PASS,
    ROLE,
    EgressNews,
    Grant,
    Happened,
    Kind,
    LiveEvent,
    LivePerson,
    LiveRoom,
    LiveTrack,
    MediaKind,
)
from video_rooms.core.room import Role

_KINDS = {Role.AGENT: Kind.AGENT, Role.RECORDER: Kind.EGRESS}
_UNCOUNTED = (Kind.AGENT, Kind.EGRESS)
_UNTOLD = datetime.fromtimestamp(0, UTC)
_KEY = b"the fake media server's key"


class TurnedAway(Exception):
    """Nobody comes in by this token. ``why``: ``no_room``, ``expired``, ``full``."""

    def __init__(self, why: Literal["no_room", "expired", "full"]) -> None:
        super().__init__(why)
        self.why = why


@dataclass(frozen=True, slots=True)
class Delivery:
    """A report as it would be posted: what ``heard`` takes."""

    body: bytes
    authorization: str


@dataclass(frozen=True, slots=True)
class Sent:
    """A packet that was sent into a room; ``to`` empty: to all."""

    room: str
    payload: bytes
    topic: str
    to: tuple[str, ...]


@dataclass(slots=True)
class _Here:
    person: LivePerson
    publishes: bool
    hears: bool


@dataclass(slots=True)
class _Open:
    room: LiveRoom
    empty_timeout_s: int
    departure_timeout_s: int
    here: dict[str, _Here] = field(default_factory=dict)
    left_at: float | None = None

    def counted(self) -> int:
        return sum(h.person.kind not in _UNCOUNTED for h in self.here.values())


@dataclass(slots=True, eq=False)
class FakeRoomServer:
    """Fits ``video_rooms.ports.RoomServer``. ``recorder``: whether its own recorder works."""

    clock: Clock
    url: str = "wss://rooms.invalid"
    near_url: str = "ws://near.rooms.invalid"
    away: bool = False
    recorder: bool = False
    deliveries: list[Delivery] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    recorded: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Recordings that run: id → room, file."""
    _open: dict[str, _Open] = field(default_factory=dict)
    _grants: dict[str, Grant] = field(default_factory=dict)
    _events: dict[str, LiveEvent] = field(default_factory=dict)
    _made: int = 0

    # ------------------------------------------------------------ what the port has

    def token(self, grant: Grant) -> str:
        token = f"fake.{len(self._grants)}.{grant.room}.{grant.identity}"
        self._grants[token] = grant
        return token

    def heard(self, body: bytes, authorization: str) -> LiveEvent | None:
        if not hmac.compare_digest(_signature(body).encode(), authorization.encode()):
            raise NotAuthenticated("the report is not signed with a key of the media server")
        try:
            told = json.loads(body)
            event_id, kind = str(told["id"]), str(told["event"])
        except (ValueError, TypeError, KeyError) as failure:
            raise InvalidInput("not a report of the media server") from failure
        return self._events.get(event_id) if kind in {happened.value for happened in Happened} else None

    async def create(
        self,
        name: str,
        *,
        max_people: int,
        metadata: str = "",
        empty_timeout_s: int = 300,
        departure_timeout_s: int = 20,
    ) -> LiveRoom:
        self._answer()
        if name not in self._open:
            room = LiveRoom(name, self._id("RM"), 0, max_people, self.clock.wall(), metadata)
            self._open[name] = _Open(room, empty_timeout_s, departure_timeout_s)
            self._report(Happened.ROOM_STARTED, name)
        return self._seen(name)

    async def rooms(self, names: Sequence[str] | None = None) -> tuple[LiveRoom, ...]:
        self._answer()
        return tuple(self._seen(name) for name in self._open if names is None or name in names)

    async def delete(self, name: str) -> bool:
        self._answer()
        if name not in self._open:
            return False
        self._finish(name)
        return True

    async def people(self, name: str) -> tuple[LivePerson, ...]:
        self._answer()
        return tuple(h.person for h in self._open[name].here.values()) if name in self._open else ()

    async def remove(self, name: str, identity: str) -> bool:
        self._answer()
        return self.leave(name, identity, "participant_removed")

    async def mute(self, name: str, identity: str, kind: MediaKind) -> bool:
        self._answer()
        here = self._here(name, identity)
        if here is not None:
            tracks = (replace(t, muted=True) if t.kind == kind else t for t in here.person.tracks)
            here.person = replace(here.person, tracks=tuple(tracks))
        return here is not None

    async def update(
        self, name: str, identity: str, *, attributes: Mapping[str, str], let_in: bool | None = None
    ) -> bool:
        self._answer()
        here = self._here(name, identity)
        if here is None:
            return False
        told = {**here.person.attributes, **attributes}
        here.person = replace(here.person, attributes={k: v for k, v in told.items() if v})
        if let_in is not None:
            here.publishes = here.hears = let_in
            if not let_in:
                here.person = replace(here.person, tracks=(), publishing=False)
        return True

    async def send(self, name: str, payload: bytes, *, topic: str, to: Sequence[str] = ()) -> None:
        self._answer()
        if name in self._open:
            self.sent.append(Sent(name, payload, topic, tuple(to)))

    async def start_recording(self, name: str, file: str) -> str | None:
        self._answer()
        if not self.recorder or name not in self._open:
            return None
        egress_id = self._id("EG")
        self.recorded[egress_id] = (name, file)
        self._report(Happened.EGRESS_STARTED, name, egress=EgressNews(egress_id, name, done=False))
        return egress_id

    async def stop_recording(self, egress_id: str) -> bool:
        self._answer()
        return self.end_recording(egress_id)

    # ------------------------------------------------------------ what a test does

    def grant_of(self, token: str) -> Grant:
        """What a token was made for."""
        return self._grants[token]

    def come_in(self, token: str) -> LivePerson:
        """Join, as a browser with this token would. Whoever is there under this identity is thrown out.

        Raises TurnedAway.
        """
        grant = self._grants[token]
        if grant.expires_at <= self.clock.wall():
            raise TurnedAway("expired")
        opened = self._open.get(grant.room)
        if opened is None:
            raise TurnedAway("no_room")
        kind = _KINDS.get(grant.role, Kind.STANDARD)
        self.leave(grant.room, grant.identity, "duplicate_identity")
        if 0 < opened.room.max_people <= opened.counted() and kind not in _UNCOUNTED:
            raise TurnedAway("full")
        person = LivePerson(
            sid=self._id("PA"),
            identity=grant.identity,
            name=grant.name,
            kind=kind,
            joined_at=self.clock.wall(),
            publishing=False,
            hidden=grant.role is Role.RECORDER,
            attributes={**grant.attributes, PASS: grant.pass_id} | _role(grant),
            metadata=grant.metadata,
        )
        inside = not grant.waiting
        opened.here[grant.identity] = _Here(person, inside and not person.hidden, inside)
        opened.left_at = None
        self._report(Happened.JOINED, grant.room, person)
        return person

    def leave(self, name: str, identity: str, why: str = "client_initiated") -> bool:
        """Go, or be put out. False where nobody of this identity is there."""
        opened = self._open.get(name)
        here = opened.here.pop(identity, None) if opened is not None else None
        if opened is None or here is None:
            return False
        if not opened.counted():
            opened.left_at = self.clock.mono()
        for track in here.person.tracks:
            self._report_track(Happened.UNPUBLISHED, name, here.person, track)
        self._report(Happened.LEFT, name, here.person, why=why)
        return True

    def publish(self, name: str, identity: str, kind: MediaKind, source: str) -> LiveTrack:
        """Publish a track. Raises PermissionError for somebody who may not."""
        here = self._open[name].here[identity]
        if not here.publishes:
            raise PermissionError(identity)
        track = LiveTrack(self._id("TR"), kind, muted=False, source=source)
        here.person = replace(here.person, publishing=True, tracks=(*here.person.tracks, track))
        self._report_track(Happened.PUBLISHED, name, here.person, track)
        return track

    def unmute(self, name: str, identity: str) -> None:
        """Unmute oneself, on every track."""
        here = self._open[name].here[identity]
        here.person = replace(here.person, tracks=tuple(replace(t, muted=False) for t in here.person.tracks))

    def hears(self, name: str, identity: str) -> bool:
        """Whether this person may subscribe to others."""
        return self._open[name].here[identity].hears

    def end_idle(self) -> None:
        """End the rooms that have been empty for longer than their timeouts by now."""
        for name, opened in list(self._open.items()):
            began = (self.clock.wall() - opened.room.created_at).total_seconds()
            left = None if opened.left_at is None else self.clock.mono() - opened.left_at
            waited, most = (
                (began, opened.empty_timeout_s) if left is None else (left, opened.departure_timeout_s)
            )
            if not opened.counted() and waited >= most:
                self._finish(name)

    def crash(self) -> None:
        """Forget every room, and tell nobody."""
        self._open.clear()
        self.recorded.clear()

    def end_recording(self, egress_id: str, *, failed: str = "") -> bool:
        """A recording is over. False where it does not run."""
        if egress_id not in self.recorded:
            return False
        name, file = self.recorded.pop(egress_id)
        ended = EgressNews(egress_id, name, done=True, failed=failed, location="" if failed else file)
        self._report(Happened.EGRESS_ENDED, name, egress=ended)
        return True

    def take(self) -> list[Delivery]:
        """The reports since last time."""
        taken, self.deliveries = self.deliveries, []
        return taken

    def signed(self, body: bytes) -> Delivery:
        """Any text, signed as a report."""
        return Delivery(body, _signature(body))

    # ------------------------------------------------------------ inside

    def _answer(self) -> None:
        if self.away:
            raise RoomsUnavailable("the media server is away")

    def _id(self, prefix: str) -> str:
        self._made += 1
        return f"{prefix}_{self._made:06}"

    def _here(self, name: str, identity: str) -> _Here | None:
        opened = self._open.get(name)
        return None if opened is None else opened.here.get(identity)

    def _seen(self, name: str) -> LiveRoom:
        opened = self._open[name]
        recording = any(h.person.hidden for h in opened.here.values())
        return replace(opened.room, people=opened.counted(), recording=recording)

    def _finish(self, name: str) -> None:
        for identity in list(self._open[name].here):
            self.leave(name, identity, "room_deleted")
        for egress_id in [known for known, (room, _) in self.recorded.items() if room == name]:
            self.end_recording(egress_id)
        self._report(Happened.ROOM_FINISHED, name)
        del self._open[name]

    def _report(
        self,
        what: Happened,
        name: str,
        person: LivePerson | None = None,
        egress: EgressNews | None = None,
        why: str = "",
    ) -> None:
        room = None if egress is not None else self._seen(name)
        self._deliver(LiveEvent(self._id("EV"), what, self.clock.wall(), room, person, egress, why), name)

    def _report_track(self, what: Happened, name: str, person: LivePerson, track: LiveTrack) -> None:
        """As LiveKit does it: of the room and the person it tells no more than names and ids."""
        room = LiveRoom(name, self._open[name].room.sid, 0, 0, _UNTOLD)
        who = LivePerson(person.sid, person.identity, "", Kind.STANDARD, _UNTOLD, False, tracks=(track,))
        self._deliver(LiveEvent(self._id("EV"), what, self.clock.wall(), room, who), name)

    def _deliver(self, event: LiveEvent, room: str) -> None:
        self._events[event.id] = event
        told = {"id": event.id, "event": event.what.value, "room": {"name": room}}
        self.deliveries.append(self.signed(json.dumps(told).encode()))


def _signature(body: bytes) -> str:
    return hmac.new(_KEY, body, hashlib.sha256).hexdigest()


def _role(grant: Grant) -> dict[str, str]:
    return {} if grant.helper else {ROLE: grant.role.value}
