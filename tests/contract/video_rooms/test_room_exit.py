"""Whoever left a room is shown in it no longer, although the library's goodbye was never heard."""

from __future__ import annotations

import asyncio

import pytest

from tests.rig.livekit import LiveKitRig
from tests.rig.visitors import visitor
from video_rooms.bridge.rtc_exit import see_off
from video_rooms.core.leg import Join

pytestmark = pytest.mark.contract


async def test_who_is_still_shown_is_put_out(livekit: LiveKitRig) -> None:
    room = await livekit.create()
    token = livekit.token(room, "phone", room_admin=True)
    async with visitor(livekit.url, token) as phone, visitor(livekit.url, livekit.token(room, "ada")):
        people = await livekit.until_people(room, lambda people: len(people) == 2)
        (sid,) = [one.sid for one in people if one.identity == "phone"]
        await see_off(Join(livekit.url, token, "phone"), sid)
        async with asyncio.timeout(20):
            assert await phone.left == "PARTICIPANT_REMOVED"
        (ada,) = await livekit.until_people(room, lambda people: len(people) == 1)
        assert ada.identity == "ada", "nobody else"


async def test_who_came_back_since_then_stays(livekit: LiveKitRig) -> None:
    room = await livekit.create()
    token = livekit.token(room, "phone", room_admin=True)
    async with visitor(livekit.url, token):
        await livekit.until_people(room, lambda people: len(people) == 1)
        await see_off(Join(livekit.url, token, "phone"), "PA_anotherstay")
        assert [one.identity for one in await livekit.people(room)] == ["phone"]


async def test_a_token_without_that_right_asks_nobody(livekit: LiveKitRig) -> None:
    room = await livekit.create()
    token = livekit.token(room, "phone")
    async with visitor(livekit.url, token):
        await livekit.until_people(room, lambda people: len(people) == 1)
        await see_off(Join(livekit.url, token, "phone"), "")
        assert [one.identity for one in await livekit.people(room)] == ["phone"]


async def test_a_server_that_is_gone_is_no_failure(livekit: LiveKitRig, free_port: int) -> None:
    token = livekit.token("room", "phone", room_admin=True)
    async with asyncio.timeout(20):
        await see_off(Join(f"ws://127.0.0.1:{free_port}", token, "phone"), "")
        await see_off(Join(f"ws://127.0.0.1:{free_port}", "no.token", "phone"), "")
