"""Rooms' recordings, as far as rooms are concerned: begun and ended, and what became of them written down."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import datetime
from typing import Final

import structlog

from telephony.errors import PatchbayError
from telephony.ids import TenantId
from video_rooms.core.room import Room, Status
from video_rooms.core.told import room_told
from video_rooms.ports import Recorder, RoomAnnouncer, RoomStore

_log = structlog.get_logger("video_rooms.recordings")
_REASON_LENGTH = 200
_PAUSES_S: Final = (0.0, 5.0, 30.0)
"""Before a new recorder takes a dead one's place: the first, the second and the third time in a row."""
_LASTED_S: Final = 60.0
"""A recorder that lived as long is the first in its row."""


class Recordings:
    """``recorded`` is for the recorder to call. A recording that begins by itself runs in a task of its own:
    ``settle`` waits for those."""

    def __init__(
        self, rooms: RoomStore, recorder: Recorder, announcer: RoomAnnouncer, now: Callable[[], datetime]
    ) -> None:
        self._rooms = rooms
        self._recorder = recorder
        self._announcer = announcer
        self._now = now
        self._beginning: dict[str, asyncio.Task[None]] = {}
        self._unwanted: set[str] = set()
        """Rooms whose recording was ended before it had begun."""
        self._deaths: dict[str, int] = {}
        """Room → how many of its recorders died one soon after the other."""
        self._hurry = asyncio.Event()
        recorder.when_broken_off(self._broken_off)
        self._told: dict[str, str] = {}
        """Room → the recording of which was told that it began."""

    async def start(self, room: Room) -> str:
        """The recording's id; the running one's where there is one. Raises RoomsUnavailable."""
        recording = await self._recorder.start(room)
        if self._told.get(room.id) != recording:
            self._told[room.id] = recording
            told = room_told(room, recording_id=recording)
            self._announcer.tell(room.tenant, "room.recording.started", room.id, told)
        return recording

    def begin(self, room: Room) -> None:
        """The room is to be recorded from its first person's coming. That it could not be is told."""
        self._unwanted.discard(room.id)
        self._deaths.pop(room.id, None)
        self._in_a_task(room.id, lambda: self._begin(room))

    async def resume(self, room: Room) -> None:
        """We have begun anew, and this room is live. Raises StorageUnavailable."""
        if await self._recorder.goes_on(room):
            self.begin(room)

    async def stop(self, room: Room) -> None:
        """Nothing happens where none runs. Raises RoomsUnavailable."""
        self._told.pop(room.id, None)
        if room.id in self._beginning:
            self._unwanted.add(room.id)
        await self._recorder.stop(room.id)

    async def end(self, room: Room) -> None:
        """The room is over, and its recording with it. Never raises."""
        try:
            await self.stop(room)
        except PatchbayError as error:
            _log.warning("recording.not_stopped", room_id=room.id, code=error.code)

    async def recorded(
        self, tenant: TenantId, room_id: str, recording_id: str, *, url: str | None, failed: str = ""
    ) -> None:
        """A recording is finished and can be fetched at ``url``, or has failed; ``failed`` with ``url``: it
        is incomplete. Raises StorageUnavailable."""
        if self._told.get(room_id) == recording_id:
            del self._told[room_id]
        at = self._now()

        def written(room: Room) -> Room:
            return replace(room, recording_url=url, updated_at=max(room.updated_at, at)) if url else room

        room = await self._rooms.change(tenant, room_id, written)
        if room is None:
            return
        if not url:
            self._failed(room, recording_id, failed or "no file was made")
            return
        told = room_told(room, recording_id=recording_id, recording_url=url)
        if failed:
            told |= {"incomplete": True, "why": failed[:_REASON_LENGTH]}
        self._announcer.tell(tenant, "room.recording.finished", room_id, told)

    async def settle(self) -> None:
        """Until everything that begins by itself has begun, or failed to. What waits before it begins anew
        does not begin."""
        self._hurry.set()
        while self._beginning:
            await asyncio.gather(*self._beginning.values(), return_exceptions=True)
        self._hurry.clear()

    def _broken_off(self, tenant: TenantId, room_id: str, lasted_s: float) -> None:
        """Its recorder died. A new one takes its place, unless they keep dying."""
        deaths = 1 if lasted_s >= _LASTED_S else self._deaths.get(room_id, 0) + 1
        self._deaths[room_id] = deaths
        if deaths > len(_PAUSES_S):
            _log.warning("recording.given_up", room_id=room_id, deaths=deaths)
            return
        self._unwanted.discard(room_id)
        self._in_a_task(room_id, lambda: self._again(tenant, room_id, _PAUSES_S[deaths - 1]))

    async def _again(self, tenant: TenantId, room_id: str, pause_s: float) -> None:
        if pause_s:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._hurry.wait()
                return
        room = await self._rooms.get(tenant, room_id)
        if room is not None and room.status is Status.LIVE and room_id not in self._unwanted:
            await self._begin(room)

    def _in_a_task(self, room_id: str, work: Callable[[], Coroutine[None, None, None]]) -> None:
        """One at a time for each room."""
        if self._recorder.running(room_id) is None and room_id not in self._beginning:
            task = asyncio.create_task(self._kept(room_id, work()), name=f"record-{room_id}")
            self._beginning[room_id] = task

    async def _kept(self, room_id: str, work: Coroutine[None, None, None]) -> None:
        try:
            await work
        except PatchbayError as error:
            _log.warning("recording.not_resumed", room_id=room_id, code=error.code)
        finally:
            self._unwanted.discard(room_id)
            del self._beginning[room_id]

    async def _begin(self, room: Room) -> None:
        try:
            await self.start(room)
            if room.id in self._unwanted:
                await self.stop(room)
        except PatchbayError as error:
            _log.warning("recording.not_begun", room_id=room.id, code=error.code)
            self._failed(room, None, error.message)
        except Exception:  # noqa: BLE001  # why: edge of the task; nobody waits for it
            _log.exception("recording.broken", room_id=room.id)
            self._failed(room, None, "the recorder is broken")

    def _failed(self, room: Room, recording_id: str | None, why: str) -> None:
        told = room_told(room, recording_id=recording_id, why=why[:_REASON_LENGTH])
        self._announcer.tell(room.tenant, "room.recording.failed", room.id, told)
