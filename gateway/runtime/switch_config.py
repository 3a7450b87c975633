"""Rendering asterisk-config/ into the files one Asterisk reads.

Every value a template inserts passes ``safe_value``: a value that could end its line, start a comment, open
a section or be evaluated by the dialplan is refused, whichever template it stands in.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from math import ceil
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from gateway.config import AmiLogins
from gateway.config_room_sip import ENDPOINT, RoomSipEnd
from gateway.runtime.plan import SwitchPlan
from gateway.runtime.prefix import AsteriskDirs
from telephony.errors import UnsafeValue

TEMPLATES = Path(__file__).resolve().parents[2] / "asterisk-config"
_CA_FILES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
_FORBIDDEN = frozenset(';\\"`[]')
_LONGEST = 512
_QUESTION_SLACK_MS = 500


@dataclass(frozen=True, slots=True)
class SwitchPorts:
    """Every port the switch listens on; ``http`` 0 leaves its web server off."""

    ami: int
    sip: int
    rtp_first: int
    rtp_last: int
    http: int = 0


@dataclass(frozen=True, slots=True)
class SwitchLimits:
    """Limits and budgets of one switch."""

    max_call_s: int = 3_600
    route_budget_ms: int = 1_000
    max_channels: int = 2_000
    max_load: int = 0
    """Refuse new calls above this load average of the machine; 0 switches the gate off."""


@dataclass(frozen=True, slots=True)
class SwitchFolders:
    """Where one switch keeps its state (all below ``base``) and what it shares with the gateway."""

    base: Path
    run: Path
    recordings: Path
    sounds: Path

    @property
    def etc(self) -> Path:
        return self.base / "etc"

    def own(self) -> tuple[Path, ...]:
        """Folders that must exist before the start."""
        below = (
            "etc",
            "lib",
            "cache",
            "db",
            "keys",
            "spool",
            "log",
            "log/cdr-custom",
            "keys/keys",
            "agi-bin",
            "moh",
        )
        return (*(self.base / name for name in below), self.run, self.recordings, self.sounds)


@dataclass(frozen=True, slots=True)
class SwitchConfig:
    """Everything the templates are rendered from."""

    plan: SwitchPlan
    folders: SwitchFolders
    program: AsteriskDirs
    ports: SwitchPorts
    logins: AmiLogins
    agi: tuple[str, int]
    """Host and port of the gateway's FastAGI server."""
    media: tuple[str, int] = ("127.0.0.1", 0)
    """Host and port of the gateway's media sockets for agents; port 0: there are none."""
    room_media: tuple[int, ...] = ()
    """The ports, on the same host, of those who carry telephones into rooms."""
    room_sip: RoomSipEnd | None = None
    """LiveKit's SIP service, where telephones are brought into rooms by it."""
    sip_host: str = "127.0.0.1"
    systemname: str = "patchbay"
    limits: SwitchLimits = field(default_factory=SwitchLimits)


def safe_value(value: object) -> object:
    """Pass a value on to a configuration file, or raise ``UnsafeValue``. The value is not in the message."""
    if isinstance(value, bool) or value is None:
        raise UnsafeValue("a template inserts true, false or nothing: write the word it means")
    text = str(value)
    if not isinstance(value, (str, int, Path)) or len(text) > _LONGEST:
        raise UnsafeValue(f"a template inserts a {type(value).__name__} of {len(text)} characters")
    bad = not text.isprintable() or not _FORBIDDEN.isdisjoint(text) or "${" in text
    if bad or text != text.strip() or text.startswith(("#", ">")):
        raise UnsafeValue("a value for the switch's configuration has characters that must not stand there")
    return value


def render(config: SwitchConfig, templates: Path = TEMPLATES) -> dict[str, str]:
    """File name → text, for every ``*.conf.j2``. Raises ``UnsafeValue``; undefined names raise, too."""
    environment = Environment(
        loader=FileSystemLoader(templates),
        undefined=StrictUndefined,
        finalize=safe_value,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - configuration files, not markup; safe_value is the gate
    )
    environment.tests["ipv6"] = _is_ipv6
    names = sorted(path.name for path in templates.glob("*.conf.j2"))
    values = _values(config)
    return {name.removesuffix(".j2"): environment.get_template(name).render(values) for name in names}


