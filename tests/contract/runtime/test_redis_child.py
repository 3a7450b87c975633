"""A real Redis as our child: private, durable, back after a crash."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from redis.asyncio import Redis

from gateway.runtime.pidfile import identify
from gateway.runtime.redis import EmbeddedRedis
from tests.rig.world import tools

pytestmark = pytest.mark.contract


async def test_starts_private_and_durable(tmp_path: Path) -> None:
    server = EmbeddedRedis(tools(), tmp_path / "redis")
    url = await server.start()
    try:
        assert stat.S_IMODE(server.socket.stat().st_mode) == 0o700
        async with Redis.from_url(url, decode_responses=True) as redis:
            config = await redis.config_get("appendonly", "appendfsync", "maxmemory-policy", "port")
        assert config == {
            "appendonly": "yes",
            "appendfsync": "everysec",
            "maxmemory-policy": "noeviction",
            "port": "0",
        }
    finally:
        await server.stop()


async def test_keeps_what_was_written_over_stop_and_start(tmp_path: Path) -> None:
    for turn in range(2):
        server = EmbeddedRedis(tools(), tmp_path / "redis")
        url = await server.start()
        async with Redis.from_url(url, decode_responses=True) as redis:
            assert await redis.incr("starts") == turn + 1
        pid = server.state.pid
        await server.stop()
        assert pid is not None
        assert identify(pid) is None


async def test_comes_back_after_a_kill(tmp_path: Path) -> None:
    server = EmbeddedRedis(tools(), tmp_path / "redis")
    await server.start()
    try:
        server.kill()
        state = await server.child.until(lambda s: s.restarts == 1 and s.phase == "running", 60)
        assert state.last_exit == -9
        async with Redis.from_url(server.url) as redis:
            assert await redis.ping()
    finally:
        await server.stop()


async def test_a_deep_folder_still_has_a_socket(tmp_path: Path) -> None:
    server = EmbeddedRedis(tools(), tmp_path / ("d" * 60) / ("e" * 60))
    await server.start()
    await server.stop()
    assert not server.socket.parent.exists()
