"""The registry of agents: versions, secrets shown once, addresses that lead nowhere they must not."""

import asyncio
from typing import Any

import pytest

from gateway.storage.agents import Edited
from telephony.ids import is_id
from tests.unit.http.rig import FROM, OURS, Rig, open_rig

pytestmark = pytest.mark.unit

PATH = "/api/v1/agents"
URL = "wss://agents.example.com/line"
BARE = {"name": "Front desk"}
NATIVE = {"name": "Front desk", "url": URL}


async def _made(rig: Rig, **fields: object) -> dict[str, Any]:
    return (await rig.client.post(PATH, {**NATIVE, **fields})).data


async def test_orbits_fields_alone_make_our_own_agent_and_come_back_untouched(rig: Rig):
    orbit = {
        "name": "Retention",
        "type": "voice",
        "model": "gpt-4o",
        "system_prompt": "You are kind.\nAsk for the order number.",
        "tools": ["send_sms", {"name": "lookup", "parameters": {"type": "object", "deep": [1, None, True]}}],
        "guardrails": {"topics": ["none"], "pii": True},
        "knowledge_base_ids": ["kb_1"],
        "temperature": 0.7,
        "max_tokens": 4096,
    }
    made = await rig.client.post(PATH, orbit)
    assert made.status == 201
    assert is_id(made.data["id"], "agt")
    assert {name: made.data[name] for name in orbit} == orbit
    assert (made.data["dialect"], made.data["url"]) == ("builtin", None)
    assert (made.data["version"], made.data["status"]) == (1, "active")
    assert (made.data["auth"], made.data["signing_secret"]) == ({"kind": "none"}, None)
    assert (await rig.client.get(f"{PATH}/{made.data['id']}")).data == made.data
    spec = await rig.face.books.agents.agent(OURS, made.data["id"])
    assert '"system_prompt":"You are kind.' in spec.passed_on


async def test_both_prefixes_serve(rig: Rig):
    made = await _made(rig)
    assert (await rig.client.get(f"/v1/agents/{made['id']}")).data["id"] == made["id"]
    assert (await rig.client.get("/v1/agents")).data[0]["id"] == made["id"]
    assert (await rig.client.get("/v1/rooms")).status == 404


async def test_every_field_is_read_and_shown(rig: Rig):
    standby = await _made(rig, name="Standby")
    fields = {
        "description": "Who answers first",
        "dialect": "native",
        "codec": "slin16",
        "barge_in": {"mode": "clear", "min_ms": 80, "decision_ms": 300},
        "silence": {"prompt_s": 10, "times": 2, "prompt": "Still there?", "most_s": 90},
        "shutdown": {"deadline_ms": 3000, "farewell": "Bye.", "tail_ms": 200, "summary_ms": 1000},
        "fallback": {"agent_id": standby["id"], "prompt": "One moment.", "number": "+14155552671"},
        "max_duration": 900,
        "max_concurrent": 5,
        "tools_allow": ["lookup"],
        "tools_url": "https://agents.example.com/tools",
        "transfer_allow": ["+14155552671", "phone:alice", "+44*"],
        "language": "de-DE",
        "voice": "nova",
        "parameters": {"team": "blue"},
        "record": True,
        "filler": "One moment.",
        "secure_digits": True,
        "metadata": {"owner": "sales"},
    }
    made = await _made(rig, greeting={"text": "Hello.", "when": "after_callee"}, **fields)
    assert {name: made[name] for name in fields} == fields
    assert made["greeting"] == {"text": "Hello.", "uninterruptible": False, "when": "after_callee"}
    spec = await rig.face.books.agents.agent(OURS, made["id"])
    assert (spec.max_duration_s, spec.transfer_allow[2], spec.record) == (900, "+44*", True)


async def test_a_text_is_a_greeting_and_a_word_is_a_mode(rig: Rig):
    made = await _made(rig, greeting="Good day.", barge_in="off")
    assert made["greeting"]["text"] == "Good day."
    assert made["barge_in"] == {"mode": "off", "min_ms": 120, "decision_ms": 500}


