"""Checks of video rooms: whether a LiveKit server can be had, answers, and is set up as rooms want it."""

from __future__ import annotations

import asyncio
import datetime
import secrets
from typing import Final

import aiohttp

from gateway.config import Settings
from gateway.config_rooms import RoomServerAddress
from gateway.runtime.errors import ProvisionFailed
from gateway.runtime.findings import Finding, fail, ok, warn
from gateway.runtime.livekit import KEY, installation_secret
from gateway.runtime.livekit_program import NAME, find_livekit
from gateway.runtime.programs import line_of

_DEADLINE_S: Final = 5.0
_NAMES: Final = "DEVOTEL_ORBIT_MEDIA_URL, …_API_KEY and …_API_SECRET"


async def check_rooms(settings: Settings, running: bool) -> list[Finding]:
    """The server that is configured, or the embedded one where the stack of this ``var_dir`` runs."""
    if settings.room_server is not None:
        return await _look(settings.room_server, meant=True)
    if not settings.embedded_livekit:
        return [ok("rooms", "no video rooms: PATCHBAY_LIVEKIT is off and no server is configured")]
    try:
        program = await asyncio.to_thread(find_livekit, settings, lambda line: None)
    except ProvisionFailed as failure:
        return [fail("rooms", failure.message, "mend PATCHBAY_LIVEKIT_SERVER_BIN")]
    if program is None:
        mend = f"patchbay runtime fetch, where Go is; or set {_NAMES}"
        return [warn("rooms", f"no video rooms: {NAME} is not here", mend)]
    if not running:
        return [ok("rooms", f"{line_of(program)}, embedded, not running now")]
    return await _look(_embedded(settings), meant=False)


def room_address(settings: Settings, running: bool) -> RoomServerAddress | None:
    """Where LiveKit can be asked now: the one that is configured, or the embedded one while it runs."""
    if settings.room_server is not None or not (settings.embedded_livekit and running):
        return settings.room_server
    return _embedded(settings)


def _embedded(settings: Settings) -> RoomServerAddress:
    url = f"ws://127.0.0.1:{settings.livekit_port}"
    return RoomServerAddress(url, KEY, installation_secret(settings.var_dir))


async def _look(address: RoomServerAddress, *, meant: bool) -> list[Finding]:
    """Ask for a room that is not there, and whether a token would make it; nothing is changed."""
    from livekit import api  # why here: it takes a second, and only rooms need it

    trouble = fail if meant else warn
    mend = f"start it, or mend {_NAMES}" if meant else "see var/livekit/livekit.log"
    name = f"patchbay-doctor-{secrets.token_hex(8)}"
    timeout = aiohttp.ClientTimeout(total=_DEADLINE_S)
    key, secret = address.key, address.secret.reveal()
    try:
        async with api.LiveKitAPI(address.url, key, secret, timeout=timeout, failover=False) as client:
            await client.room.list_rooms(api.ListRoomsRequest(names=[name]))
        token = api.AccessToken(key, secret).with_identity("doctor").with_ttl(datetime.timedelta(minutes=1))
        grants = api.VideoGrants(room_join=True, room=name)
        status = await _would_join(address.url, token.with_grants(grants).to_jwt())
    except api.ServerError as refusal:
        said = "does not take our key" if refusal.status in (401, 403) else f"answers {refusal.status}"
        return [trouble("rooms", f"LiveKit at {address.url} {said}", mend)]
    except (aiohttp.ClientError, TimeoutError, OSError, AttributeError) as failure:
        # why AttributeError: livekit-api 1.2.2 takes an error without a body for a JSON object
        return [trouble("rooms", f"LiveKit at {address.url} is away: {type(failure).__name__}", mend)]
    found = [ok("rooms", f"LiveKit at {address.url} answers and takes our key")]
    if status == 200:
        found.append(
            warn(
                "rooms",
                "LiveKit makes a room for whoever comes with a token (room.auto_create is on)",
                "set room: {auto_create: false} there, or an old token opens a room that has ended",
            )
        )
    return found


async def _would_join(url: str, token: str) -> int:
    """What LiveKit says to somebody who asks, before joining, whether they may (``/rtc/validate``)."""
    base = "http" + url.removeprefix("ws").removeprefix("http")
    timeout = aiohttp.ClientTimeout(total=_DEADLINE_S)
    async with aiohttp.ClientSession(timeout=timeout, trust_env=False) as session:
        headers = {"Authorization": f"Bearer {token}"}
        async with session.get(f"{base}/rtc/validate", headers=headers) as response:
            return response.status
