"""The copy in the switch, asked first and asked second, against a static ``Dial``: ``python -m bench.copy``.

Four switches with the product's configuration, each with a few lines changed, are loaded in turns: one dials
at once; one looks into its database before it asks anybody; one finds no gateway and then looks; one dials
at once with the hooks that keep texts inside a call from crossing it. For comparison, the routed call of
``bench-calls`` in the same run. CPU is user and system time of the processes over calls at a steady rate;
calls/s is the last step before one failed call or a burst of retransmissions.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from statistics import median

import uvloop

from bench.calls import Caller, Cost, Way, far_end, limit, tell, ways
from bench.report import write_result
from bench.rig import Bench, cpu_of, running_bench
from dialplan.ami.client import AmiAddress, AmiLink, LinkDown, LinkSettings, LinkUp
from dialplan.ami.message import Message
from gateway.copied_doors import Outside
from gateway.runtime.plan import SipPlan
from gateway.runtime.ports import free_port, free_sip_port, free_udp_range
from gateway.runtime.switch import EmbeddedSwitch
from gateway.runtime.switch_config import SwitchPorts
from gateway.switch_copy import SwitchCopyWriter
from proxy_pool.core.session import Model, Participant, Session, SessionId, Terms
from telephony.ids import TenantId
from telephony.numbers import E164

CALLER, FAR = E164("+12025550111"), E164("+12025550188")
DIALS, SHOWN = E164("+12025550160"), E164("+12025550161")
RATE, CALLS, ROUNDS = 100, 300, 5
_STATIC = "Dial(PJSIP/${EXTEN}@carrier,30)"
_QUIET = "Set(FRAME_DROP(RX)=TEXT_DATA)\n same => n,Dial(PJSIP/${EXTEN}@carrier,30,b(quiet^s^1))"
_ASK = "AGI(agi://{{ agi_host }}:{{ agi_port }}/route,${FILTER(\\x20-\\x7e,${PJSIP_HEADER(read,From)}):-400})"


class Switches:
    """More switches beside the bench's own, on ports above theirs."""

    def __init__(self, bench: Bench, exits: AsyncExitStack) -> None:
        self._bench = bench
        self._exits = exits
        self._above = bench.plain.spec.ports.rtp_last + 60

    async def start(self, name: str, old: str, new: str, *, texts: bool = False) -> EmbeddedSwitch:
        """The plain switch with this text of its dialplan changed, and no gateway where it would ask."""
        used, tools = self._bench.plain.spec, self._bench.stack.tools
        assert tools is not None
        base = self._bench.folder / name
        templates = shutil.copytree(used.templates, base / "asterisk-config")
        dialplan = templates / "extensions.conf.j2"
        text = dialplan.read_text()
        if old not in text:
            raise ValueError("the dialplan's template has changed")
        dialplan.write_text(text.replace(old, new))
        first, last = free_udp_range(1200, above=self._above)
        self._above = last
        ports = SwitchPorts(ami=free_port(), sip=free_sip_port(), rtp_first=first, rtp_last=last)
        spec = replace(
            used,
            base=base / "state",
            ports=ports,
            agi=("127.0.0.1", free_port()),
            templates=templates,
            plan=replace(used.plan, sip=SipPlan(texts=texts)),
        )
        switch = EmbeddedSwitch(tools, spec)
        self._exits.push_async_callback(switch.stop)
        await switch.start()
        return switch


async def copied(switch: EmbeddedSwitch) -> None:
    """The caller's door is in the copy of this switch."""
    now = time.time()
    people = (Participant(0, CALLER, DIALS), Participant(1, FAR, SHOWN))
    terms = Terms(expires_at=now + 36_000)
    session = Session(
        SessionId("ses_bench"), TenantId("tnt_bench"), Model.PAIR, terms, people, now, now + 36_000
    )

    async def up(link: LinkUp) -> None:
        """Nothing to do."""

    def ignore(said: Message | LinkDown) -> None:
        """Nothing to do."""

    user, secret = switch.address.users["recording"]
    link = AmiLink(
        "recording",
        AmiAddress("127.0.0.1", switch.address.ami_port, user, secret),
        rng=lambda: 0.5,
        on_event=ignore,
        on_up=up,
        on_down=ignore,
        settings=LinkSettings(events="system", boot_probe=False),
    )
    await link.start()
    await link.wait_up(10)
    copy = SwitchCopyWriter(link, Outside(lambda number: "carrier"), time.time)
    copy.start()
    copy.keep(session)
    await asyncio.wait_for(copy.settled(), 10)
    await copy.stop()
    await link.stop()


