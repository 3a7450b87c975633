"""What the metrics page tells of video rooms."""

from __future__ import annotations

from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from gateway.room_announcer import WebhookRoomAnnouncer
from gateway.room_metrics import RoomMetrics
from tests.rig.room_desk import OURS, World

pytestmark = pytest.mark.unit


async def test_what_happens_in_rooms_is_counted() -> None:
    world = World()
    announcer = WebhookRoomAnnouncer(cast(Any, None), cast(Any, None), lambda _: None, lambda: 0.0, str)
    registry = CollectorRegistry()
    registry.register(RoomMetrics(world.desk, announcer))
    room = await world.schedule()
    token = (await world.join(room, "ann")).token
    world.server.come_in(token)
    await world.reported()
    world.clock.advance(1)
    await world.desk.scheduled.kick(OURS, room.id, "ann")
    world.server.come_in(token)
    await world.reported()
    await world.desk.scheduled.end(OURS, room.id)
    page = generate_latest(registry).decode()
    for line in (
        "patchbay_rooms_started_total 1.0",
        'patchbay_rooms_over_total{why="api"} 1.0',
        "patchbay_room_kept_out_total 1.0",
        "patchbay_rooms_watched 1.0",
        'patchbay_room_reports_total{what="taken"} 4.0',
        'patchbay_room_looks_total{what="looks"} 0.0',
        'patchbay_room_events_total{what="dropped"} 0.0',
    ):
        assert line in page, page
    assert "ann" not in page
    assert room.id not in page
