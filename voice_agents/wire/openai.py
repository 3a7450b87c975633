"""OpenAI's Realtime over a WebSocket, as its client: the model hears and speaks, we are its telephone.

Events: https://developers.openai.com/api/reference/resources/realtime/client-events and …/server-events, the
generally available interface; the beta's names of sound and transcript events are understood too. The model
makes sound faster than it is heard, so an interruption is told with the milliseconds that were heard, never
those that were made. Only one response at a time may write to the conversation: ours wait for the model's.
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import orjson

from voice_agents.core.agent import AgentSpec
from voice_agents.core.audio import Codec
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
    Digit,
    DigitsSent,
    Ending,
    HangUp,
    Held,
    Interrupted,
    Malformed,
    Mark,
    MarkReached,
    Ready,
    Reason,
    Said,
    SendDigits,
    Told,
    ToolResult,
    Transfer,
    TransferOutcome,
)
from voice_agents.ports import Wire
from voice_agents.wire import fields, openai_responses, openai_session
from voice_agents.wire.fields import Message
from voice_agents.wire.openai_responses import ALREADY, FAREWELL, SUMMARY, Responses, identifier
from voice_agents.wire.openai_spoken import SpokenItems

_KEYS_MS: Final = 2_000
"""After so long without another key, what was pressed is told; ``#`` tells it at once."""
_HARMLESS: Final = frozenset({"response_cancel_not_active", ALREADY})
_SPENT: Final = frozenset({"session_expired", "insufficient_quota", "invalid_api_key", "model_not_found"})
_APPEND: Final = '{"type":"input_audio_buffer.append","audio":"'


