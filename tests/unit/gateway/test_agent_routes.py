"""Agents as the far ends of calls that come in: whom they are told of, and what callers hear of no agent."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace

import pytest

from dialplan.core.call import AgentSocket, Call, Connect, HoldMusic, Phone, Reject, Route
from dialplan.core.routing import Offered, RouteFacts
from dialplan.fakes import FixedBook
from gateway.agent_routes import FAREWELL_S, AgentRoutes
from telephony.errors import AgentUnavailable, Conflict, PatchbayError, StorageUnavailable, TooMany
from telephony.ids import CallId, ChannelId, TenantId
from telephony.numbers import E164
from tests.unit.dialplan.made_calls import inbound
from tests.unit.gateway.agent_records import session
from voice_agents.core.audio import Codec
from voice_agents.core.record import AgentCall, SessionRecord
from voice_agents.desk import Prepared

pytestmark = pytest.mark.unit

OURS = TenantId("ten_1")
DID, CALLER, PROXY = E164("+12025550100"), "+14155550103", E164("+12025550177")
OFFERED = Offered(ChannelId("pb-1.1"), "12025550100", CALLER, "from-trunk", "carrier")
TO_AGENT = Connect(AgentSocket("", "agt_1"))
KNOWN = RouteFacts(OURS, TO_AGENT, DID, ring_timeout_s=25, max_duration_s=900)
FULL = TooMany("as many as it may", retry_after_s=5, limit=1, window="concurrent", code="CONCURRENCY_LIMIT")


@dataclass
class Sessions:
    """Fits ``gateway.agent_routes.Sessions``. ``error`` is raised; ``back`` waits for a caller's return."""

    error: Exception | None = None
    record: bool = False
    back: Prepared | None = None
    asked: list[AgentCall] = field(default_factory=list)
    rejoined: list[str] = field(default_factory=list)

    async def prepare(self, call: AgentCall) -> Prepared:
        self.asked.append(call)
        if self.error is not None:
            raise self.error
        return prepared(f"WebSocket/one-{len(self.asked)}", record=self.record)

    def rejoin(self, call_id: str) -> Prepared | None:
        self.rejoined.append(call_id)
        return self.back

    def session_of(self, call_id: str) -> SessionRecord | None:
        return session(call_id=call_id) if self.asked and self.asked[-1].call_id == call_id else None


def prepared(dial: str, *, record: bool = False) -> Prepared:
    return Prepared("ags_1", "token", dial, Codec.ULAW, record)


class Stage:
    """The agents' book in front of another. ``made`` counts the ids that it made."""

    def __init__(
        self, known: RouteFacts = KNOWN, *then: RouteFacts, sessions: Sessions | None = None
    ) -> None:
        self.sessions = sessions or Sessions()
        self.other = FixedBook(known, then)
        self.numbers = itertools.count(1)
        self.routes = AgentRoutes(self.other, self.sessions, lambda prefix: f"{prefix}_{next(self.numbers)}")

    async def call(self, **how: str) -> RouteFacts:
        return await self.routes.facts_for(replace(OFFERED, **how))  # type: ignore[arg-type]

    @property
    def made(self) -> int:
        return next(self.numbers) - 1


def told(stage: Stage) -> AgentCall:
    (call,) = stage.sessions.asked
    return call


# ---------------------------------------------------------------- an agent is on the line


async def test_an_agent_gets_a_session_and_the_call_a_way_to_it_that_works_once() -> None:
    stage = Stage()
    found = await stage.call()
    assert found == replace(
        KNOWN,
        route=Connect(AgentSocket("WebSocket/one-1", "agt_1")),
        max_duration_s=900 + FAREWELL_S,
        agent_id="agt_1",
        agent_version=3,
        call_id=CallId("call_1"),
    )
    assert told(stage) == AgentCall(
        call_id="call_1",
        tenant="ten_1",
        agent_id="agt_1",
        direction="inbound",
        caller=CALLER,
        called=DID.reveal(),
        longest_s=900,
        media_within_s=55.0,
    )
    again = await stage.call()
    assert isinstance(again.route, Connect)
    assert again.route.endpoint == AgentSocket("WebSocket/one-2", "agt_1")
    assert again.call_id == "call_2"


async def test_what_else_the_other_book_said_stays_so() -> None:
    way = Connect(AgentSocket("", "agt_1"), PROXY, caller_prompt="mask/hold", warn_s=30)
    known = replace(KNOWN, route=way, session_id="ses_1", seat=0, to_seat=1, webhook_url="https://x.example/")
    found = await Stage(known).call()
    assert found.route == replace(way, endpoint=AgentSocket("WebSocket/one-1", "agt_1"))
    assert (found.session_id, found.seat, found.to_seat) == ("ses_1", 0, 1)
    assert found.webhook_url == "https://x.example/"


@pytest.mark.parametrize(("route", "agent"), [(True, False), (False, True), (True, True), (False, False)])
async def test_a_call_is_recorded_where_its_number_or_its_agent_wants_it(route: bool, agent: bool) -> None:
    stage = Stage(replace(KNOWN, record=route), sessions=Sessions(record=agent))
    assert (await stage.call()).record is (route or agent)


