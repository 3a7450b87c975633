"""Telephones that are called into rooms: judged, counted and placed as every other call."""

import pytest

from tests.unit.http.masked import SESSIONS
from tests.unit.http.rig import FROM, OTHER, TO, Rig
from tests.unit.http.rooms_behind import KEPT, room_paths
from video_rooms.core.wishes import CallOut

pytestmark = pytest.mark.unit


async def _path(rig: Rig) -> str:
    return f"{KEPT}/{(await room_paths(rig.client))['id']}/participants"


async def test_a_telephone_is_called_and_is_on_the_roster_at_once(rig: Rig):
    path = await _path(rig)
    wanted = {"to": TO, "from": FROM, "display_name": "The driver", "ring_timeout": 20, "consent": False}
    answer = await rig.client.post(path, wanted)
    assert answer.status == 202, answer.body
    line = answer.data
    assert (line["display_name"], line["role"], line["status"]) == ("The driver", "phone", "pending")
    assert (line["joined_at"], line["left_at"]) == (None, None)
    assert rig.rooms.asked[-1] == CallOut(TO, "The driver", 20, consent=False)
    assert line in (await rig.client.get(path.removesuffix("/participants"))).data["participants"]
    call = (await rig.client.get(f"/api/v1/voice/calls/{line['call_id']}")).data
    assert (call["to"], call["from"], call["status"]) == (TO, FROM, "initiating")
    assert rig.director.live(line["call_id"]) is not None


async def test_left_out_it_is_as_usual_and_no_number_is_shown(rig: Rig):
    answer = await rig.client.post(await _path(rig), {"to": TO})
    assert answer.status == 202
    assert rig.rooms.asked[-1] == CallOut(TO)
    assert TO not in answer.body.decode()
    assert TO[1:] not in answer.body.decode()


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({}, "VALIDATION_ERROR", "to"),
        ({"to": ""}, "VALIDATION_ERROR", "to"),
        ({"to": "phone:"}, "VALIDATION_ERROR", "to"),
        ({"to": "phone:nobody"}, "VALIDATION_ERROR", "to"),
        ({"to": "12"}, "INVALID_PHONE_NUMBER", "to"),
        ({"to": "+911"}, "EMERGENCY_NUMBER", "to"),
        ({"to": "+19005550100"}, "PREMIUM_NUMBER", "to"),
        ({"to": "+4930123456"}, "COUNTRY_NOT_ALLOWED", "to"),
        ({"to": FROM}, "CALL_LOOP", "to"),
        ({"to": TO, "from": OTHER}, "NUMBER_NOT_OWNED", "from"),
        ({"to": TO, "display_name": ""}, "VALIDATION_ERROR", "display_name"),
        ({"to": TO, "display_name": "x" * 121}, "VALIDATION_ERROR", "display_name"),
        ({"to": TO, "ring_timeout": 4}, "VALIDATION_ERROR", "ring_timeout"),
        ({"to": TO, "ring_timeout": 301}, "VALIDATION_ERROR", "ring_timeout"),
        ({"to": TO, "consent": "yes"}, "VALIDATION_ERROR", "consent"),
        ({"to": TO, "sip": "x"}, "VALIDATION_ERROR", "sip"),
    ],
)
async def test_who_cannot_be_called_is_not(rig: Rig, fields: dict[str, object], code: str, field: str):
    answer = await rig.client.post(await _path(rig), fields)
    assert (answer.status, answer.code, answer.field) == (400, code, field), answer.body
    assert not rig.switch.orders


async def test_a_key_must_be_one_that_places_calls(rig: Rig):
    path = await _path(rig)
    rooms_alone = rig.client.having(await rig.key("owner", scopes=("video:read", "video:write")))
    answer = await rooms_alone.post(path, {"to": TO})
    assert (answer.status, answer.code) == (403, "INSUFFICIENT_PERMISSIONS")
    answer = await rig.client.having(rig.keys["test"]).post(path, {"to": TO})
    assert (answer.status, answer.code) == (403, "TEST_KEY")
    assert not rig.switch.orders


async def test_it_counts_as_placing_a_call(rig: Rig):
    path = await _path(rig)
    for _ in range(3):
        assert (await rig.client.post("/api/v1/voice/calls", {"to": "x"})).status == 422
    answer = await rig.client.post(path, {"to": TO})
    assert (answer.headers["x-ratelimit-limit"], answer.headers["x-ratelimit-remaining"]) == ("60", "56")


async def test_an_ended_room_calls_nobody(rig: Rig):
    path = await _path(rig)
    await rig.client.post(f"{path.removesuffix('/participants')}/end")
    answer = await rig.client.post(path, {"to": TO})
    assert (answer.status, answer.code) == (404, "NOT_FOUND")
    assert not rig.switch.orders


async def test_the_same_key_calls_once(rig: Rig):
    path, once = await _path(rig), {"Idempotency-Key": "one"}
    first = await rig.client.post(path, {"to": TO}, once)
    again = await rig.client.post(path, {"to": TO}, once)
    assert (again.status, again.body) == (202, first.body)
    assert (
        len([line for people in rig.rooms.people.values() for line in people.values() if line.call_id]) == 1
    )


# ---------------------------------------------------------------- agents


async def _agent(rig: Rig, **fields: object) -> str:
    return str((await rig.client.post("/api/v1/agents", {"name": "Desk", **fields})).data["id"])


