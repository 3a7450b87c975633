"""Who may do what: every operation of the route table, for every role, for strangers and for neighbours."""

from itertools import count
from typing import Any

import pytest

from gateway.auth import ROLE_SCOPES
from gateway.http.operation import OPEN, Operation
from gateway.http.orbit.carrier_hooks import CARRIER_HOOKS
from gateway.http.rooms import FACE_ROOMS
from gateway.http.system import room
from gateway.http.throttle import STRANGERS_PER_MINUTE
from gateway.http.twilio.routes import TWILIO
from gateway.storage.records import KeyRole
from telephony.ids import CallId
from tests.unit.http.masked import SESSIONS
from tests.unit.http.rig import FROM, OURS, ROLES, THEIRS, TO, Rig
from tests.unit.http.rooms_behind import PASSING, room_paths
from voice_agents.core.control_token import Control, issue

pytestmark = pytest.mark.unit

KEYED = [
    (placed.prefixes[0] + op.path, op)
    for placed in FACE_ROOMS
    for op in placed.operations
    if op.access != OPEN
]
WITHOUT_KEY = {
    "downloadRecording",
    "downloadRoomRecording",
    "downloadAttachment",
    "alive",
    "ready",
    "metrics",
    "openapi",
    "docs",
    "docsAsset",
    "twilioShowCall",  # HTTP Basic, checked by that face itself
    "twilioChangeCall",
    "redeemInvite",  # the invite's token is the credential
    "mediaServerReports",  # the media server's signature stands in
} | {
    op.name
    for op in CARRIER_HOOKS  # the carrier's signature stands in
}

