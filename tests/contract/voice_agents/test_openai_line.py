"""OpenAI's Realtime, spoken over a socket with a double that refuses what the real one does."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from telephony.errors import AgentUnavailable
from tests.rig.agent_lines import BEGIN, PATIENT, Ear, to_loopback
from tests.rig.agents_bad import tone
from tests.rig.conversations import spec_of
from tests.rig.openai_double import MS_A_CHARACTER, Double, Reply, openai_double
from voice_agents.core.agent import Auth
from voice_agents.core.audio import Codec
from voice_agents.core.talk import (
    Ack,
    Answered,
    Audio,
    Begin,
    CallerAudio,
    CallerSpoke,
    CallerWords,
    CallTool,
    Caption,
    Digit,
    DigitsSent,
    Ending,
    HangUp,
    Interrupted,
    Mark,
    MarkReached,
    Ready,
    Reason,
    Said,
    SendDigits,
    Summary,
    ToolResult,
    Transfer,
    TransferOutcome,
)
from voice_agents.lines.socket_line import SocketLines
from voice_agents.ports import AgentLine

pytestmark = pytest.mark.contract

RACES = {"response.cancel: response_cancel_not_active"}
"""What even a client that behaves is told, where its cancel crosses with the end of a response."""


class Conversation:
    """Our side of a conversation: the caller's sound, and what was said of each kind."""

    def __init__(self, line: AgentLine, ear: Ear, codec: Codec, double: Double) -> None:
        self.line, self.ear, self.codec, self.double = line, ear, codec, double
        self.at_ms = 0
        self.sound = b""
        self.captions: list[str] = [""]
        self.said: list[Said | str] = []

    def speaks(self, ms: int) -> None:
        """The caller makes a sound, and is silent long enough for a turn to end."""
        self._frames(tone(self.codec.asterisk, self.codec.rate_hz, 20), ms)

    def pauses(self, ms: int = 600) -> None:
        self._frames(self.codec.silence, ms)

    def _frames(self, frame: bytes, ms: int) -> None:
        for _ in range(ms // 20):
            assert self.line.tell(CallerAudio(frame, self.at_ms)) is True
            self.at_ms += 20

    def _takes(self, said: Said | str) -> None:
        match said:
            case Audio(data=octets):
                self.sound += octets
            case Caption(text=text, final=final):
                self.captions[-1] += text
                self.captions += [""] * final
            case _:
                self.said.append(said)

    def takes_what_is_there(self) -> None:
        """Takes what has been said already."""
        while not self.ear.heard.empty():
            self._takes(self.ear.heard.get_nowait())

    async def until(self, wanted: Said | type[Any]) -> Any:
        """Goes on until this, or something of this kind, is said."""
        while True:
            said = await self.ear.next()
            self._takes(said)
            if said == wanted or (isinstance(wanted, type) and isinstance(said, wanted)):
                return said

    def made_ms(self) -> int:
        return self.codec.ms(len(self.sound))

    def behaved(self) -> bool:
        return set(self.double.errors) <= RACES


@asynccontextmanager
async def conversing(codec: str = "ulaw", greeting: str = "", **more: Any) -> AsyncIterator[Conversation]:
    agent = {name: more.pop(name) for name in ("passed_on", "transfer_allow") if name in more}
    async with openai_double(key="s3cret", **more) as double:
        ear = Ear()
        auth = Auth("bearer", "s3cret")
        spec = spec_of({"dialect": "openai", "url": double.url, "auth": auth, "codec": codec, **agent})
        begin = Begin(
            BEGIN.session_id,
            BEGIN.call_id,
            "agt_1",
            1,
            "inbound",
            "+14155550123",
            "+14155550199",
            Codec[codec.upper()],
            greeting=greeting,
        )
        line = await SocketLines(to_loopback, wall=lambda: 0.0, limits=PATIENT).open(spec, begin, ear)
        talk = Conversation(line, ear, begin.codec, double)
        await talk.until(Ready())
        line.tell(Answered())
        yield talk
        await line.close()


@pytest.mark.parametrize("codec", ["ulaw", "alaw", "slin24"])
async def test_a_turn_each(codec: str):
    replies = [Reply("Good evening!"), Reply("Two pizzas, with pleasure.")]
    transcripts = ["two pizzas please"]
    async with conversing(codec, "Good evening!", replies=replies, transcripts=transcripts) as talk:
        greeted = await talk.until(Mark)
        assert talk.made_ms() == len("Good evening!") * MS_A_CHARACTER
        talk.line.tell(MarkReached(greeted.name))
        talk.speaks(400)
        await talk.until(CallerSpoke())
        talk.pauses()
        await talk.until(CallerWords("two pizzas please"))
        await talk.until(Mark)
        await talk.until(Caption("", final=True))
        assert talk.captions[:2] == ["Good evening!", "Two pizzas, with pleasure."]
        assert talk.double.errors == []
        asked = next(one for one in talk.double.sessions[0].taken if one["type"] == "response.create")
        assert asked["response"]["instructions"].endswith("Good evening!")


async def test_an_interruption_is_told_with_what_was_heard():
    """Sound is made eight times as fast as it is heard: what was not heard leaves the conversation."""
    long = (
        "This is quite a long story, which nobody wants to hear to its end, and so they speak over it. " * 4
    )
    async with conversing(
        "ulaw", "Hello!", replies=[Reply("Hello!"), Reply(long)], transcripts=["hm"]
    ) as talk:
        greeted = await talk.until(Mark)
        talk.line.tell(MarkReached(greeted.name))
        talk.speaks(200)
        talk.pauses()
        await talk.until(CallerWords("hm"))
        for _ in range(6):
            await talk.until(Audio)
        talk.speaks(200)
        await talk.until(CallerSpoke())
        made_ms = talk.made_ms()
        talk.line.tell(Interrupted(320, "This", greeted.name, 200))
        talk.pauses()
        await talk.until(CallerWords("…"))
        await talk.until(Mark)
        session = talk.double.sessions[0]
        assert list(session.truncated.values()) == [200]
        ((item, _),) = session.truncated.items()
        assert session.made_ms[item] > 200
        assert made_ms < len(long) * MS_A_CHARACTER
        assert talk.behaved()


async def test_an_interruption_of_ours_stops_the_model_too():
    long = "It goes on and on and on, for as long as nobody tells it to stop." * 4
    async with conversing("ulaw", "Hello!", replies=[Reply(long)]) as talk:
        for _ in range(3):
            await talk.until(Audio)
        talk.line.tell(Interrupted(120, "It"))
        talk.takes_what_is_there()
        before = talk.made_ms()
        talk.line.tell(Digit("#", 2000))
        await talk.until(Mark)
        session = talk.double.sessions[0]
        assert list(session.truncated.values()) == [120]
        assert talk.made_ms() == before + len("Yes.") * MS_A_CHARACTER
        assert "pressed these keys" in json.dumps(session.conversation)
        assert talk.behaved()


async def test_tools_and_transfers():
    replies = [
        Reply(calls=(("look_up", '{"order": 12}'),)),
        Reply("It was sent.", calls=(("transfer_call", '{"to": "phone:desk"}'),)),
        Reply(calls=(("transfer_call", '{"to": "my friend"}'),)),
        Reply(calls=(("send_digits", '{"digits": "1#"}'),)),
        Reply("Goodbye.", calls=(("hang_up", '{"reason": "done"}'),)),
    ]
    more: dict[str, Any] = {"passed_on": {"tools": [{"name": "look_up"}]}, "transfer_allow": ("phone:desk",)}
    async with conversing(replies=replies, **more) as talk:
        talk.speaks(200)
        talk.pauses()
        tool = await talk.until(CallTool)
        assert (tool.name, tool.arguments) == ("look_up", '{"order":12}')
        talk.line.tell(ToolResult(tool.id, True, '{"state":"sent"}'))
        await talk.until(Transfer("phone:desk"))
        talk.line.tell(TransferOutcome("phone:desk", "no_answer"))
        await talk.until(SendDigits("1#"))
        talk.line.tell(DigitsSent("1#"))
        await talk.until(HangUp("done"))
        await talk.until(Ack())
        session = talk.double.sessions[0]
        outputs = [item["output"] for item in session.conversation.values() if "output" in item]
        assert outputs == [
            '{"state":"sent"}',
            '{"outcome":"no_answer"}',
            '{"error":"to: a number in E.164, phone:NAME or room:ID"}',
            '{"sent":"1#"}',
        ]
        offered = [tool["name"] for tool in session.config["tools"]]
        assert offered == ["look_up", "hang_up", "send_digits", "transfer_call"]
        assert talk.double.errors == []


@pytest.mark.parametrize("speaking", [True, False])
async def test_the_model_says_goodbye_and_gives_an_account(speaking: bool):
    replies = [Reply("A long story. " * 20), Reply("Goodbye!")] if speaking else [Reply("Goodbye!")]
    async with conversing("ulaw", "Hello!" if speaking else "", replies=replies, summary="Nothing.") as talk:
        if speaking:
            for _ in range(3):
                await talk.until(Audio)
        assert talk.line.tell(Ending(Reason.API, "user_1", 5000, may_speak=True)) is True
        await talk.until(Ack())
        if Summary("Nothing.") not in talk.said:
            await talk.until(Summary("Nothing."))
        assert talk.captions[-2:] == ["Goodbye!", ""]
        session = talk.double.sessions[0]
        turns = session.config["audio"]["input"]["turn_detection"]
        assert (turns["create_response"], turns["interrupt_response"]) == (False, False)
        assert talk.behaved()


async def test_nobody_speaks_to_a_caller_who_left_yet_an_account_is_given():
    async with conversing(summary="A wrong number.") as talk:
        talk.line.tell(Ending(Reason.CALLER, "caller", 0, may_speak=False))
        await talk.until(Summary("A wrong number."))
        assert talk.sound == b""
        assert talk.double.errors == []


async def test_an_answer_that_crosses_with_the_models_own_is_asked_for_again():
    """A tool's result arrives while the model already answers something else."""
    replies = [Reply(calls=(("look_up", "{}"),)), Reply("You asked something else."), Reply("The result.")]
    async with conversing(replies=replies) as talk:
        talk.speaks(200)
        talk.pauses()
        tool = await talk.until(CallTool)
        talk.speaks(200)
        talk.pauses()
        talk.line.tell(ToolResult(tool.id, True, "1"))
        await talk.until(Mark)
        await talk.until(Mark)
        assert re.fullmatch("You asked something else.|The result.", talk.captions[0])
        assert set(talk.double.errors) <= {"response.create: conversation_already_has_active_response"}


async def test_a_model_that_fails_once_is_asked_again_and_twice_is_lost():
    once = [Reply(fails="server_error"), Reply("There.")]
    async with conversing(replies=once, greeting="Hello") as talk:
        await talk.until(Mark)
    async with conversing(usual=Reply(fails="server_error"), greeting="Hello") as talk:
        assert await talk.ear.next() == "refused"


async def test_a_key_that_is_wrong_is_refused():
    async with openai_double(key="s3cret") as double:
        spec = spec_of({"dialect": "openai", "url": double.url, "auth": Auth("bearer", "wrong")})
        with pytest.raises(AgentUnavailable, match="401"):
            await SocketLines(to_loopback, wall=lambda: 0.0, limits=PATIENT).open(spec, BEGIN, Ear())


async def test_a_session_that_the_model_does_not_take_is_lost():
    async with openai_double() as double:
        ear = Ear()
        kept = {"reasoning": {}, "truncation": "auto", "speed": 1.0, "noise_reduction": None}
        agent = {"dialect": "openai", "url": double.url, "auth": Auth("none"), "passed_on": kept}
        line = await SocketLines(to_loopback, wall=lambda: 0.0, limits=PATIENT).open(
            spec_of(agent), BEGIN, ear
        )
        assert await ear.next() == Ready()
        await line.close()
        assert double.errors == []
        assert double.sessions[0].model == "gpt-realtime"
