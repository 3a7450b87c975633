"""What every tier shares: a free port, and the rule that a test declares the tier it lives in."""

import socket

import pytest

from tests.architecture.rules import tier_fault


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