FRESH, PEOPLE = count(10), count(3000)
ALLOWED: dict[str, set[str]] = {
    "createCall": {"owner", "admin", "developer"},
    "getCall": {"owner", "admin", "developer", "viewer", "billing"},
    "listCalls": {"owner", "admin", "developer", "viewer", "billing"},
    "hangUpCall": {"owner", "admin", "developer"},
    "listCallEvents": {"owner", "admin", "developer", "viewer", "billing"},
    "checkCall": {"owner", "admin", "developer", "viewer", "billing"},
    "listCallRecordings": {"owner", "admin", "developer", "viewer"},
    "startRecording": {"owner", "admin", "developer"},
    "stopRecording": {"owner", "admin", "developer"},
    "pauseRecording": {"owner", "admin", "developer"},
    "resumeRecording": {"owner", "admin", "developer"},
    "getRecording": {"owner", "admin", "developer", "viewer"},
    "deleteRecording": {"owner", "admin", "developer"},
    "addNumber": {"owner", "admin", "developer"},
    "listNumbers": {"owner", "admin", "developer", "viewer", "billing"},
    "getNumber": {"owner", "admin", "developer", "viewer", "billing"},
    "changeNumber": {"owner", "admin", "developer"},
    "removeNumber": {"owner", "admin", "developer"},
    "getTranscript": {"owner", "admin", "developer", "viewer"},
    "deleteTranscript": {"owner", "admin", "developer"},
    "muteAgent": {"owner", "admin", "developer"},
    "unmuteAgent": {"owner", "admin", "developer"},
    "holdCaller": {"owner", "admin", "developer"},
    "unholdCaller": {"owner", "admin", "developer"},
    "sayToCaller": {"owner", "admin", "developer"},
    "sendAgentDigits": {"owner", "admin", "developer"},
    "transferCaller": {"owner", "admin", "developer"},
    "takeOverCall": {"owner", "admin", "developer"},
    "handBackCall": {"owner", "admin", "developer"},
    "createAgent": {"owner", "admin", "developer"},
    "listAgents": {"owner", "admin", "developer", "viewer"},
    "getAgent": {"owner", "admin", "developer", "viewer"},
    "replaceAgent": {"owner", "admin", "developer"},
    "changeAgent": {"owner", "admin", "developer"},
    "archiveAgent": {"owner", "admin", "developer"},
    "listAgentVersions": {"owner", "admin", "developer", "viewer"},
    "rotateAgentSecret": {"owner", "admin", "developer"},
    "createKey": {"owner", "admin"},
    "listKeys": {"owner", "admin"},
    "revokeKey": {"owner", "admin"},
    "createWebhook": {"owner", "admin", "developer"},
    "listWebhooks": {"owner", "admin", "developer", "viewer"},
    "getWebhook": {"owner", "admin", "developer", "viewer"},
    "replaceWebhook": {"owner", "admin", "developer"},
    "changeWebhook": {"owner", "admin", "developer"},
    "removeWebhook": {"owner", "admin", "developer"},
    "testWebhook": {"owner", "admin", "developer"},
    "listWebhookDeliveries": {"owner", "admin", "developer", "viewer"},
    "rotateWebhookSecret": {"owner", "admin", "developer"},
    "replayFailed": {"owner", "admin", "developer"},
    "listDeliveries": {"owner", "admin", "developer", "viewer"},
    "replayDelivery": {"owner", "admin", "developer"},
    "getSigningSecret": {"owner", "admin", "developer"},
    "rotateSigningSecret": {"owner", "admin", "developer"},
    "openSession": {"owner", "admin", "developer"},
    "listSessions": {"owner", "admin", "developer", "viewer", "billing"},
    "getSession": {"owner", "admin", "developer", "viewer", "billing"},
    "changeSession": {"owner", "admin", "developer"},
    "closeSession": {"owner", "admin", "developer"},
    "listInteractions": {"owner", "admin", "developer", "viewer", "billing"},
    "getInteraction": {"owner", "admin", "developer", "viewer", "billing"},
    "deleteInteraction": {"owner", "admin", "developer"},
    "getPool": {"owner", "admin", "developer", "viewer", "billing"},
    "forecastPool": {"owner", "admin", "developer", "viewer", "billing"},
    "addPoolNumber": {"owner", "admin", "developer"},
    "changePoolNumber": {"owner", "admin", "developer"},
    "removePoolNumber": {"owner", "admin", "developer"},
    "getProxySettings": {"owner", "admin", "developer", "viewer", "billing"},
    "putProxySettings": {"owner", "admin", "developer"},
    "proxyInbound": {"owner", "admin", "developer"},
    "createRoom": {"owner", "admin", "developer"},
    "listRooms": {"owner", "admin", "developer", "viewer", "billing"},
    "getRoom": {"owner", "admin", "developer", "viewer", "billing"},
    "changeRoom": {"owner", "admin", "developer"},
    "joinRoom": {"owner", "admin", "developer", "viewer", "billing"},
    "endRoom": {"owner", "admin", "developer"},
    "startRoomRecording": {"owner", "admin", "developer"},
    "stopRoomRecording": {"owner", "admin", "developer"},
    "skipOccurrence": {"owner", "admin", "developer"},
    "moveOccurrence": {"owner", "admin", "developer"},
    "listOccurrences": {"owner", "admin", "developer", "viewer", "billing"},
    "listRoomRecordings": {"owner", "admin", "developer", "viewer", "billing"},
    "getRoomRecording": {"owner", "admin", "developer", "viewer", "billing"},
    "deleteRoomRecording": {"owner", "admin", "developer"},
    "getRoomCalendar": {"owner", "admin", "developer", "viewer", "billing"},
    "createInvite": {"owner", "admin", "developer"},
    "listInvites": {"owner", "admin", "developer", "viewer", "billing"},
    "revokeInvite": {"owner", "admin", "developer"},
    "kickParticipant": {"owner", "admin", "developer"},
    "muteParticipant": {"owner", "admin", "developer"},
    "admitParticipant": {"owner", "admin", "developer"},
    "callIntoRoom": {"owner", "admin", "developer"},
    "denyParticipant": {"owner", "admin", "developer"},
    "createAdhocRoom": {"owner", "admin", "developer"},
    "listAdhocRooms": {"owner", "admin", "developer", "viewer", "billing"},
    "getAdhocRoom": {"owner", "admin", "developer", "viewer", "billing"},
    "deleteAdhocRoom": {"owner", "admin", "developer"},
    "createAdhocToken": {"owner", "admin", "developer"},
}
"""Written by hand: the table of rights must agree with it, and a new operation needs a row."""


def test_every_operation_has_a_row():
    assert {op.name for _, op in KEYED} == set(ALLOWED)
    everything = (*FACE_ROOMS, TWILIO, room(b""))
    open_ones = {op.name for placed in everything for op in placed.operations if op.access == OPEN}
    assert open_ones == WITHOUT_KEY


def test_the_table_of_rights_agrees():
    for _, op in KEYED:
        may = {role.value for role, scopes in ROLE_SCOPES.items() if op.access in scopes}
        assert may == ALLOWED[op.name], op.name