def write(config: SwitchConfig, templates: Path = TEMPLATES) -> None:
    """Render into ``folders.etc``, each file mode 0600 (they hold secrets), and make the folders."""
    for folder in config.folders.own():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name, text in render(config, templates).items():
        fresh = config.folders.etc / f".{name}.new"
        fresh.unlink(missing_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
        fresh.replace(config.folders.etc / name)


def _question_s(budget_ms: int) -> int:
    """How long the switch itself waits for an answer: it must not give up before the gateway does."""
    return max(2, ceil((budget_ms + _QUESTION_SLACK_MS) / 1000))


def _values(config: SwitchConfig) -> Mapping[str, object]:
    plan, ports, limits = config.plan, config.ports, config.limits
    shared = config.program.shared
    return {
        "dirs": _dirs(config),
        "language": _language(shared),
        "systemname": config.systemname,
        "max_channels": limits.max_channels,
        "max_load": limits.max_load,
        "max_files": max_files(),
        "max_call_s": limits.max_call_s,
        "question_s": _question_s(limits.route_budget_ms),
        "ami_host": "127.0.0.1",
        "ami_port": ports.ami,
        "logins": config.logins,
        "agi_host": config.agi[0],
        "agi_port": config.agi[1],
        "media_host": config.media[0],
        "media_port": config.media[1],
        "room_media_ports": config.room_media,
        "room_sip": config.room_sip,
        "room_sip_name": ENDPOINT,
        "sip": plan.sip,
        "sip_bind": config.sip_host,
        "sip_port": plan.sip.udp_port or ports.sip,
        "rtp": plan.rtp,
        "rtp_port_min": plan.rtp.port_min or ports.rtp_first,
        "rtp_port_max": plan.rtp.port_max or ports.rtp_last,
        "http_port": ports.http,
        "ca_file": plan.sip.tls_ca or next((path for path in _CA_FILES if Path(path).is_file()), ""),
        "sources": allowed_sources(plan, config.room_sip),
        "trunks": plan.trunks,
        "phones": plan.phones,
        "sounds_dir": config.folders.sounds,
        "recordings_dir": config.folders.recordings,
        "built_modules": frozenset(path.stem for path in config.program.modules.glob("*.so")),
    }


def _dirs(config: SwitchConfig) -> dict[str, Path]:
    base, shared = config.folders.base, config.program.shared
    shipped = shared / "moh"
    return {
        "etc": config.folders.etc,
        "modules": config.program.modules,
        "shared": shared,
        "run": config.folders.run,
        "lib": base / "lib",
        "cache": base / "cache",
        "db": base / "db",
        "key_files": base / "keys",
        "agi_bin": base / "agi-bin",
        "spool": base / "spool",
        "log": base / "log",
        "moh": shipped if has_music(shipped) else base / "moh",
    }


def has_music(folder: Path) -> bool:
    """Whether a folder has hold music."""
    return folder.is_dir() and any(p.suffix in (".gsm", ".wav", ".ulaw", ".sln") for p in folder.iterdir())


def _language(shared: Path) -> str:
    """The folder name of the English prompts: ``en``, or Debian's unlinked name of them."""
    sounds = shared / "sounds"
    if (sounds / "en").exists() or not (sounds / "en_US_f_Allison").is_dir():
        return "en"
    return "en_US_f_Allison"


def allowed_sources(plan: SwitchPlan, room_sip: RoomSipEnd | None = None) -> tuple[str, ...]:
    """The only addresses SIP is accepted from; empty where phones may come from anywhere.

    A registering trunk has to name its addresses for the list to be made.
    """
    if plan.phones and not plan.sip.phones_from:
        return ()
    if any(not trunk.identify for trunk in plan.trunks):
        return ()
    rooms = () if room_sip is None else (room_sip.host,)
    return unique([*(a for trunk in plan.trunks for a in trunk.identify), *plan.sip.phones_from, *rooms])


def unique(values: Iterable[str]) -> tuple[str, ...]:
    """The values without repeats, in order."""
    return tuple(dict.fromkeys(values))


def _is_ipv6(host: str) -> bool:
    try:
        return ip_address(host).version == 6
    except ValueError:
        return False


def max_files(wanted: int = 65_000) -> int:
    """How many open files the switch may ask for without the kernel refusing."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
