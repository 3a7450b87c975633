"""Video rooms from outside: browsers, telephones and the app's API, over real servers and the gateway's own
process."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp
import pytest
from livekit import rtc

from gateway.trial.audio import active_seconds, tone, tone_seconds
from gateway.trial.listener import WebhookListener
from gateway.trial.sip_behaviour import answers, rejects
from gateway.trial.sip_call import CallState
from gateway.trial.sip_outgoing import Dial, OutgoingCall
from patchbay_agent import Call
from tests.e2e.recorders import for_a_while, plays, recorder_of, told_of
from tests.e2e.tone_bot import FAREWELL_HZ, GREETING_HZ, Bot, registered
from tests.rig.browser import PageError, a_browser
from tests.rig.livekit import livekit_program
from tests.rig.product import OWN, Product, running_product
from tests.rig.visitors import Visitor, visitor

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

KEPT = "/api/v1/video/rooms-scheduled"
CALLER = "+14155550177"
PHONE_HZ, HOST_HZ = 1000.0, 523.0
ANSWERS, BUSY = "+14155550001", "+14155551486"
TO_AGENT = "+12025550109"


@pytest.fixture(scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Product]:
    """One product with rooms for all of these; skips by name where there is no media server."""
    livekit_program()
    var = tmp_path_factory.mktemp("rooms")
    async with running_product(var, extra={"PATCHBAY_LIVEKIT": "auto"}) as product:
        number = next(one for one in await product.api.ok("GET", "/api/v1/numbers") if OWN in one.values())
        await product.api.ok("PATCH", f"/api/v1/numbers/{number['id']}", {"route": {"type": "rooms"}})
        yield product


@pytest.fixture(scope="module")
async def told(house: Product) -> AsyncIterator[WebhookListener]:
    """Everything that is told of rooms."""
    secret = await house.api.ok("GET", "/api/v1/webhooks/signing-secret")
    async with await WebhookListener.start(str(secret["signing_secret"]), time.time) as listener:
        made = await house.api.ok("POST", "/api/v1/webhooks", {"url": listener.url(), "events": ["*"]})
        listener.secrets = (str(made["signing_secret"]),)
        yield listener


async def a_room(house: Product, **fields: object) -> dict[str, Any]:
    wanted = {"name": "Stand-up", "scheduled_at": datetime.now(UTC).isoformat(), **fields}
    return dict(await house.api.ok("POST", KEPT, wanted))


async def person(house: Product, room: dict[str, Any], identity: str, **fields: object) -> dict[str, Any]:
    wanted = {"identity": identity, "display_name": identity.title(), **fields}
    return dict(await house.api.ok("POST", f"{KEPT}/{room['room_id']}/join", wanted))


@asynccontextmanager
async def host_of(room: dict[str, Any]) -> AsyncIterator[Visitor]:
    async with visitor(room["ws_url"], room["host_token"]) as host:
        await host.speak(HOST_HZ)
        yield host


async def dial_in(house: Product, room: dict[str, Any]) -> OutgoingCall:
    """A telephone that has typed the room's number and speaks a tone."""
    call = house.carrier.call(Dial(OWN, house.sip, CALLER))
    await call.reaches(CallState.ANSWERED, within_s=30.0)
    call.stream.press(f"{room['pin']}#")
    call.stream.play(tone(PHONE_HZ, 0.5), repeat=True)
    return call


def phone_in(host: Visitor) -> str | None:
    return next((who for who in host.others if who.startswith("phone_")), None)


async def phone_seen(host: Visitor, within_s: float = 40.0) -> str:
    await host.until(lambda: phone_in(host) is not None, within_s, "seeing a telephone")
    found = phone_in(host)
    assert found is not None
    return found


async def roster(house: Product, room: dict[str, Any]) -> dict[str, dict[str, Any]]:
    detail = await house.api.ok("GET", f"{KEPT}/{room['room_id']}")
    return {one["identity"]: one for one in detail["participants"]}


