"""One call, as an agent has it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Turn:
    """What the caller said, or (``digit``) the key that was pressed. Times in milliseconds of the call."""

    text: str = ""
    digit: str = ""
    at_ms: int = 0
    until_ms: int = 0
    confidence: float = 1.0
    language: str = ""


@dataclass(frozen=True, slots=True)
class CallEnding:
    """The call will end. ``deadline_ms``: how long a farewell may take; ``may_speak``: is it heard."""

    reason: str
    initiated_by: str
    deadline_ms: int
    may_speak: bool


class ToolFailed(Exception):
    """A tool did not do what it was asked; the text is the error's code."""


class Call:
    """``begun`` is the whole ``session.begin``. ``ending`` is there once the call is about to end, ``over``
    once nothing can be said any more. ``heard_ms`` and ``heard_text`` are of the last interruption."""

    def __init__(self, send: Callable[[str | bytes], None], begun: Event, *, hears: bool) -> None:
        self._send_raw = send
        self.begun = begun
        self.session_id, self.call_id = str(begun["session_id"]), str(begun["call_id"])
        self.caller, self.called = str(begun["caller"]), str(begun["called"])
        self.language: str = begun["language"]
        self.metadata: dict[str, str] = begun["metadata"]
        self.parameters: dict[str, str] = begun["parameters"]
        self.rate_hz: int = begun["audio"]["rate_hz"]
        self.frame_bytes: int = begun["audio"]["frame_bytes"]
        self.answered = asyncio.Event()
        self.ending: CallEnding | None = None
        self.over = False
        self.heard_ms, self.heard_text = 0, ""
        self._hears = hears
        self._turns: asyncio.Queue[Turn | None] = asyncio.Queue()
        self._frames: asyncio.Queue[bytes | None] = asyncio.Queue(500)
        self._marks: dict[str, asyncio.Future[bool]] = {}
        self._answers: dict[str, asyncio.Future[Event]] = {}
        self._numbered = 0

    # ------------------------------------------------------------ hearing

    async def __aiter__(self) -> AsyncIterator[Turn]:
        """What the caller says and presses, until the call is about to end."""
        while self.ending is None and not self.over:
            turn = await self._turns.get()
            if turn is None:
                return
            yield turn

    async def frames(self) -> AsyncIterator[bytes]:
        """The caller's sound, 20 ms at a time, where the agent was set up to hear it."""
        while (frame := await self._frames.get()) is not None:
            yield frame

    # ------------------------------------------------------------ speaking

    async def say(self, text: str, *, interruptible: bool = True, language: str = "") -> bool:
        """Have this spoken. Returns once it was heard; False where the caller cut it off."""
        said: Event = {"type": "say", "text": text, "interruptible": interruptible}
        self.send(said | ({"language": language} if language else {}))
        return await self.mark()

    def sound(self, octets: bytes) -> None:
        """Play sound in the call's codec (``begun["audio"]``), of any length."""
        if not self.over:
            self._send_raw(octets)

    async def mark(self) -> bool:
        """Wait until all that was sent has been heard (True) or was dropped (False)."""
        if self.over:
            return False
        self._numbered += 1
        name = f"m{self._numbered}"
        reached: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._marks[name] = reached
        self.send({"type": "mark", "name": name})
        return await reached

    def clear(self) -> None:
        """Drop what has not been heard yet."""
        self.send({"type": "clear"})

    def caption(self, text: str) -> None:
        """The words of sound of our own, for the transcript."""
        self.send({"type": "transcript.agent", "text": text})

    # ------------------------------------------------------------ doing

    def hang_up(self, reason: str = "") -> None:
        """End the call once all that was said is heard."""
        self.send({"type": "hangup", "reason": reason})

    async def transfer(self, to: str, *, ring_timeout_s: int = 30) -> str:
        """Join the caller with ``to``; the outcome, such as ``completed``, ``busy``, ``no_answer``."""
        asked = {"type": "transfer", "to": to, "ring_timeout_s": ring_timeout_s}
        return str((await self._ask("transfer.outcome", asked)).get("outcome", "gone"))

    async def send_digits(self, digits: str) -> None:
        """Press keys on the telephone line."""
        await self._ask("dtmf.sent", {"type": "dtmf.send", "digits": digits})

    async def tool(self, name: str, **arguments: Any) -> Any:
        """Run one of the tools that the agent may use. Raises ``ToolFailed``."""
        self._numbered += 1
        key = f"t{self._numbered}"
        answer = await self._ask(key, {"type": "tool.call", "id": key, "name": name, "arguments": arguments})
        if not answer.get("ok"):
            raise ToolFailed(str(answer.get("error", "gone")))
        return answer.get("result")

    def summary(self, text: str, **fields: Any) -> None:
        """Our own account of the call."""
        self.send({"type": "session.summary", "text": text, "fields": fields})

    def send(self, event: Event) -> None:
        """Any event of the protocol."""
        if not self.over:
            self._send_raw(json.dumps(event))

    async def _ask(self, key: str, event: Event) -> Event:
        if self.over:
            return {}
        answer: asyncio.Future[Event] = asyncio.get_running_loop().create_future()
        self._answers[key] = answer
        self.send(event)
        return await answer

    # ------------------------------------------------------------ what the server does

    def take(self, message: str | bytes) -> None:
        """A message from Patchbay. What is not known is ignored."""
        if isinstance(message, bytes):
            if self._hears and not self._frames.full():
                self._frames.put_nowait(message)
            return
        event: Event = json.loads(message)
        match event.get("type"):
            case "session.answered":
                self.answered.set()
            case "transcript.caller" if event["final"]:
                names = ("text", "at_ms", "until_ms", "confidence", "language")
                self._turns.put_nowait(Turn(**{name: event[name] for name in names}))
            case "dtmf":
                self._turns.put_nowait(Turn(digit=event["digit"], at_ms=event["at_ms"]))
            case "mark.reached":
                self._settle(self._marks, event["name"], event["heard"])
            case "interrupted":
                self.heard_ms, self.heard_text = event["heard_ms"], event["heard_text"]
            case "tool.result":
                self._settle(self._answers, event["id"], event)
            case "transfer.outcome" | "dtmf.sent" as kind:
                self._settle(self._answers, kind, event)
            case "session.ending" if event["final"]:
                told = {name: event[name] for name in CallEnding.__slots__}
                self.ending = CallEnding(**told)
                self._turns.put_nowait(None)
            case "session.ended":
                self.end()

    def end(self) -> None:
        """The connection is gone: whoever waits, waits no longer."""
        self.over = True
        self.answered.set()
        self._turns.put_nowait(None)
        if self._frames.full():
            self._frames.get_nowait()
        self._frames.put_nowait(None)
        for name in list(self._marks):
            self._settle(self._marks, name, False)
        for name in list(self._answers):
            self._settle(self._answers, name, {})

    def finish(self) -> None:
        """The agent has nothing more to say."""
        if self.ending is None:
            self.hang_up()
        else:
            self.send({"type": "session.ack"})

    @staticmethod
    def _settle(waiting: dict[str, asyncio.Future[Any]], name: str, answer: object) -> None:
        future = waiting.pop(name, None)
        if future is not None and not future.done():
            future.set_result(answer)
