"""What may be asked over HTTP of a call with an agent while it goes on, and by whom."""

from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from gateway.http.app import create_app
from tests.unit.http.agent_sessions import agents_own, session, with_agent
from tests.unit.http.asgi import Client
from tests.unit.http.rig import CALLS, FROM, TO, Rig
from tests.unit.http.rooms_behind import KEPT

pytestmark = pytest.mark.unit

VERBS = [
    ("mute", None, ("mute", True)),
    ("unmute", None, ("mute", False)),
    ("hold", None, ("hold", True)),
    ("unhold", {}, ("hold", False)),
    ("say", {"text": "One moment."}, ("say", "One moment.", True)),
    ("say", {"text": "Stay.", "interruptible": False}, ("say", "Stay.", False)),
    ("digits", {"digits": "12w#"}, ("digits", "12w#")),
    ("hand-back", None, ("hand_back",)),
]
SENDING = [
    ("transfer", {"to": "phone:alice"}, ("transfer", "phone:alice", 30)),
    ("take-over", {"to": TO, "ring_timeout": 10}, ("take_over", TO, 10)),
]


@pytest.mark.parametrize(("verb", "body", "asked"), [*VERBS, *SENDING])
async def test_each_verb_reaches_the_agents_call(rig: Rig, verb: str, body: Any, asked: tuple[Any, ...]):
    call_id = await with_agent(rig)
    answer = await rig.client.post(f"{CALLS}/{call_id}/agent/{verb}", body)
    assert answer.status == 200, answer.body
    name, *more = asked
    assert rig.agents.asked == [(name, call_id, *more)]
    if (verb, body, asked) in SENDING:
        assert answer.data == {"call_id": call_id, "to": body["to"], "outcome": "completed"}
    else:
        assert answer.data["state"] == ("held" if verb == "hold" else "talking")


@pytest.mark.parametrize(("verb", "body", "asked"), [*VERBS, *SENDING])
async def test_no_verb_does_anything_where_no_agent_is(rig: Rig, verb: str, body: Any, asked: Any):
    live, ended = await rig.answered(), await rig.ended()
    answer = await rig.client.post(f"{CALLS}/{live}/agent/{verb}", body)
    assert (answer.status, answer.code) == (409, "NO_AGENT_ON_CALL")
    answer = await rig.client.post(f"{CALLS}/{ended}/agent/{verb}", body)
    assert (answer.status, answer.code) == (409, "CALL_ENDED")
    rig.agents.begin(session(live))
    rig.agents.busy = True
    answer = await rig.client.post(f"{CALLS}/{live}/agent/{verb}", body)
    assert (answer.status, answer.code) == (409, "AGENT_STATE")
    assert rig.agents.asked == []


@pytest.mark.parametrize(
    ("to", "code"),
    [
        ("911", "EMERGENCY_NUMBER"),
        ("+19005551234", "PREMIUM_NUMBER"),
        ("+18765551234", "COUNTRY_NOT_ALLOWED"),
        (FROM, "CALL_LOOP"),
        ("phone:carol", "VALIDATION_ERROR"),
        ("SIP/evil", "INVALID_PHONE_NUMBER"),
    ],
)
@pytest.mark.parametrize("verb", ["transfer", "take-over"])
async def test_callers_are_sent_only_where_anybody_may_call(rig: Rig, verb: str, to: str, code: str):
    call_id = await with_agent(rig)
    answer = await rig.client.post(f"{CALLS}/{call_id}/agent/{verb}", {"to": to})
    assert (answer.status, answer.code, answer.field) == (422, code, "to")
    assert rig.agents.asked == []


async def test_an_agent_itself_sends_callers_only_where_its_list_lets_it(rig: Rig):
    agent = {"name": "Desk", "transfer_allow": [TO]}
    made = (await rig.client.post("/api/v1/agents", agent)).data
    call_id = await with_agent(rig, agent_id=made["id"], answered_by=made["id"], agent_version=1)
    await rig.client.ask("PATCH", f"/api/v1/agents/{made['id']}", {"transfer_allow": []})
    own = agents_own(rig, call_id)
    path = f"{CALLS}/{call_id}/agent/transfer"
    refused = await own.post(path, {"to": "phone:alice"})
    assert (refused.status, refused.code) == (403, "TRANSFER_NOT_ALLOWED")
    assert (await own.post(path, {"to": TO})).data["outcome"] == "completed"
    assert rig.agents.asked == [("transfer", call_id, TO, 30)]
    assert (await rig.client.post(path, {"to": "phone:alice"})).status == 200


async def test_a_standby_has_its_own_list(rig: Rig):
    first = (await rig.client.post("/api/v1/agents", {"name": "A", "transfer_allow": [TO]})).data
    second = (await rig.client.post("/api/v1/agents", {"name": "B"})).data
    call_id = await with_agent(rig, agent_id=first["id"], answered_by=second["id"], agent_version=1)
    answer = await agents_own(rig, call_id).post(f"{CALLS}/{call_id}/agent/transfer", {"to": TO})
    assert answer.code == "TRANSFER_NOT_ALLOWED"


