"""Telephones in rooms through the whole product: API, speech, worker processes, and a real LiveKit server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from gateway.stack import answers as ready
from gateway.stack import base_url
from gateway.trial.audio import active_seconds, has_tone, tone
from gateway.trial.sip_behaviour import answers, rings
from gateway.trial.sip_call import CallState
from gateway.trial.sip_incoming import IncomingCall
from gateway.trial.sip_outgoing import Dial, OutgoingCall
from tests.rig.livekit import livekit_program
from tests.rig.product import OWN, Product, running_product
from tests.rig.visitors import Visitor, loudness, share_of, visitor

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

CALLER, CALLER_HZ, HOST_HZ, CALLED_HZ = "+14155550103", 400.0, 700.0, 500.0
RINGS = "+14155559002"
ROOMS = "/api/v1/video/rooms-scheduled"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Product]:
    livekit_program()  # why: without the program the test is skipped and says so
    var = tmp_path_factory.mktemp("rooms") / "var"
    extra = {"PATCHBAY_LIVEKIT": "auto", "PATCHBAY_ROOM_WORKERS": "2"}
    called = answers(audio=tone(CALLED_HZ, 2.0))
    async with running_product(var, decide=lambda _: called, extra=extra) as running:
        numbers = await running.api.ok("GET", "/api/v1/numbers")
        path = f"/api/v1/numbers/{numbers[0]['id']}"
        await running.api.ok("PATCH", path, {"route": {"type": "rooms"}, "is_default": True})
        yield running


def dials(house: Product) -> OutgoingCall:
    return house.carrier.call(Dial(OWN, house.sip, CALLER, audio=tone(CALLER_HZ, 2.0)))


async def roster(house: Product, room_id: str) -> list[dict[str, Any]]:
    return list((await house.api.ok("GET", f"{ROOMS}/{room_id}"))["participants"])


async def heard_by(host: Visitor, identity: str, hz: float) -> None:
    host.forget()
    await host.until(lambda: share_of(host.heard(identity, 0.4), hz) > 0.8, 30, f"the tone of {identity}")


async def telephone(host: Visitor) -> str:
    """The one telephone in the room, as a browser sees it."""
    await host.until(lambda: bool(phones_of(host)), 40, "a telephone")
    (identity,) = phones_of(host)
    return identity


async def test_a_telephone_dials_in_is_heard_and_is_put_out(house: Product) -> None:
    room = await house.api.ok("POST", ROOMS, {"name": "Weekly"})
    async with visitor(room["ws_url"], room["host_token"]) as host:
        await host.speak(HOST_HZ)
        caller = dials(house)
        await caller.reaches(CallState.ANSWERED)
        await caller.hears(lambda pcm: active_seconds(pcm) > 1.0, 30.0, "the question")
        caller.stream.press(room["pin"])
        identity = await telephone(host)
        await heard_by(host, identity, CALLER_HZ)
        await caller.hears(lambda pcm: has_tone(pcm, HOST_HZ, seconds=0.5), 30.0, "the host")
        assert host.others[identity].name == "+1 •••• 0103"
        line = await until_listed(house, room["room_id"], "joined", identity)
        assert CALLER.lstrip("+") not in str(line)
        await house.api.ok("POST", f"{ROOMS}/{room['room_id']}/participants/{identity}/kick")
        await caller.reaches(CallState.ENDED, 20.0)
        call = await house.api.ended(line["call_id"])
        assert call["room_id"] == room["room_id"]
        assert call["termination"] == {"result": "success", "reason": "removed_from_room"}


async def test_a_telephone_is_called_into_the_room(house: Product) -> None:
    room = await house.api.ok("POST", ROOMS, {"name": "Weekly"})
    async with visitor(room["ws_url"], room["host_token"]) as host:
        wanted = {"to": "+14155559001", "display_name": "Bob"}
        line = await house.api.ok("POST", f"{ROOMS}/{room['room_id']}/participants", wanted)
        person = await house.carrier.receives(within_s=30.0)
        await person.hears(lambda pcm: active_seconds(pcm) > 1.0, 30.0, "the question")
        person.stream.press("1")
        identity = await telephone(host)
        assert identity == line["identity"]
        assert host.others[identity].name == "Bob"
        await heard_by(host, identity, CALLED_HZ)
        await house.api.ok("POST", f"{ROOMS}/{room['room_id']}/end")
        await person.reaches(CallState.ENDED, 30.0)
        call = await house.api.ended(line["call_id"])
        assert call["termination"]["reason"] == "room_ended"
        assert call["direction"] == "outbound"


async def test_an_agent_is_brought_into_the_room_and_speaks(house: Product) -> None:
    room = await house.api.ok("POST", ROOMS, {"name": "Weekly"})
    agent = await house.api.ok("POST", "/api/v1/agents", {"name": "Front desk"})
    async with visitor(room["ws_url"], room["host_token"]) as host:
        path = f"{ROOMS}/{room['room_id']}/participants"
        line = await house.api.ok("POST", path, {"agent_id": agent["id"]})
        await host.until(lambda: line["identity"] in host.others, 40, "the agent")
        await host.until(lambda: loudness(host.heard(line["identity"], 0.5)) > 300, 30, "what the agent says")
        assert host.others[line["identity"]].name == "Front desk"
        await house.api.ok("POST", f"{path}/{line['identity']}/kick")
        call = await house.api.ended(line["call_id"])
        assert call["termination"] == {"result": "success", "reason": "removed_from_room"}
        assert (call["to"], call["agent_id"]) == (f"room:{room['room_id']}", agent["id"])


async def test_ten_telephones_are_in_one_room_and_hear_one_another(house: Product) -> None:
    """Dialled at once, with one number: more than one process could carry."""
    room = await house.api.ok("POST", ROOMS, {"name": "Weekly", "max_participants": 12})
    async with visitor(room["ws_url"], room["host_token"]) as host:
        callers = [dials(house) for _ in range(10)]
        for caller in callers:
            await caller.reaches(CallState.ANSWERED, 30.0)
            caller.stream.press(room["pin"])
        await host.until(lambda: len(phones_of(host)) == 10, 90, "ten telephones")
        host.forget()
        for identity in phones_of(host):
            await host.until(lambda who=identity: loudness(host.heard(who, 0.3)) > 1000, 30, identity)
        for caller in callers:
            heard = len(caller.stream.heard())
            await caller.hears(lambda pcm, at=heard: active_seconds(pcm[at:]) > 0.5, 40.0, "the others")
        for caller in callers:
            await caller.hang_up()
        await host.until(lambda: not phones_of(host), 30, "nobody")


def phones_of(host: Visitor) -> list[str]:
    return [one for one in host.others if one.startswith("phone_")]


async def test_a_gateway_that_is_killed_leaves_no_telephone_in_silence(house: Product) -> None:
    """Nobody carries its sound any more, so its call ends; afterwards it is told, and is off the roster. One
    that rings meanwhile is let go as soon as the gateway is back."""
    room = await house.api.ok("POST", ROOMS, {"name": "Weekly"})
    lobby = await house.api.ok("POST", ROOMS, {"name": "Closed", "waiting_room": True})
    waits = dials(house)
    await waits.reaches(CallState.ANSWERED)
    waits.stream.press(lobby["pin"])
    waiting = (await until_listed(house, lobby["room_id"], "waiting"))["identity"]
    async with visitor(room["ws_url"], room["host_token"]) as host:
        caller = dials(house)
        await caller.reaches(CallState.ANSWERED)
        caller.stream.press(room["pin"])
        identity = await telephone(host)
        line = await until_listed(house, room["room_id"], "joined", identity)
        called, ringing = await rung(house, room["room_id"])
        gateway = house.stack.gateway
        assert gateway is not None
        before = gateway.state.restarts
        gateway.kill()
        await caller.reaches(CallState.ENDED, 30.0)
        await host.until(lambda: identity not in host.others, 60, "the telephone's leaving")
        await gateway.until(lambda state: state.restarts > before and state.phase == "running", 90.0)
        async with asyncio.timeout(60):
            await ready(f"{base_url(house.stack.settings)}/readyz")
        call = await house.api.ended(line["call_id"])
        assert call["room_id"] == room["room_id"]
        await until_listed(house, room["room_id"], "left", identity)
        await waits.reaches(CallState.ENDED, 30.0)
        await until_listed(house, lobby["room_id"], "left", waiting)
        await called.reaches(CallState.ENDED, 60.0)
        lost = await until_listed(house, room["room_id"], "left", ringing["identity"])
        assert lost["why_left"] == "lost"
        call = await house.api.ended(ringing["call_id"])
        assert (call["status"], call["termination"]["reason"]) == ("failed", "room_leg_lost")


async def rung(house: Product, room_id: str) -> tuple[IncomingCall, dict[str, Any]]:
    """A telephone that rings to be called into the room, and its line on the roster, which says so."""
    before, house.carrier.decide = house.carrier.decide, lambda _: rings()
    wanted = {"to": RINGS, "display_name": "Carol", "ring_timeout": 120}
    made = await house.api.ok("POST", f"{ROOMS}/{room_id}/participants", wanted)
    called = await house.carrier.receives(30.0, lambda call: call.facts.user == RINGS, "Carol's call")
    line = await until_listed(house, room_id, "ringing", made["identity"])
    house.carrier.decide = before
    return called, line


async def until_listed(
    house: Product, room_id: str, status: str, identity: str = "phone_", within_s: float = 60.0
) -> dict[str, Any]:
    """The line of whoever's identity begins so, once it says this."""
    seen: list[dict[str, Any]] = []
    try:
        async with asyncio.timeout(within_s):
            while True:
                seen = await roster(house, room_id)
                found = [one for one in seen if one["identity"].startswith(identity)]
                if found and found[0]["status"] == status:
                    return found[0]
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"{identity} is not {status}: {seen}") from None