class OpenAiDialect:
    """One conversation with a model. ``ignored`` counts events that say nothing to us."""

    text_level = False
    has_ready = True
    bye_by_closing = False
    has_pause = False

    def __init__(self, spec: AgentSpec) -> None:
        self.ignored = 0
        self.broken = ""
        self._spec = spec
        self._greeting = ""
        self._items = SpokenItems(Codec.ULAW)
        self._ready = self._ending = False
        self._owed: list[str] = []
        self._responses = Responses()
        self._stale = ""
        self._failures = 0
        self._acks_when_done = self._captioning = False
        self._calls: dict[str, str] = {}
        self._keys, self._key_at_ms = "", 0

    # ------------------------------------------------------------ told

    def tell(self, told: Told) -> Sequence[Wire]:
        if isinstance(told, CallerAudio):
            if self._keys and told.at_ms - self._key_at_ms >= _KEYS_MS:
                self._tell_keys()
            sound = b2a_base64(told.frame, newline=False).decode("ascii")
            return (*self.owed(), f'{_APPEND}{sound}"}}')
        teller = _TELLERS.get(type(told))
        if teller is not None:
            teller(self, told)
        return self.owed()

    def owed(self) -> Sequence[Wire]:
        self._order()
        owed, self._owed = self._owed, []
        return owed

    def _tell_begin(self, told: Begin) -> None:
        self._greeting = "" if told.resumed_turns is not None else told.greeting
        self._items = SpokenItems(told.codec)
        self._send(openai_session.update(self._spec, told))

    def _tell_answered(self, told: Answered) -> None:
        if self._greeting:
            self._respond(f"Greet the caller with exactly these words: {self._greeting}")
            self._greeting = ""

    def _tell_digit(self, told: Digit) -> None:
        self._keys, self._key_at_ms = self._keys + told.digit, told.at_ms
        if told.digit == "#" or len(self._keys) >= 64:
            self._tell_keys()

    def _tell_keys(self) -> None:
        pressed, self._keys = self._keys, ""
        self._note(f"The caller pressed these keys on the telephone: {' '.join(pressed)}")
        self._respond()

    def _tell_reached(self, told: MarkReached) -> None:
        if told.heard:
            self._items.reached(told.name)

    def _tell_interrupted(self, told: Interrupted) -> None:
        self._stale = self._responses.active
        self._cancel()
        for cut in self._items.cut(told.after_mark_ms if told.after_mark else told.heard_ms):
            self._send(
                {
                    "type": "conversation.item.truncate",
                    "item_id": cut.item_id,
                    "content_index": 0,
                    "audio_end_ms": cut.heard_ms,
                }
            )

    def _tell_digits_sent(self, told: DigitsSent) -> None:
        self._result(openai_session.SEND_DIGITS, {"sent": told.digits})

    def _tell_transfer(self, told: TransferOutcome) -> None:
        answered = told.outcome == "completed"
        self._result(openai_session.TRANSFER, {"outcome": told.outcome}, respond=not answered)

    def _tell_tool(self, told: ToolResult) -> None:
        output = told.result if told.ok else fields.write({"error": told.error})
        self._output(told.id, output)
        self._respond()

    def _tell_silent(self, told: CallerSilent) -> None:
        self._respond("The caller has said nothing for a while. Ask briefly whether they are still there.")

    def _tell_held(self, told: Held) -> None:
        where = "is on hold and cannot hear you" if told.held else "is back on the line"
        self._note(f"The caller {where}.")

    def _tell_ending(self, told: Ending) -> None:
        """A farewell where one can still be heard and was not just spoken, and an account of the call."""
        if not told.final or self._ending:
            return
        self._ending = True
        self._responses.forget()
        if told.may_speak and told.reason is not Reason.AGENT:
            self._send(openai_session.quiet_update())
            self._cancel()
            why = openai_session.WHY.get(told.reason, "it cannot go on")
            self._note(f"The call is about to end: {why}. You have {told.deadline_ms // 1000} seconds.")
            self._responses.want(**openai_responses.farewell(told.deadline_ms))
            self._order()
        if openai_session.passed_on(self._spec).get("summary") is not False:
            self._send(openai_responses.SUMMARY_REQUEST)

    # ------------------------------------------------------------ heard

    def hear(self, message: Wire) -> Sequence[Said]:
        if isinstance(message, bytes):
            return (Malformed("messages are text"),)
        try:
            found = fields.read_object(message)
            hearer = _HEARERS.get(fields.kind(found, "type"))
            if hearer is None:
                self.ignored += 1
                return ()
            return hearer(self, found)
        except fields.Fault as fault:
            return (Malformed(str(fault)),)

    def _hear_ready(self, message: Message) -> Sequence[Said]:
        if self._ready:
            return ()
        self._ready = True
        return (Ready(),)

    def _hear_sound(self, message: Message) -> Sequence[Said]:
        if self._stale and message.get("response_id") == self._stale:
            return ()
        octets = fields.sound(message, "delta")
        if not octets:
            return ()
        self._items.sound(identifier(message, "item_id"), len(octets))
        return (Audio(octets),)

    def _hear_sound_done(self, message: Message) -> Sequence[Said]:
        mark = self._items.whole(identifier(message, "item_id"))
        return (Mark(mark),) if mark is not None else ()

    def _hear_caption(self, message: Message) -> Sequence[Said]:
        if self._stale and message.get("response_id") == self._stale:
            return ()
        caption = Caption(fields.words(message, "delta", fields.MAX_CAPTION), final=False)
        self._captioning = True
        return (caption,)

    def _hear_caption_done(self, message: Message) -> Sequence[Said]:
        """The words of an item are over; at the latest with its response."""
        if not self._captioning:
            return ()
        self._captioning = False
        return (Caption("", final=True),)

    def _hear_caller_words(self, message: Message) -> Sequence[Said]:
        text = fields.words(message, "transcript", fields.MAX_CAPTION).strip()
        return (CallerWords(text),) if text else ()

    def _hear_caller(self, message: Message) -> Sequence[Said]:
        return (CallerSpoke(),)

    def _hear_response(self, message: Message) -> Sequence[Said]:
        self._responses.created(fields.part(message, "response"))
        return ()

    def _hear_response_done(self, message: Message) -> Sequence[Said]:
        response = fields.part(message, "response")
        purpose = self._responses.done(response)
        if purpose == SUMMARY:
            return openai_responses.summary(response)
        said: Sequence[Said] = self._hear_caption_done(message)
        if purpose == FAREWELL or self._acks_when_done:
            self._acks_when_done = False
            return (*said, Ack())
        self._failures = self._failures + 1 if response.get("status") == "failed" else 0
        if self._failures:
            code = _code(_inside(_inside(response, "status_details"), "error"))
            if self._failures > 1 or code in _SPENT:
                self.broken = f"the model failed: {code}"
            else:
                self._respond()
        return said

    def _hear_item(self, message: Message) -> Sequence[Said]:
        item = fields.part(message, "item")
        if item.get("type") != "function_call" or item.get("status") == "incomplete":
            return ()
        call_id = fields.shaped(item, "call_id", fields.IDENTIFIER, "the id of a call")
        name = fields.shaped(item, "name", fields.IDENTIFIER, "the name of a tool")
        try:
            arguments = fields.json_text(item, "arguments")
            return self._call(call_id, name, arguments)
        except fields.Fault as fault:
            self._output(call_id, fields.write({"error": str(fault)}))
            self._respond()
            return ()

    def _call(self, call_id: str, name: str, arguments: str) -> Sequence[Said]:
        asked = orjson.loads(arguments)
        if name == openai_session.HANG_UP:
            self._acks_when_done = True
            return (HangUp(fields.words(asked, "reason", fields.MAX_NAME, default="")),)
        if name == openai_session.TRANSFER:
            to = fields.shaped(asked, "to", fields.PARTY, "a number in E.164, phone:NAME or room:ID")
            self._calls[name] = call_id
            return (Transfer(to),)
        if name == openai_session.SEND_DIGITS:
            digits = fields.shaped(asked, "digits", fields.DIGITS, "1 to 64 of 0-9*#A-Dw")
            self._calls[name] = call_id
            return (SendDigits(digits),)
        return (CallTool(call_id, name, arguments),)

    def _hear_error(self, message: Message) -> Sequence[Said]:
        """Most errors answer something of ours and the session goes on; before it began, it never will."""
        self.ignored += 1
        error = _inside(message, "error")
        code = _code(error)
        self._responses.refused(code, error.get("event_id"))
        if code not in _HARMLESS and (not self._ready or code in _SPENT):
            self.broken = f"the model refused: {code}"
        return ()

    # ------------------------------------------------------------ written

    def _send(self, message: Mapping[str, object]) -> None:
        self._owed.append(fields.write(message))

    def _note(self, text: str) -> None:
        content = [{"type": "input_text", "text": text}]
        item = {"type": "message", "role": "system", "content": content}
        self._send({"type": "conversation.item.create", "item": item})

    def _output(self, call_id: str, output: str) -> None:
        item = {"type": "function_call_output", "call_id": call_id, "output": output}
        self._send({"type": "conversation.item.create", "item": item})

    def _result(self, name: str, output: Mapping[str, object], *, respond: bool = True) -> None:
        """The outcome of one of our own tools, where the model asked for it."""
        call_id = self._calls.pop(name, None)
        if call_id is not None:
            self._output(call_id, fields.write(output))
            if respond:
                self._respond()

    def _respond(self, instructions: str = "") -> None:
        """Have the model speak, once it may; without instructions, once however often it is asked."""
        if self._ending:
            return
        if instructions:
            self._responses.want(instructions=instructions)
        else:
            self._responses.want()

    def _order(self) -> None:
        """Ask for the next response, where one may be asked for."""
        asked = self._responses.next() if self._ready else None
        if asked is not None:
            self._send(asked)

    def _cancel(self) -> None:
        if self._responses.active:
            self._send({"type": "response.cancel"})


