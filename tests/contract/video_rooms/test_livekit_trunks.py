"""Our SIP trunks at a real LiveKit server with a real Redis: made, mended, taken away; others' left alone. No
SIP service is needed for that."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from livekit import api

from gateway.clocks import SystemClock
from gateway.runtime.ports import free_port
from telephony.errors import InvalidInput, RoomsUnavailable
from tests.rig.livekit import LiveKitRig, running_livekit
from video_rooms.core.trunks import LEG_ATTRIBUTE, Inbound, OneCall, Outbound, TrunkPlan, judge
from video_rooms.livekit.control import LiveKitAddress, LiveKitRooms
from video_rooms.livekit.trunks import LiveKitTrunks
from video_rooms.siptrunk.keeper import TrunkKeeper

pytestmark = pytest.mark.contract

PLAN = TrunkPlan(
    "0a1b2c3d",
    Inbound("rooms-0a1b2c3d", "patchbay", "p" * 32, ("127.0.0.1/32",)),
    Outbound("127.0.0.1:5060", "room_sip", "q" * 32),
)
NOW = 1_800_000_000.0


class World:
    """A server, ours and LiveKit's own client of it."""

    def __init__(self, rig: LiveKitRig, rooms: LiveKitRooms) -> None:
        self.sip = rig.control.sip
        self.rig = rig
        self.desk = LiveKitTrunks(rooms)

    def keeper(self, plan: TrunkPlan = PLAN, **how: object) -> TrunkKeeper:
        return TrunkKeeper(self.desk, plan, lambda: NOW, **how)  # type: ignore[arg-type]

    async def inbound(self) -> list[api.SIPInboundTrunkInfo]:
        return list((await self.sip.list_inbound_trunk(api.ListSIPInboundTrunkRequest())).items)

    async def outbound(self) -> list[api.SIPOutboundTrunkInfo]:
        return list((await self.sip.list_outbound_trunk(api.ListSIPOutboundTrunkRequest())).items)

    async def rules(self) -> list[api.SIPDispatchRuleInfo]:
        return list((await self.sip.list_dispatch_rule(api.ListSIPDispatchRuleRequest())).items)

    async def clear(self) -> None:
        for rule in await self.rules():
            await self.desk.drop("rule", rule.sip_dispatch_rule_id)
        for inbound in await self.inbound():
            await self.desk.drop("inbound", inbound.sip_trunk_id)
        for outbound in await self.outbound():
            await self.desk.drop("outbound", outbound.sip_trunk_id)


@asynccontextmanager
async def asked(rig: LiveKitRig) -> AsyncIterator[LiveKitRooms]:
    at = LiveKitAddress(rig.address.url, rig.address.key, rig.address.secret.reveal())
    rooms = LiveKitRooms(at, SystemClock())
    try:
        yield rooms
    finally:
        await rooms.close()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def running(livekit_with_redis: LiveKitRig) -> AsyncIterator[World]:
    async with asked(livekit_with_redis) as rooms:
        world = World(livekit_with_redis, rooms)
        yield world
        await world.clear()


@pytest_asyncio.fixture(loop_scope="session")
async def world(running: World) -> World:
    await running.clear()
    return running


async def test_both_trunks_are_made_as_they_are_wanted(world: World) -> None:
    keeper = world.keeper()
    assert await keeper.look()
    assert keeper.ready
    (inbound,) = await world.inbound()
    (outbound,) = await world.outbound()
    assert (inbound.auth_username, inbound.auth_password) == ("patchbay", "p" * 32)
    assert list(inbound.allowed_addresses) == ["127.0.0.1/32"]
    assert list(inbound.numbers) == ["rooms-0a1b2c3d"]
    assert dict(inbound.headers_to_attributes) == {
        "X-Gw-Call": "patchbay.leg",
        "X-Gw-Name": "display_name",
    }
    assert json.loads(inbound.metadata)["patchbay"] == "0a1b2c3d"
    assert (outbound.address, outbound.auth_username) == ("127.0.0.1:5060", "room_sip")
    assert keeper.outbound == outbound.sip_trunk_id


async def test_a_second_look_changes_nothing(world: World) -> None:
    assert await world.keeper().look()
    before = (await world.inbound(), await world.outbound())
    assert judge(PLAN, await world.desk.found(), NOW).deeds == ()
    assert await world.keeper().look()
    assert (await world.inbound(), await world.outbound()) == before


async def test_what_was_deleted_by_hand_is_made_again(world: World) -> None:
    keeper = world.keeper(every_s=0.05)
    keeper.start()
    try:
        first = await until(world, lambda ids: bool(ids))
        await world.desk.drop("inbound", first[0])
        again = await until(world, lambda ids: bool(ids) and ids != first)
        assert len(again) == 1
    finally:
        await keeper.stop()


async def until(world: World, holds) -> list[str]:  # type: ignore[no-untyped-def]
    """The ids of the inbound trunks, once they are as wanted."""
    async with asyncio.timeout(20):
        while True:
            ids = [one.sip_trunk_id for one in await world.inbound()]
            if holds(ids):
                return ids
            await asyncio.sleep(0.02)


async def test_what_was_changed_by_hand_is_changed_back(world: World) -> None:
    assert await world.keeper().look()
    (made,) = await world.inbound()
    await world.sip.update_inbound_trunk_fields(made.sip_trunk_id, allowed_addresses=["0.0.0.0/0"])
    assert await world.keeper().look()
    (mended,) = await world.inbound()
    assert mended.sip_trunk_id == made.sip_trunk_id
    assert list(mended.allowed_addresses) == ["127.0.0.1/32"]


