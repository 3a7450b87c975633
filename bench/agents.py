"""Agents' sound: round trips, cost and creep of the media port: ``python -m bench.agents``.

A caller's frames, each with its number in it, go through the real switch to an echo and back; the time is
taken in the caller's RTP. Three echoes in turns at each number of calls: the switch's own ``Echo()``, a
bare echo behind ``chan_websocket``, and an agent's behind the media port. What is added is the port's less
the bare echo's, percentile by percentile, in the same run on the same machine.

Callers speak in phrases with pauses, as people do: what piled up while the machine was busy can be made up
for in a pause, by whoever does that.

CPU is user and system time of the port's process over calls and seconds, the agent's echo included.
Barge-in is from the flush to the last packet with the agent's old words. Creep is how much more waits at
the end than at the begin for a sender of 50.1 frames a second with pauses.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import uvloop

from bench.calls import percentile
from bench.echo import Callers, FarEnd, Trip, far_end
from bench.report import write_result
from bench.rig import CARRIER_IP, cpu_of, free_settings
from gateway.config import Settings
from gateway.runtime.plan import SwitchPlan, Trunk
from gateway.runtime.ports import free_port, free_sip_port, free_udp_range
from gateway.runtime.programs import provision
from gateway.runtime.switch import EmbeddedSwitch, SwitchSpec
from gateway.runtime.switch_config import TEMPLATES, SwitchPorts
from gateway.trial.sip_phone import SipPhone

_DIALPLAN = """\
[from-trunk]
exten => _+1555.,1,Set(PB_TO=${PJSIP_HEADER(read,X-Dial)})
 same => n,Dial(${PB_TO},20)
 same => n,Hangup(${HANGUPCAUSE})
exten => _+1666.,1,Answer()
 same => n,Echo()
[from-phone]
"""
_BARE = """
[bare]
type = websocket_client
connection_type = per_call_config
uri = ws://127.0.0.1:{port}/media
protocols = media
tls_enabled = no
"""
ECHO_APP = "+16660001000"
_PORTS_A_CALL = 4


@dataclass(slots=True)
class Round:
    """What one way did at one number of calls."""

    rtts: list[float] = field(default_factory=list)
    holes_per_1000: float = 0.0
    asterisk_percent: float = 0.0
    python_percent: float = 0.0
    memory_kb: float = 0.0

    def p(self, share: float) -> float:
        return float(percentile(self.rtts, share)) if self.rtts else float("nan")


@dataclass(slots=True)
class Rig:
    """The switch, the callers' phone and two far ends."""

    switch: EmbeddedSwitch
    phone: SipPhone
    bare: FarEnd
    port: FarEnd

    @property
    def sip(self) -> tuple[str, int]:
        return self.switch.address.sip_host, self.switch.address.sip_port

    @property
    def switch_cpu(self) -> float:
        pid = self.switch.child.state.pid
        assert pid is not None
        return cpu_of(pid).total

    async def dialled(self, way: str, calls: int) -> tuple[list[str], str]:
        """What each call asks the switch to dial, and the number that leads there."""
        if way == "echo_app":
            return [""] * calls, ECHO_APP
        if way == "bare_ws":
            return ["WebSocket/bare/c(ulaw)f(json)"] * calls, "+15550001000"
        return list(await self.port.ask(f"expect echo {calls}")), "+15550001000"


@asynccontextmanager
async def running(folder: Path, most: int) -> AsyncIterator[Rig]:
    settings: Settings = free_settings(folder / "settings")
    tools = await asyncio.to_thread(provision, settings, lambda _: None)
    carrier_port = free_sip_port(CARRIER_IP)
    async with far_end("bare") as bare, far_end("port") as port:
        templates = folder / "asterisk-config"
        shutil.copytree(TEMPLATES, templates)
        (templates / "extensions.conf.j2").write_text(_DIALPLAN)
        with (templates / "websocket_client.conf.j2").open("a") as file:
            file.write(_BARE.format(port=bare.port))
        first, last = free_udp_range(max(100, most * _PORTS_A_CALL))
        spec = SwitchSpec(
            plan=SwitchPlan((Trunk("carrier", CARRIER_IP, carrier_port, identify=(CARRIER_IP,)),)),
            base=folder / "switch",
            ports=SwitchPorts(ami=free_port(), sip=free_sip_port(), rtp_first=first, rtp_last=last),
            agi=("127.0.0.1", free_port()),
            recordings=folder / "recordings",
            sounds=folder / "sounds",
            templates=templates,
            media=("127.0.0.1", port.port),
            restart=False,
        )
        switch = EmbeddedSwitch(tools, spec)
        try:
            await switch.start()
            async with await SipPhone.open(CARRIER_IP, carrier_port, name="carrier") as phone:
                yield Rig(switch, phone, bare, port)
        finally:
            await switch.stop()


async def one_round(rig: Rig, way: str, calls: int, seconds: float) -> Round:
    """Some calls at once, one way, for a while."""
    far = {"bare_ws": rig.bare, "port": rig.port}.get(way)
    dialled, number = await rig.dialled(way, calls)
    memory = far.memory_kb if far is not None else 0
    callers = Callers(rig.phone, rig.sip)
    try:
        await callers.call(dialled, number)
        switch, python = rig.switch_cpu, far.cpu.total if far is not None else 0.0
        await callers.measure(seconds)
        spent = seconds + 2.0
        done = Round(
            rtts=sorted(rtt for trip in callers.trips for rtt in trip.rtts),
            asterisk_percent=(rig.switch_cpu - switch) / spent / calls * 100,
            python_percent=(far.cpu.total - python) / spent / calls * 100 if far is not None else 0.0,
            memory_kb=(far.memory_kb - memory) / calls if far is not None else 0.0,
            holes_per_1000=holes(callers.trips),
        )
    finally:
        await callers.end()
    await asyncio.sleep(1.0)
    return done


