"""Which versions of the servers are good enough, and why older ones are refused."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gateway.runtime.errors import ProgramTooOld, ProvisionFailed

Version = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Requirement:
    """The least version of a program, how to ask the program for it, and the reason for the limit.
    ``package``: Debian's name for it; empty: Debian has none."""

    program: str
    package: str
    ask: tuple[str, ...]
    pattern: str
    least: Version
    reason: str


REQUIREMENTS = {
    r.program: r
    for r in (
        Requirement(
            "asterisk", "asterisk", ("-V",), r"Asterisk (?:certified[/-])?(\d+(?:\.\d+)*)", (22, 10, 1),
            "22.10.1 is the security release of 2026-06-25; older ones have published remote holes",
        ),
        Requirement(
            "redis-server", "redis-server", ("--version",), r"v=(\d+(?:\.\d+)*)", (7, 0),
            "functions (FUNCTION LOAD, FCALL) exist since Redis 7.0",
        ),
        Requirement(
            "sipp", "sip-tester", ("-v",), r"SIPp v(\d+(?:\.\d+)*)", (3, 7),
            "the simulated phones use RTP streams of SIPp 3.7 and newer",
        ),
        Requirement(
            "espeak-ng", "espeak-ng", ("--version",), r"text-to-speech:\s*(\d+(?:\.\d+)*)", (1, 50),
            "1.50 is the oldest release tried",
        ),
        Requirement(
            "livekit-server", "", ("--version",), r"version v?(\d+(?:\.\d+)*)", (1, 13),
            "1.13 is the oldest release tried",
        ),
    )
}  # fmt: skip


def parse_version(program: str, output: str) -> Version:
    """The version in what a program printed. Raises ``ProvisionFailed`` if there is none."""
    match = re.search(REQUIREMENTS[program].pattern, output)
    if match is None:
        shown = output.strip().splitlines()[0][:120] if output.strip() else "nothing"
        raise ProvisionFailed(f"{program} does not tell its version (it said: {shown})")
    return tuple(int(part) for part in match[1].split("."))


def show(version: Version) -> str:
    return ".".join(str(part) for part in version)


def require(program: str, version: Version, where: str) -> None:
    """Raise ``ProgramTooOld``, with the reason, if ``version`` of ``program`` is refused."""
    needed = REQUIREMENTS[program]
    if version < needed.least:
        raise ProgramTooOld(
            f"{program} {show(version)} at {where} is refused: {show(needed.least)} or newer is needed, "
            f"because {needed.reason}"
        )
