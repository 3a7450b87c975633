"""Calls with an agent over HTTP: the goodbye before the hang-up, what was said, and who may do what to it."""

from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from dialplan.core.orders import Hangup
from gateway.http.app import create_app
from telephony.ids import CallId, TenantId
from tests.unit.http.asgi import Client
from tests.unit.http.rig import CALLS, FROM, OURS, TO, Rig
from tests.unit.http.rooms_behind import KEPT
from voice_agents.core.control_token import Control, issue
from voice_agents.core.record import Evidence, Figures, How, SessionRecord, State
from voice_agents.core.talk import Reason
from voice_agents.core.transcript import Turn

pytestmark = pytest.mark.unit

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


async def _with_agent(rig: Rig, **changes: Any) -> str:
    call_id = await rig.answered()
    rig.agents.begin(session(call_id, **changes))
    return call_id


async def _after(rig: Rig, **changes: Any) -> str:
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


def _hang_ups(rig: Rig) -> int:
    return sum(isinstance(order, Hangup) for order in rig.switch.orders)


def _agents_own(rig: Rig, call_id: str) -> Client:
    ends = int(rig.clock.now()) + 600
    return rig.client.having(issue(rig.face.signing_secret, Control(OURS, CallId(call_id), ends)))


# ---------------------------------------------------------------- the end


@pytest.mark.parametrize(("query", "force"), [("", False), ("?force=true", True), ("?force=false", False)])
async def test_an_agent_is_told_before_the_call_is_hung_up(rig: Rig, query: str, force: bool):
    call_id = await _with_agent(rig)
    before: list[int] = []
    rig.agents.on_end = lambda: before.append(_hang_ups(rig))
    answer = await rig.client.post(f"{CALLS}/{call_id}/hangup{query}")
    assert answer.data["status"] == "completed"
    assert rig.agents.asked == [("end", call_id, force, "api")]
    assert (before, _hang_ups(rig)) == ([0], 1)


async def test_anothers_agent_is_not_told_anything(rig: Rig):
    call_id = await _with_agent(rig)
    answer = await rig.client.having(rig.keys["theirs"]).post(f"{CALLS}/{call_id}/hangup")
    assert (answer.status, rig.agents.asked) == (404, [])


async def test_an_agent_is_told_before_anything_is_read(rig: Rig, monkeypatch: pytest.MonkeyPatch):
    call_id = await _with_agent(rig)
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
    call_id = await _after(rig)
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
    call_id = await _after(rig, summary="", summary_by="", **changes)
    summary = (await rig.client.get(f"{CALLS}/{call_id}")).data["agent_summary"]
    assert summary == {"text": text, "by": "gateway", "fields": {}}


async def test_numbers_in_a_summary_are_masked_without_the_scope(rig: Rig):
    call_id = await _after(rig)
    summary = (await rig.as_role("viewer").get(f"{CALLS}/{call_id}")).data["agent_summary"]
    assert "4155552671" not in repr(summary)
    assert summary["fields"]["urgent"] is True
    assert summary["fields"]["n"] == 3


async def test_who_may_not_hear_a_call_does_not_read_it(rig: Rig):
    call_id = await _after(rig)
    client = rig.as_role("billing")
    shown = (await client.get(f"{CALLS}/{call_id}")).data
    assert shown["agent"]["state"] == "ended"
    assert shown["agent_summary"] is None
    assert (await client.get(f"{CALLS}/{call_id}/transcript")).code == "INSUFFICIENT_PERMISSIONS"


async def test_while_it_goes_on_the_session_is_shown_as_it_stands(rig: Rig):
    call_id = await _with_agent(rig)
    shown = (await rig.client.get(f"{CALLS}/{call_id}")).data
    assert (shown["agent"]["state"], shown["agent"]["ended_at"]) == ("talking", None)


# ---------------------------------------------------------------- what was said


async def test_a_transcript_as_json(rig: Rig):
    call_id = await _after(rig)
    told = (await rig.client.get(f"{CALLS}/{call_id}/transcript")).data
    assert (told["call_id"], told["live"]) == (call_id, False)
    (session,) = told["sessions"]
    assert session["clock_began_at"] == "2026-03-08T12:00:01.000Z"
    assert session["turns"][0] == {
        "role": "agent",
        "said": "Hello, this is the front desk.",
        "heard": "Hello, this is",
        "start_ms": 0,
        "end_ms": 900,
        "interrupted": True,
        "source": "agent",
        "confidence": 1.0,
        "tools": [],
    }


