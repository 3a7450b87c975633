"""One participant in a LiveKit room."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog
from livekit import rtc
from livekit.rtc.room import EventTypes

from video_rooms.bridge.ffi import Outlet, Push, SoundQueue, TrackStream
from video_rooms.bridge.rtc_exit import see_off
from video_rooms.core.leg import Join
from video_rooms.core.live import ROLE
from video_rooms.core.room import Role
from video_rooms.core.sound import RATE_HZ
from video_rooms.ports_media import StayEar

_log = structlog.get_logger("video_rooms.bridge")

QUEUE_MS = 0
"""What the library may hold of our sound. A queue is emptied by a clock of the library's own, so what is in
it too much stays there as delay: at 60 ms, 15 to 40 ms of it."""
LEAVE_S = 4.0
SHOW_S = 5.0
_WHY = {
    rtc.DisconnectReason.DUPLICATE_IDENTITY: "replaced",
    rtc.DisconnectReason.PARTICIPANT_REMOVED: "removed",
    rtc.DisconnectReason.ROOM_DELETED: "room_ended",
    rtc.DisconnectReason.ROOM_CLOSED: "room_ended",
}


@dataclass(frozen=True, slots=True)
class Wish:
    """What all stays have in common."""

    queue: SoundQueue
    back_within_s: float
    left: Callable[[RtcStay], None]


class RtcStay:
    """Fits ``RoomStay``."""

    def __init__(self, room: rtc.Room, join: Join, ear: StayEar, wish: Wish) -> None:
        self._room, self._ear, self._wish = room, ear, wish
        self._join = join
        self._loop = asyncio.get_running_loop()
        self._wanted: dict[str, Push | None] = {}
        """The tracks that are fetched, and where those go that are heard."""
        self._streams: dict[str, TrackStream] = {}
        self._track: rtc.LocalAudioTrack | None = None
        self._source: rtc.AudioSource | None = None
        self._outlet: Outlet | None = None
        self._away: asyncio.TimerHandle | None = None
        self._over = False
        self._shown_out = False
        """The server itself said that we are out."""
        self._leaving: asyncio.Task[None] | None = None
        self._unshown: dict[str, str] = {}
        self._showing: asyncio.Task[None] | None = None
        self._listen()

    async def publish(self, muted: bool) -> None:
        """Have our sound in the room. Raises ``rtc.PublishTrackError``."""
        self._source = rtc.AudioSource(RATE_HZ, 1, queue_size_ms=QUEUE_MS)
        self._track = rtc.LocalAudioTrack.create_audio_track("telephone", self._source)
        if muted:
            self._track.mute()
        self._outlet = Outlet(self._wish.queue, self._source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        await self._room.local_participant.publish_track(self._track, options)

    # ------------------------------------------------------------ what is known

    @property
    def room(self) -> str:
        return f"{self._join.url} {self._room.name}"

    @property
    def identity(self) -> str:
        return self._join.identity

    @property
    def others(self) -> int:
        return sum(_counts(one) for one in self._room.remote_participants.values())

    @property
    def recording(self) -> bool:
        return self._room.is_recording

    @property
    def may_hear(self) -> bool:
        mine = self._room.local_participant._info
        return not self._over and (not mine.HasField("permission") or mine.permission.can_subscribe)

    @property
    def connected(self) -> bool:
        return self._away is None

    @property
    def published(self) -> Mapping[str, str]:
        return {
            sid: who.identity
            for who in self._room.remote_participants.values()
            for sid, publication in who.track_publications.items()
            if publication.kind == rtc.TrackKind.KIND_AUDIO
        }

    # ------------------------------------------------------------ what is done

    def fetch(self, track: str) -> None:
        publication = self._publication(track)
        if track in self._wanted or publication is None or self._over:
            return
        self._wanted[track] = None
        publication.set_subscribed(True)

    def hear(self, track: str, push: Push | None) -> None:
        if track not in self._wanted or self._over:
            return
        self._wanted[track] = push
        self._close_stream(track)
        publication = self._publication(track)
        if publication is not None:
            self._open_stream(publication)

    def drop(self, track: str) -> None:
        if track not in self._wanted:
            return
        del self._wanted[track]
        self._close_stream(track)
        publication = self._publication(track)
        if publication is not None and not self._over:
            publication.set_subscribed(False)

    def say(self, frame: bytes) -> None:
        if self._outlet is not None and not self._over:
            self._outlet.say(frame)

    def mute(self, on: bool) -> None:
        track = self._track
        if track is None or self._over or track.muted == on:
            return
        if on:
            track.mute()
        else:
            track.unmute()

    def show(self, attributes: Mapping[str, str]) -> None:
        self._unshown |= attributes
        if self._showing is None and not self._over:
            self._showing = self._loop.create_task(self._show())

    async def leave(self) -> None:
        """However often: once."""
        if self._leaving is None:
            self._leaving = self._loop.create_task(self._leave())
        await asyncio.shield(self._leaving)

    # ------------------------------------------------------------ what the library tells

    def _listen(self) -> None:
        told: list[tuple[EventTypes, Callable[..., None]]] = [
            ("participant_connected", self._crowd),
            ("participant_disconnected", self._crowd),
            ("participant_attributes_changed", self._crowd),
            ("room_updated", self._crowd),
            ("track_published", self._track_published),
            ("track_unpublished", self._voices),
            ("participant_permissions_changed", self._voices),
            ("participant_disconnected", self._voices),
            ("track_subscribed", self._track_subscribed),
            ("track_unsubscribed", self._track_unsubscribed),
            ("track_muted", self._track_muted),
            ("track_unmuted", self._track_unmuted),
            ("reconnecting", self._reconnecting),
            ("reconnected", self._reconnected),
            ("disconnected", self._disconnected),
        ]
        self._told = told
        for name, hears in told:
            self._room.on(name, hears)

    def forget(self) -> None:
        """Nothing is heard of the room any more, and the room is freed with this: no ring of references holds
        its threads until somebody looks for rings."""
        for name, hears in self._told:
            self._room.off(name, hears)
        self._told.clear()

    def _crowd(self, *_: object) -> None:
        self._ear.crowd()

    def _voices(self, *_: object) -> None:
        self._ear.voices()

    def _track_published(self, publication: rtc.RemoteTrackPublication, _: rtc.RemoteParticipant) -> None:
        if publication.sid in self._wanted:  # after the connection was made anew
            publication.set_subscribed(True)
        self._ear.voices()

    def _track_subscribed(
        self, _: rtc.RemoteTrack, publication: rtc.RemoteTrackPublication, __: rtc.RemoteParticipant
    ) -> None:
        self._open_stream(publication)

    def _track_unsubscribed(
        self, _: rtc.RemoteTrack, publication: rtc.RemoteTrackPublication, __: rtc.RemoteParticipant
    ) -> None:
        self._close_stream(publication.sid)

    def _track_muted(self, who: rtc.Participant, _: rtc.TrackPublication) -> None:
        if who.identity == self._join.identity:
            self._ear.track_muted(True)

    def _track_unmuted(self, who: rtc.Participant, _: rtc.TrackPublication) -> None:
        if who.identity == self._join.identity:
            self._ear.track_muted(False)

    def _reconnecting(self) -> None:
        if self._away is None:
            self._away = self._loop.call_later(self._wish.back_within_s, self._put_out, "lost")
            self._ear.voices()

    def _reconnected(self) -> None:
        if self._away is not None:
            self._away.cancel()
            self._away = None
        self._ear.voices()
        self._ear.crowd()

    def _disconnected(self, reason: rtc.DisconnectReason.ValueType) -> None:
        self._shown_out = reason in _WHY
        self._put_out(_WHY.get(reason, "lost"))

    def _put_out(self, why: str) -> None:
        if not self._over:
            self._ear.put_out(why)

    # ------------------------------------------------------------ within

    async def _show(self) -> None:
        while self._unshown and not self._over:
            attributes, self._unshown = self._unshown, {}
            try:
                async with asyncio.timeout(SHOW_S):
                    await self._room.local_participant.set_attributes(attributes)
            except TimeoutError:
                _log.warning("attributes_not_shown", names=sorted(attributes))
        self._showing = None

    async def _leave(self) -> None:
        self._over = True
        if self._away is not None:
            self._away.cancel()
        for track in tuple(self._streams):
            self._close_stream(track)
        self._wanted.clear()
        sid = self._room.local_participant.sid
        parting = self._loop.create_task(self._room.disconnect())
        _, late = await asyncio.wait([parting], timeout=LEAVE_S)
        if late:
            _log.error("room_not_left", identity=self._join.identity)
        self.forget()
        if not self._shown_out:
            await see_off(self._join, sid)
        if self._outlet is not None:
            self._outlet.close()
        if self._source is not None:
            await self._source.aclose()
        self._track = self._source = self._outlet = None
        self._wish.left(self)

    def _publication(self, track: str) -> rtc.RemoteTrackPublication | None:
        for who in self._room.remote_participants.values():
            if (found := who.track_publications.get(track)) is not None:
                return found
        return None

    def _open_stream(self, publication: rtc.RemoteTrackPublication) -> None:
        push, track = self._wanted.get(publication.sid), publication.track
        if push is not None and isinstance(track, rtc.RemoteAudioTrack) and not self._over:
            self._close_stream(publication.sid)
            self._streams[publication.sid] = TrackStream(self._wish.queue, track, push)

    def _close_stream(self, track: str) -> None:
        stream = self._streams.pop(track, None)
        if stream is not None:
            stream.close()


def _counts(who: rtc.RemoteParticipant) -> bool:
    """Recorders are nobody, and so are helpers, who have no role (``core.roster.is_seen``)."""
    recorder = who.kind == rtc.ParticipantKind.PARTICIPANT_KIND_EGRESS
    helper = who.kind == rtc.ParticipantKind.PARTICIPANT_KIND_AGENT and ROLE not in who.attributes
    return not recorder and not helper and who.attributes.get(ROLE) != Role.RECORDER
