"""Rooms' recordings, as far as rooms are concerned: begun and ended, and what became of them written down."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import structlog

from telephony.errors import PatchbayError
from telephony.ids import TenantId
from video_rooms.core.room import Room
from video_rooms.core.told import room_told
from video_rooms.ports import Recorder, RoomAnnouncer, RoomStore

_log = structlog.get_logger("video_rooms.recordings")
_REASON_LENGTH = 200


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
        if self._recorder.running(room.id) is None and room.id not in self._beginning:
            task = asyncio.create_task(self._begin(room), name=f"record-{room.id}")
            self._beginning[room.id] = task

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
        """A recording is finished and can be fetched at ``url``, or has failed. Raises StorageUnavailable."""
        if self._told.get(room_id) == recording_id:
            del self._told[room_id]
        at = self._now()

        def written(room: Room) -> Room:
            return replace(room, recording_url=url, updated_at=max(room.updated_at, at)) if url else room

        room = await self._rooms.change(tenant, room_id, written)
        if room is None:
            return
        if failed or not url:
            self._failed(room, recording_id, failed or "no file was made")
            return
        told = room_told(room, recording_id=recording_id, recording_url=url)
        self._announcer.tell(tenant, "room.recording.finished", room_id, told)

    async def settle(self) -> None:
        """Until everything that begins by itself has begun, or failed to."""
        while self._beginning:
            await asyncio.gather(*self._beginning.values(), return_exceptions=True)

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
        finally:
            self._unwanted.discard(room.id)
            del self._beginning[room.id]

    def _failed(self, room: Room, recording_id: str | None, why: str) -> None:
        told = room_told(room, recording_id=recording_id, why=why[:_REASON_LENGTH])
        self._announcer.tell(room.tenant, "room.recording.failed", room.id, told)
