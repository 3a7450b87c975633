"""Whoever asks the index's server is answered, or told that there is no answer; nobody waits for ever."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as NotConnected
from redis.exceptions import TimeoutError as TookTooLong

from proxy_pool.store_redis_line import Line, LineBroken

pytestmark = pytest.mark.unit


class NoConnections:
    """A pool that cannot connect, and cannot even hang up in time."""

    async def get_connection(self) -> Any:
        raise NotConnected

    async def disconnect(self) -> None:
        raise TookTooLong


class Away:
    connection_pool = NoConnections()


async def test_a_server_that_does_not_even_hang_up_leaves_nobody_waiting() -> None:
    broken: list[int] = []
    line = Line(cast(Redis, Away()), lambda: broken.append(1), 0.5)
    async with asyncio.timeout(10):
        for _ in range(2):
            found = await asyncio.gather(*(line.ask([("PING",)]) for _ in range(3)), return_exceptions=True)
            assert all(isinstance(one, LineBroken) for one in found)
    assert broken, "the index knows that it is away"
