"""Number masking's pool: claims, durable sessions and look-ups: ``python -m bench.pool``.

Claims are the choice of a number for one busy participant out of 1,000 of whom most are held already, in each
backend. Creates are whole ``Sessions.open``: chosen, reserved, stored in SQLite with its event and
acknowledged after the commit. Delays are measured in an open loop, from when each request was due. The
baselines run in the same process with the same number in flight: one ``HSET`` of our size through our own
pipelines, and one row with a session's bytes through ``Database.write``.

With a million open sessions (``--no-million`` leaves that out) creates and look-ups are measured again, and
the first thousand's costs are put beside it, from the same run.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import uvloop
from sqlalchemy import Connection, text

from bench.pool_rig import (
    BACKENDS,
    NUMBERS,
    TENANT,
    Backend,
    Stage,
    embedded_redis,
    load,
    new_pair,
    person,
    stage,
    stored_pair,
)
from bench.report import write_result
from gateway.clocks import new_id
from gateway.storage.hot import Hot
from proxy_pool.core.number import Wish
from proxy_pool.core.party import key_of
from proxy_pool.core.session import Channel, Session, SessionId
from proxy_pool.placing import Draft
from proxy_pool.store_redis_line import Line

IN_FLIGHT: Final = 64
ROUNDS: Final = 3
CREATES: Final = 2_000
PACE: Final = 1_000.0
PACED_S: Final = 5.0
FEW, MANY = 1_000, 1_000_000
FILLS: Final = (10, 90, 99)
BUSY: Final = 16
"""Busy participants, who claim at the same time."""
CLAIM_ROUNDS: Final = 100

Figures = dict[str, float | int | str]


@dataclass(frozen=True, slots=True)
class Delays:
    """Seconds, in the order in which they ended."""

    each: list[float]

    def ms(self, share: float) -> float:
        ordered = sorted(self.each)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000


async def saturate(count: int, one: Callable[[], Awaitable[object]]) -> float:
    """How many a second, so many in flight."""
    left = iter(range(count))

    async def worker() -> None:
        for _ in left:
            await one()

    started = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))
    return count / (time.perf_counter() - started)


async def pace(per_s: float, seconds: float, one: Callable[[], Awaitable[object]]) -> Delays:
    """One every 1/per_s seconds; delays count from when each was due."""
    delays: list[float] = []
    tasks: set[asyncio.Task[None]] = set()

    async def timed(due: float) -> None:
        await one()
        delays.append(time.perf_counter() - due)

    started = time.perf_counter()
    for number in range(round(per_s * seconds)):
        due = started + number / per_s
        wait = due - time.perf_counter()
        if wait > 0:
            await asyncio.sleep(wait)
        tasks.add(asyncio.create_task(timed(due)))
    await asyncio.gather(*tasks)
    return Delays(delays)


# ------------------------------------------------------------ sessions of the bench


class Doing:
    """What the clients of a stage do: open sessions for people nobody had yet, look doors up."""

    def __init__(self, made: Stage, first: int) -> None:
        self._made = made
        self._people = itertools.count(first)
        self._dice = random.Random(11)
        self.doors: list[tuple[str, object]] = []
        self.found = 0

    async def open(self) -> None:
        wanted = new_pair(next(self._people), next(self._people))
        session = await self._made.sessions.open(TENANT, wanted, SessionId(new_id("ses")))
        if len(self.doors) < FEW:
            self.know(session)

    def know(self, session: Session) -> None:
        self.doors.extend((key_of(one.party), one.proxy) for one in session.participants)

    async def look_up(self) -> None:
        key, proxy = self._dice.choice(self.doors)
        found = await self._made.sessions.resolve(TENANT, key, proxy)  # type: ignore[arg-type]
        assert found is not None
        self.found += 1


def pairs(count: int, now: float, first: int = 0) -> Iterator[Session]:
    """So many sessions of people who take part in one each, spread over all numbers."""
    for n in range(first, first + count):
        numbers = (n * 7 % NUMBERS, (n * 7 + 3) % NUMBERS)
        yield stored_pair(n, 2 * n, 2 * n + 1, numbers, now)


def busy_pairs(fill: int, now: float) -> Iterator[Session]:
    """Busy participants, each in as many sessions as this share of all numbers is."""
    others = itertools.count(10_000_000)
    for n, (busy, number) in enumerate(itertools.product(range(BUSY), range(NUMBERS * fill // 100))):
        yield stored_pair(n, 5_000_000 + busy, next(others), (number, n % NUMBERS), now)


# ------------------------------------------------------------ claims


async def claims(folder: Path, backend: Backend, redis_url: str) -> Figures:
    """Claims a second, and how long one takes, at each fill."""
    figures: Figures = {}
    for fill in FILLS:
        async with stage(folder / f"{backend}-{fill}", backend, redis_url) as made:
            await load(made, busy_pairs(fill, time.time()))
            await made.fill()
            rates, delays = [], list[float]()
            for _ in range(CLAIM_ROUNDS):
                rates.append(await claim_once(made, delays))
            name = f"{backend.replace('-', '_')}_{fill}pct"
            figures[f"claims_per_s_{name}"] = statistics.median(rates)
            figures[f"claim_p50_ms_{name}"] = Delays(delays).ms(0.5)
            figures[f"claim_p99_ms_{name}"] = Delays(delays).ms(0.99)
    return figures


async def claim_once(made: Stage, delays: list[float]) -> float:
    """Everybody busy claims one number at the same time; what was reserved is given up again, unmeasured."""
    blank = next(pairs(1, time.time()))
    taken = []

    async def claim(busy: int) -> None:
        started = time.perf_counter()
        wish = Wish(key_of(person(5_000_000 + busy)), frozenset(Channel), country="US")
        draft = Draft((wish,), ((0,),), shared=False)
        _, doors = await made.placer._choose(blank, draft, (), [frozenset()])
        delays.append(time.perf_counter() - started)
        taken.extend(doors)

    started = time.perf_counter()
    await asyncio.gather(*(claim(busy) for busy in range(BUSY)))
    rate = BUSY / (time.perf_counter() - started)
    await made.index.drop(taken)
    return rate


# ------------------------------------------------------------ baselines


async def raw_hset(made: Stage) -> float:
    """One field of 25 bytes in a hash of its own, through the pipelines that the index uses."""
    assert made.redis is not None
    line, numbers = Line(made.redis, lambda: None, 5.0), itertools.count()

    async def one() -> None:
        await line.ask([("HSET", b"raw:%024d" % next(numbers), 1, b"x" * 25)])

    return await saturate(CREATES * 4, one)


RAW_ROW = Hot("INSERT INTO raw_rows (id, body) VALUES (:id, :body)")


async def raw_insert(made: Stage, row_bytes: int) -> float:
    """One row with a unique id and as many bytes as a session has in the database."""
    numbers = itertools.count()

    def create(conn: Connection) -> None:
        conn.execute(
            text("CREATE TABLE IF NOT EXISTS raw_rows (seq INTEGER PRIMARY KEY, id TEXT, body TEXT)")
        )
        conn.execute(text("CREATE UNIQUE INDEX IF NOT EXISTS ix_raw ON raw_rows (id)"))

    await made.database.write(create)
    body = "x" * row_bytes
    first = time.monotonic_ns()

    async def one() -> None:
        row = {"id": f"{first}-{next(numbers)}", "body": body}
        await made.database.write(lambda conn: RAW_ROW.run(conn, row))

    return await saturate(CREATES, one)


# ------------------------------------------------------------ the whole


async def creates(made: Stage) -> Figures:
    """Durable creates and look-ups on the embedded stores, with their baselines in turns."""
    doing, found = Doing(made, first=0), dict[str, list[float]]()
    await saturate(CREATES, doing.open)
    await made.sessions.settle()
    size = await bytes_per_session(made)
    for _ in range(ROUNDS):
        for name, rate in (
            ("creates", saturate(CREATES, doing.open)),
            ("insert", raw_insert(made, int(size["sql_bytes_per_session"]))),
            ("claims", claim_rate(made)),
            ("hset", raw_hset(made)),
        ):
            found.setdefault(name, []).append(await rate)
            await made.sessions.settle()
    paced = await pace(PACE, PACED_S, doing.open)
    looked = await pace(PACE, PACED_S, doing.look_up)
    middle = {name: statistics.median(rates) for name, rates in found.items()}
    ratios = zip(found["creates"], found["insert"], strict=True)
    return {
        "creates_per_s": middle["creates"],
        "create_p50_ms": paced.ms(0.5),
        "create_p99_ms": paced.ms(0.99),
        "resolve_p50_ms": looked.ms(0.5),
        "resolve_p99_ms": looked.ms(0.99),
        **size,
        "claims_per_s": middle["claims"],
        "raw_hset_per_s": middle["hset"],
        "raw_insert_per_s": middle["insert"],
        "creates_vs_raw_sql": statistics.median(ours / raw for ours, raw in ratios),
        "claims_vs_raw_redis": middle["claims"] / middle["hset"],
    }


async def claim_rate(made: Stage) -> float:
    """Claims a second of people who hold nothing yet."""
    blank, people, taken = next(pairs(1, time.time())), itertools.count(70_000_000), []

    async def one() -> None:
        wish = Wish(key_of(person(next(people))), frozenset(Channel), country="US")
        draft = Draft((wish,), ((0,),), shared=False)
        _, doors = await made.placer._choose(blank, draft, (), [frozenset()])
        taken.extend(doors)

    rate = await saturate(CREATES, one)
    await made.index.drop(taken)
    return rate


async def bytes_per_session(made: Stage) -> Figures:
    """What each session that is opened costs in Redis and in the database's files."""
    doing = Doing(made, first=30_000_000)
    redis_before, file_before, count = await made.redis_bytes(), await settled_bytes(made), CREATES * 2
    await saturate(count, doing.open)
    await made.sessions.settle()
    return {
        "redis_bytes_per_session": (await made.redis_bytes() - redis_before) / count,
        "sql_bytes_per_session": (await settled_bytes(made) - file_before) / count,
    }


