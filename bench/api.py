"""Placing and reading calls over HTTP, against a bare Starlette route: ``python -m bench.api``.

Ours does everything a call pays for before it is acknowledged: key, rights, rate, schema, the policy's
rules with their look-ups, the call, its first event and its webhooks in one SQLite transaction, the audit
line. The bare route reads JSON and answers JSON. Both are served by the same uvicorn in processes of their
own and saturated in rounds that take turns; delays are measured at a fixed rate, from when each request was
due (a server that stalls is not forgiven). The switch behind is silent, so every call placed ends by its
deadline ten seconds later: while creates are measured, as many calls end, each with its events and CDR.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import uvloop

from bench.api_client import Run, connect, pace, request, saturate
from bench.report import write_result

ROUNDS = 5
ROUND_S = 2.0
RATE = 200.0
PACED_S = 10.0
CONNECTIONS = 32
PATH = "/api/v1/voice/calls"
NUMBERS = 10_000
"""Different numbers called in turn: nothing about a destination is remembered from the call before."""
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Server:
    """A server under measurement."""

    port: int
    key: str
    pid: int

    def cpu_s(self) -> float:
        """CPU used so far, user and system, all threads."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * _TICK_S


@asynccontextmanager
async def served(kind: str, folder: str) -> AsyncIterator[Server]:
    """A server of this kind in a process of its own; its log goes nowhere, but it is written."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bench.api_server",
        kind,
        folder,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(30):
            line = await process.stderr.readline()
        port, _, key = line.decode().strip().partition(" ")
        if not port.isdigit():
            raise SystemExit(f"the server did not start: {line!r} {await process.stderr.read()!r}")
        yield Server(int(port), key, process.pid)
    finally:
        process.terminate()
        await process.wait()


def bodies() -> list[bytes]:
    """One request body for each number."""
    rest = {"from": "+12025550100", "record": True, "metadata": {"campaign": "retention"}}
    return [json.dumps({"to": f"+1415555{n:04d}", **rest}).encode() for n in range(NUMBERS)]


class Requests:
    """Gives one request after the other, round and round."""

    def __init__(self, requests: list[bytes]) -> None:
        self._requests = requests
        self._next = 0

    def __call__(self, _: int) -> bytes:
        self._next = (self._next + 1) % len(self._requests)
        return self._requests[self._next]


def percentile_ms(delays: tuple[float, ...], share: float) -> float:
    """The delay that this share of requests did not exceed, in milliseconds."""
    ordered = sorted(delays)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000


def creates(server: Server) -> Requests:
    """Requests that place calls."""
    return Requests([request("POST", PATH, server.key, body) for body in bodies()])


async def rounds(ours: Server, bare: Server) -> tuple[list[Run], list[Run]]:
    """Saturate both, in turns."""
    found: tuple[list[Run], list[Run]] = ([], [])
    for _ in range(ROUNDS):
        for server, runs in zip((ours, bare), found, strict=True):
            connections = await connect(server.port, CONNECTIONS)
            runs.append(await saturate(connections, creates(server), 201, ROUND_S))
            for connection in connections:
                connection.close()
    return found


async def paced(server: Server, make: Callable[[int], bytes], want: int) -> Run:
    """The fixed rate, after a second to warm up."""
    connections = await connect(server.port, CONNECTIONS)
    await pace(connections, make, want, RATE, 1.0)
    run = await pace(connections, make, want, RATE, PACED_S)
    for connection in connections:
        connection.close()
    return run


async def some_ids(server: Server) -> list[str]:
    """Ids of calls that are there."""
    [connection] = await connect(server.port, 1)
    _, body = await connection.ask(request("GET", PATH + "?limit=100", server.key))
    connection.close()
    return [call["id"] for call in json.loads(body)["data"]]


async def until_quiet(server: Server) -> None:
    """Wait until the calls that were placed have ended: the silent switch answers none of them."""
    [connection] = await connect(server.port, 1)
    async with asyncio.timeout(120):
        while True:
            _, body = await connection.ask(request("GET", PATH + "?status=initiating&limit=1", server.key))
            if json.loads(body)["meta"]["pagination"]["total"] == 0:
                break
            await asyncio.sleep(0.5)
    connection.close()


async def measure(folder: str) -> None:
    """Run everything and write the result."""
    async with served("face", folder) as ours, served("bare", folder) as bare:
        before = ours.cpu_s()
        create = await paced(ours, creates(ours), 201)
        cpu_ms = (ours.cpu_s() - before) / (create.good * (1 + 1 / PACED_S)) * 1000
        await until_quiet(ours)
        ids = await some_ids(ours)
        get = await paced(ours, Requests([request("GET", f"{PATH}/{one}", ours.key) for one in ids]), 200)
        listing = await paced(ours, Requests([request("GET", PATH, ours.key)]), 200)
        bare_create = await paced(bare, creates(bare), 201)
        runs, bare_runs = await rounds(ours, bare)
    bad = sum(run.bad for run in (create, get, listing, bare_create, *runs, *bare_runs))
    if bad:
        raise SystemExit(f"{bad} requests were not answered as they should be: the figures mean nothing")
    create_rps = statistics.median(run.per_second for run in runs)
    bare_rps = statistics.median(run.per_second for run in bare_runs)
    write_result(
        "api",
        {
            "create_rps": create_rps,
            "create_p50_ms": percentile_ms(create.delays, 0.5),
            "create_p99_ms": percentile_ms(create.delays, 0.99),
            "create_cpu_ms": cpu_ms,
            "get_p50_ms": percentile_ms(get.delays, 0.5),
            "get_p99_ms": percentile_ms(get.delays, 0.99),
            "list_p99_ms": percentile_ms(listing.delays, 0.99),
            "rate_per_s": RATE,
        },
        {
            "bare_rps": bare_rps,
            "bare_p50_ms": percentile_ms(bare_create.delays, 0.5),
            "bare_p99_ms": percentile_ms(bare_create.delays, 0.99),
        },
        {"create_vs_bare": create_rps / bare_rps},
    )


def main() -> None:
    """Measure in a folder that goes with the run."""
    with tempfile.TemporaryDirectory(prefix="patchbay-bench-") as folder:
        uvloop.run(measure(folder))


if __name__ == "__main__":
    main()
