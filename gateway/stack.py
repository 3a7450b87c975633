"""The whole product on one machine: Redis, the switch and the gateway as supervised children.

The gateway is a process of its own, so that its death leaves the switch and every answered call alone;
it comes back, takes up what is live, and the fact is visible.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import aiohttp

from gateway.config import AmiLogin, Settings, stored_secret
from gateway.config_edge import edge_variables
from gateway.config_rooms import address_variables, room_variables
from gateway.config_speech import speech_variables
from gateway.runtime.children import MINIMAL_ENV, Child, ChildSpec, ChildState
from gateway.runtime.errors import ChildFailed
from gateway.runtime.livekit import EmbeddedLiveKit, LiveKitPlan, installation_secret
from gateway.runtime.livekit_program import NAME as LIVEKIT_NAME
from gateway.runtime.livekit_program import NO_ROOMS, find_livekit
from gateway.runtime.plan import SwitchPlan, parse_plan
from gateway.runtime.programs import Tools, provision
from gateway.runtime.redis import EmbeddedRedis
from gateway.runtime.switch import EmbeddedSwitch, spec_from_settings

Say = Callable[[str], None]
_READY_DEADLINE_S = 90.0
"""On a machine that is busy with other things a gateway reads its own code for half a minute; that one has
ended is known at once."""
_PROBE_EVERY_S = 0.1
_STOP_DEADLINE_S = 25.0
"""Agents on calls are let say goodbye, and give their account, before the gateway goes."""

DEMO_TRUNKS = """\
# The plan `make up` starts with: one carrier connection and two softphones. Change it, then start again.
[sip]
texts = true

[[trunk]]
name = "carrier"
host = "127.0.0.2"
port = {trunk_port}
transport = "udp"
identify = ["127.0.0.2"]

[[phone]]
name = "alice"
password = "{alice}"