async def test_a_secret_is_made_and_shown_once(rig: Rig):
    made = await rig.client.post(PATH, NATIVE, {"Idempotency-Key": "one"})
    secret = made.data["signing_secret"]
    assert secret.startswith("whsec_")
    again = await rig.client.post(PATH, NATIVE, {"Idempotency-Key": "one"})
    assert again.data == {**made.data, "signing_secret": None}
    path = f"{PATH}/{made.data['id']}"
    everywhere = [await rig.client.get(p) for p in (path, PATH, f"{path}/versions")]
    assert all(secret.encode() not in answer.body for answer in everywhere)
    assert (await rig.face.books.agents.agent(OURS, made.data["id"])).auth.secret == secret
    rotated = (await rig.client.post(f"{path}/rotate-secret")).data
    assert rotated["signing_secret"] not in (None, secret)
    assert rotated["version"] == 1
    assert (await rig.face.books.agents.agent(OURS, made.data["id"])).auth.secret == rotated["signing_secret"]


async def test_a_bearers_secret_is_given_and_never_shown(rig: Rig):
    auth = {"kind": "bearer", "secret": "sk-0123456789abcdef"}
    made = await rig.client.post(PATH, {"name": "Model", "dialect": "openai", "auth": auth})
    assert made.status == 201
    assert b"sk-0123456789abcdef" not in made.body
    path = f"{PATH}/{made.data['id']}"
    assert (await rig.face.books.agents.agent(OURS, made.data["id"])).auth.secret == auth["secret"]
    answer = await rig.client.post(f"{path}/rotate-secret")
    assert (answer.status, answer.field) == (422, "auth.secret")
    rotated = await rig.client.post(f"{path}/rotate-secret", {"secret": "sk-fedcba9876543210"})
    assert rotated.data["signing_secret"] is None
    assert (await rig.face.books.agents.agent(OURS, made.data["id"])).auth.secret == "sk-fedcba9876543210"


async def test_an_agent_without_a_proof_has_no_secret_to_rotate(rig: Rig):
    made = (await rig.client.post(PATH, BARE)).data
    answer = await rig.client.post(f"{PATH}/{made['id']}/rotate-secret")
    assert (answer.status, answer.code) == (409, "CONFLICT")


async def test_every_change_is_a_version_and_the_same_again_is_none(rig: Rig):
    made = await _made(rig, model="small", greeting="Hello.")
    path = f"{PATH}/{made['id']}"
    rig.clock.advance(5)
    changed = (await rig.client.ask("PATCH", path, {"model": "large", "greeting": None})).data
    assert (changed["version"], changed["model"], changed["greeting"]["text"]) == (2, "large", "")
    assert (changed["url"], changed["signing_secret"]) == (URL, None)
    assert (await rig.client.ask("PATCH", path, {"model": "large"})).data["version"] == 2
    replaced = (await rig.client.ask("PUT", path, {"name": "Bare", "url": URL})).data
    assert (replaced["version"], replaced["name"], replaced["model"]) == (3, "Bare", None)
    first = (await rig.client.get(f"{path}?version=1")).data
    assert (first["version"], first["latest_version"], first["model"]) == (1, 3, "small")
    assert (await rig.client.get(f"{path}?version=9")).status == 404
    listed = (await rig.client.get(f"{path}/versions?limit=2")).json
    assert [one["version"] for one in listed["data"]] == [3, 2]
    cursor = listed["meta"]["pagination"]["cursor"]
    rest = (await rig.client.get(f"{path}/versions?limit=2&cursor={cursor}")).data
    assert [one["version"] for one in rest] == [1]
    secrets = {(await rig.face.books.agents.agent(OURS, made["id"], n)).auth.secret for n in (1, 2, 3)}
    assert secrets == {made["signing_secret"]}


