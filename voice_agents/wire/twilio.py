"""Twilio's Media Streams as a bidirectional stream (``<Connect><Stream>``): JSON messages, base64 µ-law.

The messages are those of https://www.twilio.com/docs/voice/media-streams/websocket-messages: numbers are
strings, marks come back once heard or cleared. ``connected`` is sent at once, ``start`` once the caller is
on the line, since bots greet when they see it. One message is added, ``x-session-ending``, for which the
protocol has no word; an agent's parameter ``x-session-ending`` set to ``off`` leaves it out.
"""

from __future__ import annotations

import hashlib
from binascii import b2a_base64
from collections.abc import Mapping, Sequence
from typing import Final

from telephony.ids import TenantId
from voice_agents.core.sids import account_sid, call_sid
from voice_agents.core.talk import (
    Answered,
    Audio,
    Begin,
    CallerAudio,
    Clear,
    Digit,
    Ended,
    Ending,
    Malformed,
    Mark,
    MarkReached,
    Said,
    Told,
)
from voice_agents.ports import Wire
from voice_agents.wire import fields

ENDING: Final = "x-session-ending"
"""The name of the added message, and of the parameter that rules it."""


def stream_sid(session_id: str) -> str:
    """The ``StreamSid`` of a session: always the same, and of no other session."""
    return derived_sid("MZ", session_id)


def derived_sid(prefix: str, text: str) -> str:
    """Two letters and 32 hexadecimal digits of a hash."""
    return prefix + hashlib.sha256(f"{prefix}\n{text}".encode()).hexdigest()[:32]


def custom_parameters(begin: Begin) -> dict[str, str]:
    """What the agent's and the call's owners pass on to the bot; the call's come last."""
    both = {**dict(begin.parameters), **dict(begin.metadata)}
    both.pop(ENDING, None)
    return both


def ending_fields(told: Ending) -> Mapping[str, object]:
    """What an ``x-session-ending`` says, in Twilio's spelling of names."""
    return {
        "reason": told.reason.value,
        "initiatedBy": told.initiated_by,
        "deadlineMs": told.deadline_ms,
        "maySpeak": told.may_speak,
        "final": told.final,
    }


class TwilioDialect:
    """One stream. ``ignored`` counts events that the protocol does not have."""

    text_level = False
    has_ready = False
    bye_by_closing = True
    has_pause = False
    broken = ""

    def __init__(self, tenant: str) -> None:
        self.ignored = 0
        self._account = account_sid(TenantId(tenant))
        self._begin: Begin | None = None
        self._stream = self._call = ""
        self._started = False
        self._numbered = 0
        self._chunks = 0
        self._head = self._tail = ""

    def tell(self, told: Told) -> Sequence[Wire]:
        if isinstance(told, CallerAudio):
            return (*self._start(), self._media(told)) if not self._started else (self._media(told),)
        match told:
            case Begin():
                return self._open(told)
            case Answered():
                return self._start()
            case Digit():
                dtmf = {"track": "inbound_track", "digit": told.digit}
                return (*self._start(), self._event("dtmf", dtmf=dtmf))
            case MarkReached():
                return (self._event("mark", mark={"name": told.name}),)
            case Ending() if self._started and self._wants_ending():
                return (self._event(ENDING, sessionEnding=ending_fields(told)),)
            case Ended() if self._started:
                stop = {"accountSid": self._account, "callSid": self._call}
                return (self._event("stop", stop=stop),)
        return ()

    def hear(self, message: Wire) -> Sequence[Said]:
        if isinstance(message, bytes):
            return (Malformed("messages are text"),)
        try:
            return self._heard(fields.read_object(message))
        except fields.Fault as fault:
            return (Malformed(str(fault)),)

    def owed(self) -> Sequence[Wire]:
        return ()

    def _heard(self, message: fields.Message) -> Sequence[Said]:
        kind = fields.kind(message, "event")
        if kind not in ("media", "mark", "clear"):
            self.ignored += 1
            return ()
        if message.get("streamSid", self._stream) != self._stream:
            raise fields.Fault("streamSid: the one of this stream")
        if kind == "media":
            octets = fields.sound(fields.part(message, "media"), "payload")
            return (Audio(octets),) if octets else ()
        if kind == "mark":
            return (Mark(fields.words(fields.part(message, "mark"), "name", fields.MAX_NAME, least=1)),)
        return (Clear(),)

    def _open(self, begin: Begin) -> Sequence[Wire]:
        self._begin, self._stream, self._call = begin, stream_sid(begin.session_id), call_sid(begin.call_id)
        self._head = '{"event":"media","sequenceNumber":"'
        self._tail = f'"}},"streamSid":"{self._stream}"}}'
        return (fields.write({"event": "connected", "protocol": "Call", "version": "1.0.0"}),)

    def _start(self) -> Sequence[Wire]:
        if self._started or self._begin is None:
            return ()
        self._started = True
        start = {
            "accountSid": self._account,
            "streamSid": self._stream,
            "callSid": self._call,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": custom_parameters(self._begin),
        }
        return (self._event("start", start=start),)

    def _event(self, name: str, **more: object) -> str:
        self._numbered += 1
        numbered = {"event": name, "sequenceNumber": str(self._numbered), **more, "streamSid": self._stream}
        return fields.write(numbered)

    def _media(self, told: CallerAudio) -> str:
        """Put together from parts: fifty a second and call, and a general encoder takes six times as long."""
        self._numbered += 1
        self._chunks += 1
        payload = b2a_base64(told.frame, newline=False).decode("ascii")
        return (
            f'{self._head}{self._numbered}","media":{{"track":"inbound","chunk":"{self._chunks}",'
            f'"timestamp":"{told.at_ms}","payload":"{payload}{self._tail}'
        )

    def _wants_ending(self) -> bool:
        return self._begin is not None and dict(self._begin.parameters).get(ENDING) != "off"