async def test_a_browser_and_a_telephone_meet(house: Product, tmp_path: Path) -> None:
    """A guest's browser with a camera, by invite; a host; a telephone by PIN: parity of what is heard and
    seen, a mute that may be taken back, a kick that holds."""
    room = await a_room(house)
    invite = await house.api.ok("POST", f"{KEPT}/{room['room_id']}/invites", {"max_uses": 2})
    redeem = f"/api/v1/video/invites/{invite['invite_token']}/redeem"
    way_in = await house.api.ok("POST", redeem, {"display_name": "Acme customer"})
    guest = way_in["identity"]
    async with a_browser(tmp_path / "profile") as browser, host_of(room) as host:
        await browser.join(way_in["livekit_url"], way_in["token"])
        call = await dial_in(house, room)
        phone = await phone_seen(host)
        await host.sees(guest)

        def meets_all(seen: dict[str, Any]) -> bool:
            people = {one["identity"]: one for one in seen["people"]}
            heard = people.get(phone, {}).get("heard")
            return heard is not None and abs(heard["hz"] - PHONE_HZ) <= 10 and heard["level"] > -70

        seen = await browser.until(meets_all)
        [shown] = [one for one in seen["people"] if one["identity"] == phone]
        assert shown["name"] == "+1 •••• 0177"
        assert CALLER[-7:] not in str(shown), "no real number is visible in the room"
        await host.until(lambda: len(host.others[guest].track_publications) == 2, 40, "seeing a camera")
        await on_roster(house, room, phone)
        await on_roster(house, room, guest)
        people = await roster(house, room)
        assert {one["status"] for one in people.values()} == {"joined"}
        assert people[guest]["display_name"] == "Acme customer"
        there = f"{KEPT}/{room['room_id']}/participants/{guest}"
        await house.api.ok("POST", f"{there}/mute", {"kind": "audio"})
        await browser.until(lambda seen: seen["muted"] is True)
        await browser.unmute()
        assert (await browser.look())["muted"] is False
        await house.api.ok("POST", f"{there}/kick")
        left = await browser.until(lambda seen: seen["state"] == "disconnected")
        assert left["left"] == "PARTICIPANT_REMOVED"
        with suppress(PageError):  # put out while it still connects, or just after
            await browser.join(way_in["livekit_url"], way_in["token"])
        await browser.until(lambda seen: seen["state"] == "disconnected")
        await host.until(lambda: guest not in host.others, what="rid of who came with the old token")
        fresh = await house.api.ok("POST", redeem, {"display_name": "Acme customer"})
        await browser.join(fresh["livekit_url"], fresh["token"])
        await host.sees(fresh["identity"])
        await call.hang_up()
        await host.until(lambda: phone_in(host) is None, what="rid of the telephone")
        await house.api.ok("POST", f"{KEPT}/{room['room_id']}/end")
        over = await browser.until(lambda seen: seen["state"] == "disconnected")
        assert over["left"] == "ROOM_DELETED"


async def test_a_telephone_is_called_into_a_room(house: Product, told: WebhookListener) -> None:
    room = await a_room(house)
    async with host_of(room) as host:
        house.carrier.decide = lambda facts: answers(audio=tone(PHONE_HZ, 0.5))
        wanted = {"to": ANSWERS, "from": OWN, "display_name": "Dr. Haddad"}
        line = await house.api.ok("POST", f"{KEPT}/{room['room_id']}/participants", wanted)
        assert (line["status"], line["display_name"], line["role"]) == ("pending", "Dr. Haddad", "phone")
        person = await house.carrier.receives(within_s=30.0)
        await person.hears(lambda pcm: active_seconds(pcm) >= 1.5, 30.0, "the question")
        assert phone_in(host) is None, "nobody comes in who has not agreed to"
        person.stream.press("1")
        phone = await phone_seen(host)
        assert (phone, host.others[phone].name) == (line["identity"], "Dr. Haddad")
        await host.hears(phone, PHONE_HZ, within_s=30)
        joined = await event(told, "room.phone.joined", line["call_id"])
        assert ANSWERS[2:] not in str(joined), "no real number is told"
        await house.api.ok("POST", f"/v1/voice/calls/{line['call_id']}/hangup")
        await host.until(lambda: phone_in(host) is None, what="rid of the telephone")
        ended = await house.api.ended(line["call_id"])
        assert (ended["status"], ended["room_id"]) == ("completed", room["room_id"])


