"""People in a LiveKit room, as a browser would be: they speak a tone, keep what they hear, leave in order.

A room left connected when the event loop closes aborts the process, so ``visitor`` is the only way in.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import numpy as np
import numpy.typing as npt
from livekit import rtc
from livekit.protocol import models
from livekit.protocol import rtc as signal

logging.getLogger("livekit").setLevel(logging.CRITICAL)  # it writes tokens, and what is expected, to stderr
HEARING_RATE = 16_000
"""Samples a second of what is kept, one channel, 16-bit."""
_SPEAKING_RATE = 48_000
_FRAME_S = 0.02
_GOODBYE_S = 2.0
Samples = npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet that was sent in the room; ``sender`` None: by the server."""

    payload: bytes
    topic: str | None
    sender: str | None


def tone(hz: float, seconds: float, rate: int = _SPEAKING_RATE, level: float = 0.3) -> Samples:
    """A sine."""
    at = np.arange(int(seconds * rate)) / rate
    return (np.sin(2 * np.pi * hz * at) * level * 32_767).astype(np.int16)


def share_of(samples: Samples, hz: float, rate: int = HEARING_RATE, width: float = 40) -> float:
    """How much of the energy is within ``width`` of this tone, 0 to 1; 0 for near silence."""
    if not len(samples):
        return 0.0
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    whole = float(spectrum.sum())
    if np.sqrt(np.mean(samples.astype(np.float64) ** 2)) < 30:
        return 0.0
    near = np.abs(np.fft.rfftfreq(len(samples), 1 / rate) - hz) <= width
    return float(spectrum[near].sum()) / whole


def loudness(samples: Samples) -> float:
    """Root mean square, 0 to 32767."""
    return float(np.sqrt(np.mean(samples.astype(np.float64) ** 2))) if len(samples) else 0.0


