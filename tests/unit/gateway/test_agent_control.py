"""What agents' sessions do to calls: every end has its reason, every transfer an outcome."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from dialplan.core.call import Call, Connect, Endpoint, Phone, Trunk, VideoRoom
from gateway.agent_control import DirectedCalls, own_number
from telephony.errors import (
    Conflict,
    InvalidInput,
    NotFound,
    OutcomeUnknown,
    PatchbayError,
    RoomsUnavailable,
    StorageUnavailable,
    SwitchUnavailable,
    TooMany,
)
from telephony.ids import CallId
from telephony.numbers import E164
from tests.unit.dialplan.made_calls import inbound, outbound
from voice_agents.core.talk import Reason
from voice_agents.core.transfer import OUTCOMES

pytestmark = pytest.mark.unit

CALLED, CALLING = "+14155550101", "+12025550100"
TO = "+14155552671"
ANSWERED = replace(inbound(), answered_at=1.0)
BUSY = TooMany("no line", retry_after_s=5, limit=1, window="concurrent", code="TRUNK_FULL")


@dataclass
class Calls:
    """Fits ``gateway.agent_control.Calls``. ``comes_to`` is what a move comes to, or is raised."""

    call: Call | None = ANSWERED
    comes_to: str | Exception = "completed"
    done: list[tuple[Any, ...]] = field(default_factory=list)

    def live(self, call_id: CallId) -> Call | None:
        return self.call if self.call is not None and self.call.id == call_id else None

    def _come(self) -> str:
        if isinstance(self.comes_to, Exception):
            raise self.comes_to
        return self.comes_to

    async def hang_up(self, call_id: CallId, *, patience_s: float = 5.0) -> None:
        self.done.append(("hang_up", call_id))
        self._come()

    def end_calls(self, call_ids: Iterable[CallId], why: str, after_s: float = 0.0) -> None:
        self.done.append(("end", *call_ids, why, after_s))

    async def reroute(
        self, call_id: CallId, route: Connect, ring_timeout_s: int, *, why: str = "transferred"
    ) -> str:
        self.done.append(("reroute", call_id, route, ring_timeout_s, why))
        return self._come()

    async def send_digits(self, call_id: CallId, digits: str) -> None:
        self.done.append(("digits", call_id, digits))
        self._come()


@dataclass
class Policy:
    """What the tenant's calls may reach: ``says`` it, or is raised."""

    says: bool | Exception = True
    asked: list[tuple[CallId, str]] = field(default_factory=list)

    async def __call__(self, call: Call, to: str) -> bool:
        self.asked.append((call.id, to))
        if isinstance(self.says, Exception):
            raise self.says
        return self.says


def control(calls: Calls, policy: Policy | None = None) -> DirectedCalls:
    return DirectedCalls(calls, policy or Policy())


# ---------------------------------------------------------------- ends


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        (Reason.AGENT, "hangup_by_agent"),
        (Reason.MAX_DURATION, "max_duration"),
        (Reason.SILENCE, "silence"),
        (Reason.DRAIN, "gateway_stopping"),
        (Reason.TRANSFERRED, "transferred"),
        (Reason.AGENT_LOST, "agent_lost"),
        (Reason.MEDIA_LOST, "agent_lost"),
    ],
)
async def test_a_call_ends_for_the_reason_that_its_session_did(reason: Reason, told: str) -> None:
    calls = Calls()
    await control(calls).hang_up(ANSWERED.id, reason)
    assert calls.done == [("end", ANSWERED.id, told, 0.0)]


@pytest.mark.parametrize("reason", [Reason.AGENT_LOST, Reason.MEDIA_LOST])
async def test_an_agent_that_never_came_was_not_lost(reason: Reason) -> None:
    calls = Calls(inbound())
    await control(calls).hang_up(ANSWERED.id, reason)
    assert calls.done == [("end", ANSWERED.id, "agent_unavailable", 0.0)]


