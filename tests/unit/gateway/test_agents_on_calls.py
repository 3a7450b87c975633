"""The desk of agents and the director of calls, joined: each learns in time what the other knows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest

from dialplan.core import orders
from dialplan.core.call import AgentSocket, Call, Connect, Phone, Reject, Route
from dialplan.core.orders import Redirect
from dialplan.core.routing import RouteFacts
from dialplan.director import Director
from dialplan.fakes import FixedBook
from gateway.agent_control import DirectedCalls
from gateway.agent_routes import AgentRoutes
from gateway.agents_on_calls import AgentsOnCalls
from gateway.rooms_on_calls import DirectedRooms
from telephony.errors import AgentUnavailable, Conflict, StorageUnavailable, SwitchUnavailable, TooMany
from telephony.ids import CallId, ChannelId
from tests.unit.dialplan.desk import OFFERED, OURS, A, B, Desk
from tests.unit.dialplan.virtual_time import in_virtual_time
from tests.unit.voice_agents.sessions import SPEC
from tests.unit.voice_agents.stage import CALL, Caller, Stage
from voice_agents.core.agent import AgentSpec, Fallback
from voice_agents.core.record import How, SessionRecord, State
from voice_agents.core.talk import Ended, Ending, Held, Reason, TransferOutcome
from voice_agents.desk import AgentDesk

pytestmark = pytest.mark.unit

AGENT = replace(SPEC, tenant=OURS, transfer_allow=("phone:alice",))
B2, B3 = ChannelId("pb-1.3"), ChannelId("pb-1.4")
KNOWN = RouteFacts(OURS, Connect(AgentSocket("", "agt_1")), ring_timeout_s=20, max_duration_s=900)
WANTED = replace(CALL, tenant=OURS, direction="outbound")


def token_of(route: Route) -> str:
    """What the switch is let in with that dials this."""
    assert isinstance(route, Connect)
    assert isinstance(route.endpoint, AgentSocket)
    return route.endpoint.dial.split("/")[1]


async def _anybody(call: Call, to: str) -> bool:
    return True


class House:
    """A director among fakes, a desk of agents among fakes, and what joins them in the gateway."""

    def __init__(self, *specs: AgentSpec, lines: int = 0, most: int = 0) -> None:
        self.voice, self.stage = Desk(), Stage(*(specs or (AGENT,)), most=most)
        ports = replace(self.voice.director._ports, trunk_limits={"carrier": lines})
        around = replace(self.stage.around, control=_Later(self))
        self.stage.around, self.stage.desk = around, AgentDesk(around, lambda tenant: most)
        routes = AgentRoutes(FixedBook(KNOWN), self.stage.desk, ports.new_id)
        self.director = self.voice.director = Director(replace(ports, book=routes))
        self.voice.switch.tell = self.director.hear
        self.on_calls = AgentsOnCalls(self.stage.desk)
        self.on_calls.calls = self.director
        self.director.on_change(self.on_calls.heard)

    async def answered(self, channel: ChannelId = A) -> tuple[CallId, Route]:
        """What the switch's question for a new call is answered with."""
        self.voice.switch.exist(channel)
        reply = await self.director.answer(replace(OFFERED, channel=channel))
        assert isinstance(reply, orders.Reply)
        return reply.call_id, reply.route

    async def asks(self, channel: ChannelId = A) -> Route:
        """What the switch's question for a caller of ours is answered with."""
        reply = await self.director.answer(replace(OFFERED, channel=channel))
        assert isinstance(reply, orders.Reply)
        return reply.route

    async def joined(self, call_id: CallId, route: Route, callee: ChannelId) -> Caller:
        """The switch dials the agent, which takes the call."""
        token = token_of(route)
        leg = self.stage.port.come(token)
        assert leg is not None, "a way to an agent works, once"
        assert self.stage.port.come(token) is None
        caller = self.stage.callers[call_id] = Caller(leg)
        self.voice.switch.dial(callee, by=A)
        self.voice.switch.answer(callee)
        if callee is B:
            self.voice.switch.answer(A)
        await self.stage.pass_s(0.2)
        return caller

    async def talking(self) -> tuple[CallId, Caller]:
        call_id, route = await self.answered()
        await self.stage.pass_s(0.1)
        caller = await self.joined(call_id, route, B)
        assert self.session(call_id).state is State.TALKING
        return call_id, caller

    async def taken_to_alice(self, call_id: CallId, caller: Caller, *, keep: bool) -> asyncio.Task[str]:
        """The caller is taken away from the agent; who it is taken to rings."""
        verb = self.on_calls.take_over if keep else self.on_calls.transfer
        moving = asyncio.create_task(verb(call_id, "phone:alice", 20))
        await self.stage.until(lambda: bool(self.voice.switch.ordered(Redirect)))
        caller.leg.ends("hangup")
        route = await self.asks()
        assert isinstance(route, Connect)
        assert route.endpoint == Phone("alice")
        self.voice.switch.dial(B2, by=A)
        self.voice.switch.ring(B2)
        await self.stage.pass_s(0.5)
        return moving

    async def taken_over(self) -> CallId:
        """A call whose caller talks with a human, and may come back."""
        call_id, caller = await self.talking()
        moving = await self.taken_to_alice(call_id, caller, keep=True)
        self.voice.switch.answer(B2)
        assert await moving == "completed"
        return call_id

    async def handed_back(self, call_id: CallId) -> None:
        before = len(self.voice.switch.ordered(Redirect))
        handing = asyncio.create_task(self.on_calls.hand_back(call_id))
        await self.stage.until(lambda: len(self.voice.switch.ordered(Redirect)) > before)
        await self.joined(call_id, await self.asks(), B3)
        await handing

    async def told_of_the_end(self, call_id: CallId, gone: float) -> None:
        """The agent learns at once that the caller is gone, and not when it should have come."""
        record = await self.stage.until_over(call_id)
        assert record.evidence is not None
        assert record.evidence.reason is Reason.CALLER
        assert record.evidence.agent_notified_at is not None
        assert record.evidence.agent_notified_at - gone < 0.1

    def session(self, call_id: CallId) -> SessionRecord:
        return self.stage.session(call_id)


