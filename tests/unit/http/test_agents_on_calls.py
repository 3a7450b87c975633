"""Calls with an agent over HTTP: the goodbye before the hang-up, and what is known of them."""

from typing import Any

import pytest

from dialplan.core.orders import Hangup
from telephony.ids import CallId, TenantId
from tests.unit.http.agent_sessions import ended_with_agent, with_agent
from tests.unit.http.rig import CALLS, Rig
from voice_agents.core.record import State

pytestmark = pytest.mark.unit


def _hang_ups(rig: Rig) -> int:
    return sum(isinstance(order, Hangup) for order in rig.switch.orders)


# ---------------------------------------------------------------- the end


@pytest.mark.parametrize(("query", "force"), [("", False), ("?force=true", True), ("?force=false", False)])
async def test_an_agent_is_told_before_the_call_is_hung_up(rig: Rig, query: str, force: bool):
    call_id = await with_agent(rig)
    before: list[int] = []
    rig.agents.on_end = lambda: before.append(_hang_ups(rig))
    answer = await rig.client.post(f"{CALLS}/{call_id}/hangup{query}")
    assert answer.data["status"] == "completed"
    assert rig.agents.asked == [("end", call_id, force, "api")]
    assert (before, _hang_ups(rig)) == ([0], 1)


async def test_anothers_agent_is_not_told_anything(rig: Rig):
    call_id = await with_agent(rig)
    answer = await rig.client.having(rig.keys["theirs"]).post(f"{CALLS}/{call_id}/hangup")
    assert (answer.status, rig.agents.asked) == (404, [])


async def test_an_agent_is_told_before_anything_is_read(rig: Rig, monkeypatch: pytest.MonkeyPatch):
    call_id = await with_agent(rig)
    read: list[int] = []
    get = rig.face.books.calls.get

    async def noted(tenant: TenantId, call: CallId):
        read.append(len(rig.agents.asked))
        return await get(tenant, call)

    monkeypatch.setattr(rig.face.books.calls, "get", noted)
    assert (await rig.client.post(f"{CALLS}/{call_id}/hangup")).data["status"] == "completed"
    assert read[0] == 1


async def test_a_call_without_an_agent_is_hung_up_as_ever(rig: Rig):
    call_id = await rig.answered()
    assert (await rig.client.post(f"{CALLS}/{call_id}/hangup")).data["status"] == "completed"
    assert rig.agents.asked == []


async def test_force_is_true_or_false(rig: Rig):
    call_id = await rig.answered()
    answer = await rig.client.post(f"{CALLS}/{call_id}/hangup?force=1")
    assert (answer.status, answer.field) == (422, "force")


async def test_the_same_key_for_a_forced_end_is_another_request(rig: Rig):
    call_id = await rig.ended()
    path, key = f"{CALLS}/{call_id}/hangup", {"Idempotency-Key": "k"}
    assert (await rig.client.post(path, None, key)).status == 200
    assert (await rig.client.post(f"{path}?force=true", None, key)).code == "IDEMPOTENCY_MISMATCH"


# ---------------------------------------------------------------- what is known of it


async def test_a_call_tells_of_its_agent(rig: Rig):
    call_id = await ended_with_agent(rig)
    shown = (await rig.client.get(f"{CALLS}/{call_id}")).data
    assert shown["agent"] == {
        "session_id": "ags_00000000000000000000000001",
        "agent_id": "agt_00000000000000000000000001",
        "agent_version": 2,
        "answered_by": "agt_00000000000000000000000001",
        "dialect": "native",
        "state": "ended",
        "started_at": "2026-03-08T12:00:00.000Z",
        "ready_at": None,
        "connected_at": "2026-03-08T12:00:01.000Z",
        "ended_at": "2026-03-08T12:00:31.500Z",
        "duration_seconds": 30.5,
        "reason": "api_hangup",
        "initiated_by": "api",
        "how": "farewell_heard",
        "agent_notified_at": "2026-03-08T12:00:30.020Z",
        "words_lost_ms": 0,
        "failure": None,
        "interruptions": 1,
        "tool_calls": 0,
        "first_sound_ms": 150,
    }
    assert shown["agent_summary"]["text"] == "Wants a call back at +14155552671."
    assert shown["agent_summary"]["by"] == "agent"


async def test_a_call_without_an_agent_says_so(rig: Rig):
    shown = (await rig.client.get(f"{CALLS}/{await rig.ended()}")).data
    assert (shown["agent"], shown["agent_summary"]) == (None, None)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "Agent agt_00000000000000000000000001 was on the call for 30 s until it ended: api_hangup."),
        (
            {"bridged_at": None, "evidence": None, "state": State.FAILED, "failure": "timeout"},
            "Agent agt_00000000000000000000000001 was not heard and failed: timeout.",
        ),
        (
            {"ended_at": None, "evidence": None, "state": State.TALKING},
            "Agent agt_00000000000000000000000001 is on the call: talking.",
        ),
    ],
)
async def test_a_summary_is_never_empty(rig: Rig, changes: dict[str, Any], text: str):
    call_id = await ended_with_agent(rig, summary="", summary_by="", **changes)
    summary = (await rig.client.get(f"{CALLS}/{call_id}")).data["agent_summary"]
    assert summary == {"text": text, "by": "gateway", "fields": {}}


async def test_numbers_in_a_summary_are_masked_without_the_scope(rig: Rig):
    call_id = await ended_with_agent(rig)
    summary = (await rig.as_role("viewer").get(f"{CALLS}/{call_id}")).data["agent_summary"]
    assert "4155552671" not in repr(summary)
    assert summary["fields"]["urgent"] is True
    assert summary["fields"]["n"] == 3


async def test_who_may_not_hear_a_call_does_not_read_it(rig: Rig):
    call_id = await ended_with_agent(rig)
    client = rig.as_role("billing")
    shown = (await client.get(f"{CALLS}/{call_id}")).data
    assert shown["agent"]["state"] == "ended"
    assert shown["agent_summary"] is None
    assert (await client.get(f"{CALLS}/{call_id}/transcript")).code == "INSUFFICIENT_PERMISSIONS"


async def test_while_it_goes_on_the_session_is_shown_as_it_stands(rig: Rig):
    call_id = await with_agent(rig)
    shown = (await rig.client.get(f"{CALLS}/{call_id}")).data
    assert (shown["agent"]["state"], shown["agent"]["ended_at"]) == ("talking", None)
