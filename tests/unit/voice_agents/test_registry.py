"""What is registered becomes what a session needs; fields that do not go together are named."""

import json
from dataclasses import replace

import pytest

from telephony.errors import Conflict, InvalidInput
from voice_agents.core.agent import AgentSpec, Auth, BargeIn, DialectName, Fallback, Shutdown, Silence
from voice_agents.core.registry import (
    Json,
    Kept,
    auth_kind,
    check,
    dialect_of,
    may_transfer,
    readable,
    spec_of,
)

pytestmark = pytest.mark.unit

URL = "wss://agent.example/line"


@pytest.mark.parametrize(
    ("wanted", "dialect", "auth"),
    [
        ({}, DialectName.BUILTIN, "none"),
        ({"url": URL}, DialectName.NATIVE, "hmac"),
        ({"url": URL, "dialect": "twilio"}, DialectName.TWILIO, "hmac"),
        ({"dialect": "openai"}, DialectName.OPENAI, "bearer"),
        ({"url": URL, "dialect": "openai", "auth": {"kind": "none"}}, DialectName.OPENAI, "none"),
        ({"url": URL, "auth": {"kind": None}}, DialectName.NATIVE, "hmac"),
        (
            {"url": URL, "dialect": "conversationrelay", "codec": "slin16"},
            DialectName.CONVERSATION_RELAY,
            "hmac",
        ),
    ],
)
def test_what_is_not_said_is_what_is_usual(wanted: dict[str, Json], dialect: DialectName, auth: str):
    check(wanted)
    assert dialect_of(wanted) is dialect
    assert auth_kind(wanted) == auth


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"dialect": "native"}, "url"),
        ({"dialect": "twilio"}, "url"),
        ({"dialect": "conversationrelay", "url": ""}, "url"),
        ({"dialect": "builtin", "url": URL}, "url"),
        ({"dialect": "twilio", "url": URL, "codec": "slin"}, "codec"),
        ({"dialect": "openai", "codec": "slin16"}, "codec"),
        ({"dialect": "builtin", "codec": "ulaw"}, "codec"),
        ({"dialect": "openai", "auth": {"kind": "hmac"}}, "auth.kind"),
        ({"dialect": "builtin", "auth": {"kind": "bearer"}}, "auth.kind"),
    ],
)
def test_fields_that_do_not_go_together_are_named(wanted: dict[str, Json], field: str):
    with pytest.raises(InvalidInput) as caught:
        check(wanted)
    assert caught.value.field == field


def test_an_agent_of_which_little_is_said_is_as_the_defaults_are():
    spec = spec_of(Kept("agt_1", 3, "ten_ours", {"name": "Desk"}))
    plain = AgentSpec("agt_1", 3, "ten_ours", "Desk", DialectName.BUILTIN, auth=Auth("none"))
    assert spec == replace(plain, silence=Silence(prompt_s=10)), "our own agent asks a silent caller again"
    native = spec_of(Kept("agt_1", 3, "ten_ours", {"name": "Desk", "url": URL}))
    assert native.silence == Silence()


