"""The real switch calls LiveKit's SIP service, with SIPp in that one's place: what it is told, what it says,
and who hears whom."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from gateway.trial.audio import has_tone, tone
from gateway.trial.sip_call import CallState
from gateway.trial.sip_digest import Credentials, proves
from gateway.trial.sip_outgoing import Dial, OutgoingCall
from gateway.trial.sip_phone import SipPhone
from gateway.trial.sipp_livekit import NONCE
from telephony.errors import RoomsUnavailable
from tests.rig.media import RecordingEar
from tests.rig.trunk_calls import BACK, HOST, NUMBER, PASSWORD, Outcome, TrunkWorld, running_trunk
from video_rooms.core.trunk_ends import ELSEWHERE, why_not
from voice_agents.core.audio import Codec

pytestmark = pytest.mark.switch

TONE_HZ = 800.0


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TrunkWorld]:
    async with running_trunk(tmp_path_factory.mktemp("trunk")) as running:
        yield running


async def test_the_service_is_told_who_we_are_and_nothing_of_the_caller(world: TrunkWorld) -> None:
    ear, outcome = RecordingEar(), Outcome()
    call = world.call(ear, leg_id="call_01ABC")
    await world.calls.place(call, outcome)
    await outcome.until("taken")
    assert ear.leg is not None
    ear.leg.hang_up()
    await outcome.until("taken", "over 16")
    seen = world.seen(call)
    (reached,) = set(re.findall(r"^INVITE (\S+) SIP", seen, re.MULTILINE))
    assert reached.startswith(f"sip:{NUMBER}@{HOST}:")
    numbers = set(re.findall(r"^CSeq: (\d+) INVITE\r?$", seen, re.MULTILINE))
    assert len(numbers) == 2, "once, and once more with the password; either may be sent again"
    (proof,) = set(re.findall(r"^Proxy-Authorization: (.*?)\r?$", seen, re.MULTILINE))
    assert proves(proof, "INVITE", Credentials("patchbay", PASSWORD.reveal()), NONCE)
    assert not proves(proof, "INVITE", Credentials("patchbay", "another"), NONCE)
    assert set(re.findall(r"^From: (\S+)@", seen, re.MULTILINE)) == {f"<sip:{call.caller}"}
    assert re.search(r"^X-Gw-Call: call_01ABC\r?$", seen, re.MULTILINE)
    assert re.search(r"^X-Gw-Name: answers\r?$", seen, re.MULTILINE)
    assert re.search(r"^m=audio \d+ RTP/AVP 9 0 8 101\r?$", seen, re.MULTILINE)
    assert not re.search(r"^(P-Asserted-Identity|Remote-Party-ID|Diversion|History-Info)", seen, re.MULTILINE)
    assert len(world.calls) == 0


async def test_both_hear_one_another(world: TrunkWorld) -> None:
    ear, outcome = RecordingEar(), Outcome()
    await world.calls.place(world.call(ear), outcome)
    await outcome.until("taken")
    leg = ear.leg
    assert leg is not None
    sound = tone(TONE_HZ / 2, 2.0)  # made for 8 kHz, played at 16
    for at in range(0, len(sound) - 639, 640):
        leg.play(sound[at : at + 640])
    await ear.until(lambda ear: has_tone(b"".join(ear.frames), TONE_HZ / 2), "its echo")
    leg.hang_up()
    await outcome.until("taken", "over 16")


@pytest.mark.parametrize("name", ["Zoë (Wien), 50%", "+44 •••• 1234", "a~b'c\"d;e<f>", "x" * 200])
async def test_what_the_room_is_to_see_arrives_as_it_is(world: TrunkWorld, name: str) -> None:
    ear, outcome = RecordingEar(), Outcome()
    call = world.call(ear, name=name)
    await world.calls.place(call, outcome)
    await outcome.until("over 38")
    assert f"X-Gw-Name: {name[:60]}" in world.seen(call)


@pytest.mark.parametrize(
    ("plays", "told", "why"),
    [
        ("busy", "over 17", "no_room"),
        ("forbids", "over 21", "unreachable"),
        ("knows nobody", "over 1", "unreachable"),
        ("not there", "over 19", "timeout"),
        ("gives up", "over 18", "timeout"),
        ("declines", "over 29", "refused"),
        ("out of order", "over 34", "unreachable"),
    ],
)
async def test_each_refusal_is_told_as_it_is(world: TrunkWorld, plays: str, told: str, why: str) -> None:
    ear, outcome = RecordingEar(), Outcome()
    await world.calls.place(world.call(ear, plays), outcome)
    await outcome.until(told)
    await ear.until(lambda ear: bool(ear.why), "the end of our own side")
    assert why_not(int(told.split()[1])) == why


async def why(outcome: Outcome) -> str:
    """Why it came to nothing, in the rooms' words."""
    await outcome.watch.until(
        lambda: bool(outcome.told), within_s=30, what="the end", seen=lambda: outcome.told
    )
    cause = outcome.told[0].split()[1]
    return why_not(None if cause == "None" else int(cause))


