"""A LiveKit server of our own: a child process on loopback ports, with a key made for this installation.

Everything it listens on is loopback, so browsers of this machine alone reach it; for others, run a LiveKit
server that they reach, and name it in the settings. Rooms are made by us alone (``auto_create`` off): a token
for a room that has ended opens nothing.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from gateway.config import Secret, stored_secret
from gateway.config_rooms import RoomServerAddress
from gateway.runtime.children import Child, ChildSpec, ChildState
from gateway.runtime.programs import Program

KEY = "patchbay"
_READY_DEADLINE_S = 60.0
_PROBE_EVERY_S = 0.05
_SETTLED_S = 0.25


@dataclass(frozen=True, slots=True)
class LiveKitPlan:
    """What it listens on (``port``: HTTP and WebSocket, ``udp_port``: media, both loopback), and where it
    posts its reports. Media over TCP is off: that listener cannot be bound to one address.

    ``redis``: an absolute path of a unix socket, or ``host:port``. Without it LiveKit has neither SIP trunks
    nor egress; with it, rooms of a server that crashed stay listed, and can be neither ended nor made anew
    until it takes that server for dead. ``redis_db``: which database there."""

    port: int
    udp_port: int
    hooks: tuple[str, ...]
    redis: str | None = None
    redis_db: int = 0


class EmbeddedLiveKit:
    """One LiveKit server as a supervised child; its configuration can be read by its owner alone."""

    def __init__(
        self,
        program: Program,
        base: Path,
        plan: LiveKitPlan,
        secret: Secret,
        *,
        restart: bool = True,
        on_change: Callable[[ChildState], None] = lambda state: None,
    ) -> None:
        self._base = base
        self._plan = plan
        self._secret = secret
        config = base / "livekit.yaml"
        self._config = config
        self.child = Child(
            ChildSpec(
                name="livekit",
                argv=(*program.head, "--config", str(config)),
                cwd=base,
                log=base / "livekit.log",
                ready=lambda: serves(plan.port),
                ready_when="answers on its port",
                ready_deadline_s=_READY_DEADLINE_S,
                stop_with=(signal.SIGTERM, signal.SIGINT),  # why: one alone waits for everybody to leave
                restart=restart,
            ),
            on_change=on_change,
        )

    @property
    def address(self) -> RoomServerAddress:
        return RoomServerAddress(f"ws://127.0.0.1:{self._plan.port}", KEY, self._secret)

    @property
    def state(self) -> ChildState:
        return self.child.state

    async def start(self) -> RoomServerAddress:
        """Start, wait until it serves, return its address. Raises ``ChildFailed``."""
        self._base.mkdir(parents=True, exist_ok=True, mode=0o700)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        with os.fdopen(os.open(self._config, flags, 0o600), "w") as file:
            os.fchmod(file.fileno(), 0o600)  # one that was there keeps its own mode otherwise
            file.write(livekit_yaml(self._plan, KEY, self._secret))
        await self.child.start()
        return self.address

    async def stop(self) -> None:
        """Everybody is put out, then it ends."""
        await self.child.stop()

    def kill(self) -> None:
        """SIGKILL, as a crash would."""
        self.child.kill()


def installation_secret(var_dir: Path) -> Secret:
    """The embedded server's secret, made once for this installation (mode 0600)."""
    return stored_secret(var_dir / "secrets" / "livekit")


def livekit_yaml(plan: LiveKitPlan, key: str, secret: Secret) -> str:
    """The text of its configuration. JSON is YAML, so no value can break out of its place (YAML 1.2, 1.3)."""
    told: dict[str, object] = {
        "port": plan.port,
        "bind_addresses": ["127.0.0.1"],
        "rtc": {
            "tcp_port": 0,
            "udp_port": plan.udp_port,
            "use_external_ip": False,
            "node_ip": "127.0.0.1",
            "enable_loopback_candidate": True,
            "interfaces": {"includes": ["lo"]},
        },
        "keys": {key: secret.reveal()},
        "room": {
            "auto_create": False,
            "enable_remote_unmute": True,
            "empty_timeout": 300,
            "departure_timeout": 20,
        },
        "logging": {"level": "info", "json": True},
    }
    if plan.hooks:
        told["webhook"] = {"api_key": key, "urls": list(plan.hooks)}
    if plan.redis is not None:
        told["redis"] = {"address": plan.redis, "db": plan.redis_db}
    return json.dumps(told, indent=1) + "\n"


async def serves(port: int) -> None:
    """Return once it has answered 200 at its root (its own health check) for a quarter of a second; the
    caller holds the deadline. It answers 0.1 s before it can be told to stop: asked in between, it never
    would (``Start`` and ``Stop`` of livekit-server's service)."""
    timeout = aiohttp.ClientTimeout(total=2)
    since = None
    async with aiohttp.ClientSession(timeout=timeout, trust_env=False) as session:
        while since is None or time.monotonic() - since < _SETTLED_S:
            if not await _answers(session, f"http://127.0.0.1:{port}/"):
                since = None
            elif since is None:
                since = time.monotonic()
            await asyncio.sleep(_PROBE_EVERY_S)


async def _answers(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url) as response:
            return response.status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False