async def test_another_proof_gets_another_secret(rig: Rig):
    made = await _made(rig)
    path = f"{PATH}/{made['id']}"
    answer = await rig.client.ask("PATCH", path, {"auth": {"kind": "bearer"}})
    assert (answer.status, answer.code, answer.field) == (422, "MISSING_REQUIRED_FIELD", "auth.secret")
    bearer = {"auth": {"kind": "bearer", "secret": "a-token-of-16-letters"}}
    changed = (await rig.client.ask("PATCH", path, bearer)).data
    assert (changed["version"], changed["auth"], changed["signing_secret"]) == (2, {"kind": "bearer"}, None)
    back = (await rig.client.ask("PATCH", path, {"auth": {"kind": "hmac"}})).data
    assert back["signing_secret"] not in (None, made["signing_secret"])
    first = await rig.face.books.agents.agent(OURS, made["id"], 1)
    assert first.auth.secret == made["signing_secret"]


async def test_another_dialect_is_proved_as_it_usually_is(rig: Rig):
    made = await _made(rig)
    path = f"{PATH}/{made['id']}"
    ours = (await rig.client.ask("PATCH", path, {"dialect": "builtin", "url": None})).data
    assert (ours["dialect"], ours["auth"], ours["url"]) == ("builtin", {"kind": "none"}, None)
    assert (await rig.face.books.agents.agent(OURS, made["id"])).auth.secret == ""


async def test_an_archived_agent_is_shown_but_changes_no_more(rig: Rig):
    made = await _made(rig)
    path = f"{PATH}/{made['id']}"
    assert (await rig.client.ask("DELETE", path)).status == 204
    assert (await rig.client.ask("DELETE", path)).status == 204
    assert (await rig.client.get(path)).data["status"] == "archived"
    assert (await rig.client.get(PATH)).data == []
    assert [one["id"] for one in (await rig.client.get(f"{PATH}?status=archived")).data] == [made["id"]]
    for method, where in (("PATCH", path), ("PUT", path), ("POST", f"{path}/rotate-secret")):
        answer = await rig.client.ask(method, where, {} if method == "POST" else NATIVE)
        assert (answer.status, answer.code) == (409, "AGENT_ARCHIVED"), method


