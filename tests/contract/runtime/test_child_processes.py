"""Children as processes: readiness, deadlines, restarts, and never one left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest

from gateway.runtime import children
from gateway.runtime.children import Child, ChildSpec, ChildState
from gateway.runtime.errors import ChildFailed
from gateway.runtime.pidfile import identify

pytestmark = pytest.mark.contract

SAYS_READY = "import signal, sys; print('ready', flush=True); signal.pause()"
DEAF = (
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); signal.pause()"
)
PARENT = """
import asyncio, sys
from pathlib import Path
from gateway.runtime import children
from gateway.runtime.children import Child, ChildSpec

async def ready():
    pass

async def main():
    folder = Path(sys.argv[1])
    child = Child(ChildSpec("c", ("sleep", "600"), folder, folder / "c.log", ready, "is there"))
    await child.start()
    print(child.state.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def spec(
    folder: Path, code: str, ready: Callable[[], Awaitable[None]] | None = None, **more: object
) -> ChildSpec:
    log = folder / "child.log"

    async def printed_ready() -> None:
        while not (log.exists() and "ready" in log.read_text()):  # noqa: ASYNC110 - a file tells nobody
            await asyncio.sleep(0.01)

    fields: dict[str, object] = {
        "name": "child",
        "argv": (sys.executable, "-c", code),
        "cwd": folder,
        "log": log,
        "ready": ready or printed_ready,
        "ready_when": "says ready",
    }
    return ChildSpec(**(fields | more))  # type: ignore[arg-type]


def runs_again(restarts: int, state: ChildState) -> bool:
    return state.phase == "running" and state.restarts == restarts


async def gone(pid: int) -> None:
    """Wait until a process that is not our child has ended."""
    loop = asyncio.get_running_loop()
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    ended = asyncio.Event()
    loop.add_reader(watched, ended.set)
    try:
        await asyncio.wait_for(ended.wait(), 30)
    finally:
        loop.remove_reader(watched)
        os.close(watched)


async def test_stop_is_polite_first(tmp_path: Path) -> None:
    child = Child(spec(tmp_path, SAYS_READY))
    await child.start()
    await child.stop()
    assert child.state == ChildState("child", "stopped", None, 0, -signal.SIGTERM)


async def test_a_child_that_does_not_listen_is_killed_after_the_deadline(tmp_path: Path) -> None:
    child = Child(spec(tmp_path, DEAF, stop_deadline_s=0.2))
    await child.start()
    await child.stop()
    assert child.state.last_exit == -signal.SIGKILL


async def test_a_child_that_ends_at_once_is_an_error_with_its_last_words(tmp_path: Path) -> None:
    child = Child(spec(tmp_path, "import sys; sys.exit('no such port')"))
    with pytest.raises(ChildFailed, match=r"ended with code 1 before it was ready\nno such port"):
        await child.start()
    assert child.state.phase == "stopped"


async def test_a_child_that_is_never_ready_is_stopped_and_the_condition_named(tmp_path: Path) -> None:
    child = Child(spec(tmp_path, "import signal; signal.pause()", ready_deadline_s=0.3))
    with pytest.raises(ChildFailed, match=r"is not ready after 0\.3 s \(waited until it says ready"):
        await child.start()
    assert (child.state.phase, child.state.pid) == ("stopped", None)


async def test_a_program_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    child = Child(spec(tmp_path, "", argv=("/nonexistent/program",)))
    with pytest.raises(ChildFailed, match="cannot be run"):
        await child.start()


async def test_every_crash_is_told_and_counted(tmp_path: Path) -> None:
    told: list[ChildState] = []
    child = Child(spec(tmp_path, SAYS_READY), on_change=told.append, chance=lambda: 0.0)
    await child.start()
    try:
        for crash in (1, 2):
            child.kill()
            await child.until(partial(runs_again, crash), 60)
    finally:
        await child.stop()
    assert next(s.last_exit for s in told if s.phase == "backing_off") == -9
    assert told[-1].restarts == 2


async def test_stop_during_back_off_stays_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "backoff_s", lambda failures, chance: 600.0)
    child = Child(spec(tmp_path, SAYS_READY))
    await child.start()
    child.kill()
    await child.until(lambda s: s.phase == "backing_off", 30)
    await child.stop()
    assert (child.state.phase, child.state.pid) == ("stopped", None)


async def test_our_settings_and_secrets_do_not_reach_a_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATCHBAY_SIGNING_SECRET", "x" * 40)
    code = (
        "import os, signal; print('ready', sorted(os.environ), oct(os.umask(0)), flush=True); signal.pause()"
    )
    child = Child(spec(tmp_path, code))
    await child.start()
    await child.stop()
    printed = child.log_tail()
    assert "PATCHBAY" not in printed
    assert "0o77" in printed


async def test_a_child_dies_with_its_parent(tmp_path: Path) -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, str(tmp_path), stdout=asyncio.subprocess.PIPE, cwd=Path.cwd()
    )
    assert parent.stdout is not None
    pid = int(await asyncio.wait_for(parent.stdout.readline(), 60))
    assert identify(pid) is not None
    parent.kill()
    await parent.wait()
    await gone(pid)
    assert identify(pid) is None
