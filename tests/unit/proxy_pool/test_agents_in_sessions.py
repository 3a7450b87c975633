"""Agents take part in sessions: they are called, call nobody, and need no number of their own."""

from dataclasses import replace

import pytest

from proxy_pool.core.number import Use
from proxy_pool.core.opening import keys_of
from proxy_pool.core.party import AgentParty, Party, PhoneParty, key_of, party_of, shown
from proxy_pool.core.reach import Reached, Refusal, Refused, reach
from proxy_pool.core.relay import Circumstances, Fault, Stopped, carry
from proxy_pool.core.session import Channel, Model, Session
from proxy_pool.desk import NewSession, Seating, SessionChange
from telephony.errors import InvalidInput
from tests.rig.masking import TENANT, Service, person, proxy
from tests.unit.proxy_pool.test_sessions import an_id, fresh, pair

pytestmark = pytest.mark.unit

DESK, NIGHT = AgentParty("agt_desk"), AgentParty("agt_night")
ANNE, BOB = person(1), person(2)


async def _open(s: Service, a: Party, *others: Party, model: Model = Model.PAIR, **terms: object) -> Session:
    wanted = NewSession(Seating(a), tuple(Seating(one) for one in others), model, terms=terms)
    return await s.sessions.open(TENANT, wanted, an_id())


def _reached(session: Session, seat: int) -> Party:
    way = reach(session, seat, Channel.VOICE, session.created_at)
    assert isinstance(way, Reached), way
    return way.target


@pytest.mark.parametrize("party", [DESK, PhoneParty("alice"), ANNE])
def test_a_key_leads_back_to_its_party(party: Party):
    assert party_of(key_of(party)) == party


def test_an_agent_is_shown_by_its_id():
    assert shown(DESK, whole=False) == shown(DESK, whole=True) == "agent:agt_desk"


@pytest.mark.parametrize("agent_first", [False, True])
async def test_whoever_is_paired_with_an_agent_reaches_it(agent_first: bool):
    s = await fresh(1)
    session = await _open(s, DESK, ANNE) if agent_first else await _open(s, ANNE, DESK)
    anne, agent = (1, 0) if agent_first else (0, 1)
    assert keys_of(session) == ((ANNE.reveal(), proxy(1), anne),)
    found = await s.sessions.resolve(TENANT, ANNE.reveal(), proxy(1))
    assert found is not None
    assert found[1] == anne
    assert _reached(session, anne) == DESK
    assert session.participants[agent].proxy == session.participants[anne].proxy


async def test_one_agent_takes_part_in_any_number_of_sessions_on_one_number():
    s = await fresh(1)
    for count in range(1, 20):
        session = await _open(s, person(count), DESK)
        assert session.participants[0].proxy == proxy(1)


async def test_an_agents_key_lets_nobody_in():
    s = await fresh()
    session = await _open(s, ANNE, DESK)
    for number in range(1, 6):
        assert await s.sessions.resolve(TENANT, key_of(DESK), proxy(number)) is None
    assert await s.sessions.resolve(TENANT, ANNE.reveal(), session.participants[0].proxy) is not None


async def test_nobody_can_sit_in_an_agents_place_by_a_pin():
    s = await fresh()
    session = await _open(s, ANNE, DESK, pin_mode="unknown")
    anne, agent = session.participants
    assert (bool(anne.pin), agent.pin) == (True, "")
    assert [seat for _, _, seat in keys_of(session)] == [0, 0]
    wanted = NewSession(Seating(ANNE), (Seating(DESK, None, "480213"),), terms={"pin_mode": "always"})
    with pytest.raises(InvalidInput) as refused:
        await s.sessions.open(TENANT, wanted, an_id())
    assert refused.value.field == "pin"


