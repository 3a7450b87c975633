"""Rooms are optional: what is said of them changes, that all is well does not."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from gateway.clocks import SystemClock
from gateway.room_health import rooms_probe
from video_rooms.core.live import LiveRoom
from video_rooms.fakes import FakeRoomServer

pytestmark = pytest.mark.unit


async def test_rooms_that_are_not_there_are_said_and_well() -> None:
    server = FakeRoomServer(SystemClock())
    assert await rooms_probe(server)() == await rooms_probe(server)()
    assert (await rooms_probe(server)()).detail == ""
    server.away = True
    for probe in (rooms_probe(server), rooms_probe(None)):
        found = await probe()
        assert found.ok
        assert "no video rooms" in found.detail


async def test_a_server_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.room_health._DEADLINE_S", 0.01)

    class Slow(FakeRoomServer):
        async def rooms(self, names: Sequence[str] | None = None) -> tuple[LiveRoom, ...]:
            await asyncio.Event().wait()
            return ()

    found = await rooms_probe(Slow(SystemClock()))()
    assert found.ok
    assert "no answer in time" in found.detail
