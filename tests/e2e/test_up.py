"""``patchbay up`` as a person starts it: what it prints, what it survives, what it leaves behind: nothing."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from gateway.runtime.pidfile import PidFile, identify
from gateway.stack import answers, to_environment
from tests.rig.product import free_settings

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(480)]

ROOT = Path(__file__).parents[2]
NOTES = {
    "asterisk": "switch/log/asterisk.pid",
    "redis": "redis/redis.pid",
    "gateway": "log/gateway.pid",
}


class Up:
    """A running ``patchbay up``; ``lines`` is what it printed so far."""

    def __init__(self, process: asyncio.subprocess.Process, var: Path, environment: dict[str, str]) -> None:
        self.process, self.var, self.environment = process, var, environment
        self.lines: list[str] = []

    async def prints(self, wanted: str, within_s: float = 120.0) -> str:
        """Reads on until a line holds ``wanted``; that line. What was read before stays in ``lines``."""
        assert self.process.stdout is not None
        try:
            async with asyncio.timeout(within_s):
                while True:
                    line = (await self.process.stdout.readline()).decode()
                    assert line, f"it ended before it printed {wanted!r}: {self.lines}"
                    self.lines.append(line.rstrip())
                    if wanted in line:
                        return self.lines[-1]
        except TimeoutError:
            raise AssertionError(f"{wanted!r} was not printed: {self.lines}") from None

    def told(self, name: str) -> str:
        """The value that stands behind a name, e.g. ``key``."""
        return next(line.split(None, 1)[1] for line in self.lines if line.startswith(f"{name} "))

    def children(self) -> dict[str, int]:
        """The process ids of the servers, by name."""
        found = {name: PidFile(self.var / note).read() for name, note in NOTES.items()}
        return {name: known.pid for name, known in found.items() if known is not None}

    async def ends(self, within_s: float = 120.0) -> int:
        """Its exit code. Each server has a limit of its own to end in, 45 s in all."""
        assert self.process.stdout is not None
        rest = await asyncio.wait_for(self.process.stdout.read(), within_s)
        self.lines += rest.decode().splitlines()
        return await asyncio.wait_for(self.process.wait(), within_s)


def at_work_in(folder: Path) -> dict[int, str]:
    """Processes by id that have this folder in their command line, their environment or as where they are."""
    found: dict[int, str] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (entry / "cmdline").read_bytes()
            place = os.readlink(entry / "cwd").encode()
            if str(folder).encode() in b"\0".join((words, (entry / "environ").read_bytes(), place)):
                found[int(entry.name)] = words.replace(b"\0", b" ").decode(errors="replace")
    return found


async def gone(running: Up, pids: dict[str, int], within_s: float = 90.0) -> None:
    """Wait until none of these processes is left, nor any other that works in the folder."""
    left: dict[int, str] = {}
    try:
        async with asyncio.timeout(within_s):
            while True:
                left = {pid: name for name, pid in pids.items() if identify(pid) is not None}
                left |= at_work_in(running.var)
                if not left:
                    return
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"still there after {within_s} s: {left}") from None


@pytest_asyncio.fixture(loop_scope="session")
async def environment(tmp_path: Path) -> dict[str, str]:
    """Free ports and a folder of this test's own; nothing else of the caller's settings."""
    settings = free_settings(tmp_path / "var")
    own = {
        "PATCHBAY_SIP_PORT": str(settings.sip_port),
        "PATCHBAY_RTP_PORT_MIN": str(settings.rtp_port_min),
        "PATCHBAY_RTP_PORT_MAX": str(settings.rtp_port_max),
        "PATCHBAY_AMI_PORT": str(settings.ami_port),
    }
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {**kept, **to_environment(settings), **own, "PYTHONUNBUFFERED": "1"}


@asynccontextmanager
async def up(environment: dict[str, str]) -> AsyncIterator[Up]:
    """Start it, and wait until it has said all it says."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway.cli", "up"),
        cwd=ROOT,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    running = Up(process, Path(environment["PATCHBAY_VAR_DIR"]), environment)
    try:
        await running.prints("Ctrl-C stops everything")
        yield running
    finally:
        if process.returncode is None:
            process.terminate()
            await running.ends()


