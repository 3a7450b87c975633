"""A double of OpenAI's Realtime on a socket: it answers as the documentation says, from a script.

It hears with a detector of its own (how loud the sound is, as ``server_vad`` does), speaks tones several
times faster than they are heard, refuses what the documentation says is refused, and keeps what it refused in
``errors``: a client that behaves leaves that list empty. Source of the events and rules:
https://developers.openai.com/api/reference/resources/realtime.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from picows import WSUpgradeRequest, WSUpgradeResponse, WSUpgradeResponseWithListener, ws_create_server

from tests.rig.agent_servers import Socket
from tests.rig.agents_bad import tone
from voice_agents.core.audio import Codec
from voice_agents.core.sound import rms

Event = dict[str, Any]
MS_A_CHARACTER = 20
CHUNK_MS = 100
_CODECS = {"audio/pcmu": Codec.ULAW, "audio/pcma": Codec.ALAW, "audio/pcm": Codec.SLIN24}
_SESSION = {
    *("type", "audio", "instructions", "tools", "tool_choice", "output_modalities", "max_output_tokens"),
    *("prompt", "tracing", "truncation", "reasoning", "include"),
}
_RESPONSE = {
    *("audio", "conversation", "input", "instructions", "max_output_tokens", "metadata", "output_modalities"),
    *("prompt", "tool_choice", "tools"),
}


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model says and calls next, as a tone of ``hz``. ``fails``: with this error code instead."""

    text: str = ""
    calls: tuple[tuple[str, str], ...] = ()
    fails: str = ""
    hz: float = 1000.0


@dataclass
class Double:
    """``replies`` are given in their order, then ``usual``; ``transcripts`` likewise are what callers were
    understood to say. ``on_taken`` is called for every event but sound."""

    replies: list[Reply] = field(default_factory=list)
    usual: Reply = field(default_factory=lambda: Reply("Yes."))
    summary: str = "A call."
    transcripts: list[str] = field(default_factory=list)
    speed: float = 8.0
    key: str = ""
    port: int = 0
    on_taken: Callable[[], None] = lambda: None
    sessions: list[Session] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/v1/realtime"

    @property
    def errors(self) -> list[str]:
        return [error for session in self.sessions for error in session.errors]


class Refused(Exception):
    """An event that is not taken; the text is the error's code."""


@dataclass(eq=False)
class _Response:
    id: str
    asked: Event
    task: asyncio.Task[None] | None = None
    output: list[Event] = field(default_factory=list)


