"""Agents on calls through the whole product: ``python -m bench.agents``.

A caller's frames, each with its number in it, go through the real switch, the gateway and an agent of the
native dialect that echoes, and back; the time is taken in the caller's RTP. Three echoes in turns at each
number of calls: the switch's own ``Echo()``, a bare echo behind ``chan_websocket``, and the agent. What is
added is the product's less the bare echo's, percentile by percentile, in the same run on the same machine.

Callers speak in phrases with pauses, as people do. CPU is user and system time of a process over calls and
seconds; the callers and the agent's own process are not the product's, but run on the same machine.
``concurrent_calls`` is the largest of the numbers tried at which 99 of 100 frames are at most 20 ms later
than the bare echo's and no more than one frame in a thousand is missing; the figures without a number in
their names are of that round.

Barge-in is from the agent's ``clear`` to the last packet with its old words. Creep is how much later, in
frames, the sound of an agent that sends 50.1 frames a second arrives at the end than at the begin. The
endings are ``bench.agents_endings``.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import uvloop

from bench.agents_endings import Endings, many_endings
from bench.agents_rig import AGENTS, BARE, ECHO_APP, AgentBench, running, settled
from bench.calls import percentile
from bench.far_ends import memory_kb
from bench.report import write_result
from bench.rig import cpu_of

ADDED_P99_MS, MISSING_PER_1000 = 20.0, 1.0
WAYS = {"echo_app": ECHO_APP, "bare_ws": BARE, "agent": AGENTS["echo"]}


@dataclass(slots=True)
class Round:
    """What one way did at one number of calls. CPU in percent of a core for one call."""

    calls: int
    refused: int = 0
    rtts: list[float] = field(default_factory=list)
    missing_per_1000: float = 0.0
    asterisk_percent: float = 0.0
    python_percent: float = 0.0
    far_end_percent: float = 0.0
    callers_percent: float = 0.0
    memory_kb: float = 0.0
    late_per_1000: float = 0.0

    def p(self, share: float) -> float:
        return float(percentile(self.rtts, share)) if self.rtts else float("nan")


@dataclass(frozen=True, slots=True)
class Spent:
    """CPU seconds so far."""

    switch: float
    gateway: float
    far_end: float
    callers: float
    beats: float
    late: float


async def spent(bench: AgentBench, way: str) -> Spent:
    far = bench.bare if way == "bare_ws" else bench.agents
    beats, late = await bench.late_beats()
    gateway = cpu_of(bench.gateway_pid).total
    return Spent(bench.switch_cpu.total, gateway, far.cpu.total, bench.mill.cpu_s, beats, late)


async def one_round(bench: AgentBench, way: str, calls: int, seconds: float) -> Round:
    """Some calls at once, one way, for a while."""
    before_kb = memory_kb(bench.gateway_pid)
    callers = bench.callers()
    try:
        lines = await callers.call(WAYS[way], calls)
        await asyncio.sleep(2.0)
        before = await spent(bench, way)
        await callers.measure(seconds, settle_s=0.0)
        after = await spent(bench, way)
        each = 100 / seconds / max(1, len(lines))
        packets = sum(line.packets for line in lines)
        return Round(
            calls,
            calls - len(lines),
            rtts=sorted(rtt for line in lines for rtt in line.rtts),
            missing_per_1000=1000 * sum(line.holes for line in lines) / max(1, packets),
            asterisk_percent=(after.switch - before.switch) * each,
            python_percent=(after.gateway - before.gateway) * each,
            far_end_percent=(after.far_end - before.far_end) * each,
            callers_percent=(after.callers - before.callers) * each,
            memory_kb=(memory_kb(bench.gateway_pid) - before_kb) / max(1, len(lines)),
            late_per_1000=1000 * (after.late - before.late) / max(1.0, after.beats - before.beats),
        )
    finally:
        await callers.end()
        await settled()


async def barge_in(bench: AgentBench, calls: int, seconds: float) -> list[float]:
    """From each ``clear`` to the last packet with the old words, in ms; 0 where there was none."""
    callers = bench.callers()
    try:
        await bench.agents.ask("tell")
        lines = await callers.call(AGENTS["talker"], calls, keeps=True)
        await asyncio.sleep(seconds)
        told = await bench.agents.ask("tell")
        await asyncio.sleep(0.5)
    finally:
        await callers.end()
    last: dict[int, float] = {}
    for line in lines:
        last |= {number: at for at, number in line.seen}
    return sorted(max(0.0, (last[number] - at) * 1000) for number, at in told["clears"] if number in last)


async def creep(bench: AgentBench, seconds: float) -> float:
    """How many frames later sound arrives in the last ten seconds than in the first, at the best of each."""
    callers = bench.callers()
    try:
        (line,) = await callers.call(AGENTS["fast"], 1, keeps=True)
        await asyncio.sleep(seconds)
    finally:
        await callers.end()
    heard = [(at, at - number / 10_000) for at, number in line.seen if number >= 0]
    part_s = min(10.0, seconds / 4)
    first = min(delay for at, delay in heard if at < heard[0][0] + part_s)
    last = min(delay for at, delay in heard if at > heard[-1][0] - part_s)
    return (last - first) / 0.020


def holds(ours: Round, bare: Round) -> bool:
    """Whether this many calls are carried."""
    late = ours.p(0.99) - bare.p(0.99) > ADDED_P99_MS
    return (
        not ours.refused
        and not late
        and ours.missing_per_1000 <= max(MISSING_PER_1000, bare.missing_per_1000)
    )


async def measure(folder: Path, given: argparse.Namespace) -> None:
    counts = [int(part) for part in given.calls.split(",")]
    rounds: dict[tuple[str, int], Round] = {}
    async with running(folder) as bench:
        # what is loaded once, and what the allocator keeps, is no call's memory
        await one_round(bench, "agent", min(50, max(counts)), 2.0)
        for calls in counts:
            for way in WAYS:
                rounds[way, calls] = done = await one_round(bench, way, calls, given.seconds)
                tell(way, done)
            if not holds(rounds["agent", calls], rounds["bare_ws", calls]):
                break
        cut = await barge_in(bench, min(20, max(counts)), given.barge_in_seconds)
        crept = await creep(bench, given.creep_seconds)
        endings = await many_endings(bench, given.endings, given.endings_at_once)
        more = {"creep_frames": crept, "creep_s": given.creep_seconds, "callers_late_ms": bench.mill.late_ms}
    report(rounds, cut, endings, more)


def tell(way: str, done: Round) -> None:
    print(
        f"{way:<9} {done.calls:>4} calls ({done.refused} refused):"
        f" p50 {done.p(0.5):6.1f}  p99 {done.p(0.99):6.1f} ms, {done.missing_per_1000:5.2f} per 1000 missing,"
        f" Asterisk {done.asterisk_percent:.2f} %,"
        f" gateway {done.python_percent:.2f} %, far end {done.far_end_percent:.2f} %,"
        f" callers {done.callers_percent:.2f} % a call, {done.late_per_1000:.1f} per 1000 beats late,"
        f" {done.memory_kb:.0f} kB a call",
        flush=True,
    )


def report(
    rounds: dict[tuple[str, int], Round], cut: list[float], endings: Endings, more: dict[str, float]
) -> None:
    """Figures at the most calls that were carried; those at other numbers have it in their names."""
    tried = sorted({calls for _, calls in rounds})
    carried = [calls for calls in tried if holds(rounds["agent", calls], rounds["bare_ws", calls])]
    most = max(carried, default=tried[0])
    ours, bare, app = (rounds[way, most] for way in ("agent", "bare_ws", "echo_app"))
    figures: dict[str, float | int | str] = {
        "concurrent_calls": most if carried else 0,
        "added_p50_ms": ours.p(0.5) - bare.p(0.5),
        "added_p99_ms": ours.p(0.99) - bare.p(0.99),
        "python_core_percent_per_call": ours.python_percent,
        "asterisk_core_percent_per_call": ours.asterisk_percent,
        "agents_core_percent_per_call": ours.far_end_percent,
        "callers_core_percent_per_call": ours.callers_percent,
        "memory_kb_per_call": ours.memory_kb,
        "missing_per_1000": ours.missing_per_1000,
        "beats_late_per_1000": ours.late_per_1000,
        "barge_in_p50_ms": percentile(cut, 0.5),
        "barge_in_p95_ms": percentile(cut, 0.95),
        **endings.figures(),
        **more,
    }
    baseline: dict[str, float | int | str] = {
        "echo_app_p50_ms": app.p(0.5),
        "echo_app_p99_ms": app.p(0.99),
        "bare_ws_p50_ms": bare.p(0.5),
        "bare_ws_p99_ms": bare.p(0.99),
        "bare_ws_python_core_percent_per_call": bare.far_end_percent,
        "bare_ws_asterisk_core_percent_per_call": bare.asterisk_percent,
        "bare_ws_missing_per_1000": bare.missing_per_1000,
    }
    for calls in (calls for calls in tried if calls != most):
        for share, name in ((0.5, "p50"), (0.99, "p99")):
            few = rounds["bare_ws", calls].p(share)
            figures[f"added_{name}_ms_at_{calls}"] = rounds["agent", calls].p(share) - few
            baseline[f"bare_ws_{name}_ms_at_{calls}"] = few
    write_result(
        "agents",
        figures,
        baseline,
        {"p50_vs_bare_ws": ours.p(0.5) / bare.p(0.5), "p99_vs_bare_ws": ours.p(0.99) / bare.p(0.99)},
    )


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--calls", default="1,50,75,100,125,150", help="numbers of calls at once, rising")
    asked.add_argument("--seconds", type=float, default=20.0, help="how long each round is measured")
    asked.add_argument(
        "--creep-seconds",
        type=float,
        default=120.0,
        help="how long an agent that is too fast is listened to",
    )
    asked.add_argument("--barge-in-seconds", type=float, default=10.0)
    asked.add_argument("--endings", type=int, default=1000)
    asked.add_argument("--endings-at-once", type=int, default=20)
    with tempfile.TemporaryDirectory(prefix="patchbay-bench-") as folder:
        uvloop.run(measure(Path(folder), asked.parse_args()))


if __name__ == "__main__":
    main()
