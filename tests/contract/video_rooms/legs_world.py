"""A carrier of legs, the switch's side of it, and the rooms: alike for the fake and for the real ones."""

from __future__ import annotations

import asyncio
import math
import struct
import wave
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import numpy as np
from livekit.api import ParticipantInfo

from gateway.room_sip import PHONE
from gateway.room_worker import Worker
from gateway.room_workers import RoomWorkers, RoomWorkersPlan
from tests.contract.video_rooms.sip_world import running_by_sip
from tests.rig.livekit import LiveKitRig
from tests.rig.pretend_switch import WebSocketChannel, dial_websocket
from tests.rig.visitors import share_of
from video_rooms.core.leg import Gone, Join, LegFact
from video_rooms.core.sound import FRAME_BYTES, RATE_HZ
from video_rooms.core.trunks import SHOWN
from video_rooms.fakes_legs import FakeLegCarrier
from video_rooms.ports import LegCarrier


@dataclass(slots=True)
class Ear:
    """Fits ``LegEar``."""

    facts: list[LegFact] = field(default_factory=list)
    after_gone: int = 0
    within: bool = False
    """Set while an order is given: a fact told then is told from within."""
    told_within: int = 0

    def heard(self, leg_id: str, fact: LegFact) -> None:
        self.after_gone += any(isinstance(known, Gone) for known in self.facts)
        self.told_within += self.within
        self.facts.append(fact)

    def of(self, kind: type[LegFact]) -> list[LegFact]:
        return [fact for fact in self.facts if isinstance(fact, kind)]


def tone_frames(hz: float, seconds: float = 1.0, rate: int = RATE_HZ, loud: int = 8000) -> list[bytes]:
    """Frames of a tone that can be played round and round, for whole periods fit."""
    samples = [round(loud * math.sin(2 * math.pi * hz * at / rate)) for at in range(int(rate * seconds))]
    whole = struct.pack(f"<{len(samples)}h", *samples)
    return [whole[at : at + FRAME_BYTES] for at in range(0, len(whole), FRAME_BYTES)]


def write_tone(path: Path, hz: float, seconds: float, rate: int = 8_000) -> Path:
    samples = [round(8000 * math.sin(2 * math.pi * hz * at / rate)) for at in range(int(rate * seconds))]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(struct.pack(f"<{len(samples)}h", *samples))
    return path


