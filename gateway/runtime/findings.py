"""What a check found: fine, worth knowing, or wrong, and how to mend it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of ``patchbay doctor``. ``mend`` says what to do; empty where nothing is to be done."""

    name: str
    verdict: Verdict
    detail: str
    mend: str = ""


def ok(name: str, detail: str) -> Finding:
    return Finding(name, "ok", detail)


def warn(name: str, detail: str, mend: str) -> Finding:
    return Finding(name, "warn", detail, mend)


def fail(name: str, detail: str, mend: str) -> Finding:
    return Finding(name, "fail", detail, mend)


def exit_code(findings: Iterable[Finding]) -> int:
    """1 if anything is wrong, else 0; things worth knowing do not count."""
    return int(any(finding.verdict == "fail" for finding in findings))


def skew(name: str, theirs: float, asked: float, answered: float) -> Finding:
    """Compare a server's clock with ours (seconds since 1970), which it told between ``asked`` and
    ``answered``: a slow answer is no fault of a clock."""
    apart = theirs - min(max(theirs, asked), answered)
    detail = f"its clock is {apart:+.1f} s from ours"
    mend = "run a time service (chrony, systemd-timesyncd) on both machines"
    if abs(apart) > 30:
        return fail(name, detail, mend)
    return warn(name, detail, mend) if abs(apart) > 2 else ok(name, detail)


def space(name: str, free_octets: int) -> Finding:
    """Judge free disk space; an hour of a recorded call takes 115 MB (two channels, 16 bits, 8 kHz)."""
    detail = f"{free_octets / 1e9:.1f} GB free"
    if free_octets < 500e6:
        return fail(name, detail, "free some space: recordings and the database will soon fail")
    if free_octets < 5e9:
        return warn(
            name, detail, "an hour of a recorded call takes 115 MB; free some space or move the folder"
        )
    return ok(name, detail)
