"""The recorder in the room: it hears and sees everybody, and is seen by nobody.

Sources: LiveKit Python SDK 1.2 (``rtc.Room``, ``AudioStream``, ``VideoStream``); a room must be disconnected
before the loop closes, or the process is aborted.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Final

import numpy as np
import structlog
from livekit import rtc

from video_rooms.core.reel import ReelSpec
from video_rooms.recording.canvas import picture_of
from video_rooms.recording.reel import Reel, Visitor
from video_rooms.recording.sound import RATE, Voice

_log = structlog.get_logger("rooms.recorder")
_CONNECT_S: Final = 10.0
_LEAVE_S: Final = 5.0
_LATE_STEPS: Final = 2
"""Behind the clock by more than this, the last picture stands in for those that were not drawn."""


class Camera:
    """Joins, and keeps the reel in step with the clock until it is told to stop or the room ends."""

    def __init__(self, spec: ReelSpec, reel: Reel) -> None:
        self._spec, self._reel = spec, reel
        self._room = rtc.Room()
        self._over = asyncio.Event()
        self._streams: dict[str, asyncio.Task[None]] = {}

    def stop(self) -> None:
        """End it with what has been recorded until now."""
        self._over.set()

    async def join(self) -> None:
        """Raises rtc.ConnectError. Never cancelled: an attempt that is cancelled goes on in the library."""
        room = self._room
        room.on("track_subscribed", self._subscribed)
        room.on("track_unsubscribed", self._unsubscribed)
        room.on("participant_connected", self._came)
        room.on("participant_disconnected", self._left)
        room.on("disconnected", lambda reason: self._over.set())
        options = rtc.RoomOptions(auto_subscribe=True, connect_timeout=_CONNECT_S)
        await room.connect(self._spec.url, self._spec.token, options)
        for person in room.remote_participants.values():
            self._came(person)

    async def roll(self) -> None:
        """Record until the end. Raises EncoderFailed, OSError."""
        frames, origin, step = self._spec.frames, time.monotonic(), 0
        while not self._over.is_set() and step < self._spec.longest_s * frames:
            step += 1
            wait = origin + step / frames - time.monotonic()
            if wait > 0:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await self._over.wait()
            else:
                await asyncio.sleep(0)
            self._reel.step(draw=wait > -_LATE_STEPS / frames)

    async def leave(self) -> None:
        """Must be called, whatever happened."""
        for stream in list(self._streams.values()):
            stream.cancel()
        await asyncio.gather(*self._streams.values(), return_exceptions=True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LEAVE_S):
                await self._room.disconnect()

    # ------------------------------------------------------------ what the room tells

    def _came(self, person: rtc.RemoteParticipant) -> None:
        if person.kind != rtc.ParticipantKind.PARTICIPANT_KIND_EGRESS:
            self._reel.visitors.setdefault(person.identity, Visitor(person.identity, person.name))

    def _left(self, person: rtc.RemoteParticipant) -> None:
        self._reel.visitors.pop(person.identity, None)

    def _subscribed(
        self, track: rtc.Track, publication: rtc.RemoteTrackPublication, person: rtc.RemoteParticipant
    ) -> None:
        self._came(person)
        if track.kind == rtc.TrackKind.KIND_AUDIO:
            voice = self._reel.microphone(publication.sid, person.identity, person.name)
            stream = self._hear(track, voice)
        else:
            stream = self._see(track, person.identity)
        self._streams[publication.sid] = asyncio.create_task(stream, name=f"track-{publication.sid}")

    def _unsubscribed(
        self, track: rtc.Track, publication: rtc.RemoteTrackPublication, person: rtc.RemoteParticipant
    ) -> None:
        stream = self._streams.pop(publication.sid, None)
        if stream is not None:
            stream.cancel()
        if track.kind == rtc.TrackKind.KIND_AUDIO:
            self._reel.silence(publication.sid)
        elif person.identity in self._reel.visitors:
            self._reel.visitors[person.identity].picture = None

    async def _hear(self, track: rtc.Track, voice: Voice) -> None:
        stream = rtc.AudioStream(track, sample_rate=RATE, num_channels=1)
        try:
            async for event in stream:
                voice.hear(np.frombuffer(event.frame.data, dtype=np.int16).copy())
        finally:
            await stream.aclose()

    async def _see(self, track: rtc.Track, identity: str) -> None:
        stream = rtc.VideoStream(track, format=rtc.VideoBufferType.I420, capacity=1)
        try:
            async for event in stream:
                visitor, frame = self._reel.visitors.get(identity), event.frame
                if visitor is not None:
                    visitor.picture = picture_of(frame.data, frame.width, frame.height)
        finally:
            await stream.aclose()
