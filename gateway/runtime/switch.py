"""An Asterisk of our own: rendered, started, waited for, watched, stopped."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from gateway.config import AmiLogin, AmiLogins, Settings, stored_secret
from gateway.config_room_sip import RoomSipEnd, room_sip_end
from gateway.config_rooms import room_media_ports
from gateway.runtime import switch_config
from gateway.runtime.ami_probe import fully_booted
from gateway.runtime.children import Child, ChildSpec, ChildState
from gateway.runtime.music import write_music
from gateway.runtime.plan import SwitchPlan
from gateway.runtime.ports import free_ports, free_sip_port, free_udp_range
from gateway.runtime.programs import Toolbox
from gateway.runtime.switch_config import TEMPLATES, SwitchConfig, SwitchFolders, SwitchLimits, SwitchPorts

_SOCKET_PATH_LIMIT = 100
"""A unix socket's path has at most 107 octets (unix(7)); Asterisk adds its own names."""
_READY_DEADLINE_S = 60.0


@dataclass(frozen=True, slots=True)
class SwitchAddress:
    """Where a running switch is reached, and as whom."""

    ami_host: str
    ami_port: int
    logins: AmiLogins
    sip_host: str
    sip_port: int
    agi_host: str
    agi_port: int

    @property
    def users(self) -> Mapping[str, tuple[str, str]]:
        """Role → (name, secret in clear), for clients that want plain texts."""
        roles = {
            "control": self.logins.control,
            "recording": self.logins.recording,
            "events": self.logins.events,
        }
        return {role: (login.user, login.secret.reveal()) for role, login in roles.items()}


@dataclass(frozen=True, slots=True)
class SwitchSpec:
    """What an embedded switch is made from. ``base`` holds all its state and is private to it."""

    plan: SwitchPlan
    base: Path
    ports: SwitchPorts
    agi: tuple[str, int]
    recordings: Path
    sounds: Path
    sip_host: str = "127.0.0.1"
    systemname: str = "patchbay"
    limits: SwitchLimits = field(default_factory=SwitchLimits)
    templates: Path = TEMPLATES
    restart: bool = True
    media: tuple[str, int] = ("127.0.0.1", 0)
    """Where the gateway takes agents' sound; port 0: nowhere."""
    room_sip: RoomSipEnd | None = None
    """LiveKit's SIP service, where telephones are brought into rooms by it."""
    room_media: tuple[int, ...] = ()
    """The ports, on the same host, of those who carry telephones into rooms; at most ten."""


def free_switch_ports(rtp: int = 400) -> SwitchPorts:
    """Ports nobody uses now, ``rtp`` of them for media (two per leg)."""
    ami = free_ports(1)[0]
    first, last = free_udp_range(rtp, spread=os.getpid())
    return SwitchPorts(ami=ami, sip=free_sip_port(), rtp_first=first, rtp_last=last)


def spec_from_settings(settings: Settings, plan: SwitchPlan) -> SwitchSpec:
    """The embedded switch of ``make up``: fixed ports, state in ``var_dir/switch``."""
    return SwitchSpec(
        plan=plan,
        base=settings.var_dir / "switch",
        ports=SwitchPorts(
            ami=settings.ami_port,
            sip=settings.sip_port,
            rtp_first=settings.rtp_port_min,
            rtp_last=settings.rtp_port_max,
            http=settings.http_port,
        ),
        agi=(settings.agi_host, settings.agi_port),
        media=(settings.media_host, settings.media_port),
        room_sip=room_sip_end(settings, stored_secret, settings.var_dir),
        room_media=tuple(
            range(settings.room_media_port, settings.room_media_port + room_media_ports(settings))
        ),
        recordings=settings.recordings_dir,
        sounds=settings.sounds_dir,
        sip_host=settings.sip_host,
        limits=SwitchLimits(
            max_call_s=settings.max_call_s,
            route_budget_ms=settings.route_budget_ms,
            max_channels=settings.max_channels,
            max_load=settings.max_load,
        ),
    )


