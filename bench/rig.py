"""What benchmarks of whole calls run on: the product on free loopback ports, a plain switch, SIPp.

The product's switch and the plain one are the same Asterisk with the same configuration, but for a few
lines of dialplan: numbers starting +1555 are dialled at once (``Dial``, nobody asked). Nobody is attached
to the plain switch, so it does what a switch without any gateway does.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp

from gateway.bootstrap import ensure_first_key
from gateway.clocks import SystemClock, new_id, random_bytes
from gateway.config import Settings
from gateway.runtime.children import Child
from gateway.runtime.ports import free_port, free_ports, free_sip_port, free_udp_range
from gateway.runtime.programs import provision
from gateway.runtime.redis import EmbeddedRedis
from gateway.runtime.switch import EmbeddedSwitch, SwitchSpec, spec_from_settings
from gateway.runtime.switch_config import TEMPLATES, SwitchPorts
from gateway.stack import Stack, base_url

OWN = "+12025550100"
"""The number the product's tenant owns; its route leads to ``FAR``."""
FAR = "+12025550188"
STATIC = "+15550001000"
"""Dialled at once by both switches."""
CARRIER_IP = "127.0.0.2"
_RTP_PORTS = (2400, 1600, 1200)
"""Media ports of one switch, four a call: as many in a row as can be had."""
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_STATIC_LINES = "exten => _+1555.,1,Dial(PJSIP/${EXTEN}@carrier,30)\n same => n,Hangup(${HANGUPCAUSE})\n"


@dataclass(frozen=True, slots=True)
class Cpu:
    """CPU a process used, in seconds: in its own code and in the kernel for it."""

    user: float
    system: float

    @property
    def total(self) -> float:
        return self.user + self.system

    def __sub__(self, other: Cpu) -> Cpu:
        return Cpu(self.user - other.user, self.system - other.system)


def cpu_of(pid: int) -> Cpu:
    """All threads of a process, ended ones too (``utime`` and ``stime``, proc(5)); resolution 10 ms."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return Cpu(int(fields[11]) * _TICK_S, int(fields[12]) * _TICK_S)


class BenchStack(Stack):
    """The product with another folder of templates for its switch."""

    templates: Path = TEMPLATES

    async def start(self) -> None:
        settings = self.settings
        self.tools = await asyncio.to_thread(provision, settings, self._say)
        self.redis = EmbeddedRedis(self.tools, settings.var_dir / "redis", on_change=self._tell)
        await self.redis.start()
        spec = spec_from_settings(settings, self.plan)
        self.switch = EmbeddedSwitch(self.tools, with_templates(spec, self.templates), on_change=self._tell)
        await self.switch.start()
        self.gateway = Child(self._gateway_spec(), on_change=self._tell)
        await self.gateway.start()


def with_templates(spec: SwitchSpec, templates: Path) -> SwitchSpec:
    """The same switch, never restarted: a benchmark that crashes it has failed."""
    return replace(spec, templates=templates, restart=False)


def static_templates(folder: Path, lines: str = _STATIC_LINES) -> Path:
    """The product's switch configuration, and before the question: some numbers are dialled at once."""
    shutil.copytree(TEMPLATES, folder)
    dialplan = folder / "extensions.conf.j2"
    text = dialplan.read_text()
    text, times = re.subn(r"^\[\{\{ context \}\}\]\n", lambda mark: mark[0] + lines, text, flags=re.M)
    if times != 1:
        raise ValueError("the dialplan's template has no context of callers to add to")
    dialplan.write_text(text)
    return folder


@dataclass(slots=True)
class Bench:
    """The running product, the plain switch, and a client of the API."""

    stack: Stack
    plain: EmbeddedSwitch
    http: aiohttp.ClientSession
    carrier_port: int
    folder: Path

    def media(self, end: int) -> tuple[int, int]:
        """Media ports of far end 0 or 1, clear of both switches'."""
        first, _ = free_udp_range(40, CARRIER_IP, above=self.plain.spec.ports.rtp_last)
        return first + 20 * end, first + 20 * end + 19

    @property
    def sipp(self) -> list[str]:
        assert self.stack.tools is not None
        return self.stack.tools.command("sipp")

    @property
    def switch(self) -> EmbeddedSwitch:
        assert self.stack.switch is not None
        return self.stack.switch

    @property
    def switch_pid(self) -> int:
        return _pid(self.switch.child)

    @property
    def plain_pid(self) -> int:
        return _pid(self.plain.child)

    @property
    def gateway_pid(self) -> int:
        assert self.stack.gateway is not None
        return _pid(self.stack.gateway)

    async def ask(self, method: str, path: str, body: object = None) -> Any:
        """The ``data`` of a request that must succeed."""
        url = base_url(self.stack.settings) + path
        async with self.http.request(method, url, json=body) as response:
            answer = await response.json()
            if response.status >= 300:
                raise RuntimeError(f"{method} {path} answered {response.status}: {answer}")
            return answer["data"]

    async def quiet(self, within_s: float = 20.0) -> None:
        """Wait until switch and gateway do nothing more: what calls set going is done."""
        pids = (self.switch_pid, self.plain_pid, self.gateway_pid)
        ends = time.monotonic() + within_s
        while time.monotonic() < ends:
            before = [cpu_of(pid).total for pid in pids]
            await asyncio.sleep(0.25)
            if all(cpu_of(pid).total - was < 1.5 * _TICK_S for pid, was in zip(pids, before, strict=True)):
                return
        raise TimeoutError(f"the servers were still busy after {within_s:g} s")