@pytest.mark.parametrize(
    ("fields", "status", "code", "field"),
    [
        ({"name": ""}, 422, "VALIDATION_ERROR", "name"),
        ({"name": None}, 422, "VALIDATION_ERROR", "name"),
        ({"url": "https://agents.example.com/"}, 422, "INVALID_AGENT_URL", "url"),
        ({"url": "ws://agents.example.com/"}, 422, "INVALID_AGENT_URL", "url"),
        ({"url": "wss://10.0.0.1/"}, 422, "INVALID_AGENT_URL", "url"),
        ({"url": "wss://127.0.0.1:8443/"}, 422, "INVALID_AGENT_URL", "url"),
        ({"url": "wss://localhost/"}, 422, "INVALID_AGENT_URL", "url"),
        ({"url": "wss://169.254.169.254/latest"}, 422, "INVALID_AGENT_URL", "url"),
        ({"url": "wss://user:pass@agents.example.com/"}, 422, "INVALID_AGENT_URL", "url"),
        ({"url": "agents.example.com"}, 422, "INVALID_AGENT_URL", "url"),
        ({"url": "wss://agents.example.com/\r\nX: y"}, 422, "INVALID_AGENT_URL", "url"),
        ({"url": None, "dialect": "native"}, 422, "MISSING_REQUIRED_FIELD", "url"),
        ({"dialect": "smoke"}, 422, "VALIDATION_ERROR", "dialect"),
        ({"dialect": "builtin"}, 422, "VALIDATION_ERROR", "url"),
        ({"dialect": "twilio", "codec": "slin16"}, 422, "VALIDATION_ERROR", "codec"),
        ({"dialect": "openai"}, 422, "MISSING_REQUIRED_FIELD", "auth.secret"),
        ({"auth": {"kind": "none", "secret": "0123456789abcdef"}}, 422, "VALIDATION_ERROR", "auth.secret"),
        ({"auth": {"kind": "hmac", "secret": "short"}}, 422, "VALIDATION_ERROR", "auth.secret"),
        ({"auth": {"secret": "white space is none"}}, 422, "VALIDATION_ERROR", "auth.secret"),
        ({"tools_url": "http://10.0.0.1/"}, 422, "INVALID_WEBHOOK_URL", "tools_url"),
        ({"tools_allow": ["a b"]}, 422, "VALIDATION_ERROR", "tools_allow.0"),
        ({"transfer_allow": ["room:x"]}, 422, "VALIDATION_ERROR", "transfer_allow.0"),
        ({"transfer_allow": ["SIP/x@evil"]}, 422, "VALIDATION_ERROR", "transfer_allow.0"),
        ({"transfer_allow": ["+1415*", "911"]}, 422, "VALIDATION_ERROR", "transfer_allow.1"),
        ({"transfer_allow": ["+19005551234"]}, 422, "PREMIUM_NUMBER", "transfer_allow.0"),
        ({"fallback": {"number": "+19005551234"}}, 422, "PREMIUM_NUMBER", "fallback.number"),
        ({"fallback": {"number": FROM}}, 422, "CALL_LOOP", "fallback.number"),
        ({"fallback": {"agent_id": "agt_1"}}, 422, "VALIDATION_ERROR", "fallback.agent_id"),
        ({"max_duration": 9}, 422, "VALIDATION_ERROR", "max_duration"),
        ({"barge_in": "loud"}, 422, "VALIDATION_ERROR", "barge_in.mode"),
        ({"barge_in": {"mode": "pause", "min_ms": True}}, 422, "VALIDATION_ERROR", "barge_in.min_ms"),
        ({"shutdown": {"deadline_ms": 15_001}}, 422, "VALIDATION_ERROR", "shutdown.deadline_ms"),
        ({"language": "en_US"}, 422, "VALIDATION_ERROR", "language"),
        ({"parameters": {"a": 1}}, 422, "VALIDATION_ERROR", "parameters.a"),
        ({"temperature": 3}, 422, "VALIDATION_ERROR", "temperature"),
        ({"colour": "red"}, 422, "VALIDATION_ERROR", "colour"),
    ],
)
async def test_what_breaks_a_rule_registers_nothing(
    rig: Rig, fields: dict[str, object], status: int, code: str, field: str
):
    answer = await rig.client.post(PATH, {**NATIVE, **fields})
    assert (answer.status, answer.code, answer.field) == (status, code, field), answer.body
    if "auth" in field:
        assert answer.error["details"]["value"] is None
    assert (await rig.client.get(PATH)).data == []


async def test_an_agent_cannot_stand_by_for_itself_nor_an_archived_one_for_another(rig: Rig):
    made, other = await _made(rig), await _made(rig, name="Other")
    path = f"{PATH}/{made['id']}"
    answer = await rig.client.ask("PATCH", path, {"fallback": {"agent_id": made["id"]}})
    assert (answer.status, answer.field) == (422, "fallback.agent_id")
    await rig.client.ask("DELETE", f"{PATH}/{other['id']}")
    answer = await rig.client.ask("PATCH", path, {"fallback": {"agent_id": other["id"]}})
    assert (answer.status, answer.code) == (409, "AGENT_ARCHIVED")
    theirs = (await rig.client.having(rig.keys["theirs"]).post(PATH, BARE)).data
    answer = await rig.client.ask("PATCH", path, {"fallback": {"agent_id": theirs["id"]}})
    assert (answer.status, answer.field) == (422, "fallback.agent_id")


async def test_private_addresses_open_where_the_operator_says_so(tmp_path: Any):
    async with open_rig(tmp_path, environment={"PATCHBAY_WEBHOOK_ALLOW_PRIVATE": "1"}) as rig:
        made = (await rig.client.post(PATH, {"name": "Near", "url": "ws://127.0.0.1:9000/line"})).data
        assert made["url"] == "ws://127.0.0.1:9000/line"
        for url in ("ws://8.8.8.8/", "ws://169.254.169.254/"):
            assert (await rig.client.post(PATH, {"name": "Far", "url": url})).code == "INVALID_AGENT_URL"