async def test_a_busy_telephone_is_told(house: Product, told: WebhookListener) -> None:
    room = await a_room(house)
    async with host_of(room):
        house.carrier.decide = lambda facts: rejects(486)
        wanted = {"to": BUSY, "from": OWN}
        line = await house.api.ok("POST", f"{KEPT}/{room['room_id']}/participants", wanted)
        failed = await event(told, "room.phone.failed", line["call_id"])
        assert "busy" in str(failed)
        assert (await on_roster(house, room, line["identity"], "left"))["why_left"] == "busy"
        assert (await house.api.ended(line["call_id"]))["status"] == "busy"


async def test_an_agent_in_a_room_is_told_of_its_end(house: Product) -> None:
    """It hears the room and is heard there; the app hangs it up, a host kicks it, the room ends: each time it
    is told first, and truly."""
    bot = Bot(then=tells_on)
    async with registered(house, bot) as made:
        room = await a_room(house, max_participants=2)
        async with host_of(room) as host:
            line = await brought(house, room, bot, host, made)
            shown = host.others[line["identity"]]
            assert (shown.name, shown.kind) == ("tone", rtc.ParticipantKind.PARTICIPANT_KIND_AGENT)
            assert shown.attributes["role"] == "agent"
            assert (bot.calls[-1].caller, bot.calls[-1].called) == (OWN, f"room:{room['room_id']}")
            assert (await on_roster(house, room, line["identity"]))["role"] == "agent"
            ending = asyncio.create_task(house.api.ok("POST", f"/v1/voice/calls/{line['call_id']}/hangup"))
            await host.hears(line["identity"], FAREWELL_HZ)
            await ending
            assert await ended_as(house, room, line, bot) == ("api_hangup", True, "hangup_by_api", "left")
            line = await brought(house, room, bot, host, made)
            await house.api.ok("POST", f"{KEPT}/{room['room_id']}/participants/{line['identity']}/kick")
            removed = "removed_from_room"
            assert await ended_as(house, room, line, bot) == (removed, False, removed, "kicked")
            line = await brought(house, room, bot, host, made)
            await house.api.ok("POST", f"{KEPT}/{room['room_id']}/end")
            over = "room_ended"
            assert await ended_as(house, room, line, bot) == (over, False, over, over)


async def test_an_agent_takes_its_caller_into_a_room(house: Product) -> None:
    room = await a_room(house)
    outcomes: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()

    async def takes_there(call: Call) -> None:
        nowhere = await call.transfer("room:11111111-1111-4111-8111-111111111111")
        outcomes.set_result([nowhere, await call.transfer(f"room:{room['room_id']}")])

    async with (
        registered(house, Bot(then=takes_there), transfer_allow=["room:*"]) as made,
        host_of(room) as host,
    ):
        route = {"type": "agent", "agent_id": made["id"]}
        number = await house.api.ok("POST", "/api/v1/numbers", {"e164": TO_AGENT, "route": route})
        call = house.carrier.call(Dial(TO_AGENT, house.sip, CALLER, audio=tone(PHONE_HZ, 2.0)))
        phone = await phone_seen(host)
        await host.hears(phone, PHONE_HZ, within_s=30)
        assert await asyncio.wait_for(outcomes, 20.0) == ["invalid", "completed"]
        assert host.others[phone].name == "+1 •••• 0177"
        call_id = (await on_roster(house, room, phone))["call_id"]
        await call.hears(lambda pcm: tone_seconds(pcm, HOST_HZ) >= 0.5, 30.0, "the host")
        await house.api.ok("POST", f"{KEPT}/{room['room_id']}/participants/{phone}/kick")
        await call.reaches(CallState.ENDED, within_s=20.0)
        ended = await house.api.ended(call_id)
        assert (ended["room_id"], ended["agent_id"]) == (room["room_id"], made["id"])
        assert ended["termination"]["reason"] == "removed_from_room"
        await house.api.ok("PATCH", f"/api/v1/numbers/{number['id']}", {"route": {"type": "hold"}})


