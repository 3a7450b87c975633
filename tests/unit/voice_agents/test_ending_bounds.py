"""How long an end is waited for: an agent that has asked to leave and sends on is not heard for ever, and one
that says nothing, and has no word for that, not to the last moment. No word is lost by either."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from tests.unit.dialplan.virtual_time import in_virtual_time
from tests.unit.voice_agents.sessions import SPEC
from tests.unit.voice_agents.stage import Caller, Stage
from voice_agents.core.agent import AgentSpec, DialectName, Fallback, Shutdown
from voice_agents.core.record import How, SessionRecord
from voice_agents.core.talk import Ack, Audio, HangUp, Reason, Words
from voice_agents.fakes_speech import MS_A_CHARACTER, SOUND

pytestmark = pytest.mark.unit

LAST, NOISE = 0x7A, 0x22
WORD_MS = 800
GRACE_S, TAIL_S = 2.0, 0.4
BOT = replace(SPEC, dialect=DialectName.TWILIO)
RELAY = replace(SPEC, dialect=DialectName.CONVERSATION_RELAY)


@asynccontextmanager
async def noisy(stage: Stage) -> AsyncIterator[None]:
    """The agent sends sound all the time, as one with music in its background."""

    async def sends() -> None:
        while True:
            stage.speak(20, NOISE)
            await asyncio.sleep(0.02)

    task = stage.loop.create_task(sends())
    try:
        yield
    finally:
        task.cancel()


def hung_up_at(stage: Stage) -> float:
    ((at, _),) = stage.control.of("hang_up")
    return at


def heard(caller: Caller, octet: int) -> list[float]:
    return [at for at, one in caller.heard_at if one == octet]


async def ended(stage: Stage) -> SessionRecord:
    record = await stage.until_over()
    assert record.evidence is not None
    assert record.evidence.words_lost_ms == 0
    assert stage.around.tally.broken == 0
    await stage.close()
    return record


def asks_in_band(stage: Stage) -> None:
    stage.line.say(HangUp())


def asks_by_rest(stage: Stage) -> None:
    stage.loop.create_task(stage.desk.end("call_1", Reason.AGENT, "agent"))


# ---------------------------------------------------------------- an agent that leaves, and sends on


@pytest.mark.parametrize("asks", [asks_in_band, asks_by_rest])
@pytest.mark.parametrize("dialect", [DialectName.NATIVE, DialectName.TWILIO, DialectName.OPENAI])
def test_what_it_sends_after_its_own_hang_up_is_heard_for_a_grace_and_no_longer(
    dialect: DialectName, asks: Callable[[Stage], None]
) -> None:
    @in_virtual_time
    async def run() -> None:
        stage = Stage(replace(SPEC, dialect=dialect))
        caller = await stage.talk()
        async with noisy(stage):
            await stage.pass_s(1.0)
            left_at = stage.now()
            asks(stage)
            record = await ended(stage)
        took_s = hung_up_at(stage) - left_at
        assert GRACE_S + TAIL_S <= took_s <= GRACE_S + TAIL_S + 0.7
        assert record.evidence is not None
        assert (record.evidence.reason, record.evidence.how) == (Reason.AGENT, How.ACKED)
        assert heard(caller, NOISE)[-1] >= left_at + GRACE_S - 0.05
        assert record.figures.stale_ms > 0, "the rest was not kept"

    run()


@in_virtual_time
async def test_all_that_was_sent_before_and_is_on_its_way_is_heard_before_the_end() -> None:
    stage = Stage(BOT)
    caller = await stage.talk()
    stage.speak(4000, 0x11)
    left_at = stage.now()
    asks_by_rest(stage)
    await stage.pass_s(1.5)
    stage.speak(WORD_MS, LAST)
    async with noisy(stage):
        await ended(stage)
    assert len(heard(caller, 0x11)) == 200
    assert len(heard(caller, LAST)) == WORD_MS // 20
    assert hung_up_at(stage) - heard(caller, LAST)[-1] >= TAIL_S - 0.02
    assert hung_up_at(stage) - left_at <= 4.0 + WORD_MS / 1000 + 0.5 + TAIL_S + 0.7


@pytest.mark.parametrize("says", [Ack(), HangUp()])
def test_an_agent_that_has_nothing_more_to_say_and_sends_on_is_not_heard_for_ever(says: Ack | HangUp) -> None:
    @in_virtual_time
    async def run() -> None:
        stage = Stage(SPEC)
        caller = await stage.talk()
        async with noisy(stage):
            asking = stage.loop.create_task(stage.desk.end("call_1"))
            await stage.pass_s(0.5)
            stage.speak(WORD_MS, LAST)
            stage.line.say(says)
            left_at = stage.now()
            record = await ended(stage)
        assert await asking
        assert len(heard(caller, LAST)) == WORD_MS // 20
        assert hung_up_at(stage) - left_at <= GRACE_S + WORD_MS / 1000 + TAIL_S + 0.7
        assert record.evidence is not None
        assert (record.evidence.reason, record.evidence.how) == (Reason.API, How.ACKED)

    run()


@in_virtual_time
async def test_a_bot_that_hangs_up_while_somebody_else_ends_the_call_is_not_waited_for() -> None:
    stage = Stage(BOT)
    caller = await stage.talk()
    first = stage.loop.create_task(stage.desk.end("call_1"))
    await stage.pass_s(0.3)
    stage.speak(WORD_MS, LAST)
    left_at = stage.now()
    assert await stage.desk.end("call_1", Reason.AGENT, "agent")
    assert await first
    record = await ended(stage)
    assert len(heard(caller, LAST)) == WORD_MS // 20
    assert hung_up_at(stage) - left_at <= WORD_MS / 1000 + TAIL_S + 0.5
    assert record.evidence is not None
    assert (record.evidence.reason, record.evidence.how) == (Reason.API, How.ACKED)


@in_virtual_time
async def test_words_said_before_the_hang_up_are_spoken_however_long_that_takes() -> None:
    text = "Goodbye, and thank you very much for calling us today."
    stage = Stage(RELAY)
    caller = await stage.talk()
    stage.line.say(Words(text), HangUp())
    await stage.pass_s(GRACE_S + 0.2)
    stage.line.say(Words("And another thing."))
    await ended(stage)
    assert len(heard(caller, SOUND)) == len(text) * MS_A_CHARACTER // 20


# ---------------------------------------------------------------- an agent that says nothing


async def ends_after_s(spec: AgentSpec, queued_ms: int = 0) -> tuple[float, SessionRecord]:
    """How long after it was asked for the call is hung up on an agent that says nothing to it."""
    stage = Stage(spec, replace(SPEC, id="agt_2"))
    await stage.talk()
    if queued_ms:
        stage.speak(queued_ms)
        await stage.pass_s(0.1)
    asked_at = stage.now()
    assert await stage.desk.end("call_1")
    record = await ended(stage)
    return hung_up_at(stage) - asked_at, record


@pytest.mark.parametrize("dialect", [DialectName.TWILIO, DialectName.CONVERSATION_RELAY])
@pytest.mark.parametrize("deadline_ms", [5000, 3000])
def test_a_silent_bot_that_has_no_word_for_it_is_given_half_its_deadline(
    dialect: DialectName, deadline_ms: int
) -> None:
    @in_virtual_time
    async def run() -> None:
        spec = replace(SPEC, dialect=dialect, shutdown=Shutdown(deadline_ms=deadline_ms))
        took_s, record = await ends_after_s(spec)
        assert took_s == pytest.approx(deadline_ms / 2000 + TAIL_S, abs=0.05)
        assert record.evidence is not None
        assert record.evidence.how is How.DEADLINE

    run()


@pytest.mark.parametrize("dialect", [DialectName.NATIVE, DialectName.OPENAI, DialectName.BUILTIN])
def test_one_that_can_say_so_is_given_all_of_it(dialect: DialectName) -> None:
    @in_virtual_time
    async def run() -> None:
        took_s, _ = await ends_after_s(replace(SPEC, dialect=dialect))
        assert took_s == pytest.approx(5.0 + TAIL_S, abs=0.05)

    run()


@in_virtual_time
async def test_its_silence_is_counted_from_when_all_that_it_had_said_is_heard() -> None:
    took_s, _ = await ends_after_s(BOT, queued_ms=1500)
    assert took_s == pytest.approx(1.4 + 2.5 + TAIL_S, abs=0.25)
    took_s, record = await ends_after_s(BOT, queued_ms=4500)
    assert took_s == pytest.approx(5.0 + TAIL_S, abs=0.1), "the deadline holds all the same"
    assert record.figures.agent_ms == 4500


@in_virtual_time
async def test_a_farewell_that_begins_in_time_is_heard_to_its_end() -> None:
    stage = Stage(BOT)
    caller = await stage.talk()
    asking = stage.loop.create_task(stage.desk.end("call_1"))
    await stage.pass_s(2.3)
    for _ in range(4):
        stage.line.say(Audio(bytes((LAST,)) * (stage.line.begin.codec.frame_bytes * WORD_MS // 20)))
        await stage.pass_s(WORD_MS / 1000)
    assert await asking
    record = await ended(stage)
    assert len(heard(caller, LAST)) == 4 * WORD_MS // 20
    assert record.evidence is not None
    assert record.evidence.how is How.FAREWELL_HEARD


@in_virtual_time
async def test_the_one_that_stands_in_may_know_another_protocol() -> None:
    stage = Stage(replace(BOT, archived=True, fallback=Fallback("agt_2")), replace(SPEC, id="agt_2"))
    await stage.talk()
    assert stage.session().answered_by == "agt_2"
    asked_at = stage.now()
    assert await stage.desk.end("call_1")
    await ended(stage)
    assert hung_up_at(stage) - asked_at == pytest.approx(5.0 + TAIL_S, abs=0.05)