async def test_numbers_of_an_agent_are_masked_without_the_scope(rig: Rig):
    made = await _made(
        rig, transfer_allow=["+14155552671", "phone:alice", "room:*"], fallback={"number": "+14155552672"}
    )
    seen = (await rig.as_role("viewer").get(f"{PATH}/{made['id']}")).data
    assert seen["transfer_allow"] == ["+141••••••71", "phone:alice", "room:*"]
    assert seen["fallback"]["number"] == "+141••••••72"


async def test_changes_are_on_the_audit_log_without_secrets(rig: Rig):
    made = await _made(rig)
    path = f"{PATH}/{made['id']}"
    await rig.client.ask("PATCH", path, {"model": "x"})
    await rig.client.post(f"{path}/rotate-secret")
    await rig.client.ask("DELETE", path)
    entries = await rig.face.books.audit.entries(OURS)
    actions = [entry.action for entry in entries]
    assert actions == ["agent.created", "agent.changed", "agent.secret_rotated", "agent.archived"]
    assert "whsec" not in repr(entries)


async def test_an_attempt_that_was_cut_off_finds_its_agent_again(rig: Rig):
    """The process died before the answer was stored: one agent, and its secret has to be rotated."""
    keep = rig.face.books.idempotency.complete

    async def die(*_: object) -> None:
        raise asyncio.CancelledError

    rig.face.books.idempotency.complete = die
    with pytest.raises(asyncio.CancelledError):
        await rig.client.post(PATH, NATIVE, {"Idempotency-Key": "one"})
    rig.face.books.idempotency.complete = keep
    rig.clock.advance(60)
    again = await rig.client.post(PATH, NATIVE, {"Idempotency-Key": "one"})
    assert (again.status, again.data["signing_secret"]) == (201, None)
    assert [one["id"] for one in (await rig.client.get(PATH)).data] == [again.data["id"]]


NEWER: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"dialect": "telepathy"}, {"dialect": None}),
    (
        {"barge_in": {"mode": "wink", "min_ms": 90}},
        {"barge_in": {"mode": "pause", "min_ms": 90, "decision_ms": 500}},
    ),
    ({"shutdown": {"tail_ms": 1, "bow": True}}, {"dialect": "native"}),
]


@pytest.mark.parametrize(("newer", "shown"), NEWER, ids=["dialect", "mode", "field"])
async def test_an_agent_of_a_newer_release_is_listed_and_not_used(
    rig: Rig, newer: dict[str, Any], shown: dict[str, Any]
) -> None:
    plain, made = await _made(rig), await _made(rig)
    agents = rig.face.books.agents
    await agents.change(
        OURS,
        made["id"],
        lambda known: Edited({**known.spec, **newer}, "hmac", known.secret),
        rig.clock.wall(),
    )
    listed = await rig.client.get(PATH)
    assert {one["id"] for one in listed.data} == {plain["id"], made["id"]}
    seen = await rig.client.get(f"{PATH}/{made['id']}")
    assert {name: seen.data[name] for name in shown} == shown
    assert (await rig.client.get(f"{PATH}/{made['id']}/versions")).status == 200
    placed = await rig.client.post(
        "/v1/voice/calls", {"to": "+14155552671", "from": FROM, "agent_id": made["id"]}
    )
    assert (placed.status, placed.code) == (409, "AGENT_TOO_NEW")
    changed = await rig.client.ask("PATCH", f"{PATH}/{made['id']}", {"name": "Old hand"})
    assert (changed.status, changed.code) == (409, "AGENT_TOO_NEW")
    put = await rig.client.ask("PUT", f"{PATH}/{made['id']}", NATIVE)
    assert (put.status, put.data["dialect"], put.data["version"]) == (200, "native", 3)
