"""Stand-ins for what rooms are surrounded by: in memory, scriptable, without chance."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from telephony.errors import RoomsUnavailable
from telephony.ids import TenantId
from video_rooms.core.live import EgressNews
from video_rooms.core.room import Json, Room

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@dataclass(slots=True, eq=False)
class CountedChances:
    """Fits ``video_rooms.ports.Chances``: nothing by chance. ``pins`` are given out before any other digits,
    ``hex_words`` before any other hexadecimals."""

    pins: list[str] = field(default_factory=list)
    hex_words: list[str] = field(default_factory=list)
    made: int = 0

    def uuid(self) -> str:
        return str(UUID(int=(4 << 76) | (2 << 62) | self._next()))

    def pass_id(self, at: datetime) -> str:
        number, letters = (at - _EPOCH) // timedelta(milliseconds=1), ""
        for _ in range(10):
            number, rest = divmod(number, 32)
            letters = _ALPHABET[rest] + letters
        return f"{letters}{self._next():016d}"

    def token(self) -> str:
        return f"{self._next():032d}"

    def digits(self, count: int) -> str:
        return self.pins.pop(0) if self.pins else f"{self._next():0{count}d}"

    def hexes(self, count: int) -> str:
        return self.hex_words.pop(0) if self.hex_words else f"{self._next():0{count}x}"

    def _next(self) -> int:
        self.made += 1
        return self.made


@dataclass(slots=True, eq=False)
class ToldRooms:
    """Fits ``video_rooms.ports.RoomAnnouncer``: what the world was told, in order."""

    events: list[tuple[str, str, Mapping[str, Json]]] = field(default_factory=list)
    """Kind, room, what was told."""
    tenants: list[TenantId] = field(default_factory=list)

    def tell(self, tenant: TenantId, kind: str, room_id: str, told: Mapping[str, Json]) -> None:
        self.tenants.append(tenant)
        self.events.append((kind, room_id, told))

    def kinds(self) -> list[str]:
        return [kind for kind, _, _ in self.events]

    def last(self, kind: str) -> Mapping[str, Json]:
        """What the latest event of this kind told."""
        return next(told for one, _, told in reversed(self.events) if one == kind)


@dataclass(slots=True, eq=False)
class FakeRecorder:
    """Fits ``video_rooms.ports.Recorder``. While ``away`` nothing can be begun."""

    away: bool = False
    rooms: dict[str, str] = field(default_factory=dict)
    """What runs: room → recording."""
    stopped: list[str] = field(default_factory=list)
    news: list[EgressNews] = field(default_factory=list)
    begun: int = 0
    ended: set[str] = field(default_factory=set)
    """Rooms whose recording was ended as somebody wished."""
    broken_off: Callable[[TenantId, str, float], None] | None = None

    async def start(self, room: Room) -> str:
        if self.away:
            raise RoomsUnavailable("no recorder")
        if room.id not in self.rooms:
            self.begun += 1
            self.rooms[room.id] = f"EG_{self.begun}"
        return self.rooms[room.id]

    async def stop(self, room_id: str) -> bool:
        recording = self.rooms.pop(room_id, None)
        if recording is not None:
            self.stopped.append(recording)
            self.ended.add(room_id)
        return recording is not None

    def running(self, room_id: str) -> str | None:
        return self.rooms.get(room_id)

    def heard(self, news: EgressNews) -> None:
        self.news.append(news)

    async def goes_on(self, room: Room) -> bool:
        return room.recording_enabled and room.id not in self.ended

    def when_broken_off(self, hear: Callable[[TenantId, str, float], None]) -> None:
        self.broken_off = hear

    def dies(self, room: Room, lasted_s: float = 60.0) -> None:
        """Its recorder does; nobody wished it."""
        del self.rooms[room.id]
        assert self.broken_off is not None
        self.broken_off(room.tenant, room.id, lasted_s)


@dataclass(slots=True, eq=False)
class QuietPhones:
    """Fits ``video_rooms.ports.PhonesInRooms``: no telephones, but for those in ``outside`` (room, identity).
    ``orders`` is what was asked for."""

    outside: set[tuple[str, str]] = field(default_factory=set)
    orders: list[tuple[str, str, str]] = field(default_factory=list)

    def admit(self, room_id: str, identity: str) -> bool:
        return self._asked("admit", room_id, identity)

    def deny(self, room_id: str, identity: str) -> bool:
        return self._asked("deny", room_id, identity)

    def put_out(self, room_id: str, identity: str) -> bool:
        return self._asked("put_out", room_id, identity)

    def host_came(self, room_id: str) -> None:
        self.orders.append(("host_came", room_id, ""))

    def room_over(self, room_id: str) -> None:
        self.orders.append(("room_over", room_id, ""))

    def _asked(self, verb: str, room_id: str, identity: str) -> bool:
        if (room_id, identity) not in self.outside:
            return False
        self.orders.append((verb, room_id, identity))
        return True
