"""What benchmarks of agents run on: the whole product, two far ends, callers, and two echoes to compare with.

Numbers starting +1555 are dialled to a bare echo behind ``chan_websocket`` by the switch itself, those
starting +1666 get the switch's own ``Echo()``: nobody is asked, but it is the same switch. Numbers of the
product lead to agents, one of each kind.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp

from bench.callers import Callers, Mill
from bench.far_ends import FarEnd, far_end
from bench.rig import CARRIER_IP, BenchStack, Cpu, cpu_of, free_settings, static_templates
from gateway.bootstrap import ensure_first_key
from gateway.clocks import SystemClock, new_id, random_bytes
from gateway.runtime.ports import free_sip_port
from gateway.stack import base_url
from gateway.trial.sip_phone import SipPhone

ECHO_APP, BARE = "+16660001000", "+15550001000"
AGENTS = {
    "echo": "+12025550100",
    "fast": "+12025550101",
    "talker": "+12025550102",
    "last": "+12025550103",
    "leaver": "+12025550104",
}
_LINES = """\
exten => _+1555.,1,Dial(WebSocket/bare/c(ulaw)f(json),20)
 same => n,Hangup()
exten => _+1666.,1,Answer()
 same => n,Echo()
"""
_BARE_CLIENT = """
[bare]
type = websocket_client
connection_type = per_call_config
uri = ws://127.0.0.1:{port}/media
protocols = media
tls_enabled = no
"""
_MOST_CALLS = 5000


@dataclass(slots=True)
class AgentBench:
    """The running product and all who take part."""

    stack: BenchStack
    http: aiohttp.ClientSession
    phone: SipPhone
    mill: Mill
    bare: FarEnd
    agents: FarEnd

    @property
    def sip(self) -> tuple[str, int]:
        assert self.stack.switch is not None
        return self.stack.switch.address.sip_host, self.stack.switch.address.sip_port

    @property
    def gateway_pid(self) -> int:
        assert self.stack.gateway is not None
        pid = self.stack.gateway.state.pid
        assert pid is not None
        return pid

    @property
    def switch_cpu(self) -> Cpu:
        assert self.stack.switch is not None
        pid = self.stack.switch.child.state.pid
        assert pid is not None
        return cpu_of(pid)

    def callers(self) -> Callers:
        return Callers(self.phone, self.sip, self.mill)

    async def ask(self, method: str, path: str, body: object = None) -> Any:
        """The ``data`` of a request that must succeed."""
        url = base_url(self.stack.settings) + path
        async with self.http.request(method, url, json=body) as response:
            answer = await response.json()
            if response.status >= 300:
                raise RuntimeError(f"{method} {path} answered {response.status}: {answer}")
            return answer["data"]

    async def late_beats(self) -> tuple[float, float]:
        """Of the clock of all agents' sound, so far: beats, and those later than 10 ms."""
        async with self.http.get(f"{base_url(self.stack.settings)}/metrics") as response:
            lines = (await response.text()).splitlines()
        name = "patchbay_agent_tick_late_seconds"
        found = {
            line.partition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if line.startswith(name)
        }
        every = found.get(f"{name}_count", 0.0)
        return every, every - found.get(f'{name}_bucket{{le="0.01"}}', every)


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[AgentBench]:
    """Everything up, the agents registered and routed to; ended afterwards."""
    settings = replace(free_settings(folder / "product"), max_concurrent_calls=_MOST_CALLS)
    carrier_port = free_sip_port(CARRIER_IP)
    key = await ensure_first_key(settings, SystemClock(), new_id("key"), random_bytes(32))
    stack = BenchStack(settings, lambda text: print(text, file=sys.stderr), trunk_port=carrier_port)
    stack.templates = static_templates(folder / "asterisk-config", _LINES)
    async with AsyncExitStack() as exits:
        bare = await exits.enter_async_context(far_end("bare"))
        agents = await exits.enter_async_context(far_end("agents"))
        with (stack.templates / "websocket_client.conf.j2").open("a") as file:
            file.write(_BARE_CLIENT.format(port=bare.port))
        timeout = aiohttp.ClientTimeout(total=60)
        connector = aiohttp.TCPConnector(limit=0)
        session = aiohttp.ClientSession(timeout=timeout, headers={"X-API-Key": key.text}, connector=connector)
        http = await exits.enter_async_context(session)
        exits.push_async_callback(stack.stop)
        await stack.start()
        mill = Mill(max(os.sched_getaffinity(0)))
        mill.start()
        exits.callback(mill.stop)
        phone = await exits.enter_async_context(await SipPhone.open(CARRIER_IP, carrier_port, name="carrier"))
        bench = AgentBench(stack, http, phone, mill, bare, agents)
        for kind, number in AGENTS.items():
            await _register(bench, kind, number)
        yield bench


async def _register(bench: AgentBench, kind: str, number: str) -> None:
    wanted = {
        "name": kind,
        "dialect": "native",
        "codec": "ulaw",
        "url": f"ws://127.0.0.1:{bench.agents.port}/{kind}",
        "auth": {"kind": "none"},
        "barge_in": "off",
        "max_duration": 14_400,
        "silence": {"prompt_s": 0},
    }
    agent = await bench.ask("POST", "/api/v1/agents", wanted)
    route = {"type": "agent", "agent_id": agent["id"]}
    await bench.ask("POST", "/api/v1/numbers", {"e164": number, "route": route})


async def settled(seconds: float = 1.0) -> None:
    """Let what hung up end before the next begins."""
    await asyncio.sleep(seconds)
