"""What the suites of rooms share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.rig.room_desk import World, opened_world


@pytest.fixture(params=["fakes", "sql"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    async with opened_world(request.param) as opened:
        yield opened


@pytest.fixture
def fake_world() -> World:
    """For what only stores in memory can be made to do."""
    return World()
