"""What tests of the index share: doors and bindings, a Redis that can be hurt, an index that runs."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import shutil
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from redis.asyncio import Redis
from ulid import ULID

from gateway.runtime.redis import answers_ping
from proxy_pool.core.session import Binding, Door, Entry, Hold, SessionId
from proxy_pool.ports import Claim
from proxy_pool.store_redis import RedisIndex
from proxy_pool.store_redis_line import Patience, open_redis
from telephony.ids import TenantId
from telephony.numbers import E164

NOW = 1_772_971_200.0
HOUR = 3600.0
TENANT = TenantId("ten_1")
SECRET = b"a secret of the test, long enough"
CALM = Patience(answer_s=20.0, look_up_s=20.0, settle_s=0.0, lease_s=60.0)
"""For tests of answers, which a busy machine must not fail."""
MORTAL = replace(CALM, lease_s=1.5)
"""For a process that is missed when it is not heard of: as soon as in the product."""
SWIFT = Patience(settle_s=0.0)
"""As in the product (but for the wait before a first generation), for a server that does not answer."""
_ids = itertools.count(1)
T = TypeVar("T")


def session(number: int | None = None) -> SessionId:
    """A session's id; later ones are younger."""
    return SessionId(f"ses_{ULID.from_int((1 << 100) + (next(_ids) if number is None else number))}")


def door(index: int, key: str = "+15550001111", tenant: TenantId = TENANT) -> Door:
    return Door(tenant, key, E164(f"+1415{index:07d}"), index)


def binding(
    at: Door,
    owner: SessionId | None = None,
    hold: Hold = Hold.LIVE,
    until: float = NOW + HOUR,
    version: int = 1,
    seat: int = 0,
) -> Binding:
    return Binding(at, Entry(owner or session(), seat, hold, until, version))


def claim(*candidates: int, key: str = "+15550001111", owner: SessionId | None = None) -> Claim:
    return Claim(TENANT, key, candidates, owner or session(), 0)


class Books:
    """A ledger reduced to what it holds: the pages of an index's filling."""

    def __init__(self) -> None:
        self.held: dict[Door, Binding] = {}
        self.before_page: Callable[[], None] = lambda: None
        self.after_page: Callable[[], object] = lambda: None
        self.reads = 0

    def hold(self, *bindings: Binding) -> None:
        self.held.update((binding.door, binding) for binding in bindings)

    async def pages(self) -> AsyncIterator[Sequence[Binding]]:
        self.reads += 1
        self.before_page()
        bindings = list(self.held.values())
        waited = self.after_page()
        if asyncio.iscoroutine(waited):
            await waited
        for at in range(0, len(bindings), 100):
            yield bindings[at : at + 100]


class Server:
    """A redis-server of our own on a unix socket, which tests may kill, stop and rob of its data.

    What it has answered it has handed to the kernel (``appendfsync no``), so it outlives a kill, and a slow
    disk holds nobody up.
    """

    def __init__(self, folder: Path, *options: str) -> None:
        self._folder = folder
        self._options = options
        self.socket = folder / "r.sock"
        self.url = f"unix://{self.socket}"
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        from tests.rig.world import tools  # why here: processes that only use an index need no pytest

        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / "log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *tools().command("redis-server"),
                *("--port", "0", "--unixsocket", str(self.socket), "--dir", str(self._folder)),
                *("--appendonly", "yes", "--appendfsync", "no", "--save", "", *self._options),
                stdout=log,
                stderr=log,
            )
        up = asyncio.create_task(answers_ping(self.socket))
        dead = asyncio.create_task(self._process.wait())
        try:
            async with asyncio.timeout(60):
                await asyncio.wait({up, dead}, return_when=asyncio.FIRST_COMPLETED)
            assert up.done(), (self._folder / "log").read_text()[-2000:]
            await up
        finally:
            up.cancel()
            dead.cancel()

    def _signal(self, number: int) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    async def kill(self) -> None:
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            self._signal(signal.SIGKILL)
        await self._process.wait()
        self.socket.unlink(missing_ok=True)

    async def empty(self) -> None:
        """Have it hold nothing."""
        async with Redis.from_url(self.url) as redis:
            await redis.flushall()

    async def copy_data(self) -> Path:
        """The data as they are on disk now, to come back to with ``start_from``."""
        copy = self._folder / f"copy{next(_ids)}"
        shutil.copytree(self._folder / "appendonlydir", copy)
        return copy

    async def start_from(self, copy: Path | None) -> None:
        """Start with these data, or with none."""
        shutil.rmtree(self._folder / "appendonlydir", ignore_errors=True)
        if copy is not None:
            shutil.copytree(copy, self._folder / "appendonlydir")
        await self.start()


class Running:
    """An index as a process has it: its client, its task."""

    def __init__(self, server: Server, books: Books, member: str = "one", patience: Patience = CALM) -> None:
        self._door = server.socket.with_name(f"{member}{next(_ids)}.sock")
        self._door.symlink_to(server.socket)
        self.redis: Redis = open_redis(f"unix://{self._door}")
        self.index = RedisIndex(self.redis, SECRET, member=member, now=lambda: NOW, patience=patience)
        self._socket = server.socket
        self._books = books
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> RedisIndex:
        self._task = asyncio.create_task(self.index.run(self._books.pages))
        await until(lambda: self.index.trusted)
        return self.index

    async def start_only(self) -> RedisIndex:
        """Start it where it cannot be trusted yet."""
        self._task = asyncio.create_task(self.index.run(self._books.pages))
        return self.index

    async def __aexit__(self, *why: object) -> None:
        await self.die()

    async def cut_off(self) -> None:
        """This process reaches Redis no more; others do."""
        self._door.unlink()
        await self.redis.connection_pool.disconnect()

    def let_through(self) -> None:
        self._door.symlink_to(self._socket)

    async def die(self, *, politely: bool = True) -> None:
        """End it; impolitely it does not get off the roll, as after SIGKILL."""
        assert self._task is not None
        if not politely:
            await self.cut_off()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self.redis.aclose()


async def until(holds: Callable[[], bool], within_s: float = 60) -> None:
    """Return once the condition holds."""
    async with asyncio.timeout(within_s):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def first(wanted: T, ask: Callable[[], Awaitable[T]], within_s: float = 60) -> set[T]:
    """Ask until this is the answer; all answers up to it."""
    seen: set[T] = set()
    async with asyncio.timeout(within_s):
        while wanted not in seen:
            seen.add(await ask())
            await asyncio.sleep(0.001)
    return seen
