"""Calls to proxy numbers: who is connected with whom, and who is not."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from dialplan.core.call import Announcement, Connect, Gather, Reject, Trunk
from gateway.masked_routes import WALKS_LIMIT
from proxy_pool.core.number import Use
from proxy_pool.core.party import PhoneParty
from proxy_pool.core.session import Model, PinMode
from proxy_pool.desk import Seating
from telephony.errors import StorageUnavailable
from telephony.numbers import E164
from tests.rig.masking import TENANT, person, proxy
from tests.unit.gateway.masked_stage import OTHER, Line, Stage, staged

pytestmark = pytest.mark.unit

ANNE, BOB, EVE, SECOND = person(1), person(2), person(3), person(4)
STRANGER = (21, "unknown_caller")
PIN_A, PIN_B = "480213", "917364"
PINS = "562904", "370815"


def with_pins() -> tuple[Seating, Seating]:
    return Seating(ANNE, proxy(1), PIN_A), Seating(BOB, proxy(2), PIN_B)


async def test_the_two_reach_each_other_and_redial_works() -> None:
    async with staged() as stage:
        session = await stage.open(ANNE, BOB, record=True, ring_timeout_s=20, call_limit_s=600)
        anne, bob = session.participants
        there = await stage.call(ANNE, anne.proxy)
        assert there.last == replace(
            there.last,
            tenant=TENANT,
            route=Connect(Trunk(BOB, "carrier"), bob.proxy),
            did=anne.proxy,
            private=True,
            session_id=session.id,
            seat=0,
            to_seat=1,
            record=True,
            ring_timeout_s=20,
            max_duration_s=600,
        )
        back = await stage.call(BOB, there.route.cli)
        assert back.route == Connect(Trunk(ANNE, "carrier"), anne.proxy)
        assert (back.last.seat, back.last.to_seat) == (1, 0)
        assert len(stage.routes) == 0


@pytest.mark.parametrize(
    "caller", ["+14150000001", "14150000001", "0014150000001"], ids=["plus", "bare", "00"]
)
async def test_a_caller_is_known_in_every_international_form(caller: str) -> None:
    async with staged() as stage:
        session = await stage.open(E164("+14155550101"), BOB)
        form = caller.replace("4150000001", "4155550101")
        assert (await stage.call(form, session.participants[0].proxy)).reached == BOB


@pytest.mark.parametrize("caller", ["", "anonymous", "4155550101", "*67", "+0", "911", "55550101"])
async def test_whoever_does_not_name_a_whole_number_is_unknown(caller: str) -> None:
    async with staged() as stage:
        session = await stage.open(E164("+14155550101"), BOB)
        line = await stage.call(caller, session.participants[0].proxy)
        assert line.rejection == STRANGER


async def test_a_phone_is_known_by_its_line_and_by_nothing_else() -> None:
    async with staged() as stage:
        session = await stage.open(PhoneParty("alice"), BOB)
        dialled = session.participants[0].proxy.reveal().lstrip("+")
        on_phone = await stage.call(EVE, dialled, door="from-phone", line="alice")
        assert on_phone.reached == BOB
        back = await stage.call(BOB, session.participants[1].proxy)
        assert back.reached == "alice"
        bobs = session.participants[1].proxy
        for how in ({"door": "from-phone", "line": "mallory"}, {"line": "alice"}):
            assert (await stage.call("alice", dialled, **how)).rejection == STRANGER
        assert (await stage.call(BOB, bobs, door="from-phone", line="mallory")).rejection == STRANGER


async def test_other_numbers_are_another_books() -> None:
    async with staged() as stage:
        line = await stage.call(ANNE, "+12025559999")
        assert line.last is OTHER
        await line.waits()
        assert line.last is OTHER
        assert len(stage.other.typed) == 1


async def test_a_participant_is_a_stranger_on_a_number_that_is_not_theirs() -> None:
    async with staged() as stage:
        session = await stage.open(Seating(ANNE, proxy(1)), Seating(BOB, proxy(2)))
        anne, bob = (one.proxy for one in session.participants)
        assert (await stage.call(ANNE, bob)).rejection == STRANGER
        assert (await stage.call(EVE, anne)).rejection == STRANGER


async def test_nobody_is_connected_from_the_end_of_the_session_on() -> None:
    async with staged() as stage:
        session = await stage.open(ANNE, BOB, expires_at=stage.hand.at + 600)
        dialled = session.participants[0].proxy
        stage.hand.at = session.ends_at - 0.001
        assert (await stage.call(ANNE, dialled)).reached == BOB
        stage.hand.at = session.ends_at
        assert (await stage.call(ANNE, dialled)).rejection == STRANGER


async def test_a_closed_session_connects_nobody() -> None:
    async with staged() as stage:
        session = await stage.open(ANNE, BOB)
        await stage.masking.close(TENANT, session.id)
        for one, party in zip(session.participants, (ANNE, BOB), strict=True):
            assert (await stage.call(party, one.proxy)).rejection == STRANGER


async def test_a_participant_hears_why_not() -> None:
    async with staged() as stage:
        session = await stage.open(ANNE, BOB, flow="b_to_a")
        line = await stage.call(ANNE, session.participants[0].proxy)
        assert line.rejection == (21, "direction_not_allowed")
        assert (line.last.session_id, line.last.seat, line.last.private) == (session.id, 0, True)
        assert stage.refused == [(session.id, 0, "direction_not_allowed")]
        texts = await stage.open(ANNE, EVE, channels=["sms"])
        assert (await stage.call(EVE, texts.participants[1].proxy)).rejection == (21, "channel_not_allowed")
        nobody = await stage.open(EVE, person(911))
        assert (await stage.call(EVE, nobody.participants[0].proxy)).rejection == (21, "emergency_number")


async def test_a_participant_whom_no_trunk_leads_to_is_not_silently_lost() -> None:
    async with staged() as stage:
        session = await stage.open(ANNE, BOB)
        stage.trunks["+"] = ""
        assert (await stage.call(ANNE, session.participants[0].proxy)).rejection == (3, "no_trunk")
        assert stage.refused == [(session.id, 0, "no_trunk")]


async def test_a_proxy_number_that_calls_a_proxy_number_is_a_loop() -> None:
    async with staged() as stage:
        session = await stage.open(ANNE, BOB)
        await stage.unknown(ask_pin=True)
        for number in (1, 2):
            line = await stage.call(proxy(number), session.participants[0].proxy)
            assert line.rejection == (21, "loop")


# ---------------------------------------------------------------- PIN and extension


async def test_a_pin_lets_another_phone_in_for_this_call_only() -> None:
    async with staged() as stage:
        await stage.unknown(ask_pin=True)
        session = await stage.open(*with_pins(), pin_mode="unknown")
        anne, bob = session.participants
        line = await (await stage.call(SECOND, anne.proxy)).types(PIN_A)
        assert line.route == Connect(Trunk(BOB, "carrier"), bob.proxy)
        assert (line.last.seat, line.last.session_id) == (0, session.id)
        assert isinstance((await stage.call(SECOND, anne.proxy)).route, Gather)


async def test_a_pin_opens_only_the_number_it_belongs_to() -> None:
    async with staged() as stage:
        await stage.unknown(ask_pin=True)
        session = await stage.open(*with_pins(), pin_mode="unknown")
        anne, bob = session.participants
        line = await (await stage.call(SECOND, anne.proxy)).types(PIN_B, "", "12")
        assert line.rejection == STRANGER
        assert (await (await stage.call("", bob.proxy)).types("", PIN_B)).reached == ANNE


async def test_a_pin_typed_on_the_called_persons_own_phone_calls_nobody_back() -> None:
    async with staged() as stage:
        await stage.unknown(ask_pin=True)
        session = await stage.open(*with_pins(), pin_mode="unknown")
        line = await (await stage.call(BOB, session.participants[0].proxy)).types(*[PIN_A] * 3)
        assert line.rejection == STRANGER


async def test_a_forced_pin_is_the_participants_own() -> None:
    async with staged() as stage:
        session = await stage.open(*with_pins(), pin_mode="always")
        dialled = session.participants[0].proxy
        line = await stage.call(ANNE, dialled)
        assert line.told == [Gather("mask/pin", 10, 6)]
        assert (await line.types(PIN_B, PIN_A)).reached == BOB
        turned = await (await stage.call(ANNE, dialled)).types(PIN_B, "", PIN_B)
        assert turned.rejection == STRANGER


async def test_an_extension_leads_to_its_session() -> None:
    async with staged(Use.EXTENSIONS, numbers=1) as stage:
        session = await stage.open(ANNE, model=Model.EXTENSION, extension="204")
        other = await stage.open(BOB, model=Model.EXTENSION, extension="205")
        assert session.participants[0].proxy == other.participants[0].proxy == proxy(1)
        line = await stage.call(EVE, proxy(1))
        assert line.route == Gather("mask/extension", 10, 6)
        assert (await line.types("999", "204")).reached == ANNE
        assert line.told[1] == Gather("mask/again", 10, 6)
        assert (line.last.seat, line.last.to_seat, line.route.cli) == (-1, 0, proxy(1))
        assert (await (await stage.call("", proxy(1))).types("205")).reached == BOB


async def test_an_open_number_lets_anybody_in_even_without_a_number() -> None:
    async with staged(Use.ANYONE) as stage:
        session = await stage.open(ANNE, BOB, model=Model.ANYONE)
        dialled = session.participants[0].proxy
        for caller in (EVE, BOB, ""):
            line = await stage.call(caller, dialled)
            assert (line.reached, line.last.seat, line.route.cli) == (ANNE, -1, dialled)
        assert (await stage.call(ANNE, dialled)).reached == BOB


# ---------------------------------------------------------------- what a stranger can tell


async def heard_by_a_stranger(stage: Stage, dialled: E164, digits: str) -> list[object]:
    line: Line = await stage.call(EVE, dialled)
    while isinstance(line.route, Gather):
        await line.types(digits)
    return line.told


@pytest.mark.parametrize("pins", [False, True])
async def test_a_stranger_cannot_tell_whether_there_is_a_session(pins: bool) -> None:
    async with staged(numbers=8) as stage:
        await stage.unknown(ask_pin=True, announcement="tts/sorry", pin_attempts_per_caller=100)
        modes = {"pin_mode": PinMode.UNKNOWN.value} if pins else {}
        a, b = with_pins() if pins else (Seating(ANNE), Seating(BOB))
        live = await stage.open(a, b, **modes)
        closed = await stage.open(Seating(ANNE, proxy(3), a.pin), Seating(SECOND, proxy(4), b.pin), **modes)
        await stage.masking.close(TENANT, closed.id)
        c, d = (Seating(person(7 + side), pin=PINS[side] if pins else "") for side in (0, 1))
        one_way = await stage.open(c, d, **modes, flow="b_to_a")
        busy = {one.proxy for session in (live, closed, one_way) for one in session.participants}
        idle = next(number for number in map(proxy, range(1, 9)) if number not in busy)
        walks = [
            await heard_by_a_stranger(stage, idle, "111222"),
            await heard_by_a_stranger(stage, live.participants[0].proxy, "111222"),
            await heard_by_a_stranger(stage, live.participants[0].proxy, PINS[1]),
            await heard_by_a_stranger(stage, closed.participants[0].proxy, PIN_A),
            await heard_by_a_stranger(stage, one_way.participants[0].proxy, PINS[0]),
        ]
        assert all(one == other for one, other in pairwise(walks))
        assert walks[0][-1] == Connect(Announcement("tts/sorry"))


async def test_over_the_limit_even_the_right_pin_sounds_wrong() -> None:
    async with staged() as stage:
        await stage.unknown(ask_pin=True, pin_attempts_per_caller=2)
        session = await stage.open(*with_pins(), pin_mode="unknown")
        dialled = session.participants[0].proxy
        line = await (await stage.call(EVE, dialled)).types("111222", "111223", PIN_A)
        assert line.rejection == STRANGER
        assert line.told[1] == line.told[2] == Gather("mask/again", 10, 6)
        assert (await (await stage.call(SECOND, dialled)).types(PIN_A)).reached == BOB
        stage.hand.at += 7200
        assert (await (await stage.call(EVE, dialled)).types(PIN_A)).reached == BOB


async def test_the_limit_of_a_number_holds_for_all_callers_together() -> None:
    async with staged() as stage:
        await stage.unknown(ask_pin=True, pin_attempts_per_number=4)
        session = await stage.open(*with_pins(), pin_mode="unknown")
        anne, bob = (one.proxy for one in session.participants)
        for count in range(4):
            await (await stage.call(person(100 + count), anne)).types("111222")
        assert (await (await stage.call(SECOND, anne)).types(*[PIN_A] * 3)).rejection == STRANGER
        assert (await (await stage.call(SECOND, bob)).types(PIN_B)).reached == ANNE


async def test_callers_without_a_number_share_one_limit() -> None:
    async with staged() as stage:
        await stage.unknown(calls_per_caller=2)
        for caller in ("", "anonymous", ""):
            line = await stage.call(caller, proxy(1))
        assert line.rejection == (21, "too_many_calls")
        assert (await stage.call(EVE, proxy(1))).rejection == STRANGER
        assert (await stage.call("", proxy(2))).rejection == STRANGER


async def test_right_pins_do_not_use_up_the_limit() -> None:
    async with staged() as stage:
        await stage.unknown(ask_pin=True, pin_attempts_per_caller=1)
        session = await stage.open(*with_pins(), pin_mode="unknown")
        for _ in range(4):
            line = await (await stage.call(SECOND, session.participants[0].proxy)).types(PIN_A)
            assert line.reached == BOB


async def test_what_cannot_be_a_pin_is_wrong_and_no_attempt() -> None:
    async with staged() as stage:
        await stage.unknown(ask_pin=True, pin_attempts_per_caller=1)
        session = await stage.open(*with_pins(), pin_mode="unknown")
        dialled = session.participants[0].proxy
        for garbage in ("", "*1234", "1", "12345678901", "\uff11\uff12\uff13\uff14"):
            assert (await (await stage.call(SECOND, dialled)).types(garbage)).route == Gather(
                "mask/again", 10, 6
            )
        assert (await (await stage.call(SECOND, dialled)).types(PIN_A)).reached == BOB


# ---------------------------------------------------------------- what is kept, and what goes wrong


async def test_who_lost_the_place_on_the_ladder_is_turned_away() -> None:
    async with staged() as stage:
        await stage.unknown(ask_pin=True)
        session = await stage.open(*with_pins(), pin_mode="unknown")
        line = await stage.call(SECOND, session.participants[0].proxy)
        await stage.routes.stop()
        assert (await line.types(PIN_A)).rejection == (21, "place_lost")


async def test_places_on_the_ladder_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert WALKS_LIMIT == 10_000
    monkeypatch.setattr("gateway.masked_routes.WALKS_LIMIT", 3)
    async with staged() as stage:
        await stage.unknown(ask_pin=True, calls_per_caller=100)
        lines = [await stage.call(EVE, proxy(1)) for _ in range(5)]
        assert len(stage.routes) == 3
        assert (await lines[0].types("111222")).rejection == (21, "place_lost")
        stage.hand.at += 601
        await stage.call(EVE, proxy(2))
        assert len(stage.routes) == 1


async def test_a_ledger_that_is_away_is_no_stranger() -> None:
    async with staged() as stage:
        session = await stage.open(ANNE, BOB)
        await stage.call(ANNE, session.participants[0].proxy)
        ledger = stage.masking._books.ledger
        ledger.away = True  # type: ignore[attr-defined]
        with pytest.raises(StorageUnavailable):
            await stage.call(ANNE, session.participants[0].proxy)


async def test_the_fallback_is_dialled_but_never_in_a_circle() -> None:
    async with staged() as stage:
        await stage.unknown(fallback=EVE)
        line = await stage.call(SECOND, proxy(1))
        assert (line.route, line.last.private) == (Connect(Trunk(EVE, "carrier"), proxy(1)), True)
        for caller, fallback in ((EVE, EVE), (SECOND, proxy(2)), (SECOND, person(911))):
            await stage.unknown(fallback=fallback, announcement="tts/sorry")
            assert (await stage.call(caller, proxy(1))).route == Connect(Announcement("tts/sorry"))
        stage.trunks["+"] = ""
        await stage.unknown(fallback=EVE)
        assert isinstance((await stage.call(SECOND, proxy(1))).route, Reject)