def test_everything_that_is_said_arrives():
    said: dict[str, Json] = {
        "name": "Desk",
        "url": URL,
        "dialect": "native",
        "codec": "slin16",
        "silence": {"prompt_s": 10, "times": 2, "prompt": "Hello?", "most_s": 60},
        "shutdown": {"deadline_ms": 1000, "farewell": "Bye.", "tail_ms": 0, "summary_ms": 0},
        "fallback": {"agent_id": "agt_2", "prompt": None, "number": "+12025550100"},
        "barge_in": {"mode": "off"},
        "max_duration": 120,
        "max_concurrent": 7,
        "tools_url": "https://agent.example/tools",
        "transfer_allow": ["phone:alice", "+4420*"],
        "language": "de-DE",
        "record": True,
        "filler": "One moment.",
        "secure_digits": True,
        "system_prompt": "Be kind.",
        "tools": ["send_sms", {"name": "x"}],
        "temperature": None,
    }
    spec = spec_of(Kept("agt_1", 1, "ten_ours", said, "bearer", "token"))
    assert spec.auth == Auth("bearer", "token")
    assert "token" not in repr(spec)
    assert spec.silence == Silence(10, 2, "Hello?", 60)
    assert spec.shutdown == Shutdown(1000, "Bye.", 0, 0)
    assert spec.fallback == Fallback("agt_2", "", "+12025550100")
    assert spec.barge_in.mode == "off"
    assert spec.barge_in.min_ms == BargeIn().min_ms
    assert (spec.max_duration_s, spec.max_concurrent, spec.codec) == (120, 7, "slin16")
    assert (spec.language, spec.voice) == ("de-DE", "de-DE")
    assert (spec.record, spec.filler, spec.secure_digits) == (True, "One moment.", True)
    assert json.loads(spec.passed_on) == {"system_prompt": "Be kind.", "tools": ["send_sms", {"name": "x"}]}


@pytest.mark.parametrize(
    ("allowed", "to", "may"),
    [
        ((), "+12025550100", False),
        (("+12025550100",), "+12025550100", True),
        (("+1202555010",), "+12025550100", False),
        (("+1202*",), "+12025550100", True),
        (("+1202*",), "+12125550100", False),
        (("phone:alice",), "phone:alice", True),
        (("phone:alice",), "phone:alice2", False),
        (("+*",), "phone:alice", False),
        (("room:*",), "room:11111111-1111-4111-8111-111111111111", True),
        (("+*", "phone:*"), "room:11111111-1111-4111-8111-111111111111", False),
    ],
)
def test_a_transfer_goes_where_the_list_allows(allowed: tuple[str, ...], to: str, may: bool):
    assert may_transfer(allowed, to) is may


@pytest.mark.parametrize(
    ("said", "mode"),
    [
        ({"dialect": "twilio", "url": "wss://bot.example"}, "off"),
        ({"dialect": "twilio", "url": "wss://bot.example", "barge_in": {"min_ms": 80}}, "off"),
        ({"dialect": "twilio", "url": "wss://bot.example", "barge_in": {"mode": "clear"}}, "clear"),
        ({"dialect": "native", "url": "wss://bot.example"}, "pause"),
        ({}, "pause"),
    ],
)
def test_a_bot_for_twilio_decides_alone_on_interruptions_unless_told_otherwise(
    said: dict[str, Json], mode: str
):
    kept = Kept("agt_1", 1, "ten_1", {"name": "Desk", **said})
    assert spec_of(kept).barge_in.mode == mode


@pytest.mark.parametrize(
    ("said", "understood"),
    [
        ({"dialect": "telepathy", "url": URL}, {"url": URL}),
        ({"barge_in": {"mode": "wink", "min_ms": 90}}, {"barge_in": {"min_ms": 90}}),
        ({"barge_in": {"mode": "off", "nod": 1}}, {"barge_in": {"mode": "off"}}),
        (
            {"silence": {"prompt_s": 5, "hum": 1}, "later": {"x": 1}},
            {"silence": {"prompt_s": 5}, "later": {"x": 1}},
        ),
    ],
)
def test_what_a_newer_release_said_is_seen_as_far_as_it_is_understood_and_never_used(
    said: dict[str, Json], understood: dict[str, Json]
):
    assert readable(said) == understood
    spec_of(Kept("agt_1", 1, "ten_1", readable(said)))
    with pytest.raises(Conflict) as refused:
        spec_of(Kept("agt_1", 1, "ten_1", said))
    assert refused.value.code == "AGENT_TOO_NEW"


def test_what_this_release_said_is_understood_as_it_stands():
    said: dict[str, Json] = {
        "dialect": "openai",
        "barge_in": {"mode": "off"},
        "shutdown": {"tail_ms": 1},
        "x": None,
    }
    assert readable(said) == said
