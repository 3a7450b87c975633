"""Each dialect against conversations that were written down, and against its schema."""

from __future__ import annotations

import json
import math
from array import array
from base64 import b64encode
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import voice_agents.wire
from tests.rig.conversations import FOLDER, Conversation, follow, load, spec_of, told_of
from voice_agents.core import talk
from voice_agents.core.agent import DialectName
from voice_agents.core.audio import Codec
from voice_agents.core.sound import from_linear, rms
from voice_agents.core.talk import Answered, Audio, Begin, CallerAudio, Malformed, Reason, Said
from voice_agents.ports import Dialect
from voice_agents.wire.converted import ConvertedDialect
from voice_agents.wire.dialects import OWN_CODEC, address_of, codec_of, dialect_for, dialect_of

pytestmark = pytest.mark.unit

TRACES = sorted(FOLDER.glob("*.jsonl"))
SCHEMAS = Path(voice_agents.wire.__file__).parent / "schemas"
OF_DIALECT = {
    "native": "native",
    "twilio": "twilio",
    "conversationrelay": "conversation_relay",
    "openai": "openai",
}
NOT_IN_A_SCHEMA = {"Malformed": {"why": "arguments: JSON"}}
"""A schema cannot say that text holds JSON."""
SAID = Said.__args__  # type: ignore[attr-defined]


def schema(dialect: str, side: str) -> jsonschema_rs.Validator:
    """The validator of what Patchbay says (``told``) or the agent does (``said``)."""
    written = json.loads((SCHEMAS / f"{OF_DIALECT[dialect]}.json").read_text("utf-8"))
    written.pop("anyOf")
    return jsonschema_rs.validator_for({**written, "$ref": f"#/$defs/{side}"})


def kinds(dialect: str, side: str) -> set[str]:
    """The messages that the schema knows."""
    written = json.loads((SCHEMAS / f"{OF_DIALECT[dialect]}.json").read_text("utf-8"))
    return {name.removeprefix(f"{side}.") for name in written["$defs"] if name.startswith(f"{side}.")}


@pytest.mark.parametrize("path", TRACES, ids=lambda path: path.stem)
def test_it_goes_as_it_was_written_down(path: Path):
    for written, now in follow(load(path)):
        assert now == written


@pytest.mark.parametrize("path", TRACES, ids=lambda path: path.stem)
def test_what_is_written_is_of_the_dialect(path: Path):
    conversation = load(path)
    told = schema(conversation.agent["dialect"], "told")
    for _, now in follow(conversation):
        for message in now["wire"]:
            if set(message) != {"base64"}:
                told.validate(message)


@pytest.mark.parametrize("path", TRACES, ids=lambda path: path.stem)
def test_what_is_understood_is_of_the_dialect_and_what_is_malformed_is_not(path: Path):
    conversation = load(path)
    said = schema(conversation.agent["dialect"], "said")
    for _, now in follow(conversation):
        message = now.get("hear")
        if message is None or set(message) in ({"base64"}, {"text"}):
            continue
        if any("Malformed" in one for one in now["said"]):
            assert not said.is_valid(message) or now["said"] == [NOT_IN_A_SCHEMA], message
        elif now["said"] and any(now["said"]):
            said.validate(message)


@pytest.mark.parametrize("dialect", OF_DIALECT)
@pytest.mark.parametrize("side", ["told", "said"])
def test_every_message_of_a_schema_is_in_a_conversation(dialect: str, side: str):
    seen: set[str] = set()
    validators = {kind: schema_of_kind(dialect, f"{side}.{kind}") for kind in kinds(dialect, side)}
    for path in TRACES:
        conversation = load(path)
        if conversation.agent["dialect"] != dialect:
            continue
        for _, now in follow(conversation):
            messages = now["wire"] if side == "told" else [now["hear"]] if "hear" in now else []
            seen |= {kind for kind, known in validators.items() for one in messages if known.is_valid(one)}
    assert seen == set(validators)


def schema_of_kind(dialect: str, name: str) -> jsonschema_rs.Validator:
    written = json.loads((SCHEMAS / f"{OF_DIALECT[dialect]}.json").read_text("utf-8"))
    written.pop("anyOf")
    return jsonschema_rs.validator_for({**written, "$ref": f"#/$defs/{name}"})


def test_the_schemas_know_every_reason():
    for name in ("native", "twilio", "conversation_relay"):
        text = (SCHEMAS / f"{name}.json").read_text("utf-8")
        assert all(f'"{reason.value}"' in text for reason in Reason)


# ---------------------------------------------------------------- whatever is told, whatever is heard


def begun(dialect: str) -> tuple[Dialect, Begin]:
    agent: dict[str, Any] = {"dialect": dialect}
    begin = told_of(
        {
            "Begin": {
                "session_id": "ses_1",
                "call_id": "call_01KACWXR00000000000000007A",
                "agent_id": "agt_1",
                "agent_version": 1,
                "direction": "inbound",
                "caller": "+14155550123",
                "called": "",
                "codec": OWN_CODEC[DialectName(dialect)].asterisk,
            }
        }
    )
    assert isinstance(begin, Begin)
    return Conversation(agent, []).dialect(), begin


