"""What the switch hears: an answer, or a closed connection, and why is counted."""

import asyncio
import logging
from dataclasses import replace

import pytest

from dialplan.agi.wire import Question
from tests.contract.agi.conftest import PATIENT, Serve, block, echo

pytestmark = pytest.mark.contract


class Patient:
    """An answerer that holds every question until it is told to go on."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.cancelled: list[str] = []
        self.go_on = asyncio.Event()

    async def __call__(self, question: Question) -> str:
        self.asked.append(question.channel)
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.cancelled.append(question.channel)
            raise
        return await echo(question)


async def test_the_answer_is_set_and_confirmed(serve: Serve):
    with serve() as served:
        assert await served.ask("+442079460000", "17.1") == "connect,+442079460000,17.1"
        metrics = await served.until(lambda m: m.open_now == 0)
        assert (metrics.asked, metrics.answered, dict(metrics.rejected)) == (1, 1, {})
        assert metrics.answer_times.count == 1


async def test_a_question_byte_by_byte_is_the_same_question(serve: Serve):
    with serve() as served:
        switch = await served.connect()
        for byte in block("100", "17.2"):
            switch.say(bytes([byte]))
            await switch.writer.drain()
        assert await switch.line() == 'SET VARIABLE PB_ROUTE "connect,100,17.2"\n'
        for byte in b"200 result=1\n":
            switch.say(bytes([byte]))
            await switch.writer.drain()
        assert await switch.closed() == b""
        assert (await served.until(lambda m: m.open_now == 0)).answered == 1


async def test_an_answerer_that_raises_sets_nothing(serve: Serve, caplog: pytest.LogCaptureFixture):
    async def raises(question: Question) -> str:
        raise LookupError(f"no route for {question.dialled} from {question.caller}")

    with serve(raises) as served, caplog.at_level(logging.DEBUG):
        assert await served.ask("+442079460000", "17.3") is None
        assert served.metrics().failed == 1
    assert "LookupError" in caplog.text
    assert "17.3" in caplog.text
    assert "2079460" not in caplog.text
    assert "4155552" not in caplog.text


async def test_an_answer_that_is_not_safe_sets_nothing(serve: Serve):
    async def unsafe(question: Question) -> str:
        return 'x"\nEXEC System "id'

    with serve(unsafe) as served:
        assert await served.ask("100") is None
        assert served.metrics().failed == 1


async def test_a_late_answerer_is_cancelled_and_sets_nothing(serve: Serve):
    patient = Patient()
    with serve(patient, limits=replace(PATIENT, budget_s=0.2)) as served:
        assert await served.ask("100", "17.4") is None
        metrics = await served.until(lambda m: m.late == 1)
        assert metrics.open_now == 0
    assert patient.cancelled == ["17.4"]


async def test_a_hang_up_during_the_question_is_reported_and_ends_it(serve: Serve):
    patient = Patient()
    gone: list[str] = []
    with serve(patient, on_gone=gone.append) as served:
        switch = await served.connect()
        switch.say(block("100", "17.5"))
        await served.until(lambda m: m.asked == 1)
        switch.say(b"HANGUP\n")
        assert await switch.closed() == b""
        metrics = await served.until(lambda m: m.outcomes.get("gone") == 1)
        assert metrics.hangups == 1
    assert gone == patient.cancelled == ["17.5"]


async def test_a_hang_up_right_behind_the_question_reaches_nobody(serve: Serve):
    patient = Patient()
    gone: list[str] = []
    with serve(patient, on_gone=gone.append) as served:
        switch = await served.connect()
        switch.say(block("100", "17.6") + b"HANGUP\n")
        assert await switch.closed() == b""
        assert (await served.until(lambda m: m.open_now == 0)).outcomes == {"gone": 1}
    assert gone == ["17.6"]


async def test_a_connection_closed_during_the_question_is_a_hang_up(serve: Serve):
    patient = Patient()
    gone: list[str] = []
    with serve(patient, on_gone=gone.append) as served:
        for channel in ("17.7", "17.8"):
            switch = await served.connect()
            switch.say(block("100", channel))
            await served.until(lambda m, channel=channel: channel in patient.asked)
            if channel == "17.7":
                switch.hang_up()
            else:
                switch.writer.close()
        await served.until(lambda m: m.outcomes.get("gone") == 2 and m.open_now == 0)
    assert gone == patient.cancelled == ["17.7", "17.8"]


async def test_a_hang_up_before_the_reply_is_no_reply(serve: Serve):
    gone: list[str] = []
    with serve(on_gone=gone.append) as served:
        switch = await served.connect()
        switch.say(block("100", "17.9"))
        assert await switch.line()
        switch.say(b"HANGUP\n")
        await served.until(lambda m: m.hangups == 1)
        assert served.metrics().open_now == 1
        switch.say(b"200 result=1\n")
        assert await switch.closed() == b""
        metrics = await served.until(lambda m: m.open_now == 0)
        assert (metrics.answered, gone) == (1, ["17.9"])


async def test_a_listener_that_raises_hurts_no_other_call(serve: Serve):
    def raises(channel: str) -> None:
        raise RuntimeError("the listener broke")

    with serve(on_gone=raises) as served:
        switch = await served.connect()
        switch.say(block("100") + b"HANGUP\n")
        await switch.closed()
        assert await served.ask("101", "17.10") == "connect,101,17.10"
        assert [type(error["exception"]) for error in served.loop_errors] == [RuntimeError]


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (b"200 result=-1\n", "declined"),
        (b"510 Invalid or unknown command\n", "declined"),
        (b"511 Command Not Permitted on a dead channel or intercept routine\n", "declined"),
        (b"520-Invalid command syntax.  Proper usage follows:\nx\n520 End of proper usage.\n", "declined"),
        (b"what?\n", "garbled"),
        (b"z" * 5000, "garbled"),
    ],
)
async def test_a_reply_that_confirms_nothing_is_counted(serve: Serve, reply: bytes, outcome: str):
    with serve() as served:
        switch = await served.connect()
        switch.say(block("100"))
        assert await switch.line()
        switch.say(reply)
        await switch.closed()
        metrics = await served.until(lambda m: m.open_now == 0)
        assert metrics.outcomes == {outcome: 1}


async def test_no_reply_is_counted_as_unconfirmed(serve: Serve):
    with serve(limits=replace(PATIENT, reply_s=0.05)) as served:
        switch = await served.connect()
        switch.say(block("100"))
        assert await switch.line()
        await switch.closed()
        assert served.metrics().outcomes == {"unconfirmed": 1}


async def test_whatever_follows_the_question_out_of_turn_stops_it(serve: Serve):
    patient = Patient()
    with serve(patient) as served:
        switch = await served.connect()
        switch.say(block("100") + b"agi_arg_1: forged\n\n")
        assert await switch.closed() == b""
        assert served.metrics().outcomes == {"garbled": 1}
    assert patient.asked == []


async def test_stop_lets_the_asked_finish_and_closes_the_rest(serve: Serve):
    patient = Patient()
    with serve(patient) as served:
        silent, asked = await served.connect(), await served.connect()
        asked.say(block("100", "17.11"))
        await served.until(lambda m: m.asked == 1 and m.open_now == 2)
        stopping = asyncio.ensure_future(served.elsewhere(served.server.stop(drain_s=60)))
        assert await silent.closed() == b""
        with pytest.raises(ConnectionRefusedError):
            await served.connect()
        served.loop.call_soon_threadsafe(patient.go_on.set)
        assert await asked.line() == 'SET VARIABLE PB_ROUTE "connect,100,17.11"\n'
        asked.say(b"200 result=1\n")
        assert await asked.closed() == b""
        await stopping
        metrics = served.metrics()
        assert (metrics.answered, dict(metrics.rejected), metrics.open_now) == (1, {"stopping": 1}, 0)


async def test_stop_drops_what_is_not_done_in_time(serve: Serve):
    patient = Patient()
    with serve(patient) as served:
        switch = await served.connect()
        switch.say(block("100", "17.12"))
        await served.until(lambda m: m.asked == 1)
        await served.elsewhere(served.server.stop(drain_s=0.05))
        assert await switch.closed() == b""
        assert served.metrics().outcomes == {"dropped": 1}
        assert patient.cancelled == ["17.12"]


async def test_stop_twice_and_before_start_does_nothing(serve: Serve):
    with serve() as served:
        await served.elsewhere(served.server.stop(drain_s=0))
        await served.elsewhere(served.server.stop(drain_s=0))
        assert served.metrics().open_now == 0
