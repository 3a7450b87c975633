"""Every cause of an end × how the agent takes it × whether its marks come back: the last word is heard
before the hang-up, and the agent was told before it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.dialplan.virtual_time import in_virtual_time
from tests.unit.voice_agents.sessions import SPEC
from tests.unit.voice_agents.stage import CALL, Caller, Stage
from voice_agents.core.agent import DialectName, Shutdown, Silence
from voice_agents.core.record import How, State
from voice_agents.core.talk import Ack, Ended, Ending, HangUp, Mark, Reason, Summary, Told, Transfer
from voice_agents.fakes_lines import FakeAgentLine

pytestmark = pytest.mark.unit

LAST = 0x7A
"""The last word, as a watermark."""
WORD_MS = 800
AGENT = replace(SPEC, transfer_allow=("phone:alice",), silence=Silence(2, 0), max_duration_s=12)


def without_mark_echo(stage: Stage) -> None:
    """The leg's marks never come back, as from a switch that lost them."""
    for caller in stage.callers.values():
        caller.leg.mark = lambda name: None  # type: ignore[method-assign]


async def by_api(stage: Stage, caller: Caller) -> None:
    stage.loop.create_task(stage.desk.end("call_1"))


async def by_drain(stage: Stage, caller: Caller) -> None:
    stage.loop.create_task(stage.desk.drain(3.0, told_before_s=3.0))


async def by_time(stage: Stage, caller: Caller) -> None:
    """The longest duration: nothing has to be done for it."""


async def by_silence(stage: Stage, caller: Caller) -> None:
    """Nobody says anything."""


CAUSES: dict[Reason, Callable[[Stage, Caller], Awaitable[None]]] = {
    Reason.API: by_api,
    Reason.DRAIN: by_drain,
    Reason.MAX_DURATION: by_time,
    Reason.SILENCE: by_silence,
}


class Answering:
    """An agent that takes ``Ending`` in its own way."""

    def __init__(self, stage: Stage, way: str) -> None:
        self.stage, self.way = stage, way
        self.tell = stage.line.tell
        stage.line.tell = self.told  # type: ignore[method-assign]

    def told(self, told: Told) -> bool:
        taken = self.tell(told)
        if isinstance(told, Ending) and told.final:
            self.stage.loop.call_later(0.3, self.answer)
        return taken

    def answer(self) -> None:
        if self.way in ("acks", "speaks"):
            self.stage.speak(WORD_MS, LAST)
        if self.way == "acks":
            self.stage.line.say(Ack())


HOWS = {"acks": How.ACKED, "speaks": How.FAREWELL_HEARD, "silent": How.DEADLINE}


async def ending(reason: Reason, way: str, *, marks: bool) -> None:
    spec = AGENT
    if reason is not Reason.SILENCE:
        spec = replace(spec, silence=Silence())
    if reason is not Reason.MAX_DURATION:
        spec = replace(spec, max_duration_s=600)
    stage = Stage(spec)
    caller = await stage.talk()
    if not marks:
        without_mark_echo(stage)
    Answering(stage, way)
    await CAUSES[reason](stage, caller)
    record = await stage.until_over()
    evidence = record.evidence
    assert evidence is not None
    assert (evidence.reason, evidence.how) == (reason, HOWS[way])
    ((hung_up_at, _),) = stage.control.of("hang_up")
    assert evidence.agent_notified_at is not None
    assert evidence.agent_notified_at < hung_up_at
    assert evidence.words_lost_ms == 0
    last = [at for at, octet in caller.heard_at if octet == LAST]
    if way == "silent":
        assert not last
    else:
        assert len(last) == WORD_MS // 20
        assert hung_up_at - last[-1] >= 0.38
    told = [t for t in stage.line.told if isinstance(t, Ending | Ended)]
    assert [type(t) for t in told] == [Ending, Ended]
    if reason is Reason.MAX_DURATION:
        assert hung_up_at - (record.bridged_at or 0) <= 12.05
    await stage.close()


@pytest.mark.parametrize("marks", [True, False], ids=["marks", "no marks"])
@pytest.mark.parametrize("way", list(HOWS))
@pytest.mark.parametrize("reason", list(CAUSES))
def test_the_last_word_is_heard_before_the_hang_up(reason: Reason, way: str, marks: bool) -> None:
    in_virtual_time(ending)(reason, way, marks=marks)