async def tells_on(call: Call) -> None:
    call.sound(tone(GREETING_HZ, 5.0))


async def brought(house: Product, room: dict[str, Any], bot: Bot, host: Visitor, made: Any) -> Any:
    """The agent's line on the roster, once it and the host hear each other."""
    bot.heard.clear()
    line = await house.api.ok(
        "POST", f"{KEPT}/{room['room_id']}/participants", {"agent_id": made["id"], "from": OWN}
    )
    assert (line["status"], line["role"]) == ("pending", "agent")
    await host.hears(line["identity"], GREETING_HZ, within_s=30)
    await bot.until(lambda: tone_seconds(bytes(bot.heard), HOST_HZ) >= 0.4, "the host is heard", 30.0)
    return line


async def ended_as(house: Product, room: dict[str, Any], line: Any, bot: Bot) -> tuple[str, bool, str, str]:
    """What the agent was told, and what the call's and the room's records say."""
    call = await house.api.ended(line["call_id"])
    await bot.until(lambda: len(bot.endings) == len(bot.calls), "the agent is told", 30.0)
    told, shown = bot.endings[-1], await on_roster(house, room, line["identity"], "left")
    assert told is not None
    assert call["room_id"] == room["room_id"]
    assert call["agent"]["agent_notified_at"] <= call["ended_at"]
    return told.reason, told.may_speak, call["termination"]["reason"], shown["why_left"]


async def test_the_lobby_keeps_browsers_and_telephones_until_they_are_let_in(house: Product) -> None:
    room = await a_room(house, waiting_room=True)
    async with host_of(room) as host:
        call = await dial_in(house, room)
        waiting = await until_waiting(house, room)
        assert phone_in(host) is None, "whoever waits is not in the room"
        there = f"{KEPT}/{room['room_id']}/participants/{waiting}"
        await house.api.ok("POST", f"{there}/admit")
        await host.hears(await phone_seen(host), PHONE_HZ, within_s=30)
        other = await dial_in(house, room)
        turned_away = await until_waiting(house, room)
        await house.api.ok("POST", f"{KEPT}/{room['room_id']}/participants/{turned_away}/deny")
        await other.reaches(CallState.ENDED, within_s=30)
        await call.hang_up()


async def test_a_series_moves_skips_and_says_so_in_its_calendar(house: Product) -> None:
    there = ZoneInfo("Europe/Berlin")
    start = (datetime.now(there) + timedelta(days=1)).replace(hour=12, minute=0, second=0, microsecond=0)
    rule = {"rule": "FREQ=DAILY;COUNT=3", "timezone": there.key}
    room = await a_room(house, scheduled_at=start.isoformat(), recurrence=rule)
    second = f"{(start + timedelta(days=1)).astimezone(UTC):%Y%m%dT%H%M%SZ}"  # at noon there, on any day
    changed = await house.api.ok("POST", f"{KEPT}/{room['room_id']}/occurrences/{second}/skip")
    assert len(changed["recurrence"]["skipped"]) == 1
    address = f"{house.api.root}{KEPT}/{room['room_id']}/calendar.ics"
    async with (
        aiohttp.ClientSession(headers={"X-API-Key": house.key}) as http,
        http.get(address) as response,
    ):
        text = await response.text()
    assert response.content_type == "text/calendar"
    assert "EXDATE;TZID=Europe/Berlin:" in text
    assert f"tel:{OWN}" in text.replace("\r\n ", "")
    assert "SEQUENCE:1" in text


