"""Checks of this machine: programs, folders, disk, ports, speech. They change nothing that stays."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from gateway.config import Settings, is_loopback
from gateway.runtime.errors import ProvisionFailed
from gateway.runtime.findings import Finding, fail, ok, space, warn
from gateway.runtime.packages import find_prefix, machine_recipe
from gateway.runtime.plan import SwitchPlan, parse_plan
from gateway.runtime.prefix import Prefix, measure, read_manifest
from gateway.runtime.programs import Program, find_inside, find_outside
from gateway.runtime.versions import show
from telephony.errors import InvalidInput

_FETCH = "run: patchbay runtime fetch"
_NEEDED_BY = {"sipp": "make demo and the tests", "espeak-ng": "spoken announcements"}
_SPEECH_DEADLINE_S = 20


def check_settings(settings: Settings) -> Iterator[Finding]:
    """Variables that mean nothing, and an API open to the world without TLS in front."""
    for name in settings.unknown_variables:
        yield warn(
            "settings", f"{name} means nothing", "see the table in docs/operations.md; is it misspelt?"
        )
    if not is_loopback(settings.api_host) and not settings.public_url.startswith("https://"):
        yield warn(
            "settings",
            f"the API listens on {settings.api_host} and PATCHBAY_PUBLIC_URL is not https",
            "put a TLS proxy in front and set PATCHBAY_PUBLIC_URL to its address",
        )
    if settings.ami_host and not is_loopback(settings.ami_host) and is_loopback(settings.agi_host):
        yield fail(
            "settings",
            f"the switch at {settings.ami_host} cannot ask its question at {settings.agi_host}",
            "set PATCHBAY_AGI_HOST to an address it reaches through a tunnel, and PATCHBAY_ALLOW_PUBLIC=1",
        )


def read_plan(settings: Settings) -> tuple[SwitchPlan | None, Finding]:
    """The trunks file, and whether it holds."""
    if settings.trunks_file is None:
        return None, ok("trunks file", "none given: the demo's trunk and phones")
    try:
        plan = parse_plan(settings.trunks_file.read_text())
    except (OSError, UnicodeDecodeError) as failure:
        return None, fail("trunks file", f"cannot be read: {failure}", "mend PATCHBAY_TRUNKS_FILE")
    except InvalidInput as failure:
        return None, fail("trunks file", failure.message, f"mend {settings.trunks_file}")
    return plan, ok("trunks file", f"{len(plan.trunks)} trunks, {len(plan.phones)} phones")


def check_programs(settings: Settings) -> tuple[dict[str, Program], list[Finding]]:
    """Which programs serve, with their versions; nothing is fetched."""
    findings: list[Finding] = []
    prefix: Prefix | None = None
    try:
        prefix = find_prefix(settings.runtime_dir, machine_recipe())
    except ProvisionFailed as failure:
        findings.append(warn("private prefix", failure.message, "install the programs by hand"))
    if prefix is not None:
        findings.append(check_prefix(prefix))
    configured = {
        "asterisk": settings.asterisk_bin,
        "redis-server": settings.redis_server_bin,
        "sipp": settings.sipp_bin,
        "espeak-ng": settings.espeak_ng_bin,
    }
    programs: dict[str, Program] = {}
    for name, path in configured.items():
        said: list[str] = []
        try:
            found = find_outside(name, path, said.append)
            if found is None and prefix is not None:
                found = find_inside(name, prefix)
        except ProvisionFailed as failure:
            mend = f"mend PATCHBAY_{name.upper().replace('-', '_')}_BIN" if path else f"{_FETCH} --renew"
            findings.append(fail(name, failure.message, mend))
            continue
        if found is None:
            findings.append(_missing(settings, name, said))
        else:
            programs[name] = found
            findings.append(ok(name, f"{show(found.version)} ({found.origin})"))
    return programs, findings


def _missing(settings: Settings, name: str, said: list[str]) -> Finding:
    detail = "not here" + (f" ({said[0].removeprefix('runtime: ')})" if said else "")
    outside = {"asterisk": not settings.embedded_switch, "redis-server": not settings.embedded_redis}
    if outside.get(name):
        return ok(name, "not here, and not needed: an external one is configured")
    if name in _NEEDED_BY:
        return warn(name, f"{detail}; needed by {_NEEDED_BY[name]}", _FETCH)
    return fail(name, detail, _FETCH)


def check_prefix(prefix: Prefix) -> Finding:
    """Whether the unpacked files are all there."""
    manifest = read_manifest(prefix.root.parent)
    if manifest is None:
        return fail("private prefix", "was never finished", f"{_FETCH} --renew")
    if measure(prefix.root) != (manifest.files, manifest.octets):
        return fail("private prefix", "files are missing or changed", f"{_FETCH} --renew")
    return ok("private prefix", f"{len(manifest.packages)} packages of {manifest.suite}, whole")


def check_speech(program: Program | None) -> Finding:
    """Speak one word into a file."""
    if program is None:
        return warn("speech", "no espeak-ng: spoken announcements will be refused", _FETCH)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "word.wav"
        try:
            subprocess.run(
                [*program.head, "-w", str(out), "hello"],
                check=True, capture_output=True, timeout=_SPEECH_DEADLINE_S,
            )  # fmt: skip
        except (OSError, subprocess.SubprocessError) as failure:
            return fail("speech", f"espeak-ng does not speak: {failure}", f"{_FETCH} --renew")
        if not out.exists() or out.stat().st_size < 1_000:
            return fail("speech", "espeak-ng made no sound", f"{_FETCH} --renew")
    return ok("speech", "espeak-ng speaks")


def check_folders(settings: Settings) -> Iterator[Finding]:
    """Folders we write to: writable, with space, and secrets private."""
    for name, folder in (("var", settings.var_dir), ("recordings", settings.recordings_dir)):
        there = nearest(folder)
        if not os.access(there, os.W_OK | os.X_OK):
            yield fail(f"{name} folder", f"{folder} cannot be written", f"chown or chmod {there}")
            continue
        yield ok(f"{name} folder", f"{folder} {'is writable' if there == folder else 'can be made'}")
        yield space(f"{name} disk", shutil.disk_usage(there).free)
    yield from _open_secrets(settings.var_dir)


def nearest(folder: Path) -> Path:
    """The folder itself, or the nearest one above it that exists."""
    return next(place for place in (folder, *folder.absolute().parents) if place.exists())


def _open_secrets(var_dir: Path) -> Iterator[Finding]:
    places = (var_dir / "signing.secret", var_dir / "trunks.toml", var_dir / "switch/etc/pjsip.conf")
    secret_files = [*places, *var_dir.glob("switch/secrets/*"), *var_dir.glob("secrets/*")]
    for file in secret_files:
        if file.is_file() and stat.S_IMODE(file.stat().st_mode) & 0o077:
            yield fail("secrets", f"{file} can be read by others", f"chmod 600 {file}")


def check_ports(settings: Settings, plan: SwitchPlan | None) -> Iterator[Finding]:
    """Whether the ports of a stack that is not running are free."""
    tcp, udp = socket.SOCK_STREAM, socket.SOCK_DGRAM
    wanted = [("API", settings.api_host, settings.api_port, tcp, "PATCHBAY_API_PORT")]
    wanted.append(("FastAGI", settings.agi_host, settings.agi_port, tcp, "PATCHBAY_AGI_PORT"))
    wanted.append(("agents' sound", settings.media_host, settings.media_port, tcp, "PATCHBAY_MEDIA_PORT"))
    if settings.embedded_livekit:
        wanted.append(("rooms", "127.0.0.1", settings.livekit_port, tcp, "PATCHBAY_LIVEKIT_PORT"))
        wanted.append(
            ("rooms' media", "127.0.0.1", settings.livekit_udp_port, udp, "PATCHBAY_LIVEKIT_UDP_PORT")
        )
    if settings.embedded_switch:
        sip = (plan.sip.udp_port if plan else 0) or settings.sip_port
        wanted.append(("AMI", "127.0.0.1", settings.ami_port, tcp, "PATCHBAY_AMI_PORT"))
        wanted += [("SIP", settings.sip_host, sip, kind, "PATCHBAY_SIP_PORT") for kind in (udp, tcp)]
        first, last = settings.rtp_port_min, settings.rtp_port_max
        for port in (first, (first + last) // 2, last):
            wanted.append(("media", settings.sip_host, port, udp, "PATCHBAY_RTP_PORT_MIN and …_MAX"))
    taken = [w for w in wanted if w[2] and not is_free(w[1], w[2], w[3])]
    for name, host, port, kind, variable in taken:
        word = "UDP" if kind == udp else "TCP"
        yield fail(
            "ports", f"{name}: {word} {host}:{port} is in use", f"stop what uses it, or set {variable}"
        )
    if not taken:
        yield ok("ports", f"all {len(wanted)} looked at are free")


def is_free(host: str, port: int, kind: socket.SocketKind) -> bool:
    """Whether one could listen there now."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind) as probe:
        if kind == socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True