@dataclass
class _Later:
    """The director's calls, once it is there. Fits ``voice_agents.ports.CallControl``."""

    house: House

    @property
    def _control(self) -> DirectedCalls:
        return DirectedCalls(self.house.director, _anybody)

    async def hang_up(self, call_id: str, why: str) -> None:
        await self._control.hang_up(call_id, why)
        caller = self.house.stage.callers.get(call_id)
        if caller is not None:
            caller.leg.ends()

    async def transfer(self, call_id: str, to: str, ring_timeout_s: int) -> str:
        return await self._control.transfer(call_id, to, ring_timeout_s)

    async def send_digits(self, call_id: str, digits: str) -> None:
        await self._control.send_digits(call_id, digits)


@asynccontextmanager
async def opened(*specs: AgentSpec, lines: int = 0, most: int = 0) -> AsyncIterator[House]:
    house = House(*specs, lines=lines, most=most)
    try:
        yield house
    finally:
        await house.stage.close()
        await house.director.stop()


# ---------------------------------------------------------------- what the director tells


@in_virtual_time
async def test_a_caller_who_leaves_while_it_rings_is_told_to_the_agent_at_once() -> None:
    async with opened() as house:
        call_id, _ = await house.answered()
        await house.stage.pass_s(1.0)
        gone = house.stage.now()
        house.voice.switch.end(A)
        await house.told_of_the_end(call_id, gone)


@in_virtual_time
async def test_an_agent_whose_caller_is_turned_away_for_want_of_a_line_does_not_wait() -> None:
    async with opened(lines=1) as house:
        _, route = await house.answered()
        assert isinstance(route, Connect)
        other = ChannelId("pb-2.1")
        second, route = await house.answered(other)
        assert route == Reject(34, "trunk_full")
        await house.stage.pass_s(0.1)
        assert house.stage.desk.live_sessions == 2
        gone = house.stage.now()
        house.voice.switch.end(other, cause=34)
        await house.told_of_the_end(second, gone)
        assert house.stage.desk.live_sessions == 1
        assert house.voice.ended(second)[1] == "server_error/trunk_full"


@in_virtual_time
async def test_no_agent_waits_for_a_call_that_could_not_be_stored() -> None:
    async with opened() as house:
        slow = house.voice.store.hold()
        asking = asyncio.create_task(house.answered())
        await house.stage.pass_s(0.2)
        call_id = CallId(house.stage.line.begin.call_id)
        assert house.session(call_id).state is State.READY
        house.voice.store.go_away(1)
        slow.set()
        gone = house.stage.now()
        with pytest.raises(StorageUnavailable):
            await asking
        assert house.director.live(call_id) is None
        await house.told_of_the_end(call_id, gone)
        assert house.stage.desk.live_sessions == 0


