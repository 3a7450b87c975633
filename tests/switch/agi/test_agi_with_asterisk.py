"""The real switch asks; a hostile caller cannot ask in its name."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from dialplan.agi.answer import caller_of
from dialplan.agi.metrics import AgiMetrics
from dialplan.agi.server import AgiLimits, AgiServer
from dialplan.agi.wire import Question
from gateway.runtime.switch_config import SwitchLimits
from gateway.trial.sip_call import CallState
from gateway.trial.sip_outgoing import Dial, OutgoingCall
from gateway.trial.sip_phone import SipPhone
from tests.rig.switch import running_switch

pytestmark = pytest.mark.switch

BUSY = "reject,reject,,17,,0,20,"
DEADLINE_S = 20.0
LIMITS = AgiLimits(header_s=5.0, budget_s=5.0, reply_s=5.0)
"""No test here is of the server's haste, nor of the switch's."""


class Desk:
    """One switch, one server and one carrier; ``asked`` holds every question."""

    def __init__(self) -> None:
        self.asked: list[Question] = []
        self.gone: asyncio.Queue[str] = asyncio.Queue()
        self.heard = asyncio.Event()
        self.answers = asyncio.Event()
        self.answers.set()
        self.server = AgiServer(self.answer, limits=LIMITS, on_gone=self.gone.put_nowait)
        self.carrier: SipPhone
        self.sip: tuple[str, int]

    async def answer(self, question: Question) -> str:
        self.asked.append(question)
        self.heard.set()
        await self.answers.wait()
        return BUSY

    def call(self, number: str, caller: str) -> OutgoingCall:
        return self.carrier.call(Dial(number, self.sip, caller=caller))

    async def until(self, metric: str, count: int) -> AgiMetrics:
        async with asyncio.timeout(DEADLINE_S):
            while True:
                metrics = self.server.metrics()
                if {**metrics.outcomes, **metrics.rejected}.get(metric, 0) >= count:
                    return metrics
                await asyncio.sleep(0.02)


@pytest_asyncio.fixture(scope="module")
async def switch_and_desk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    desk = Desk()
    port = await desk.server.start("127.0.0.1", 0)
    folder: Path = tmp_path_factory.mktemp("agi")
    async with (
        running_switch(folder, agi_port=port, limits=SwitchLimits(route_budget_ms=5_000)) as switch,
        await SipPhone.open("127.0.0.2") as carrier,
    ):
        desk.carrier, desk.sip = carrier, ("127.0.0.1", switch.spec.ports.sip)
        yield desk
    await desk.server.stop(0)


@pytest.fixture
def desk(switch_and_desk: Desk) -> Desk:
    """The same switch for every test, with nothing asked yet."""
    switch_and_desk.asked.clear()
    switch_and_desk.heard.clear()
    switch_and_desk.answers.set()
    return switch_and_desk


async def test_asterisk_asks_and_does_as_told(desk: Desk):
    before = desk.server.metrics().answered
    call = desk.call("+442079460000", caller="+14155552671")
    await call.reaches(CallState.ENDED)
    assert call.responses[-1] == 486
    (question,) = desk.asked
    assert (question.dialled, question.context, question.network_script) == (
        "+442079460000", "from-trunk", "route",
    )  # fmt: skip
    assert question.caller == "0", "the switch itself reads no number from the outside"
    assert caller_of(",".join(question.arguments)) == "+14155552671"
    assert question.channel_name.startswith("PJSIP/carrier-")
    assert (await desk.until("answered", before + 1)).answered == before + 1


async def test_a_caller_who_hangs_up_during_the_question_is_gone(desk: Desk):
    desk.answers.clear()
    call = desk.call("+442079460000", caller="+14155552671")
    async with asyncio.timeout(DEADLINE_S):
        await desk.heard.wait()
    await call.cancel()
    async with asyncio.timeout(DEADLINE_S):
        assert await desk.gone.get() == desk.asked[0].channel
    assert (await desk.until("gone", 1)).outcomes["gone"] == 1
    assert desk.gone.empty()


@pytest.mark.parametrize(
    "caller",
    [
        "1%0Aagi_context%3A%20from-phone",
        "1%0Aagi_extension%3A%20%2B19005550000",
        "1%0A%0A",
        "1%0D%0AUniqueid%3A%20forged",
        "1%0Aagi_context%3A%20from-phone%0Aagi_extension%3A%20%2B1900%0Aagi_threadid%3A%201%0A%0A",
    ],
)
async def test_a_line_break_in_a_callers_number_makes_an_unknown_caller(desk: Desk, caller: str):
    rejected = sum(desk.server.metrics().rejected.values())
    call = desk.call("+442079460000", caller=caller)
    await call.reaches(CallState.ENDED)
    assert call.responses[-1] == 486
    (question,) = desk.asked
    assert (question.dialled, question.caller, question.context) == ("+442079460000", "0", "from-trunk")
    assert caller_of(",".join(question.arguments)) == ""
    assert sum(desk.server.metrics().rejected.values()) == rejected