async def doctor(environment: dict[str, str]) -> tuple[int, dict[str, str]]:
    """Exit code, and each finding's verdict by name."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway.cli", "doctor", "--json"),
        cwd=ROOT,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
    )
    printed, _ = await asyncio.wait_for(process.communicate(), 120)
    told = json.loads(printed)
    assert process.returncode is not None
    assert told["healthy"] is (process.returncode == 0), told
    return process.returncode, {finding["name"]: finding["verdict"] for finding in told["findings"]}


async def numbers(running: Up, body: object = None) -> list[str]:
    """The numbers that are owned, after adding one."""
    headers = {"X-API-Key": running.told("key")}
    root = running.told("API").split()[0]
    async with aiohttp.ClientSession(headers=headers) as http:
        if body is not None:
            async with http.post(f"{root}/numbers", json=body) as response:
                assert response.status == 201, await response.text()
        async with http.get(f"{root}/numbers") as response:
            return [number["e164"] for number in (await response.json())["data"]]


async def test_it_says_where_everything_is_and_ends_clean(environment: dict[str, str]) -> None:
    async with up(environment) as running:
        root = f"http://127.0.0.1:{environment['PATCHBAY_API_PORT']}"
        assert running.told("API").split()[0] == f"{root}/api/v1"
        assert re.fullmatch(r"pb_live_sk_\w+", running.told("key"))
        assert running.told("docs") == f"{root}/docs"
        assert running.told("SIP").startswith(f"127.0.0.1:{environment['PATCHBAY_SIP_PORT']} ")
        async with aiohttp.ClientSession() as http:
            for path in ("/readyz", "/docs", "/metrics"):
                async with http.get(root + path) as response:
                    assert response.status == 200, path
        assert await numbers(running, {"e164": "+12025550100"}) == ["+12025550100"]
        code, verdicts = await doctor(environment)
        assert code == 0, verdicts
        assert "fail" not in verdicts.values()
        assert {"ok"} == {
            verdict for name, verdict in verdicts.items() if name.startswith(("switch", "redis"))
        }
        children = running.children()
        assert sorted(children) == sorted(NOTES)
        assert {*children.values(), running.process.pid} <= at_work_in(running.var).keys()
        running.process.send_signal(signal.SIGTERM)
        assert await running.ends() == 0
        await gone(running, children)
    assert running.lines[-1] == "stopping"

    key = running.told("key")
    async with up(environment) as again:
        assert again.told("key") == key
        assert await numbers(again) == ["+12025550100"]


async def test_a_gateway_that_is_killed_comes_back_and_it_is_told(environment: dict[str, str]) -> None:
    async with up(environment) as running:
        before = running.children()
        os.kill(before["gateway"], signal.SIGKILL)
        assert "last exit -9" in await running.prints("gateway: backing_off")
        await running.prints("gateway: running, restarts 1")
        async with asyncio.timeout(60):
            await answers(f"http://127.0.0.1:{environment['PATCHBAY_API_PORT']}/readyz")
        after = running.children()
        assert after["gateway"] != before["gateway"]
        assert (after["asterisk"], after["redis"]) == (before["asterisk"], before["redis"])


async def test_when_it_is_killed_itself_nothing_is_left(environment: dict[str, str]) -> None:
    async with up(environment) as running:
        children = running.children()
        assert sorted(children) == sorted(NOTES)
        running.process.kill()
        await gone(running, children)
        await running.ends()
    async with up(environment) as again:
        assert sorted(again.children()) == sorted(NOTES)


async def test_a_second_one_in_the_same_folder_says_why_it_cannot(environment: dict[str, str]) -> None:
    async with up(environment) as running:
        children = running.children()
        second = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway.cli", "up"),
            cwd=ROOT,
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        printed, _ = await asyncio.wait_for(second.communicate(), 120)
        assert second.returncode == 1, printed
        assert b"runs already as process" in printed
        assert b"Traceback" not in printed
        assert running.children() == children
        assert all(identify(pid) is not None for pid in children.values())
