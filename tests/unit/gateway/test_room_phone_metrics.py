"""Telephones in rooms on the metrics page."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from gateway.room_phone_metrics import RoomPhoneMetrics
from tests.unit.dialplan.virtual_time import in_virtual_time
from tests.unit.video_rooms.phone_stage import CALLER, host, open_stage

pytestmark = pytest.mark.unit


@in_virtual_time
async def test_who_is_where_and_why_visits_ended(tmp_path: Path) -> None:
    async with open_stage(tmp_path, None, host()) as stage:
        registry = CollectorRegistry()
        registry.register(RoomPhoneMetrics(stage.desk))  # type: ignore[arg-type]
        await stage.comes_in("call_1")
        await stage.dials_in("call_2")
        await stage.calls_out("call_3")
        stage.desk.call_over("call_3", "busy")
        page = generate_latest(registry).decode()
        assert 'patchbay_room_phones{stage="inside"} 1.0' in page
        assert 'patchbay_room_phones{stage="asking"} 1.0' in page
        assert 'patchbay_room_phones{stage="waiting"} 0.0' in page
        assert 'patchbay_room_phones_ended_total{way="out",why="busy"} 1.0' in page
        assert "call_1" not in page
        assert CALLER not in page
        await stage.rest()
