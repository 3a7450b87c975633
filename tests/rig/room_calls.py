"""Telephones in rooms on a real switch, a real LiveKit server and all of the rooms' services; in memory is
only what is stored."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from unittest.mock import patch

from dialplan.core.call import Call, Connect, VideoRoom
from dialplan.core.routing import RouteFacts
from dialplan.fakes import FixedBook
from dialplan.ports import PlaceCall
from gateway.clocks import SystemClock, new_id
from gateway.room_chances import RoomChances
from gateway.room_routes import RoomRoutes
from gateway.room_worker import RoomPort
from gateway.rooms_on_calls import DirectedRooms, RoomsOnCalls
from gateway.trial.audio import Wave, tone, write_wav
from gateway.trial.sip_call import CallState
from gateway.trial.sip_incoming import IncomingCall
from gateway.trial.sip_outgoing import OutgoingCall
from telephony.errors import PatchbayError
from telephony.ids import CallId
from telephony.numbers import E164
from tests.rig.livekit import Hooks, LiveKitRig
from tests.rig.voice import DIALLED, OURS, Voice, running_voice
from tests.unit.video_rooms.phone_stage import Tries
from video_rooms.bridge.carrier import Bridge
from video_rooms.bridge.rtc_rooms import RtcRooms
from video_rooms.bridge.sounds import SoundShelf
from video_rooms.core import visit
from video_rooms.core.room import Person, Presence, Role, Room
from video_rooms.core.wishes import CallOut, JoinWish, NewRoom
from video_rooms.core.words_spoken import COUNTED, ENGLISH, Words
from video_rooms.desk import Around, RoomDesk, furnish
from video_rooms.fakes_around import FakeRecorder, ToldRooms
from video_rooms.fakes_stores import MemoryInvites, MemoryPeople, MemoryRooms
from video_rooms.guest import PhoneSurroundings
from video_rooms.livekit.control import LiveKitAddress, LiveKitRooms
from video_rooms.phone_sounds import PhoneSounds
from video_rooms.phones import LaterEntrance, PhoneDesk
from video_rooms.pins import RoomPins
from voice_agents.media.websocket_port import WebSocketPort
from voice_agents.wire.asterisk import abilities_of

LONGEST_S = 600.0
FAREWELL_S = 10.0
"""How long the farewell of one that is put out may take here: it is heard to its end, however slow it is."""
_HZ = {words: 1000.0 + 60.0 * at for at, words in enumerate(Words) if words is not Words.TONE}
"""What each thing sounds like that is said: a tone of its own."""


def hz_of(words: Words) -> float:
    return _HZ[words]


class ToneVoice:
    """Speaks in tones, two fifths of a second each."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def speak(self, text: str, language: str) -> Path:
        words = next(one for one, known in ENGLISH.items() if _same(one, known, text))
        path = self._folder / f"{words.value}.wav"
        if not path.exists():
            write_wav(path, Wave(tone(hz_of(words), 0.4)))
        return path


def _same(words: Words, known: str, text: str) -> bool:
    start, _, end = known.partition("{n}")
    return text.startswith(start) and text.endswith(end) if words in COUNTED else text == known


@dataclass(eq=False)
class RoomCalls:
    """Everything. ``tries`` says who may try meeting numbers."""

    voice: Voice
    livekit: LiveKitRig
    bridge: Bridge
    people: MemoryPeople
    rooms: MemoryRooms
    told: ToldRooms
    services: RoomDesk
    phones: PhoneDesk
    on_calls: RoomsOnCalls
    tries: Tries
    recorder: FakeRecorder
    numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    async def room(self, **changes: object) -> Room:
        wanted = NewRoom("Weekly", None, False, 10, {}, "usr_host")
        made = await self.services.scheduled.schedule(OURS, replace(wanted, **changes))  # type: ignore[arg-type]
        return made.room

    async def pass_for(self, room: Room, identity: str, role: Role = Role.PARTICIPANT) -> str:
        """A browser's token."""
        wish = JoinWish(identity, identity.title(), role)
        return (await self.services.scheduled.join(OURS, room.id, wish)).token

    async def dials_in(self, pin: str, **how: object) -> tuple[OutgoingCall, CallId]:
        """Somebody calls the line, and types a meeting number once the question is asked."""
        caller = self.voice.dial(**how)
        call_id = await self.voice.call_id()
        await caller.reaches(CallState.ANSWERED)
        caller.stream.press(pin)
        return caller, call_id

    async def comes_in(self, room: Room, **how: object) -> tuple[OutgoingCall, CallId, str]:
        """Dials in and is in the room; who they are there."""
        caller, call_id = await self.dials_in(room.pin, **how)
        line = await self.line(room, call_id, lambda line: line.presence is Presence.JOINED)
        return caller, call_id, line.identity

    async def calls_out(self, room: Room, **changes: object) -> tuple[CallId, Person]:
        """A telephone outside is called into the room."""
        to = E164("+14155559001")
        wanted = replace(CallOut(to.reveal(), ring_timeout_s=30), **changes)  # type: ignore[arg-type]
        call_id = CallId(new_id("call"))
        far_end, line = await self.on_calls.prepare(OURS, room.id, wanted, call_id)
        place = PlaceCall(OURS, "key_1", to, E164(DIALLED), far_end, ring_timeout_s=30, call_id=call_id)
        self.voice.expect_call()
        await self.voice.engine.director.place(place)
        return call_id, line

    async def answers(self) -> IncomingCall:
        return await self.voice.carrier.receives(within_s=20.0)

    async def line(
        self, room: Room, call_id: CallId, holds: Callable[[Person], bool], within_s: float = 30.0
    ) -> Person:
        """The telephone's line on the roster, once it is as wanted."""
        seen: list[Person] = []
        try:
            async with asyncio.timeout(within_s):
                while True:
                    seen = [one for one in await self.people.of(room.id) if one.call_id == call_id]
                    if seen and holds(seen[0]):
                        return seen[0]
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise AssertionError(f"the line is not as wanted in {within_s} s: {seen}") from None

    async def ended(self, call_id: CallId, within_s: float = 40.0) -> Call:
        return await self.voice.store.until(call_id, lambda call: call.settled, "the call's end", within_s)