async def test_a_trunk_that_is_there_twice_stays_once(world: World) -> None:
    other = Outbound("127.0.0.1:5999", "room_sip", "q" * 32)
    for thing in (PLAN.outbound, other, other):
        assert thing is not None
        await world.desk.make(PLAN.mark, thing)
    assert await world.keeper().look()
    (left,) = await world.outbound()
    assert left.address == "127.0.0.1:5060"


async def foreign(world: World) -> dict[str, str]:
    """Somebody else's objects, one of each kind: a trunk that takes every number, an outbound one, a rule."""
    inbound = await world.sip.create_inbound_trunk(
        api.CreateSIPInboundTrunkRequest(
            trunk=api.SIPInboundTrunkInfo(name="patchbay", auth_username="a", auth_password="b")
        )
    )
    outbound = await world.sip.create_outbound_trunk(
        api.CreateSIPOutboundTrunkRequest(
            trunk=api.SIPOutboundTrunkInfo(
                name="theirs", address="192.0.2.1", numbers=["+15550001111"], metadata='{"patchbay": "other"}'
            )
        )
    )
    rule = await world.sip.create_dispatch_rule(
        api.CreateSIPDispatchRuleRequest(
            dispatch_rule=api.SIPDispatchRuleInfo(
                rule=api.SIPDispatchRule(
                    dispatch_rule_direct=api.SIPDispatchRuleDirect(room_name="theirs", pin="4711")
                ),
                metadata="not ours",
            )
        )
    )
    return {
        "inbound": inbound.sip_trunk_id,
        "outbound": outbound.sip_trunk_id,
        "rule": rule.sip_dispatch_rule_id,
    }


async def test_what_others_made_is_never_touched(world: World) -> None:
    theirs = await foreign(world)
    before = {one.id: one for one in await world.desk.found() if one.id in theirs.values()}
    keeper = world.keeper(keep=False)
    assert await keeper.look(), "ours is made beside a trunk of theirs that takes every number"
    await keeper.open("room", caller="c" * 32, attributes={})
    assert len(await world.desk.found()) == 6
    await keeper.stop()
    assert {one.id: one for one in await world.desk.found()} == before


async def test_another_installation_has_its_own(world: World) -> None:
    assert await world.keeper().look()
    other = TrunkPlan("ffffffff", Inbound("rooms-ffffffff", "patchbay", "r" * 32))
    assert await world.keeper(other).look()
    assert len(await world.inbound()) == 2
    await world.keeper(other, keep=False).stop()
    (left,) = await world.inbound()
    assert json.loads(left.metadata)["patchbay"] == "0a1b2c3d"


async def test_they_stay_at_the_end_unless_it_is_wanted_otherwise(world: World) -> None:
    keeper = world.keeper()
    assert await keeper.look()
    await keeper.stop()
    assert len(await world.inbound()) == len(await world.outbound()) == 1


async def test_each_call_has_a_rule_of_its_own_until_it_is_taken(world: World) -> None:
    keeper = world.keeper()
    assert await keeper.look()
    caller = "0123456789abcdef" * 2
    rule_id = await keeper.open("live-room", caller=caller, attributes={LEG_ATTRIBUTE: "call_1"})
    (rule,) = await world.rules()
    assert rule.rule.dispatch_rule_direct.room_name == "live-room"
    assert not rule.rule.dispatch_rule_direct.pin
    assert (list(rule.inbound_numbers), list(rule.numbers)) == ([caller], ["rooms-0a1b2c3d"])
    assert list(rule.trunk_ids) == [(await world.inbound())[0].sip_trunk_id]
    assert rule.hide_phone_number
    assert dict(rule.attributes) == {LEG_ATTRIBUTE: "call_1"}
    assert rule.sip_dispatch_rule_id == rule_id
    await keeper.open("live-room", caller="f" * 32, attributes={})
    with pytest.raises(InvalidInput):  # nobody else's call can be led elsewhere
        await keeper.open("other-room", caller=caller, attributes={})
    await keeper.shut(rule_id)
    assert [list(one.inbound_numbers) for one in await world.rules()] == [["f" * 32]]


async def test_a_rule_that_was_left_behind_is_taken_away_in_time(world: World) -> None:
    keeper = world.keeper()
    assert await keeper.look()
    (trunk,) = await world.inbound()
    for caller, until_ in (("old", NOW - 1), ("new", NOW + 30)):
        made = OneCall("room", trunk.sip_trunk_id, "rooms-0a1b2c3d", caller, int(until_))
        await world.desk.make(PLAN.mark, made)
    assert await keeper.look()
    assert [list(one.inbound_numbers) for one in await world.rules()] == [["new"]]


async def test_without_redis_there_are_no_trunks_and_it_is_said_so(tmp_path: Path) -> None:
    async with running_livekit(tmp_path) as rig, asked(rig) as rooms:
        keeper = TrunkKeeper(LiveKitTrunks(rooms), PLAN, lambda: NOW, keep=False)
        assert not await keeper.look()
        assert not keeper.ready
        with pytest.raises(RoomsUnavailable):
            await keeper.open("room", caller="c", attributes={})
        await keeper.stop()


async def test_where_nobody_listens_there_are_none_either() -> None:
    rooms = LiveKitRooms(LiveKitAddress(f"ws://127.0.0.1:{free_port()}", "key", "s" * 40), SystemClock())
    assert not await TrunkKeeper(LiveKitTrunks(rooms), PLAN, lambda: NOW).look()
    await rooms.close()
