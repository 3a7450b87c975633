"""Recorded conversations between a session and an agent, as lines of JSON.

The first line is the agent. Every other is a step: what the session tells with the messages that says, or a
message of the agent with what that says and the messages that the dialect then owes. ``python -m
tests.rig.conversations FILE…`` writes down what follows from the steps now; read the difference before you
keep it.
"""

from __future__ import annotations

import json
import sys
from base64 import b64decode, b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from enum import Enum
from pathlib import Path
from typing import Any

from voice_agents.core import talk
from voice_agents.core.agent import AgentSpec, BargeIn, BargeMode, DialectName
from voice_agents.core.audio import Codec, codec_named
from voice_agents.core.talk import Reason, Told
from voice_agents.ports import Dialect, Wire
from voice_agents.wire.dialects import dialect_of

FOLDER = Path(__file__).parents[1] / "traces" / "agents"
Step = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Conversation:
    """``agent`` is what differs from an agent of no qualities."""

    agent: dict[str, Any]
    steps: list[Step]

    def dialect(self) -> Dialect:
        return dialect_of(spec_of(self.agent))


def load(path: Path) -> Conversation:
    agent, *steps = (json.loads(line) for line in path.read_text("utf-8").split("\n")[:-1])
    return Conversation(agent, steps)


def spec_of(agent: dict[str, Any]) -> AgentSpec:
    known = {"id": "agt_1", "version": 1, "tenant": "ten_1", "name": "An agent", "url": "ws://agent.test/"}
    more = {**known, **agent, "dialect": DialectName(agent["dialect"])}
    if "barge_in" in more:
        more["barge_in"] = BargeIn(BargeMode(more["barge_in"]))
    if "passed_on" in more:
        more["passed_on"] = json.dumps(more["passed_on"])
    return AgentSpec(**{name: _tupled(value) for name, value in more.items()})


def follow(conversation: Conversation) -> Iterator[tuple[Step, Step]]:
    """Every step as it was written down, and as it is now."""
    dialect = conversation.dialect()
    for step in conversation.steps:
        if "tell" in step:
            told = told_of(step["tell"])
            yield step, {"tell": step["tell"], "wire": wires([*dialect.tell(told), *dialect.owed()])}
        else:
            said = [spelt(one) for one in dialect.hear(wire_of(step["hear"]))]
            yield step, {"hear": step["hear"], "said": said, "wire": wires(dialect.owed())}


def spelt(word: Any) -> dict[str, Any]:
    """A Told or Said: its name and those of its fields that are not as usual."""
    shown = {
        one.name: _plain(getattr(word, one.name))
        for one in fields(word)
        if getattr(word, one.name) != one.default
    }
    return {type(word).__name__: shown}


def told_of(step: dict[str, Any]) -> Told:
    ((name, given),) = step.items()
    values = {field: _tupled(value) for field, value in given.items()}
    if "codec" in values:
        values["codec"] = codec_named(values["codec"])
    if "frame" in values:
        values["frame"] = b64decode(values["frame"]["base64"])
    if "reason" in values:
        values["reason"] = Reason(values["reason"])
    told: Told = getattr(talk, name)(**values)
    return told


def wires(messages: Sequence[Wire]) -> list[Any]:
    return [_plain(one) if isinstance(one, bytes) else json.loads(one) for one in messages]


def wire_of(message: Any) -> Wire:
    if isinstance(message, dict) and set(message) == {"base64"}:
        return b64decode(message["base64"])
    if isinstance(message, dict) and set(message) == {"text"}:
        return str(message["text"])
    return json.dumps(message)


def _plain(value: Any) -> Any:
    match value:
        case bytes():
            return {"base64": b64encode(value).decode()}
        case Codec():
            return value.asterisk
        case Enum():
            return value.value
        case tuple():
            return [_plain(one) for one in value]
    return value


def _tupled(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_tupled(one) for one in value)
    return value


def _write(path: Path) -> None:
    conversation = load(path)
    now = [conversation.agent, *(step for _, step in follow(conversation))]
    path.write_text("".join(json.dumps(line) + "\n" for line in now), "utf-8")


if __name__ == "__main__":
    for name in sys.argv[1:]:
        _write(Path(name))
