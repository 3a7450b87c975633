"""The stand-ins for browsers do what the tests of rooms take for granted."""

from __future__ import annotations

import asyncio

import pytest
from livekit import rtc

from tests.rig.livekit import LiveKitRig
from tests.rig.visitors import visitor

pytestmark = pytest.mark.contract


async def test_two_visitors_hear_each_other_and_a_mute_is_heard(livekit: LiveKitRig) -> None:
    room = await livekit.create()
    async with (
        visitor(livekit.url, livekit.token(room, "ada")) as ada,
        visitor(livekit.url, livekit.token(room, "bob")) as bob,
    ):
        await ada.speak(440)
        await bob.speak(1000)
        await asyncio.gather(ada.hears("bob", 1000), bob.hears("ada", 440))
        await ada.speak(600)
        await bob.hears("ada", 600)
        ada.mute()
        await bob.hears_nothing("ada")
        ada.mute(False)
        await bob.hears("ada", 600)
        await ada.send(b"hello", "chat")
        await bob.until(lambda: bob.packets, what="sent to")
        assert (bob.packets[0].payload, bob.packets[0].sender) == (b"hello", "ada")
    await livekit.hooks.until("participant_left", room, "ada")


async def test_a_room_nobody_made_is_refused(livekit: LiveKitRig) -> None:
    with pytest.raises(rtc.ConnectError):
        async with visitor(livekit.url, livekit.token(livekit.name(), "ada")):
            pytest.fail("was let in")


async def test_a_visitor_is_told_why_it_was_put_out(livekit: LiveKitRig) -> None:
    room = await livekit.create()
    async with visitor(livekit.url, livekit.token(room, "ada")) as ada:
        await livekit.until_people(room, lambda people: len(people) == 1)
        await livekit.delete(room)
        async with asyncio.timeout(20):
            assert await ada.left == "ROOM_DELETED"
