"""Twilio's ConversationRelay: the agent reads what the caller said and writes what is to be said.

The messages are those of https://www.twilio.com/docs/voice/conversationrelay/websocket-messages. ``setup`` is
sent once the caller is on the line, since bots greet when they see it. The protocol has no word for an end
that is near: an agent whose parameter ``x-session-ending`` is ``on`` gets a message of that type. A message
that the protocol does not have is an error (64107, https://www.twilio.com/docs/api/errors/64107), as there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from telephony.ids import TenantId
from voice_agents.core.sids import account_sid, call_sid
from voice_agents.core.talk import (
    Answered,
    Begin,
    Digit,
    Ending,
    Fault,
    HangUp,
    Interrupted,
    Language,
    Malformed,
    Play,
    Said,
    SendDigits,
    Summary,
    Told,
    Utterance,
    Words,
)
from voice_agents.ports import Wire
from voice_agents.wire import fields
from voice_agents.wire.fields import Message
from voice_agents.wire.twilio import ENDING, custom_parameters, derived_sid, ending_fields

INVALID_MESSAGE: Final = 64107
_DIGITS: Final = re.compile(r"[0-9*#A-DwW]{1,32}")
_LOOPS: Final = 1_000


def relay_sid(session_id: str) -> str:
    """The ``sessionId`` of a session: always the same, and of no other session."""
    return derived_sid("VX", session_id)


class ConversationRelayDialect:
    """One relay session."""

    text_level = True
    has_ready = False
    bye_by_closing = True
    has_pause = False
    broken = ""

    def __init__(self, tenant: str) -> None:
        self._account = account_sid(TenantId(tenant))
        self._begin: Begin | None = None
        self._set_up = False

    def tell(self, told: Told) -> Sequence[Wire]:
        match told:
            case Begin():
                self._begin = told
                return ()
            case Answered():
                return self._setup()
            case Utterance():
                lang = told.language or self._language()
                return self._after_setup("prompt", voicePrompt=told.text, lang=lang, last=told.final)
            case Digit():
                return self._after_setup("dtmf", digit=told.digit)
            case Interrupted():
                heard = {
                    "utteranceUntilInterrupt": told.heard_text,
                    "durationUntilInterruptMs": told.heard_ms,
                }
                return (_message("interrupt", **heard),)
            case Fault():
                code = f" ({INVALID_MESSAGE})" if told.code.startswith("malformed") else ""
                return (_message("error", description=f"{told.message}{code}"),)
            case Ending() if self._set_up and self._wants_ending():
                return (_message(ENDING, **ending_fields(told)),)
        return ()

    def hear(self, message: Wire) -> Sequence[Said]:
        if isinstance(message, bytes):
            return (Malformed("messages are text"),)
        try:
            found = fields.read_object(message)
            reader = _READERS.get(fields.kind(found, "type"))
            if reader is None:
                raise fields.Fault("type: text, play, sendDigits, language or end")
            return reader(found)
        except fields.Fault as fault:
            return (Malformed(str(fault)),)

    def owed(self) -> Sequence[Wire]:
        return ()

    def _after_setup(self, kind: str, **more: object) -> Sequence[Wire]:
        return (*self._setup(), _message(kind, **more))

    def _setup(self) -> Sequence[Wire]:
        begin = self._begin
        if self._set_up or begin is None:
            return ()
        self._set_up = True
        setup = {
            "type": "setup",
            "sessionId": relay_sid(begin.session_id),
            "accountSid": self._account,
            "parentCallSid": "",
            "callSid": call_sid(begin.call_id),
            "from": begin.caller,
            "to": begin.called,
            "forwardedFrom": "",
            "callType": "SIP" if begin.caller.startswith("phone:") else "PSTN",
            "callerName": "",
            "direction": "inbound" if begin.direction == "inbound" else "outbound-api",
            "callStatus": "IN-PROGRESS",
            "customParameters": custom_parameters(begin),
        }
        return (fields.write(setup),)

    def _language(self) -> str:
        return self._begin.language if self._begin is not None else ""

    def _wants_ending(self) -> bool:
        return self._begin is not None and dict(self._begin.parameters).get(ENDING) == "on"


def _message(kind: str, **more: object) -> str:
    return fields.write({"type": kind, **more})


def _may_interrupt(message: Message) -> bool:
    """A flag, or who may: none, dtmf, speech, any."""
    value = message.get("interruptible", True)
    if value in ("none", "dtmf", "speech", "any"):
        return bool(value != "none")
    return fields.flag(message, "interruptible", True)


def _text(message: Message) -> Sequence[Said]:
    words = Words(
        fields.words(message, "token", fields.MAX_SAY),
        last=fields.flag(message, "last", False),
        interruptible=_may_interrupt(message),
        preemptible=fields.flag(message, "preemptible", False),
        language=fields.shaped(message, "lang", fields.LANGUAGE, "a language tag", ""),
    )
    return (words,)


def _play(message: Message) -> Sequence[Said]:
    times = fields.whole(message, "loop", 0, _LOOPS, 1)
    return (Play(fields.address(message, "source"), times=times, interruptible=_may_interrupt(message)),)


def _digits(message: Message) -> Sequence[Said]:
    digits = fields.shaped(message, "digits", _DIGITS, "1 to 32 of 0-9*#wW")
    return (SendDigits(digits.replace("W", "ww")),)


def _language(message: Message) -> Sequence[Said]:
    speak, understand = (
        fields.shaped(message, name, fields.LANGUAGE, "a language tag", "")
        for name in ("ttsLanguage", "transcriptionLanguage")
    )
    return (Language(speak, understand),)


def _end(message: Message) -> Sequence[Said]:
    """``handoffData`` is text, of any kind: it is kept as a field of the summary."""
    handoff = fields.words(message, "handoffData", fields.MAX_JSON - 64, default="")
    if not handoff:
        return (HangUp("end"),)
    return (Summary("", fields.write({"handoffData": handoff})), HangUp("end"))


_READERS: Final[Mapping[str, Callable[[Message], Sequence[Said]]]] = {
    "text": _text,
    "play": _play,
    "sendDigits": _digits,
    "language": _language,
    "end": _end,
}