def _body(op: Operation) -> dict[str, Any] | None:
    bodies: dict[str, dict[str, Any]] = {
        "createCall": {"to": TO, "from": FROM},
        "checkCall": {"to": TO, "from": FROM},
        "addNumber": {"e164": "+12025550155"},
        "createAgent": {"name": "Desk"},
        "sayToCaller": {"text": "Hello."},
        "sendAgentDigits": {"digits": "1"},
        "transferCaller": {"to": "phone:alice"},
        "takeOverCall": {"to": "phone:alice"},
        "replaceAgent": {"name": "Desk"},
        "createKey": {"name": "k", "role": "viewer"},
        "createWebhook": {"url": "https://example.com/h", "events": ["*"]},
        "replaceWebhook": {"url": "https://example.com/h", "events": ["*"]},
        "replayFailed": {"since": "2026-03-08T12:00:00Z"},
        "openSession": {"party_a": TO, "party_b": "phone:alice"},
        "addPoolNumber": {"e164": FROM},
        "proxyInbound": {"type": "call", "from": TO, "to": FROM},
        "createRoom": {"name": "Stand-up"},
        "changeRoom": {"duration_minutes": 30},
        "joinRoom": {"identity": "user_42"},
        "moveOccurrence": {"to": "2026-05-11T15:00:00Z"},
        "callIntoRoom": {"to": "phone:alice"},
        "createAdhocRoom": {"name": "quick-sync"},
        "createAdhocToken": {"participant_name": "Jane"},
    }
    return bodies.get(op.name, {}) if op.body is not None else None


async def _paths(rig: Rig) -> dict[str, str]:
    """An existing thing of ours for every parameter of a path."""
    call_id = await rig.ended(record=True)
    number = (await rig.own(f"+120255502{next(FRESH):02d}")).id
    hook = (await rig.client.post("/api/v1/webhooks", {"url": "https://a.example/", "events": ["*"]})).data[
        "id"
    ]
    delivery = (await rig.client.post(f"/api/v1/webhooks/{hook}/test")).data["delivery_id"]
    key = (await rig.client.post("/api/v1/settings/api-keys", {"name": "x", "role": "viewer"})).data["id"]
    session, interaction = await _session(rig)
    return {
        "session_id": session,
        "interaction_id": interaction,
        "call_id": call_id,
        "recording_id": f"{call_id}-1",
        "number_id": number,
        "agent_id": (await rig.client.post("/api/v1/agents", {"name": "Desk"})).data["id"],
        "webhook_id": hook,
        "delivery_id": delivery,
        "key_id": key,
        **await room_paths(rig.client),
    }


async def _session(rig: Rig) -> tuple[str, str]:
    """A masking session of ours, and a call of it."""
    if not await rig.masked.book.numbers():
        await rig.pool(*(f"+1202555030{n}" for n in range(2)), capabilities=["voice"])
    people = {"party_a": f"+1415555{next(PEOPLE)}", "party_b": f"+1415555{next(PEOPLE)}"}
    session = (await rig.client.post(SESSIONS, {**people, "channels": ["voice"]})).data["id"]
    return session, await rig.masked.interact(OURS, session, rig.clock.now())


@pytest.mark.parametrize("role", ROLES)
async def test_a_role_may_do_exactly_what_its_row_says(rig: Rig, role: str):
    client, paths = rig.as_role(role), await _paths(rig)
    for template, op in KEYED:
        answer = await client.ask(op.method, template.format(**paths), _body(op))
        if role in ALLOWED[op.name]:
            assert answer.status not in (401, 403), (op.name, answer.body)
            paths = await _paths(rig) if op.method == "DELETE" else paths
        else:
            assert (answer.status, answer.code) == (403, "INSUFFICIENT_PERMISSIONS"), op.name


async def test_without_a_key_nothing_opens(rig: Rig):
    paths = await _paths(rig)
    for place, (template, op) in enumerate(KEYED):
        if place % STRANGERS_PER_MINUTE == 0:
            rig.clock.advance(120)
        answer = await rig.client.having(None).ask(op.method, template.format(**paths), _body(op))
        assert (answer.status, answer.code) == (401, "UNAUTHORIZED"), op.name
        assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_a_neighbours_things_are_not_found(rig: Rig):
    """Every operation on a thing, asked by another tenant's owner: as if it were not there."""
    paths = await _paths(rig)
    neighbour = rig.client.having(rig.keys["theirs"])
    on_things = [(template, op) for template, op in KEYED if "{" in template]
    assert len(on_things) >= 20
    for template, op in on_things:
        answer = await neighbour.ask(op.method, template.format(**paths), _body(op))
        if op.name == "deleteAdhocRoom":  # what is not there is closed already
            assert answer.status == 200
            continue
        assert (answer.status, answer.code) == (404, "NOT_FOUND"), (op.name, answer.body)
    assert (await rig.client.get(f"{PASSING}/{paths['name']}")).status == 200


async def test_lists_hold_ones_own_things_alone(rig: Rig):
    await _paths(rig)
    neighbour = rig.client.having(rig.keys["theirs"])
    for template, op in KEYED:
        if op.paged and "{" not in template:
            answer = await neighbour.get(template)
            own = 1 if op.name == "listKeys" else 0  # the key it asks with
            told = answer.json if op.paged == "beside" else answer.json["meta"]
            assert told["pagination"]["total"] == own, op.name
            assert len(answer.data) == own


