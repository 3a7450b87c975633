"""Agents, their versions, sessions and transcripts in every database."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gateway.storage.agent_sessions import FORGOTTEN, AgentSessionRepository
from gateway.storage.agents import Agent, AgentRepository, Edited
from gateway.storage.cursors import Cursors
from gateway.storage.database import Database
from gateway.storage.errors import Duplicate
from gateway.storage.keys import TenantRepository
from gateway.storage.records import Json, Tenant
from telephony.errors import Conflict, MalformedRequest
from telephony.ids import CallId, TenantId
from voice_agents.core.agent import Auth, BargeIn, BargeMode, DialectName, Greeting
from voice_agents.core.record import Evidence, Figures, How, SessionRecord, State
from voice_agents.core.talk import Reason
from voice_agents.core.transcript import ToolUse, Turn

pytestmark = pytest.mark.contract

NOW = datetime(2026, 3, 8, 12, 0, 0, 123456, UTC)
OURS, THEIRS = TenantId("tnt_ours"), TenantId("tnt_theirs")
CALL, OTHER_CALL = CallId("call_1"), CallId("call_2")


@pytest.fixture
async def agents(database: Database, cursors: Cursors) -> AgentRepository:
    tenants = TenantRepository(database)
    await tenants.create(Tenant(OURS, "Ours", NOW))
    await tenants.create(Tenant(THEIRS, "Theirs", NOW))
    return AgentRepository(database, cursors)


@pytest.fixture
def sessions(database: Database) -> AgentSessionRepository:
    return AgentSessionRepository(database)


def agent(n: int, **changes: object) -> Agent:
    at = NOW + timedelta(seconds=n)
    made = Agent(
        id=f"agt_{n}",
        tenant=OURS,
        version=1,
        newest=1,
        status="active",
        spec={"name": f"Agent {n}", "url": "wss://a.example/", "model": "m\u00f6del\u0000x"},
        auth_kind="hmac",
        created_at=at,
        updated_at=at,
        secret="whsec_one",
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def renamed(name: str, secret: str = "whsec_one", kind: str = "hmac"):
    return lambda known: Edited({**known.spec, "name": name}, kind, secret)


async def test_an_agent_reads_back_and_is_its_tenants_alone(agents: AgentRepository) -> None:
    await agents.add(agent(1))
    assert await agents.get(OURS, "agt_1") == agent(1)
    assert await agents.get(OURS, "agt_1", 1) == agent(1)
    assert await agents.get(OURS, "agt_1", 2) is None
    assert await agents.get(THEIRS, "agt_1") is None
    assert "whsec" not in repr(agent(1))
    with pytest.raises(Duplicate):
        await agents.add(agent(1))


async def test_each_change_is_a_version_and_old_ones_stay(agents: AgentRepository) -> None:
    await agents.add(agent(1))
    at = NOW + timedelta(hours=1)
    changed = await agents.change(OURS, "agt_1", renamed("B"), at)
    assert changed == agent(1, version=2, newest=2, spec={**agent(1).spec, "name": "B"}, updated_at=at)
    assert await agents.get(OURS, "agt_1") == changed
    assert await agents.get(OURS, "agt_1", 1) == agent(1, newest=2)
    again = await agents.change(OURS, "agt_1", renamed("B"), at + timedelta(hours=1))
    assert again == changed
    assert await agents.change(THEIRS, "agt_1", renamed("C"), at) is None


async def test_changes_at_once_each_get_a_number_of_their_own(agents: AgentRepository) -> None:
    await agents.add(agent(1))
    await asyncio.gather(*(agents.change(OURS, "agt_1", renamed(f"N{n}"), NOW) for n in range(8)))
    page = await agents.versions(OURS, "agt_1", limit=20)
    assert page is not None
    assert [one.version for one in page.items] == [9, 8, 7, 6, 5, 4, 3, 2, 1]
    assert {one.spec["name"] for one in page.items} == {"Agent 1", *(f"N{n}" for n in range(8))}
    assert all(one.newest == 9 and one.secret == "" for one in page.items)


async def test_a_new_secret_is_that_of_every_version_proved_the_same_way(agents: AgentRepository) -> None:
    await agents.add(agent(1))
    await agents.change(OURS, "agt_1", renamed("B"), NOW)
    await agents.change(OURS, "agt_1", renamed("C", "token", "bearer"), NOW)
    rotated = await agents.rotate(OURS, "agt_1", "token two", NOW)
    assert rotated is not None
    assert (rotated.version, rotated.secret) == (3, "token two")
    secrets = [(await agents.agent(OURS, "agt_1", n)).auth for n in (1, 2, 3)]
    assert secrets == [Auth("hmac", "whsec_one")] * 2 + [Auth("bearer", "token two")]
    await agents.change(OURS, "agt_1", renamed("D", "whsec_two"), NOW)
    await agents.rotate(OURS, "agt_1", "whsec_three", NOW)
    secrets = [(await agents.agent(OURS, "agt_1", n)).auth.secret for n in (1, 2, 3, 4)]
    assert secrets == ["whsec_three", "whsec_three", "token two", "whsec_three"]
    assert await agents.rotate(THEIRS, "agt_1", "x", NOW) is None


async def test_a_changed_secret_alone_makes_no_version(agents: AgentRepository) -> None:
    await agents.add(agent(1))
    changed = await agents.change(OURS, "agt_1", renamed("Agent 1", "whsec_two"), NOW)
    assert changed is not None
    assert (changed.version, changed.secret) == (1, "whsec_two")
    assert (await agents.get(OURS, "agt_1")).secret == "whsec_two"


async def test_an_archived_agent_changes_no_more_but_is_there_for_its_calls(agents: AgentRepository) -> None:
    await agents.add(agent(1))
    assert await agents.archive(THEIRS, "agt_1", NOW) is False
    assert await agents.archive(OURS, "agt_1", NOW) is True
    assert await agents.archive(OURS, "agt_1", NOW) is True
    with pytest.raises(Conflict) as caught:
        await agents.change(OURS, "agt_1", renamed("B"), NOW)
    assert caught.value.code == "AGENT_ARCHIVED"
    with pytest.raises(Conflict):
        await agents.rotate(OURS, "agt_1", "x", NOW)
    assert (await agents.get(OURS, "agt_1")).archived
    assert (await agents.agent(OURS, "agt_1")).name == "Agent 1"


async def test_agents_are_listed_newest_first_in_their_newest_version(agents: AgentRepository) -> None:
    for n in range(1, 6):
        await agents.add(agent(n))
    await agents.add(agent(9, tenant=THEIRS))
    await agents.change(OURS, "agt_2", renamed("Second"), NOW)
    await agents.archive(OURS, "agt_5", NOW)
    first = await agents.page(OURS, "active", limit=3)
    rest = await agents.page(OURS, "active", limit=3, cursor=first.cursor)
    listed = [(one.id, one.spec["name"]) for one in (*first.items, *rest.items)]
    assert listed == [("agt_4", "Agent 4"), ("agt_3", "Agent 3"), ("agt_2", "Second"), ("agt_1", "Agent 1")]
    assert (first.total, rest.has_more) == (4, False)
    assert [one.id for one in (await agents.page(OURS, "archived", limit=3)).items] == ["agt_5"]
    with pytest.raises(MalformedRequest):
        await agents.page(OURS, "archived", limit=3, cursor=first.cursor)


async def test_versions_are_paged(agents: AgentRepository) -> None:
    await agents.add(agent(1))
    for n in range(4):
        await agents.change(OURS, "agt_1", renamed(f"N{n}"), NOW + timedelta(minutes=n))
    first = await agents.versions(OURS, "agt_1", limit=3)
    assert first is not None
    rest = await agents.versions(OURS, "agt_1", limit=3, cursor=first.cursor)
    assert rest is not None
    assert [one.version for one in (*first.items, *rest.items)] == [5, 4, 3, 2, 1]
    assert await agents.versions(THEIRS, "agt_1", limit=3) is None


@pytest.mark.parametrize(
    "newer",
    [{"dialect": "telepathy"}, {"barge_in": {"mode": "wink"}}, {"greeting": {"text": "Hello", "hum": True}}],
)
async def test_what_a_newer_release_stored_is_named_and_not_half_used(
    agents: AgentRepository, newer: dict[str, Json]
) -> None:
    spec = {"name": "Desk", "url": "wss://a.example/"}
    await agents.add(agent(1, spec={**spec, **newer}))
    await agents.add(agent(2, spec=spec))
    with pytest.raises(Conflict) as refused:
        await agents.agent(OURS, "agt_1")
    assert refused.value.code == "AGENT_TOO_NEW"
    assert [one.id for one in (await agents.page(OURS, "active", limit=5)).items] == ["agt_2", "agt_1"]


async def test_a_session_knows_that_its_agent_was_archived(agents: AgentRepository) -> None:
    await agents.add(agent(1))
    before = await agents.agent(OURS, "agt_1")
    await agents.archive(OURS, "agt_1", NOW)
    after = await agents.agent(OURS, "agt_1")
    assert before is not None
    assert after == replace(before, archived=True)


async def test_a_session_gets_the_spec_of_the_version_it_asks_for(agents: AgentRepository) -> None:
    spec = {
        "name": "Desk",
        "dialect": "native",
        "url": "wss://a.example/",
        "greeting": {"text": "Hello", "uninterruptible": True, "when": "on_answer"},
        "barge_in": {"mode": "clear", "min_ms": 200, "decision_ms": 0},
        "fallback": {"agent_id": None, "prompt": "Sorry.", "number": None},
        "tools_allow": ["transfer_agent"],
        "parameters": {"team": "blue"},
        "model": "large",
    }
    await agents.add(agent(1, spec=spec))
    await agents.change(OURS, "agt_1", renamed("Other"), NOW)
    found = await agents.agent(OURS, "agt_1", 1)
    assert found is not None
    assert (found.id, found.version, found.tenant, found.name) == ("agt_1", 1, OURS, "Desk")
    assert (found.dialect, found.auth) == (DialectName.NATIVE, Auth("hmac", "whsec_one"))
    assert found.greeting == Greeting("Hello", uninterruptible=True)
    assert found.barge_in == BargeIn(BargeMode.CLEAR, 200, 0)
    assert (found.fallback.agent_id, found.fallback.prompt) == ("", "Sorry.")
    assert (found.tools_allow, found.parameters) == (("transfer_agent",), (("team", "blue"),))
    assert found.passed_on == '{"model":"large"}'
    newest = await agents.agent(OURS, "agt_1")
    assert newest is not None
    assert (newest.version, newest.name) == (2, "Other")
    assert await agents.agent(THEIRS, "agt_1") is None


def session(n: int, **changes: object) -> SessionRecord:
    made = SessionRecord(
        id=f"ags_{n}",
        call_id=CALL,
        tenant=OURS,
        agent_id="agt_1",
        agent_version=2,
        answered_by="agt_1",
        direction="inbound",
        dialect="native",
        state=State.TALKING,
        created_at=1_000.0 + n,
        ready_at=1_000.5,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


TURNS = (
    Turn("agent", "Hello, how can I help you?", "Hello, how", 0, 900, interrupted=True),
    Turn("caller", "I lost 12 \u20ac\u0000", "I lost 12 \u20ac\u0000", 800, 2100, False, "gateway", 0.5),
    Turn("tool", "", "", 2200, 2300, tools=(ToolUse("t1", "lookup", False, "timeout"),)),
)
ENDED = session(
    1,
    state=State.ENDED,
    ended_at=1_060.25,
    bridged_at=1_001.0,
    answered_by="agt_2",
    evidence=Evidence(Reason.API, "api", 1_055.0, 1_055.01, How.FAREWELL_HEARD, 1_059.0, 1_060.0, 1_060.1),
    failure="closed",
    turns=TURNS,
    summary="A card was lost.",
    summary_by="agent",
    summary_fields='{"card":"lost"}',
    figures=Figures(caller_ms=59_000, interruptions=1, first_sound_ms=120),
)


async def test_a_session_reads_back_as_it_was_saved(sessions: AgentSessionRepository) -> None:
    await sessions.save(session(1))
    assert await sessions.of_call(OURS, CALL) == (session(1),)
    await sessions.save(ENDED)
    assert await sessions.of_call(OURS, CALL) == (replace(ENDED, turns=()),)
    assert await sessions.transcripts(OURS, CALL) == (ENDED,)


async def test_a_late_word_does_not_bring_an_ended_session_back(sessions: AgentSessionRepository) -> None:
    await sessions.save(ENDED)
    await sessions.save(session(1))
    assert await sessions.transcripts(OURS, CALL) == (ENDED,)
    corrected = replace(ENDED, summary="Two cards were lost.")
    await sessions.save(corrected)
    assert await sessions.transcripts(OURS, CALL) == (corrected,)


async def test_sessions_are_found_by_their_call_and_tenant(sessions: AgentSessionRepository) -> None:
    await sessions.save(session(1))
    await sessions.save(session(2))
    await sessions.save(session(3, call_id=OTHER_CALL))
    await sessions.save(session(4, tenant=THEIRS))
    found = await sessions.of_calls(OURS, [CALL, OTHER_CALL, CallId("call_3")])
    assert {call: [one.id for one in its] for call, its in found.items()} == {
        CALL: ["ags_1", "ags_2"],
        OTHER_CALL: ["ags_3"],
    }
    assert await sessions.of_calls(OURS, []) == {}
    assert await sessions.transcripts(THEIRS, OTHER_CALL) == ()


async def test_what_was_said_can_be_forgotten(sessions: AgentSessionRepository) -> None:
    await sessions.save(ENDED)
    assert await sessions.forget(THEIRS, CALL) is False
    assert await sessions.forget(OURS, CALL) is True
    assert await sessions.transcripts(OURS, CALL) == ()
    left = (await sessions.of_call(OURS, CALL))[0]
    assert (left.summary, left.summary_by, left.summary_fields) == ("", FORGOTTEN, "{}")
    assert left.evidence == ENDED.evidence
    assert await sessions.forget(OURS, CALL) is False


async def test_words_are_kept_no_longer_than_asked(sessions: AgentSessionRepository) -> None:
    await sessions.save(ENDED)
    await sessions.save(replace(ENDED, id="ags_2", call_id=OTHER_CALL, created_at=2_000.0))
    assert await sessions.purge(1_500.0) == 1
    assert await sessions.purge(1_500.0) == 0
    assert (await sessions.of_call(OURS, CALL))[0].summary == ""
    assert (await sessions.transcripts(OURS, OTHER_CALL))[0].turns == TURNS
