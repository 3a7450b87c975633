"""Which process a child was, in a file, so that one left over from a crash is recognised and ended.

A process id alone may have been given to somebody else; id and start time together (proc(5), stat field
22) are one process.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from gateway.runtime.errors import ChildFailed

_GONE_DEADLINE_S = 10.0


@dataclass(frozen=True, slots=True)
class Identity:
    """One process: its id, when it started (clock ticks since boot), and who its parent was."""

    pid: int
    started: int
    parent: int


def identify(pid: int, proc: Path = Path("/proc")) -> Identity | None:
    """The process that has this id now; None if there is none (or only its unreaped remains)."""
    try:
        stat = (proc / str(pid) / "stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in ("Z", "X") else Identity(pid, int(fields[19]), int(fields[1]))


@dataclass(frozen=True, slots=True)
class PidFile:
    """The file beside a child's log."""

    path: Path

    def write(self, pid: int) -> None:
        found = identify(pid)
        if found is not None:
            self.path.write_text(f"{found.pid} {found.started} {found.parent}\n")

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)

    def read(self) -> Identity | None:
        try:
            pid, started, parent = (int(word) for word in self.path.read_text().split())
        except (OSError, ValueError):
            return None
        return Identity(pid, started, parent)

    def end_orphan(self, name: str) -> None:
        """End a child whose parent is gone. Raises ``ChildFailed`` if its parent still looks after it."""
        known = self.read()
        now = None if known is None else identify(known.pid)
        if known is None or now is None or now.started != known.started:
            self.remove()
            return
        if now.parent == known.parent:
            raise ChildFailed(
                f"{name} runs already as process {now.pid} of process {now.parent}; stop that one"
            )
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.kill(known.pid, number)
            if _wait_gone(known):
                self.remove()
                return
        raise ChildFailed(f"{name}: process {known.pid} is left over and cannot be ended")


def _wait_gone(known: Identity) -> bool:
    """Wait until the process is gone; it is not our child, so there is nothing to wait on but its name."""
    end = time.monotonic() + _GONE_DEADLINE_S
    while time.monotonic() < end:
        now = identify(known.pid)
        if now is None or now.started != known.started:
            return True
        time.sleep(0.02)
    return False
