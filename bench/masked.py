"""Masked calls against a static ``Dial`` and the routed call of ``bench-calls``: ``python -m bench.masked``.

A thousand sessions of two thousand people, each of whom calls a proxy number in turn, so that every call is
another caller, session and far end. A masked call pays for all that a routed one does (question, director,
SQLite, events, logs) and for its own: who may reach whom is looked up, the session's use is noted, and an
interaction is written. The static and the routed call come from the same crowd of callers. All three are
loaded in turns in one run; figures are medians of rounds.

The added delay is the time from INVITE to 180 less that of a static call, as in ``bench.calls``.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import uvloop

from bench.calls import (
    Caller,
    Cost,
    Way,
    cost,
    delays,
    far_end,
    limit,
    middle,
    percentile,
    ringing_caller,
    tell,
    ways,
)
from bench.report import write_result
from bench.rig import OWN, STATIC, Bench, running_bench
from gateway.trial.sipp_scenario import Scenario, Send

SESSIONS = 1000
NUMBERS = 20
STEADY_CPS = 50
CPU_ROUNDS = 4
TRIES = 4
RAMP_ROUNDS = 3
DELAY_ROUNDS = 3
STEP = 1.08
"""Finer than the question, which is whether a masked call costs more than a twentieth of a routed one."""
_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Line:
    """One caller, and what it dials to be masked."""

    caller: str
    proxy: str


class CrowdCaller(Caller):
    """Calls as another one of the crowd each time. ``dials``: the file of each way's callers and numbers."""

    def __init__(self, bench: Bench, dials: Mapping[str, Path]) -> None:
        super().__init__(bench)
        self._dials = dials

    def scenario(self) -> Scenario:
        usual = ringing_caller()
        steps = tuple(
            replace(step, text=step.text.replace("[caller]", "[field0]").replace("[service]", "[field1]"))
            if isinstance(step, Send)
            else step
            for step in usual.steps
        )
        return replace(usual, steps=steps)

    def options(self, way: Way) -> list[str]:
        return ["-inf", str(self._dials[way.name])]


async def open_sessions(bench: Bench) -> list[Line]:
    """Numbers into the pool, sessions of people who are in one each; everybody who may call."""
    for place in range(NUMBERS):
        number = f"+12025557{place:03d}"
        await bench.ask("POST", "/api/v1/numbers", {"e164": number, "capabilities": ["voice", "sms"]})
        await bench.ask("POST", "/api/v1/proxy/pool/numbers", {"e164": number})
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(place: int) -> list[Line]:
        async with gate:
            a, b = f"+1415556{place:04d}", f"+1415557{place:04d}"
            session = await bench.ask("POST", "/api/v1/proxy/sessions", {"party_a": a, "party_b": b})
        return [Line(a, session["proxy_number_a"]), Line(b, session["proxy_number_b"])]

    pairs = await asyncio.gather(*(one(place) for place in range(SESSIONS)))
    return [line for side in (0, 1) for line in (pair[side] for pair in pairs)]


def write_dials(folder: Path, lines: Sequence[Line]) -> dict[str, Path]:
    """What SIPp reads, a call a line, one line after the other."""
    numbers = {"static": lambda line: STATIC, "routed": lambda line: OWN, "masked": lambda line: line.proxy}
    files = {}
    for name, number in numbers.items():
        files[name] = folder / f"{name}.csv"
        rows = [f"{line.caller};{number(line)}" for line in lines]
        files[name].write_text("\n".join(["SEQUENTIAL", *rows]) + "\n")
    return files


@dataclass(slots=True)
class Measured:
    """By way: CPU of a call, calls per second held, ms from INVITE to 180."""

    costs: dict[str, list[Cost]]
    held: dict[str, list[float]]
    waits: dict[str, list[float]]