ANYTHING = {
    "Answered": {},
    "CallerAudio": {"frame": {"base64": b64encode(bytes(160)).decode()}, "at_ms": 1},
    "Utterance": {"text": "x", "at_ms": 1, "until_ms": 2},
    "SpeechStarted": {"at_ms": 1},
    "SpeechStopped": {"at_ms": 1},
    "CallerSilent": {"for_ms": 1, "nth": 1, "left": 0},
    "Digit": {"digit": "#", "at_ms": 1},
    "MarkReached": {"name": "x"},
    "Interrupted": {"heard_ms": 1, "heard_text": "x"},
    "DigitsSent": {"digits": "1"},
    "TransferOutcome": {"to": "phone:a", "outcome": "busy"},
    "ToolResult": {"id": "x", "ok": True, "result": "no JSON"},
    "FlowPaused": {"paused": True},
    "Held": {"held": True},
    "Fault": {"code": "x", "message": "y"},
    "Ending": {"reason": "api_hangup", "initiated_by": "x", "deadline_ms": 1, "may_speak": True},
    "Ended": {"reason": "api_hangup", "duration_ms": 1},
}


@pytest.mark.parametrize("dialect", OF_DIALECT)
def test_everything_can_be_told_before_and_after_the_answer(dialect: str):
    known = {one.__name__ for one in talk.Told.__args__} - {"Begin"}  # type: ignore[attr-defined]
    assert set(ANYTHING) == known
    told = schema(dialect, "told")
    for first in (None, "Begin", "Answered"):
        for name, fields in ANYTHING.items():
            speaker, begin = begun(dialect)
            before = [begin] if first else []
            before += [told_of({"Answered": {}})] if first == "Answered" else []
            for one in [*before, told_of({name: fields})]:
                for message in [*speaker.tell(one), *speaker.owed()]:
                    if isinstance(message, str) and before:
                        told.validate(json.loads(message))


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
WORDS = st.sampled_from(
    sorted(
        {
            *(
                "event",
                "type",
                "media",
                "payload",
                "streamSid",
                "mark",
                "name",
                "clear",
                "text",
                "token",
                "last",
            ),
            *(
                "say",
                "play",
                "url",
                "loop",
                "digits",
                "sendDigits",
                "end",
                "handoffData",
                "transfer",
                "to",
                "id",
            ),
            *(
                "tool.call",
                "arguments",
                "session.ready",
                "wants",
                "guard",
                "most_ms",
                "on",
                "language",
                "speak",
            ),
            *(
                "response.created",
                "response.done",
                "response",
                "metadata",
                "item",
                "item_id",
                "delta",
                "error",
            ),
            *(
                "response.output_item.done",
                "response.output_audio.delta",
                "function_call",
                "call_id",
                "status",
            ),
            *("session.updated", "output", "content", "purpose", "patchbay-summary", "failed", "event_id"),
            *(
                "response.output_audio.done",
                "conversation.item.input_audio_transcription.completed",
                "transcript",
            ),
        }
    )
)
LIKELY = st.dictionaries(WORDS, WORDS | JSON | st.dictionaries(WORDS, WORDS | JSON, max_size=4), max_size=6)


@pytest.mark.parametrize("dialect", OF_DIALECT)
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_nothing_that_is_heard_breaks_it(dialect: str, data: st.DataObject):
    speaker, begin = begun(dialect)
    speaker.tell(begin)
    for _ in range(4):
        message = data.draw(st.one_of(LIKELY.map(json.dumps), JSON.map(json.dumps), st.text(), st.binary()))
        for said in speaker.hear(message):
            assert isinstance(said, SAID)
        assert all(isinstance(one, str | bytes) for one in speaker.owed())


@pytest.mark.parametrize("dialect", OF_DIALECT)
@given(text=st.text("αβγδ{}[],", min_size=3))
def test_a_fault_quotes_nothing(dialect: str, text: str):
    speaker, begin = begun(dialect)
    speaker.tell(begin)
    for message in ({"type": text, "event": text}, {"type": "say", "event": "mark", "text": {text: 1}}, text):
        for said in speaker.hear(message if isinstance(message, str) else json.dumps(message)):
            assert not isinstance(said, Malformed) or text not in said.why


# ---------------------------------------------------------------- the odd thing


def test_sids_are_of_their_session_alone():
    from voice_agents.wire.conversation_relay import relay_sid
    from voice_agents.wire.twilio import stream_sid

    assert stream_sid("ses_1") == stream_sid("ses_1") != stream_sid("ses_2")
    assert stream_sid("ses_1")[2:] != relay_sid("ses_1")[2:]