async def _room(rig: Rig) -> str:
    return str((await rig.client.post(KEPT, {"name": "Stand-up"})).data["room_id"])


async def test_a_caller_is_sent_into_a_room_of_its_tenants(rig: Rig):
    room, call_id = await _room(rig), await with_agent(rig)
    answer = await rig.client.post(f"{CALLS}/{call_id}/agent/transfer", {"to": f"room:{room.upper()}"})
    assert answer.data == {"call_id": call_id, "to": f"room:{room}", "outcome": "completed"}
    assert rig.agents.asked == [("transfer", call_id, f"room:{room}", 30)]


@pytest.mark.parametrize("which", ["unknown", "ended", "theirs", "no id", "of a take-over"])
async def test_a_caller_is_sent_into_no_room_but_one_that_is_open(rig: Rig, which: str):
    room, call_id = await _room(rig), await with_agent(rig)
    verb, to = "transfer", f"room:{room}"
    match which:
        case "unknown":
            to = "room:11111111-1111-4111-8111-111111111111"
        case "ended":
            assert (await rig.client.post(f"{KEPT}/{room}/end")).status == 200
        case "theirs":
            theirs = await rig.client.having(rig.keys["theirs"]).post(KEPT, {"name": "Theirs"})
            to = f"room:{theirs.data['room_id']}"
        case "no id":
            to = "room:stand-up"
        case _:
            verb = "take-over"
    answer = await rig.client.post(f"{CALLS}/{call_id}/agent/{verb}", {"to": to})
    assert (answer.status, answer.field) == (422, "to")
    assert rig.agents.asked == []


async def test_rooms_are_entered_only_by_whoever_may_let_people_in(rig: Rig):
    room, call_id = await _room(rig), await with_agent(rig)
    narrow = rig.client.having(await rig.key("developer", scopes=("calls:read", "calls:write")))
    path = f"{CALLS}/{call_id}/agent/transfer"
    assert (await narrow.post(path, {"to": f"room:{room}"})).status == 403
    assert (await narrow.post(path, {"to": "phone:alice"})).status == 200


@pytest.mark.parametrize(("allow", "status"), [("room:*", 200), ("room:{}", 200), ("phone:*", 403)])
async def test_an_agent_itself_takes_callers_only_into_rooms_of_its_list(rig: Rig, allow: str, status: int):
    room = await _room(rig)
    agent = {"name": "Desk", "transfer_allow": [allow.format(room)]}
    made = (await rig.client.post("/api/v1/agents", agent)).data
    call_id = await with_agent(rig, agent_id=made["id"], answered_by=made["id"], agent_version=1)
    answer = await agents_own(rig, call_id).post(f"{CALLS}/{call_id}/agent/transfer", {"to": f"room:{room}"})
    assert answer.status == status
    assert len(rig.agents.asked) == (status == 200)
    if status == 403:
        assert answer.code == "TRANSFER_NOT_ALLOWED"


async def test_where_there_are_no_rooms_that_is_said(rig: Rig):
    call_id = await with_agent(rig)
    app = create_app(replace(rig.face, rooms=None, registry=CollectorRegistry()))
    to = "room:11111111-1111-4111-8111-111111111111"
    answer = await Client(app, rig.keys["owner"]).post(f"{CALLS}/{call_id}/agent/transfer", {"to": to})
    assert (answer.status, rig.agents.asked) == (503, [])


async def test_an_agent_ends_its_call_and_sees_no_address_of_its_tenant(rig: Rig):
    call_id = await rig.answered(webhook_url="https://example.com/secret-path")
    own = agents_own(rig, call_id)
    shown = (await own.get(f"{CALLS}/{call_id}")).data
    assert shown["webhook_url"] is None
    assert shown["to"] == "+141••••••71"
    rig.agents.begin(session(call_id))
    assert (await own.post(f"{CALLS}/{call_id}/hangup")).data["status"] == "completed"
    assert rig.agents.asked == [("end", call_id, False, "agent")]


async def test_an_agent_cannot_use_up_its_tenants_idempotency_keys(rig: Rig):
    call_id = await with_agent(rig)
    path, key = f"{CALLS}/{call_id}/agent/hold", {"Idempotency-Key": "orders-1"}
    assert (await agents_own(rig, call_id).post(path, None, key)).status == 200
    placed = await rig.client.post(CALLS, {"to": TO, "from": FROM}, key)
    assert placed.status == 201


async def test_without_agents_set_up_their_operations_say_so(rig: Rig):
    call_id = await rig.answered()
    object.__setattr__(rig.face, "agent_calls", None)
    answer = await rig.client.post(f"{CALLS}/{call_id}/agent/mute")
    assert (answer.status, answer.code) == (503, "SERVICE_UNAVAILABLE")
    assert (await rig.client.post(f"{CALLS}/{call_id}/hangup")).data["status"] == "completed"
