"""A session of an agent, as what the gateway does around agents is given it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from voice_agents.core.record import SessionRecord, State

ULID = "01J00000000000000000000000"
SESSION = SessionRecord(
    id=f"ags_{ULID}",
    call_id=f"call_{ULID}",
    tenant="ten_1",
    agent_id="agt_1",
    agent_version=3,
    answered_by="agt_1",
    direction="inbound",
    dialect="native",
    state=State.TALKING,
    created_at=1_772_971_200.0,
)


def session(number: int = 0, **changes: Any) -> SessionRecord:
    """The session of this number; the same one each time."""
    return replace(SESSION, id=f"ags_{ULID[:-6]}{number:06d}", **changes)
