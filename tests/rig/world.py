"""What tests of the outside world share: the server programs of this machine, and simulated far ends."""

from __future__ import annotations

import functools
import os

import pytest

from gateway.config import Settings
from gateway.runtime.errors import ProvisionFailed
from gateway.runtime.programs import Tools, find_tools


@functools.cache
def tools() -> Tools:
    """The programs fetched for this machine. A test that needs them fails where they were not fetched."""
    try:
        return find_tools(Settings.from_env(os.environ), lambda _: None)
    except ProvisionFailed as failure:
        pytest.fail(f"the server programs are not there: {failure.message}")


def sipp_command() -> list[str]:
    """The argument list that runs SIPp on this machine."""
    return tools().command("sipp")