@asynccontextmanager
async def running_room_calls(
    folder: Path, livekit: LiveKitRig, media: tuple[str, int] = ("127.0.0.1", 0)
) -> AsyncIterator[RoomCalls]:
    """Everything up but the media server, which is given, on free ports. Its reports are taken. ``media`` is
    where agents' sound is taken, if anywhere."""
    async with AsyncExitStack() as exits:
        exits.enter_context(patch.object(visit, "REMOVED_S", FAREWELL_S))
        clock, chances = SystemClock(), RoomChances()
        port = WebSocketPort(abilities_of((22, 10, 1)), connection="room0")
        address = await port.start("127.0.0.1", 0)
        exits.push_async_callback(port.close)
        bridge = Bridge(RoomPort(port), RtcRooms(), SoundShelf())
        exits.push_async_callback(bridge.close)
        known = LiveKitAddress(livekit.address.url, livekit.address.key, livekit.address.secret.reveal())
        server = LiveKitRooms(known, clock)
        exits.push_async_callback(server.close)
        rooms, people, told = MemoryRooms(), MemoryPeople(), ToldRooms()
        door, calls, tries, recorder = LaterEntrance(), DirectedRooms(), Tries(left=1000), FakeRecorder()
        sounds = await _spoken(folder / "spoken")
        around = PhoneSurroundings(
            carrier=bridge,
            pins=RoomPins(rooms, people, tries, clock.wall),
            entrance=door,
            people=people,
            announcer=told,
            sounds=sounds,
            calls=calls,
            now=clock.mono,
            wall=clock.wall,
        )
        phones = PhoneDesk(around, rooms, chances.hexes)
        services = furnish(
            Around(server, rooms, people, MemoryInvites(), recorder, phones, told, chances, clock)
        )
        door.to = services.scheduled
        reports = asyncio.create_task(_take_reports(livekit.hooks, services))
        exits.callback(reports.cancel)
        services.start()
        exits.push_async_callback(services.stop)
        voice = await exits.enter_async_context(running_voice(folder, media, room_media=(address[1],)))
        routes = RoomRoutes(FixedBook(_line_facts()), phones, new_id)
        voice.book.facts_for = routes.facts_for  # type: ignore[method-assign]
        calls.director = voice.engine.director
        on_calls = RoomsOnCalls(phones, LONGEST_S)
        voice.engine.director.on_change(on_calls.heard)
        exits.push_async_callback(phones.close)
        yield RoomCalls(
            voice, livekit, bridge, people, rooms, told, services, phones, on_calls, tries, recorder
        )


async def _spoken(folder: Path) -> PhoneSounds:
    """Everything that telephones are told, as tones."""
    await asyncio.to_thread(folder.mkdir)
    sounds = PhoneSounds(ToneVoice(folder), folder)
    sounds.make_tones()
    await sounds.speak_all()
    return sounds


async def _take_reports(hooks: Hooks, services: RoomDesk) -> None:
    """What the media server reports reaches the services, from now on."""
    taken = len(hooks.reports)

    def more() -> bool:
        return len(hooks.reports) > taken

    while True:
        async with hooks._came:
            await hooks._came.wait_for(more)
        for report in hooks.reports[taken:]:
            taken += 1
            with suppress(PatchbayError):
                await services.hook.heard(report.body, report.authorization)


def _line_facts() -> RouteFacts:
    return RouteFacts(OURS, Connect(VideoRoom("")), did=E164(DIALLED), max_duration_s=int(LONGEST_S))