PASSED_ON: list[RouteFacts] = [
    RouteFacts(None, None),
    RouteFacts(None, TO_AGENT),
    replace(KNOWN, route=None),
    replace(KNOWN, route=Reject(17, "rejected_by_route")),
    replace(KNOWN, route=Connect(Phone("alice"))),
    replace(KNOWN, route=Connect(HoldMusic())),
    replace(KNOWN, route=Connect(AgentSocket("WebSocket/theirs", "agt_1"))),
]


@pytest.mark.parametrize("known", PASSED_ON, ids=lambda known: str(known.route)[:40])
async def test_an_answer_that_names_no_agent_is_passed_on_as_it_is(known: RouteFacts) -> None:
    stage = Stage(known)
    assert await stage.call() == known
    assert (stage.sessions.asked, stage.made) == ([], 0)


async def test_an_other_book_that_breaks_reaches_no_agent() -> None:
    stage = Stage()
    stage.other.error = StorageUnavailable()
    with pytest.raises(StorageUnavailable):
        await stage.call()
    assert stage.sessions.asked == []


# ---------------------------------------------------------------- what the agent may know


async def test_a_caller_who_is_private_is_shown_as_the_number_that_others_know() -> None:
    stage = Stage(replace(KNOWN, route=Connect(AgentSocket("", "agt_1"), PROXY), private=True))
    await stage.call()
    assert told(stage).caller == PROXY.reveal()
    assert CALLER not in repr(told(stage))


async def test_a_private_caller_without_such_a_number_is_nobody() -> None:
    stage = Stage(replace(KNOWN, private=True))
    await stage.call()
    assert told(stage).caller == ""


async def test_a_phone_that_is_private_is_not_named_either() -> None:
    stage = Stage(replace(KNOWN, private=True))
    await stage.call(door="from-phone", line="alice", caller="")
    assert told(stage).caller == ""


async def test_a_phone_is_known_by_its_name() -> None:
    stage = Stage()
    await stage.call(door="from-phone", line="alice", caller="100")
    assert told(stage).caller == "phone:alice"


async def test_a_caller_who_withholds_the_number_is_nobody() -> None:
    stage = Stage(replace(KNOWN, did=None))
    await stage.call(caller="")
    assert (told(stage).caller, told(stage).called) == ("", OFFERED.dialled)


# ---------------------------------------------------------------- no agent to be had


@pytest.mark.parametrize(
    ("error", "route"),
    [
        (FULL, Reject(34, "agent_busy")),
        (AgentUnavailable(why="refused"), Reject(41, "agent_unavailable")),
        (AgentUnavailable(why="unknown"), Reject(41, "agent_unavailable")),
        (AgentUnavailable(why="draining"), Reject(41, "agent_unavailable")),
        (Conflict("there is one on this call", code="AGENT_ON_CALL"), Reject(41, "agent_unavailable")),
        (StorageUnavailable(), Reject(41, "agent_unavailable")),
    ],
    ids=["busy", "refused", "unknown", "draining", "on the call", "storage away"],
)
async def test_a_caller_whose_agent_cannot_be_had_is_told_why(error: PatchbayError, route: Route) -> None:
    stage = Stage(sessions=Sessions(error))
    found = await stage.call()
    assert (found.route, found.tenant, found.agent_id) == (route, OURS, None)
    assert found.max_duration_s == 900


# ---------------------------------------------------------------- callers who ask again


async def test_after_a_detour_the_agent_is_reached_for_the_call_as_it_is_known() -> None:
    stage = Stage(RouteFacts(OURS, Connect(HoldMusic())), KNOWN)
    found = await stage.routes.go_on(OFFERED, inbound(), "1234")
    assert (found.call_id, told(stage).call_id) == (inbound().id, inbound().id)
    assert (stage.made, stage.other.typed) == (0, ["1234"])


def returned() -> Call:
    """A call whose far end did not answer: its caller asks anew."""
    call = inbound(Connect(AgentSocket("WebSocket/used", "agt_1")))
    terms = replace(call.terms, agent_id="agt_1", tenant=OURS)
    call = replace(call, connected_at=1.0, terms=terms, callee=replace(call.callee, cause=17))
    assert call.returned
    return call


async def test_after_a_failed_transfer_the_caller_is_back_with_the_same_session() -> None:
    stage = Stage(sessions=Sessions(back=prepared("WebSocket/again")))
    found = await stage.routes.go_on(OFFERED, returned(), "")
    assert found == RouteFacts(OURS, Connect(AgentSocket("WebSocket/again", "agt_1")))
    assert stage.sessions.rejoined == [inbound().id]
    assert (stage.sessions.asked, stage.other.asked) == ([], []), "neither a new session nor a new decision"


async def test_where_no_session_waits_any_more_the_caller_hears_why_nobody_answered() -> None:
    stage = Stage()
    found = await stage.routes.go_on(OFFERED, returned(), "")
    assert found == RouteFacts(OURS, Reject(17, "agent_unavailable"))
    silent = returned()
    silent = silent.with_leg(replace(silent.callee, cause=None))
    assert (await stage.routes.go_on(OFFERED, silent, "")).route == Reject(41, "agent_unavailable")


async def test_a_call_that_never_had_an_agent_is_not_taken_to_one() -> None:
    stage = Stage(sessions=Sessions(back=prepared("WebSocket/again")))
    call = returned()
    call = replace(call, terms=replace(call.terms, agent_id=None))
    assert (await stage.routes.go_on(OFFERED, call, "")).route == Reject(17, "agent_unavailable")
