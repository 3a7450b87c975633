"""The voice page, field by field."""

import pytest

from tests.unit.http.rig import CALLS, FROM, OTHER, TO, Rig

pytestmark = pytest.mark.unit


async def test_initiating_a_call_answers_201_with_the_pages_fields(rig: Rig):
    answer = await rig.client.post(
        CALLS,
        {
            "to": TO,
            "from": FROM,
            "record": True,
            "webhook_url": "https://example.com/webhooks/calls",
            "metadata": {"campaign": "retention"},
        },
    )
    assert answer.status == 201
    data, meta = answer.json["data"], answer.json["meta"]
    assert data["id"].startswith("call_")
    assert (data["to"], data["from"], data["status"]) == (TO, FROM, "initiating")
    assert (data["agent_id"], data["record"]) == (None, True)
    assert data["metadata"] == {"campaign": "retention"}
    assert data["webhook_url"] == "https://example.com/webhooks/calls"
    assert data["created_at"] == "2026-03-08T12:00:00.000Z"
    assert meta["request_id"].startswith("req_")
    assert meta["timestamp"] == "2026-03-08T12:00:00.000Z"
    assert set(answer.json) == {"data", "meta"}


@pytest.mark.parametrize("base", ["/api/v1/voice", "/v1/voice"])
async def test_both_bases_serve_the_same(rig: Rig, base: str):
    assert (await rig.client.post(f"{base}/calls", {"to": TO})).status == 201
    call_id = await rig.ringing()
    assert (await rig.client.get(f"/v1/voice/calls/{call_id}")).data["id"] == call_id
    assert (await rig.client.get(f"/api/v1/voice/calls/{call_id}")).data["id"] == call_id
    assert (await rig.client.post(f"{base}/calls/{call_id}/hangup")).data["status"] == "cancelled"


async def test_a_completed_call_tells_its_whole_story(rig: Rig):
    call_id = await rig.ended(metadata={"campaign": "retention"}, record=True)
    call = (await rig.client.get(f"{CALLS}/{call_id}")).data
    assert call["status"] == "completed"
    assert call["duration_seconds"] == 30
    assert (call["answered_at"], call["ended_at"]) == ("2026-03-08T12:00:00.000Z", "2026-03-08T12:00:30.000Z")
    assert (call["hangup_cause"], call["hangup_cause_code"]) == ("normal_clearing", 16)
    assert call["termination"] == {"result": "success", "reason": "hangup_by_caller"}
    assert call["ended_by"] in ("caller", "callee")
    assert call["metadata"] == {"campaign": "retention"}


async def test_a_recorded_call_shows_a_signed_address_everywhere(rig: Rig):
    call_id = await rig.ended(record=True)
    one = (await rig.client.get(f"{CALLS}/{call_id}")).data
    listed = (await rig.client.get(CALLS)).data[0]
    assert one["recording_url"] == listed["recording_url"]
    assert one["recording_url"].startswith(f"https://gw.example/api/v1/voice/recordings/{call_id}-1/file?")
    [recording] = one["recordings"]
    assert recording["url"] == one["recording_url"]
    assert recording["status"] == "ready"
    assert (recording["duration_seconds"], recording["channels"], recording["bytes"]) == (1.0, 2, 32044)
    assert recording["url_expires_at"] == "2026-03-08T12:15:30.000Z"


async def test_what_the_desk_is_asked_for(rig: Rig):
    call_id = (await rig.place(ring_timeout=20, max_duration=600, connect_to=OTHER))["id"]
    call = rig.director.live(call_id)
    assert call is not None
    assert (call.terms.ring_timeout_s, call.terms.max_duration_s) == (20, 600)
    assert (call.terms.to_number, call.terms.from_number) == (TO, FROM)


async def test_defaults_of_the_page(rig: Rig):
    call = rig.director.live((await rig.place())["id"])
    assert call is not None
    assert (call.terms.ring_timeout_s, call.terms.max_duration_s) == (60, 3600)
    assert call.terms.record is False


async def test_from_may_be_left_out_when_there_is_one_number(rig: Rig):
    assert (await rig.client.post(CALLS, {"to": TO})).data["from"] == FROM


async def test_from_is_the_number_marked_as_default(rig: Rig):
    await rig.own("+12025550111")
    await rig.own("+12025550122", route={"is_default": True})
    assert (await rig.client.post(CALLS, {"to": TO})).data["from"] == "+12025550122"


@pytest.mark.parametrize("marked", [0, 99, 149])
async def test_the_default_is_found_among_many_numbers(rig: Rig, marked: int):
    for n in range(150):
        await rig.own(f"+1202555{1000 + n}", route={"is_default": n == marked})
    assert (await rig.client.post(CALLS, {"to": TO})).data["from"] == f"+1202555{1000 + marked}"
    assert (await rig.client.post(CALLS, {"to": TO, "from": "+12025551149"})).status == 201
    loop = await rig.client.post(CALLS, {"to": "+12025551001"})
    assert loop.code == "CALL_LOOP"