[[phone]]
name = "bob"
password = "{bob}"
"""


def plan_file(settings: Settings, *, trunk_port: int = 5060) -> Path:
    """The configured trunks file, else one made in ``var_dir`` with passwords of its own (mode 0600)."""
    if settings.trunks_file is not None:
        return settings.trunks_file
    path = settings.var_dir / "trunks.toml"
    if not path.exists():
        passwords = {
            name: stored_secret(settings.var_dir / "secrets" / f"phone-{name}").reveal()
            for name in ("alice", "bob")
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(DEMO_TRUNKS.format(trunk_port=trunk_port, **passwords))
    return path


class Stack:
    """Start, and the API answers; stop, and nothing of it is left running.

    ``overrides`` are variables for the gateway process that win over everything else.
    """

    def __init__(
        self,
        settings: Settings,
        say: Say,
        *,
        trunk_port: int = 5060,
        overrides: Mapping[str, str] | None = None,
    ) -> None:
        self._say = say
        self._overrides = dict(overrides or {})
        self.plan_path = plan_file(settings, trunk_port=trunk_port)
        self.plan: SwitchPlan = parse_plan(self.plan_path.read_text())
        self.settings = replace(settings, trunks_file=self.plan_path)
        self.tools: Tools | None = None
        self.switch: EmbeddedSwitch | None = None
        self.redis: EmbeddedRedis | None = None
        self.livekit: EmbeddedLiveKit | None = None
        self.gateway: Child | None = None

    async def start(self) -> None:
        """Fetch what is missing, then start in order of need. Raises ChildFailed or ProvisionFailed."""
        settings = self.settings
        self.tools = await asyncio.to_thread(provision, settings, self._say)
        if settings.embedded_redis:
            folder = settings.var_dir / "redis"
            self.redis = EmbeddedRedis(self.tools, folder, on_change=self._tell)
            await self.redis.start()
        if settings.embedded_switch:
            self.switch = EmbeddedSwitch(
                self.tools, spec_from_settings(settings, self.plan), on_change=self._tell
            )
            await self.switch.start()
        if settings.embedded_livekit:
            self.livekit = await self._start_livekit()
        self.gateway = Child(self._gateway_spec(), on_change=self._tell)
        await self.gateway.start()

    async def stop(self) -> None:
        """Stop in the opposite order; each child by its own id."""
        for child in (self.gateway, self.livekit, self.switch, self.redis):
            if child is not None:
                await child.stop()

    async def _start_livekit(self) -> EmbeddedLiveKit | None:
        """Video rooms where they can be had; their lack stops nothing, and is said once."""
        settings = self.settings
        program = await asyncio.to_thread(find_livekit, settings, self._say)
        if program is None:
            self._say(
                f"{LIVEKIT_NAME} is not here: {NO_ROOMS} (patchbay runtime fetch builds it where Go is)"
            )
            return None
        hook = f"{base_url(settings)}/api/v1/video/webhook"
        plan = LiveKitPlan(settings.livekit_port, settings.livekit_udp_port, (hook,))
        secret = installation_secret(settings.var_dir)
        server = EmbeddedLiveKit(program, settings.var_dir / "livekit", plan, secret, on_change=self._tell)
        try:
            await server.start()
        except ChildFailed as failure:
            self._say(f"{failure.message}\n{LIVEKIT_NAME} did not start: {NO_ROOMS}")
            return None
        return server

    def _tell(self, state: ChildState) -> None:
        if state.phase == "backing_off" or (state.restarts and state.phase == "running"):
            self._say(f"{state.name}: {state.phase}, restarts {state.restarts}, last exit {state.last_exit}")

    def _gateway_spec(self) -> ChildSpec:
        settings = self.settings
        return ChildSpec(
            name="gateway",
            argv=(sys.executable, "-m", "gateway"),
            cwd=Path(__file__).resolve().parents[1],
            log=settings.var_dir / "log" / "gateway.log",
            ready=lambda: answers(f"{base_url(settings)}/readyz"),
            ready_when="answers /readyz with every dependency up",
            ready_deadline_s=_READY_DEADLINE_S,
            stop_deadline_s=_STOP_DEADLINE_S,
            env={**MINIMAL_ENV, **self.environment()},
        )

    def environment(self) -> dict[str, str]:
        """What the gateway process is told: our settings, and where its servers are."""
        environment = to_environment(self.settings)
        if self.redis is not None:
            environment["PATCHBAY_REDIS_URL"] = self.redis.url
        if self.livekit is not None:
            environment |= address_variables(self.livekit.address)
        if self.switch is not None:
            address = self.switch.address
            environment["PATCHBAY_AMI_HOST"] = address.ami_host
            environment["PATCHBAY_AMI_PORT"] = str(address.ami_port)
            environment["PATCHBAY_SWITCH_RECORDS_FILE"] = str(self.switch.cdr_file.absolute())
            logins = address.logins
            for role, login in (
                ("CONTROL", logins.control),
                ("RECORDING", logins.recording),
                ("EVENTS", logins.events),
            ):
                environment |= _login(role, login)
        return environment | self._overrides


def _login(role: str, login: AmiLogin) -> dict[str, str]:
    return {
        f"PATCHBAY_AMI_{role}_USER": login.user,
        f"PATCHBAY_AMI_{role}_SECRET": login.secret.reveal(),
    }


_PASSED_ON = (
    "api_host",
    "api_port",
    "public_url",
    "database_url",
    "db_synchronous",
    "redis_url",
    "redis_member",
    "ami_host",
    "ami_port",
    "agi_host",
    "agi_port",
    "media_driver",
    "media_host",
    "media_port",
    "sip_host",
    "recording_url_ttl_s",
    "ring_timeout_default_s",
    "max_call_s",
    "route_budget_ms",
    "api_rate_per_minute",
    "call_rate_per_minute",
    "max_concurrent_calls",
    "daily_minutes_cap",
    "agent_calls_per_tenant",
    "transcript_days",
    "log_level",
)
_PATHS = ("var_dir", "recordings_dir", "sounds_dir", "trunks_file", "carriers_file", "switch_records_file")
_PROGRAMS = ("asterisk_bin", "redis_server_bin", "sipp_bin", "espeak_ng_bin")


def to_environment(settings: Settings) -> dict[str, str]:
    """These settings as the variables that make them again in another process."""
    found: dict[str, object] = {name: getattr(settings, name) for name in _PASSED_ON}
    for name in (*_PATHS, *_PROGRAMS):
        path = getattr(settings, name)
        found[name] = None if path is None else path.absolute()
    found["runtime"] = settings.runtime_dir.absolute()
    found["allow_public"] = "1" if settings.allow_public else None
    found["webhook_allow_private"] = "1" if settings.webhook_allow_private else None
    found |= speech_variables(settings) | room_variables(settings) | edge_variables(settings)
    found["masking_switch_copy"] = "1" if settings.masking_switch_copy else "0"
    countries = settings.allowed_countries
    found["allowed_countries"] = "*" if countries is None else ",".join(sorted(countries))
    if settings.signing_secret is not None:
        found["signing_secret"] = settings.signing_secret.reveal()
    if settings.ami_logins is not None:
        logins = settings.ami_logins
        found |= {
            "ami_control_user": logins.control.user,
            "ami_control_secret": logins.control.secret.reveal(),
            "ami_recording_user": logins.recording.user,
            "ami_recording_secret": logins.recording.secret.reveal(),
            "ami_events_user": logins.events.user,
            "ami_events_secret": logins.events.secret.reveal(),
        }
    prefixed = {
        f"PATCHBAY_{name.upper()}": str(value) for name, value in found.items() if value not in (None, "")
    }
    return prefixed | address_variables(settings.room_server)


def base_url(settings: Settings) -> str:
    """Where the API is reached from this machine."""
    host = f"[{settings.api_host}]" if ":" in settings.api_host else settings.api_host
    return f"http://{host}:{settings.api_port}"


async def answers(url: str, headers: Mapping[str, str] | None = None) -> None:
    """Return once this address answers 200. The deadline is the caller's."""
    timeout = aiohttp.ClientTimeout(total=2)
    async with aiohttp.ClientSession(timeout=timeout, trust_env=False, headers=headers) as session:
        while True:
            try:
                async with session.get(url) as response:
                    if response.status == 200:
                        return
            except (aiohttp.ClientError, TimeoutError):
                pass
            await asyncio.sleep(_PROBE_EVERY_S)
