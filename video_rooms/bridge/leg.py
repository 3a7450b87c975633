"""One telephone: its channel, its stay in a room, what it hears. Everything happens on the loop's thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import structlog

from video_rooms.bridge.hall import Halls, own_voice
from video_rooms.core import carriage
from video_rooms.core.carriage import Carriage, Effect, Step
from video_rooms.core.feed import Brake, Feed
from video_rooms.core.leg import (
    HoldMusic,
    LegFact,
    LegOrder,
    PlaySounds,
    SoundsDone,
    StopSounds,
)
from video_rooms.core.mix import Mix
from video_rooms.core.sound import SILENCE
from video_rooms.ports import LegEar
from video_rooms.ports_media import NotAdmitted, RoomDoor, RoomStay, SwitchLeg

_log = structlog.get_logger("video_rooms.bridge")

JOIN_S = 10.0
"""How long it may take to enter a room."""


class Sounds(Protocol):
    """Where prompts and music come from."""

    async def frames(self, paths: Sequence[Path]) -> Sequence[bytes]:
        """All of these, one after another; what cannot be read is left out."""
        ...

    @property
    def music(self) -> Sequence[bytes]: ...


@dataclass(slots=True)
class Shop:
    """What all legs of a process share. ``run`` keeps a task until it is over."""

    door: RoomDoor
    halls: Halls
    sounds: Sounds
    run: Callable[[Coroutine[None, None, None]], asyncio.Task[None]]
    forget: Callable[[BridgedLeg], None]
    """The leg is over."""


class _Stay:
    """A stay in a room, or the attempt at one; fits ``StayEar``."""

    def __init__(self, leg: BridgedLeg, number: int) -> None:
        self.leg, self.number = leg, number
        self.here: RoomStay | None = None
        self.feed: Feed | None = None
        self.over = False
        self.timer: asyncio.TimerHandle | None = None

    def unwanted(self) -> bool:
        return self.over

    def put_out(self, why: str) -> None:
        self._hear(carriage.PutOut(self.number, why))

    def track_muted(self, on: bool) -> None:
        self._hear(carriage.TrackMuted(self.number, on))

    def crowd(self) -> None:
        if self.here is not None:
            self._hear(carriage.Crowd(self.number, self.here.others, self.here.recording))

    def voices(self) -> None:
        if self.here is not None and not self.over:
            self.leg.look(self.here)

    def _hear(self, what: carriage.Happening) -> None:
        if not self.over:
            self.leg.hear(what)


class BridgedLeg:
    """Fits ``SwitchEar``."""

    def __init__(self, leg_id: str, token: str, ear: LegEar, shop: Shop) -> None:
        self.id, self.token = leg_id, token
        self.state = Carriage()
        self._ear, self._shop = ear, shop
        self._channel: SwitchLeg | None = None
        self._stay: _Stay | None = None
        self._mix = Mix()
        self._brake = Brake()
        self._prompt = 0
        """The number of the newest ``PlaySounds``: what is read from disk for an older one is not played."""
        self._prompts: dict[int, str] = {}
        self._attempt: asyncio.Task[None] | None = None
        """The last coming or leaving."""
        self._loop = asyncio.get_running_loop()

    # ------------------------------------------------------------ orders

    def order(self, order: LegOrder) -> None:
        if self.state.channel in (carriage.Channel.ENDING, carriage.Channel.GONE):
            return
        match order:
            case PlaySounds(id_, paths):
                self._cut()
                self._prompt += 1
                self._prompts[self._prompt] = id_
                self._shop.run(self._fetch(self._prompt, paths))
            case StopSounds():
                self._cut()
            case HoldMusic(on):
                self._mix.music(self._shop.sounds.music if on else ())
            case _:
                self._do(carriage.obey(self.state, order))

    def hear(self, what: carriage.Happening) -> None:
        self._do(carriage.hear(self.state, what))

    def look(self, here: RoomStay) -> None:
        """What may be heard in the room has changed."""
        hall = self._shop.halls.of(here)
        hall.look()
        self._mix.enter(hall.voices if here.may_hear else {}, own_voice(here))

    # ------------------------------------------------------------ the switch

    def arrived(self, leg: SwitchLeg) -> None:
        self._channel = leg
        leg.on_beat(self._beat)
        self.hear(carriage.Came())

    def audio(self, frame: bytes) -> None:
        stay = self._stay
        if stay is not None and stay.here is not None and self.state.hears_room:
            stay.here.say(frame)
            if stay.feed is not None:
                stay.feed.push(frame)

    def digit(self, digit: str) -> None:
        self.hear(carriage.Pressed(digit))

    def mark(self, name: str, heard: bool) -> None:
        id_ = self._prompts.pop(int(name), None)
        if id_ is not None and heard:
            self._tell(SoundsDone(id_))

    def gone(self, why: str) -> None:
        self._channel = None
        self.hear(carriage.ChannelGone(why))

    # ------------------------------------------------------------ what it hears

    def _beat(self) -> None:
        channel = self._channel
        if channel is None:
            return
        frame, ended = self._mix.frame()
        if ended is not None or not self._brake.holds_back(channel.queued_ms, frame):
            channel.play(SILENCE if frame is None else frame)
        if ended is not None:
            channel.mark(ended)

    async def _fetch(self, number: int, paths: Sequence[Path]) -> None:
        frames = await self._shop.sounds.frames(paths)
        if number == self._prompt and number in self._prompts:
            self._mix.prompt(str(number), frames)

    def _cut(self) -> None:
        """Of sounds that have been given to the switch already, the end is told by its mark."""
        id_ = self._prompts.pop(self._prompt, None)
        self._mix.cut()
        if id_ is not None:
            self._tell(SoundsDone(id_, cut=True))

    # ------------------------------------------------------------ what the machine says

    def _do(self, step: Step) -> None:
        self.state, effects = step
        for effect in effects:
            self._carry_out(effect)
        if self.state.channel is carriage.Channel.GONE:
            self._shop.forget(self)

    def _carry_out(self, effect: Effect) -> None:
        here = self._stay.here if self._stay is not None else None
        match effect:
            case carriage.Tell(fact):
                self._tell(fact)
            case carriage.LetUp():
                if self._channel is not None:
                    self._channel.answer()
            case carriage.EndChannel():
                if self._channel is not None:
                    self._channel.hang_up()
            case carriage.Enter():
                self._stay = _Stay(self, effect.stay)
                self._attempt = self._shop.run(self._enters(self._stay, effect, self._attempt))
            case carriage.Exit():
                self._exits()
            case carriage.SetMute(_, on) if here is not None:
                here.mute(on)
            case carriage.Show(_, attributes) if here is not None and attributes:
                here.show(attributes)

    async def _enters(self, stay: _Stay, wanted: carriage.Enter, before: asyncio.Task[None] | None) -> None:
        """Comes to an end by itself, whoever still wants it: the attempt at a room cannot be broken off. Nor
        is there a second one beside it, or beside the leaving of the last room: where the media server puts
        somebody out who is still on the way in, for another of the same identity, the library tries again
        after 15 s, and puts out that other."""
        stay.timer = self._loop.call_later(JOIN_S, self._too_late, stay)
        if before is not None:
            await asyncio.wait([before])
        if stay.unwanted():
            return
        try:
            here = await self._shop.door.enter(wanted.join, stay, muted=wanted.muted)
        except NotAdmitted as refusal:
            stay.timer.cancel()
            if not stay.over:
                self.hear(carriage.NotLetIn(stay.number, refusal.why))
            return
        stay.timer.cancel()
        if stay.unwanted():
            await here.leave()
            return
        stay.here = here
        stay.feed = self._shop.halls.of(here).enter(here)
        self.look(here)
        self.hear(carriage.Entered(stay.number, here.others, here.recording))

    def _too_late(self, stay: _Stay) -> None:
        if not stay.over:
            stay.over = True
            self.hear(carriage.NotLetIn(stay.number, "timeout"))

    def _exits(self) -> None:
        stay, self._stay = self._stay, None
        if stay is None or stay.over:
            return
        stay.over = True
        if stay.timer is not None:
            stay.timer.cancel()
        self._mix.leave()
        here, stay.here = stay.here, None
        if here is not None:
            self._shop.halls.leave(here)
            self._attempt = self._shop.run(here.leave())

    def _tell(self, fact: LegFact) -> None:
        self._loop.call_soon(self._safely, fact)

    def _safely(self, fact: LegFact) -> None:
        try:
            self._ear.heard(self.id, fact)
        except Exception:  # noqa: BLE001 # why: a fault of one listener must not end the sound of all
            _log.exception("leg_ear_failed")
