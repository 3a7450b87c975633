"""Calls with an agent behind the face: made-up sessions, live or on record."""

from dataclasses import replace
from typing import Any

from telephony.ids import CallId
from tests.unit.http.asgi import Client
from tests.unit.http.rig import OURS, Rig
from voice_agents.core.control_token import Control, issue
from voice_agents.core.record import Evidence, Figures, How, SessionRecord, State
from voice_agents.core.talk import Reason
from voice_agents.core.transcript import Turn

SAID = (
    Turn("agent", "Hello, this is the front desk.", "Hello, this is", 0, 900, interrupted=True),
    Turn(
        "caller",
        "I am at +1 415 555 2671 <now>",
        "I am at +1 415 555 2671 <now>",
        800,
        2500,
        source="gateway",
    ),
)


def session(call_id: str, **changes: Any) -> SessionRecord:
    made = SessionRecord(
        id="ags_00000000000000000000000001",
        call_id=call_id,
        tenant=OURS,
        agent_id="agt_00000000000000000000000001",
        agent_version=2,
        answered_by="agt_00000000000000000000000001",
        direction="outbound",
        dialect="native",
        state=State.TALKING,
        created_at=1_772_971_200.0,
        bridged_at=1_772_971_201.0,
        turns=SAID,
    )
    return replace(made, **changes)


ENDED = {
    "state": State.ENDED,
    "ended_at": 1_772_971_231.5,
    "evidence": Evidence(Reason.API, "api", 1_772_971_230.0, 1_772_971_230.02, How.FAREWELL_HEARD),
    "summary": "Wants a call back at +14155552671.",
    "summary_by": "agent",
    "summary_fields": '{"phone":"+14155552671","digits":14155552671,"urgent":true,"n":3,"d":["4155552671"]}',
    "figures": Figures(interruptions=1, first_sound_ms=150),
}


async def with_agent(rig: Rig, **changes: Any) -> str:
    call_id = await rig.answered()
    rig.agents.begin(session(call_id, **changes))
    return call_id


async def ended_with_agent(rig: Rig, **changes: Any) -> str:
    """A call that ended, with a session on record."""
    call_id = await rig.ended()
    await _mark(rig, call_id)
    await rig.face.books.sessions.save(session(call_id, **{**ENDED, **changes}))
    return call_id


async def _mark(rig: Rig, call_id: str) -> None:
    """The call's record says that an agent had it, as it does once calls are placed with one."""
    from gateway.storage.tables import CALLS as ROWS

    def work(conn: Any) -> None:
        conn.execute(
            ROWS.update().where(ROWS.c.id == call_id).values(agent_id="agt_00000000000000000000000001")
        )

    await rig.database.write(work)


def agents_own(rig: Rig, call_id: str) -> Client:
    ends = int(rig.clock.now()) + 600
    return rig.client.having(issue(rig.face.signing_secret, Control(OURS, CallId(call_id), ends)))
