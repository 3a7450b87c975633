"""A recorder at a real media server, and what it told."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.clocks import SystemClock
from gateway.room_chances import RoomChances
from gateway.room_recordings import RecorderParts, RoomRecordings
from gateway.runtime.programs import ffmpeg_program
from gateway.trial.audio import tone_seconds
from telephony.ids import TenantId
from tests.contract.video_rooms.worlds import address_of
from tests.rig.livekit import LiveKitRig
from tests.unit.video_rooms.rooms import a_room
from video_rooms.core.room import Room
from video_rooms.core.salvage import MIXED
from video_rooms.core.tape import RoomTape
from video_rooms.livekit.control import LiveKitRooms
from video_rooms.recording.sound import RATE as RECORDED_RATE

ALICE_HZ, BOB_HZ = 440.0, 1000.0
FIRST, SECOND = "speaker-1.part.pcm", "speaker-2.part.pcm"
"""The sound of the first who speaks, while it is recorded, and of the next."""


@dataclass
class Kept:
    """Fits ``Tapes``."""

    tapes: dict[str, RoomTape] = field(default_factory=dict)

    async def save(self, tape: RoomTape) -> None:
        self.tapes[tape.id] = tape

    async def unfinished(self) -> tuple[RoomTape, ...]:
        return tuple(tape for tape in self.tapes.values() if not tape.state.final)

    async def settle(self, tape: RoomTape) -> bool:
        if (known := self.tapes.get(tape.id)) is not None and known.state.final:
            return False
        self.tapes[tape.id] = tape
        return True

    async def of_room(self, tenant: TenantId, room_id: str) -> tuple[RoomTape, ...]:
        return tuple(tape for tape in self.tapes.values() if (tape.tenant, tape.room_id) == (tenant, room_id))

    async def known(self, ids: Sequence[str]) -> frozenset[str]:
        return frozenset(self.tapes) & frozenset(ids)


@dataclass
class Studio:
    """A recorder, and what it told."""

    livekit: LiveKitRig
    parts: RecorderParts
    kept: Kept
    recordings: RoomRecordings
    room: Room
    told: list[RoomTape] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def hear(self, tape: RoomTape) -> None:
        self.told.append(tape)
        self.changed.set()

    async def outcome(self) -> RoomTape:
        async with asyncio.timeout(60):
            await self.changed.wait()
        return self.told[-1]

    def token(self, who: str) -> str:
        return self.livekit.token(self.room.live_name, who)

    def folder(self, tape_id: str) -> Path:
        return self.parts.folder / tape_id

    def recorded_ms(self, tape_id: str, of: str = MIXED) -> int:
        """How much sound of a recording that runs is on disk."""
        part = self.folder(tape_id) / of
        return part.stat().st_size // 2 * 1000 // RECORDED_RATE if part.exists() else 0

    async def records(self, tape_id: str, hz: float, seconds: float = 0.7, *, of: str = MIXED) -> None:
        """So much of a tone is on disk."""
        part = self.folder(tape_id) / of
        async with asyncio.timeout(40):
            while not part.exists() or _tone_s(part, hz) < seconds:  # noqa: ASYNC110  # of another process
                await asyncio.sleep(0.1)


@pytest.fixture
async def studio(livekit: LiveKitRig, tmp_path: Path) -> AsyncIterator[Studio]:
    chances, ids, kept = RoomChances(), itertools.count(1), Kept()
    server = LiveKitRooms(address_of(livekit), SystemClock())
    parts = RecorderParts(
        server=server,
        tapes=kept,
        folder=tmp_path / "recordings",
        ffmpeg=ffmpeg_program(),
        now=lambda: datetime.now(UTC),
        new_id=lambda: f"EG_{next(ids):026d}",
        pass_id=chances.pass_id,
        own_only=True,
        width=320,
        height=180,
        frames=10,
    )
    room = replace(a_room(), live_name=await livekit.create())
    made = Studio(livekit, parts, kept, RoomRecordings(parts), room)
    made.recordings.told = made.hear
    yield made
    await made.recordings.close()
    await server.close()


def _tone_s(part: Path, hz: float) -> float:
    return tone_seconds(part.read_bytes(), hz, rate=RECORDED_RATE, share=0.2)


def recorder_of(studio: Studio) -> int:
    process = studio.recordings._running[studio.room.id].process
    assert process is not None
    return process.pid


def children_of(mother: int) -> list[int]:
    entries = [entry for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [int(entry.name) for entry in entries if _mother_of(entry) == mother]


def _mother_of(entry: Path) -> int:
    try:
        return int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0
