"""``make verify-pool OPS=1000000``: clients, crashes, and the offline judge.

While the clients work, the service is killed at random moments and at each crash point of an opening, and
Redis is killed, emptied, stopped for a while. At the end every acknowledged session is asked for once more,
and the history is judged. Exit 0 only without a fault; the report is written to ``var/verify/pool.json``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from redis.asyncio import Redis

from gateway.config import Settings
from gateway.runtime.programs import Toolbox, provision
from gateway.runtime.redis import EmbeddedRedis
from tools.verify_pool import history
from tools.verify_pool.checker import Report, check
from tools.verify_pool.clients import Client, Line, Mix, World

_QUARANTINE_S = 2
_NUMBERS = 24
_POINTS = (2, 3, 4)
_BETWEEN_S = (0.4, 2.0)
_UP_S = 20.0


class Servers:
    """The service and its Redis, and every way to hurt them."""

    def __init__(self, tools: Toolbox, folder: Path, index: str) -> None:
        self._index = index
        self._folder = folder
        self.socket = folder / "pool.sock"
        self.redis = EmbeddedRedis(tools, folder / "redis")
        self._service: asyncio.subprocess.Process | None = None
        self._keeping: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await self.redis.start()
        self._keeping = asyncio.create_task(self._keep_up())

    async def stop(self) -> None:
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        if self._service is not None:
            with suppress(ProcessLookupError):
                self._service.kill()
            await self._service.wait()
        await self.redis.stop()

    async def _keep_up(self) -> None:
        """The service is started again whenever it is dead, as a supervisor would."""
        with (self._folder / "service.log").open("ab") as log:
            while True:
                self._service = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "tools.verify_pool.server"),
                    *("--folder", str(self._folder), "--redis", self.redis.url, "--socket", str(self.socket)),
                    *("--numbers", str(_NUMBERS), "--quarantine", str(_QUARANTINE_S)),
                    *("--index", self._index),
                    stdout=log,
                    stderr=log,
                )
                await self._service.wait()

    def kill_service(self) -> None:
        if self._service is not None and self._service.returncode is None:
            self._service.send_signal(signal.SIGKILL)

    def kill_redis(self) -> None:
        self.redis.kill()

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
            signal_of(pid, signal.SIGSTOP)
            await asyncio.sleep(0.8)
            signal_of(pid, signal.SIGCONT)


def signal_of(pid: int, number: signal.Signals) -> None:
    os.kill(pid, number)


async def hurt(servers: Servers, line: Line, dice: random.Random, done: Counter[str]) -> None:
    """One blow after the other until cancelled."""
    while True:
        await asyncio.sleep(dice.uniform(*_BETWEEN_S))
        blow = dice.choice(("service", "point", "point", "redis", "empty", "hang"))
        done[blow] += 1
        match blow:
            case "service":
                servers.kill_service()
            case "point":
                await line.ask({"verb": "die_at", "point": dice.choice(_POINTS)})
            case "redis":
                servers.kill_redis()
            case "empty":
                await servers.empty_redis()
            case "hang":
                await servers.hang_redis()


async def run(ops: int, seed: int, folder: Path, index: str) -> tuple[history.History, Counter[str]]:
    """A whole run: its history, and the blows that fell."""
    dice = random.Random(seed)
    tools = await asyncio.to_thread(provision, Settings.from_env(os.environ), lambda line: None)
    servers, blows = Servers(tools, folder, index), Counter[str]()
    await servers.start()
    line = Line(servers.socket)
    line.start()
    try:
        async with asyncio.timeout(_UP_S):
            await line.up()
        world = World(line, dice, Mix(), ops)
        pain = asyncio.create_task(hurt(servers, line, dice, blows))
        await asyncio.gather(*(Client(world).run() for _ in range(world.mix.clients)))
        pain.cancel()
        await asyncio.gather(pain, return_exceptions=True)
        await line.up()
        world.left = 1 << 60
        for session in sorted({op.told.session for op in world.ops if op.verb == "open" and op.told}):
            await world.do("get", {"session": session}, lambda op, s=session: replace(op, session=s))
    finally:
        await line.stop()
        await servers.stop()
    return history.History(_QUARANTINE_S, tuple(world.ops)), blows


def tell(report: Report, blows: Counter[str], took_s: float, path: Path) -> None:
    """The report, for people and for programs."""
    found = {
        "ops": sum(report.counted[verb] for verb in ("open", "close", "change", "use", "resolve", "get")),
        "took_s": round(took_s, 1),
        "counted": dict(report.counted),
        "blows": dict(blows),
        "faults": report.by_kind(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=2))
    for fault in report.faults[:20]:
        print(f"{fault.kind}: {fault.story}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ops", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--index", choices=("redis", "memory"), default="redis")
    parser.add_argument("--report", type=Path, default=Path("var/verify/pool.json"))
    parser.add_argument("--keep", type=Path, help="write the history here, one request a line")
    wanted = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="patchbay-verify-"))
    started = time.monotonic()
    try:
        seen, blows = asyncio.run(run(wanted.ops, wanted.seed, folder, wanted.index))
        if wanted.keep is not None:
            history.write(wanted.keep, seen)
        report = check(seen)
        tell(report, blows, time.monotonic() - started, wanted.report)
        return 1 if report.faults else 0
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