async def test_without_from_and_without_a_default_the_field_is_named(rig: Rig):
    await rig.own("+12025550111")
    answer = await rig.client.post(CALLS, {"to": TO})
    assert (answer.status, answer.code, answer.field) == (422, "MISSING_REQUIRED_FIELD", "from")


@pytest.mark.parametrize(
    ("given", "heard"),
    [
        ("Hello.", [("Hello.", None)]),
        ({"text": "Hello.", "voice": "en-US"}, [("Hello.", "en-US")]),
        ({"prompt": "welcome"}, []),
    ],
)
async def test_an_announcement_is_a_text_a_voice_or_a_prompt(rig: Rig, given: object, heard: list[object]):
    assert (await rig.client.post(CALLS, {"to": TO, "announcement": given})).status == 201
    assert rig.prompts.said == heard


async def test_hanging_up_in_every_state(rig: Rig):
    ringing = await rig.ringing()
    cancelled = (await rig.client.post(f"{CALLS}/{ringing}/hangup")).data
    assert (cancelled["id"], cancelled["status"]) == (ringing, "cancelled")
    assert cancelled["ended_at"] is not None
    talking = await rig.answered()
    rig.clock.advance(300)
    completed = (await rig.client.post(f"{CALLS}/{talking}/hangup", {})).data
    assert (completed["status"], completed["duration_seconds"]) == ("completed", 300)
    rig.clock.advance(60)
    again = (await rig.client.post(f"{CALLS}/{talking}/hangup")).data
    assert again == completed


async def test_the_timeline_is_numbered_and_can_be_read_on(rig: Rig):
    call_id = await rig.ended()
    events = (await rig.client.get(f"{CALLS}/{call_id}/events")).data
    assert [event["sequence"] for event in events] == list(range(1, len(events) + 1))
    assert events[0]["type"] == "call.initiated"
    assert events[-1]["type"] == "call.completed"
    assert events[-1]["status"] == "completed"
    later = (await rig.client.get(f"{CALLS}/{call_id}/events?after=2")).data
    assert later == events[2:]


async def test_turning_the_tape_of_a_live_call(rig: Rig):
    call_id = await rig.answered()
    states = []
    for verb in ("start", "pause", "resume", "stop"):
        answer = await rig.client.post(f"{CALLS}/{call_id}/recording/{verb}")
        states.append(answer.data["status"])
        assert answer.data["call_id"] == call_id
    assert states[:3] == ["recording", "paused", "recording"]
    assert states[3] == "processing"
    listed = (await rig.client.get(f"{CALLS}/{call_id}/recordings")).data
    assert [recording["id"] for recording in listed] == [f"{call_id}-1"]


async def test_a_tape_cannot_be_turned_when_the_call_forbids_it(rig: Rig):
    ringing = await rig.ringing()
    early = await rig.client.post(f"{CALLS}/{ringing}/recording/start")
    assert early.status == 409
    ended = await rig.ended()
    late = await rig.client.post(f"{CALLS}/{ended}/recording/start")
    assert (late.status, late.code) == (409, "CALL_ENDED")


async def test_agent_ids_name_no_agent_yet(rig: Rig):
    answer = await rig.client.post(CALLS, {"to": TO, "agent_id": "agt_abc123"})
    assert (answer.status, answer.field) == (422, "agent_id")
    assert "names no agent" in answer.error["message"]


async def test_an_unknown_call_is_not_found(rig: Rig):
    for method, path in [
        ("GET", f"{CALLS}/call_00000000000000000000009999"),
        ("GET", f"{CALLS}/nonsense"),
        ("GET", f"{CALLS}/call_00000000000000000000009999/events"),
        ("POST", f"{CALLS}/call_00000000000000000000009999/hangup"),
    ]:
        answer = await rig.client.ask(method, path)
        assert (answer.status, answer.code) == (404, "NOT_FOUND"), path


async def test_a_dead_switch_is_503_with_retry_after_and_no_call(rig: Rig):
    rig.switch.ready = False
    answer = await rig.client.post(CALLS, {"to": TO})
    assert (answer.status, answer.code) == (503, "SERVICE_UNAVAILABLE")
    assert int(answer.headers["retry-after"]) > 0
    assert (await rig.client.get(CALLS)).json["meta"]["pagination"]["total"] == 0


async def test_a_database_that_is_away_is_503_and_no_call(rig: Rig):
    assert (await rig.client.get(CALLS)).status == 200
    assert rig.backend is not None
    rig.backend.away = True
    answer = await rig.client.post(CALLS, {"to": TO})
    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
    rig.backend.away = False
    assert (await rig.client.get(CALLS)).json["meta"]["pagination"]["total"] == 0
