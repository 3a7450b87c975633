"""The package for agents' writers, called by our own lines."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from picows import WSListener, ws_connect

from patchbay_agent import Call, ToolFailed, serving
from telephony.errors import AgentUnavailable
from tests.rig.agent_lines import BEGIN, PATIENT, SOON_S, Ear, to_loopback
from tests.rig.conversations import spec_of
from voice_agents.core.agent import Auth
from voice_agents.core.talk import (
    Ack,
    Answered,
    Audio,
    CallerAudio,
    CallTool,
    Digit,
    DigitsSent,
    Ended,
    Ending,
    HangUp,
    Interrupted,
    Mark,
    MarkReached,
    Ready,
    Reason,
    SendDigits,
    Summary,
    ToolResult,
    Transfer,
    TransferOutcome,
    Utterance,
    Words,
)
from voice_agents.lines.socket_line import SocketLines
from voice_agents.ports import AgentLine
from voice_agents.wire import handshake

pytestmark = pytest.mark.contract

DOCS = Path(__file__).parents[3] / "docs" / "agents-native.md"
END = Ending(Reason.API, "user_1", 5000, True)


class Caller:
    """Patchbay's side of one session."""

    def __init__(self, line: AgentLine, ear: Ear) -> None:
        self.line, self.ear = line, ear

    def tell(self, *told: Any) -> None:
        for one in told:
            assert self.line.tell(one) is True

    async def hears(self, *said: object) -> None:
        assert [await self.ear.next() for _ in said] == list(said)

    async def says(self, text: str, *, heard: bool = True) -> None:
        """The agent says this, and is told whether it was heard."""
        await self.hears(Words(text))
        mark = await self.ear.next()
        assert isinstance(mark, Mark)
        self.tell(MarkReached(mark.name, heard))

    def understands(self, text: str) -> None:
        self.tell(Utterance(text, 100, 900))


@asynccontextmanager
async def calling(on_call: Any, **more: Any) -> AsyncIterator[Caller]:
    async with serving(on_call, **more) as port:
        ear = Ear()
        spec = spec_of({"dialect": "native", "url": f"ws://127.0.0.1:{port}/"})
        line = await SocketLines(to_loopback, wall=time.time, limits=PATIENT).open(spec, BEGIN, ear)
        wants = ("transcripts",) if more.get("hears") else ("transcripts", "no_audio")
        caller = Caller(line, ear)
        await caller.hears(Ready(wants))
        yield caller
        await line.close()


