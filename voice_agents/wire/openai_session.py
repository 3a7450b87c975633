"""How an agent of ours becomes a session of OpenAI's Realtime: formats, instructions, tools, turn detection.

The fields are those of ``session.update`` in the generally available interface
(https://developers.openai.com/api/reference/resources/realtime/client-events). What the agent's owner wrote
is passed on as it is; unknown kinds of fields stay behind.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote, urlsplit

import orjson

from voice_agents.core.agent import AgentSpec, BargeMode
from voice_agents.core.audio import Codec
from voice_agents.core.talk import Begin, Reason

URL: Final = "wss://api.openai.com/v1/realtime"
MODEL: Final = "gpt-realtime"
TRANSCRIBER: Final = "gpt-4o-mini-transcribe"

HANG_UP: Final = "hang_up"
TRANSFER: Final = "transfer_call"
SEND_DIGITS: Final = "send_digits"

_FORMATS: Final[Mapping[Codec, Mapping[str, object]]] = {
    Codec.ULAW: {"type": "audio/pcmu"},
    Codec.ALAW: {"type": "audio/pcma"},
    Codec.SLIN24: {"type": "audio/pcm", "rate": 24000},
}
WHY: Final[Mapping[Reason, str]] = {
    Reason.API: "whoever runs it wants it so",
    Reason.MAX_DURATION: "it has lasted as long as it may",
    Reason.SILENCE: "nobody says anything any more",
    Reason.DRAIN: "the line is about to be serviced",
    Reason.TRANSFERRED: "the caller talks with somebody else from now on",
}
"""Why a call ends, as the model is told."""
_LANGUAGE_TAG: Final = re.compile(r"[a-z]{2,3}-[A-Za-z0-9-]{2,16}")
_KEPT: Final = ("tool_choice", "max_output_tokens", "prompt", "tracing", "truncation", "reasoning", "include")


def passed_on(spec: AgentSpec) -> Mapping[str, Any]:
    """The fields that were kept for the agent; none where they cannot be read."""
    try:
        found = orjson.loads(spec.passed_on)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def address(spec: AgentSpec) -> str:
    """Where the model is: the agent's address or OpenAI's own, and the model's name where it lacks one."""
    url = spec.url or URL
    query = urlsplit(url).query
    if "model=" in query or "deployment=" in query or "call_id=" in query:
        return url
    model = passed_on(spec).get("model")
    named = quote(model, safe=".-_") if isinstance(model, str) and model else MODEL
    return f"{url}{'&' if query else '?'}model={named}"


def update(spec: AgentSpec, begin: Begin) -> Mapping[str, object]:
    """The ``session.update`` that opens a conversation."""
    kept = passed_on(spec)
    session: dict[str, object] = {
        "type": "realtime",
        "output_modalities": ["audio"],
        "audio": {"input": _input(spec, begin, kept), "output": _output(spec, begin, kept)},
        "tools": tools(spec, kept),
    }
    instructions = _instructions(begin, kept)
    if instructions:
        session["instructions"] = instructions
    session |= {name: kept[name] for name in _KEPT if name in kept}
    return {"type": "session.update", "session": session}


def quiet_update() -> Mapping[str, object]:
    """From now on the caller's speech neither interrupts nor is answered: a farewell is spoken."""
    deaf = {"type": "server_vad", "create_response": False, "interrupt_response": False}
    return {
        "type": "session.update",
        "session": {"type": "realtime", "audio": {"input": {"turn_detection": deaf}}},
    }


def tools(spec: AgentSpec, kept: Mapping[str, Any]) -> list[Mapping[str, object]]:
    """The owner's tools and ours, which theirs of the same name replace."""
    wanted = kept.get("tools")
    theirs = [_tool(tool) for tool in wanted if isinstance(tool, dict)] if isinstance(wanted, list) else []
    named = {tool.get("name") for tool in theirs}
    return [*theirs, *(tool for tool in _ours(spec) if tool["name"] not in named)]


def _tool(tool: Mapping[str, Any]) -> Mapping[str, object]:
    """A tool in the flat shape of Realtime; ``{"type": "function", "function": {…}}`` is unpacked."""
    inner = tool.get("function")
    if isinstance(inner, dict):
        tool = inner
    if "type" in tool and tool["type"] != "function":
        return tool
    return {"type": "function", **{name: value for name, value in tool.items() if name != "type"}}


def _ours(spec: AgentSpec) -> Sequence[Mapping[str, object]]:
    ours = [
        _function(HANG_UP, "End the call, after you have said goodbye.", reason="Why, in a few words."),
        _function(
            SEND_DIGITS, "Press keys on the telephone line.", digits="Of 0-9 * # and w, half a second."
        ),
    ]
    if spec.transfer_allow:
        ours.append(_transfer(spec.transfer_allow))
    return ours


def _transfer(allow: Sequence[str]) -> Mapping[str, object]:
    """Rooms are spoken of only where some can be reached."""
    does, places = "Transfer the caller, after you have said so.", "A number in E.164, or phone:NAME"
    if any(one.startswith("room:") for one in allow):
        does = "Transfer the caller, or take them into a video room, after you have said so."
        places = "A number in E.164, phone:NAME, or room:ID for a video room"
    return _function(TRANSFER, does, to=f"{places}; it must fit one of: {', '.join(allow)}.")


def _function(name: str, description: str, **arguments: str) -> Mapping[str, object]:
    properties = {word: {"type": "string", "description": about} for word, about in arguments.items()}
    parameters = {"type": "object", "properties": properties, "required": list(arguments)}
    return {"type": "function", "name": name, "description": description, "parameters": parameters}


def _instructions(begin: Begin, kept: Mapping[str, Any]) -> str:
    written = [kept.get("system_prompt") or kept.get("instructions")]
    if begin.metadata:
        facts = "; ".join(f"{name}: {value}" for name, value in begin.metadata)
        written.append(f"What is known of this call: {facts}.")
    if begin.resumed_turns is not None:
        written.append(
            f"You are taking over a call in which {begin.resumed_turns} turns were spoken. Do not greet the "
            "caller again: excuse the short silence and ask where you were."
        )
    return "\n\n".join(text for text in written if isinstance(text, str) and text)


def _input(spec: AgentSpec, begin: Begin, kept: Mapping[str, Any]) -> Mapping[str, object]:
    sound: dict[str, object] = {"format": _FORMATS[begin.codec], "turn_detection": _turns(spec, kept)}
    language = begin.language.partition("-")[0].lower()
    sound["transcription"] = kept.get("transcription", {"model": TRANSCRIBER, "language": language})
    if "noise_reduction" in kept:
        sound["noise_reduction"] = kept["noise_reduction"]
    return sound


def _output(spec: AgentSpec, begin: Begin, kept: Mapping[str, Any]) -> Mapping[str, object]:
    sound: dict[str, object] = {"format": _FORMATS[begin.codec]}
    if spec.voice != spec.language and _LANGUAGE_TAG.fullmatch(spec.voice) is None:
        sound["voice"] = {"id": spec.voice} if spec.voice.startswith("voice_") else spec.voice
    if "speed" in kept:
        sound["speed"] = kept["speed"]
    return sound


def _turns(spec: AgentSpec, kept: Mapping[str, Any]) -> object:
    """The owner's turn detection, or the model's own; an agent that is not to be interrupted is not."""
    wanted = kept.get("turn_detection", {"type": "server_vad"})
    if not isinstance(wanted, dict):
        return None
    interrupts = spec.barge_in.mode not in (BargeMode.OFF, BargeMode.DTMF)
    return {"create_response": True, **wanted, "interrupt_response": interrupts}
