"""The lines of each trunk: taken when a call is made, given back when its leg has ended, never lost."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dialplan.core import orders
from dialplan.core.call import Connect, HoldMusic, Phone, Rank, Reject, Trunk
from dialplan.core.routing import Offered
from dialplan.director import Director
from dialplan.lines import Lines, lines_of
from dialplan.ports import PlaceCall
from telephony.errors import TooMany
from telephony.ids import CallId, ChannelId
from tests.unit.dialplan.desk import ALICE, CLI, FAR, HOLD, OFFERED, OURS, Desk, channel_of, open_desk
from tests.unit.dialplan.made_calls import inbound, outbound
from tests.unit.dialplan.virtual_time import in_virtual_time

pytestmark = pytest.mark.unit


def limited(desk: Desk, most: int, trunk: str = "carrier") -> Director:
    """The desk's director, with this many lines on the trunk."""
    desk.director = Director(replace(desk.director._ports, trunk_limits={trunk: most}))
    desk.switch.tell = desk.director.hear
    return desk.director


def test_which_lines_a_call_uses() -> None:
    call = inbound(Connect(FAR, CLI))
    call = call.with_leg(replace(call.caller, line="british"))
    assert lines_of(call) == ("british", "carrier")
    assert lines_of(call.with_leg(replace(call.caller, rank=Rank.ENDED))) == ("carrier",)
    assert lines_of(call.with_leg(replace(call.callee, rank=Rank.ENDED))) == ("british",)
    assert lines_of(replace(call, route=Connect(Phone("alice")))) == ("british",)
    assert lines_of(replace(call, route=Connect(HoldMusic()))) == ("british",)
    assert lines_of(replace(call, route=Reject(17, "busy"))) == ()
    assert lines_of(outbound()) == ()  # its line was not noted: a call of an older release


def test_lines_are_counted_once_a_call_whatever_is_noted_how_often() -> None:
    lines = Lines({"carrier": 3, "british": 0})
    call = inbound(Connect(FAR, CLI))
    call = call.with_leg(replace(call.caller, line="carrier"))
    for _ in range(3):
        lines.note(call)
    assert (lines.used["carrier"], lines.limit("carrier"), lines.limit("british")) == (2, 3, 0)
    other = replace(call, id=CallId("call_other"))
    assert lines.full_for(other) == "carrier"
    assert lines.full_for(other.with_leg(replace(other.callee, rank=Rank.ENDED))) is None
    lines.note(call.with_leg(replace(call.callee, rank=Rank.ENDED)))
    assert lines.full_for(other) is None
    lines.forget(call.id)
    lines.forget(call.id)
    assert lines.used["carrier"] == 0


def test_without_limits_nothing_is_counted() -> None:
    lines = Lines({"carrier": 0})
    lines.note(inbound(Connect(FAR, CLI)))
    assert lines.used == {}
    assert lines.full_for(inbound(Connect(FAR, CLI))) is None


@in_virtual_time
async def test_a_call_that_would_need_one_line_more_is_refused_before_anything_rings() -> None:
    async with open_desk() as desk:
        director = limited(desk, 2)
        first = await desk.place()
        with pytest.raises(TooMany) as refused:
            await desk.place(FAR)  # two lines: one to each
        assert (refused.value.code, refused.value.limit, refused.value.retry_after_s) == ("TRUNK_FULL", 2, 5)
        assert len(desk.store) == 1
        await desk.place(ALICE)
        with pytest.raises(TooMany):
            await desk.place()
        await director.place(PlaceCall(OURS, "key_1", ALICE, CLI, HOLD))  # a phone needs no line
        desk.switch.end(channel_of(first))
        await desk.settle()
        await desk.pass_time(30)
        assert director.lines.used["carrier"] == 0
        await desk.place(FAR)


@in_virtual_time
async def test_a_caller_on_a_full_trunk_is_told_so_and_it_is_on_record() -> None:
    async with open_desk(route=Connect(HOLD)) as desk:
        limited(desk, 1)
        await desk.offered()
        second = replace(OFFERED, channel=ChannelId("pb-2.1"))
        desk.switch.exist(second.channel)
        reply = await desk.director.answer(second)
        assert isinstance(reply, orders.Reply)
        assert reply.route == Reject(34, "trunk_full")
        desk.switch.end(second.channel, cause=34)
        await desk.settle()
        assert desk.ended(reply.call_id) == ("failed", "server_error/trunk_full")
        from_elsewhere = Offered(ChannelId("pb-3.1"), second.dialled, "", "from-trunk", "other")
        desk.switch.exist(from_elsewhere.channel)
        other = await desk.director.answer(from_elsewhere)
        assert isinstance(other, orders.Reply)
        assert isinstance(other.route, Connect)


@in_virtual_time
async def test_a_caller_whose_way_on_is_full_is_told_so() -> None:
    async with open_desk(route=Connect(Trunk(FAR.number, "british"), CLI)) as desk:
        director = limited(desk, 1, "british")
        await desk.offered()
        assert director.lines.used == {"carrier": 1, "british": 1}
        reply = await director.answer(replace(OFFERED, channel=ChannelId("pb-2.1")))
        assert isinstance(reply, orders.Reply)
        assert isinstance(reply.route, Reject)


@in_virtual_time
async def test_the_count_survives_the_gateway() -> None:
    async with open_desk() as desk:
        limited(desk, 2)
        _, channel = await desk.dialled()
        await desk.director.stop()
        director = limited(desk, 2)
        await director.adopt()
        assert director.lines.used["carrier"] == 1
        desk.switch.end(channel)
        await desk.settle()
        assert director.lines.used["carrier"] == 0


@pytest.mark.parametrize(("door", "cause"), [("from-trunk", 1), ("from-phone", 21)])
@in_virtual_time
async def test_a_number_nobody_owns_is_unknown_to_a_trunk_and_forbidden_to_a_phone(
    door: str, cause: int
) -> None:
    async with open_desk(route=None) as desk:
        assert await desk.director.answer(replace(OFFERED, door=door, line="alice")) == cause


@in_virtual_time
async def test_a_phone_that_calls_in_is_on_record_by_its_name() -> None:
    async with open_desk() as desk:
        desk.switch.exist(OFFERED.channel)
        reply = await desk.director.answer(replace(OFFERED, door="from-phone", line="alice"))
        assert isinstance(reply, orders.Reply)
        assert desk.store.get(reply.call_id).terms.from_number == "phone:alice"
