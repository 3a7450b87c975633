"""Calls to proxy numbers whose other party is an AI agent."""

from __future__ import annotations

import pytest

from dialplan.core.call import AgentSocket, Connect
from gateway.masked_callers import Attempter, Caller
from gateway.masked_doors import place_of
from proxy_pool.core.number import Use
from proxy_pool.core.party import AgentParty
from proxy_pool.core.session import Model
from tests.rig.masking import TENANT, person
from tests.unit.gateway.masked_stage import staged

pytestmark = pytest.mark.unit

ANNE, DESK = person(1), AgentParty("agt_1")


async def test_a_caller_is_connected_with_the_agent_and_stays_unknown_to_it() -> None:
    async with staged() as stage:
        session = await stage.open(ANNE, DESK, record=True)
        anne = session.participants[0]
        line = await stage.call(ANNE, anne.proxy)
        assert line.route == Connect(AgentSocket("", "agt_1"), anne.proxy)
        assert (line.last.private, line.last.record) == (True, True)
        assert (line.last.session_id, line.last.seat, line.last.to_seat) == (session.id, 0, 1)
        assert (await stage.call(person(9), anne.proxy)).rejection == (21, "unknown_caller")


async def test_anybody_reaches_the_agent_behind_an_open_number() -> None:
    async with staged(Use.ANYONE) as stage:
        session = await stage.open(DESK, model=Model.ANYONE)
        line = await stage.call(person(7), session.participants[0].proxy)
        assert isinstance(line.route, Connect)
        assert line.route.endpoint == AgentSocket("", "agt_1")
        assert line.last.seat == -1


async def test_whoever_is_vouched_for_sits_in_no_agents_place() -> None:
    async with staged() as stage:
        session = await stage.open(ANNE, DESK)
        home = session.participants[0].proxy
        assert place_of(session, Attempter(TENANT, home, Caller()), None) == 0