def holes(trips: Sequence[Trip]) -> float:
    """Frames that were missing in what callers heard, of a thousand."""
    return 1000 * sum(trip.holes for trip in trips) / max(1, sum(trip.packets for trip in trips))


async def barge_in(rig: Rig, calls: int, seconds: float) -> list[float]:
    """From each flush to the last packet with the old words, in ms; 0 where there was none."""
    dialled = list(await rig.port.ask(f"expect talker {calls}"))
    await rig.port.ask("tell")
    callers = Callers(rig.phone, rig.sip)
    try:
        trips = await callers.call(dialled)
        for trip in trips:
            trip.keeps = True
        await asyncio.sleep(seconds)
        told = await rig.port.ask("tell")
    finally:
        await callers.end()
    found = []
    flushed = [turns for turns in told["flushed"] if turns]
    for trip, turns in zip(trips, flushed, strict=True):
        for turn, at in enumerate(turns[:-1]):
            last = max((when for when, number in trip.seen if number == turn), default=at)
            found.append(max(0.0, (last - at) * 1000))
    return sorted(found)


async def creep(rig: Rig, seconds: float) -> float:
    """How many frames more wait at the end than at the begin, at their least in ten seconds each."""
    dialled = list(await rig.port.ask("expect fast 1"))
    callers = Callers(rig.phone, rig.sip)
    try:
        await callers.call(dialled)
        await asyncio.sleep(seconds)
        told = await rig.port.ask("tell")
    finally:
        await callers.end()
    (levels,) = [levels for levels in told["levels"] if levels]
    tens = max(1, min(500, len(levels) // 4))
    return float(min(levels[-tens:]) - min(levels[tens : 2 * tens])) / 20


async def measure(folder: Path, counts: Sequence[int], seconds: float, creep_s: float) -> None:
    rounds: dict[tuple[str, int], Round] = {}
    async with running(folder, max(counts)) as rig:
        await one_round(rig, "port", min(10, max(counts)), 1.0)  # what is loaded once is no call's memory
        for calls in counts:
            for way in ("echo_app", "bare_ws", "port"):
                rounds[way, calls] = done = await one_round(rig, way, calls, seconds)
                print(
                    f"{way:<9} {calls:>4} calls: p50 {done.p(0.5):6.1f}  p99 {done.p(0.99):6.1f} ms,"
                    f" {done.holes_per_1000:5.2f} ‰ missing, Asterisk {done.asterisk_percent:.2f} %,"
                    f" Python {done.python_percent:.2f} %",
                    flush=True,
                )
        late = (await rig.port.ask("tell"))["worst_ms"]
        cut = await barge_in(rig, min(20, max(counts)), 10.0)
        crept = await creep(rig, creep_s)
    report(rounds, counts, cut, {"creep_frames": crept, "creep_s": creep_s, "worst_beat_late_ms": late})


def report(
    rounds: dict[tuple[str, int], Round],
    counts: Sequence[int],
    cut: list[float],
    more: dict[str, float],
) -> None:
    """Figures at the most calls; those at fewer have the number in their names."""
    most = counts[-1]
    ours, bare, app = (rounds[way, most] for way in ("port", "bare_ws", "echo_app"))
    figures: dict[str, float | int | str] = {
        "calls": most,
        "added_p50_ms": ours.p(0.5) - bare.p(0.5),
        "added_p99_ms": ours.p(0.99) - bare.p(0.99),
        "python_core_percent_per_call": ours.python_percent,
        "asterisk_core_percent_per_call": ours.asterisk_percent,
        "memory_kb_per_call": ours.memory_kb,
        "missing_per_1000": ours.holes_per_1000,
        "barge_in_p50_ms": percentile(cut, 0.5),
        "barge_in_p95_ms": percentile(cut, 0.95),
        **more,
    }
    baseline: dict[str, float | int | str] = {
        "echo_app_p50_ms": app.p(0.5),
        "echo_app_p99_ms": app.p(0.99),
        "bare_ws_p50_ms": bare.p(0.5),
        "bare_ws_p99_ms": bare.p(0.99),
        "bare_ws_python_core_percent_per_call": bare.python_percent,
        "bare_ws_asterisk_core_percent_per_call": bare.asterisk_percent,
        "bare_ws_missing_per_1000": bare.holes_per_1000,
    }
    for calls in counts[:-1]:
        for share, name in ((0.5, "p50"), (0.99, "p99")):
            few = rounds["bare_ws", calls].p(share)
            figures[f"added_{name}_ms_at_{calls}"] = rounds["port", calls].p(share) - few
            baseline[f"bare_ws_{name}_ms_at_{calls}"] = few
    write_result(
        "agents",
        figures,
        baseline,
        {"p50_vs_bare_ws": ours.p(0.5) / bare.p(0.5), "p99_vs_bare_ws": ours.p(0.99) / bare.p(0.99)},
    )


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--calls", default="1,50,150", help="numbers of calls at once")
    asked.add_argument("--seconds", type=float, default=20.0, help="how long each round is measured")
    asked.add_argument("--creep-seconds", type=float, default=600.0)
    given = asked.parse_args()
    counts = [int(part) for part in given.calls.split(",")]
    with tempfile.TemporaryDirectory(prefix="patchbay-bench-") as folder:
        uvloop.run(measure(Path(folder), counts, given.seconds, given.creep_seconds))


if __name__ == "__main__":
    main()