async def test_numbers_are_masked_without_the_scope(rig: Rig):
    call_id = await rig.ended()
    await rig.client.ask(
        "PATCH",
        f"/api/v1/numbers/{(await rig.client.get('/api/v1/numbers')).data[0]['id']}",
        {"route": {"type": "number", "number": "+14155552673"}},
    )
    for role in ROLES:
        client = rig.as_role(role)
        seen = [
            (await client.get(f"/api/v1/voice/calls/{call_id}")).body,
            (await client.get("/api/v1/voice/calls")).body,
            (await client.get(f"/api/v1/voice/calls/{call_id}/events")).body,
            (await client.get("/api/v1/numbers")).body,
        ]
        whole = "pii:read" in ROLE_SCOPES[KeyRole(role)]
        digits = (TO.encode(), FROM.encode(), b"+14155552673")
        assert any(number in body for body in seen for number in digits) is whole
    trusted = rig.client.having(await rig.key("viewer", scopes=("calls:read", "pii:read")))
    assert (await trusted.get(f"/api/v1/voice/calls/{call_id}")).data["to"] == TO


async def test_recording_addresses_are_for_those_who_may_hear(rig: Rig):
    call_id = await rig.ended(record=True)
    assert (await rig.as_role("billing").get(f"/api/v1/voice/calls/{call_id}")).data["recording_url"] is None
    assert (await rig.as_role("viewer").get(f"/api/v1/voice/calls/{call_id}")).data["recording_url"]


async def test_a_key_with_fewer_scopes_than_its_role_has_fewer_rights(rig: Rig):
    client = rig.client.having(await rig.key("owner", scopes=("calls:read",)))
    assert (await client.get("/api/v1/voice/calls")).status == 200
    assert (await client.post("/api/v1/voice/calls", {"to": TO})).code == "INSUFFICIENT_PERMISSIONS"


async def test_a_test_key_places_no_calls_and_is_told_so(rig: Rig):
    client = rig.client.having(rig.keys["test"])
    answer = await client.post("/api/v1/voice/calls", {"to": TO, "from": FROM})
    assert (answer.status, answer.code) == (403, "TEST_KEY")
    assert not rig.switch.orders
    checked = (await client.post("/api/v1/voice/calls:check", {"to": TO, "from": FROM})).data
    assert checked["allowed"] is False
    assert [rule["rule"] for rule in checked["rules"] if not rule["passed"]] == ["live_key"]


TO_AGENTS = {
    "getCall",
    "hangUpCall",
    "getTranscript",
    "holdCaller",
    "unholdCaller",
    "sayToCaller",
    "sendAgentDigits",
    "transferCaller",
}
"""What the control token of a call opens, for that call."""


def _token(rig: Rig, call_id: str, *, lasts_s: int = 600) -> str:
    ends = int(rig.clock.now()) + lasts_s
    return issue(rig.face.signing_secret, Control(OURS, CallId(call_id), ends))


async def test_a_control_token_opens_its_row_and_nothing_else(rig: Rig):
    paths = await _paths(rig)
    agent = rig.client.having(_token(rig, paths["call_id"]))
    for template, op in KEYED:
        answer = await agent.ask(op.method, template.format(**paths), _body(op))
        if op.name in TO_AGENTS:
            assert answer.status not in (401, 403), (op.name, answer.body)
        else:
            assert (answer.status, answer.code) == (403, "INSUFFICIENT_PERMISSIONS"), op.name


async def test_a_control_token_finds_no_other_call(rig: Rig):
    mine, other = await _paths(rig), await _paths(rig)
    agent = rig.client.having(_token(rig, mine["call_id"]))
    for template, op in KEYED:
        if op.name in TO_AGENTS:
            answer = await agent.ask(op.method, template.format(**other), _body(op))
            assert (answer.status, answer.code) == (404, "NOT_FOUND"), op.name


async def test_a_control_token_that_ended_or_was_changed_opens_nothing(rig: Rig):
    paths = await _paths(rig)
    path = f"/api/v1/voice/calls/{paths['call_id']}"
    token = _token(rig, paths["call_id"], lasts_s=60)
    assert (await rig.client.having(token).get(path)).status == 200
    assert (await rig.client.having(token[:-1]).get(path)).code == "INVALID_API_KEY"
    rig.clock.advance(60)
    answer = await rig.client.having(token).get(path)
    assert (answer.status, answer.code) == (401, "EXPIRED_TOKEN")


async def test_a_control_token_of_another_tenant_finds_nothing(rig: Rig):
    paths = await _paths(rig)
    ends = int(rig.clock.now()) + 60
    token = issue(rig.face.signing_secret, Control(THEIRS, CallId(paths["call_id"]), ends))
    answer = await rig.client.having(token).get(f"/api/v1/voice/calls/{paths['call_id']}")
    assert (answer.status, answer.code) == (404, "NOT_FOUND")