async def test_who_rings_for_ever_is_given_up(world: TrunkWorld) -> None:
    ear, outcome = RecordingEar(), Outcome()
    call = world.call(ear, "never answers", ring_s=1)
    await world.calls.place(call, outcome)
    assert await why(outcome) == "timeout"
    await ear.until(lambda ear: bool(ear.why), "the end of our own side")
    async with asyncio.timeout(20):
        while "CANCEL sip:" not in world.seen(call):  # noqa: ASYNC110 - SIPp tells nobody of what it writes
            await asyncio.sleep(0.05)


async def test_the_service_ends_a_call(world: TrunkWorld) -> None:
    ear, outcome = RecordingEar(), Outcome()
    await world.calls.place(world.call(ear, "hangs up"), outcome)
    await outcome.until("taken", "over 16")
    await ear.until(lambda ear: bool(ear.why), "the end of our own side")


async def test_several_calls_have_names_of_their_own(world: TrunkWorld) -> None:
    ears, outcomes = [RecordingEar() for _ in range(3)], [Outcome() for _ in range(3)]
    placed = [world.call(ear) for ear in ears]
    for call, outcome in zip(placed, outcomes, strict=True):
        await world.calls.place(call, outcome)
    for outcome in outcomes:
        await outcome.until("taken")
    assert len({call.caller for call in placed}) == 3
    for ear in ears:
        assert ear.leg is not None
        ear.leg.hang_up()
    for outcome in outcomes:
        await outcome.until("taken", "over 16")


async def test_a_socket_that_nobody_waits_for_ends_the_call_untold_to_the_service(world: TrunkWorld) -> None:
    outcome = Outcome()
    call = world.call(RecordingEar(), socket=world.port.dial_string(secrets.token_hex(16), Codec.SLIN16))
    await world.calls.place(call, outcome)
    await outcome.watch.until(
        lambda: bool(outcome.told), within_s=30, what="the end", seen=lambda: outcome.told
    )
    assert await why(outcome) == "unreachable"
    assert world.seen(call) == ""


@pytest.mark.parametrize(
    "wrong",
    [
        {"number": "rooms,1"},
        {"caller": "x\r\nAction: Ping"},
        {"leg_id": "call|1;2"},
        {"socket": "Local/1@from-phone"},
        {"socket": "WebSocket/room0/c(slin16)nf(json)/0123456789abcdef&PJSIP/1@carrier@_"},
    ],
)
async def test_nothing_odd_reaches_the_switch(world: TrunkWorld, wrong: dict[str, str]) -> None:
    outcome = Outcome()
    call = world.call(RecordingEar(), **wrong)
    with pytest.raises(RoomsUnavailable):
        await world.calls.place(call, outcome)
    assert (outcome.told, len(world.calls)) == ([], 0)


async def test_what_the_service_checks_has_held_in_every_call(world: TrunkWorld) -> None:
    assert "checked" not in world.sipp.last_words()
    assert "Failed regexp" not in world.sipp.last_words()


# ---------------------------------------------------------------- calls from rooms


async def calls_in(
    world: TrunkWorld, user: str, password: str = BACK.reveal()
) -> tuple[SipPhone, OutgoingCall]:
    phone = await SipPhone.open(HOST)
    to = (world.switch.address.sip_host, world.switch.address.sip_port)
    return phone, phone.call(Dial(user, to, "rooms", credentials=Credentials("room_sip", password)))