async def settled_bytes(made: Stage) -> int:
    """The database's pages in use, which its files come to once the log is written back."""

    def pages(conn: Connection) -> int:
        size = conn.execute(text("PRAGMA page_size")).scalar_one()
        return int(conn.execute(text("PRAGMA page_count")).scalar_one() * size)

    return await made.database.read(pages)


async def at_size(folder: Path, redis_url: str, count: int) -> Figures:
    """What creates and look-ups cost with so many open sessions."""
    async with stage(folder / f"open-{count}", "redis", redis_url) as made:
        now = time.time()
        started = time.perf_counter()
        await load(made, pairs(count, now))
        loaded = time.perf_counter() - started
        before = await made.redis_bytes()
        filled_s = await made.fill()
        size: Figures = {
            "redis_bytes_per_session": (await made.redis_bytes() - before) / count,
            "sql_bytes_per_session": await settled_bytes(made) / count,
        }
        doing = Doing(made, first=3 * MANY)
        dice = random.Random(5)
        for n in sorted(dice.sample(range(count), FEW)):
            doing.know(next(pairs(1, now, first=n)))
        await saturate(CREATES, doing.look_up)
        looked = [await saturate(CREATES, doing.look_up) for _ in range(ROUNDS)]
        delays = await pace(PACE, PACED_S, doing.look_up)
        await saturate(CREATES, doing.open)
        opened = [await saturate(CREATES, doing.open) for _ in range(ROUNDS)]
        await made.sessions.settle()
        return {
            "creates_per_s": statistics.median(opened),
            "resolves_per_s": statistics.median(looked),
            "resolve_p99_ms": delays.ms(0.99),
            "rebuild_doors_per_s": 2 * count / filled_s,
            "loaded_s": loaded,
            **size,
        }


