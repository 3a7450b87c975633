"""What every tier shares: a free port, and the rule that a test declares the tier it lives in."""

from __future__ import annotations

import atexit
import gc
import os
import socket
import sys
from collections.abc import AsyncIterator, Generator
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests.architecture.rules import tier_fault

if TYPE_CHECKING:
    from tests.rig.livekit import LiveKitRig


settings.register_profile(
    "patchbay", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("patchbay")
"""Examples are the same in every run, and none of them is a test of the machine's speed."""


@pytest.fixture
def free_port() -> int:
    """A loopback TCP port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Refuse to run a module whose ``pytestmark`` is not the tier of its folder."""
    faults = set()
    for module in {found for item in items if (found := item.getparent(pytest.Module)) is not None}:
        declared = getattr(module.obj, "pytestmark", [])
        marks = declared if isinstance(declared, list) else [declared]
        faults.add(tier_fault(module.path.relative_to(config.rootpath), [mark.name for mark in marks]))
    if found := sorted(fault for fault in faults if fault is not None):
        raise pytest.UsageError("\n".join(found))


_STATUS = pytest.StashKey[int]()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    session.config.stash[_STATUS] = int(exitstatus)


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop() -> Generator[None, object, object]:
    """What tests left for the collector goes here and not later: plugins import modules of theirs when all
    tests have passed, and CPython 3.11 fails at that ("AST constructor recursion depth mismatch") where an
    object that complains of its end is collected in the middle of it."""
    result = yield
    gc.collect()
    return result


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave without taking the interpreter down, where LiveKit's library is in the process: a thread of it
    that reports to Python just then aborts the process, once in a dozen runs, after every test has passed."""
    if "livekit.rtc" in sys.modules and _STATUS in config.stash:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(config.stash[_STATUS])


@pytest.fixture(scope="session")
async def livekit(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LiveKitRig]:
    """A real LiveKit server, one for the whole run; skips where there is none, and says why."""
    from tests.rig.livekit import running_livekit  # why here: only those who ask for it pay for its imports

    async with running_livekit(tmp_path_factory.mktemp("livekit")) as rig:
        yield rig


@pytest.fixture(scope="session")
async def livekit_with_redis(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LiveKitRig]:
    """The same with a Redis behind it, without which it knows nothing of SIP. Whoever makes trunks and rules
    there takes them away."""
    from tests.rig.livekit import running_livekit
    from tests.rig.redis_port import redis_on_a_port

    folder = tmp_path_factory.mktemp("livekit-redis")
    async with redis_on_a_port(folder / "redis") as redis, running_livekit(folder, redis=redis) as rig:
        yield rig