def example() -> Any:
    """``on_call`` of the documentation."""
    blocks = re.findall(r"```python\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL)
    names: dict[str, Any] = {"__name__": "documentation"}
    for block in blocks:
        exec(compile(block, DOCS.name, "exec"), names)
    return names["on_call"]


async def test_the_documented_agent_holds_a_conversation():
    async with calling(example()) as caller:
        caller.tell(Answered())
        await caller.says("Welcome to the order desk. Which order do you ask for?")
        caller.understands("number 12 please")
        await caller.says("It was sent yesterday.")
        caller.tell(Digit("9", 3000))
        await caller.says("I know no such order.", heard=False)
        await caller.hears(Summary("The caller was impatient.", '{"order":"9"}'))
        caller.understands("operator")
        await caller.says("I will connect you.")
        await caller.hears(Transfer("phone:desk"))
        caller.tell(TransferOutcome("phone:desk", "busy"))
        await caller.says("Nobody is free, I am afraid. You still have me.")
        caller.tell(END)
        await caller.says("Goodbye, and thank you for calling.")
        await caller.hears(Summary("Asked for an order."), Ack())
        caller.tell(Ended(Reason.API, 60_000))


async def test_the_documented_agent_hangs_up_after_a_transfer():
    async with calling(example()) as caller:
        caller.tell(Answered())
        await caller.says("Welcome to the order desk. Which order do you ask for?")
        caller.understands("operator")
        await caller.says("I will connect you.")
        await caller.hears(Transfer("phone:desk"))
        caller.tell(TransferOutcome("phone:desk", "completed"))
        await caller.hears(HangUp())


async def test_nothing_is_said_before_the_answer():
    async def on_call(call: Call) -> None:
        await call.say("Hello.")

    async with calling(on_call) as caller:
        caller.tell(Digit("1", 0))
        caller.tell(Answered())
        await caller.says("Hello.")
        await caller.hears(HangUp())


async def test_sound_goes_both_ways():
    async def on_call(call: Call) -> None:
        async for frame in call.frames():
            call.sound(frame[::-1])
            assert await call.mark() is False
            call.caption("backwards")
            call.clear()
            return

    async with calling(on_call, hears=True) as caller:
        caller.tell(Answered(), CallerAudio(b"ab" * 80, 0))
        await caller.hears(Audio(b"ba" * 80), Mark("m1"))
        caller.tell(MarkReached("m1", heard=False))
        assert [type(await caller.ear.next()).__name__ for _ in range(3)] == ["Caption", "Clear", "HangUp"]


async def test_tools_keys_and_interruptions():
    async def on_call(call: Call) -> None:
        assert await call.tool("look_up", order=12) == {"state": "sent"}
        with pytest.raises(ToolFailed, match="tool_denied"):
            await call.tool("look_up", order=13)
        await call.send_digits("12#")
        assert await call.say("A long story.") is False
        assert (call.heard_ms, call.heard_text) == (400, "A long")

    async with calling(on_call) as caller:
        caller.tell(Answered())
        await caller.hears(CallTool("t1", "look_up", '{"order":12}'))
        caller.tell(ToolResult("t1", True, '{"state":"sent"}'))
        await caller.hears(CallTool("t2", "look_up", '{"order":13}'))
        caller.tell(ToolResult("t2", False, error="tool_denied"))
        await caller.hears(SendDigits("12#"))
        caller.tell(DigitsSent("12#"))
        await caller.hears(Words("A long story."))
        mark = await caller.ear.next()
        caller.tell(Interrupted(400, "A long"), MarkReached(mark.name, heard=False))  # type: ignore[union-attr]
        await caller.hears(HangUp())


async def test_an_agent_that_fails_is_lost_and_not_hung_up():
    async def on_call(call: Call) -> None:
        raise RuntimeError("a mistake")

    async with calling(on_call) as caller:
        caller.tell(Answered())
        await caller.hears("closed")


@pytest.mark.parametrize("waiting", ["say", "transfer", "tool", "turns", "frames", "answer"])
async def test_whoever_waits_when_the_line_breaks_waits_no_longer(waiting: str):
    over = asyncio.Event()

    async def on_call(call: Call) -> None:
        match waiting:
            case "say":
                assert await call.say("Hello.") is False
            case "transfer":
                assert await call.transfer("phone:desk") == "gone"
            case "tool":
                with pytest.raises(ToolFailed):
                    await call.tool("look_up")
            case "turns":
                assert [turn async for turn in call] == []
            case "frames":
                assert [frame async for frame in call.frames()] == []
        assert call.over
        assert await call.say("Is anybody there?") is False
        over.set()

    async with calling(on_call, hears=True) as caller:
        if waiting == "answer":
            over.set()
        else:
            caller.tell(Answered())
        await caller.line.close()
        async with asyncio.timeout(SOON_S):
            await over.wait()


@pytest.mark.parametrize(("auth", "answer"), [(Auth("hmac", "other"), 401), (Auth("none"), 401)])
async def test_whoever_does_not_sign_is_refused(auth: Auth, answer: int):
    async def on_call(call: Call) -> None:
        raise AssertionError

    async with serving(on_call, secret="s3cret") as port:
        spec = spec_of({"dialect": "native", "url": f"ws://127.0.0.1:{port}/", "auth": auth})
        with pytest.raises(AgentUnavailable, match=str(answer)):
            await SocketLines(to_loopback, wall=time.time, limits=PATIENT).open(spec, BEGIN, Ear())


async def signed(url: str) -> AgentLine:
    """A line whose handshake is for ``url``."""
    spec = spec_of({"dialect": "native", "url": url, "auth": Auth("hmac", "s3cret")})
    return await SocketLines(to_loopback, wall=time.time, limits=PATIENT).open(spec, BEGIN, Ear())


async def quiet(call: Call) -> None:
    """Has nothing to say."""


async def test_whoever_signs_is_let_in():
    async with serving(quiet, secret="s3cret") as port:
        line = await signed(f"ws://127.0.0.1:{port}/x?y=1")
        await line.close()


async def test_the_address_that_is_signed_is_the_one_that_is_registered():
    registered = "wss://agents.test/x?y=1"
    signature = handshake.signature("s3cret", BEGIN.session_id, registered, int(time.time()))
    headers = [(handshake.SESSION, BEGIN.session_id), (handshake.SIGNATURE, signature)]
    async with serving(quiet, secret="s3cret", url=registered) as port:
        with pytest.raises(AgentUnavailable, match="401"):
            await signed(f"ws://127.0.0.1:{port}/x?y=1")
        transport, _ = await ws_connect(WSListener, f"ws://127.0.0.1:{port}/", extra_headers=headers)
        transport.disconnect(False)