class Session:
    """One connection. ``made_ms`` is the sound of each assistant item, ``truncated`` where each was cut;
    ``taken`` are the events but sound, with when they came as ``at``."""

    def __init__(self, double: Double, socket: Socket) -> None:
        self.double, self.socket = double, socket
        self.model = parse_qs(urlsplit(socket.path).query)["model"][0]
        self.config: Event = {"audio": {"input": {}, "output": {}}}
        self.errors: list[str] = []
        self.taken: list[Event] = []
        self.conversation: dict[str, Event] = {}
        self.made_ms: dict[str, int] = {}
        self.truncated: dict[str, int] = {}
        self._ids = itertools.count(1)
        self._active: _Response | None = None
        self._aside: set[_Response] = set()
        self._calls: set[str] = set()
        self._codec = Codec.SLIN24
        self._heard_ms = self._loud_ms = self._quiet_ms = 0
        self._speaking = ""
        self._spoke = False

    async def behave(self) -> None:
        self.send("session.created", session={"type": "realtime", "model": self.model})
        try:
            async for message in self.socket:
                self.take(json.loads(message))
        finally:
            for response in [*self._aside, *([self._active] if self._active else [])]:
                if response.task is not None:
                    response.task.cancel()

    def send(self, kind: str, **more: Any) -> None:
        if not self.socket.gone.is_set():
            self.socket.send({"type": kind, "event_id": self.new("event"), **more})

    def new(self, prefix: str) -> str:
        return f"{prefix}_{next(self._ids):06d}"

    def take(self, event: Event) -> None:
        if event["type"] != "input_audio_buffer.append":
            self.taken.append({**event, "at": asyncio.get_running_loop().time()})
            self.double.on_taken()
        takers: dict[str, Callable[[Event], None]] = {
            "session.update": self._update,
            "input_audio_buffer.append": self._append,
            "conversation.item.create": self._create_item,
            "conversation.item.truncate": self._truncate,
            "response.create": self._create_response,
            "response.cancel": self._cancel_response,
        }
        try:
            if event["type"] not in takers:
                raise Refused("invalid_value")
            takers[event["type"]](event)
        except Refused as refused:
            code = str(refused)
            self.errors.append(f"{event['type']}: {code}")
            error = {"type": "invalid_request_error", "code": code, "message": code, "param": None}
            self.send("error", error={**error, "event_id": event.get("event_id")})

    # ------------------------------------------------------------ the session

    def _update(self, event: Event) -> None:
        session = event["session"]
        if session.get("type") != "realtime":
            raise Refused("missing_required_parameter")
        if set(session) - _SESSION:
            raise Refused("unknown_parameter")
        audio = session.get("audio", {})
        for side in ("input", "output"):
            wanted = audio.get(side, {})
            sound = wanted.get("format")
            if sound is not None and (sound["type"] not in _CODECS or sound.get("rate", 24000) != 24000):
                raise Refused("invalid_value")
            self.config["audio"][side] |= wanted
        if "voice" in audio.get("output", {}) and self._spoke:
            raise Refused("cannot_update_voice")
        self.config |= {name: value for name, value in session.items() if name != "audio"}
        given = self.config["audio"]["input"].get("format", {"type": "audio/pcm"})
        self._codec = _CODECS[given["type"]]
        self.send("session.updated", session=self.config)

    # ------------------------------------------------------------ hearing

    def _append(self, event: Event) -> None:
        octets = base64.b64decode(event["audio"], validate=True)
        turns = self.config["audio"]["input"].get("turn_detection", {"type": "server_vad"})
        for start in range(0, len(octets), self._codec.frame_bytes):
            frame = octets[start : start + self._codec.frame_bytes]
            self._heard_ms += 20
            if turns is not None and len(frame) == self._codec.frame_bytes:
                self._listen(rms(self._codec, frame) > 500, turns)

    def _listen(self, loud: bool, turns: Event) -> None:
        self._loud_ms = self._loud_ms + 20 if loud else 0
        self._quiet_ms = 0 if loud else self._quiet_ms + 20
        if not self._speaking and self._loud_ms >= 60:
            self._speaking = self.new("item")
            begun = max(0, self._heard_ms - 60 - turns.get("prefix_padding_ms", 300))
            self.send("input_audio_buffer.speech_started", audio_start_ms=begun, item_id=self._speaking)
            if turns.get("interrupt_response", True) and self._active is not None:
                self._cancel(self._active, "turn_detected")
        elif self._speaking and self._quiet_ms >= turns.get("silence_duration_ms", 500):
            self._end_of_speech(turns)

    def _end_of_speech(self, turns: Event) -> None:
        item, self._speaking = self._speaking, ""
        self.send("input_audio_buffer.speech_stopped", audio_end_ms=self._heard_ms, item_id=item)
        self.send("input_audio_buffer.committed", item_id=item, previous_item_id=None)
        content = [{"type": "input_audio", "transcript": None}]
        self._keep({"id": item, "type": "message", "role": "user", "status": "completed", "content": content})
        if self.config["audio"]["input"].get("transcription") is not None:
            text = self.double.transcripts.pop(0) if self.double.transcripts else "…"
            kind = "conversation.item.input_audio_transcription.completed"
            self.send(kind, item_id=item, content_index=0, transcript=text, usage={"type": "duration"})
        if turns.get("create_response", True) and self._active is None:
            self._respond({})

    # ------------------------------------------------------------ the conversation

    def _keep(self, item: Event) -> None:
        self.conversation[item["id"]] = item
        self.send("conversation.item.added", previous_item_id=None, item=item)
        if item.get("role") != "assistant":
            self.send("conversation.item.done", previous_item_id=None, item=item)

    def _create_item(self, event: Event) -> None:
        item = event["item"]
        match item:
            case {"type": "message", "role": "system", "content": [{"type": "input_text", "text": str()}]}:
                pass
            case {"type": "function_call_output", "call_id": call_id, "output": str()}:
                if call_id not in self._calls:
                    raise Refused("invalid_tool_call_id")
            case _:
                raise Refused("invalid_value")
        self._keep({"id": self.new("item"), "status": "completed", **item})

    def _truncate(self, event: Event) -> None:
        item = self.conversation.get(event["item_id"])
        if item is None or item.get("role") != "assistant" or event["content_index"] != 0:
            raise Refused("item_truncate_invalid_item_id")
        if event["audio_end_ms"] > self.made_ms.get(event["item_id"], 0):
            raise Refused("invalid_value")
        self.truncated[event["item_id"]] = event["audio_end_ms"]
        told = {name: event[name] for name in ("item_id", "content_index", "audio_end_ms")}
        self.send("conversation.item.truncated", **told)

    # ------------------------------------------------------------ responses

    def _create_response(self, event: Event) -> None:
        asked = event.get("response", {})
        if set(asked) - _RESPONSE:
            raise Refused("unknown_parameter")
        if len(asked.get("metadata", {})) > 16 or not 1 <= asked.get("max_output_tokens", 1) <= 4096:
            raise Refused("invalid_value")
        if asked.get("conversation") != "none" and self._active is not None:
            raise Refused("conversation_already_has_active_response")
        self._respond(asked)

    def _cancel_response(self, event: Event) -> None:
        if self._active is None or event.get("response_id", self._active.id) != self._active.id:
            raise Refused("response_cancel_not_active")
        self._cancel(self._active, "client_cancelled")

    def _cancel(self, response: _Response, reason: str) -> None:
        """What was under way is told to be over, as what was finished is."""
        assert response.task is not None
        response.task.cancel()
        for item in response.output:
            if item.get("status") == "in_progress":
                self._spoken(response, item, "incomplete")
        self._done(response, "cancelled", {"type": "cancelled", "reason": reason})

    def _respond(self, asked: Event) -> None:
        response = _Response(self.new("resp"), asked)
        if asked.get("conversation") == "none":
            self._aside.add(response)
            reply = Reply(self.double.summary)
        else:
            self._active = response
            reply = self.double.replies.pop(0) if self.double.replies else self.double.usual
        self.send("response.created", response=self._shown(response, "in_progress"))
        response.task = asyncio.get_running_loop().create_task(self._make(response, reply))

    async def _make(self, response: _Response, reply: Reply) -> None:
        if reply.fails:
            error = {"type": "server_error", "code": reply.fails}
            return self._done(response, "failed", {"type": "failed", "error": error})
        if reply.text:
            if response.asked.get("output_modalities") == ["text"]:
                self._write(response, reply.text)
            else:
                await self._speak(response, reply)
        for name, arguments in reply.calls:
            self._call(response, name, arguments)
        return self._done(response, "completed", None)

    def _write(self, response: _Response, text: str) -> None:
        content = [{"type": "output_text", "text": text}]
        item = {"id": self.new("item"), "type": "message", "role": "assistant", "content": content}
        place = {"response_id": response.id, "item_id": item["id"], "output_index": 0, "content_index": 0}
        self.send("response.output_text.delta", **place, delta=text)
        self.send("response.output_text.done", **place, text=text)
        response.output.append(item)

    async def _speak(self, response: _Response, reply: Reply) -> None:
        """A tone as long as the text, in pieces, with the text's own pieces between them."""
        text = reply.text
        self._spoke = True
        item: Event = {
            "id": self.new("item"),
            "type": "message",
            "role": "assistant",
            "status": "in_progress",
        }
        item |= {"content": [], "said": ""}
        response.output.append(item)
        self.send("response.output_item.added", response_id=response.id, output_index=0, item=item)
        self._keep(item)
        place = {"response_id": response.id, "item_id": item["id"], "output_index": 0, "content_index": 0}
        self.send("response.content_part.added", **place, part={"type": "output_audio", "transcript": ""})
        left = len(text) * MS_A_CHARACTER
        letters = CHUNK_MS // MS_A_CHARACTER
        for start in range(0, len(text), letters):
            piece_ms = min(CHUNK_MS, left)
            left -= piece_ms
            sound = tone(self._codec.asterisk, self._codec.rate_hz, piece_ms, reply.hz)
            delta = base64.b64encode(sound).decode()
            self.made_ms[item["id"]] = self.made_ms.get(item["id"], 0) + piece_ms
            item["said"] += text[start : start + letters]
            self.send("response.output_audio_transcript.delta", **place, delta=text[start : start + letters])
            self.send("response.output_audio.delta", **place, delta=delta)
            await asyncio.sleep(piece_ms / 1000 / self.double.speed)
        self._spoken(response, item, "completed")

    def _spoken(self, response: _Response, item: Event, status: str) -> None:
        place = {"response_id": response.id, "item_id": item["id"], "output_index": 0, "content_index": 0}
        said = item.pop("said")
        item |= {"status": status, "content": [{"type": "output_audio", "transcript": said}]}
        self.send("response.output_audio.done", **place)
        self.send("response.output_audio_transcript.done", **place, transcript=said)
        self.send("response.content_part.done", **place, part=item["content"][0])
        self.send("response.output_item.done", response_id=response.id, output_index=0, item=item)

    def _call(self, response: _Response, name: str, arguments: str) -> None:
        call_id = self.new("call")
        self._calls.add(call_id)
        item = {"id": self.new("item"), "type": "function_call", "status": "completed"}
        item |= {"name": name, "call_id": call_id, "arguments": arguments}
        response.output.append(item)
        self._keep(item)
        place = {"response_id": response.id, "item_id": item["id"], "output_index": len(response.output) - 1}
        self.send("response.function_call_arguments.delta", **place, call_id=call_id, delta=arguments)
        self.send("response.function_call_arguments.done", **place, call_id=call_id, arguments=arguments)
        self.send("response.output_item.done", response_id=response.id, output_index=0, item=item)

    def _done(self, response: _Response, status: str, details: Event | None) -> None:
        self._aside.discard(response)
        if self._active is response:
            self._active = None
        self.send("response.done", response=self._shown(response, status) | {"status_details": details})
        self.send("rate_limits.updated", rate_limits=[])

    def _shown(self, response: _Response, status: str) -> Event:
        shown = {"id": response.id, "object": "realtime.response", "status": status}
        return shown | {"output": response.output, "metadata": response.asked.get("metadata")}


@asynccontextmanager
async def openai_double(**more: Any) -> AsyncIterator[Double]:
    """A double that listens until the block is left."""
    double = Double(**more)
    sockets: list[Socket] = []

    async def behave(socket: Socket) -> None:
        session = Session(double, socket)
        double.sessions.append(session)
        await session.behave()

    def accept(request: WSUpgradeRequest) -> Socket | WSUpgradeResponseWithListener:
        if double.key and request.headers.get("Authorization") != f"Bearer {double.key}":
            return WSUpgradeResponseWithListener(WSUpgradeResponse.create_error_response(401), None)
        if "model" not in parse_qs(urlsplit(request.path.decode()).query):
            return WSUpgradeResponseWithListener(WSUpgradeResponse.create_error_response(400), None)
        sockets.append(Socket(request, behave))
        return sockets[-1]

    server = await ws_create_server(accept, "127.0.0.1", 0, enable_auto_pong=False)
    double.port = server.sockets[0].getsockname()[1]
    try:
        yield double
    finally:
        server.close()
        for socket in sockets:
            socket.cut()
            if socket.task is not None:
                socket.task.cancel()
                await asyncio.gather(socket.task, return_exceptions=True)
