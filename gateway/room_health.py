"""How video rooms are told among the dependencies: optional, so never a reason not to be ready."""

from __future__ import annotations

import asyncio
from typing import Final

from gateway.http.ports import Health, Probe
from telephony.errors import RoomsUnavailable
from video_rooms.ports import RoomServer

_DEADLINE_S: Final = 1.5
"""Less than a probe may take: one that is late is not well, and this must not be."""
_NOBODYS_ROOM: Final = "patchbay-health"


def rooms_probe(server: RoomServer | None) -> Probe:
    """Says whether the media server answers, and is well either way."""

    async def probe() -> Health:
        if server is None:
            return Health(True, "optional, not here: no video rooms")
        try:
            async with asyncio.timeout(_DEADLINE_S):
                await server.rooms([_NOBODYS_ROOM])
        except (RoomsUnavailable, TimeoutError) as failure:
            why = failure.message if isinstance(failure, RoomsUnavailable) else "no answer in time"
            return Health(True, f"optional, away: no video rooms ({why})")
        return Health(True)

    return probe
