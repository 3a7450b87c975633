"""The rooms' engine: the media server, the services over it, the recorder, and telephones in rooms, joined.

With ``gateway.wiring`` the only place that names adapters of the video room.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Final

import structlog
from prometheus_client.registry import Collector

from dialplan.ami.message import Message
from dialplan.ports import RouteBook
from gateway.agents_on_calls import AgentsOnCalls
from gateway.clocks import SystemClock, moment_letters, new_id, random_tails
from gateway.config import Settings
from gateway.config_rooms import RoomServerAddress, read_keys
from gateway.http.limits import Rates
from gateway.http.ports_rooms import VideoRooms
from gateway.http.signing import RoomLinks
from gateway.room_announcer import WebhookRoomAnnouncer
from gateway.room_carrier_metrics import RoomCarrierMetrics
from gateway.room_chances import RoomChances
from gateway.room_metrics import RoomMetrics
from gateway.room_phone_metrics import RoomPhoneMetrics
from gateway.room_recordings import RecorderParts, RoomRecordings
from gateway.room_routes import Masked, RoomRoutes
from gateway.room_sip import RoomsBySip, SipSurroundings, with_sip
from gateway.room_transfers import RoomTransfers
from gateway.room_workers import RoomsHere, RoomWorkers, RoomWorkersPlan, room_carrier
from gateway.rooms_on_calls import DirectedRooms, RatedTries, RoomsOnCalls, SpokenRooms
from gateway.runtime.music import write_music
from gateway.runtime.programs import ffmpeg_program
from gateway.storage.database import Database
from gateway.storage.outbox import SqlOutbox
from gateway.storage.room_invites import RoomInviteRepository
from gateway.storage.room_people import RoomPeopleRepository
from gateway.storage.room_tapes import RoomTapeRepository
from gateway.storage.rooms import RoomRepository
from gateway.wiring_voice import VoiceEngine
from telephony.errors import RoomsUnavailable, SwitchUnavailable, UnsafeValue
from telephony.ids import TenantId
from video_rooms.core.ics import WayIn
from video_rooms.core.reel import COMPOSITE
from video_rooms.core.room import Room
from video_rooms.core.tape import RoomTape, TapeState
from video_rooms.desk import Around, furnish
from video_rooms.guest import PhoneSurroundings
from video_rooms.livekit.control import LiveKitAddress, LiveKitRooms
from video_rooms.livekit.trunks import LiveKitTrunks
from video_rooms.phone_sounds import PhoneSounds
from video_rooms.phones import LaterEntrance, PhoneDesk
from video_rooms.pins import RoomPins
from voice_agents.ports import TextToSpeech
from voice_agents.wire.asterisk import abilities_of, version_in

_log = structlog.get_logger("gateway.rooms")
_TAPES: Final = "rooms"
_SWITCH_S: Final = 60.0
_AGAIN_S: Final = 1.0
_Carrier = RoomWorkers | RoomsHere | RoomsBySip


@dataclass(frozen=True, slots=True)
class RoomParts:
    """What the engine stands on. ``lines`` gives the dial-in numbers of a tenant."""

    settings: Settings
    database: Database
    outbox: SqlOutbox
    wake: Callable[[Sequence[str]], None]
    clock: SystemClock
    secret: bytes
    rates: Rates
    voice: TextToSpeech
    lines: Callable[[TenantId], tuple[str, ...]]


class NoRooms:
    """What stands in the engine's place where there is no media server: a dial-in line refuses, the face says
    so, and everything else works."""

    face: None = None
    server: None = None
    transfers: None = None
    metrics: tuple[Collector, ...] = ()

    def book(self, other: RouteBook, masked: Masked) -> RoomRoutes:
        return RoomRoutes(other, None, new_id, masked)

    async def start(self) -> None: ...

    def attach(self, engine: VoiceEngine, agents: AgentsOnCalls) -> None: ...

    async def stop(self) -> None: ...


def rooms_over(parts: RoomParts) -> Rooms:
    """The engine, where a media server is configured."""
    address = parts.settings.room_server
    if address is None:
        return NoRooms()
    settings = parts.settings
    plan = RoomWorkersPlan(
        settings.room_workers,
        settings.media_host,
        settings.room_media_port,
        write_music(settings.sounds_dir),
        settings.log_level,
    )
    return RoomEngine(parts, address, room_carrier(plan))


class RoomEngine:
    """``book`` before the voice engine is made, ``start``, ``attach`` after; ``stop`` at the end."""

    def __init__(self, parts: RoomParts, address: RoomServerAddress, usual: RoomWorkers | RoomsHere) -> None:
        self._parts = parts
        self._exits = AsyncExitStack()
        database, clock, settings = parts.database, parts.clock, parts.settings
        rooms, people = RoomRepository(database), RoomPeopleRepository(database)
        self._tapes, chances = RoomTapeRepository(database), RoomChances()
        self.server = _media_server(settings, address, clock)
        trunks, music = LiveKitTrunks(self.server), write_music(settings.sounds_dir)
        by_sip = SipSurroundings(self.server, trunks, chances, clock, music)
        self._carrier = carrier = with_sip(settings, parts.secret, usual, by_sip)
        self.announcer = WebhookRoomAnnouncer(database, parts.outbox, parts.wake, clock.epoch, new_id)
        self._recorder = RoomRecordings(
            RecorderParts(
                server=self.server,
                tapes=self._tapes,
                folder=settings.recordings_dir.absolute() / _TAPES,
                ffmpeg=ffmpeg_program(),
                now=clock.wall,
                new_id=lambda: _egress_id(clock),
                pass_id=chances.pass_id,
            )
        )
        self._calls, entrance = DirectedRooms(), LaterEntrance()
        self._sounds = PhoneSounds(SpokenRooms(parts.voice), settings.sounds_dir)
        around = self._around(carrier, rooms, people, entrance)
        identity = carrier.identity if isinstance(carrier, RoomsBySip) else None
        self.phones = PhoneDesk(around, rooms, chances.hexes, identity)
        self.transfers: RoomTransfers | None = None
        self.on_calls = RoomsOnCalls(self.phones, float(settings.max_call_s))
        self.desk = furnish(
            Around(
                server=self.server,
                rooms=rooms,
                people=people,
                invites=RoomInviteRepository(database),
                recorder=self._recorder,
                phones=self.phones,
                announcer=self.announcer,
                chances=chances,
                clock=clock,
                way_in=self._way_in,
            )
        )
        entrance.to = self.desk.scheduled
        self._recorder.told = self._recorded

    def _around(
        self, carrier: _Carrier, rooms: RoomRepository, people: RoomPeopleRepository, entrance: LaterEntrance
    ) -> PhoneSurroundings:
        parts, clock = self._parts, self._parts.clock
        return PhoneSurroundings(
            carrier=carrier,
            pins=RoomPins(rooms, people, RatedTries(parts.rates, parts.secret), clock.wall),
            entrance=entrance,
            people=people,
            announcer=self.announcer,
            sounds=self._sounds,
            calls=self._calls,
            now=clock.mono,
            wall=clock.wall,
            see_off=self._see_off,
        )

    async def _see_off(self, live_name: str, identity: str) -> None:
        with suppress(RoomsUnavailable):
            await self.server.remove(live_name, identity)

    def book(self, other: RouteBook, masked: Masked) -> RoomRoutes:
        """The book of calls to dial-in lines in front of ``other``; ``masked`` says who must stay unknown."""
        self.transfers = RoomTransfers(self.phones, float(self._parts.settings.max_call_s), masked)
        return RoomRoutes(other, self.phones, new_id, masked)

    @property
    def face(self) -> VideoRooms:
        """What the HTTP face asks."""
        desk, lines = self.desk, self._parts.lines
        parts = desk.scheduled, desk.invites, desk.adhoc, desk.hook, self.on_calls, self._tapes
        return VideoRooms(*parts, lines=lines)

    @property
    def metrics(self) -> tuple[Collector, ...]:
        """What is counted of rooms."""
        carried = RoomCarrierMetrics(self._carrier)
        return RoomMetrics(self.desk, self.announcer), RoomPhoneMetrics(self.phones), carried

    async def start(self) -> None:
        """Listen for the switch, look at what rooms there are, take up what was left."""
        self._exits.push_async_callback(self.server.close)
        self.announcer.start()
        self._exits.push_async_callback(self.announcer.stop)
        await self._sounds.prepare()
        await self._carrier.start()
        self._exits.push_async_callback(self._carrier.stop)
        await self._recorder.take_up()
        self._exits.push_async_callback(self._recorder.close)
        self.desk.start()
        self._exits.push_async_callback(self.desk.stop)
        await self.phones.start()
        self._exits.push_async_callback(self.phones.close)

    def attach(self, engine: VoiceEngine, agents: AgentsOnCalls) -> None:
        """From now on visits do things to calls, and hear of them; agents hear why they left a room."""
        self._calls.director = engine.director
        self._calls.tell_agent = agents.left_room
        engine.director.on_change(self.on_calls.heard)
        first, carrier = engine.on_version, self._carrier

        def read(version: str) -> None:
            first(version)
            known = version_in(version)
            with suppress(UnsafeValue):  # why: too old for sound at all is said by the agents' engine
                carrier.unbuffered = known is not None and abilities_of(known).asks_unbuffered

        engine.on_version = read
        self._exits.push_async_callback(
            _cancelled, asyncio.create_task(self._tidy(engine), name="room-calls")
        )
        if isinstance(carrier, RoomsBySip):
            others, ours = engine.on_message, carrier.attach(engine.links["control"])

            def hear(message: Message) -> None:
                others(message)
                ours(message)

            engine.on_message = hear

    async def _tidy(self, engine: VoiceEngine) -> None:
        """Telephones that still ring for a gateway that is no more are let go, once it is known which do."""
        while True:
            try:
                await engine.wait_ready(_SWITCH_S)
                break
            except SwitchUnavailable:
                await asyncio.sleep(_AGAIN_S)
        self.phones.end_left_behind()

    async def stop(self) -> None:
        """Telephones in rooms are told and hung up; rooms themselves go on without us."""
        await self._exits.aclose()

    def _way_in(self, room: Room) -> WayIn:
        return WayIn(numbers=self._parts.lines(room.tenant) if room.pin else ())

    async def _recorded(self, tape: RoomTape) -> None:
        url = None
        if tape.state is TapeState.READY:
            settings = self._parts.settings
            base = f"{settings.public_url}/api/v1/video"
            links = RoomLinks(self._parts.secret, base, settings.recording_url_ttl_s)
            url = tape.location or links.link(tape.id, COMPOSITE, self._parts.clock.epoch())[0]
        await self.desk.recordings.recorded(tape.tenant, tape.room_id, tape.id, url=url, failed=tape.why)


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


def _media_server(settings: Settings, address: RoomServerAddress, clock: SystemClock) -> LiveKitRooms:
    old = settings.livekit_old_keys
    known = LiveKitAddress(
        url=address.url,
        key=address.key,
        secret=address.secret.reveal(),
        public_url=settings.livekit_public_url,
        old_keys={} if old is None else read_keys(old),
    )
    return LiveKitRooms(known, clock, host_is_admin=settings.room_host_admin)


def _egress_id(clock: SystemClock) -> str:
    return f"EG_{moment_letters(int(clock.epoch() * 1000))}{random_tails()[0]}"


Rooms = RoomEngine | NoRooms
