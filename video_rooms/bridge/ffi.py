"""Sound across the border of LiveKit's library, without what its Python package does for each frame.

The package tells every event of the process to everybody who waits for one: with ten people in a room the
events of their sound keep a core busy. Here the frames of a track go straight to who listens to it, and the
news that a frame was taken, to who gave it; all else goes the package's own way, and its own objects work
beside. Only this file knows the package's inner names; ``installed`` looks whether they are there.
"""

from __future__ import annotations

import ctypes
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from livekit import rtc
from livekit.rtc._ffi_client import FfiClient, FfiQueue
from livekit.rtc._proto import ffi_pb2 as proto
from livekit.rtc._proto.audio_frame_pb2 import AudioStreamType

from telephony.errors import RoomsUnavailable
from video_rooms.core.sound import RATE_HZ, SLICE_BYTES, SLICE_MS

Push = Callable[[bytes], None]
_EARLY = 256


class SoundQueue(FfiQueue[Any]):
    """The package's queue of events, with shorter ways for sound. The library's threads call ``put``."""

    def __init__(self, before: FfiQueue[Any]) -> None:
        super().__init__()
        self._subscribers, self._lock = before._subscribers, before._lock
        self._pushes: dict[int, Push] = {}
        self._takers: dict[int, Callable[[], None]] = {}
        self._early = deque[tuple[int, int]](maxlen=_EARLY)
        """Frames of streams that were not known when they came: their stream, and what holds them."""
        self._taken_early = deque[int](maxlen=_EARLY)

    def put(self, item: Any) -> None:
        which = item.WhichOneof("message")
        if which == "audio_stream_event":
            self._sound(item)
        elif which == "capture_audio_frame":
            self._taken(item)
        else:
            super().put(item)

    def _sound(self, item: Any) -> None:
        event = item.audio_stream_event
        push = self._pushes.get(event.stream_handle)
        if push is None:
            if event.HasField("frame_received"):
                self._early.append((event.stream_handle, event.frame_received.frame.handle.id))
            super().put(item)
        elif event.HasField("frame_received"):
            frame = event.frame_received.frame
            octets = ctypes.string_at(frame.info.data_ptr, 2 * frame.info.samples_per_channel)
            _free(frame.handle.id)
            if len(octets) == SLICE_BYTES:
                push(octets)

    def _taken(self, item: Any) -> None:
        number = item.capture_audio_frame.async_id
        taker = self._takers.pop(number, None)
        if taker is not None:
            taker()
            return
        self._taken_early.append(number)
        super().put(item)

    def listen(self, stream: int, push: Push) -> None:
        self._pushes[stream] = push
        for known, frame in tuple(self._early):
            if known == stream:
                self._early.remove((known, frame))
                _free(frame)

    def ignore(self, stream: int) -> None:
        self._pushes.pop(stream, None)

    def await_taken(self, number: int, taker: Callable[[], None]) -> None:
        self._takers[number] = taker
        if number in self._taken_early and self._takers.pop(number, None) is not None:
            taker()


_INSTALLING = threading.Lock()


def installed() -> SoundQueue:
    """The short ways, made where they are not there yet. Raises ``RoomsUnavailable`` where the package is not
    the one that this was written for."""
    with _INSTALLING:
        client = FfiClient.instance
        queue = getattr(client, "_queue", None)
        if isinstance(queue, SoundQueue):
            return queue
        if not (isinstance(queue, FfiQueue) and hasattr(queue, "_subscribers") and hasattr(queue, "_lock")):
            raise RoomsUnavailable("the livekit package is of a version that is not known here")
        made = SoundQueue(queue)
        client._queue = made
        return made


def _free(handle: int) -> None:
    FfiClient.instance._ffi_lib.livekit_ffi_drop_handle(ctypes.c_uint64(handle))


class TrackStream:
    """The sound of one remote track, in slices of 10 ms at our rate, from now until ``close``."""

    def __init__(self, queue: SoundQueue, track: rtc.RemoteAudioTrack, push: Push) -> None:
        request = proto.FfiRequest()
        wanted = request.new_audio_stream
        wanted.track_handle = track._ffi_handle.handle
        wanted.sample_rate, wanted.num_channels = RATE_HZ, 1
        wanted.queue_size_frames = 0
        wanted.frame_size_ms = SLICE_MS
        wanted.type = AudioStreamType.AUDIO_STREAM_NATIVE
        self._queue = queue
        self._stream = int(FfiClient.instance.request(request).new_audio_stream.stream.handle.id)
        queue.listen(self._stream, push)

    def close(self) -> None:
        """Once."""
        _free(self._stream)
        self._queue.ignore(self._stream)


class Outlet:
    """Sound into a published track whose source keeps no queue: slices of 10 ms, one on its way at a time,
    since two could overtake each other. What comes meanwhile waits; of too much the oldest is left out."""

    MOST = 8

    def __init__(self, queue: SoundQueue, source: rtc.AudioSource) -> None:
        self.left_out = 0
        self._queue, self._source = queue, source
        self._waiting = deque[bytes]()
        self._busy = False
        self._closed = False
        self._guard = threading.Lock()

    def close(self) -> None:
        """Nothing is given any more, so that the source may be freed: threads of the library come here."""
        with self._guard:
            self._closed = True
            self._waiting.clear()

    def say(self, frame: bytes) -> None:
        with self._guard:
            for at in range(0, len(frame), SLICE_BYTES):
                self._waiting.append(frame[at : at + SLICE_BYTES])
            while len(self._waiting) > self.MOST:
                self._waiting.popleft()
                self.left_out += 1
            if self._busy:
                return
            self._busy = True
        self._next()

    def _next(self) -> None:
        """On the loop's thread, or on one of the library's: whoever is free to give the next slice."""
        with self._guard:
            if self._closed or not self._waiting:
                self._busy = False
                return
            number = self._give(self._waiting.popleft())
        self._queue.await_taken(number, self._next)

    def _give(self, piece: bytes) -> int:
        """The number under which the library tells that it was taken."""
        request = proto.FfiRequest()
        request.capture_audio_frame.source_handle = self._source._ffi_handle.handle
        buffer = request.capture_audio_frame.buffer
        buffer.data_ptr = ctypes.cast(ctypes.c_char_p(piece), ctypes.c_void_p).value or 0
        buffer.sample_rate, buffer.num_channels = RATE_HZ, 1
        buffer.samples_per_channel = len(piece) // 2
        return int(FfiClient.instance.request(request).capture_audio_frame.async_id)
