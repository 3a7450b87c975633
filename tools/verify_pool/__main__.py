"""``make verify-pool OPS=1000000``: clients, crashes, and the offline judge.

While the clients work, the services are killed at random moments and at each crash point of an opening, and
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
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

from gateway.config import Settings
from gateway.runtime.programs import provision
from tools.verify_pool.checker import Report, check
from tools.verify_pool.clients import Client, Line, Mix, World
from tools.verify_pool.history import Recorder, RunClock, read
from tools.verify_pool.servers import Pain, Servers, Setup

BETWEEN_S = (1.0, 3.0)
_UP_S = 120.0
_ASKERS = 32


@dataclass(frozen=True, slots=True)
class Run:
    """What is to be done: at least so many requests, and so many whole rounds of blows."""

    ops: int
    seed: int
    setup: Setup = field(default_factory=Setup)
    mix: Mix = field(default_factory=Mix)
    rounds: int = 1
    most_rounds: int | None = None
    between_s: tuple[float, float] | None = BETWEEN_S
    """Between two blows; None: none fall."""


async def run(wanted: Run, folder: Path, history: Path) -> Counter[str]:
    """A whole run, written down in ``history``; the blows that fell."""
    dice = random.Random(wanted.seed)
    tools = await asyncio.to_thread(provision, Settings.from_env(os.environ), lambda line: None)
    clock = RunClock.of_today()
    servers = Servers(tools, folder, wanted.setup, clock)
    recorder = Recorder(history, wanted.setup.quarantine_s)
    await servers.start()
    lines = [Line(service.socket) for service in servers.services]
    for line in lines:
        line.start()
    pain = Pain(servers, lines, dice)
    world = World(lines, dice, wanted.mix, wanted.ops, recorder, clock.epoch)
    try:
        async with asyncio.timeout(_UP_S):
            for line in lines:
                await line.up()
        await _work(world, pain, wanted)
        await _ask_for_all(world)
    finally:
        for line in lines:
            await line.stop()
        await servers.stop()
        recorder.close()
    return pain.done


async def _work(world: World, pain: Pain, wanted: Run) -> None:
    falling: list[asyncio.Task[None]] = []
    if wanted.between_s is not None:
        world.hurt_enough = lambda: pain.rounds >= wanted.rounds
        falling.append(asyncio.create_task(pain.run(wanted.between_s, wanted.most_rounds)))
    await asyncio.gather(*(Client(world).run() for _ in range(world.mix.clients)))
    for task in falling:
        task.cancel()
    await asyncio.gather(*falling, return_exceptions=True)


async def _ask_for_all(world: World) -> None:
    """Every acknowledged session is still known; answers that do not come are waited for."""
    left = sorted(world.acknowledged)

    async def asker() -> None:
        while left:
            session = left.pop()
            request = {"session": session}
            while True:
                op = await world.do("get", request, lambda op, s=session: replace(op, session=s))
                if op.answered:
                    break

    await asyncio.gather(*(asker() for _ in range(_ASKERS)))


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


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ops", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--index", choices=("redis", "memory"), default="redis")
    parser.add_argument("--services", type=int, default=1, help="several need --database")
    parser.add_argument("--database", help="a URL of an empty PostgreSQL database")
    parser.add_argument(
        "--numbers", type=int, default=Setup().numbers, help="few: most people hold nearly all"
    )
    parser.add_argument("--people", type=int, default=Mix().people)
    parser.add_argument("--report", type=Path, default=Path("var/verify/pool.json"))
    parser.add_argument("--keep", type=Path, help="write the history here, one request a line")
    return parser.parse_args()


def main() -> int:
    asked = arguments()
    if asked.services > 1 and asked.database is None:
        raise SystemExit("several services need a database that they can share: --database")
    mix = Mix(people=asked.people)
    setup = Setup(asked.index, asked.services, asked.database, asked.numbers)
    folder = Path(tempfile.mkdtemp(prefix="patchbay-verify-"))
    history = asked.keep or folder / "history.jsonl"
    started = time.monotonic()
    try:
        blows = asyncio.run(run(Run(asked.ops, asked.seed, setup, mix), folder, history))
        report = check(read(history))
        tell(report, blows, time.monotonic() - started, asked.report)
        return 1 if report.faults else 0
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
