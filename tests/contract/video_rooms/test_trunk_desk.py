"""SIP objects in memory and at a real LiveKit server: the same doings, the same answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import pytest_asyncio

from gateway.clocks import SystemClock
from telephony.errors import InvalidInput, OutcomeUnknown, RoomsUnavailable
from tests.rig.livekit import running_livekit
from tests.rig.livekit_sip import Asked, SipService, running_sip_service
from tests.rig.redis_port import redis_on_a_port
from video_rooms.core.trunks import CallOut, Inbound, OneCall, Outbound, There, metadata_of
from video_rooms.fakes import FakeRoomServer
from video_rooms.fakes_trunk import FakeTrunkDesk
from video_rooms.livekit.control import LiveKitAddress, LiveKitRooms
from video_rooms.livekit.trunks import LiveKitTrunks
from video_rooms.ports_trunk import TrunkDesk

pytestmark = pytest.mark.contract

MARK = "0a1b2c3d"
IN = Inbound("rooms-0a1b2c3d", "patchbay", "p" * 32, ("127.0.0.1/32", "192.0.2.0/24"))
OUT = Outbound("[2001:db8::1]:5060", "room_sip", "q" * 32)
LONG_S = 30.0
"""More than an answer ever takes."""
ASKED_S = 2.0
"""More than it takes to be asked."""


@dataclass
class Service:
    """What the SIP service does: ends each call with ``final``; None: says nothing of it."""

    at: FakeTrunkDesk | SipService
    final: int | None = 200
    calls: list[tuple[str, str, str, str, str]] = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)

    def up(self, on: bool) -> None:
        if isinstance(self.at, SipService):
            self.at.listens = on
        else:
            self.at.service = self.dial if on else None

    async def dial(self, call: CallOut | Asked) -> int | None:
        attributes = dict(call.attributes)
        self.calls.append((call.number, call.room, call.identity, call.name, attributes.get("role", "")))
        self.came.set()
        return self.final


@dataclass
class Running:
    desk: TrunkDesk
    service: Service


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=["memory", "livekit"])
async def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Running]:
    if request.param == "memory":
        fake = FakeTrunkDesk(FakeRoomServer(SystemClock()))
        yield Running(fake, Service(fake))
        return
    folder = tmp_path_factory.mktemp("desk")
    async with AsyncExitStack() as exits:
        redis = await exits.enter_async_context(redis_on_a_port(folder / "redis"))
        rig = await exits.enter_async_context(running_livekit(folder, redis=redis))
        at = LiveKitAddress(rig.address.url, rig.address.key, rig.address.secret.reveal())
        rooms = LiveKitRooms(at, SystemClock())
        exits.push_async_callback(rooms.close)
        at_redis = await exits.enter_async_context(running_sip_service(redis))
        service = Service(at_redis)
        at_redis.calls = service.dial
        yield Running(LiveKitTrunks(rooms), service)


@pytest_asyncio.fixture(loop_scope="session")
async def desk(running: Running) -> TrunkDesk:
    for there in sorted(await running.desk.found(), key=lambda one: one.kind != "rule"):
        await running.desk.drop(there.kind, there.id)
    return running.desk


@pytest_asyncio.fixture(loop_scope="session")
async def service(running: Running) -> Service:
    running.service.up(True)
    running.service.final = 200
    running.service.calls.clear()
    running.service.came.clear()
    return running.service


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


# ---------------------------------------------------------------- calls to the switch


async def call(desk: TrunkDesk) -> CallOut:
    trunk = await desk.make(MARK, OUT)
    return CallOut(trunk, "0" + "a" * 32, "live", "phone_0", "+44 •••• 1234", {"role": "phone"})


async def test_a_call_is_made_as_it_is_wanted(desk: TrunkDesk, service: Service) -> None:
    assert await desk.call_out(await call(desk), LONG_S) == 200
    assert service.calls == [("0" + "a" * 32, "live", "phone_0", "+44 •••• 1234", "phone")]


@pytest.mark.parametrize("final", [401, 403, 404, 408, 480, 486, 487, 500, 503, 600, 603, 699])
async def test_how_the_switch_ends_a_call_is_told(desk: TrunkDesk, service: Service, final: int) -> None:
    service.final = final
    assert await desk.call_out(await call(desk), LONG_S) == final
    assert len(service.calls) == 1


async def test_of_a_call_that_nobody_tells_of_nothing_is_known(desk: TrunkDesk, service: Service) -> None:
    service.final = None
    wanted = await call(desk)
    dialling = asyncio.create_task(desk.call_out(wanted, ASKED_S))
    await asyncio.wait_for(service.came.wait(), LONG_S)
    with pytest.raises(OutcomeUnknown):
        await dialling
    assert len(service.calls) == 1, "it is not asked again"


async def test_without_a_service_no_call_is_made(desk: TrunkDesk, service: Service) -> None:
    service.up(False)
    with pytest.raises(RoomsUnavailable):
        await desk.call_out(await call(desk), LONG_S)
    assert service.calls == []


async def test_without_a_trunk_no_call_is_made(desk: TrunkDesk, service: Service) -> None:
    wanted = replace(await call(desk), trunk="ST_nobodys")
    with pytest.raises(RoomsUnavailable):
        await desk.call_out(wanted, LONG_S)
    assert service.calls == []


async def test_nothing_is_not_dialled(desk: TrunkDesk, service: Service) -> None:
    with pytest.raises(InvalidInput):
        await desk.call_out(replace(await call(desk), number=""), LONG_S)
    assert service.calls == []