@in_virtual_time
async def test_a_caller_who_hangs_up_is_told_and_the_agents_account_is_kept() -> None:
    async with opened() as house:
        call_id, caller = await house.talking()
        caller.leg.ends()
        house.voice.switch.end(A)
        record = await house.stage.until_over(call_id)
        assert record.evidence is not None
        assert (record.evidence.reason, record.evidence.how) == (Reason.CALLER, How.CALLER_GONE)
        assert house.voice.ended(call_id) == ("completed", "success/hangup_by_caller")


@in_virtual_time
async def test_calls_without_an_agent_are_no_concern_of_the_desks() -> None:
    async with opened() as house:
        call_id, _ = await house.talking()
        call = house.director.live(call_id)
        assert call is not None
        stranger = replace(call, terms=replace(call.terms, agent_id=None))
        gone = replace(stranger, ended_at=1.0)
        house.on_calls.heard(stranger, gone)
        await house.stage.pass_s(0.1)
        assert house.session(call_id).state is State.TALKING
        house.on_calls.heard(call, replace(call, ended_at=1.0))
        await house.stage.until_over(call_id)


# ---------------------------------------------------------------- no agent to be had


@pytest.mark.parametrize(
    ("specs", "most"), [((replace(AGENT, max_concurrent=1),), 0), ((AGENT,), 1)], ids=["agent", "tenant"]
)
def test_whoever_comes_after_the_last_place_hears_that_all_are_busy(
    specs: tuple[AgentSpec, ...], most: int
) -> None:
    @in_virtual_time
    async def run() -> None:
        async with opened(*specs, most=most) as house:
            call_id, caller = await house.talking()
            other = ChannelId("pb-2.1")
            second, route = await house.answered(other)
            assert route == Reject(34, "agent_busy")
            with pytest.raises(TooMany) as refused:
                await house.on_calls.prepare(WANTED)
            assert (refused.value.code, refused.value.limit) == ("CONCURRENCY_LIMIT", 1)
            house.voice.switch.end(other, cause=34)
            await house.stage.pass_s(0.1)
            assert house.voice.ended(second)[1].endswith("/agent_busy")
            assert house.session(call_id).state is State.TALKING, "the first is not disturbed"
            caller.leg.ends()
            house.voice.switch.end(A)
            await house.stage.pass_s(0.1)
            endpoint = await house.on_calls.prepare(WANTED)
            assert isinstance(endpoint, AgentSocket)

    run()


BUSY_BUT_STOOD_IN_FOR = replace(AGENT, max_concurrent=1, fallback=Fallback("agt_2"))


@in_virtual_time
async def test_who_comes_after_the_last_place_has_the_agent_that_stands_in() -> None:
    async with opened(BUSY_BUT_STOOD_IN_FOR, replace(AGENT, id="agt_2")) as house:
        await house.talking()
        other = ChannelId("pb-2.1")
        second, route = await house.answered(other)
        assert isinstance(route, Connect)
        leg = house.stage.port.come(token_of(route))
        assert leg is not None
        house.stage.callers[second] = Caller(leg)
        await house.stage.pass_s(0.2)
        assert leg.answered
        live = house.on_calls.live(second)
        assert live is not None
        assert (live.agent_id, live.answered_by, live.failure) == ("agt_1", "agt_2", "agent_busy")
        house.voice.switch.end(other)
        await house.stage.until_over(second)


@in_virtual_time
async def test_where_nobody_stands_in_after_all_the_call_ends_as_busy() -> None:
    async with opened(BUSY_BUT_STOOD_IN_FOR, replace(AGENT, id="agt_2")) as house:
        await house.talking()
        house.stage.fake_lines.away = "forbidden"
        other = ChannelId("pb-2.1")
        second, _ = await house.answered(other)
        await house.stage.until_over(second)
        await house.voice.settle()
        house.voice.switch.end(other)
        await house.voice.settle()
        assert house.voice.ended(second)[1] == "server_error/agent_busy"


@in_virtual_time
async def test_where_all_that_stands_in_for_an_agent_is_away_the_caller_hears_so() -> None:
    async with opened() as house:
        house.stage.fake_lines.away = "forbidden"
        call_id, _ = await house.answered()
        await house.stage.pass_s(3.0)
        assert house.session(call_id).state is State.FAILED
        await house.voice.settle()
        house.voice.switch.end(A)
        await house.voice.settle()
        assert house.voice.ended(call_id)[1] == "upstream_error/agent_unavailable"


@in_virtual_time
async def test_who_is_no_agent_takes_no_call() -> None:
    async with opened() as house:
        with pytest.raises(AgentUnavailable):
            await house.on_calls.prepare(replace(WANTED, agent_id="agt_9"))
        with pytest.raises(AgentUnavailable):
            await house.on_calls.prepare(replace(WANTED, tenant="ten_other"))


