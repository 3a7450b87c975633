"""What every kind of line promises."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from telephony.errors import AgentUnavailable
from tests.rig.agent_lines import BEGIN, Ear, Kind, over_nothing, over_sockets
from voice_agents.core.talk import Answered, CallerAudio, Clear, Digit, Mark, Ready, Words

pytestmark = pytest.mark.contract


@pytest.fixture(params=[over_nothing, over_sockets], ids=["fake", "socket"])
async def kind(request: pytest.FixtureRequest) -> AsyncIterator[Kind]:
    async with request.param() as made:
        yield made


@pytest.fixture
def ear() -> Ear:
    return Ear()


async def test_the_agent_is_told_the_beginning_before_anything_else(kind: Kind, ear: Ear):
    line = await kind.lines.open(kind.spec, BEGIN, ear)
    assert line.tell(Digit("5", 20)) is True
    await kind.agent.told("Begin")
    await kind.agent.told("Digit")
    await line.close()


async def test_nothing_is_heard_before_the_line_is_there(kind: Kind, ear: Ear):
    line = await kind.lines.open(kind.spec, BEGIN, ear)
    assert ear.heard.empty()
    assert await ear.next() == Ready()
    await line.close()


async def test_what_the_agent_says_comes_in_its_order(kind: Kind, ear: Ear):
    line = await kind.lines.open(kind.spec, BEGIN, ear)
    assert await ear.next() == Ready()
    said = [Words("one"), Mark("m"), Words("two"), Clear()]
    for one in said:
        kind.agent.say(one)
    assert [await ear.next() for _ in said] == said
    await line.close()


async def test_a_line_that_breaks_is_lost_once_and_takes_nothing_more(kind: Kind, ear: Ear):
    line = await kind.lines.open(kind.spec, BEGIN, ear)
    assert await ear.next() == Ready()
    kind.agent.crash()
    assert await ear.next() == "closed"
    assert line.tell(Answered()) is False
    assert line.tell(CallerAudio(bytes(160), 0)) is False
    await line.close()
    assert ear.heard.empty()


async def test_a_line_that_is_closed_is_not_lost(kind: Kind, ear: Ear):
    line = await kind.lines.open(kind.spec, BEGIN, ear)
    assert await ear.next() == Ready()
    await line.close(4408)
    assert await kind.agent.closed() == 4408
    assert line.tell(Answered()) is False
    await line.close()
    assert ear.heard.empty()


async def test_what_is_said_after_the_close_is_not_heard(kind: Kind, ear: Ear):
    line = await kind.lines.open(kind.spec, BEGIN, ear)
    assert await ear.next() == Ready()
    kind.agent.say(Words("in time"))
    assert await ear.next() == Words("in time")
    await line.close()
    kind.agent.say(Words("too late"))
    assert ear.heard.empty()


async def test_nobody_there_is_said_so(kind: Kind, ear: Ear):
    with pytest.raises(AgentUnavailable) as caught:
        await kind.lines.open(kind.unreachable(), BEGIN, ear)
    assert caught.value.why == "refused"
    assert ear.heard.empty()