def _pid(child: Child) -> int:
    pid = child.state.pid
    assert pid is not None, "the child runs"
    return pid


def free_settings(folder: Path) -> Settings:
    """Settings on ports nobody uses, limits out of the way, state in this folder."""
    ami, agi, media, api = free_ports(4)
    first, last = _media_ports(0)
    passed = {k: v for k, v in os.environ.items() if k in ("HOME", "XDG_CACHE_HOME", "PATCHBAY_RUNTIME")}
    return Settings.from_env(
        passed
        | {
            "PATCHBAY_VAR_DIR": str(folder),
            "PATCHBAY_AMI_PORT": str(ami),
            "PATCHBAY_AGI_PORT": str(agi),
            "PATCHBAY_MEDIA_PORT": str(media),
            "PATCHBAY_LIVEKIT": "off",
            "PATCHBAY_API_PORT": str(api),
            "PATCHBAY_SIP_PORT": str(free_sip_port()),
            "PATCHBAY_RTP_PORT_MIN": str(first),
            "PATCHBAY_RTP_PORT_MAX": str(last),
            "PATCHBAY_WEBHOOK_ALLOW_PRIVATE": "1",
            "PATCHBAY_API_RATE_PER_MINUTE": "1000000",
            "PATCHBAY_CALL_RATE_PER_MINUTE": "1000000",
        }
    )


def _media_ports(above: int) -> tuple[int, int]:
    for size in _RTP_PORTS[:-1]:
        try:
            return free_udp_range(size, above=above)
        except OSError:
            continue
    return free_udp_range(_RTP_PORTS[-1], above=above)


@asynccontextmanager
async def running_bench(folder: Path) -> AsyncIterator[Bench]:
    """Start the product and the plain switch, own a number that leads to another; end it all afterwards."""
    settings = free_settings(folder / "product")
    carrier_port = free_port()
    key = await ensure_first_key(settings, SystemClock(), new_id("key"), random_bytes(32))
    stack = BenchStack(settings, lambda text: print(text, file=sys.stderr), trunk_port=carrier_port)
    stack.templates = static_templates(folder / "asterisk-config")
    async with AsyncExitStack() as exits:
        timeout = aiohttp.ClientTimeout(total=20)
        session = aiohttp.ClientSession(timeout=timeout, headers={"X-API-Key": key.text})
        http = await exits.enter_async_context(session)
        exits.push_async_callback(stack.stop)
        await stack.start()
        plain = _plain_switch(stack, folder / "plain")
        exits.push_async_callback(plain.stop)
        await plain.start()
        bench = Bench(stack, plain, http, carrier_port, folder)
        route = {"type": "number", "number": FAR}
        await bench.ask("POST", "/api/v1/numbers", {"e164": OWN, "route": route})
        yield bench


def _plain_switch(stack: BenchStack, base: Path) -> EmbeddedSwitch:
    assert stack.tools is not None
    assert stack.switch is not None
    used = stack.switch.spec
    first, last = _media_ports(used.ports.rtp_last)
    ports = SwitchPorts(ami=free_port(), sip=free_sip_port(), rtp_first=first, rtp_last=last)
    spec = SwitchSpec(
        plan=stack.plan,
        base=base,
        ports=ports,
        agi=used.agi,
        recordings=base / "recordings",
        sounds=base / "sounds",
        limits=used.limits,
        templates=used.templates,
        restart=False,
    )
    return EmbeddedSwitch(stack.tools, spec)


@asynccontextmanager
async def webhook_receiver() -> AsyncIterator[str]:
    """A receiver process that takes every webhook at once; gives its address."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.webhooks_receiver", stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        port = int(await asyncio.wait_for(process.stdout.readline(), 30))
        yield f"http://127.0.0.1:{port}/hook"
    finally:
        process.kill()
        await process.wait()
