"""What became of a conversation, in a few lines: the agent's own words where it gave any, else what the
record shows. Never empty. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence

from voice_agents.core.record import Evidence, Figures
from voice_agents.core.talk import Summary
from voice_agents.core.transcript import Turn

_LONGEST = 20_000
_QUOTE = 160


def summary(
    own: Summary | None, turns: Sequence[Turn], evidence: Evidence | None, duration_ms: int, figures: Figures
) -> tuple[str, str, str]:
    """The text, who wrote it (``agent`` or ``gateway``), and JSON text of an object of fields."""
    if own is not None and own.text.strip():
        return own.text.strip()[:_LONGEST], "agent", _fields(own.fields)
    fields = _facts(turns, evidence, duration_ms, figures)
    return _sentences(turns, fields), "gateway", json.dumps(fields, ensure_ascii=False)


def _fields(text: str) -> str:
    """JSON text of an object, whatever the agent sent."""
    try:
        found = json.loads(text)
    except ValueError:
        return "{}"
    return text if isinstance(found, dict) and len(text) <= _LONGEST else "{}"


def _facts(
    turns: Sequence[Turn], evidence: Evidence | None, duration_ms: int, figures: Figures
) -> dict[str, str | int | list[str]]:
    tools = [
        f"{use.name} ({'ok' if use.ok else use.error or 'failed'})" for turn in turns for use in turn.tools
    ]
    return {
        "duration_s": round(duration_ms / 1000),
        "caller_turns": sum(turn.role == "caller" for turn in turns),
        "agent_turns": sum(turn.role == "agent" for turn in turns),
        "interruptions": figures.interruptions,
        "tools": tools,
        "end_reason": "unknown" if evidence is None else str(evidence.reason),
        "ended_by": "unknown" if evidence is None else evidence.initiated_by,
        "how": "unknown" if evidence is None or evidence.how is None else str(evidence.how),
    }


def _sentences(turns: Sequence[Turn], fields: dict[str, str | int | list[str]]) -> str:
    said = [
        f"The conversation lasted {fields['duration_s']} s: {fields['caller_turns']} turns of the caller, "
        f"{fields['agent_turns']} of the agent, {fields['interruptions']} interruptions."
    ]
    for role, when, turn in _quotes(turns):
        said.append(f"The {role}'s {when} words: “{turn}”")
    tools = fields["tools"]
    if isinstance(tools, list) and tools:
        said.append(f"Tools used: {', '.join(tools)}.")
    said.append(f"It ended by {fields['ended_by']}, reason {fields['end_reason']}, {fields['how']}.")
    return "\n".join(said)


def _quotes(turns: Sequence[Turn]) -> list[tuple[str, str, str]]:
    """The first and the last thing that each side was heard to say."""
    found: list[tuple[str, str, str]] = []
    for role in ("caller", "agent"):
        heard = [" ".join(turn.heard.split()) for turn in turns if turn.role == role and turn.heard.strip()]
        if heard:
            found.append((role, "first", _short(heard[0])))
        if len(heard) > 1:
            found.append((role, "last", _short(heard[-1])))
    return found


def _short(text: str) -> str:
    return text if len(text) <= _QUOTE else text[: _QUOTE - 1].rsplit(" ", 1)[0] + "…"
