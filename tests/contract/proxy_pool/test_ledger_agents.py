"""Sessions with an agent in every backend: one door, and the agent as it was."""

from __future__ import annotations

import pytest

from proxy_pool.core.opening import seat_people
from proxy_pool.core.party import AgentParty, key_of
from proxy_pool.ports import SessionFilter
from tests.contract.proxy_pool.ledger_rig import ANN, BOB, ONE, OURS, T0, Books, doors, opened, pair

pytestmark = pytest.mark.contract

DESK = AgentParty("agt_01J00000000000000000000001")


async def test_a_session_with_an_agent_reads_back_and_has_one_door(books: Books) -> None:
    session = pair(1, participants=seat_people([(ANN, ONE, ""), (DESK, ONE, "")]))
    assert [binding.door.key for binding in doors(session)] == [ANN.reveal()]
    await opened(books, session)
    assert await books.ledger.get(OURS, session.id) == session
    found = await books.ledger.resolve(OURS, ANN.reveal(), ONE, T0)
    assert found is not None
    assert found.entry.seat == 0
    assert await books.ledger.resolve(OURS, key_of(DESK), ONE, T0) is None


async def test_one_agent_sits_on_one_number_in_several_sessions(books: Books) -> None:
    for number, who in enumerate((ANN, BOB), 1):
        await opened(books, pair(number, participants=seat_people([(who, ONE, ""), (DESK, ONE, "")])))
    page = await books.ledger.page(OURS, SessionFilter(party=key_of(DESK)), limit=10)
    assert (len(page.items), page.total) == (2, 2)
    for other in ("agent:agt_01J00000000000000000000002", "agent:agt%", 'agent:"', "agent:"):
        page = await books.ledger.page(OURS, SessionFilter(party=other), limit=10)
        assert (page.items, page.total) == ((), 0)
