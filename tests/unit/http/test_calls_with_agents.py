"""Calls and numbers that an agent shall take: known, not archived, pinned to a version, told in time."""

from typing import Any

import pytest

from telephony.errors import SwitchUnavailable
from tests.unit.http.rig import CALLS, FROM, TO, Rig

pytestmark = pytest.mark.unit

AGENTS, NUMBERS = "/api/v1/agents", "/api/v1/numbers"


async def _agent(rig: Rig, **fields: Any) -> str:
    return str((await rig.client.post(AGENTS, {"name": "Desk", **fields})).data["id"])


async def test_a_call_is_placed_with_an_agent_in_its_newest_version(rig: Rig):
    agent = await _agent(rig)
    await rig.client.ask("PATCH", f"{AGENTS}/{agent}", {"model": "large"})
    placed = await rig.place(agent_id=agent, metadata={"order": "7"}, max_duration=120, ring_timeout=20)
    assert (placed["agent_id"], placed["status"]) == (agent, "initiating")
    (told,) = rig.agents.prepared
    assert (told.call_id, told.agent_id, told.agent_version) == (placed["id"], agent, 2)
    assert (told.direction, told.caller, told.called) == ("outbound", FROM, TO)
    assert told.metadata == (("order", "7"),)
    assert (told.max_duration_s, told.longest_s, told.media_within_s) == (120, 120, 50.0)
    call = rig.director.live(placed["id"])
    assert call is not None
    assert (call.terms.agent_id, call.terms.agent_version) == (agent, 2)
    assert call.terms.max_duration_s == 180
    assert not call.terms.record
    assert rig.agents.forgotten == []


async def test_an_agent_whose_calls_are_recorded_has_this_one_recorded(rig: Rig):
    placed = await rig.place(agent_id=await _agent(rig, record=True))
    assert placed["record"] is True
    (told,) = rig.agents.prepared
    assert told.max_duration_s == 0


async def test_an_agent_that_may_talk_for_longer_than_calls_last_is_told_so_in_time(rig: Rig):
    placed = await rig.place(agent_id=await _agent(rig, max_duration=14_400))
    (told,) = rig.agents.prepared
    call = rig.director.live(placed["id"])
    assert call is not None
    assert told.longest_s == rig.face.settings.max_call_s
    assert told.lasts_s(14_400) == told.longest_s < call.terms.max_duration_s


async def test_who_is_no_agent_of_ours_takes_no_call(rig: Rig):
    theirs = (await rig.client.having(rig.keys["theirs"]).post(AGENTS, {"name": "Desk"})).data["id"]
    for unknown in ("agt_1", "agt_" + "0" * 26, theirs, "../x"):
        for path in (CALLS, f"{CALLS}:check"):
            answer = await rig.client.post(path, {"to": TO, "from": FROM, "agent_id": unknown})
            assert (answer.status, answer.code, answer.field) == (422, "VALIDATION_ERROR", "agent_id")
    archived = await _agent(rig)
    await rig.client.ask("DELETE", f"{AGENTS}/{archived}")
    answer = await rig.client.post(CALLS, {"to": TO, "from": FROM, "agent_id": archived})
    assert (answer.status, answer.code) == (409, "AGENT_ARCHIVED")
    assert rig.agents.prepared == []


async def test_no_agent_is_called_for_a_call_that_is_refused(rig: Rig):
    agent = await _agent(rig)
    for body in ({"to": "+19005551234", "from": FROM}, {"to": TO, "from": "+12025550199"}):
        assert (await rig.client.post(CALLS, {**body, "agent_id": agent})).status == 422
    test = rig.client.having(rig.keys["test"])
    assert (await test.post(CALLS, {"to": TO, "from": FROM, "agent_id": agent})).code == "TEST_KEY"
    answer = await rig.client.post(
        CALLS, {"to": TO, "from": FROM, "agent_id": agent, "connect_to": "phone:bob"}
    )
    assert (answer.status, answer.code) == (422, "VALIDATION_ERROR")
    assert rig.agents.prepared == []


async def test_an_agent_that_is_full_takes_no_call(rig: Rig):
    rig.agents.full = True
    answer = await rig.client.post(CALLS, {"to": TO, "from": FROM, "agent_id": await _agent(rig)})
    assert (answer.status, answer.code) == (429, "CONCURRENCY_LIMIT")
    assert not rig.switch.orders


async def test_an_agent_is_not_kept_waiting_for_a_call_that_could_not_be_placed(rig: Rig):
    async def away(*_: object) -> None:
        raise SwitchUnavailable

    rig.director.place = away
    answer = await rig.client.post(CALLS, {"to": TO, "from": FROM, "agent_id": await _agent(rig)})
    assert answer.status == 503
    assert rig.agents.forgotten == [rig.agents.prepared[0].call_id]


async def test_without_agents_set_up_no_call_has_one(rig: Rig):
    agent = await _agent(rig)
    object.__setattr__(rig.face, "agent_calls", None)
    answer = await rig.client.post(CALLS, {"to": TO, "from": FROM, "agent_id": agent})
    assert (answer.status, answer.code) == (503, "SERVICE_UNAVAILABLE")


async def test_a_number_leads_to_an_agent(rig: Rig):
    agent = await _agent(rig)
    route = {"type": "agent", "agent_id": agent}
    made = (await rig.client.post(NUMBERS, {"e164": "+12025550155", "route": route})).data
    assert {name: value for name, value in made["route"].items() if value is not None} == route
    assert rig.number_changes
    changed = await rig.client.ask("PATCH", f"{NUMBERS}/{made['id']}", {"route": {"type": "hold"}})
    assert changed.data["route"]["type"] == "hold"
    again = (await rig.client.ask("PATCH", f"{NUMBERS}/{made['id']}", {"route": route})).data
    assert again["route"]["agent_id"] == agent


async def test_a_number_leads_to_no_agent_that_takes_no_calls(rig: Rig):
    archived = await _agent(rig)
    await rig.client.ask("DELETE", f"{AGENTS}/{archived}")
    for agent, status, code in (("agt_1", 422, "VALIDATION_ERROR"), (archived, 409, "AGENT_ARCHIVED")):
        route = {"type": "agent", "agent_id": agent}
        answer = await rig.client.post(NUMBERS, {"e164": "+12025550155", "route": route})
        assert (answer.status, answer.code) == (status, code)
    answer = await rig.client.post(NUMBERS, {"e164": "+12025550155", "route": {"type": "agent"}})
    assert (answer.code, answer.field) == ("MISSING_REQUIRED_FIELD", "route.agent_id")
