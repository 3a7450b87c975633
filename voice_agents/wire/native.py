"""Patchbay's own dialect: binary messages are sound in the session's codec, text messages are JSON events.

docs/agents-native.md is its reference, ``schemas/native.json`` its shape. What is not known is ignored,
fields and types alike, so that both sides may grow; what is known and broken is ``Malformed``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import orjson

from voice_agents.core.talk import (
    Ack,
    Answered,
    Audio,
    Begin,
    CallerAudio,
    CallerSilent,
    CallerSpoke,
    CallerWords,
    CallTool,
    Caption,
    Clear,
    Digit,
    DigitsSent,
    Ended,
    Ending,
    Fault,
    FlowPaused,
    Guard,
    HangUp,
    Held,
    Interrupted,
    Language,
    Malformed,
    Mark,
    MarkReached,
    Play,
    Ready,
    Said,
    SendDigits,
    SpeechStarted,
    SpeechStopped,
    Summary,
    Told,
    ToolResult,
    Transfer,
    TransferOutcome,
    Utterance,
    Words,
)
from voice_agents.ports import Wire
from voice_agents.wire import fields
from voice_agents.wire.fields import Message

PROTOCOL: Final = "patchbay.agent"
VERSION: Final = 1
NO_AUDIO: Final = "no_audio"
"""What an agent wants that has no use for the caller's sound."""
_MOST_WANTS: Final = 16
_GUARD_MS: Final = 60_000
_RING_S: Final = 120


class NativeDialect:
    """One agent's connection. ``ignored`` counts messages of types that this version does not know."""

    text_level = False
    has_ready = True
    bye_by_closing = True
    has_pause = True
    broken = ""

    def __init__(self) -> None:
        self.ignored = 0
        self._deaf = False
        self._linear = False
        self._odd = b""

    def tell(self, told: Told) -> Sequence[Wire]:
        if isinstance(told, CallerAudio):
            return () if self._deaf else (told.frame,)
        if isinstance(told, Begin):
            self._linear = told.codec.linear
        return (fields.write(event(told)),)

    def hear(self, message: Wire) -> Sequence[Said]:
        if isinstance(message, bytes):
            return self._sound(message)
        try:
            found = fields.read_object(message)
            kind = fields.kind(found, "type")
            reader = _READERS.get(kind)
            if reader is None:
                self.ignored += 1
                return ()
            said = reader(found)
        except fields.Fault as fault:
            return (Malformed(str(fault)),)
        if isinstance(said, Ready):
            self._deaf = NO_AUDIO in said.wants
        elif isinstance(said, Clear | Mark):
            self._odd = b""
        return (said,)

    def owed(self) -> Sequence[Wire]:
        return ()

    def _sound(self, octets: bytes) -> Sequence[Said]:
        """Samples of two octets may be cut by the messages: the half waits for its other half, until a mark
        or a clear, where another piece of sound begins."""
        if self._linear:
            octets = self._odd + octets
            self._odd = octets[len(octets) & ~1 :]
            octets = octets[: len(octets) & ~1]
        return (Audio(octets),) if octets else ()


def event(told: Told) -> Mapping[str, object]:
    """The JSON event that says this. ``CallerAudio`` has none."""
    return {"type": _TYPES[type(told)], **_WRITERS[type(told)](told)}


def _begin(told: Begin) -> Mapping[str, object]:
    begun: dict[str, object] = {
        "protocol": PROTOCOL,
        "version": VERSION,
        "session_id": told.session_id,
        "call_id": told.call_id,
        "agent_id": told.agent_id,
        "agent_version": told.agent_version,
        "direction": told.direction,
        "caller": told.caller,
        "called": told.called,
        "language": told.language,
        "audio": {
            "codec": told.codec.asterisk,
            "rate_hz": told.codec.rate_hz,
            "channels": 1,
            "frame_ms": 20,
            "frame_bytes": told.codec.frame_bytes,
        },
        "greeting": told.greeting,
        "metadata": dict(told.metadata),
        "parameters": dict(told.parameters),
        "control_token": told.control_token,
    }
    if told.resumed_turns is not None:
        begun["resumed_turns"] = told.resumed_turns
    return begun


def _result(told: ToolResult) -> Mapping[str, object]:
    answer: dict[str, object] = {"id": told.id, "ok": told.ok}
    if told.ok:
        try:
            answer["result"] = orjson.loads(told.result)
        except orjson.JSONDecodeError:
            answer["result"] = told.result
    else:
        answer["error"] = told.error
    return answer


def _plain(*names: str) -> Callable[..., Mapping[str, object]]:
    """A writer of these attributes as they are."""
    return lambda told: {name: getattr(told, name) for name in names}


