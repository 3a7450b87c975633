"""A call through the whole gateway against a static ``Dial``: ``python -m bench.calls``.

An inbound call to an owned number whose route leads to another number, carried by SIPp on both sides. The
routed call pays for everything: the FastAGI question, the director, SQLite, AMI events, logs, and in one
variant a webhook per event to a local receiver. The baseline is a plain ``Dial`` in the same Asterisk with
the same configuration to which nobody is attached. Both are loaded in turns in the same run; figures are
medians of rounds.

CPU is user and system time of the processes (Asterisk; the gateway) over calls at a steady rate, until
both are quiet again. The added delay is the time from INVITE to 180 of a routed call less that of a static
one: the far end rings at once, so the difference is what happens before the INVITE goes out.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import uvloop

from bench.report import write_result
from bench.rig import CARRIER_IP, OWN, STATIC, Bench, cpu_of, running_bench, webhook_receiver
from gateway.runtime.ports import free_port
from gateway.runtime.switch import EmbeddedSwitch
from gateway.trial.sipp import Sipp, SippResult, SippRun
from gateway.trial.sipp_scenario import Called, Calling, Expect, Scenario, called, calling

RING_MS = 200
TALK_MS = 500
STEADY_CPS = 100
STEADY_CALLS = 400
CPU_ROUNDS = 5
HOOK_ROUNDS = 3
RAMP_ROUNDS = 2
STEP_SECONDS = 3.0
STEP = 1.15
DELAY_SECONDS = 5.0
DELAY_ROUNDS = 3
MOST_RETRANSMISSIONS = 0.02
"""Per call; more in one step is a burst: the switch does not keep up with its socket."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way for a call: which switch, which number, and the processes that pay for it."""

    name: str
    switch: EmbeddedSwitch
    number: str
    switch_pid: int
    gateway_pid: int


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU of one call in ms."""

    asterisk: float
    python: float

    @property
    def total(self) -> float:
        return self.asterisk + self.python


class Caller:
    """Loads the switches from the trunk's address, one SIPp a run."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._runs = 0
        self._media = bench.media(1)

    def scenario(self) -> Scenario:
        """What each call does."""
        return ringing_caller()

    def options(self, way: Way) -> list[str]:
        """More of SIPp's options."""
        return []

    async def load(self, way: Way, per_second: float, calls: int) -> tuple[SippResult, Path, float]:
        """Place these calls at this rate; what was counted, the run's folder, and the seconds it took."""
        self._runs += 1
        folder = self._bench.folder / f"load-{self._runs}"
        address = way.switch.address
        run = SippRun(
            scenario=self.scenario(),
            local=(CARRIER_IP, free_port(CARRIER_IP)),
            rtp_ports=self._media,
            remote=(address.sip_host, address.sip_port),
            number=way.number,
            caller="+12025550111",
            calls=calls,
            per_second=per_second,
            at_once=5000,
        )
        command = [*self._bench.sipp, "-trace_rtt", "-rtt_freq", "1", *self.options(way)]
        started = time.monotonic()
        sipp = await Sipp.start(command, run, folder)
        result = await sipp.finished(calls / per_second + 60)
        return result, folder, time.monotonic() - started


def ringing_caller() -> Scenario:
    """Calls, notes when it rings, talks a while, hangs up."""
    usual = calling("caller", Calling(talk_ms=TALK_MS))
    steps = tuple(
        replace(step, timed=step.response == 180) if isinstance(step, Expect) else step
        for step in usual.steps
    )
    return replace(usual, steps=steps)


async def far_end(bench: Bench) -> Sipp:
    """SIPp as the carrier: rings at once, answers soon."""
    run = SippRun(
        scenario=called("carrier", Called(final=200, final_after_ms=RING_MS)),
        local=(CARRIER_IP, bench.carrier_port),
        rtp_ports=bench.media(0),
        at_once=5000,
    )
    return await Sipp.start(bench.sipp, run, bench.folder / "carrier")


async def cost(bench: Bench, caller: Caller, way: Way, per_second: float = STEADY_CPS) -> Cost:
    """CPU of one call at a steady rate."""
    await bench.quiet()
    switch, gateway = cpu_of(way.switch_pid), cpu_of(way.gateway_pid)
    result, _, _ = await caller.load(way, per_second, STEADY_CALLS)
    await bench.quiet()
    if not result.clean:
        raise RuntimeError(f"{way.name}: {result.failed} of {result.created} calls failed: {result.errors}")
    spent = Cost(
        (cpu_of(way.switch_pid) - switch).total * 1000 / STEADY_CALLS,
        (cpu_of(way.gateway_pid) - gateway).total * 1000 / STEADY_CALLS,
    )
    tell(f"{way.name}: asterisk {spent.asterisk:.2f} ms, python {spent.python:.2f} ms a call")
    return spent


async def limit(bench: Bench, caller: Caller, way: Way, start: float, step: float = STEP) -> float:
    """Calls per second of the last step before one failed call or a burst of retransmissions."""
    rate, held = start, 0.0
    while True:
        await bench.quiet()
        calls = round(rate * STEP_SECONDS)
        result, _, seconds = await caller.load(way, rate, calls)
        kept_up = seconds < STEP_SECONDS * 1.25 + (RING_MS + TALK_MS) / 1000 + 1.0
        fine = result.clean and kept_up and result.retransmissions <= MOST_RETRANSMISSIONS * calls
        tell(
            f"{way.name} at {rate:.0f}/s: {'held' if fine else 'failed'} ({result.failed} failed, "
            f"{result.retransmissions} retransmissions, {seconds:.1f} s)"
        )
        if not fine:
            return held
        held, rate = rate, rate * step


