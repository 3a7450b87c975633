"""Telephones' visits and the director of calls, joined: each learns at once what the other knows."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from dialplan.core import orders
from dialplan.core.call import Announcement, Connect, Direction, Reject, Route, VideoRoom
from dialplan.core.routing import Offered, RouteFacts
from dialplan.fakes import FixedBook
from dialplan.ports import PlaceCall
from gateway.http.limits import LocalRates
from gateway.room_routes import FAREWELL_S, RoomRoutes
from gateway.room_transfers import RoomTransfers
from gateway.rooms_on_calls import TRIES_OF_CALLER, DirectedRooms, RatedTries, SpokenRooms
from telephony.errors import Conflict
from telephony.ids import CallId
from tests.unit.dialplan.desk import CLI, OFFERED, OURS, A, B
from tests.unit.dialplan.virtual_time import in_virtual_time
from tests.unit.gateway.room_house import DID, KNOWN, open_house
from tests.unit.video_rooms.phone_stage import PIN, ROOM, START, TENANT
from video_rooms.core.room import Presence, Role
from voice_agents.fakes import FakeSpeech

pytestmark = pytest.mark.unit


# ---------------------------------------------------------------- routes


@in_virtual_time
async def test_a_line_gets_a_visit_and_a_way_that_works_once(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        call_id, route = await house.answered()
        assert isinstance(route, Connect)
        assert isinstance(route.endpoint, VideoRoom)
        assert route.endpoint.dial.startswith("WebSocket/room0/c(slin16)nf(json)/")
        guest = house.desk.guest(call_id)
        assert guest is not None
        assert (guest.call.caller, guest.call.line) == (OFFERED.caller, DID.reveal())
        assert guest.call.longest_s == 900.0
        call = house.director.live(call_id)
        assert call is not None
        assert call.terms.max_duration_s == 900 + FAREWELL_S


@pytest.mark.parametrize("how", ["no rooms", "no carrier"])
@in_virtual_time
async def test_without_rooms_the_caller_is_refused_for_a_reason(tmp_path: Path, how: str) -> None:
    async with open_house(tmp_path) as house:
        if how == "no rooms":
            routes = RoomRoutes(FixedBook(KNOWN), None, lambda prefix: f"{prefix}_1")
            known = await routes.facts_for(OFFERED)
            assert known.route == Reject(41, "room_unavailable")
            return
        house.stage.carrier.up = False
        call_id, route = await house.answered()
        assert route == Reject(41, "room_unavailable")
        house.voice.switch.end(A, 41)
        await house.rest()
        assert house.ended(call_id) == ("failed", "upstream_error/room_unavailable")


@pytest.mark.parametrize(
    "route", [Connect(Announcement("x")), Reject(17, "busy"), Connect(VideoRoom("WebSocket/x", ROOM))]
)
@in_virtual_time
async def test_other_answers_pass_as_they_are(tmp_path: Path, route: Route) -> None:
    known = RouteFacts(OURS, route)
    routes = RoomRoutes(FixedBook(known), None, lambda prefix: f"{prefix}_1")
    assert await routes.facts_for(OFFERED) == known
    nobodys = RouteFacts(None, None)
    assert await RoomRoutes(FixedBook(nobodys), None, lambda prefix: prefix).facts_for(OFFERED) == nobodys


@pytest.mark.parametrize(
    ("offered", "private", "name"),
    [
        (replace(OFFERED, caller="+447700900123"), False, "+44 •••• 0123"),
        (replace(OFFERED, caller="447700900123"), False, "•••• 0123"),
        (replace(OFFERED, caller=""), False, "Phone"),
        (replace(OFFERED, caller="+447700900123"), True, "Phone"),
        (replace(OFFERED, caller="", door="from-phone", line="alice"), False, "alice"),
    ],
)
@in_virtual_time
async def test_no_room_sees_a_number(tmp_path: Path, offered: Offered, private: bool, name: str) -> None:
    async with open_house(tmp_path, replace(KNOWN, private=private)) as house:
        call_id, _ = await house.answered(offered)
        guest = house.desk.guest(call_id)
        assert guest is not None
        assert guest.call.name == name
        assert "7700900123" not in repr(guest.call)


@in_virtual_time
async def test_of_a_party_of_a_masking_session_no_room_sees_a_digit(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:

        async def everybody(tenant: object, offered: Offered) -> bool:
            return True

        routes = RoomRoutes(FixedBook(KNOWN), house.desk, lambda prefix: f"{prefix}_1", everybody)
        facts = await routes.facts_for(replace(OFFERED, caller="+447700900123"))
        assert facts.private
        guest = house.desk.guest("call_1")
        assert guest is not None
        assert guest.call.name == "Phone"


# ---------------------------------------------------------------- whole calls


@in_virtual_time
async def test_a_caller_joins_and_hangs_up(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        call_id, _ = await house.answered()
        await house.joined(call_id)
        await house.stage.press(PIN, call_id)
        await house.rest()
        call = house.director.live(call_id)
        assert call is not None
        assert call.room_id == ROOM
        assert "call.room_entered" in house.voice.store.types(call_id)
        house.voice.switch.far_end_hangs_up(A)
        await house.rest()
        line = await house.stage.line("phone_11111111")
        assert (line.presence, line.why_left) == (Presence.LEFT, "left")


@in_virtual_time
async def test_a_kick_ends_the_call_for_its_reason(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        call_id, _ = await house.answered()
        await house.joined(call_id)
        await house.stage.press(PIN, call_id)
        house.stage.carrier.put_out(call_id)
        kicked_at = asyncio.get_running_loop().time()
        await house.rest()
        assert asyncio.get_running_loop().time() == kicked_at
        hung_up = [one for one in house.voice.switch.orders if isinstance(one, orders.Hangup)]
        assert {one.channel for one in hung_up} == {A, B}
        await house.rest()
        assert house.ended(call_id) == ("completed", "success/removed_from_room")


@in_virtual_time
async def test_wrong_numbers_end_the_call_for_their_reason(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        call_id, _ = await house.answered()
        await house.joined(call_id)
        for _ in range(3):
            await house.stage.press("111111#", call_id)
            await asyncio.sleep(1.1)
        await house.rest()
        assert house.ended(call_id) == ("completed", "client_error/room_pin_wrong")


@in_virtual_time
async def test_a_telephone_is_called_and_joins(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        call_id, channel = await house.called()
        assert (await house.stage.line("phone_11111111")).presence is Presence.RINGING
        house.voice.switch.answer(channel)
        reply = await house.director.answer(Offered(channel, "outbound", "", "patchbay", "carrier"))
        assert isinstance(reply, orders.Reply)
        house.voice.switch.dial(B, by=channel)
        house.voice.switch.answer(B)
        house.stage.carrier.arrives(call_id)
        await house.rest()
        await house.stage.press("1", call_id)
        await house.rest()
        line = await house.on_calls.one(ROOM, call_id)
        assert line is not None
        assert line.presence is Presence.JOINED
        call = house.director.live(call_id)
        assert call is not None
        assert isinstance(call.route, Connect)
        assert isinstance(call.route.endpoint, VideoRoom)
        assert call.route.endpoint.entered


@pytest.mark.parametrize(
    ("cause", "sip", "why"),
    [(17, 486, "busy"), (19, 480, "no_answer"), (21, 603, "declined"), (34, 503, "failed")],
)
@in_virtual_time
async def test_a_call_in_vain_says_why(tmp_path: Path, cause: int, sip: int, why: str) -> None:
    async with open_house(tmp_path) as house:
        _, channel = await house.called()
        house.voice.switch.end(channel, cause, sip)
        await house.rest()
        line = await house.stage.line("phone_11111111")
        assert (line.presence, line.why_left) == (Presence.LEFT, why)
        assert house.stage.told.events[-1][2]["reason"] == why


@in_virtual_time
async def test_a_room_that_ends_cancels_who_rings(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        call_id, channel = await house.called()
        house.desk.room_over(ROOM)
        await house.rest()
        hung_up = [one for one in house.voice.switch.orders if isinstance(one, orders.Hangup)]
        assert [one.channel for one in hung_up] == [channel]
        assert house.ended(call_id) == ("cancelled", "cancelled/room_ended")
        assert (await house.stage.line("phone_11111111")).why_left == "room_ended"


@in_virtual_time
async def test_an_agent_comes_in_unheard_and_leaves_with_its_call(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        call_id = CallId("call_00000000000000000000000078")
        first, line = await house.on_calls.prepare_agent(TENANT, ROOM, "Desk", call_id)
        assert (line.identity, line.role, line.presence) == ("agent_11111111", Role.AGENT, Presence.PENDING)
        call = await house.director.place(PlaceCall(TENANT, "key_1", first, CLI, first, call_id=call_id))
        channel = call.caller.channel
        assert channel is not None
        await house.voice.settle()
        house.voice.switch.dial(channel)
        house.stage.carrier.arrives(call_id)
        await house.rest()
        leg = house.stage.carrier.legs[call_id]
        assert (leg.room, leg.played) == ("vr_tnt_1_x", [])
        assert house.stage.door.wishes[-1].role is Role.AGENT
        await house.stage.press("*6", call_id)
        assert not leg.muted
        house.voice.switch.answer(channel)
        house.voice.switch.far_end_hangs_up(channel)
        await house.rest()
        assert (await house.stage.line("agent_11111111")).presence is Presence.LEFT
        assert "room.phone.failed" not in house.stage.told.kinds


@in_virtual_time
async def test_a_caller_is_taken_into_a_room_by_the_agent_that_has_it(tmp_path: Path) -> None:
    async with open_house(tmp_path, RouteFacts(OURS, Connect(Announcement("x")), did=DID)) as house:
        call_id, _ = await house.answered(replace(OFFERED, caller="+447700900123"))
        call = house.director.live(call_id)
        assert call is not None
        transfers = RoomTransfers(house.desk, 600.0, _alice_alone)
        end = await transfers.reach(replace(call, terms=replace(call.terms, tenant=TENANT)), ROOM)
        assert isinstance(end, VideoRoom)
        assert (end.room_id, end.dial.startswith("WebSocket/room")) == (ROOM, True)
        line = await house.stage.line("phone_11111111")
        assert (line.display_name, line.presence) == ("+44 •••• 0123", Presence.PENDING)
        with pytest.raises(Conflict):
            await transfers.reach(call, ROOM)
        house.stage.carrier.arrives(call_id)
        await house.rest()
        assert (await house.stage.line("phone_11111111")).presence is Presence.JOINED
        assert house.stage.carrier.legs[call_id].answered
        await transfers.forget(call_id)
        assert await house.desk.line_of(ROOM, call_id) is None


@pytest.mark.parametrize(
    ("terms", "name"),
    [
        ({"from_number": "phone:alice"}, "Phone"),
        ({"from_number": "phone:bob"}, "bob"),
        ({"direction": Direction.OUTBOUND, "to_number": "+447700900123"}, "+44 •••• 0123"),
        ({"direction": Direction.OUTBOUND, "to_number": "phone:alice"}, "Phone"),
        ({"from_number": "+447700900123", "private": True}, "Phone"),
    ],
)
def test_whoever_is_taken_into_a_room_is_masked_there(
    tmp_path: Path, terms: dict[str, object], name: str
) -> None:
    @in_virtual_time
    async def run() -> None:
        async with open_house(tmp_path, RouteFacts(OURS, Connect(Announcement("x")), did=DID)) as house:
            call_id, _ = await house.answered()
            call = house.director.live(call_id)
            assert call is not None
            call = replace(call, terms=replace(call.terms, tenant=TENANT, **terms))  # type: ignore[arg-type]
            await RoomTransfers(house.desk, 600.0, _alice_alone).reach(call, ROOM)
            assert (await house.stage.line("phone_11111111")).display_name == name

    run()


async def _alice_alone(tenant: object, offered: Offered) -> bool:
    return (offered.door, offered.line) == ("from-phone", "alice")


@in_virtual_time
async def test_calls_of_others_are_nothing_to_rooms(tmp_path: Path) -> None:
    async with open_house(tmp_path, RouteFacts(OURS, Connect(Announcement("x")))) as house:
        call_id, _ = await house.answered()
        house.voice.switch.far_end_hangs_up(A)
        await house.rest()
        assert house.desk.guest(call_id) is None
        assert house.stage.carrier.orders == []


# ---------------------------------------------------------------- small things


@in_virtual_time
async def test_tries_are_counted_of_callers_and_lines_and_no_name_holds_a_number() -> None:
    rates = LocalRates(lambda: START.timestamp())
    tries = RatedTries(rates, b"secret")
    for _ in range(TRIES_OF_CALLER):
        assert await tries.allowed("+447700900123", "+12025550100")
        await tries.failed("+447700900123", "+12025550100")
    assert not await tries.allowed("+447700900123", "+12025550100")
    assert not await tries.allowed("+447700900123", "+12025550199")
    assert await tries.allowed("+447700900124", "+12025550100")
    assert await tries.allowed("", "+12025550100")
    assert "7700900123" not in str(rates._counts)
    for caller in range(300):
        await tries.failed(f"+4477009{caller:05d}", "+12025550100")
    assert not await tries.allowed("+4477009999999", "+12025550100")


async def test_words_are_spoken_by_the_products_engine(tmp_path: Path) -> None:
    voice = SpokenRooms(FakeSpeech(tmp_path))
    path = await voice.speak("Welcome.", "en")
    assert path == await voice.speak("Welcome.", "xx")
    assert path.is_file()


async def test_before_the_switch_is_there_nothing_is_ordered() -> None:
    calls = DirectedRooms()
    calls.end("call_1", "room_ended")
    calls.entered("call_1", ROOM)
