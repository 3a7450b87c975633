"""A carrier of legs in memory: a test, or a trial, plays the switch and the rooms.

It keeps the promises of the real ones (``tests/contract/video_rooms/test_leg_carrier.py`` holds them to the
same), and all that happens in it happens on the loop's next turn, never within an order.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from telephony.errors import RoomsUnavailable
from video_rooms.core import carriage
from video_rooms.core.carriage import Carriage, Channel, Effect, Happening, Step, Where
from video_rooms.core.leg import (
    HangUp,
    HoldMusic,
    Join,
    LegFact,
    LegOrder,
    PlaySounds,
    SoundsDone,
    StopSounds,
)
from video_rooms.ports import LegEar


def room_named_first(join: Join) -> str:
    """The room of a token ``ROOM/anything``."""
    return join.token.partition("/")[0]


@dataclass(slots=True, eq=False)
class FakeRoom:
    """A room as telephones see it. ``guests``: how many besides telephones; ``most``: how many fit."""

    guests: int = 0
    recording: bool = False
    most: int = 1000
    legs: dict[str, str] = field(default_factory=dict)
    """Identity → leg."""


@dataclass(slots=True, eq=False)
class FakeLeg:
    """``shown``: its attributes as the room sees them; ``muted``: how the room sees its sound."""

    id: str
    ear: LegEar
    state: Carriage = field(default_factory=Carriage)
    answered: bool = False
    music: bool = False
    playing: PlaySounds | None = None
    played: list[PlaySounds] = field(default_factory=list)
    room: str | None = None
    identity: str = ""
    shown: dict[str, str] = field(default_factory=dict)
    muted: bool = False
    bound_for: str = ""
    """The room that was known when it was expected."""
    timer: asyncio.TimerHandle | None = None

    @property
    def heard_by_room(self) -> bool:
        return self.state.hears_room


class FakeLegCarrier:
    """Fits ``LegCarrier``. Any room is there, empty, unless ``missing`` names it.

    ``quick``: sounds are over on the loop's next turn, else when ``sounds_end`` is called; and a room is
    entered on the next turn, else when ``let_in`` is called. ``room_of``: which room a token opens.
    """

    def __init__(self, *, quick: bool = True, room_of: Callable[[Join], str] = room_named_first) -> None:
        self.quick = quick
        self.up = True
        """Whether anybody can carry a leg."""
        self.missing: set[str] = set()
        self.refused: str | None = None
        """Why nobody is let in: a ``why`` of ``JoinFailed``."""
        self.legs: dict[str, FakeLeg] = {}
        self.rooms: defaultdict[str, FakeRoom] = defaultdict(FakeRoom)
        self.orders: list[tuple[str, LegOrder]] = []
        self._room_of = room_of
        self._tokens = itertools.count(1)
        self._entering: dict[str, carriage.Enter] = {}

    # ------------------------------------------------------------ LegCarrier

    async def expect(self, leg_id: str, ear: LegEar, within_s: float, *, room: str = "") -> str:
        known = self.legs.get(leg_id)
        if not self.up or (known is not None and known.state.channel is not Channel.GONE):
            raise RoomsUnavailable("nobody carries this leg")
        leg = self.legs[leg_id] = FakeLeg(leg_id, ear, bound_for=room)
        loop = asyncio.get_running_loop()
        leg.timer = loop.call_later(within_s, self.hangs_up, leg_id, "never_came")
        return f"WebSocket/room0/c(slin16)nf(json)/{next(self._tokens):016d}"

    def order(self, leg_id: str, order: LegOrder) -> None:
        self.orders.append((leg_id, order))
        leg = self.legs.get(leg_id)
        if leg is None or leg.state.channel in (Channel.ENDING, Channel.GONE):
            return
        match order:
            case PlaySounds():
                self._cut(leg)
                leg.playing = order
                leg.played.append(order)
                if self.quick:
                    self._soon(self._play_out, leg, order)
            case StopSounds():
                self._cut(leg)
            case HoldMusic(on):
                leg.music = on
            case _:
                self._do(leg, carriage.obey(leg.state, order))
        if isinstance(order, HangUp):
            self._soon(self.hangs_up, leg_id)

    # ------------------------------------------------------------ the switch, played

    def arrives(self, leg_id: str) -> None:
        """The switch brings the leg's channel."""
        leg = self.legs[leg_id]
        if leg.timer is not None:
            leg.timer.cancel()
        self._hear(leg, carriage.Came())
        if self.quick and leg.playing is not None:
            self._soon(self._play_out, leg, leg.playing)

    def presses(self, leg_id: str, digits: str) -> None:
        for digit in digits:
            self._hear(self.legs[leg_id], carriage.Pressed(digit))

    def hangs_up(self, leg_id: str, why: str = "hangup") -> None:
        """The channel ends; ``why`` as in ``Gone``."""
        leg = self.legs[leg_id]
        if leg.timer is not None:
            leg.timer.cancel()
        self._hear(leg, carriage.ChannelGone(why))

    def sounds_end(self, leg_id: str) -> None:
        """What is being played has been heard."""
        leg = self.legs[leg_id]
        if leg.playing is not None:
            self._play_out(leg, leg.playing)

    # ------------------------------------------------------------ the rooms, played

    def let_in(self, leg_id: str) -> None:
        """What ``quick`` does by itself: the join that runs comes to its end."""
        entering = self._entering.pop(leg_id, None)
        if entering is not None:
            self._enters(self.legs[leg_id], entering)

    def put_out(self, leg_id: str, why: str = "removed") -> None:
        """``why`` as in ``Left``."""
        leg = self.legs[leg_id]
        self._hear(leg, carriage.PutOut(leg.state.stay, why))

    def ends(self, room: str) -> None:
        """The room is over for all."""
        for leg_id in tuple(self.rooms[room].legs.values()):
            self.put_out(leg_id, "room_ended")
        self.missing.add(room)

    def host_mutes(self, leg_id: str, on: bool = True) -> None:
        leg = self.legs[leg_id]
        leg.muted = on
        self._hear(leg, carriage.TrackMuted(leg.state.stay, on))

    def crowd(self, room: str, *, guests: int | None = None, recording: bool | None = None) -> None:
        """Others come or go, or the recording starts or stops."""
        seen = self.rooms[room]
        seen.guests = seen.guests if guests is None else guests
        seen.recording = seen.recording if recording is None else recording
        self._tell_crowd(room)

    # ------------------------------------------------------------ within

    def _hear(self, leg: FakeLeg, what: Happening) -> None:
        self._do(leg, carriage.hear(leg.state, what))

    def _do(self, leg: FakeLeg, step: Step) -> None:
        leg.state, effects = step
        for effect in effects:
            self._carry_out(leg, effect)

    def _carry_out(self, leg: FakeLeg, effect: Effect) -> None:
        match effect:
            case carriage.Tell(fact):
                self._soon(self._tell, leg, fact)
            case carriage.LetUp():
                leg.answered = True
            case carriage.EndChannel():
                if leg.timer is not None:
                    leg.timer.cancel()
            case carriage.Enter():
                self._entering[leg.id] = effect
                if self.quick:
                    self._soon(self.let_in, leg.id)
            case carriage.Exit():
                self._entering.pop(leg.id, None)
                self._exits(leg)
            case carriage.SetMute(_, on):
                leg.muted = on
            case carriage.Show(_, attributes):
                leg.shown.update(attributes)

    def _enters(self, leg: FakeLeg, entering: carriage.Enter) -> None:
        name = self._room_of(entering.join)
        room = self.rooms[name]
        why = self.refused
        if why is None and name in self.missing:
            why = "no_room"
        identity = entering.join.identity
        others = room.guests + len(room.legs.keys() - {identity})
        if why is None and others >= room.most:
            why = "full"
        if why is not None:
            self._hear(leg, carriage.NotLetIn(entering.stay, why))
            return
        if identity in room.legs:
            self.put_out(room.legs[identity], "replaced")
        room.legs[identity] = leg.id
        leg.room, leg.identity, leg.shown = name, identity, {}
        self._hear(leg, carriage.Entered(entering.stay, others, room.recording))
        self._tell_crowd(name)

    def _exits(self, leg: FakeLeg) -> None:
        name, leg.room = leg.room, None
        if name is not None:
            self.rooms[name].legs.pop(leg.identity, None)
            self._tell_crowd(name)

    def _tell_crowd(self, name: str) -> None:
        room = self.rooms[name]
        others = room.guests + len(room.legs) - 1
        for leg_id in tuple(room.legs.values()):
            leg = self.legs[leg_id]
            if leg.state.where is Where.INSIDE:
                self._hear(leg, carriage.Crowd(leg.state.stay, others, room.recording))

    def _cut(self, leg: FakeLeg) -> None:
        playing, leg.playing = leg.playing, None
        if playing is not None:
            self._soon(self._tell, leg, SoundsDone(playing.id, cut=True))

    def _play_out(self, leg: FakeLeg, what: PlaySounds) -> None:
        if leg.playing is what and leg.state.channel is Channel.HERE:
            leg.playing = None
            self._soon(self._tell, leg, SoundsDone(what.id))

    def _tell(self, leg: FakeLeg, fact: LegFact) -> None:
        leg.ear.heard(leg.id, fact)

    def _soon(self, do: Callable[..., None], *what: object) -> None:
        asyncio.get_running_loop().call_soon(do, *what)
