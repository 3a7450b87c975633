"""Those who carry telephones into rooms, on the metrics page."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from gateway.room_carrier_metrics import RoomCarrierMetrics
from gateway.room_sip import PHONE, RoomsBySip
from gateway.room_workers import RoomsHere, RoomWorkers, RoomWorkersPlan
from tests.unit.gateway.test_room_sip import Nobody, carrier
from video_rooms.core.leg_lines import Alive, Listening
from video_rooms.core.leg_lines import line as spoken
from video_rooms.fakes_trunk import FakeTrunkDesk
from video_rooms.siptrunk.door import Ladder

pytestmark = pytest.mark.unit


def page(of: RoomWorkers | RoomsHere | RoomsBySip) -> list[str]:
    registry = CollectorRegistry()
    registry.register(RoomCarrierMetrics(of))
    return generate_latest(registry).decode().splitlines()


def test_workers_tell_how_they_are() -> None:
    workers = RoomWorkers(RoomWorkersPlan(2, "127.0.0.1", 0))
    first, second = workers._slots
    first._hear(spoken(Listening(4580)))
    first._hear(spoken(Alive(3, 40)))
    first._hear(spoken(Alive(5, 2)))
    second.state.restarts = 4
    lines = page(workers)
    for told in (
        'patchbay_room_worker_up{worker="room0"} 1.0',
        'patchbay_room_worker_up{worker="room1"} 0.0',
        'patchbay_room_worker_legs{worker="room0"} 5.0',
        'patchbay_room_worker_late_seconds{worker="room0"} 0.04',
        'patchbay_room_worker_restarts_total{worker="room0"} 0.0',
        'patchbay_room_worker_restarts_total{worker="room1"} 4.0',
    ):
        assert told in lines
    assert not any("room_sip" in line for line in lines)


async def test_lateness_of_a_minute_ago_is_forgotten() -> None:
    workers = RoomWorkers(RoomWorkersPlan(1, "127.0.0.1", 0))
    slot = workers._slots[0]
    slot._hear(spoken(Alive(1, 900)))
    for _ in range(60):
        slot._hear(spoken(Alive(1, 3)))
    assert slot.state.late_ms == 3
    await slot._over()
    assert (slot.state.late_ms, slot.state.legs) == (0, 0)


async def test_the_way_by_sip_tells_trunk_rest_and_ways() -> None:
    by_sip = carrier()
    assert "patchbay_room_sip_trunk_ready 0.0" in page(by_sip)
    await by_sip.start()
    try:
        await by_sip.keeper.look()
        await by_sip.expect("call_1", Nobody(), 1.0)
        desk = by_sip.keeper.desk
        assert isinstance(desk, FakeTrunkDesk)
        desk.away = True
        await by_sip.keeper.look()
        await by_sip.expect("call_2", Nobody(), 1.0)
        assert isinstance(by_sip._ladder, Ladder)
        by_sip._ladder.joins["sip", "timeout"] += 1
        by_sip._ladder.joins["bridge", "joined"] += 1
        by_sip._ladder.fallbacks["timeout"] += 1
        by_sip._door._rests_until = float("inf")  # type: ignore[union-attr]
        lines = page(by_sip)
    finally:
        await by_sip.stop()
    for told in (
        'patchbay_room_worker_up{worker="room1"} 1.0',
        'patchbay_room_worker_legs{worker="room1"} 1.0',
        "patchbay_room_sip_trunk_ready 0.0",
        "patchbay_room_sip_resting 1.0",
        'patchbay_room_sip_legs_total{carrier="sip"} 1.0',
        'patchbay_room_sip_legs_total{carrier="bridge"} 1.0',
        'patchbay_room_sip_joins_total{outcome="timeout",way="sip"} 1.0',
        'patchbay_room_sip_joins_total{outcome="joined",way="bridge"} 1.0',
        'patchbay_room_sip_fallbacks_total{why="timeout"} 1.0',
    ):
        assert told in lines
    assert not any(secret in "\n".join(lines) for secret in ("call_1", by_sip.keeper.number, PHONE))
