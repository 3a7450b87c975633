"""One call of LiveKit's SIP service that leads into a room: the sound of both ends."""

from __future__ import annotations

import asyncio
import contextlib

from tests.rig.pretend_switch import WebSocketChannel
from video_rooms.bridge.rtc_stay import RtcStay
from video_rooms.core.feed import Feed
from video_rooms.core.mix import Mix
from video_rooms.core.sound import SILENCE

_FRAME_S = 0.02


class SipLine:
    """Fits ``StayEar``. ``stay`` is set once it is in the room."""

    def __init__(self) -> None:
        self.stay: RtcStay | None = None
        self.out = False
        self.feeds: dict[str, Feed] = {}
        """What others there publish."""
        self._mix = Mix()
        self._mix.enter(self.feeds, "")

    def put_out(self, why: str) -> None:
        self.out = True

    def track_muted(self, on: bool) -> None: ...

    def crowd(self) -> None: ...

    def voices(self) -> None:
        """All that others publish is listened to."""
        if self.stay is None:
            return
        published = self.stay.published
        for gone in [track for track in self.feeds if track not in published]:
            self.stay.drop(gone)
            del self.feeds[gone]
        for track in published:
            if track not in self.feeds:
                feed = self.feeds[track] = Feed()
                self.stay.fetch(track)
                self.stay.hear(track, feed.push)

    async def talks(self, channel: WebSocketChannel) -> None:
        """The sound of both ends, until one of them ends it."""
        assert self.stay is not None
        self.voices()
        loop = asyncio.get_running_loop()
        due, at = loop.time(), len(channel.heard)
        with contextlib.suppress(ConnectionError):
            while channel.up and not self.out:
                frame, _ = self._mix.frame()
                await channel.says(frame or SILENCE)
                said = channel.heard[at:]
                at += len(said)
                for one in said:
                    self.stay.say(one or SILENCE)
                due += _FRAME_S
                await asyncio.sleep(max(0.0, due - loop.time()))
