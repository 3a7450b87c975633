"""Rooms of a LiveKit server, entered through LiveKit's own library.

What was seen of livekit 1.2.1 and LiveKit 1.13.5, and decides how this is written: an attempt at a room
that is cancelled leaves somebody in it and ends the process some seconds later, so none is; the loop must not
close before all rooms are left; a full room is refused with 500 and no reason; the library's log has tokens
in it.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

import aiohttp
import structlog
from livekit import rtc
from livekit.rtc.participant import PublishTrackError

from video_rooms.bridge.ffi import SoundQueue, installed
from video_rooms.bridge.rtc_exit import http_address, see_off
from video_rooms.bridge.rtc_stay import RtcStay, Wish
from video_rooms.core.leg import Join
from video_rooms.ports_media import NotAdmitted, StayEar

_log = structlog.get_logger("video_rooms.bridge")
logging.getLogger("livekit").setLevel(logging.CRITICAL)  # below, it tells tokens

ATTEMPT_S = 5.0
PUBLISH_S = 5.0
_ASK_S = 2.0
_STATUS = re.compile(r"(?:client|handshake) error: ([0-9]{3})\b")
_REFUSED = {200: "full", 401: "refused", 403: "refused", 404: "no_room"}
"""By the server's status; 200 is the answer to whether all is well, after a refusal without a reason."""
_HERE = ("127.0.0.1", "::1", "localhost")


class RtcRooms:
    """Fits ``RoomDoor``. ``back_within_s``: how long a connection that broke may take to come back. Raises
    ``RoomsUnavailable`` where the library is not as it must be."""

    def __init__(self, *, back_within_s: float = 8.0) -> None:
        self._queue: SoundQueue = installed()
        self._back_within_s = back_within_s
        self._stays: set[RtcStay] = set()

    def __len__(self) -> int:
        return len(self._stays)

    async def enter(self, join: Join, ear: StayEar, *, muted: bool) -> RtcStay:
        room = rtc.Room()
        stay = RtcStay(room, join, ear, Wish(self._queue, self._back_within_s, self._stays.discard))
        try:
            await room.connect(join.url, join.token, _options(join.url))
        except rtc.ConnectError as refusal:
            stay.forget()
            why = await _why(refusal.message, join)
            if why == "unreachable":  # why: an attempt that took too long may have been let in after all
                await see_off(join, "")
            raise NotAdmitted(why) from None
        self._stays.add(stay)
        try:
            async with asyncio.timeout(PUBLISH_S):
                await stay.publish(muted)
        except (TimeoutError, PublishTrackError) as fault:
            _log.warning("room_not_published", why=type(fault).__name__)
            await stay.leave()
            raise NotAdmitted("timeout" if isinstance(fault, TimeoutError) else "refused") from None
        return stay

    async def close(self) -> None:
        await asyncio.gather(*(stay.leave() for stay in tuple(self._stays)))


def _options(url: str) -> rtc.RoomOptions:
    """To a media server on this machine no way has to be found: else the library would ask the STUN servers
    that LiveKit names, out on the internet, and where they cannot be reached keep a dozen threads for ten
    seconds with looking for their addresses. What is named instead is nobody."""
    options = rtc.RoomOptions(auto_subscribe=False, connect_timeout=ATTEMPT_S)
    if urlsplit(url).hostname in _HERE:
        options.rtc_config = rtc.RtcConfiguration(ice_servers=[rtc.IceServer(urls=["stun:127.0.0.1:9"])])
    return options


async def _why(said: str, join: Join) -> str:
    """Why the server did not let us in. What the library said has the token in it, and goes no further."""
    found = _STATUS.search(said)
    status = int(found[1]) if found is not None else 0
    if status == 500:
        status = await _asked(join)
    return _REFUSED.get(status, "unreachable")


async def _asked(join: Join) -> int:
    """Whether the token is good and the room is there, by the server's own question for that; the status. It
    is 200 where all is well but nobody more is let in."""
    url = f"{http_address(join.url)}/rtc/validate"
    headers: Mapping[str, str] = {"Authorization": f"Bearer {join.token}"}
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_ASK_S)) as http,
            http.get(url, headers=headers, allow_redirects=False) as answer,
        ):
            return answer.status
    except (aiohttp.ClientError, TimeoutError):
        return 0