def make_logins(folder: Path) -> AmiLogins:
    """The three AMI users of one install; their secrets are made once and kept there, mode 0600."""
    control, recording, events = (
        AmiLogin(f"patchbay-{role}", stored_secret(folder / f"ami-{role}.secret"))
        for role in ("control", "recording", "events")
    )
    return AmiLogins(control, recording, events)


class EmbeddedSwitch:
    """One Asterisk as a supervised child."""

    def __init__(
        self,
        tools: Toolbox,
        spec: SwitchSpec,
        *,
        on_change: Callable[[ChildState], None] = lambda state: None,
    ) -> None:
        self.spec = spec
        self._tools = tools
        self._logins = make_logins(spec.base / "secrets")
        self._run, self._run_is_temporary = _run_folder(spec.base)
        self.child = Child(self._child_spec(), on_change=on_change)

    @property
    def address(self) -> SwitchAddress:
        spec = self.spec
        return SwitchAddress(
            ami_host="127.0.0.1",
            ami_port=spec.ports.ami,
            logins=self._logins,
            sip_host=spec.sip_host,
            sip_port=spec.plan.sip.udp_port or spec.ports.sip,
            agi_host=spec.agi[0],
            agi_port=spec.agi[1],
        )

    @property
    def state(self) -> ChildState:
        return self.child.state

    @property
    def messages_log(self) -> Path:
        """Asterisk's own log of notices, warnings and errors."""
        return self.spec.base / "log" / "messages.log"

    @property
    def cdr_file(self) -> Path:
        """The switch's own call records (see asterisk-config/cdr_custom.conf.j2)."""
        return self.spec.base / "log" / "cdr-custom" / "Patchbay.csv"

    async def start(self) -> SwitchAddress:
        """Render, start and wait until AMI says FullyBooted. Raises ``ChildFailed`` with the log's tail."""
        config = self.config()
        switch_config.write(config, self.spec.templates)
        if not switch_config.has_music(config.program.shared / "moh"):
            write_music(self.spec.base / "moh")
        await self.child.start()
        return self.address

    async def stop(self) -> None:
        """Stop in order; live calls are hung up."""
        await self.child.stop()
        if self._run_is_temporary:
            shutil.rmtree(self._run, ignore_errors=True)

    def kill(self) -> None:
        """SIGKILL, as a crash would; it comes back by itself if ``spec.restart``."""
        self.child.kill()

    async def restart(self) -> SwitchAddress:
        """Stop and start anew, with the configuration rendered again."""
        await self.child.stop()
        return await self.start()

    async def replan(self, plan: SwitchPlan) -> SwitchAddress:
        """Restart with other trunks and phones."""
        self.spec = replace(self.spec, plan=plan)
        return await self.restart()

    def config(self) -> SwitchConfig:
        """What the configuration files are rendered from."""
        spec = self.spec
        return SwitchConfig(
            plan=spec.plan,
            folders=SwitchFolders(spec.base, self._run, spec.recordings, spec.sounds),
            program=self._tools.asterisk_dirs(),
            ports=spec.ports,
            logins=self._logins,
            agi=spec.agi,
            media=spec.media,
            room_media=spec.room_media,
            room_sip=spec.room_sip,
            sip_host=spec.sip_host,
            systemname=spec.systemname,
            limits=spec.limits,
        )

    def _child_spec(self) -> ChildSpec:
        base, port = self.spec.base, self.spec.ports.ami
        return ChildSpec(
            name="asterisk",
            argv=tuple(self._tools.command("asterisk", "-f", "-C", str(base / "etc" / "asterisk.conf"))),
            cwd=base,
            log=base / "log" / "asterisk.out",
            ready=lambda: fully_booted("127.0.0.1", port, self._logins.events),
            ready_when="lets the AMI user for events in and says FullyBooted",
            ready_deadline_s=_READY_DEADLINE_S,
            restart=self.spec.restart,
        )


def _run_folder(base: Path) -> tuple[Path, bool]:
    """The folder of the control socket: below ``base``, or a short temporary one if that path is too long."""
    run = base / "run"
    if len(str(run / "asterisk.ctl").encode()) <= _SOCKET_PATH_LIMIT:
        return run, False
    return Path(tempfile.mkdtemp(prefix="patchbay-")), True