async def test_an_agent_is_given_no_number_of_its_own():
    s = await fresh()
    wanted = NewSession(Seating(ANNE), (Seating(DESK, proxy(2)),))
    with pytest.raises(InvalidInput) as refused:
        await s.sessions.open(TENANT, wanted, an_id())
    assert refused.value.field == "proxy_number"
    shared = NewSession(Seating(ANNE, proxy(3)), (Seating(DESK, proxy(3)),), terms={"numbers": "shared"})
    session = await s.sessions.open(TENANT, shared, an_id())
    assert {one.proxy for one in session.participants} == {proxy(3)}


@pytest.mark.parametrize(
    ("model", "others", "field"),
    [(Model.PAIR, (NIGHT,), "party_b"), (Model.GROUP, (NIGHT, AgentParty("agt_3")), "members")],
)
async def test_agents_alone_make_no_session(model: Model, others: tuple[Party, ...], field: str):
    s = await fresh()
    with pytest.raises(InvalidInput) as refused:
        await _open(s, DESK, *others, model=model)
    assert refused.value.field == field


async def test_an_agent_in_a_group_and_a_group_around_an_agent():
    s = await fresh()
    group = await _open(s, ANNE, DESK, BOB, model=Model.GROUP)
    assert _reached(group, 0) == DESK
    assert _reached(group, 2) == ANNE
    assert group.participants[1].proxy == group.participants[0].proxy
    around = await _open(s, DESK, ANNE, BOB, model=Model.GROUP)
    assert [_reached(around, seat) for seat in (1, 2)] == [DESK, DESK]
    assert {key for key, _, _ in keys_of(around)} == {ANNE.reveal(), BOB.reveal()}


@pytest.mark.parametrize(("model", "use"), [(Model.ANYONE, Use.ANYONE), (Model.EXTENSION, Use.EXTENSIONS)])
async def test_an_agent_behind_an_open_number(model: Model, use: Use):
    s = await fresh(use=use)
    session = await _open(s, DESK, model=model)
    assert _reached(session, -1) == DESK
    assert all(not key.startswith("agent:") for key, _, _ in keys_of(session))


async def test_an_agent_takes_over_a_persons_seat_and_gives_it_back():
    s = await fresh()
    session = await s.sessions.open(TENANT, pair(1, 2), an_id())
    home = session.participants[0].proxy
    to_agent = await s.sessions.change(TENANT, session.id, SessionChange(others=(Seating(DESK),)))
    assert to_agent.participants[0].proxy == home
    assert keys_of(to_agent) == ((ANNE.reveal(), home, 0),)
    assert _reached(to_agent, 0) == DESK
    back = await s.sessions.change(TENANT, session.id, SessionChange(others=(Seating(person(3)),)))
    assert {key for key, _, _ in keys_of(back)} == {ANNE.reveal(), person(3).reveal()}
    with pytest.raises(InvalidInput):
        await s.sessions.change(TENANT, session.id, SessionChange(a=Seating(NIGHT), others=(Seating(DESK),)))


async def test_the_same_two_meet_again_though_one_is_an_agent():
    s = await fresh()
    first = await _open(s, ANNE, DESK, sticky="prefer")
    await s.sessions.close(TENANT, first.id)
    again = await _open(s, ANNE, DESK, sticky="prefer")
    assert _reached(again, 0) == DESK


async def test_an_agent_reads_no_texts():
    s = await fresh()
    session = await _open(s, ANNE, DESK)
    way = reach(session, 0, Channel.SMS, session.created_at)
    number = s.pool.owner_of(session.participants[0].proxy)
    assert number is not None
    verdict = carry(session, way, "hello", Circumstances(replace(number, carrier="sim")))
    assert isinstance(verdict, Stopped)
    assert verdict.outcome is Fault.NO_CARRIER


async def test_a_direction_that_leads_away_from_the_agent_leads_nowhere():
    s = await fresh()
    session = await _open(s, ANNE, DESK, flow="b_to_a")
    assert reach(session, 0, Channel.VOICE, session.created_at) == Refused(Refusal.DIRECTION, 0)