@pytest.mark.parametrize("marks", [True, False], ids=["marks", "no marks"])
@in_virtual_time
async def test_the_agents_own_hang_up_waits_for_its_words(marks: bool) -> None:
    stage = Stage(SPEC)
    caller = await stage.talk()
    if not marks:
        without_mark_echo(stage)
    stage.speak(WORD_MS, LAST)
    stage.line.say(HangUp(), HangUp())
    record = await stage.until_over()
    assert record.evidence is not None
    assert (record.evidence.reason, record.evidence.how) == (Reason.AGENT, How.ACKED)
    ((hung_up_at, why),) = stage.control.of("hang_up")
    last = [at for at, octet in caller.heard_at if octet == LAST]
    assert (len(last), why) == (WORD_MS // 20, "agent_hangup")
    assert 0.38 <= hung_up_at - last[-1] <= 0.9
    await stage.close()


@in_virtual_time
async def test_words_that_arrive_after_the_agents_own_hang_up_are_heard_too() -> None:
    stage = Stage(SPEC)
    caller = await stage.talk()
    stage.line.say(HangUp())
    await stage.pass_s(0.3)
    stage.speak(WORD_MS, LAST)
    await stage.until_over()
    ((hung_up_at, _),) = stage.control.of("hang_up")
    last = [at for at, octet in caller.heard_at if octet == LAST]
    assert len(last) == WORD_MS // 20
    assert hung_up_at > last[-1]
    await stage.close()


@in_virtual_time
async def test_an_agent_that_speaks_on_and_on_is_cut_off_in_time() -> None:
    stage = Stage(SPEC)
    await stage.talk()
    talker = stage.loop.create_task(_talks_on(stage))
    await stage.pass_s(1.0)
    asked_at = stage.now()
    assert await stage.desk.end("call_1")
    ((hung_up_at, _),) = stage.control.of("hang_up")
    assert 14.5 <= hung_up_at - asked_at <= 15.5
    talker.cancel()
    record = await stage.until_over()
    assert record.evidence is not None
    assert record.evidence.how is How.DEADLINE
    await stage.close()


async def _talks_on(stage: Stage) -> None:
    while True:
        stage.speak(20)
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("account", [True, False])
@in_virtual_time
async def test_the_callers_own_end_leaves_the_agent_time_for_its_account(account: bool) -> None:
    stage = Stage(SPEC)
    caller = await stage.talk()
    stage.speak(3000)
    await stage.pass_s(0.5)
    caller.leg.ends("hangup")
    await stage.pass_s(0.1)
    (told,) = stage.told(Ending)
    assert told == Ending(Reason.CALLER, "caller", 5000, False)
    assert stage.desk.live_sessions == 0
    gone_at = stage.now()
    if account:
        await stage.pass_s(1.0)
        stage.line.say(Summary("Wanted a table for two.", '{"table": 2}'))
    record = await stage.until_over()
    assert stage.control.of("hang_up") == []
    assert record.evidence is not None
    assert record.evidence.how is How.CALLER_GONE
    assert record.ended_at is not None
    assert record.ended_at - gone_at == pytest.approx(1.0 if account else 4.9, abs=0.1)
    assert record.summary_by == ("agent" if account else "gateway")
    assert record.summary
    assert record.evidence.words_lost_ms >= 2400
    await stage.close()


@in_virtual_time
async def test_force_tells_the_agent_and_waits_for_nothing() -> None:
    stage = Stage(SPEC)
    await stage.talk()
    stage.speak(3000)
    await stage.pass_s(0.2)
    asked_at = stage.now()
    assert await stage.desk.end("call_1", force=True)
    ((hung_up_at, _),) = stage.control.of("hang_up")
    assert hung_up_at - asked_at < 0.03
    (told,) = stage.told(Ending)
    assert told == Ending(Reason.API, "api", 0, False)
    record = await stage.until_over()
    assert record.evidence is not None
    assert record.evidence.how is How.FORCED
    await stage.close()


@in_virtual_time
async def test_force_cuts_a_farewell_short_and_both_who_asked_are_answered() -> None:
    stage = Stage(SPEC)
    await stage.talk()
    first = stage.loop.create_task(stage.desk.end("call_1"))
    await stage.pass_s(1.0)
    assert await stage.desk.end("call_1", force=True)
    assert await first
    assert len(stage.control.of("hang_up")) == 1
    assert len(stage.told(Ending)) == 1
    await stage.until_over()
    assert not await stage.desk.end("call_1")
    await stage.close()


@in_virtual_time
async def test_the_end_of_an_agent_that_is_gone_is_spoken_for(tmp_path: Path) -> None:
    spec = replace(SPEC, shutdown=Shutdown(farewell="Goodbye."))
    stage = Stage(spec, folder=tmp_path)
    caller = await stage.talk()
    stage.fake_lines.away = "refused"
    stage.line.lose()
    await stage.pass_s(0.5)
    assert await stage.desk.end("call_1")
    record = await stage.until_over()
    assert stage.voice is not None
    assert stage.voice.spoken == ["Goodbye."]
    assert record.evidence is not None
    assert record.evidence.how is How.AGENT_LOST
    assert record.turns[-1].role == "gateway"
    assert record.turns[-1].heard == "Goodbye."
    assert len(caller.heard_at) > 20
    await stage.close()


@in_virtual_time
async def test_a_call_that_cannot_be_hung_up_loses_its_sound() -> None:
    stage = Stage(SPEC)
    caller = await stage.talk()
    stage.control.away = True
    assert await stage.desk.end("call_1", force=True)
    record = await stage.until_over()
    assert caller.leg.gone
    assert record.state is State.ENDED
    await stage.close()


@in_virtual_time
async def test_a_transfer_that_succeeds_ends_the_session_and_not_the_call() -> None:
    stage = Stage(AGENT)
    caller = await stage.talk()
    stage.control.on_transfer = lambda call_id: caller.leg.ends("hangup")
    stage.speak(WORD_MS, LAST)
    stage.line.say(Transfer("phone:alice"))
    record = await stage.until_over()
    ((rang_at, to),) = stage.control.of("transfer")
    assert to == "phone:alice"
    last = [at for at, octet in caller.heard_at if octet == LAST]
    assert len(last) == WORD_MS // 20
    assert rang_at >= last[-1]
    assert stage.control.of("hang_up") == []
    assert record.evidence is not None
    assert record.evidence.reason is Reason.TRANSFERRED
    (told,) = stage.told(Ending)
    assert told == Ending(Reason.TRANSFERRED, "agent", 5000, False)
    await stage.close()


@in_virtual_time
async def test_an_end_while_the_phone_still_rings_hangs_up_at_once() -> None:
    stage = Stage(SPEC)
    await stage.prepare(replace(CALL, direction="outbound"))
    await stage.pass_s(0.5)
    assert await stage.desk.end("call_1")
    assert len(stage.control.of("hang_up")) == 1
    assert len(stage.told(Ending)) == 1
    await stage.until_over()
    await stage.close()


@in_virtual_time
async def test_of_a_session_in_another_dialect_no_account_is_awaited() -> None:
    stage = Stage(replace(SPEC, dialect=DialectName.TWILIO))
    caller = await stage.talk()
    caller.leg.ends("hangup")
    await stage.pass_s(0.2)
    record = await stage.until_over()
    assert record.ended_at is not None
    assert stage.now() - record.ended_at < 0.5
    await stage.close()


@in_virtual_time
async def test_an_agent_that_cannot_be_told_is_not_waited_for() -> None:
    stage = Stage(SPEC)
    await stage.talk()
    line: FakeAgentLine = stage.line
    line.tell = lambda told: False  # type: ignore[method-assign]
    asked_at = stage.now()
    assert await stage.desk.end("call_1")
    ((hung_up_at, _),) = stage.control.of("hang_up")
    assert hung_up_at - asked_at < 1.0
    record = await stage.until_over()
    assert record.evidence is not None
    assert record.evidence.agent_notified_at is None
    assert record.evidence.how is How.AGENT_LOST
    await stage.close()


@in_virtual_time
async def test_a_mark_of_the_agents_before_the_end_is_told_in_time() -> None:
    stage = Stage(SPEC)
    await stage.talk()
    stage.speak(400)
    stage.line.say(Mark("bye"), HangUp())
    await stage.until_over()
    names = [type(told).__name__ for told in stage.line.told if type(told).__name__ != "CallerAudio"]
    assert names.index("MarkReached") < names.index("Ended")
    await stage.close()
