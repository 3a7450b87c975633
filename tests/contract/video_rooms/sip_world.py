"""What brings telephones into rooms by SIP, and nothing else: a carrier of legs at a real LiveKit server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from unittest.mock import patch

import aiohttp

from gateway.clocks import SystemClock
from gateway.room_chances import RoomChances
from gateway.room_sip import RoomsBySip, RoomSipPlan
from gateway.room_workers import RoomsHere, RoomWorkersPlan
from tests.rig.livekit import LiveKitRig
from tests.rig.pretend_sip import SipService, SwitchOfCalls
from video_rooms.core.trunks import Inbound, TrunkPlan
from video_rooms.livekit.control import LiveKitAddress, LiveKitRooms
from video_rooms.livekit.trunks import LiveKitTrunks
from video_rooms.siptrunk import door

PLAN = TrunkPlan("0a1b2c3d", Inbound("rooms-0a1b2c3d", "patchbay", "p" * 32))
READY_S = 45.0
SERVICE_S = 15.0
"""How long the service may take here: the one that is played shares this process with everybody else."""


@asynccontextmanager
async def running_by_sip(
    livekit: LiveKitRig, http: aiohttp.ClientSession, music: Path
) -> AsyncIterator[RoomsBySip]:
    """It, ready. It is alone: no telephone comes into a room by any other way."""
    at = LiveKitAddress(livekit.address.url, livekit.address.key, livekit.address.secret.reveal())
    server = LiveKitRooms(at, SystemClock())
    plan = RoomSipPlan(PLAN, "room1", "127.0.0.1", 0, music, alone=True, keep=False)
    other = RoomsHere(RoomWorkersPlan(0, "127.0.0.1", 0))
    carrier = RoomsBySip(plan, other, server, LiveKitTrunks(server), RoomChances(), SystemClock())
    service = SipService(livekit, http, lambda _: ("127.0.0.1", carrier.states[-1].port))
    switch = SwitchOfCalls(service)
    switch.tells = carrier.attach(switch)
    async with AsyncExitStack() as exits:
        exits.enter_context(patch.object(door, "TAKE_S", SERVICE_S))
        exits.enter_context(patch.object(door, "SEEN_S", SERVICE_S))
        exits.push_async_callback(server.close)
        exits.push_async_callback(service.close)
        await carrier.start()
        exits.push_async_callback(carrier.stop)
        async with asyncio.timeout(READY_S):
            while not carrier.keeper.ready:  # noqa: ASYNC110 - what is waited for is told to nobody
                await asyncio.sleep(0.01)
        yield carrier