class Visitor:
    """Somebody in a room. Made by ``visitor``."""

    def __init__(self, room: rtc.Room, url: str, token: str) -> None:
        self.room = room
        self._url, self._token = url, token
        self.packets: list[Packet] = []
        self.left: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Why the room was left, once it was: a name of ``rtc.DisconnectReason``."""
        self._heard: dict[str, list[Samples]] = {}
        self._changed = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()
        self._listening: dict[str, asyncio.Task[None]] = {}
        self._track: rtc.LocalAudioTrack | None = None
        self._hz = 0.0
        self._listen()

    @property
    def identity(self) -> str:
        return self.room.local_participant.identity

    @property
    def others(self) -> dict[str, rtc.RemoteParticipant]:
        """Who else is here, as this one sees it."""
        return dict(self.room.remote_participants)

    def heard(self, identity: str, last_s: float | None = None) -> Samples:
        """What was heard of somebody (the last seconds of it)."""
        whole: Samples = np.concatenate(self._heard.get(identity) or [np.zeros(0, np.int16)])
        return whole if last_s is None else whole[-int(last_s * HEARING_RATE) :]

    def forget(self) -> None:
        """What was heard until now counts no more."""
        self._heard.clear()

    async def speak(self, hz: float, *, level: float = 0.3) -> rtc.LocalAudioTrack:
        """Publish a microphone that sounds this tone until the end; called again, the tone changes."""
        self._hz = hz
        if self._track is not None:
            return self._track
        source = rtc.AudioSource(_SPEAKING_RATE, 1, queue_size_ms=100)
        track = rtc.LocalAudioTrack.create_audio_track("microphone", source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE, dtx=False)
        await self.room.local_participant.publish_track(track, options)
        self._track = track
        self._run(self._sound(source, level))
        return track

    async def show(self, shade: int, *, width: int = 160, height: int = 96, every_s: float = 0.1) -> None:
        """Publish a camera whose picture is one grey, 0 to 255."""
        source = rtc.VideoSource(width, height)
        track = rtc.LocalVideoTrack.create_video_track("camera", source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_CAMERA, simulcast=False)
        await self.room.local_participant.publish_track(track, options)
        picture = bytes([shade, shade, shade, 255]) * (width * height)

        async def film() -> None:
            while True:
                source.capture_frame(rtc.VideoFrame(width, height, rtc.VideoBufferType.RGBA, picture))
                await asyncio.sleep(every_s)

        self._run(film())

    def mute(self, on: bool = True) -> None:
        """As one's own mute button."""
        assert self._track is not None, "nothing is published"
        if on:
            self._track.mute()
        else:
            self._track.unmute()

    async def send(self, payload: bytes, topic: str = "") -> None:
        await self.room.local_participant.publish_data(payload, reliable=True, topic=topic)

    async def until(self, holds: Callable[[], Any], within_s: float = 20, what: str = "as wanted") -> None:
        """Wait until this holds; looked at whenever anything happens, and each 50 ms."""
        try:
            async with asyncio.timeout(within_s):
                while not holds():
                    async with self._changed:
                        with contextlib.suppress(TimeoutError):
                            await asyncio.wait_for(self._changed.wait(), 0.05)
        except TimeoutError:
            told = {who: len(self.heard(who)) for who in self._heard}
            raise AssertionError(
                f"{self.identity}: not {what} in {within_s} s; here {[*self.others]}, heard {told}"
            ) from None

    async def hears(self, identity: str, hz: float, *, within_s: float = 20, last_s: float = 0.3) -> None:
        """Wait until so much of this tone is heard of somebody, from the last of what was heard until now on.
        A tone that ends by itself may be over before it is looked at."""
        size = int(last_s * HEARING_RATE)
        waiting, taken = self.heard(identity, last_s), len(self._heard.get(identity, []))

        def so() -> bool:
            nonlocal waiting, taken
            pieces = self._heard.get(identity, [])
            fresh = pieces[taken:] if taken <= len(pieces) else pieces  # else it was forgotten meanwhile
            waiting, taken = np.concatenate([waiting, *fresh]), len(pieces)
            while len(waiting) >= size:
                if share_of(waiting[:size], hz) > 0.8:
                    return True
                waiting = waiting[HEARING_RATE // 20 :]
            return False

        await self.until(so, within_s, f"hearing {hz} Hz of {identity}")

    async def hears_nothing(self, identity: str, *, within_s: float = 20, last_s: float = 0.3) -> None:
        """Wait until what is heard of somebody has been silent, or not come at all, for so long."""
        loop = asyncio.get_running_loop()
        quiet_since = loop.time()
        known = len(self.heard(identity))

        def so() -> bool:
            nonlocal quiet_since, known
            found = self.heard(identity)
            if len(found) > known and loudness(found[known:]) >= 60:
                quiet_since = loop.time()
            known = len(found)
            return loop.time() - quiet_since >= last_s

        await self.until(so, within_s, f"hearing nothing of {identity}")

    async def sees(self, identity: str, within_s: float = 20) -> rtc.RemoteParticipant:
        """Wait until somebody is here."""
        await self.until(lambda: identity in self.others, within_s, f"seeing {identity}")
        return self.others[identity]

    async def close(self) -> None:
        for task in self._tasks | set(self._listening.values()):
            task.cancel()
        await asyncio.gather(*self._tasks, *self._listening.values(), return_exceptions=True)
        was_in = self.room.isconnected() and not self.left.done()
        sid = self.room.local_participant.sid if was_in else ""
        await self.room.disconnect()
        if was_in:
            await _goodbye(self._url, self._token, sid)

    def _listen(self) -> None:
        room = self.room

        def disconnected(reason: Any) -> None:
            if not self.left.done():
                self.left.set_result(rtc.DisconnectReason.Name(reason))

        def subscribed(track: Any, publication: Any, who: rtc.RemoteParticipant) -> None:
            if track.kind == rtc.TrackKind.KIND_AUDIO:
                task = asyncio.create_task(self._keep(track, who.identity))
                self._listening[publication.sid] = task

        def unsubscribed(track: Any, publication: Any, who: Any) -> None:
            if (task := self._listening.pop(publication.sid, None)) is not None:
                task.cancel()
                self._tasks.add(task)

        def packet(came: rtc.DataPacket) -> None:
            sender = came.participant.identity if came.participant is not None else None
            self.packets.append(Packet(came.data, came.topic, sender))

        room.on("disconnected", disconnected)
        room.on("track_subscribed", subscribed)
        room.on("track_unsubscribed", unsubscribed)
        room.on("data_received", packet)
        for name in ("participant_connected", "participant_disconnected", "track_muted", "track_unmuted",
                     "participant_attributes_changed", "disconnected", "data_received", "track_subscribed",
                     "participant_permissions_changed", "room_updated"):  # fmt: skip
            room.on(name, lambda *_: self._run(self._wake()))

    def _run(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _wake(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _keep(self, track: rtc.RemoteAudioTrack, identity: str) -> None:
        stream = rtc.AudioStream(track, sample_rate=HEARING_RATE, num_channels=1)
        kept = self._heard.setdefault(identity, [])
        try:
            async for event in stream:
                kept = self._heard.setdefault(identity, [])
                kept.append(np.frombuffer(event.frame.data, np.int16).copy())
                await self._wake()
        finally:
            await stream.aclose()

    async def _sound(self, source: rtc.AudioSource, level: float) -> None:
        size = int(_SPEAKING_RATE * _FRAME_S)
        phase = 0.0
        while True:
            steps = 2 * np.pi * self._hz / _SPEAKING_RATE * np.arange(size) + phase
            phase = float(steps[-1] + 2 * np.pi * self._hz / _SPEAKING_RATE)
            samples = (np.sin(steps) * level * 32_767).astype(np.int16)
            await source.capture_frame(rtc.AudioFrame(samples.tobytes(), _SPEAKING_RATE, 1, size))


@asynccontextmanager
async def visitor(url: str, token: str, *, within_s: float = 20) -> AsyncIterator[Visitor]:
    """Come into the room that the token opens, and leave it at the end, whatever happened.

    Raises ``rtc.ConnectError`` where the server refuses, or does not answer in time.
    """
    room = rtc.Room()
    here = Visitor(room, url, token)
    try:
        # why no timeout of ours: an attempt that is cancelled goes on in the library, and aborts the process
        await room.connect(url, token, rtc.RoomOptions(connect_timeout=within_s))
        yield here
    finally:
        await here.close()


async def _goodbye(url: str, token: str, sid: str) -> None:
    """Say once more that this stay is over, on a connection of its own: the library's goodbye goes unheard
    where the server is writing to it at that moment, and the visitor is shown for 21 s more."""
    leave = signal.SignalRequest(leave=signal.LeaveRequest(reason=models.CLIENT_INITIATED))
    with contextlib.suppress(aiohttp.ClientError, TimeoutError):
        async with (
            asyncio.timeout(_GOODBYE_S),
            aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as http,
            http.ws_connect(f"{url}/rtc?reconnect=1&sid={sid}&auto_subscribe=0&protocol=15") as line,
        ):
            await line.send_bytes(leave.SerializeToString())
            async for _ in line:
                pass
