"""The director and callers on a detour: who answers, what survives a crash, which calls a session has."""

from __future__ import annotations

import asyncio

import pytest

from dialplan.core import orders
from dialplan.core.call import Connect, Gather, Later, Reject
from dialplan.core.routing import Offered, RouteFacts
from telephony.ids import CallId
from tests.unit.dialplan.desk import CLI, DID, FAR, OFFERED, OURS, A, B, Desk, open_desk
from tests.unit.dialplan.virtual_time import in_virtual_time

pytestmark = pytest.mark.unit

PIN = Gather("prompts/pin", 6)
AGAIN = Offered(A, "gather", "", "patchbay", "carrier")


def joined(**more: object) -> RouteFacts:
    return RouteFacts(OURS, Connect(FAR, CLI), **more)  # type: ignore[arg-type]


async def again(desk: Desk, digits: str = "") -> orders.Reply | int:
    """The switch's next question for channel A, within its budget."""
    async with asyncio.timeout(1.0):
        return await desk.director.answer(AGAIN, digits)


def route_of(reply: orders.Reply | int) -> object:
    assert isinstance(reply, orders.Reply), reply
    return reply.route


@in_virtual_time
async def test_the_book_gets_the_digits_and_how_the_call_was_offered() -> None:
    async with open_desk(route=PIN) as desk:
        desk.book.then.append(joined(session_id="ses_1", private=True))
        call_id = await desk.offered()
        assert route_of(await again(desk, "4711")) == Connect(FAR, CLI)
        assert desk.book.typed == ["4711"]
        assert desk.book.asked == [OFFERED, OFFERED]
        stored = desk.store.get(call_id)
        assert (stored.terms.session_id, stored.terms.private) == ("ses_1", True)
        assert len(desk.store) == 1


@in_virtual_time
async def test_a_phones_call_is_offered_again_as_a_phones() -> None:
    async with open_desk(route=PIN) as desk:
        desk.switch.exist(A)
        offered = Offered(A, DID, "", "from-phone", "alice")
        await desk.director.answer(offered)
        await again(desk)
        assert desk.book.asked == [offered, offered]


@in_virtual_time
async def test_two_questions_at_once_have_one_answer() -> None:
    async with open_desk(route=PIN) as desk:
        desk.book.then.append(joined())
        await desk.offered()
        gate = desk.store.hold()
        first = asyncio.create_task(again(desk))
        await desk.settle()
        assert await again(desk) == 16
        gate.set()
        assert route_of(await first) == Connect(FAR, CLI)
        assert await again(desk) == 16
        assert desk.book.typed == [""]


@in_virtual_time
async def test_two_first_questions_of_one_channel_make_one_call() -> None:
    async with open_desk() as desk:
        desk.switch.exist(A)
        answers = await asyncio.gather(*(desk.director.answer(OFFERED) for _ in range(3)))
        assert [answer == 16 for answer in answers] == [False, True, True]
        assert len(desk.store) == 1


@in_virtual_time
async def test_whoever_the_book_no_longer_knows_is_refused() -> None:
    async with open_desk(route=PIN) as desk:
        for silence in (RouteFacts(None, None), RouteFacts(OURS, None)):
            desk.book.then.append(silence)
        call_id = await desk.offered()
        assert route_of(await again(desk)) == Reject(1, "no_route")
        desk.switch.end(A, 1)
        await desk.settle()
        assert desk.ended(call_id) == ("failed", "client_error/no_route")


@in_virtual_time
async def test_a_book_that_breaks_leaves_the_caller_to_the_fallback() -> None:
    async with open_desk(route=PIN) as desk:
        call_id = await desk.offered()
        desk.book.error = LookupError("broken, as told")
        with pytest.raises(LookupError):
            await again(desk)
        desk.director.answer_lost(A)
        desk.switch.end(A, 41)
        await desk.settle()
        assert desk.ended(call_id) == ("failed", "server_error/answer_too_late")
        assert desk.leftovers() == {}


@in_virtual_time
async def test_a_gateway_that_comes_back_goes_on_with_the_detour() -> None:
    async with open_desk(route=PIN) as desk:
        call_id = await desk.offered()
        desk.switch.answer(A)
        await desk.settle()
        await desk.crash()
        desk.book.then.append(joined())
        assert route_of(await again(desk, "4711")) == Connect(FAR, CLI)
        assert desk.book.asked == [OFFERED]
        desk.switch.dial(B, by=A)
        desk.switch.answer(B)
        desk.switch.far_end_hangs_up(B)
        desk.switch.end(A)
        await desk.settle()
        assert desk.ended(call_id) == ("completed", "success/hangup_by_callee")


@in_virtual_time
async def test_a_caller_whom_nobody_asks_again_is_let_go() -> None:
    async with open_desk(route=Later(2)) as desk:
        call_id = await desk.offered()
        await desk.pass_time(20)
        assert desk.ended(call_id) == ("failed", "server_error/question_not_asked")
        assert desk.switch.channels == {}


@in_virtual_time
async def test_a_sessions_calls_are_known_while_they_are_open() -> None:
    async with open_desk(route=PIN) as desk:
        desk.book.then.append(joined(session_id="ses_1"))
        call_id = await desk.offered()
        assert desk.director.calls_of_session("ses_1") == []
        await again(desk)
        await desk.settle()
        assert desk.director.calls_of_session("ses_1") == [call_id]
        await desk.crash()
        assert desk.director.calls_of_session("ses_1") == [call_id]
        desk.switch.end(A)
        await desk.settle()
        assert desk.director.calls_of_session("ses_1") == []


@in_virtual_time
async def test_a_session_that_ends_takes_its_calls_along_now_or_later() -> None:
    async with open_desk() as desk:
        call_id = await desk.inbound_talking()
        desk.director.end_calls([CallId("call_unknown"), call_id], "session_ended", 10)
        await desk.pass_time(9)
        assert desk.director.live(call_id) is not None
        await desk.crash()
        await desk.pass_time(2)
        assert desk.ended(call_id) == ("completed", "success/session_ended")
        assert desk.switch.channels == {}
        desk.director.end_calls([call_id], "session_ended")