@in_virtual_time
async def test_an_agent_is_not_kept_for_a_call_that_is_not_made() -> None:
    async with opened() as house:
        endpoint = await house.on_calls.prepare(WANTED)
        assert isinstance(endpoint, AgentSocket)
        assert (endpoint.agent_id, endpoint.dial.startswith("Fake/")) == ("agt_1", True)
        call_id = CallId(WANTED.call_id)
        assert house.on_calls.live(call_id) is not None
        house.on_calls.forget(call_id)
        house.on_calls.forget(CallId("call_unknown"))
        await house.stage.until_over(call_id)
        assert house.on_calls.live(call_id) is None
        assert house.stage.desk.live_sessions == 0


# ---------------------------------------------------------------- ends


@in_virtual_time
async def test_a_session_that_is_over_is_not_live_though_its_record_is_not_kept_yet() -> None:
    async with opened() as house:
        call_id, _ = await house.talking()
        live = house.on_calls.live(call_id)
        assert live is not None
        assert live.state is State.TALKING
        house.stage.store.away = True
        house.voice.switch.end(A)
        await house.stage.until(lambda: house.session(call_id).state.final)
        assert house.stage.desk.session_of(call_id) is not None
        assert house.on_calls.live(call_id) is None
        house.stage.store.away = False
        await house.stage.until_over(call_id)


@pytest.mark.parametrize(("by", "reason"), [("api", Reason.API), ("agent", Reason.AGENT)])
def test_an_end_is_whose_it_is(by: str, reason: Reason) -> None:
    @in_virtual_time
    async def run() -> None:
        async with opened() as house:
            call_id, _ = await house.talking()
            assert await house.on_calls.end(call_id, force=False, by=by)  # type: ignore[arg-type]
            house.voice.switch.end(A)
            record = await house.stage.until_over(call_id)
            assert record.evidence is not None
            assert (record.evidence.reason, record.evidence.initiated_by) == (reason, by)
            assert house.stage.told(Ending, Ended)
            assert not await house.on_calls.end(call_id, force=True), "no agent is on it any more"

    run()


# ---------------------------------------------------------------- transfers, and the way back


@in_virtual_time
async def test_a_caller_who_is_taken_elsewhere_is_rid_of_the_agent() -> None:
    async with opened() as house:
        call_id, caller = await house.talking()
        moving = await house.taken_to_alice(call_id, caller, keep=False)
        house.voice.switch.answer(B2)
        assert await moving == "completed"
        record = await house.stage.until_over(call_id)
        assert record.evidence is not None
        assert record.evidence.reason is Reason.TRANSFERRED
        assert house.director.live(call_id) is not None, "the call goes on without it"
        house.voice.switch.far_end_hangs_up(B2)
        house.voice.switch.end(A)
        await house.voice.settle()
        assert house.voice.finals(call_id) == ["call.completed"]


@in_virtual_time
async def test_where_nobody_takes_the_caller_it_is_back_with_the_agent() -> None:
    async with opened() as house:
        call_id, caller = await house.talking()
        moving = await house.taken_to_alice(call_id, caller, keep=False)
        house.voice.switch.end(B2, cause=17)
        back = await house.asks()
        assert await moving == "busy"
        caller = await house.joined(call_id, back, B3)
        assert [told.outcome for told in house.stage.told(TransferOutcome)] == ["busy"]  # type: ignore[union-attr]
        assert house.session(call_id).state is State.TALKING
        house.stage.speak(200, 0x42)
        await house.stage.pass_s(0.5)
        assert {octet for _, octet in caller.heard_at} == {0x42}
        assert len(house.stage.fake_lines.lines) == 1, "it is the same agent, which was never let go"


@in_virtual_time
async def test_a_caller_who_leaves_while_somebody_else_rings_is_told_to_the_agent() -> None:
    async with opened() as house:
        call_id, caller = await house.talking()
        moving = await house.taken_to_alice(call_id, caller, keep=False)
        house.voice.switch.end(B2)
        house.voice.switch.end(A)
        assert await moving in ("declined", "timeout")
        record = await house.stage.until_over(call_id)
        assert record.evidence is not None
        assert record.evidence.how is How.CALLER_GONE


@in_virtual_time
async def test_a_human_takes_the_call_over_and_hands_it_back() -> None:
    async with opened() as house:
        call_id = await house.taken_over()
        assert house.session(call_id).state is State.HELD
        await house.stage.pass_s(5.0)
        await house.handed_back(call_id)
        assert house.stage.told(Held) == [Held(True, "human"), Held(False, "human")]
        assert house.session(call_id).state is State.TALKING