@pytest.mark.parametrize(
    ("url", "model", "wanted"),
    [
        ("", None, "wss://api.openai.com/v1/realtime?model=gpt-realtime"),
        ("", "gpt-x y", "wss://api.openai.com/v1/realtime?model=gpt-x%20y"),
        ("wss://a.test/v1/realtime?x=1", "m", "wss://a.test/v1/realtime?x=1&model=m"),
        ("wss://a.test/realtime?model=n", "m", "wss://a.test/realtime?model=n"),
    ],
)
def test_a_model_is_named_in_the_address(url: str, model: str | None, wanted: str):
    passed_on = {} if model is None else {"model": model}
    assert address_of(spec_of({"dialect": "openai", "url": url, "passed_on": passed_on})) == wanted


def test_an_agent_that_is_not_to_be_interrupted_is_not_by_its_model_either():
    spec = spec_of({"dialect": "openai", "barge_in": "off", "passed_on": {"turn_detection": {"type": "x"}}})
    _, begin = begun("openai")
    opened = json.loads(dialect_of(spec).tell(begin)[0])
    turns = opened["session"]["audio"]["input"]["turn_detection"]
    assert turns == {"type": "x", "create_response": True, "interrupt_response": False}


def test_an_agent_has_the_sound_that_it_names_or_its_dialects():
    assert codec_of(spec_of({"dialect": "openai"})).asterisk == "ulaw"
    assert codec_of(spec_of({"dialect": "openai", "codec": "slin24"})).asterisk == "slin24"
    with pytest.raises(KeyError):
        codec_of(spec_of({"dialect": "native", "codec": "opus"}))


@pytest.mark.parametrize("dialect", ["twilio", "native", "openai"])
@pytest.mark.parametrize("ours", [Codec.SLIN16, Codec.ULAW, Codec.SLIN24, Codec.SLIN])
def test_an_agent_that_joins_a_call_of_another_sound_hears_and_is_heard(dialect: str, ours: Codec):
    """A tone there, and the same tone back, as loud and as long."""
    spec = spec_of({"dialect": dialect, "codec": "" if dialect != "native" else "slin24"})
    speaker = dialect_for(spec, ours)
    _, begin = begun(dialect)
    opening = [*speaker.tell(replace(begin, codec=ours)), *speaker.tell(Answered())]
    assert not any("slin16" in str(one) for one in opening)
    call_tone = from_linear(ours, sine(ours.rate_hz, 400))
    octets = ours.frame_bytes
    frames = [call_tone[at : at + octets] for at in range(0, len(call_tone), octets)]
    heard = b""
    for at, frame in enumerate(frames):
        for message in speaker.tell(CallerAudio(frame, at * 20)):
            for said in speaker.hear(returned(dialect, message)):
                assert isinstance(said, Audio)
                heard += said.data
    assert abs(ours.ms(len(heard)) - 400) <= 2
    middle = heard[len(heard) // 4 & ~1 : len(heard) // 2 & ~1]
    assert rms(ours, middle) == pytest.approx(rms(ours, call_tone), rel=0.1)


def returned(dialect: str, message: Any) -> Any:
    """What an echo of this dialect says to it."""
    if dialect == "native":
        return message
    found = json.loads(message)
    if dialect == "twilio":
        return json.dumps({"event": "media", "media": {"payload": found["media"]["payload"]}})
    sound = {"response_id": "r", "item_id": "i", "delta": found["audio"]}
    return json.dumps({"type": "response.output_audio.delta", **sound})


def sine(rate_hz: int, ms: int) -> bytes:
    """A tone of 440 Hz, linear."""
    count = rate_hz * ms // 1000
    return array(
        "h", (round(8000 * math.sin(2 * math.pi * 440 * n / rate_hz)) for n in range(count))
    ).tobytes()


def test_an_agent_of_the_same_sound_is_not_converted():
    for dialect, codec in (("twilio", Codec.ULAW), ("openai", Codec.SLIN24), ("native", Codec.SLIN)):
        assert not isinstance(dialect_for(spec_of({"dialect": dialect}), codec), ConvertedDialect)
    assert not isinstance(
        dialect_for(spec_of({"dialect": "conversationrelay"}), Codec.ULAW), ConvertedDialect
    )


def test_a_model_that_failed_twice_is_given_up():
    conversation = load(FOLDER / "openai-fails.jsonl")
    dialect = conversation.dialect()
    for step in conversation.steps:
        if "tell" in step:
            dialect.tell(told_of(step["tell"]))
        elif set(step["hear"]) not in ({"base64"}, {"text"}):
            dialect.hear(json.dumps(step["hear"]))
            dialect.owed()
    assert dialect.broken == "the model failed: server_error"


@pytest.mark.parametrize("code", ["invalid_api_key", "anything"])
def test_a_model_that_refuses_to_begin_is_given_up(code: str):
    dialect, begin = begun("openai")
    dialect.tell(begin)
    dialect.hear(json.dumps({"type": "error", "error": {"type": "x", "code": code, "message": "secret"}}))
    assert dialect.broken == f"the model refused: {code}"
