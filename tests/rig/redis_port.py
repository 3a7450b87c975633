"""A Redis on a loopback port, for servers that cannot be told of a unix socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from gateway.runtime.children import Child, ChildSpec
from gateway.runtime.ports import free_port
from tests.rig.world import tools

_POLL_S = 0.02


@asynccontextmanager
async def redis_on_a_port(folder: Path) -> AsyncIterator[str]:
    """Its address, ``host:port``; nothing is kept on disk."""
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    port = free_port()
    words = ("redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder))
    child = Child(
        ChildSpec(
            name="redis",
            argv=tuple(tools().command(*words)),
            cwd=folder,
            log=folder / "redis.log",
            ready=lambda: _listens(port),
            ready_when="listens",
            restart=False,
        )
    )
    await child.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await child.stop()


async def _listens(port: int) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(_POLL_S)
        else:
            writer.close()
            return