_TYPES: Final[Mapping[type, str]] = {
    Begin: "session.begin",
    Answered: "session.answered",
    Utterance: "transcript.caller",
    SpeechStarted: "speech.started",
    SpeechStopped: "speech.stopped",
    CallerSilent: "caller.silent",
    Digit: "dtmf",
    MarkReached: "mark.reached",
    Interrupted: "interrupted",
    DigitsSent: "dtmf.sent",
    TransferOutcome: "transfer.outcome",
    ToolResult: "tool.result",
    FlowPaused: "flow",
    Held: "held",
    Fault: "error",
    Ending: "session.ending",
    Ended: "session.ended",
}
_WRITERS: Final[Mapping[type, Callable[..., Mapping[str, object]]]] = {
    Begin: _begin,
    Answered: _plain("at_ms"),
    Utterance: _plain("text", "at_ms", "until_ms", "confidence", "final", "language"),
    SpeechStarted: _plain("at_ms"),
    SpeechStopped: _plain("at_ms"),
    CallerSilent: _plain("for_ms", "nth", "left"),
    Digit: _plain("digit", "at_ms"),
    MarkReached: _plain("name", "heard"),
    Interrupted: _plain("heard_ms", "heard_text", "after_mark", "after_mark_ms"),
    DigitsSent: _plain("digits"),
    TransferOutcome: _plain("to", "outcome"),
    ToolResult: _result,
    FlowPaused: lambda told: {"type": "flow.pause" if told.paused else "flow.resume"},
    Held: _plain("held", "by"),
    Fault: _plain("code", "message"),
    Ending: lambda told: {
        "reason": told.reason.value,
        "initiated_by": told.initiated_by,
        "deadline_ms": told.deadline_ms,
        "may_speak": told.may_speak,
        "final": told.final,
    },
    Ended: lambda told: {"reason": told.reason.value, "duration_ms": told.duration_ms},
}


def _ready(message: Message) -> Said:
    wants = message.get("wants", [])
    if not isinstance(wants, list) or len(wants) > _MOST_WANTS:
        raise fields.Fault(f"wants: a list of at most {_MOST_WANTS} words")
    found = ({"wants": want} for want in wants)
    return Ready(tuple(fields.shaped(want, "wants", fields.IDENTIFIER, "words") for want in found))


def _say(message: Message) -> Said:
    return Words(
        fields.words(message, "text", fields.MAX_SAY),
        last=fields.flag(message, "last", True),
        interruptible=fields.flag(message, "interruptible", True),
        preemptible=fields.flag(message, "preemptible", False),
        language=fields.shaped(message, "language", fields.LANGUAGE, "a language tag", ""),
    )


def _play(message: Message) -> Said:
    return Play(
        fields.address(message, "url"),
        times=fields.whole(message, "times", 0, 100, 1),
        interruptible=fields.flag(message, "interruptible", True),
    )


def _caption(message: Message) -> Said:
    text = fields.words(message, "text", fields.MAX_CAPTION)
    return Caption(text, final=fields.flag(message, "final", True))


def _caller_words(message: Message) -> Said:
    text = fields.words(message, "text", fields.MAX_CAPTION)
    return CallerWords(text, final=fields.flag(message, "final", True))


def _transfer(message: Message) -> Said:
    to = fields.shaped(message, "to", fields.PARTY, "a number in E.164, phone:NAME or room:ID")
    return Transfer(to, ring_timeout_s=fields.whole(message, "ring_timeout_s", 5, _RING_S, 30))


def _language(message: Message) -> Said:
    speak, understand = (
        fields.shaped(message, name, fields.LANGUAGE, "a language tag", "")
        for name in ("speak", "understand")
    )
    return Language(speak, understand)


def _tool(message: Message) -> Said:
    return CallTool(
        fields.shaped(message, "id", fields.IDENTIFIER, "1 to 64 letters, digits or _.:-"),
        fields.shaped(message, "name", fields.IDENTIFIER, "1 to 64 letters, digits or _.:-"),
        fields.json_text(message, "arguments"),
    )


def _summary(message: Message) -> Said:
    text = fields.words(message, "text", fields.MAX_CAPTION, default="")
    return Summary(text, fields.json_text(message, "fields"))


_READERS: Final[Mapping[str, Callable[[Message], Said]]] = {
    "session.ready": _ready,
    "say": _say,
    "play": _play,
    "transcript.agent": _caption,
    "transcript.caller": _caller_words,
    "mark": lambda message: Mark(fields.words(message, "name", fields.MAX_NAME, least=1)),
    "clear": lambda message: Clear(),
    "guard": lambda message: Guard(
        fields.flag(message, "on", True), fields.whole(message, "most_ms", 0, _GUARD_MS, 10_000)
    ),
    "hangup": lambda message: HangUp(fields.words(message, "reason", fields.MAX_NAME, default="")),
    "transfer": _transfer,
    "dtmf.send": lambda message: SendDigits(
        fields.shaped(message, "digits", fields.DIGITS, "1 to 64 of 0-9*#A-Dw")
    ),
    "language": _language,
    "tool.call": _tool,
    "session.ack": lambda message: Ack(),
    "session.summary": _summary,
    "speech.started": lambda message: CallerSpoke(),
}
