"""Rooms' recordings: the media server's own recorder where one answers, else a process of ours for each.

Fits ``video_rooms.ports.Recorder``. A recording that was begun ends as ``ready`` or ``failed``, and
whichever it is is told; a recorder outlives us just long enough to bring its files to their end, and what it
left behind is taken up at the next start. What a recorder that died leaves behind is saved by
``gateway.room_salvage``.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Protocol

import structlog

from gateway.room_salvage import RoomSalvage, SalvagePlace
from gateway.runtime.children import MINIMAL_ENV
from telephony.errors import PatchbayError, RoomsUnavailable
from telephony.ids import TenantId
from video_rooms.core.live import EgressNews, Grant
from video_rooms.core.reel import (
    COMPOSITE,
    LINE_BYTES,
    STOP,
    ReelNews,
    ReelSpec,
    read_news,
    spec_line,
)
from video_rooms.core.room import Role, Room
from video_rooms.core.tape import CRASHED, INTERRUPTED, UNFINISHED, RoomTape, TapeState, goes_on
from video_rooms.ports import RoomServer

_log = structlog.get_logger("gateway.room_recordings")
_START_S: Final = 20.0
_FINISH_S: Final = 900.0
_STOP_S: Final = 8.0
"""How long our own end waits for recorders to finish; they go on alone after that."""
_TOKEN: Final = timedelta(hours=12)
_CHECKOUT: Final = Path(__file__).resolve().parents[1]

Told = Callable[[RoomTape], Awaitable[None]]
BrokenOff = Callable[[TenantId, str, float], None]


class Tapes(Protocol):
    """What is kept of recordings; see ``gateway.storage.room_tapes``."""

    async def save(self, tape: RoomTape) -> None: ...

    async def settle(self, tape: RoomTape) -> bool:
        """Keep how it ended; False where that is kept already."""
        ...

    async def unfinished(self) -> tuple[RoomTape, ...]: ...

    async def of_room(self, tenant: TenantId, room_id: str) -> tuple[RoomTape, ...]:
        """Oldest first."""
        ...

    async def known(self, ids: Sequence[str]) -> frozenset[str]:
        """Which of these there are, whosever they are."""
        ...


@dataclass(frozen=True, slots=True)
class RecorderParts:
    """``folder``: where recordings go, one folder each. ``ffmpeg``: its program; empty where there is none.
    ``own_only``: never ask the media server's recorder. ``new_id`` makes ``EG_`` and a ULID; ``pass_id`` a
    ULID of a moment."""

    server: RoomServer
    tapes: Tapes
    folder: Path
    ffmpeg: str
    now: Callable[[], datetime]
    new_id: Callable[[], str]
    pass_id: Callable[[datetime], str]
    own_only: bool = False
    width: int = 1280
    height: int = 720
    frames: int = 12


@dataclass
class _Running:
    tape: RoomTape
    process: asyncio.subprocess.Process | None = None
    watch: asyncio.Task[None] | None = None


class RoomRecordings:
    """``told`` is set before the first start: it hears of each recording that is ready or has failed."""

    def __init__(self, parts: RecorderParts) -> None:
        self._parts = parts
        self._running: dict[str, _Running] = {}
        self._starting: dict[str, asyncio.Lock] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._salvage = RoomSalvage(SalvagePlace(parts.folder, parts.ffmpeg))
        self._closing = False
        self._broken_off: BrokenOff = _nobody_goes_on
        self.told: Told = _nobody

    # ------------------------------------------------------------ video_rooms.ports.Recorder

    def running(self, room_id: str) -> str | None:
        """The id of the recording that runs in this room."""
        found = self._running.get(room_id)
        return None if found is None else found.tape.id

    async def start(self, room: Room) -> str:
        """See the port. Two who ask at once get one recording."""
        lock = self._starting.setdefault(room.id, asyncio.Lock())
        try:
            async with lock:
                return self.running(room.id) or await self._begin(room)
        finally:
            if not lock.locked():
                self._starting.pop(room.id, None)

    async def stop(self, room_id: str) -> bool:
        """See the port."""
        found = self._running.pop(room_id, None)
        if found is None:
            return False
        found.tape = replace(found.tape, state=TapeState.PROCESSING, ended_at=self._parts.now())
        await self._save(found.tape)
        if found.process is not None:
            await _tell_to_stop(found.process)
            self._later(_bounded(found.process), f"recorder-end-{found.tape.id}")
        else:
            with contextlib.suppress(RoomsUnavailable):
                await self._parts.server.stop_recording(found.tape.id)
        return True

    async def goes_on(self, room: Room) -> bool:
        """See the port."""
        return goes_on(room, await self._parts.tapes.of_room(room.tenant, room.id))

    def when_broken_off(self, hear: BrokenOff) -> None:
        """See the port."""
        self._broken_off = hear

    def heard(self, news: EgressNews) -> None:
        """See the port."""
        if news.done:
            self._later(self._server_done(news), f"egress-{news.id}")

    # ------------------------------------------------------------ our own life

    async def take_up(self) -> None:
        """What another life of ours left unfinished: its recorders may still be at work on the files. Folders
        of no recording that we know are counted, and left alone."""
        for tape in await self._parts.tapes.unfinished():
            if not tape.location:
                self._later(self._left_behind(tape), f"tape-{tape.id}")
        self._later(self._count_leftovers(), "tapes-unknown")

    async def close(self) -> None:
        """Every recorder is told to finish; what needs longer is taken up at the next start."""
        self._closing = True
        own = [found for found in self._running.values() if found.process is not None]
        for found in own:
            assert found.process is not None
            await _tell_to_stop(found.process)
        watched = [found.watch for found in own if found.watch is not None]
        waiting = [task for task in (*watched, *self._tasks) if not task.done()]
        if waiting:
            await asyncio.wait(waiting, timeout=_STOP_S)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    # ------------------------------------------------------------ beginnings

    async def _begin(self, room: Room) -> str:
        parts = self._parts
        theirs = (
            None if parts.own_only else await parts.server.start_recording(room.live_name, f"{room.id}.mp4")
        )
        tape_id = theirs or parts.new_id()
        tape = RoomTape(tape_id, room.id, room.tenant, TapeState.RECORDING, parts.now())
        if theirs is not None:
            tape = replace(tape, location="pending")
            begun = _Running(tape)
        else:
            begun = _Running(tape, await self._our_own(room, tape))
        self._running[room.id] = begun
        await self._save(tape)
        if begun.process is not None:
            begun.watch = asyncio.create_task(self._watch(room.id, begun), name=f"recorder-{tape.id}")
        return tape_id

    async def _our_own(self, room: Room, tape: RoomTape) -> asyncio.subprocess.Process:
        parts = self._parts
        if not parts.ffmpeg:
            raise RoomsUnavailable("no recorder: ffmpeg is not installed")
        folder = parts.folder / tape.id
        try:
            await asyncio.to_thread(folder.mkdir, mode=0o700, parents=True)
        except OSError as error:
            raise RoomsUnavailable(f"no recorder: the folder cannot be made ({error.strerror})") from None
        now = parts.now()
        grant = Grant(
            room.live_name, f"recorder_{tape.id}", "recorder", Role.RECORDER, parts.pass_id(now), now + _TOKEN
        )
        spec = ReelSpec(
            parts.server.near_url, parts.server.token(grant), str(folder), parts.ffmpeg,
            parts.width, parts.height, parts.frames,
        )  # fmt: skip
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway.room_recorder",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            cwd=_CHECKOUT, env=dict(MINIMAL_ENV), limit=LINE_BYTES, start_new_session=True,
        )  # fmt: skip
        news = await _first_word(process, spec)
        if news.what != "started":
            _log.warning("room_recording.not_started", recording_id=tape.id, why=news.why)
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
            raise RoomsUnavailable(f"the recorder could not begin: {news.why}")
        return process

    # ------------------------------------------------------------ endings

    async def _watch(self, room_id: str, begun: _Running) -> None:
        assert begun.process is not None
        since = asyncio.get_running_loop().time()
        news = await _last_word(begun.process) or self._salvage.result(begun.tape.id)
        tape, wished = begun.tape, self._running.get(room_id) is not begun
        if not wished:
            del self._running[room_id]
        if news is not None and news.what == "finished":
            own_end = self._closing and not wished
            await self._over(tape, replace(news, why=INTERRUPTED if own_end else ""))
            return
        why = UNFINISHED if wished else (news.why if news is not None else "") or CRASHED
        if not wished:
            tape = replace(tape, state=TapeState.PROCESSING, ended_at=self._parts.now(), why=why)
            await self._save(tape)
        if not wished and not self._closing:
            self._broken_off(tape.tenant, room_id, asyncio.get_running_loop().time() - since)
        await self._saved(tape, why)

    async def _server_done(self, news: EgressNews) -> None:
        tape = next((one for one in await self._parts.tapes.unfinished() if one.id == news.id), None)
        if tape is None:
            return
        found = self._running.get(tape.room_id)
        if found is not None and found.tape.id == tape.id:
            del self._running[tape.room_id]
        state = TapeState.FAILED if news.failed else TapeState.READY
        await self._settled(
            replace(
                tape, state=state, ended_at=self._parts.now(), duration_ms=news.duration_ms,
                size=news.size, location=news.location or "pending", why=news.failed,
            )
        )  # fmt: skip

    async def _left_behind(self, tape: RoomTape) -> None:
        """Its recorder saw our end as its input's, and is finishing the files, or has, or died with us."""
        await self._saved(tape, tape.why or (UNFINISHED if tape.wished else INTERRUPTED))

    async def _saved(self, tape: RoomTape, why: str) -> None:
        """``why``: what ended it. It stands for what a recorder that finished could not know, too."""
        news = await self._salvage.of(tape.id, why)
        if news.what == "finished" and not news.why and why != UNFINISHED:
            news = replace(news, why=why)
        await self._over(tape, news if news.what == "finished" else replace(news, why=why))

    async def _over(self, tape: RoomTape, news: ReelNews) -> None:
        done = news.what == "finished" and (self._parts.folder / tape.id / COMPOSITE).exists()
        lasted = timedelta(milliseconds=news.duration_ms)
        broke_off = bool(news.why) and not tape.wished
        await self._settled(
            replace(
                tape,
                state=TapeState.READY if done else TapeState.FAILED,
                ended_at=tape.started_at + lasted
                if broke_off and lasted
                else tape.ended_at or self._parts.now(),
                duration_ms=news.duration_ms,
                size=news.size,
                speakers=news.speakers,
                why=news.why if done else news.why or CRASHED,
            )
        )

    async def _count_leftovers(self) -> None:
        found = await asyncio.to_thread(_folders, self._parts.folder)
        unknown = await self._salvage.leftovers(await self._parts.tapes.known(found))
        if unknown:
            _log.warning("room_recording.unknown_leftovers", folders=unknown)

    async def _settled(self, tape: RoomTape) -> None:
        """Told by whoever of several gateways kept it."""
        try:
            first = await self._parts.tapes.settle(tape)
        except PatchbayError as error:
            _log.error("room_recording.not_kept", recording_id=tape.id, code=error.code)
            return
        if first:
            _log.info("room_recording.over", recording_id=tape.id, state=tape.state.value, why=tape.why)
            await self.told(tape)

    async def _save(self, tape: RoomTape) -> None:
        try:
            await self._parts.tapes.save(tape)
        except PatchbayError as error:
            _log.error("room_recording.not_kept", recording_id=tape.id, code=error.code)

    def _later(self, work: Awaitable[None], name: str) -> None:
        task = asyncio.ensure_future(work)
        task.set_name(name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _first_word(process: asyncio.subprocess.Process, spec: ReelSpec) -> ReelNews:
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        async with asyncio.timeout(_START_S):
            process.stdin.write(spec_line(spec))
            await process.stdin.drain()
            news = read_news(await process.stdout.readline())
    except (TimeoutError, OSError, PatchbayError):
        news = ReelNews("failed", "crashed")
    if news.what != "started":
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    return news


async def _last_word(process: asyncio.subprocess.Process) -> ReelNews | None:
    assert process.stdout is not None
    news = None
    while line := await process.stdout.readline():
        with contextlib.suppress(PatchbayError):
            news = read_news(line)
    await process.wait()
    return news


async def _bounded(process: asyncio.subprocess.Process) -> None:
    """A recorder that does not come to its end is ended; its watch then says that it failed."""
    try:
        async with asyncio.timeout(_FINISH_S):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()


async def _tell_to_stop(process: asyncio.subprocess.Process) -> None:
    assert process.stdin is not None
    with contextlib.suppress(OSError):
        process.stdin.write(STOP)
        await process.stdin.drain()


def _folders(folder: Path) -> list[str]:
    return [one.name for one in folder.glob("*") if one.is_dir()]


async def _nobody(tape: RoomTape) -> None:
    """Nobody wants to know."""


def _nobody_goes_on(tenant: TenantId, room_id: str, lasted_s: float) -> None:
    """Nobody records it any further."""