def _inside(message: Message, name: str) -> Message:
    found = message.get(name)
    return found if isinstance(found, dict) else {}


def _code(error: Message) -> str:
    """The word for an error: fit for logs, whatever it was."""
    for name in ("code", "type"):
        found = error.get(name)
        if isinstance(found, str) and fields.IDENTIFIER.fullmatch(found):
            return found
    return "unknown"


_Teller = Callable[[OpenAiDialect, Any], None]
_Hearer = Callable[[OpenAiDialect, Message], Sequence[Said]]

_TELLERS: Final[Mapping[type, _Teller]] = {
    Begin: OpenAiDialect._tell_begin,
    Answered: OpenAiDialect._tell_answered,
    Digit: OpenAiDialect._tell_digit,
    MarkReached: OpenAiDialect._tell_reached,
    Interrupted: OpenAiDialect._tell_interrupted,
    DigitsSent: OpenAiDialect._tell_digits_sent,
    TransferOutcome: OpenAiDialect._tell_transfer,
    ToolResult: OpenAiDialect._tell_tool,
    CallerSilent: OpenAiDialect._tell_silent,
    Held: OpenAiDialect._tell_held,
    Ending: OpenAiDialect._tell_ending,
}
_HEARERS: Final[Mapping[str, _Hearer]] = {
    "session.updated": OpenAiDialect._hear_ready,
    "response.output_audio.delta": OpenAiDialect._hear_sound,
    "response.audio.delta": OpenAiDialect._hear_sound,
    "response.output_audio.done": OpenAiDialect._hear_sound_done,
    "response.audio.done": OpenAiDialect._hear_sound_done,
    "response.output_audio_transcript.delta": OpenAiDialect._hear_caption,
    "response.audio_transcript.delta": OpenAiDialect._hear_caption,
    "response.output_audio_transcript.done": OpenAiDialect._hear_caption_done,
    "response.audio_transcript.done": OpenAiDialect._hear_caption_done,
    "conversation.item.input_audio_transcription.completed": OpenAiDialect._hear_caller_words,
    "input_audio_buffer.speech_started": OpenAiDialect._hear_caller,
    "response.created": OpenAiDialect._hear_response,
    "response.done": OpenAiDialect._hear_response_done,
    "response.output_item.done": OpenAiDialect._hear_item,
    "error": OpenAiDialect._hear_error,
}
