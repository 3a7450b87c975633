"""What a model is told it may do to its call, by what its agent is allowed."""

from __future__ import annotations

from typing import Any

import pytest

from voice_agents.core.agent import AgentSpec, DialectName
from voice_agents.wire.openai_session import TRANSFER, tools

pytestmark = pytest.mark.unit


def offered(*allow: str) -> Any:
    """The offer to transfer; None where there is none."""
    spec = AgentSpec("agt_1", 1, "ten_ours", "Desk", DialectName.OPENAI, transfer_allow=allow)
    return next((tool for tool in tools(spec, {}) if tool["name"] == TRANSFER), None)


def place(tool: Any) -> str:
    return str(tool["parameters"]["properties"]["to"]["description"])


def test_nowhere_to_go_no_offer() -> None:
    assert offered() is None


def test_rooms_are_spoken_of_where_some_can_be_reached() -> None:
    tool = offered("phone:desk", "room:*")
    assert "video room" in tool["description"]
    assert "room:ID" in place(tool)
    assert place(tool).endswith("it must fit one of: phone:desk, room:*.")


def test_rooms_are_not_spoken_of_elsewhere() -> None:
    tool = offered("phone:desk", "+44*")
    assert "room" not in tool["description"] + place(tool)
    assert place(tool) == "A number in E.164, or phone:NAME; it must fit one of: phone:desk, +44*."
