"""Speech to text over a stream: what is sent, what is believed, what is not waited for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping

import pytest

from telephony.errors import InvalidInput, SpeechUnavailable
from tests.unit.dialplan.virtual_time import in_virtual_time
from voice_agents.core.grammar import Grammar, Rule
from voice_agents.ports import Heard
from voice_agents.providers.stream_hearing import StreamHearing, StreamHearingSettings

pytestmark = pytest.mark.unit

FINAL = '{"type": "final", "text": "good day", "confidence": 0.5}'
END = '{"type": "end"}'


class Service:
    """A ``StreamConnector`` and the ``Stream`` it opens. ``says``: what follows the end of the turn."""

    def __init__(
        self, *says: str | None, opens_s: float = 0.01, answers_s: float = 0.1, closes_s: float = 0.0
    ) -> None:
        self.says, self.opens_s, self.answers_s, self.closes_s = says, opens_s, answers_s, closes_s
        self.got: list[str | bytes] = []
        self.handshakes: list[tuple[str, Mapping[str, str]]] = []
        self.refuses = self.closed = False
        self._queue: asyncio.Queue[str | None] = asyncio.Queue()

    async def open(self, url: str, headers: Mapping[str, str], deadline_s: float, most_bytes: int) -> Service:
        self.handshakes.append((url, headers))
        await asyncio.sleep(self.opens_s)
        if self.refuses:
            raise SpeechUnavailable("refused")
        return self

    def tell(self, message: str | None) -> None:
        self._queue.put_nowait(message)

    async def send(self, message: str | bytes) -> None:
        if self.closed:
            raise SpeechUnavailable("closed")
        self.got.append(message)
        if message == END:
            await asyncio.sleep(self.answers_s)
            for said in self.says:
                self.tell(said)

    async def receive(self) -> str | None:
        return await self._queue.get()

    async def close(self) -> None:
        await asyncio.sleep(self.closes_s)
        self.closed = True


def engine(service: Service, **settings: object) -> StreamHearing:
    return StreamHearing(StreamHearingSettings("wss://stt.example", **settings), service)  # type: ignore[arg-type]


async def heard(hearing: StreamHearing, grammar: Grammar | None = None) -> Heard:
    turn = hearing.listen("en-US", 8000, grammar, lambda told: None)
    turn.feed(b"\1\2")
    await asyncio.sleep(0.1)
    return await turn.finish()


@in_virtual_time
async def test_a_turn_is_sent_while_it_is_spoken() -> None:
    service = Service(FINAL)
    hearing = engine(service, secret="s3cret")
    guesses: list[Heard] = []
    turn = hearing.listen("en-US", 8000, Grammar("g", (Rule("a", "good [day]"),)), guesses.append)
    turn.feed(b"\1\2")
    await asyncio.sleep(0.1)
    assert json.loads(service.got[0]) == {
        "type": "start", "language": "en-US", "rate_hz": 8000, "hints": ["good", "good day"],
    }  # fmt: skip
    assert service.got[1:] == [b"\1\2"]
    service.tell('{"type": "partial", "text": "goo", "confidence": 0.2}')
    service.tell('{"type": "keep-alive"}')
    turn.feed(b"\3\4")
    await asyncio.sleep(0.1)
    assert guesses == [Heard("goo", 0.2)]
    assert await turn.finish() == Heard("good day", 0.5)
    assert service.got[2:] == [b"\3\4", END]
    assert service.handshakes == [("wss://stt.example", {"Authorization": "Bearer s3cret"})]
    assert "s3cret" not in repr(hearing.settings)
    await asyncio.sleep(0.1)
    assert service.closed
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize(
    "says",
    [("nonsense",), (None,), ('{"type": "final"}',), ('{"type": "final", "text": 5}',), ("[]", None),
     ('{"type": "final", "text": "' + "x" * 5000 + '"}',), ()],
)  # fmt: skip
def test_what_is_no_answer_is_said_so(says: tuple[str | None, ...]) -> None:
    @in_virtual_time
    async def run() -> None:
        service = Service(*says)
        with pytest.raises(SpeechUnavailable):
            await heard(engine(service))
        await asyncio.sleep(0.1)
        assert service.closed
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run()


@in_virtual_time
async def test_a_service_that_never_stops_talking_is_not_listened_to() -> None:
    service = Service(*['{"type": "noise"}'] * 10_001)
    with pytest.raises(SpeechUnavailable, match="too much"):
        await heard(engine(service))


@in_virtual_time
async def test_a_service_that_cannot_be_reached() -> None:
    service = Service(FINAL)
    service.refuses = True
    with pytest.raises(SpeechUnavailable, match="refused"):
        await heard(engine(service))
    slow = Service(FINAL, opens_s=60)
    with pytest.raises(SpeechUnavailable, match="reached"):
        await heard(engine(slow, open_s=1.0))


@in_virtual_time
async def test_a_slow_answer_is_not_waited_for() -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(SpeechUnavailable, match="in time"):
        await heard(engine(Service(FINAL, answers_s=60), deadline_s=2.0))
    assert loop.time() - began == pytest.approx(2.1)


@in_virtual_time
async def test_a_slow_goodbye_is_not_waited_for() -> None:
    loop = asyncio.get_running_loop()
    service = Service(FINAL, closes_s=1.0)
    began = loop.time()
    assert await heard(engine(service)) == Heard("good day", 0.5)
    assert loop.time() - began < 0.5
    await asyncio.sleep(1.5)
    assert service.closed
    assert asyncio.all_tasks() == {asyncio.current_task()}


@in_virtual_time
async def test_what_is_cancelled_leaves_nothing() -> None:
    service = Service(FINAL)
    hearing = engine(service)
    turn = hearing.listen("en-US", 8000, None, lambda told: None)
    await asyncio.sleep(0.1)
    turn.cancel()
    turn.feed(b"\1\2")
    assert await turn.finish() == Heard("", 0.0)
    await asyncio.sleep(0.1)
    assert service.closed
    assert asyncio.all_tasks() == {asyncio.current_task()}


@in_virtual_time
async def test_closing_ends_every_turn() -> None:
    hearing = engine(Service())
    waiting = asyncio.get_running_loop().create_task(heard(hearing))
    await asyncio.sleep(0.5)
    await hearing.close()
    with pytest.raises(SpeechUnavailable, match="closed"):
        await waiting
    with pytest.raises(SpeechUnavailable, match="closed"):
        hearing.listen("en-US", 8000, None, lambda told: None)


@in_virtual_time
async def test_turns_that_are_not_taken() -> None:
    hearing = engine(Service(FINAL), languages=frozenset({"en-US"}), at_once=1, most_ms=1)
    for language, rate in (("de-DE", 8000), ("en-US", 11025)):
        with pytest.raises(InvalidInput):
            hearing.listen(language, rate, None, lambda told: None)
    turn = hearing.listen("en-US", 8000, None, lambda told: None)
    with pytest.raises(SpeechUnavailable, match="too many"):
        hearing.listen("en-US", 8000, None, lambda told: None)
    turn.feed(bytes(16))
    turn.feed(bytes(16))
    assert await turn.finish() == Heard("good day", 0.5)
