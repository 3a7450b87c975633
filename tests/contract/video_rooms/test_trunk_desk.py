"""SIP objects in memory and at a real LiveKit server: the same doings, the same answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
import pytest_asyncio

from gateway.clocks import SystemClock
from telephony.errors import InvalidInput
from tests.rig.livekit import running_livekit
from tests.rig.redis_port import redis_on_a_port
from video_rooms.core.trunks import Inbound, OneCall, Outbound, There, metadata_of
from video_rooms.fakes import FakeRoomServer
from video_rooms.fakes_trunk import FakeTrunkDesk
from video_rooms.livekit.control import LiveKitAddress, LiveKitRooms
from video_rooms.livekit.trunks import LiveKitTrunks
from video_rooms.ports_trunk import TrunkDesk

pytestmark = pytest.mark.contract

MARK = "0a1b2c3d"
IN = Inbound("rooms-0a1b2c3d", "patchbay", "p" * 32, ("127.0.0.1/32", "192.0.2.0/24"))
OUT = Outbound("[2001:db8::1]:5060", "room_sip", "q" * 32)


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=["memory", "livekit"])
async def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[TrunkDesk]:
    if request.param == "memory":
        yield FakeTrunkDesk(FakeRoomServer(SystemClock()))
        return
    folder = tmp_path_factory.mktemp("desk")
    async with AsyncExitStack() as exits:
        redis = await exits.enter_async_context(redis_on_a_port(folder / "redis"))
        rig = await exits.enter_async_context(running_livekit(folder, redis=redis))
        at = LiveKitAddress(rig.address.url, rig.address.key, rig.address.secret.reveal())
        rooms = LiveKitRooms(at, SystemClock())
        exits.push_async_callback(rooms.close)
        yield LiveKitTrunks(rooms)


@pytest_asyncio.fixture(loop_scope="session")
async def desk(running: TrunkDesk) -> TrunkDesk:
    for there in sorted(await running.found(), key=lambda one: one.kind != "rule"):
        await running.drop(there.kind, there.id)
    return running


async def test_what_is_made_is_found_as_it_was_made(desk: TrunkDesk) -> None:
    inbound, outbound = await desk.make(MARK, IN), await desk.make(MARK, OUT)
    rule = await desk.make(MARK, OneCall("live", inbound, IN.number, "c" * 32, 1_000, {"role": "phone"}))
    assert set(await desk.found()) == {
        There("inbound", inbound, metadata_of(MARK, IN), IN),
        There("outbound", outbound, metadata_of(MARK, OUT), OUT),
        There("rule", rule, metadata_of(MARK, OneCall("", "", "", "", 1_000))),
    }


@pytest.mark.parametrize(
    ("first", "then"),
    [(IN, Inbound("rooms-2", "other", "x" * 32)), (OUT, Outbound("192.0.2.9:5061", "room_sip", "y" * 32))],
)
async def test_what_is_changed_keeps_its_id(desk: TrunkDesk, first: Any, then: Any) -> None:
    made = await desk.make(MARK, first)
    assert await desk.change(MARK, made, then)
    assert [(one.id, one.thing) for one in await desk.found()] == [(made, then)]


async def test_what_is_dropped_is_gone_and_dropping_it_again_is_nothing(desk: TrunkDesk) -> None:
    made = await desk.make(MARK, OUT)
    await desk.drop("outbound", made)
    await desk.drop("outbound", made)
    assert not await desk.change(MARK, made, OUT)
    assert list(await desk.found()) == []


async def test_one_caller_has_one_rule(desk: TrunkDesk) -> None:
    trunk = await desk.make(MARK, IN)
    first = await desk.make(MARK, OneCall("one", trunk, IN.number, "c" * 32, 1_000))
    with pytest.raises(InvalidInput):
        await desk.make(MARK, OneCall("two", trunk, IN.number, "c" * 32, 1_000))
    await desk.make(MARK, OneCall("two", trunk, IN.number, "d" * 32, 1_000))
    await desk.drop("rule", first)
    await desk.make(MARK, OneCall("two", trunk, IN.number, "c" * 32, 1_000))


async def test_nobody_is_introduced_or_unmuted_who_is_not_there(desk: TrunkDesk) -> None:
    assert not await desk.introduce("nowhere", "sip_0", "Ann")
    assert not await desk.unmute("nowhere", "sip_0")