async def test_a_room_that_calls_what_is_waited_for_is_connected_once(world: TrunkWorld) -> None:
    ear, token = RecordingEar(), secrets.token_hex(16)
    world.port.expect(token, Codec.SLIN16, ear, 30.0)
    phone, call = await calls_in(world, f"0{token}")
    async with phone:
        await call.reaches(CallState.ANSWERED)
        await ear.until(lambda ear: ear.leg is not None, "our own side")
        again = phone.call(replace(call.dial))
        await again.reaches(CallState.ENDED)
        assert again.ending is not None
        assert again.ending.status >= 400
        await call.hang_up()
    await ear.until(lambda ear: bool(ear.why), "the end of our own side")


async def test_a_room_that_calls_and_we_hear_each_other(world: TrunkWorld) -> None:
    ear, token = RecordingEar(answers=False), secrets.token_hex(16)
    world.port.expect(token, Codec.SLIN16, ear, 30.0)
    to = (world.switch.address.sip_host, world.switch.address.sip_port)
    who = Credentials("room_sip", BACK.reveal())
    dial = Dial(f"0{token}", to, "rooms", credentials=who, audio=tone(TONE_HZ, 2.0))
    async with await SipPhone.open(HOST) as phone:
        call = phone.call(dial)
        await ear.until(lambda ear: ear.leg is not None, "our own side")
        leg = ear.leg
        assert leg is not None
        assert call.state is not CallState.ANSWERED, "the switch answers once we do"
        leg.answer()
        await call.reaches(CallState.ANSWERED)
        sound = tone(TONE_HZ / 4, 2.0)  # made for 8 kHz, played at 16
        for at in range(0, len(sound) - 639, 640):
            leg.play(sound[at : at + 640])
        await ear.until(lambda ear: has_tone(b"".join(ear.frames), TONE_HZ / 2), "what it says, at 16 kHz")
        await call.hears(lambda pcm: has_tone(pcm, TONE_HZ / 2, seconds=0.5), 20.0, "what we say")
        leg.hang_up()
        await call.reaches(CallState.ENDED)


async def test_nobody_calls_from_rooms_without_the_password(world: TrunkWorld) -> None:
    token = secrets.token_hex(16)
    world.port.expect(token, Codec.SLIN16, RecordingEar(), 1.0)
    phone, call = await calls_in(world, f"0{token}", "q" * 31)
    async with phone:
        await call.reaches(CallState.ENDED)
        assert call.ending is not None
        assert call.ending.status in (401, 403)


@pytest.mark.parametrize("user", ["+15550001000", "1000", "alice", "0zz", f"0{'a' * 31}", f"0{'A' * 32}"])
async def test_a_room_calls_nobody_by_number_or_name(world: TrunkWorld, user: str) -> None:
    phone, call = await calls_in(world, user)
    async with phone:
        await call.reaches(CallState.ENDED)
        assert call.ending is not None
        assert call.ending.status in (403, 404, 484, 603)


async def test_a_dead_service_is_found_out_in_time(tmp_path_factory: pytest.TempPathFactory) -> None:
    async with running_trunk(tmp_path_factory.mktemp("dead"), up=False) as dead:
        ear, outcome = RecordingEar(), Outcome()
        await dead.calls.place(dead.call(ear, ring_s=2), outcome)
        assert await why(outcome) in ELSEWHERE
        await ear.until(lambda ear: bool(ear.why), "the end of our own side")


async def test_a_service_takes_our_password_and_no_other(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    async with running_trunk(tmp_path_factory.mktemp("other"), password="x" * 32) as other:
        ear, outcome = RecordingEar(), Outcome()
        await other.calls.place(other.call(ear), outcome)
        await outcome.until("over 21")
    async with running_trunk(tmp_path_factory.mktemp("same"), password=PASSWORD.reveal()) as same:
        ear, outcome = RecordingEar(), Outcome()
        await same.calls.place(same.call(ear, "hangs up"), outcome)
        await outcome.until("taken", "over 16")