async def delays(caller: Caller, way: Way, per_second: float) -> list[float]:
    """Milliseconds from INVITE to 180, of every call."""
    _, folder, _ = await caller.load(way, per_second, round(per_second * DELAY_SECONDS))
    return read_delays(next(folder.glob("*_rtt.csv")).read_text())


def read_delays(table: str) -> list[float]:
    """SIPp's response times: lines of moment, milliseconds, name."""
    rows = (line.split(";") for line in table.splitlines()[1:])
    return sorted(float(row[1]) for row in rows if len(row) >= 2)


def percentile(ordered: Sequence[float], part: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


def tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@dataclass(slots=True)
class Ways:
    static: Way
    attached: Way
    routed: Way


def ways(bench: Bench) -> Ways:
    product, gateway = bench.switch, bench.gateway_pid
    return Ways(
        Way("static", bench.plain, STATIC, bench.plain_pid, gateway),
        Way("static, gateway attached", product, STATIC, bench.switch_pid, gateway),
        Way("routed", product, OWN, bench.switch_pid, gateway),
    )


def middle(costs: Sequence[Cost]) -> Cost:
    return Cost(median(c.asterisk for c in costs), median(c.python for c in costs))


async def measure_costs(bench: Bench, caller: Caller, by: Ways) -> dict[str, list[Cost]]:
    """CPU per call of every way, in turns."""
    costs: dict[str, list[Cost]] = {"static": [], "attached": [], "routed": [], "hooked": []}
    for _ in range(2):  # the first calls through fresh processes pay for what is done once
        await caller.load(by.static, STEADY_CPS, 150)
        await caller.load(by.routed, STEADY_CPS, 150)
    for turn in range(CPU_ROUNDS):
        costs["static"].append(await cost(bench, caller, by.static))
        costs["routed"].append(await cost(bench, caller, by.routed))
        if turn < 2:
            costs["attached"].append(await cost(bench, caller, by.attached))
    async with webhook_receiver() as url:
        hook = await bench.ask("POST", "/api/v1/webhooks", {"url": url, "events": ["*"]})
        for _ in range(HOOK_ROUNDS):
            costs["hooked"].append(await cost(bench, caller, replace(by.routed, name="routed, webhooks")))
        await bench.ask("PATCH", f"/api/v1/webhooks/{hook['id']}", {"active": False})
    return costs


async def measure_limits(bench: Bench, caller: Caller, by: Ways) -> tuple[float, float]:
    """Calls per second to the first failure: static, routed."""
    found: dict[str, list[float]] = {"static": [], "routed": []}
    starts = {"static": 150.0, "routed": 90.0}
    for _ in range(RAMP_ROUNDS):
        for name, way in (("static", by.static), ("routed", by.routed)):
            held = await limit(bench, caller, way, starts[name])
            found[name].append(held)
            starts[name] = max(40.0, held / STEP**2)
    return median(found["static"]), median(found["routed"])


async def measure_delays(
    bench: Bench, caller: Caller, by: Ways, rate: float
) -> tuple[list[float], list[float]]:
    """INVITE to 180 in ms, ordered: static, routed."""
    static: list[float] = []
    routed: list[float] = []
    for _ in range(DELAY_ROUNDS):
        await bench.quiet()
        static += await delays(caller, by.static, rate)
        await bench.quiet()
        routed += await delays(caller, by.routed, rate)
    return sorted(static), sorted(routed)


async def measure(folder: Path) -> None:
    async with running_bench(folder) as bench:
        carrier = await far_end(bench)
        try:
            caller, by = Caller(bench), ways(bench)
            costs = await measure_costs(bench, caller, by)
            static_cps, routed_cps = await measure_limits(bench, caller, by)
            waits = await measure_delays(bench, caller, by, routed_cps / 2)
        finally:
            await carrier.stop()
    report(costs, static_cps, routed_cps, waits)


def report(
    costs: dict[str, list[Cost]],
    static_cps: float,
    routed_cps: float,
    waits: tuple[list[float], list[float]],
) -> None:
    static, attached, routed, hooked = (middle(costs[k]) for k in ("static", "attached", "routed", "hooked"))
    added = {part: percentile(waits[1], part) - percentile(waits[0], part) for part in (0.5, 0.99)}
    write_result(
        "calls",
        figures={
            "static_cps": static_cps,
            "routed_cps": routed_cps,
            "added_p50_ms": added[0.5],
            "added_p99_ms": added[0.99],
            "asterisk_ms_per_call": routed.asterisk,
            "python_ms_per_call": routed.python,
            "webhooks_asterisk_ms_per_call": hooked.asterisk,
            "webhooks_python_ms_per_call": hooked.python,
            "delay_measured_at_cps": routed_cps / 2,
        },
        baseline={
            "static_asterisk_ms_per_call": static.asterisk,
            "static_attached_asterisk_ms_per_call": attached.asterisk,
            "static_attached_python_ms_per_call": attached.python,
            "static_invite_to_180_p50_ms": percentile(waits[0], 0.5),
            "static_invite_to_180_p99_ms": percentile(waits[0], 0.99),
        },
        ratio={
            "cpu_vs_static": median(
                r.total / s.asterisk for r, s in zip(costs["routed"], costs["static"], strict=True)
            ),
            "cpu_vs_static_with_webhooks": hooked.total / static.asterisk,
            "cps_vs_static": routed_cps / static_cps,
        },
    )


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="patchbay-bench-") as folder:
        uvloop.run(measure(Path(folder)))


if __name__ == "__main__":
    main()