def tell(stage_of_it: str, figures: Figures) -> None:
    """How far it is: the whole takes minutes."""
    print(f"  {stage_of_it:<24}", {key: round(float(value), 3) for key, value in figures.items()}, flush=True)


async def main(million: bool) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with embedded_redis(folder) as url:
            figures: Figures = {}
            async with stage(folder / "creates", "redis", url) as made:
                await made.fill()
                figures |= await creates(made)
            tell("creates", figures)
            for backend in BACKENDS:
                figures |= (found := await claims(folder, backend, url))
                tell(f"claims, {backend}", found)
            few = await at_size(folder, url, FEW)
            tell("a thousand open", few)
            figures |= {f"{key}_at_1k": value for key, value in few.items() if key.endswith("s_per_s")}
            if million:
                many = await at_size(folder, url, MANY)
                tell("a million open", many)
                figures |= {f"{key}_at_1m": value for key, value in many.items()}
                figures["cost_1m_vs_1k"] = float(few["creates_per_s"]) / float(many["creates_per_s"])
                figures["resolve_cost_1m_vs_1k"] = float(few["resolves_per_s"]) / float(
                    many["resolves_per_s"]
                )
    ratio = {key: figures.pop(key) for key in ("claims_vs_raw_redis", "creates_vs_raw_sql")}
    baseline = {key: figures.pop(key) for key in ("raw_hset_per_s", "raw_insert_per_s")}
    write_result("pool", figures, baseline, ratio)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--million", action=argparse.BooleanOptionalAction, default=True)
    uvloop.run(main(parser.parse_args().million))
