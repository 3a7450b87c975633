"""What the receptionist knows of its business, from the fields that are kept for the agent. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from voice_agents.core.agent import AgentSpec

_MOST_TEXT = 400
_MOST_DEPARTMENTS = 20


@dataclass(frozen=True, slots=True)
class Reception:
    """Texts are said as they stand; empty is not known. ``departments`` and ``operator`` are where they are
    reached: E.164 or ``phone:NAME``; whether the agent may transfer there is for its allow-list to say."""

    business: str = ""
    hours: str = ""
    address: str = ""
    departments: dict[str, str] = field(default_factory=dict)
    operator: str = ""
    takes_messages: bool = True


def reception_of(spec: AgentSpec) -> Reception:
    """Reads ``business_name``, ``hours``, ``address``, ``departments`` (name → where), ``operator`` and
    ``takes_messages`` of ``reception``, or of the agent's own fields. What is not of its kind counts as not
    given: a call is no place for a complaint."""
    kept = kept_fields(spec)
    reception = kept.get("reception")
    if isinstance(reception, dict):
        kept = reception
    asked = kept.get("departments")
    departments = {
        name: to
        for name, to in list(asked.items() if isinstance(asked, dict) else ())[:_MOST_DEPARTMENTS]
        if isinstance(to, str) and 0 < len(name) <= 40 and to
    }
    return Reception(
        business=_text(kept, "business_name"),
        hours=_text(kept, "hours"),
        address=_text(kept, "address"),
        departments=departments,
        operator=_text(kept, "operator"),
        takes_messages=kept.get("takes_messages") is not False,
    )


def kept_fields(spec: AgentSpec) -> dict[str, object]:
    """The fields that are kept for the agent; none where they cannot be read."""
    try:
        kept = json.loads(spec.passed_on)
    except ValueError:
        return {}
    return kept if isinstance(kept, dict) else {}


def _text(kept: dict[str, object], name: str) -> str:
    said = kept.get(name)
    return " ".join(said.split())[:_MOST_TEXT] if isinstance(said, str) else ""
