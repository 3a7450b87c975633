"""Makes sure that the media server knows of somebody who has left.

The library says goodbye and closes its connection at once. Where the server is writing to it at that moment
(others come and go, our own sound is being announced), the closed connection takes the unread goodbye with
it, and the server shows the participant for some 21 s more, until it gives up waiting for them (livekit
1.2.1, LiveKit 1.13.5). Tokens of our own legs may administer their room, so the leg asks, and puts itself
out where it is still shown (LiveKit, "Managing participants"; Twirp over HTTP).
"""

from __future__ import annotations

import asyncio
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import structlog

from video_rooms.core.leg import Join
from video_rooms.core.trunk_pass import read_pass

_log = structlog.get_logger("video_rooms.bridge")
EXIT_S: Final = 2.0
_AGAIN_S: Final = 0.1
"""How long a goodbye that arrives may take to be seen."""
_THERE, _NOT_THERE = 200, 404


def http_address(url: str) -> str:
    """Where a media server of this ``ws`` or ``wss`` address answers by HTTP; without a slash at its end."""
    parts = urlsplit(url)
    scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
    return urlunsplit((scheme, parts.netloc, parts.path.rstrip("/"), "", ""))


async def see_off(join: Join, sid: str) -> None:
    """Nobody of this stay (``sid``; "" where it is not known: of this identity) is shown in the room any
    more, once this is back, as far as the token and the server allow it. Never raises."""
    opened = read_pass(join.token)
    if opened is None or not opened.admin:
        return
    who = {"room": opened.room, "identity": opened.identity}
    service = f"{http_address(join.url)}/twirp/livekit.RoomService"
    try:
        async with aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=EXIT_S),
            headers={"Authorization": f"Bearer {join.token}"},
        ) as http:
            status = await _shown(http, service, who, sid)
            if status == _THERE:
                await asyncio.sleep(_AGAIN_S)
                status = await _shown(http, service, who, sid)
            if status == _THERE:
                _log.info("room_exit_unheard", identity=opened.identity)
                status = await _asked(http, f"{service}/RemoveParticipant", who)
    except (aiohttp.ClientError, TimeoutError, ValueError) as fault:
        _log.warning("room_exit_not_seen", identity=opened.identity, why=type(fault).__name__)
        return
    if status not in (_THERE, _NOT_THERE):
        _log.warning("room_exit_not_seen", identity=opened.identity, status=status)


async def _shown(http: aiohttp.ClientSession, service: str, who: dict[str, str], sid: str) -> int:
    """Whether this very stay is in the room, as a status."""
    async with http.post(f"{service}/GetParticipant", json=who, allow_redirects=False) as answer:
        if answer.status != _THERE or not sid:
            return answer.status
        told = await answer.json()
        same = isinstance(told, dict) and told.get("sid") == sid
        return _THERE if same else _NOT_THERE


async def _asked(http: aiohttp.ClientSession, url: str, who: dict[str, str]) -> int:
    async with http.post(url, json=who, allow_redirects=False) as answer:
        return answer.status