async def test_what_is_recorded_until_a_recorder_or_the_gateway_dies_plays_and_it_goes_on(
    house: Product, told: WebhookListener, tmp_path: Path
) -> None:
    room = await a_room(house)
    room_id, gateway = room["room_id"], house.stack.gateway
    assert gateway is not None
    async with host_of(room) as host:
        await on_roster(house, room, host.identity)
        first = (await house.api.ok("POST", f"{KEPT}/{room_id}/recording/start"))["egress_id"]
        again = await house.api.ok("POST", f"{KEPT}/{room_id}/recording/start")
        assert again["egress_id"] == first, "a room is recorded once"
        await for_a_while(house, first, HOST_HZ)
        os.kill(recorder_of(house), signal.SIGKILL)
        saved = await told_of(told, room_id, "finished", not_yet=set())
        assert (saved["recording_id"], saved["incomplete"], saved["why"]) == (first, True, "crashed")
        await plays(house, first, "crashed", HOST_HZ, tmp_path)
        second = (await told_of(told, room_id, "started", not_yet={first}))["recording_id"]
        await for_a_while(house, second, HOST_HZ)
        recorder, before = recorder_of(house), gateway.state.restarts
        os.kill(recorder, signal.SIGSTOP)  # else it might come to its end between the two deaths
        gateway.kill()
        os.kill(recorder, signal.SIGKILL)
        await gateway.until(lambda state: state.restarts > before and state.phase == "running", 90.0)
        saved = await told_of(told, room_id, "finished", not_yet={first})
        assert (saved["recording_id"], saved["incomplete"], saved["why"]) == (second, True, "interrupted")
        await plays(house, second, "interrupted", HOST_HZ, tmp_path)
        third = (await told_of(told, room_id, "started", not_yet={first, second}))["recording_id"]
        await for_a_while(house, third, HOST_HZ)
        await house.api.ok("POST", f"{KEPT}/{room_id}/recording/stop")
        whole = await told_of(told, room_id, "finished", not_yet={first, second})
        assert (whole["recording_id"], "incomplete" in whole) == (third, False)
        await plays(house, third, None, HOST_HZ, tmp_path)


async def test_the_media_server_dies_in_the_middle_of_a_call(house: Product) -> None:
    """Last of all: whoever is in the room is told, the call's record says why, and rooms come back."""
    room = await a_room(house)
    async with host_of(room) as host:
        call = await dial_in(house, room)
        phone = await phone_seen(host)
        call_id = (await on_roster(house, room, phone))["call_id"]
        assert house.stack.livekit is not None
        house.stack.livekit.child.kill()
        await call.reaches(CallState.ENDED, within_s=60.0)
        ended = await house.api.ended(call_id)
        assert (ended["status"], ended["termination"]["reason"]) in (
            ("completed", "room_lost"),
            ("completed", "room_ended"),
        )
    async with asyncio.timeout(60):
        while True:
            status, _ = await house.api.ask("POST", KEPT, {"name": "After"})
            if status < 300:
                break
            assert status == 503
            await asyncio.sleep(0.2)


async def on_roster(
    house: Product, room: dict[str, Any], identity: str, status: str = "joined"
) -> dict[str, Any]:
    """Somebody's line, once it says this: the roster learns it from the media server's report, or beside the
    call's own record."""
    async with asyncio.timeout(30):
        while True:
            found = (await roster(house, room)).get(identity)
            if found is not None and found["status"] == status:
                return found
            await asyncio.sleep(0.05)


async def until_waiting(house: Product, room: dict[str, Any]) -> str:
    async with asyncio.timeout(40):
        while True:
            found = [who for who, one in (await roster(house, room)).items() if one["status"] == "waiting"]
            if found:
                return found[0]
            await asyncio.sleep(0.1)


async def event(told: WebhookListener, kind: str, call_id: str) -> dict[str, Any]:
    def this(one: Any) -> bool:
        return one.event["type"] == kind and one.event["data"].get("call_id") == call_id

    await told.waits_for(this, 40.0, kind)
    return dict(next(one.event for one in told.deliveries if this(one)))
