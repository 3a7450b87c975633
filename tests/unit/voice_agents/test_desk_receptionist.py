"""The receptionist on a desk: a whole call with our own ears and voice, in virtual time."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.unit.dialplan.virtual_time import in_virtual_time
from tests.unit.voice_agents.sessions import SPEC
from tests.unit.voice_agents.speech_engines import Detectors, Hearing, Speaker
from tests.unit.voice_agents.stage import Caller, Stage
from voice_agents.builtin.receptionist import ReceptionLines
from voice_agents.core.agent import AgentSpec, DialectName, Greeting, Silence
from voice_agents.core.record import How
from voice_agents.core.talk import Reason
from voice_agents.desk import AgentDesk
from voice_agents.speech.front import Fronts

pytestmark = pytest.mark.unit

SHOP = {"business_name": "Harbour Books", "hours": "We are open from nine to six.",
        "departments": {"sales": "phone:alice"}}  # fmt: skip
AGENT = replace(
    SPEC,
    dialect=DialectName.BUILTIN,
    transfer_allow=("phone:alice",),
    passed_on=json.dumps({"reception": SHOP}),
)
VOICE = 0x80


class Reception(Stage):
    """A stage with the receptionist, whose engines are made up."""

    def __init__(self, spec: AgentSpec = AGENT) -> None:
        super().__init__(spec)
        self.speaker, self.hearing = Speaker(), Hearing()
        fronts = Fronts(self.speaker, self.hearing, Detectors(), read=self.speaker.read)
        around = replace(
            self.around, fronts=fronts, detectors=Detectors(), lines=ReceptionLines(self.fake_lines)
        )
        self.desk = AgentDesk(around, lambda tenant: 0)

    async def says(self, caller: Caller, text: str, ms: int = 600) -> None:
        """The caller speaks, is understood as this, and hears the reply to its end."""
        self.hearing.answers.append((0.1, text))
        caller.speaks = VOICE
        await self.pass_s(ms / 1000)
        caller.speaks = 0
        await self.pass_s(3.5)

    def turns(self) -> list[tuple[str, str]]:
        return [(turn.role, turn.heard) for turn in self.session().turns]


@in_virtual_time
async def test_a_call_from_greeting_to_goodbye() -> None:
    stage = Reception()
    caller = await stage.talk()
    await stage.pass_s(2)
    for text in ("opening hours", "goodbye"):
        await stage.says(caller, text)
    record = await stage.until_over()
    assert stage.turns() == [
        ("agent", "Welcome to Harbour Books. How can I help you?"),
        ("caller", "opening hours"),
        ("agent", "We are open from nine to six. Anything else?"),
        ("caller", "goodbye"),
        ("agent", "Thank you for calling. Goodbye."),
    ]
    assert stage.control.of("hang_up") != []
    assert record.evidence is not None
    assert record.evidence.reason is Reason.AGENT
    assert (record.summary_by, record.summary) == ("agent", "The caller asked for: hours.")
    assert stage.around.tally.broken == 0
    await stage.close()


@in_virtual_time
async def test_it_is_interrupted_and_understood() -> None:
    stage = Reception()
    caller = await stage.talk()
    await stage.pass_s(0.5)
    await stage.says(caller, "opening hours", ms=700)
    await stage.pass_s(1)
    first, heard, reply = stage.turns()
    assert first[1] != "Welcome to Harbour Books. How can I help you?"
    assert "Welcome to Harbour Books. How can I help you?".startswith(first[1])
    assert heard == ("caller", "opening hours")
    assert reply == ("agent", "We are open from nine to six. Anything else?")
    stage.desk.caller_gone("call_1")
    await stage.until_over()
    await stage.close()


@in_virtual_time
async def test_the_api_hangs_up_and_the_farewell_is_heard() -> None:
    stage = Reception()
    caller = await stage.talk()
    await stage.pass_s(3)
    await stage.desk.end("call_1")
    record = await stage.until_over()
    ((hung_up_at, _),) = stage.control.of("hang_up")
    assert stage.turns()[-1] == ("agent", "I have to end this call now. Thank you for calling. Goodbye.")
    assert hung_up_at - caller.heard_at[-1][0] >= 0.38
    assert record.evidence is not None
    assert record.evidence.how is How.ACKED
    await stage.close()


@in_virtual_time
async def test_it_transfers_once_it_has_said_so() -> None:
    stage = Reception()
    caller = await stage.talk()
    await stage.pass_s(2)
    await stage.says(caller, "sales")
    ((at, to),) = stage.control.of("transfer")
    assert to == "phone:alice"
    assert stage.turns()[-1] == ("agent", "I will connect you with sales. Please hold the line.")
    assert at >= caller.heard_at[-1][0]
    stage.desk.caller_gone("call_1")
    await stage.until_over()
    await stage.close()


@in_virtual_time
async def test_a_caller_who_says_nothing() -> None:
    stage = Reception(replace(AGENT, silence=Silence(5, 2, "", 0)))
    await stage.talk()
    record = await stage.until_over()
    said = [text for role, text in stage.turns() if role == "agent"]
    assert said[0] == "Welcome to Harbour Books. How can I help you?"
    assert sum(text.startswith("Are you still there?") for text in said) == 2
    assert said[-1] == "I cannot hear anybody. Goodbye."
    assert record.evidence is not None
    assert record.evidence.reason is Reason.SILENCE
    await stage.close()


@in_virtual_time
async def test_a_caller_who_is_not_understood_is_asked_again() -> None:
    stage = Reception(replace(AGENT, greeting=Greeting("Ahoy!")))
    caller = await stage.talk()
    await stage.pass_s(2)
    await stage.says(caller, "")
    await stage.pass_s(4)
    assert stage.turns()[0] == ("agent", "Ahoy!")
    assert stage.turns()[1] == ("caller", "")
    assert stage.turns()[2][1].startswith("I am sorry, I did not understand.")
    stage.desk.caller_gone("call_1")
    await stage.until_over()
    await stage.close()