async def test_the_end_of_a_call_that_is_over_is_ordered_all_the_same_and_does_nothing() -> None:
    calls = Calls(call=None)
    await control(calls).hang_up("call_other", Reason.AGENT_LOST)
    assert calls.done == [("end", "call_other", "agent_lost", 0.0)]


async def test_an_end_by_the_api_is_the_apis() -> None:
    calls = Calls()
    await control(calls).hang_up(ANSWERED.id, Reason.API)
    assert calls.done == [("hang_up", ANSWERED.id)]


@pytest.mark.parametrize("error", [SwitchUnavailable(), OutcomeUnknown()], ids=lambda error: error.code)
async def test_where_the_switch_is_away_the_session_ends_without_it(error: PatchbayError) -> None:
    calls = Calls(comes_to=error)
    await control(calls).hang_up(ANSWERED.id, Reason.API)
    assert calls.done == [("hang_up", ANSWERED.id)]


# ---------------------------------------------------------------- transfers


async def test_a_transfer_rings_a_number_and_shows_it_the_number_that_was_called() -> None:
    calls, policy = Calls(), Policy()
    assert await control(calls, policy).transfer(ANSWERED.id, TO, 25) == "completed"
    route = Connect(Trunk(E164(TO), ""), E164(CALLED))
    assert calls.done == [("reroute", ANSWERED.id, route, 25, "transferred")]
    assert policy.asked == [(ANSWERED.id, TO)]


async def test_of_a_call_that_was_placed_the_number_shown_is_the_one_it_was_placed_with() -> None:
    calls = Calls(outbound())
    assert await control(calls).transfer(ANSWERED.id, TO, 25) == "completed"
    assert calls.done[0][2] == Connect(Trunk(E164(TO), ""), E164(CALLING))


