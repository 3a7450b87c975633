"""The services under proof and their Redis, and every way to hurt them."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from redis.asyncio import Redis

from gateway.runtime.programs import Toolbox
from gateway.runtime.redis import EmbeddedRedis
from tools.verify_pool.clients import Line
from tools.verify_pool.history import RunClock

BLOWS: Final = ("service", "point", "point", "redis", "empty", "hang")
"""One round of them; each round has its own order."""
_POINTS: Final = (2, 3, 4)
_HUNG_S: Final = 0.8
PROGRAM: Final = ("-m", "tools.verify_pool.server")


@dataclass(frozen=True, slots=True)
class Setup:
    """What runs: so many services on one database (its URL, or a SQLite file), with this index."""

    index: str = "redis"
    services: int = 1
    database: str | None = None
    numbers: int = 24
    quarantine_s: int = 2
    program: tuple[str, ...] = PROGRAM


class Service:
    """One service, started again whenever it is dead, as a supervisor would."""

    def __init__(self, name: str, folder: Path, arguments: list[str]) -> None:
        self.socket = folder / f"{name}.sock"
        self._log = folder / f"{name}.log"
        self._arguments = [*arguments, "--socket", str(self.socket), "--member", name]
        self._process: asyncio.subprocess.Process | None = None
        self._keeping: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._keeping = asyncio.create_task(self._keep_up())

    async def stop(self) -> None:
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        if self._process is not None:
            self.kill()
            await self._process.wait()

    async def _keep_up(self) -> None:
        with self._log.open("ab") as log:
            while True:
                self._process = await asyncio.create_subprocess_exec(
                    sys.executable, *self._arguments, stdout=log, stderr=log
                )
                await self._process.wait()

    def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGKILL)


class Servers:
    """Everything that runs."""

    def __init__(self, tools: Toolbox, folder: Path, setup: Setup, clock: RunClock) -> None:
        self.redis = EmbeddedRedis(tools, folder / "redis")
        database = setup.database or f"sqlite:///{folder / 'pool.db'}"
        arguments = [
            *setup.program,
            *("--database", database, "--redis", self.redis.url, "--index", setup.index),
            *("--numbers", str(setup.numbers), "--quarantine", str(setup.quarantine_s)),
            *("--clock", repr(clock.offset)),
        ]
        self.services = [Service(f"pool{n}", folder, arguments) for n in range(setup.services)]

    async def start(self) -> None:
        await self.redis.start()
        for service in self.services:
            service.start()

    async def stop(self) -> None:
        for service in self.services:
            await service.stop()
        await self.redis.stop()

    async def empty_redis(self) -> None:
        redis = Redis.from_url(self.redis.url)
        with suppress(Exception):
            await redis.flushall()
        await redis.aclose()

    async def hang_redis(self) -> None:
        pid = self.redis.state.pid
        if pid is None:
            return
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
            await asyncio.sleep(_HUNG_S)
            os.kill(pid, signal.SIGCONT)


class Pain:
    """One blow after the other, round after round; between two of them there is work."""

    def __init__(self, servers: Servers, lines: list[Line], dice: random.Random) -> None:
        self._servers = servers
        self._lines = lines
        self._dice = dice
        self.done: Counter[str] = Counter()
        self.rounds = 0

    async def run(self, between_s: tuple[float, float], most: int | None) -> None:
        """Until cancelled, or after so many rounds."""
        while most is None or self.rounds < most:
            for blow in self._dice.sample(BLOWS, len(BLOWS)):
                for line in self._lines:
                    await line.up()
                await asyncio.sleep(self._dice.uniform(*between_s))
                await self._strike(blow)
                self.done[blow] += 1
            self.rounds += 1

    async def _strike(self, blow: str) -> None:
        which = self._dice.randrange(len(self._lines))
        match blow:
            case "service":
                self._servers.services[which].kill()
            case "point":
                await self._lines[which].ask({"verb": "die_at", "point": self._dice.choice(_POINTS)})
            case "redis":
                self._servers.redis.kill()
            case "empty":
                await self._servers.empty_redis()
            case "hang":
                await self._servers.hang_redis()
