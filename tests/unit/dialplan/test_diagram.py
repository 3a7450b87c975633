"""The committed picture of the call machine is of this machine."""

from __future__ import annotations

import pytest

from dialplan.core.call import Rank
from dialplan.core.machine import JOINT_RULES
from tools.diagram import TARGET, Found, explore, page

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def found() -> Found:
    return explore()


def test_the_committed_page_is_current(found: Found) -> None:
    assert TARGET.read_text() == page(found), "run python -m tools.diagram"


def test_no_edge_leads_down(found: Found) -> None:
    assert found.edges
    assert all(end > start for start, _, end in found.edges)
    assert {end for _, _, end in found.edges} == set(Rank) - {Rank.NEW}


def test_every_rule_and_every_wait_is_told(found: Found) -> None:
    text = page(found)
    for rule in JOINT_RULES:
        assert rule.__doc__
        assert f"`{rule.__name__.lstrip('_')}`" in text
    names = {name for name, _ in found.waits}
    assert names == {
        "setup",
        "ring",
        "ask",
        "connect",
        "answer",
        "max_duration",
        "watchdog",
        "verdict",
        "linger",
        "again",
        "apology",
        "arranged",
        "move",
        "back",
        "left",
        "left_watchdog",
    }