@pytest.mark.parametrize(
    ("query", "accept", "kind"),
    [
        ("?format=text", "text/vtt", "text/plain; charset=utf-8"),
        ("", "text/plain", "text/plain; charset=utf-8"),
        ("", "text/vtt;q=0.9, application/json", "text/vtt; charset=utf-8"),
        ("?format=vtt", "*/*", "text/vtt; charset=utf-8"),
        ("", "*/*", "application/json"),
        ("", "image/png", "application/json"),
    ],
)
async def test_a_transcript_comes_in_the_form_that_is_asked_for(rig: Rig, query: str, accept: str, kind: str):
    call_id = await _after(rig)
    answer = await rig.client.get(f"{CALLS}/{call_id}/transcript{query}", accept=accept)
    assert (answer.status, answer.headers["content-type"]) == (200, kind)


async def test_the_words_of_two_sessions_are_on_one_clock(rig: Rig):
    call_id = await _after(rig)
    later = {"id": "ags_00000000000000000000000002", "bridged_at": 1_772_971_261.0}
    turns = (Turn("agent", "I take over.", "I take over.", 500, 1500),)
    await rig.face.books.sessions.save(session(call_id, **{**ENDED, **later, "turns": turns}))
    answer = await rig.client.get(f"{CALLS}/{call_id}/transcript?format=text")
    assert answer.body.decode().splitlines() == [
        "[00:00.0] agent: Hello, this is —",
        "[00:00.8] caller: I am at +1 415 555 2671 <now>",
        "[01:00.5] agent: I take over.",
    ]
    vtt = (await rig.client.get(f"{CALLS}/{call_id}/transcript?format=vtt")).body.decode()
    assert vtt.startswith("WEBVTT\n\n00:00:00.000 --> 00:00:00.900\n<v agent>Hello, this is")
    assert "&lt;now&gt;" in vtt
    assert "00:01:00.500 --> 00:01:01.500" in vtt


@pytest.mark.parametrize("form", ["json", "text", "vtt"])
async def test_numbers_that_were_said_are_masked_without_the_scope(rig: Rig, form: str):
    call_id = await _after(rig)
    path = f"{CALLS}/{call_id}/transcript?format={form}"
    assert b"415 555 2671" in (await rig.client.get(path)).body
    assert b"415 555 2671" not in (await rig.as_role("viewer").get(path)).body


async def test_a_transcript_can_be_read_while_it_grows(rig: Rig):
    call_id = await _with_agent(rig)
    await rig.face.books.sessions.save(session(call_id, turns=SAID[:1]))
    told = (await rig.client.get(f"{CALLS}/{call_id}/transcript")).data
    assert told["live"] is True
    assert [len(session["turns"]) for session in told["sessions"]] == [2]


async def test_what_was_said_can_be_deleted_once_it_is_over(rig: Rig):
    call_id = await _with_agent(rig)
    path = f"{CALLS}/{call_id}/transcript"
    assert (await rig.client.ask("DELETE", path)).code == "AGENT_STATE"
    call_id = await _after(rig)
    path = f"{CALLS}/{call_id}/transcript"
    assert (await rig.client.ask("DELETE", path)).status == 204
    assert (await rig.client.ask("DELETE", path)).status == 404
    assert (await rig.client.get(path)).status == 404
    summary = (await rig.client.get(f"{CALLS}/{call_id}")).data["agent_summary"]
    assert summary["text"].endswith("What was said was deleted.")
    assert "+1415" not in repr(summary)


async def test_a_call_without_an_agent_has_no_transcript(rig: Rig):
    answer = await rig.client.get(f"{CALLS}/{await rig.ended()}/transcript")
    assert (answer.status, answer.code) == (404, "NOT_FOUND")


# ---------------------------------------------------------------- while it goes on

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
    call_id = await _with_agent(rig)
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
    call_id = await _with_agent(rig)
    answer = await rig.client.post(f"{CALLS}/{call_id}/agent/{verb}", {"to": to})
    assert (answer.status, answer.code, answer.field) == (422, code, "to")
    assert rig.agents.asked == []


async def test_an_agent_itself_sends_callers_only_where_its_list_lets_it(rig: Rig):
    agent = {"name": "Desk", "transfer_allow": [TO]}
    made = (await rig.client.post("/api/v1/agents", agent)).data
    call_id = await _with_agent(rig, agent_id=made["id"], answered_by=made["id"], agent_version=1)
    await rig.client.ask("PATCH", f"/api/v1/agents/{made['id']}", {"transfer_allow": []})
    own = _agents_own(rig, call_id)
    path = f"{CALLS}/{call_id}/agent/transfer"
    refused = await own.post(path, {"to": "phone:alice"})
    assert (refused.status, refused.code) == (403, "TRANSFER_NOT_ALLOWED")
    assert (await own.post(path, {"to": TO})).data["outcome"] == "completed"
    assert rig.agents.asked == [("transfer", call_id, TO, 30)]
    assert (await rig.client.post(path, {"to": "phone:alice"})).status == 200