class Mover:
    """Fits ``gateway.agents_on_calls.Mover``."""

    def __init__(self, comes_to: str | Exception) -> None:
        self.comes_to = comes_to
        self.offered: list[str] = []

    async def reroute(
        self, call_id: CallId, route: Connect, ring_timeout_s: int, *, why: str = "transferred"
    ) -> str:
        self.offered.append(token_of(route))
        assert why == "handed_back"
        if isinstance(self.comes_to, Exception):
            raise self.comes_to
        return self.comes_to


@pytest.mark.parametrize(
    ("mover", "error", "code"),
    [
        (None, Conflict, "CALL_CANNOT_BE_MOVED"),
        (Mover(Conflict("it is ending", code="CALL_CANNOT_BE_MOVED")), Conflict, "CALL_CANNOT_BE_MOVED"),
        (Mover(SwitchUnavailable()), SwitchUnavailable, "SERVICE_UNAVAILABLE"),
    ],
    ids=["no switch", "refused", "switch away"],
)
def test_a_caller_who_cannot_be_asked_back_stays_with_the_human(
    mover: Mover | None, error: type[Exception], code: str
) -> None:
    @in_virtual_time
    async def run() -> None:
        async with opened() as house:
            call_id = await house.taken_over()
            house.on_calls.calls = mover
            for _ in range(2):
                with pytest.raises(error) as refused:
                    await house.on_calls.hand_back(call_id)
                assert refused.value.code == code  # type: ignore[attr-defined]
            for token in () if mover is None else mover.offered:
                assert house.stage.port.come(token) is None, "a way that was not taken is closed"
            await house.stage.pass_s(60.0)
            assert house.session(call_id).state is State.HELD
            assert house.director.live(call_id) is not None
            house.on_calls.calls = house.director
            await house.handed_back(call_id)
            assert house.session(call_id).state is State.TALKING

    run()


@pytest.mark.parametrize("outcome", ["agent_unavailable", "timeout", "ended"])
def test_a_caller_who_was_taken_away_and_never_came_back_is_not_kept_waiting(outcome: str) -> None:
    @in_virtual_time
    async def run() -> None:
        async with opened() as house:
            call_id = await house.taken_over()
            house.on_calls.calls = Mover(outcome)
            with pytest.raises(Conflict) as refused:
                await house.on_calls.hand_back(call_id)
            assert refused.value.code == "CALL_CANNOT_BE_MOVED"
            record = await house.stage.until_over(call_id)
            assert record.evidence is not None
            assert record.evidence.reason is Reason.MEDIA_LOST

    run()


@in_virtual_time
async def test_nobody_hands_back_what_nobody_has_taken() -> None:
    async with opened() as house:
        with pytest.raises(Conflict) as unknown:
            await house.on_calls.hand_back(CallId("call_unknown"))
        assert unknown.value.code == "NO_AGENT_ON_CALL"
        call_id, _ = await house.talking()
        with pytest.raises(Conflict) as refused:
            await house.on_calls.hand_back(call_id)
        assert refused.value.code == "AGENT_STATE"
        assert house.session(call_id).state is State.TALKING


@pytest.mark.parametrize("reason", [Reason.REMOVED, Reason.ROOM_ENDED])
def test_an_agent_that_left_its_room_is_told_before_its_call_ends(reason: Reason) -> None:
    @in_virtual_time
    async def run() -> None:
        async with opened() as house:
            call_id, _ = await house.talking()
            rooms = DirectedRooms()
            rooms.director, rooms.tell_agent = house.director, house.on_calls.left_room
            rooms.end(call_id, str(reason))
            (told,) = house.stage.told(Ending)
            assert told == Ending(reason, "room", AGENT.shutdown.summary_ms, may_speak=False)
            assert not house.voice.switch.ordered(orders.Hangup), "it is told first"
            await house.voice.settle()
            assert house.voice.switch.ordered(orders.Hangup)
            record = await house.stage.until_over(call_id)
            assert record.evidence is not None
            assert (record.evidence.reason, record.evidence.how) == (reason, How.CALLER_GONE)
            assert house.voice.ended(call_id)[1] == f"success/{reason}"

    run()


@in_virtual_time
async def test_of_other_ends_in_rooms_an_agent_learns_by_its_call() -> None:
    async with opened() as house:
        call_id, _ = await house.talking()
        house.on_calls.left_room(call_id, "room_lost")
        house.on_calls.left_room("call_of_nobody", "room_ended")
        assert house.stage.told(Ending) == []
