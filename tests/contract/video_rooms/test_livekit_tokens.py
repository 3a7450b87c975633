"""What LiveKit makes of our tokens: its fresh ones carry our pass along, a host's opens its API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import jwt
import pytest
from livekit import api

from gateway.clocks import SystemClock
from tests.contract.video_rooms.worlds import address_of, grant, soon
from tests.rig.livekit import LiveKitRig
from tests.rig.visitors import visitor
from video_rooms.core.live import PASS, Grant
from video_rooms.core.room import Role
from video_rooms.livekit.control import LiveKitRooms

pytestmark = pytest.mark.contract


@pytest.fixture
async def rooms(livekit: LiveKitRig) -> AsyncIterator[LiveKitRooms]:
    made = LiveKitRooms(address_of(livekit), SystemClock())
    yield made
    await made.close()


async def joined_with(rig: LiveKitRig, rooms: LiveKitRooms, given: Grant) -> tuple[str, dict[str, Any]]:
    """The token that LiveKit gives to somebody who joined with this one, and what it says."""
    async with visitor(rig.url, rooms.token(given)) as here:
        fresh = asyncio.Event()
        here.room.on("token_refreshed", fresh.set)
        await rig.until_people(given.room, lambda people: bool(people))
        assert await rooms.update(given.room, given.identity, attributes={"hand": "up"})
        async with asyncio.timeout(20):
            await fresh.wait()
        token = str(here.room._token)
    return token, dict(jwt.decode(token, options={"verify_signature": False}))


async def test_a_fresh_token_of_livekits_has_the_pass_and_no_more_rights(
    livekit: LiveKitRig, rooms: LiveKitRooms
) -> None:
    """Whoever was put out and comes back with one is known by it."""
    room = livekit.name()
    await rooms.create(room, max_people=5)
    given = grant(rooms._clock, room, "ada", expires_at=soon(rooms._clock, 30))
    token, claims = await joined_with(livekit, rooms, given)
    assert token != rooms.token(given)
    assert claims["attributes"][PASS] == given.pass_id
    assert claims["exp"] > given.expires_at.timestamp(), (
        "it outlives ours: a token's end is no way to keep out"
    )
    assert not claims["video"].get("roomAdmin")
    assert not claims["video"]["canUpdateOwnMetadata"]
    async with visitor(livekit.url, token):
        await livekit.until_people(room, lambda people: bool(people))
        (ada,) = await rooms.people(room)
        assert ada.attributes[PASS] == given.pass_id


async def test_nobody_but_our_legs_writes_their_own_attributes(
    livekit: LiveKitRig, rooms: LiveKitRooms
) -> None:
    room = livekit.name()
    await rooms.create(room, max_people=5)
    phone = grant(rooms._clock, room, "leg", role=Role.PHONE)
    async with (
        visitor(livekit.url, rooms.token(grant(rooms._clock, room, "ada"))) as ada,
        visitor(livekit.url, rooms.token(phone)) as leg,
    ):
        await livekit.until_people(room, lambda people: len(people) == 2)
        await ada.room.local_participant.set_attributes({PASS: "forged"})  # refused, and nothing raised
        await leg.room.local_participant.set_attributes({"hand": "up"})
        await livekit.until_people(room, lambda people: any("hand" in p.attributes for p in people))
        kept = {person.identity: person.attributes[PASS] for person in await rooms.people(room)}
        assert kept["leg"] == phone.pass_id
        assert kept["ada"] != "forged"


@pytest.mark.parametrize(("admin", "allowed"), [(True, True), (False, False)])
async def test_a_hosts_token_opens_livekits_own_interface_where_that_is_on(
    livekit: LiveKitRig, admin: bool, allowed: bool
) -> None:
    rooms = LiveKitRooms(address_of(livekit), SystemClock(), host_is_admin=admin)
    room = livekit.name()
    try:
        await rooms.create(room, max_people=5)
        token = rooms.token(grant(rooms._clock, room, "ada", role=Role.HOST))
        async with api.LiveKitAPI.with_token(token, livekit.url, failover=False) as mine:
            asked = mine.room.list_participants(api.ListParticipantsRequest(room=room))
            if allowed:
                assert not (await asked).participants
                other = api.ListParticipantsRequest(room=await livekit.create())
                asked = mine.room.list_participants(other)
            with pytest.raises(api.ServerError):
                await asked
    finally:
        await rooms.close()
