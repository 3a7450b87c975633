"""What was said on a call with an agent, over HTTP: its forms, who may read it, its end."""

import pytest

from tests.unit.http.agent_sessions import ENDED, SAID, ended_with_agent, session, with_agent
from tests.unit.http.rig import CALLS, Rig
from voice_agents.core.transcript import Turn

pytestmark = pytest.mark.unit


async def test_a_transcript_as_json(rig: Rig):
    call_id = await ended_with_agent(rig)
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
    call_id = await ended_with_agent(rig)
    answer = await rig.client.get(f"{CALLS}/{call_id}/transcript{query}", accept=accept)
    assert (answer.status, answer.headers["content-type"]) == (200, kind)


async def test_the_words_of_two_sessions_are_on_one_clock(rig: Rig):
    call_id = await ended_with_agent(rig)
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
    call_id = await ended_with_agent(rig)
    path = f"{CALLS}/{call_id}/transcript?format={form}"
    assert b"415 555 2671" in (await rig.client.get(path)).body
    assert b"415 555 2671" not in (await rig.as_role("viewer").get(path)).body


async def test_a_transcript_can_be_read_while_it_grows(rig: Rig):
    call_id = await with_agent(rig)
    await rig.face.books.sessions.save(session(call_id, turns=SAID[:1]))
    told = (await rig.client.get(f"{CALLS}/{call_id}/transcript")).data
    assert told["live"] is True
    assert [len(session["turns"]) for session in told["sessions"]] == [2]


async def test_what_was_said_can_be_deleted_once_it_is_over(rig: Rig):
    call_id = await with_agent(rig)
    path = f"{CALLS}/{call_id}/transcript"
    assert (await rig.client.ask("DELETE", path)).code == "AGENT_STATE"
    call_id = await ended_with_agent(rig)
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
