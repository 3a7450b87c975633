"""The server programs: fetched into the private prefix if this machine has not got them yet."""

from __future__ import annotations

import os

import pytest

from gateway.config import Settings
from gateway.runtime.programs import Tools, provision
from tests.rig import world


@pytest.fixture(scope="session", autouse=True)
def fetched() -> Tools:
    found = provision(Settings.from_env(os.environ), print)
    world.tools.cache_clear()
    return found
