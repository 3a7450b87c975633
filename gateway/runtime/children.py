"""Child processes: started, awaited by a named condition, restarted after a crash, stopped by their own id.

Each child runs in a process group of its own and dies with us (PR_SET_PDEATHSIG, prctl(2)). Signals are
sent only while the child is ours and not yet reaped, so a process id used again is never hit.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import random
import signal
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from gateway.runtime.backoff import backoff_s, failures_after
from gateway.runtime.errors import ChildFailed
from gateway.runtime.pidfile import PidFile

Phase = Literal["stopped", "starting", "running", "backing_off"]
_PR_SET_PDEATHSIG = 1
_LOG_LIMIT = 16 * 1024 * 1024
_LIBC = ctypes.CDLL(None, use_errno=True)
MINIMAL_ENV: Mapping[str, str] = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
"""Children get this and nothing else: our settings and secrets are not theirs."""


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """What to run, and what it means that it runs."""

    name: str
    argv: tuple[str, ...]
    cwd: Path
    log: Path
    ready: Callable[[], Awaitable[None]]
    """Returns once the child serves; it waits by itself, the deadline is kept outside."""
    ready_when: str
    """The condition in words, for the error: "answers PING"."""
    ready_deadline_s: float = 60.0
    stop_deadline_s: float = 10.0
    stop_with: tuple[signal.Signals, ...] = (signal.SIGTERM,)
    """Sent one after another, at once; SIGKILL follows after the deadline."""
    restart: bool = True
    env: Mapping[str, str] = field(default_factory=lambda: MINIMAL_ENV)


@dataclass(frozen=True, slots=True)
class ChildState:
    """A child at one moment. ``last_exit`` is the return code of its last end (negative: the signal)."""

    name: str
    phase: Phase = "stopped"
    pid: int | None = None
    restarts: int = 0
    last_exit: int | None = None


class Child:
    """One supervised child process. ``on_change`` hears every state, so a crash is never silent."""

    def __init__(
        self,
        spec: ChildSpec,
        *,
        on_change: Callable[[ChildState], None] = lambda state: None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.spec = spec
        self._on_change = on_change
        self._chance = chance
        self._state = ChildState(spec.name)
        self._changed = asyncio.Condition()
        self._process: asyncio.subprocess.Process | None = None
        self._watch: asyncio.Task[None] | None = None
        self._pid_file = PidFile(spec.log.with_suffix(".pid"))

    @property
    def state(self) -> ChildState:
        return self._state

    async def start(self) -> None:
        """Start and wait until ready. Raises ``ChildFailed`` with the tail of the log."""
        if self._watch is not None:
            raise ChildFailed(f"{self.spec.name} is started already")
        self._pid_file.end_orphan(self.spec.name)
        try:
            await self._launch()
        except BaseException:  # why: cancelled too, the process would live on
            await self._end_process()
            await self._set(phase="stopped", pid=None)
            raise
        self._watch = asyncio.create_task(self._supervise(), name=f"child {self.spec.name}")

    async def stop(self) -> None:
        """Ask it to end, then SIGKILL after the deadline; returns when the process is gone."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
            self._watch = None
        await self._end_process()
        await self._set(phase="stopped", pid=None)

    def kill(self) -> None:
        """SIGKILL at once; supervision goes on and starts it again if the spec says so."""
        self._signal(signal.SIGKILL)

    async def until(self, wanted: Callable[[ChildState], bool], deadline_s: float) -> ChildState:
        """Wait for a state. Raises ``TimeoutError`` past the deadline."""
        async with asyncio.timeout(deadline_s), self._changed:
            await self._changed.wait_for(lambda: wanted(self._state))
        return self._state

    def log_tail(self, lines: int = 15) -> str:
        """The last lines the child printed."""
        return tail(self.spec.log, lines)

    async def _launch(self) -> None:
        spec = self.spec
        await self._set(phase="starting")
        spec.log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        rotate(spec.log)
        with spec.log.open("ab") as log:
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *spec.argv, cwd=spec.cwd, env=dict(spec.env), stdin=asyncio.subprocess.DEVNULL,
                    stdout=log, stderr=log, start_new_session=True, preexec_fn=die_with(os.getpid()),
                )  # fmt: skip
            except OSError as failure:
                raise ChildFailed(f"{spec.name} cannot be run: {failure}") from failure
        self._pid_file.write(self._process.pid)
        await self._set(pid=self._process.pid)
        await self._wait_ready(self._process)
        await self._set(phase="running")

    async def _wait_ready(self, process: asyncio.subprocess.Process) -> None:
        spec = self.spec
        ready = asyncio.ensure_future(spec.ready())
        gone = asyncio.ensure_future(process.wait())
        try:
            await asyncio.wait(
                {ready, gone}, timeout=spec.ready_deadline_s, return_when=asyncio.FIRST_COMPLETED
            )
            if gone.done():
                trouble = f"ended with code {gone.result()} before it was ready"
            elif not ready.done():
                trouble = (
                    f"is not ready after {spec.ready_deadline_s:g} s (waited until it {spec.ready_when})"
                )
            else:
                failure = ready.exception()
                if failure is None:
                    return
                trouble = f"is not ready ({spec.ready_when}): {failure}"
            raise ChildFailed(f"{spec.name} {trouble}\n{self.log_tail()}")
        finally:
            for task in (ready, gone):
                task.cancel()
            await asyncio.gather(ready, gone, return_exceptions=True)

    async def _supervise(self) -> None:
        failures = 0
        while True:
            began = time.monotonic()
            process = self._process
            code = self._state.last_exit if process is None else await process.wait()
            self._process = None
            self._pid_file.remove()
            failures = failures_after(failures, time.monotonic() - began)
            again = self.spec.restart
            await self._set(phase="backing_off" if again else "stopped", pid=None, last_exit=code)
            if not again:
                return
            await asyncio.sleep(backoff_s(failures, self._chance()))
            await self._set(restarts=self._state.restarts + 1)
            try:
                await self._launch()
            except (ChildFailed, OSError):
                await self._end_process()

    async def _end_process(self) -> None:
        process = self._process
        if process is None:
            return
        for number in self.spec.stop_with:
            self._signal(number)
        try:
            async with asyncio.timeout(self.spec.stop_deadline_s):
                code = await process.wait()
        except TimeoutError:
            self._signal(signal.SIGKILL)
            code = await process.wait()
        self._process = None
        self._pid_file.remove()
        await self._set(last_exit=code)

    def _signal(self, number: signal.Signals) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)

    async def _set(self, **changes: object) -> None:
        self._state = replace(self._state, **changes)  # type: ignore[arg-type]
        self._on_change(self._state)
        async with self._changed:
            self._changed.notify_all()


def tail(log: Path, lines: int) -> str:
    """The last lines of a file; empty if there is none."""
    try:
        with log.open(errors="replace") as file:
            return "".join(deque(file, maxlen=lines)).rstrip()
    except OSError:
        return ""


def rotate(log: Path, limit: int = _LOG_LIMIT) -> None:
    """Put a log aside (``….1``) once it is over ``limit`` octets; one old one is kept."""
    if log.exists() and log.stat().st_size > limit:
        log.replace(log.with_name(log.name + ".1"))


def die_with(parent: int) -> Callable[[], None]:
    """What a child does between fork and exec: private files, and SIGTERM when ``parent`` is gone."""

    def prepare() -> None:
        end_with_parent()
        if os.getppid() != parent:
            os._exit(1)  # the parent died before prctl: nobody would ever stop us

    return prepare


def end_with_parent() -> None:
    """Make this process's files private, and have it told to end (SIGTERM) once its parent is gone."""
    os.umask(0o077)
    _LIBC.prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
