"""Which program serves: the configured one, the machine's own if new enough, else the private prefix's.

A configured program that is too old is an error (somebody meant it); a machine's program that is too old
is passed over, with the reason told.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import imageio_ffmpeg

from gateway.config import Settings
from gateway.runtime.errors import ProgramTooOld, ProvisionFailed
from gateway.runtime.packages import Say, fetch_prefix, find_prefix, machine_recipe
from gateway.runtime.prefix import AsteriskDirs, Prefix
from gateway.runtime.versions import REQUIREMENTS, Version, parse_version, require, show

Origin = Literal["configured", "machine", "prefix"]
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_ASK_DEADLINE_S = 20


class Toolbox(Protocol):
    """Gives argument lists for the server programs; ``Prefix`` and ``Tools`` are two."""

    def command(self, program: str, *args: str) -> list[str]: ...

    def asterisk_dirs(self) -> AsteriskDirs: ...


@dataclass(frozen=True, slots=True)
class Program:
    """One program found: how it starts, its version, and where it came from."""

    name: str
    head: tuple[str, ...]
    version: Version
    origin: Origin


@dataclass(frozen=True, slots=True)
class Tools:
    """All programs found for this machine, from whichever place."""

    programs: Mapping[str, Program]
    prefix: Prefix | None

    def command(self, program: str, *args: str) -> list[str]:
        """The argument list that runs ``program`` with ``args``."""
        return [*self.programs[program].head, *args]

    def asterisk_dirs(self) -> AsteriskDirs:
        """Module and share folders that belong to the Asterisk found."""
        found = self.programs["asterisk"]
        if found.origin == "prefix" and self.prefix is not None:
            return self.prefix.asterisk_dirs()
        return installed_asterisk_dirs(Path(found.head[0]))


def installed_asterisk_dirs(binary: Path) -> AsteriskDirs:
    """The folders of an Asterisk installed in the usual way (``<root>/sbin/asterisk``)."""
    root = binary.resolve().parent.parent
    modules = [*root.glob("lib/*-linux-gnu/asterisk/modules"), *root.glob("lib*/asterisk/modules")]
    shared = [
        p for p in (root / "share/asterisk", Path("/var/lib/asterisk")) if (p / "documentation").is_dir()
    ]
    if not modules or not shared:
        raise ProvisionFailed(f"{binary}: its module or documentation folder is not in the usual place")
    return AsteriskDirs(modules[0], shared[0])


def ask_version(program: str, argv: list[str]) -> Version:
    """Run a program for its version. Raises ``ProvisionFailed`` if it does not run."""
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, errors="replace", timeout=_ASK_DEADLINE_S,
            stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as failure:
        raise ProvisionFailed(f"{program} does not run: {failure}") from failure
    return parse_version(program, done.stdout + done.stderr)


def find_outside(program: str, configured: Path | None, say: Say) -> Program | None:
    """The configured program, else the machine's if it is new enough, else None."""
    ask = REQUIREMENTS[program].ask
    if configured is not None:
        version = ask_version(program, [str(configured), *ask])
        require(program, version, str(configured))
        return Program(program, (str(configured),), version, "configured")
    place = shutil.which(program) or shutil.which(program, path=_SYSTEM_PATH)
    if place is None:
        return None
    try:
        version = ask_version(program, [place, *ask])
        require(program, version, place)
    except ProgramTooOld as refusal:
        say(f"runtime: {refusal.message}; looking further")
        return None
    except ProvisionFailed:
        return None
    return Program(program, (place,), version, "machine")


def find_inside(program: str, prefix: Prefix) -> Program:
    """The prefix's program. Raises ``ProvisionFailed`` if it does not run, ``ProgramTooOld`` if refused."""
    version = ask_version(program, prefix.command(program, *REQUIREMENTS[program].ask))
    require(program, version, str(prefix.root))
    return Program(program, tuple(prefix.command(program)), version, "prefix")


def find_tools(settings: Settings, say: Say) -> Tools:
    """All programs that are there now, nothing fetched. Raises ``ProvisionFailed`` if one is missing."""
    return _tools(settings, say, lambda: find_prefix(settings.runtime_dir, machine_recipe()))


def provision(settings: Settings, say: Say, *, renew: bool = False) -> Tools:
    """All programs, with the private prefix fetched if any of them is not on the machine."""
    return _tools(
        settings,
        say,
        lambda: fetch_prefix(settings.runtime_dir, machine_recipe(), say, renew=renew),
    )


def _tools(settings: Settings, say: Say, get_prefix: Callable[[], Prefix | None]) -> Tools:
    configured = {
        "asterisk": settings.asterisk_bin,
        "redis-server": settings.redis_server_bin,
        "sipp": settings.sipp_bin,
        "espeak-ng": settings.espeak_ng_bin,
    }
    outside = {name: find_outside(name, path, say) for name, path in configured.items()}
    missing = [name for name, found in outside.items() if found is None]
    prefix = get_prefix() if missing else None
    if missing and prefix is None:
        raise ProvisionFailed(f"{', '.join(missing)}: not on this machine; run: patchbay runtime fetch")
    programs = {name: found for name, found in outside.items() if found is not None}
    if prefix is not None:
        programs |= {name: find_inside(name, prefix) for name in missing}
    return Tools(programs, prefix)


def describe(tools: Tools) -> list[str]:
    """One line per program for a person: name, version, where from."""
    return [line_of(program) for program in tools.programs.values()]


def line_of(program: Program) -> str:
    """One program for a person."""
    return f"{program.name} {show(program.version)} ({program.origin})"


def ffmpeg_program() -> str:
    """The recorder's encoder: one on the machine, else the one that comes with the package; empty: none."""
    found = shutil.which("ffmpeg")
    if found is not None:
        return found
    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError:  # why: what the package raises where it has none for this machine
        return ""