async def steady_cost(bench: Bench, caller: Caller, way: Way) -> Cost:
    """CPU of a call in a round in which none failed: calls fail while the machine does other things."""
    for _ in range(TRIES - 1):
        try:
            return await cost(bench, caller, way, STEADY_CPS)
        except RuntimeError as error:
            tell(str(error).partition("\n")[0])
    return await cost(bench, caller, way, STEADY_CPS)


async def measure_all(bench: Bench, caller: Caller, by: Mapping[str, Way]) -> Measured:
    """Everything, in turns."""
    seen = Measured({name: [] for name in by}, {name: [] for name in by}, {name: [] for name in by})
    for way in by.values():  # the first calls through fresh processes, and of a session, pay for what is
        await caller.load(way, 40, 2 * SESSIONS if way.name == "masked" else 200)  # done once
    for _ in range(CPU_ROUNDS):
        for name, way in by.items():
            seen.costs[name].append(await steady_cost(bench, caller, way))
    starts = {"static": 110.0, "routed": 60.0, "masked": 60.0}
    for _ in range(RAMP_ROUNDS):
        for name, way in by.items():
            held = await limit(bench, caller, way, starts[name], STEP)
            seen.held[name].append(held)
            starts[name] = max(20.0, max(held, starts[name] / 2) / STEP**3)
    rate = median(seen.held["masked"]) / 2
    for _ in range(DELAY_ROUNDS):
        for name, way in by.items():
            await bench.quiet()
            seen.waits[name] += await delays(caller, way, max(5.0, rate))
    return seen


async def measure(folder: Path) -> None:
    async with running_bench(folder) as bench:
        carrier = await far_end(bench)
        try:
            lines = await open_sessions(bench)
            usual = ways(bench)
            by = {
                "static": usual.static,
                "routed": usual.routed,
                "masked": Way("masked", bench.switch, "", bench.switch_pid, bench.gateway_pid),
            }
            seen = await measure_all(bench, CrowdCaller(bench, write_dials(folder, lines)), by)
        finally:
            await carrier.stop()
    report(seen)


def report(seen: Measured) -> None:
    cps = {name: median(held) for name, held in seen.held.items()}
    spent = {name: middle(costs) for name, costs in seen.costs.items()}
    waits = {name: sorted(found) for name, found in seen.waits.items()}

    def added(part: float, over: str) -> float:
        return percentile(waits["masked"], part) - percentile(waits[over], part)

    def cpu_ratio(over: str) -> float:
        both = zip(seen.costs["masked"], seen.costs[over], strict=True)
        return median(masked.total / other.total for masked, other in both)

    write_result(
        "masked",
        figures={
            "masked_cps": cps["masked"],
            "added_p50_ms": added(0.5, "static"),
            "added_p99_ms": added(0.99, "static"),
            "over_routed_p50_ms": added(0.5, "routed"),
            "over_routed_p99_ms": added(0.99, "routed"),
            "asterisk_ms_per_call": spent["masked"].asterisk,
            "python_ms_per_call": spent["masked"].python,
            "sessions": SESSIONS,
            "delay_measured_at_cps": cps["masked"] / 2,
        },
        baseline={
            "static_cps": cps["static"],
            "routed_cps": cps["routed"],
            "static_asterisk_ms_per_call": spent["static"].asterisk,
            "routed_asterisk_ms_per_call": spent["routed"].asterisk,
            "routed_python_ms_per_call": spent["routed"].python,
            "static_invite_to_180_p50_ms": percentile(waits["static"], 0.5),
            "routed_invite_to_180_p50_ms": percentile(waits["routed"], 0.5),
        },
        ratio={
            "masked_vs_static": cps["masked"] / cps["static"],
            "masked_vs_routed": cps["masked"] / cps["routed"],
            "cpu_masked_vs_static": cpu_ratio("static"),
            "cpu_masked_vs_routed": cpu_ratio("routed"),
        },
    )


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="patchbay-bench-") as folder:
        uvloop.run(measure(Path(folder)))


if __name__ == "__main__":
    main()