async def test_a_transfer_to_a_phone() -> None:
    calls = Calls()
    assert await control(calls).transfer(ANSWERED.id, "phone:alice", 25) == "completed"
    assert calls.done[0][2].endpoint == Phone("alice")


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        ("completed", "completed"),
        ("no_answer", "no_answer"),
        ("busy", "busy"),
        ("declined", "declined"),
        ("invalid", "invalid"),
        ("agent_unavailable", "invalid"),
        ("ended", "declined"),
        ("timeout", "timeout"),
    ],
)
async def test_an_outcome_is_told_in_the_agents_words(outcome: str, told: str) -> None:
    assert told in OUTCOMES
    assert await control(Calls(comes_to=outcome)).transfer(ANSWERED.id, TO, 25) == told


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (BUSY, "busy"),
        (Conflict("it is ending"), "declined"),
        (NotFound("it is over"), "declined"),
        (OutcomeUnknown(), "declined"),
        (SwitchUnavailable(), "declined"),
        (InvalidInput("no such trunk"), "invalid"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
async def test_what_cannot_be_ordered_has_an_outcome_too(error: PatchbayError, told: str) -> None:
    assert await control(Calls(comes_to=error)).transfer(ANSWERED.id, TO, 25) == told


@pytest.mark.parametrize(
    ("says", "told"),
    [
        (False, "policy_denied"),
        (InvalidInput("not a number"), "invalid"),
        (StorageUnavailable(), "declined"),
    ],
    ids=["denied", "invalid", "storage away"],
)
async def test_nobody_is_rung_whom_policy_does_not_let_be_called(says: bool | Exception, told: str) -> None:
    calls = Calls()
    assert await control(calls, Policy(says)).transfer(ANSWERED.id, TO, 25) == told
    assert calls.done == []


@pytest.mark.parametrize("to", ["", "12", "+1", "sip:bob@example.com", "+14155552671;x=1", "agent:agt_1"])
async def test_what_is_no_number_is_rung_by_nobody_whatever_policy_says(to: str) -> None:
    calls = Calls()
    assert await control(calls).transfer(ANSWERED.id, to, 25) == "invalid"
    assert calls.done == []


async def test_a_caller_who_has_left_is_not_taken_anywhere() -> None:
    calls, policy = Calls(call=None), Policy()
    assert await control(calls, policy).transfer(ANSWERED.id, TO, 25) == "declined"
    assert (calls.done, policy.asked) == ([], [])


# ---------------------------------------------------------------- digits, and our own number


async def test_digits_are_the_directors_to_play_and_to_refuse() -> None:
    calls = Calls()
    await control(calls).send_digits(ANSWERED.id, "12#")
    assert calls.done == [("digits", ANSWERED.id, "12#")]
    with pytest.raises(Conflict):
        await control(Calls(comes_to=Conflict("other digits are being played"))).send_digits(ANSWERED.id, "1")


@pytest.mark.parametrize("dialled", ["", "anonymous", "phone:bob", "17"])
def test_a_call_over_no_number_of_ours_shows_none(dialled: str) -> None:
    call = inbound()
    assert own_number(replace(call, terms=replace(call.terms, to_number=dialled))) is None


def test_a_number_that_was_dialled_without_its_plus_is_ours_too() -> None:
    call = inbound()
    assert own_number(replace(call, terms=replace(call.terms, to_number=CALLED[1:]))) == E164(CALLED)


# ---------------------------------------------------------------- into video rooms


ROOM_ID = "11111111-1111-4111-8111-111111111111"
IN_ROOM = VideoRoom("WebSocket/room0/c(slin16)nf(json)/0123456789abcdef", ROOM_ID)


@dataclass
class Rooms:
    """Fits ``gateway.agent_control.IntoRooms``. ``fails`` is raised."""

    fails: Exception | None = None
    done: list[tuple[str, ...]] = field(default_factory=list)

    async def reach(self, call: Call, room_id: str) -> Endpoint:
        self.done.append(("reach", call.id, room_id))
        if self.fails is not None:
            raise self.fails
        return IN_ROOM

    async def forget(self, call_id: CallId) -> None:
        self.done.append(("forget", call_id))


async def test_a_caller_is_taken_into_a_room_whatever_numbers_may_be_called() -> None:
    calls, policy, rooms = Calls(), Policy(says=False), Rooms()
    taken = await DirectedCalls(calls, policy, rooms).transfer(ANSWERED.id, f"room:{ROOM_ID}", 20)
    assert taken == "completed"
    assert policy.asked == []
    assert rooms.done == [("reach", ANSWERED.id, ROOM_ID)]
    route = Connect(IN_ROOM, own_number(ANSWERED))
    assert calls.done == [("reroute", ANSWERED.id, route, 20, "transferred")]


@pytest.mark.parametrize(
    ("fails", "outcome"),
    [
        (NotFound("there is no such room"), "invalid"),
        (Conflict("the room is full", code="ROOM_FULL"), "declined"),
        (RoomsUnavailable("away"), "declined"),
    ],
)
async def test_a_room_that_takes_nobody_leaves_the_caller_with_the_agent(
    fails: Exception, outcome: str
) -> None:
    calls, rooms = Calls(), Rooms(fails)
    assert await DirectedCalls(calls, Policy(), rooms).transfer(ANSWERED.id, f"room:{ROOM_ID}", 20) == outcome
    assert calls.done == []
    assert rooms.done[1:] == []


@pytest.mark.parametrize("comes_to", ["timeout", Conflict("no"), RuntimeError("broken")])
async def test_a_place_that_nobody_took_is_given_up(comes_to: str | Exception) -> None:
    calls, rooms = Calls(comes_to=comes_to), Rooms()
    with suppress(RuntimeError):
        await DirectedCalls(calls, Policy(), rooms).transfer(ANSWERED.id, f"room:{ROOM_ID}", 20)
    assert rooms.done[1:] == [("forget", ANSWERED.id)]


async def test_where_there_are_no_rooms_nobody_is_taken_into_one() -> None:
    calls = Calls()
    assert await control(calls).transfer(ANSWERED.id, f"room:{ROOM_ID}", 20) == "declined"
    assert calls.done == []
