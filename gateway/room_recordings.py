"""Rooms' recordings: the media server's own recorder where one answers, else a process of ours for each.

Fits ``video_rooms.ports.Recorder``. A recording that was begun ends as ``ready`` or ``failed``, and
whichever it is is told; a recorder outlives us just long enough to bring its files to their end, and what it
left behind is taken up at the next start.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Protocol

import structlog

from gateway.runtime.children import MINIMAL_ENV
from telephony.errors import PatchbayError, RoomsUnavailable
from video_rooms.core.live import EgressNews, Grant
from video_rooms.core.reel import (
    COMPOSITE,
    LINE_BYTES,
    RESULT,
    STOP,
    ReelNews,
    ReelSpec,
    read_news,
    spec_line,
)
from video_rooms.core.room import Role, Room
from video_rooms.core.tape import RoomTape, TapeState
from video_rooms.ports import RoomServer

_log = structlog.get_logger("gateway.room_recordings")
_START_S: Final = 20.0
_FINISH_S: Final = 900.0
_STOP_S: Final = 8.0
"""How long our own end waits for recorders to finish; they go on alone after that."""
_LOOK_S: Final = 0.5
_LEFT_BEHIND_S: Final = 120.0
_TOKEN: Final = timedelta(hours=12)
_CHECKOUT: Final = Path(__file__).resolve().parents[1]

Told = Callable[[RoomTape], Awaitable[None]]


class Tapes(Protocol):
    """What is kept of recordings; see ``gateway.storage.room_tapes``."""

    async def save(self, tape: RoomTape) -> None: ...

    async def unfinished(self) -> tuple[RoomTape, ...]: ...


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
        await self._save(replace(found.tape, state=TapeState.PROCESSING, ended_at=self._parts.now()))
        if found.process is not None:
            await _tell_to_stop(found.process)
            self._later(_bounded(found.process), f"recorder-end-{found.tape.id}")
        else:
            with contextlib.suppress(RoomsUnavailable):
                await self._parts.server.stop_recording(found.tape.id)
        return True

    def heard(self, news: EgressNews) -> None:
        """See the port."""
        if news.done:
            self._later(self._server_done(news), f"egress-{news.id}")

    # ------------------------------------------------------------ our own life

    async def take_up(self) -> None:
        """What another life of ours left unfinished: its recorders may still be at work on the files."""
        for tape in await self._parts.tapes.unfinished():
            if not tape.location:
                self._later(self._left_behind(tape), f"tape-{tape.id}")

    async def close(self) -> None:
        """Every recorder is told to finish; those that need longer go on by themselves."""
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
            self._running[room.id] = _Running(tape)
        else:
            self._running[room.id] = await self._our_own(room, tape)
        await self._save(tape)
        return tape_id

    async def _our_own(self, room: Room, tape: RoomTape) -> _Running:
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
            raise RoomsUnavailable(f"the recorder could not begin: {news.why}")
        begun = _Running(tape, process)
        begun.watch = asyncio.create_task(self._watch(room.id, begun), name=f"recorder-{tape.id}")
        return begun

    # ------------------------------------------------------------ endings

    async def _watch(self, room_id: str, begun: _Running) -> None:
        assert begun.process is not None
        news = await _last_word(begun.process)
        if self._running.get(room_id) is begun:
            del self._running[room_id]
        await self._over(begun.tape, news or self._result(begun.tape.id) or ReelNews("failed", "crashed"))

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
        """Its recorder saw our end as its input's, and is finishing the files, or has."""
        until = asyncio.get_running_loop().time() + _LEFT_BEHIND_S
        while (news := self._result(tape.id)) is None and asyncio.get_running_loop().time() < until:  # noqa: ASYNC110  # another's file
            await asyncio.sleep(_LOOK_S)
        await self._over(tape, news or ReelNews("failed", "interrupted"))

    async def _over(self, tape: RoomTape, news: ReelNews) -> None:
        done = news.what == "finished" and (self._parts.folder / tape.id / COMPOSITE).exists()
        await self._settled(
            replace(
                tape,
                state=TapeState.READY if done else TapeState.FAILED,
                ended_at=self._parts.now(),
                duration_ms=news.duration_ms,
                size=news.size,
                speakers=news.speakers,
                why="" if done else news.why or "crashed",
            )
        )

    async def _settled(self, tape: RoomTape) -> None:
        _log.info("room_recording.over", recording_id=tape.id, state=tape.state.value, why=tape.why)
        await self._save(tape)
        await self.told(tape)

    def _result(self, tape_id: str) -> ReelNews | None:
        try:
            return read_news((self._parts.folder / tape_id / RESULT).read_bytes())
        except (OSError, PatchbayError):
            return None

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


async def _nobody(tape: RoomTape) -> None:
    """Nobody wants to know."""