async def test_an_agent_is_brought_in_by_a_call_whose_first_leg_is_the_room(rig: Rig):
    path, agent = await _path(rig), await _agent(rig)
    answer = await rig.client.post(path, {"agent_id": agent, "from": FROM})
    assert answer.status == 202, answer.body
    line = answer.data
    assert (line["display_name"], line["role"], line["status"]) == ("Desk", "agent", "pending")
    (told,) = rig.agents.prepared
    room_id = path.split("/")[-2]
    assert (told.call_id, told.agent_id, told.called) == (line["call_id"], agent, f"room:{room_id}")
    call = (await rig.client.get(f"/api/v1/voice/calls/{line['call_id']}")).data
    assert (call["to"], call["from"], call["agent_id"]) == (f"room:{room_id}", FROM, agent)
    assert call["room_id"] == room_id


@pytest.mark.parametrize("fields", [{"agent_id": "agt_1"}, {"agent_id": "x", "to": TO}])
async def test_who_is_no_agent_or_not_alone_is_not_brought(rig: Rig, fields: dict[str, object]):
    answer = await rig.client.post(await _path(rig), fields)
    assert (answer.status, answer.code) == (400, "VALIDATION_ERROR")
    assert not rig.switch.orders
    assert rig.agents.prepared == []


async def test_an_agent_that_takes_no_call_leaves_no_line(rig: Rig):
    path, agent = await _path(rig), await _agent(rig)
    rig.agents.full = True
    answer = await rig.client.post(path, {"agent_id": agent})
    assert (answer.status, answer.code) == (429, "CONCURRENCY_LIMIT")
    assert all(line.call_id is None for people in rig.rooms.people.values() for line in people.values())
    object.__setattr__(rig.face, "agent_calls", None)
    assert (await rig.client.post(path, {"agent_id": agent})).status == 503


# ---------------------------------------------------------------- parties of masking sessions


PARTY = {"party_a": TO, "party_b": "+14155552673"}


async def _session(rig: Rig, **fields: object) -> dict[str, object]:
    await rig.pool("+12025550301", "+12025550302", "+12025550303")
    return dict((await rig.client.post(SESSIONS, {**PARTY, **fields})).data)


async def test_a_sessions_party_is_called_from_its_proxy_number_and_stays_unknown(rig: Rig):
    path, session = await _path(rig), await _session(rig)
    wanted = {"session_id": session["id"], "party": "party_b", "ring_timeout": 20}
    answer = await rig.client.post(path, wanted)
    assert answer.status == 202, answer.body
    assert (answer.data["display_name"], answer.data["role"]) == ("Phone", "phone")
    assert "415555" not in answer.body.decode()
    assert rig.rooms.asked[-1] == CallOut("+14155552673", "Phone", 20)
    call = rig.director.live(answer.data["call_id"])
    assert call is not None
    terms = call.terms
    assert (terms.session_id, terms.seat, terms.to_seat, terms.private) == (session["id"], -1, 1, True)
    assert (terms.to_number, terms.from_number) == ("+14155552673", session["proxy_number_b"])
    assert rig.director.calls_of_session(str(session["id"])) == [call.id]
    named = await rig.client.post(path, wanted | {"party": "party_a", "display_name": "The buyer"})
    assert named.data["display_name"] == "The buyer"


@pytest.mark.parametrize(
    ("fields", "status", "field"),
    [
        ({"party": "party_b"}, 400, "to"),
        ({"session_id": "ses_1"}, 400, "party"),
        ({"session_id": "ses_1", "party": "party_c"}, 400, "party"),
        ({"session_id": "ses_1", "party": "party_b", "to": TO}, 400, "to"),
        ({"session_id": "ses_1", "party": "party_b", "agent_id": "agt_1"}, 400, "to"),
        ({"session_id": "ses_1", "party": "party_b", "from": FROM}, 400, "from"),
        ({"session_id": "x", "party": "party_b"}, 400, "session_id"),
        ({"session_id": "ses_01J00000000000000000000000", "party": "party_b"}, 400, "session_id"),
    ],
)
async def test_nobody_but_a_sessions_party_is_called_so(
    rig: Rig, fields: dict[str, object], status: int, field: str
):
    answer = await rig.client.post(await _path(rig), fields)
    assert (answer.status, answer.field) == (status, field), answer.body
    assert not rig.switch.orders


async def test_a_session_that_is_over_or_for_texts_or_with_an_agent_calls_nobody(rig: Rig):
    path, session = await _path(rig), await _session(rig)
    agent = f"agent:{await _agent(rig)}"
    body = {"session_id": session["id"], "party": "member_2"}
    assert (await rig.client.post(path, body)).status == 400, "a pair has no such member"
    texts = (await rig.client.post(SESSIONS, {"party_a": TO, "party_b": OTHER, "channels": ["sms"]})).data
    assert (await rig.client.post(path, {"session_id": texts["id"], "party": "party_a"})).status == 400
    with_agent = (await rig.client.post(SESSIONS, {"party_a": TO, "party_b": agent})).data
    assert (await rig.client.post(path, {"session_id": with_agent["id"], "party": "party_b"})).status == 400
    await rig.client.ask("DELETE", f"{SESSIONS}/{session['id']}")
    answer = await rig.client.post(path, body | {"party": "party_b"})
    assert (answer.status, answer.code) == (409, "SESSION_CLOSED")
    assert not rig.switch.orders