async def test_a_standby_has_its_own_list(rig: Rig):
    first = (await rig.client.post("/api/v1/agents", {"name": "A", "transfer_allow": [TO]})).data
    second = (await rig.client.post("/api/v1/agents", {"name": "B"})).data
    call_id = await _with_agent(rig, agent_id=first["id"], answered_by=second["id"], agent_version=1)
    answer = await _agents_own(rig, call_id).post(f"{CALLS}/{call_id}/agent/transfer", {"to": TO})
    assert answer.code == "TRANSFER_NOT_ALLOWED"


async def _room(rig: Rig) -> str:
    return str((await rig.client.post(KEPT, {"name": "Stand-up"})).data["room_id"])


async def test_a_caller_is_sent_into_a_room_of_its_tenants(rig: Rig):
    room, call_id = await _room(rig), await _with_agent(rig)
    answer = await rig.client.post(f"{CALLS}/{call_id}/agent/transfer", {"to": f"room:{room.upper()}"})
    assert answer.data == {"call_id": call_id, "to": f"room:{room}", "outcome": "completed"}
    assert rig.agents.asked == [("transfer", call_id, f"room:{room}", 30)]


@pytest.mark.parametrize("which", ["unknown", "ended", "theirs", "no id", "of a take-over"])
async def test_a_caller_is_sent_into_no_room_but_one_that_is_open(rig: Rig, which: str):
    room, call_id = await _room(rig), await _with_agent(rig)
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
    room, call_id = await _room(rig), await _with_agent(rig)
    narrow = rig.client.having(await rig.key("developer", scopes=("calls:read", "calls:write")))
    path = f"{CALLS}/{call_id}/agent/transfer"
    assert (await narrow.post(path, {"to": f"room:{room}"})).status == 403
    assert (await narrow.post(path, {"to": "phone:alice"})).status == 200


@pytest.mark.parametrize(("allow", "status"), [("room:*", 200), ("room:{}", 200), ("phone:*", 403)])
async def test_an_agent_itself_takes_callers_only_into_rooms_of_its_list(rig: Rig, allow: str, status: int):
    room = await _room(rig)
    agent = {"name": "Desk", "transfer_allow": [allow.format(room)]}
    made = (await rig.client.post("/api/v1/agents", agent)).data
    call_id = await _with_agent(rig, agent_id=made["id"], answered_by=made["id"], agent_version=1)
    answer = await _agents_own(rig, call_id).post(f"{CALLS}/{call_id}/agent/transfer", {"to": f"room:{room}"})
    assert answer.status == status
    assert len(rig.agents.asked) == (status == 200)
    if status == 403:
        assert answer.code == "TRANSFER_NOT_ALLOWED"


async def test_where_there_are_no_rooms_that_is_said(rig: Rig):
    call_id = await _with_agent(rig)
    app = create_app(replace(rig.face, rooms=None, registry=CollectorRegistry()))
    to = "room:11111111-1111-4111-8111-111111111111"
    answer = await Client(app, rig.keys["owner"]).post(f"{CALLS}/{call_id}/agent/transfer", {"to": to})
    assert (answer.status, rig.agents.asked) == (503, [])


async def test_an_agent_ends_its_call_and_sees_no_address_of_its_tenant(rig: Rig):
    call_id = await rig.answered(webhook_url="https://example.com/secret-path")
    own = _agents_own(rig, call_id)
    shown = (await own.get(f"{CALLS}/{call_id}")).data
    assert shown["webhook_url"] is None
    assert shown["to"] == "+141••••••71"
    rig.agents.begin(session(call_id))
    assert (await own.post(f"{CALLS}/{call_id}/hangup")).data["status"] == "completed"
    assert rig.agents.asked == [("end", call_id, False, "agent")]


async def test_an_agent_cannot_use_up_its_tenants_idempotency_keys(rig: Rig):
    call_id = await _with_agent(rig)
    path, key = f"{CALLS}/{call_id}/agent/hold", {"Idempotency-Key": "orders-1"}
    assert (await _agents_own(rig, call_id).post(path, None, key)).status == 200
    placed = await rig.client.post(CALLS, {"to": TO, "from": FROM}, key)
    assert placed.status == 201


async def test_without_agents_set_up_their_operations_say_so(rig: Rig):
    call_id = await rig.answered()
    object.__setattr__(rig.face, "agent_calls", None)
    answer = await rig.client.post(f"{CALLS}/{call_id}/agent/mute")
    assert (answer.status, answer.code) == (503, "SERVICE_UNAVAILABLE")
    assert (await rig.client.post(f"{CALLS}/{call_id}/hangup")).data["status"] == "completed"