async def cost(bench: Bench, caller: Caller, way: Way) -> Cost:
    """CPU of one call at the steady rate."""
    await _quiet(bench, way)
    switch, gateway = cpu_of(way.switch_pid), cpu_of(way.gateway_pid)
    result, _, _ = await caller.load(way, RATE, CALLS)
    await _quiet(bench, way)
    if not result.clean:
        raise RuntimeError(f"{way.name}: {result.failed} of {result.created} calls failed: {result.errors}")
    spent = Cost(
        (cpu_of(way.switch_pid) - switch).total * 1000 / CALLS,
        (cpu_of(way.gateway_pid) - gateway).total * 1000 / CALLS,
    )
    tell(f"{way.name}: asterisk {spent.asterisk:.2f} ms, python {spent.python:.2f} ms a call")
    return spent


async def _quiet(bench: Bench, way: Way) -> None:
    """Until neither the bench's servers nor this switch do anything more."""
    await bench.quiet()
    while True:
        before = cpu_of(way.switch_pid).total
        await asyncio.sleep(0.3)
        if cpu_of(way.switch_pid).total - before < 0.015:
            return


async def measure(folder: Path) -> None:
    async with running_bench(folder) as bench, AsyncExitStack() as exits:
        more = Switches(bench, exits)
        first = await more.start("first", _ASK, "NoOp()")
        second = await more.start("second", _ASK, _ASK)
        quiet = await more.start("quiet", _STATIC, _QUIET, texts=True)
        for switch in (first, second):
            await copied(switch)
        carrier = await far_end(bench)
        exits.push_async_callback(carrier.stop)
        usual, gateway = ways(bench), bench.gateway_pid
        by = {
            "static": usual.static,
            "first": Way("copy first", first, DIALS.reveal(), _pid(first), gateway),
            "second": Way("copy second", second, DIALS.reveal(), _pid(second), gateway),
            "quiet": Way("static, texts kept in", quiet, usual.static.number, _pid(quiet), gateway),
            "routed": usual.routed,
        }
        caller = Caller(bench)
        costs = await _in_turns(by, lambda way: cost(bench, caller, way))
        held = {name: await limit(bench, caller, by[name], 120.0) for name in ("static", "first", "second")}
    report(costs, held)


def _pid(switch: EmbeddedSwitch) -> int:
    pid = switch.child.state.pid
    assert pid is not None, "the switch runs"
    return pid


async def _in_turns(by: dict[str, Way], measured: Callable[[Way], Awaitable[Cost]]) -> dict[str, list[Cost]]:
    """Each way once a round. The first round is not counted: fresh processes pay for what is done once."""
    costs: dict[str, list[Cost]] = {name: [] for name in by}
    for turn in range(ROUNDS + 1):
        for name, way in by.items():
            spent = await measured(way)
            if turn:
                costs[name].append(spent)
    return costs


def report(costs: dict[str, list[Cost]], held: dict[str, float]) -> None:
    static = [spent.total for spent in costs["static"]]
    write_result(
        "copy",
        figures={
            **{f"{name}_asterisk_ms_per_call": median(c.asterisk for c in costs[name]) for name in costs},
            "routed_python_ms_per_call": median(c.python for c in costs["routed"]),
            **{f"{name}_cps": rate for name, rate in held.items()},
        },
        baseline={"static_asterisk_ms_per_call": median(static)},
        ratio={
            f"{name}_vs_static": median(c.total / s for c, s in zip(costs[name], static, strict=True))
            for name in costs
            if name != "static"
        },
    )


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="patchbay-bench-") as folder:
        uvloop.run(measure(Path(folder)))


if __name__ == "__main__":
    main()
