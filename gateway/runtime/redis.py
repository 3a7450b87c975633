"""A Redis of our own: a child process on a unix socket, with its writes on disk.

``appendonly yes`` with ``everysec``: at most a second of writes is lost in a crash (redis.conf); what must
not be lost lives in SQL. ``noeviction``: it says so when it is full, it forgets nothing by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from gateway.runtime.children import Child, ChildSpec, ChildState
from gateway.runtime.programs import Toolbox
from telephony.errors import UnsafeValue

_SOCKET_PATH_LIMIT = 100


class EmbeddedRedis:
    """One Redis as a supervised child; only the user who started it can open its socket."""

    def __init__(
        self,
        tools: Toolbox,
        base: Path,
        *,
        max_memory_mb: int = 1024,
        restart: bool = True,
        on_change: Callable[[ChildState], None] = lambda state: None,
    ) -> None:
        self._base = base
        self._max_memory_mb = max_memory_mb
        self._own_folder: Path | None = None
        socket = base / "redis.sock"
        if len(str(socket).encode()) > _SOCKET_PATH_LIMIT:
            self._own_folder = Path(tempfile.mkdtemp(prefix="patchbay-"))
            socket = self._own_folder / "redis.sock"
        self.socket = socket
        self.child = Child(
            ChildSpec(
                name="redis",
                argv=tuple(tools.command("redis-server", str(base / "redis.conf"))),
                cwd=base,
                log=base / "redis.log",
                ready=lambda: answers_ping(socket),
                ready_when="answers PING",
                restart=restart,
            ),
            on_change=on_change,
        )

    @property
    def url(self) -> str:
        """For ``redis.asyncio.from_url``."""
        return f"unix://{self.socket}"

    @property
    def state(self) -> ChildState:
        return self.child.state

    async def start(self) -> str:
        """Start, wait until it answers PING, return its address. Raises ``ChildFailed``."""
        self._base.mkdir(parents=True, exist_ok=True, mode=0o700)
        config = self._base / "redis.conf"
        text = redis_conf(self._base, self.socket, self._max_memory_mb)
        with os.fdopen(os.open(config, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
        await self.child.start()
        return self.url

    async def stop(self) -> None:
        """Stop in order: writes are on disk when this returns."""
        await self.child.stop()
        if self._own_folder is not None:
            shutil.rmtree(self._own_folder, ignore_errors=True)

    def kill(self) -> None:
        """SIGKILL, as a crash would."""
        self.child.kill()


def redis_conf(base: Path, socket: Path, max_memory_mb: int) -> str:
    """The text of redis.conf: no TCP port at all, a socket with mode 0700."""
    for path in (base, socket):
        if '"' in str(path) or not str(path).isprintable():
            raise UnsafeValue("the folder of Redis has characters that must not stand in its configuration")
    return f"""\
port 0
unixsocket "{socket}"
unixsocketperm 700
dir "{base}"
daemonize no
databases 1
appendonly yes
appendfsync everysec
save ""
maxmemory {max_memory_mb}mb
maxmemory-policy noeviction
loglevel notice
"""


async def answers_ping(socket: Path) -> None:
    """Return once Redis says PONG; keeps trying, the caller holds the deadline."""
    while True:
        with contextlib.suppress(OSError, EOFError):
            reader, writer = await asyncio.open_unix_connection(str(socket))
            try:
                writer.write(b"PING\r\n")
                if await reader.readline() == b"+PONG\r\n":
                    return
            finally:
                writer.close()
        await asyncio.sleep(0.02)
