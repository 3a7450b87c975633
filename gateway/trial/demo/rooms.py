"""The rooms' story: a meeting with a host, a guest who was invited, and a telephone that knows the PIN. All
hear one another; the host mutes the telephone and puts it out; the room ends, and its recording plays."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

from gateway.clocks import SystemClock
from gateway.runtime.programs import ffmpeg_program
from gateway.trial.audio import RATE, tone, tone_seconds
from gateway.trial.demo.report import Told
from gateway.trial.demo.stage import CARRIER_IP, OWN_NUMBER, Json, Stage, StoryBroken, StorySkipped
from gateway.trial.room_visitor import Visitor, visitor
from gateway.trial.sip_call import CallState
from gateway.trial.sip_outgoing import Dial, OutgoingCall
from gateway.trial.sip_phone import SipPhone

CALLER: Final = "+14155550177"
HOST_HZ, GUEST_HZ, PHONE_HZ = 523.0, 698.0, 1000.0
_SCHEDULED: Final = "/api/v1/video/rooms-scheduled"


async def rooms(stage: Stage, told: Told) -> None:
    """Schedule, invite, dial in, hear one another, mute, put out, end, play the recording."""
    if stage.stack.livekit is None:
        raise StorySkipped("there is no LiveKit server here: install livekit-server, or Go, and try again")
    number_id = await _dial_in_line(stage)
    room = await _schedule(stage, told)
    room_id = str(room["room_id"])
    async with AsyncExitStack() as people:
        host = await people.enter_async_context(visitor(room["ws_url"], room["host_token"]))
        await host.speak(HOST_HZ)
        await host.show(180)
        stage.say("the host is in the room, with a camera")
        guest = await people.enter_async_context(await _guest(stage, room_id))
        await guest.speak(GUEST_HZ)
        carrier = await people.enter_async_context(
            await SipPhone.open(CARRIER_IP, stage.carrier_port, name="carrier")
        )
        call, phone = await _dial_in(stage, told, carrier, host, room)
        await _all_hear_one_another(stage, told, host, guest, call, phone)
        await _mute_and_kick(stage, told, room_id, host, call, phone)
        await asyncio.sleep(1.0)  # why: the recording has the two of them alone at its end
        await stage.ok("POST", f"{_SCHEDULED}/{room_id}/end")
        left = await asyncio.wait_for(guest.left, 20)
        told.check("everybody is put out when the room ends", left == "ROOM_DELETED", left)
    await _recording(stage, told, room_id)
    await stage.ok("PATCH", f"/api/v1/numbers/{number_id}", {"route": {"type": "hold"}})


async def _dial_in_line(stage: Stage) -> str:
    listed = await stage.ok("GET", "/api/v1/numbers")
    number_id = str(next(number["id"] for number in listed if OWN_NUMBER in number.values()))
    await stage.ok("PATCH", f"/api/v1/numbers/{number_id}", {"route": {"type": "rooms"}})
    return number_id


async def _schedule(stage: Stage, told: Told) -> Json:
    wanted = {
        "name": "Onboarding call",
        "scheduled_at": SystemClock().wall().isoformat(),
        "recording_enabled": True,
        "max_participants": 4,
    }
    room: Json = await stage.ok("POST", _SCHEDULED, wanted)
    stage.say(f"POST {_SCHEDULED}: {room['room_id']}, PIN {'•' * len(room['pin'])}")
    told.check("a room has a PIN of nine digits", len(room["pin"]) == 9 and room["pin"].isdigit())
    return room


async def _guest(stage: Stage, room_id: str) -> Any:
    invite = await stage.ok("POST", f"{_SCHEDULED}/{room_id}/invites", {"max_uses": 1})
    path = f"/api/v1/video/invites/{invite['invite_token']}/redeem"
    way_in = await stage.ok("POST", path, {"display_name": "Acme customer"})
    stage.say(f"a guest redeemed an invite, and comes in as {way_in['identity']}")
    return visitor(way_in["ws_url"], way_in["token"])


async def _dial_in(
    stage: Stage, told: Told, carrier: SipPhone, host: Visitor, room: Json
) -> tuple[OutgoingCall, str]:
    """The caller is asked for the PIN, types it, and is in the room; the call and its identity there."""
    assert stage.stack.switch is not None, "the demonstration runs its own switch"
    address = stage.stack.switch.address
    call = carrier.call(Dial(OWN_NUMBER, (address.sip_host, address.sip_port), CALLER))
    await call.reaches(CallState.ANSWERED, within_s=15.0)
    stage.say(f"a telephone calls {OWN_NUMBER}, is asked for the meeting number, and types it")
    loop = asyncio.get_running_loop()
    call.stream.press(f"{room['pin']}#")
    typed = loop.time() + 0.2 * (len(room["pin"]) + 1)
    await host.until(lambda: any(who.startswith("phone_") for who in host.others), 20, "seeing the telephone")
    took_ms = (loop.time() - typed) * 1000
    phone = next(who for who in host.others if who.startswith("phone_"))
    name = host.others[phone].name
    told.check("the telephone is in the room within 5 s of its PIN", took_ms <= 5000, f"{took_ms:.0f} ms")
    told.check("no number is visible in the room", CALLER[-7:] not in _visible(host, phone), name)
    told.check("the room sees a masked name", name.endswith(CALLER[-4:]) and "•" in name, name)
    stage.say(f"in the room it is {phone}, {name}, {took_ms:.0f} ms after the last digit")
    call.stream.play(tone(PHONE_HZ, 0.5), repeat=True)
    return call, phone


def _visible(host: Visitor, phone: str) -> str:
    person = host.others[phone]
    return json.dumps([person.identity, person.name, person.metadata, dict(person.attributes)])


async def _all_hear_one_another(
    stage: Stage, told: Told, host: Visitor, guest: Visitor, call: OutgoingCall, phone: str
) -> None:
    for who, listener in (("the host", host), ("the guest", guest)):
        await listener.hears(phone, PHONE_HZ, within_s=15)
        stage.say(f"{who} hears the telephone")
    await host.hears(guest.identity, GUEST_HZ)
    await guest.hears(host.identity, HOST_HZ)
    before = len(call.stream.heard())

    def both(pcm: bytes) -> bool:
        lately = pcm[before:]
        return all(tone_seconds(lately, hz, share=0.2) >= 0.5 for hz in (HOST_HZ, GUEST_HZ))

    heard = await call.hears(both, 25.0, "the host and the guest")
    told.check("all hear one another", both(heard))
    stage.say("the telephone hears the host and the guest")


async def _mute_and_kick(
    stage: Stage, told: Told, room_id: str, host: Visitor, call: OutgoingCall, phone: str
) -> None:
    there = f"{_SCHEDULED}/{room_id}/participants/{phone}"
    await stage.ok("POST", f"{there}/mute", {"kind": "audio"})
    await host.hears_nothing(phone)
    told.check("the host mutes the telephone", True)
    loop = asyncio.get_running_loop()
    began = loop.time()
    await stage.ok("POST", f"{there}/kick")
    await host.until(lambda: phone not in host.others, 20, "rid of the telephone")
    out_ms = (loop.time() - began) * 1000
    await call.reaches(CallState.ENDED, within_s=10.0)
    ended_ms = (loop.time() - began) * 1000
    told.check("the telephone is out of the room within 5 s", out_ms <= 5000, f"{out_ms:.0f} ms")
    stage.say(
        f"the host puts the telephone out: gone from the room in {out_ms:.0f} ms, BYE in {ended_ms:.0f}"
    )
    detail = await stage.ok("GET", f"{_SCHEDULED}/{room_id}")
    line = next(person for person in detail["participants"] if person["identity"] == phone)
    ended = await stage.until(str(line["call_id"]), "completed")
    told.check("its call says why it ended", "room" in str(ended["termination"]), ended["termination"])
    told.check("the roster says that it left", line["left_at"] is not None, line)


async def _recording(stage: Stage, told: Told, room_id: str) -> None:
    url = None
    async with asyncio.timeout(60):
        while url is None:
            detail = await stage.ok("GET", f"{_SCHEDULED}/{room_id}")
            url = detail["room"]["recording_url"]
            await asyncio.sleep(0.2)
    told.check("the room has ended", detail["room"]["status"] == "ended", detail["room"]["status"])
    film = stage.folder / "meeting.mp4"
    async with stage.http.get(str(url), headers={"X-API-Key": ""}) as response:
        film.write_bytes(await response.read())
    sound = await _sound_of(film)
    for who, hz in (("the host", HOST_HZ), ("the guest", GUEST_HZ), ("the telephone", PHONE_HZ)):
        told.check(f"{who} is in the recording", tone_seconds(sound, hz, share=0.1) >= 0.5)
    [tape] = await stage.ok("GET", f"{_SCHEDULED}/{room_id}/recordings")
    shown = await stage.ok("GET", f"/api/v1/video/recordings/{tape['id']}")
    told.check("each speaker has a file", len(shown["speakers"]) >= 3, len(shown["speakers"]))
    stage.say(f"the recording: {film.stat().st_size} octets, {len(shown['speakers'])} speakers' files")


async def _sound_of(film: Path) -> bytes:
    """The sound of a film, as the other stories measure it."""
    process = await asyncio.create_subprocess_exec(
        *(ffmpeg_program(), "-loglevel", "error", "-i", str(film)),
        *("-f", "s16le", "-ar", str(RATE), "-ac", "1", "-"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    sound, complaint = await asyncio.wait_for(process.communicate(), 60)
    if process.returncode:
        raise StoryBroken(f"the recording does not play: {complaint.decode(errors='replace')[-200:]}")
    return sound