class Phone:
    """A leg's channel in the switch, played; it says what it is given, or silence, all the time."""

    def __init__(self, channel: WebSocketChannel) -> None:
        self.channel = channel
        self.says: list[bytes] = []
        self._task = asyncio.create_task(self._speak())

    async def _speak(self) -> None:
        loop = asyncio.get_running_loop()
        due, number = loop.time(), 0
        while self.channel.up:
            frame = self.says[number % len(self.says)] if self.says else bytes(FRAME_BYTES)
            await self.channel.says(frame)
            number, due = number + 1, due + 0.02
            await asyncio.sleep(max(0.0, due - loop.time()))

    def heard(self, last_s: float = 0.3) -> np.ndarray:
        return _samples(self.channel.heard[-int(last_s * 50) :])

    def has_heard(self, hz: float, since: int, last_s: float = 0.3) -> bool:
        """Whether there was so much of a tone in the frames from this one on, whatever came after it."""
        frames, size = self.channel.heard, int(last_s * 50)
        starts = range(since, len(frames) - size + 1, size // 3)
        return any(share_of(_samples(frames[at : at + size]), hz) > 0.8 for at in starts)

    def hears(self, hz: float, last_s: float = 0.3, share: float = 0.8) -> bool:
        return len(self.channel.heard) > last_s * 50 and share_of(self.heard(last_s), hz) > share

    async def close(self) -> None:
        await self.channel.hangs_up()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


def _samples(frames: list[bytes | None]) -> np.ndarray:
    return np.frombuffer(b"".join(frame or bytes(FRAME_BYTES) for frame in frames), np.int16)


@dataclass(slots=True)
class LegWorld:
    """One carrier. ``rooms`` is None for the fake. Telephones are called by names of the test's; who they are
    in a room says ``named``."""

    carrier: LegCarrier
    address: Callable[[str], tuple[str, int]]
    """Where the switch brings what was dialled so."""
    http: aiohttp.ClientSession
    rooms: LiveKitRig | None
    makes: Callable[[], str] | None = None
    """How the carrier makes identities; None: whatever the token says is one. By SIP they are LiveKit's hash
    of a caller's name that the carrier chose."""
    most: int = 10
    """How many telephones a room of these tests can bear: those that share this process with everybody else
    are dearer, and so is a service that mixes for each apart."""
    identities: dict[tuple[str, str], str] = field(default_factory=dict)
    phones: dict[str, Phone] = field(default_factory=dict)
    ears: dict[str, Ear] = field(default_factory=dict)
    dialled: dict[str, str] = field(default_factory=dict)

    @property
    def fake(self) -> FakeLegCarrier:
        assert isinstance(self.carrier, FakeLegCarrier)
        return self.carrier

    async def expect(self, leg_id: str, within_s: float = 20.0) -> Ear:
        ear = self.ears[leg_id] = Ear()
        self.dialled[leg_id] = await self.carrier.expect(leg_id, ear, within_s)
        return ear

    async def arrives(self, leg_id: str) -> None:
        """The switch brings the leg."""
        if self.rooms is None:
            self.fake.arrives(leg_id)
            return
        dialled = self.dialled[leg_id]
        channel = await dial_websocket(self.http, self.address(dialled), dialled)
        assert channel is not None, "not let in"
        self.phones[leg_id] = Phone(channel)

    async def is_let_in(self, leg_id: str) -> bool:
        """Whether the switch may bring what it was told to dial."""
        dialled = self.dialled[leg_id]
        channel = await dial_websocket(self.http, self.address(dialled), dialled)
        if channel is not None:
            await channel.hangs_up()
        return channel is not None

    async def comes(self, leg_id: str) -> Ear:
        ear = await self.expect(leg_id)
        await self.arrives(leg_id)
        return ear

    def order(self, leg_id: str, *orders: object) -> None:
        ear = self.ears[leg_id]
        ear.within = True
        for order in orders:
            self.carrier.order(leg_id, order)  # type: ignore[arg-type]
        ear.within = False

    async def presses(self, leg_id: str, digits: str) -> None:
        if self.rooms is None:
            self.fake.presses(leg_id, digits)
            return
        for digit in digits:
            await self.phones[leg_id].channel.presses(digit)

    async def hangs_up(self, leg_id: str) -> None:
        if self.rooms is None:
            self.fake.hangs_up(leg_id)
        else:
            await self.phones[leg_id].close()

    # ------------------------------------------------------------ rooms

    async def room(self, most: int = 0) -> str:
        """A new room; its name."""
        if self.rooms is None:
            name = LiveKitRig.name()
            self.fake.rooms[name].most = most or 1000
            return name
        return await self.rooms.create(max_participants=most)

    @property
    def by_sip(self) -> bool:
        return self.makes is not None

    @property
    def shows_tokens(self) -> bool:
        """Whether the media server looks at the leg's own token. By SIP it makes one itself, by a rule for
        this one call that nobody but us can have made."""
        return not self.by_sip

    def named(self, room: str, phone: str) -> str:
        """Who a telephone is in this room, now and whenever it comes again."""
        if self.makes is None:
            return phone
        if (room, phone) not in self.identities:
            self.identities[room, phone] = self.makes()
        return self.identities[room, phone]

    def join(self, room: str, phone: str, **grants: object) -> Join:
        identity = self.named(room, phone)
        if self.rooms is None:
            return Join("ws://nowhere", f"{room}/{identity}", identity)
        grants = {"can_update_own_metadata": True, "room_admin": True} | grants
        return Join(self.rooms.url, self.rooms.token(room, identity, **grants), identity)  # type: ignore[arg-type]

    def missing(self) -> str:
        """The name of a room that is not there."""
        name = LiveKitRig.name("missing")
        if self.rooms is None:
            self.fake.missing.add(name)
        return name

    async def inside(self, room: str) -> dict[str, bool]:
        """Who of the telephones is in the room, and whether the room sees them as muted."""
        if self.rooms is None:
            legs = self.fake.rooms[room].legs
            return {identity: self.fake.legs[leg].muted for identity, leg in legs.items()}
        phones = {identity: phone for (known, phone), identity in self.identities.items() if known == room}
        return {
            phones.get(one.identity, one.identity): self._is_muted(one)
            for one in await self.rooms.people(room)
            if one.state < 3 and not one.identity.startswith("anchor_")
        }

    def _is_muted(self, one: ParticipantInfo) -> bool:
        """A telephone's own mute is its track's. By SIP the track is the service's, which mutes none: there
        an attribute shows it."""
        own = self.by_sip and one.attributes.get("muted") == "true"
        return own or any(track.muted for track in one.tracks)

    async def until_published(self, room: str, phone: str) -> None:
        """The room knows of the telephone's sound."""
        identity = self.named(room, phone)
        if self.rooms is not None:
            await self.rooms.until_people(
                room, lambda people: any(one.identity == identity and one.tracks for one in people)
            )
        else:
            await self.until_inside(room, {identity: False})

    async def put_out(self, room: str, phone: str) -> None:
        identity = self.named(room, phone)
        if self.rooms is None:
            self.fake.put_out(self.fake.rooms[room].legs[identity])
        else:
            from livekit import api

            await self.rooms.control.room.remove_participant(
                api.RoomParticipantIdentity(room=room, identity=identity)
            )

    async def ends(self, room: str) -> None:
        if self.rooms is None:
            self.fake.ends(room)
        else:
            await self.rooms.delete(room)

    async def host_mutes(self, room: str, phone: str, on: bool = True) -> None:
        identity = self.named(room, phone)
        if self.rooms is None:
            self.fake.host_mutes(self.fake.rooms[room].legs[identity], on)
            return
        from livekit import api

        (who,) = [one for one in await self.rooms.people(room) if one.identity == identity]
        assert who.tracks, "nothing is published yet"
        for track in who.tracks:
            await self.rooms.control.room.mute_published_track(
                api.MuteRoomTrackRequest(room=room, identity=identity, track_sid=track.sid, muted=on)
            )

    async def attributes(self, room: str, phone: str) -> dict[str, str]:
        """What a telephone shows, without what the trunk makes of the headers of its call."""
        identity = self.named(room, phone)
        if self.rooms is None:
            return dict(self.fake.legs[self.fake.rooms[room].legs[identity]].shown)
        (who,) = [one for one in await self.rooms.people(room) if one.identity == identity]
        return {key: value for key, value in who.attributes.items() if key not in SHOWN.values()}

    # ------------------------------------------------------------ waiting

    async def until_shown(self, room: str, phone: str, wanted: dict[str, str]) -> None:
        """These are its attributes, and no others."""
        loop = asyncio.get_running_loop()
        deadline, shown = loop.time() + 20.0, dict[str, str]()
        while shown != wanted:
            assert loop.time() < deadline, f"shown: {shown}, not {wanted}"
            if phone in await self.inside(room):
                shown = await self.attributes(room, phone)
            await asyncio.sleep(0.02)

    async def until(self, holds: Callable[[], object], what: str, within_s: float = 20.0) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within_s
        while not holds():
            told = {leg: ear.facts[-6:] for leg, ear in self.ears.items()}
            assert loop.time() < deadline, f"not in {within_s} s: {what}; told: {told}"
            await asyncio.sleep(0.01)

    async def until_told(self, leg_id: str, fact: LegFact, times: int = 1, within_s: float = 20.0) -> None:
        ear = self.ears[leg_id]
        await self.until(lambda: ear.facts.count(fact) >= times, f"{leg_id}: {fact}", within_s)

    async def until_inside(self, room: str, wanted: dict[str, bool], within_s: float = 20.0) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within_s
        while (seen := await self.inside(room)) != wanted:
            assert loop.time() < deadline, f"in the room: {seen}, not {wanted}"
            await asyncio.sleep(0.02)

    async def close(self) -> None:
        for phone in self.phones.values():
            await phone.close()


@asynccontextmanager
async def running_legs(kind: str, livekit: LiveKitRig | None, folder: Path) -> AsyncIterator[LegWorld]:
    """``kind``: ``fake``, ``bridge`` (in this process), ``workers`` (two), ``sip`` (and nobody else)."""
    async with aiohttp.ClientSession() as http:
        if kind == "fake":
            yield LegWorld(FakeLegCarrier(), lambda _: ("", 0), http, None)
            return
        music = write_tone(folder / "hold.wav", 500, 1.0)
        if kind == "bridge":
            worker = Worker("room0", music)
            port = await worker.start("127.0.0.1", 0)
            world = LegWorld(worker.bridge, lambda _: ("127.0.0.1", port), http, livekit, most=5)
            try:
                yield world
            finally:
                await world.close()
                await worker.close()
                assert len(worker.bridge) == 0
                assert len(worker.rooms) == 0, "every room was left"
                assert len(worker.bridge.halls) == 0
            return
        if kind == "sip":
            assert livekit is not None
            async with running_by_sip(livekit, http, music) as by_sip:
                world = LegWorld(
                    by_sip,
                    lambda _: ("127.0.0.1", by_sip.states[-1].port),
                    http,
                    livekit,
                    makes=lambda: by_sip.identity(PHONE),
                    most=4,
                )
                try:
                    yield world
                finally:
                    await world.close()
            return
        workers = RoomWorkers(RoomWorkersPlan(2, "127.0.0.1", 0, music, "warning"))
        await workers.start()
        world = LegWorld(workers, lambda dialled: address_in(workers, dialled), http, livekit)
        try:
            yield world
        finally:
            await world.close()
            await workers.stop()


def address_in(workers: RoomWorkers, dialled: str) -> tuple[str, int]:
    """Where the connection leads that is named in a dial string."""
    number = int(dialled.split("/")[1].removeprefix("room"))
    return "127.0.0.1", workers.states[number].port
