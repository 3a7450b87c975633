"""The stories. Each is one thing a user would try first, told with simulated phones and checked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from gateway.trial.audio import (
    active_seconds,
    has_tone,
    read_wav,
    tone,
    ulaw_encode,
)
from gateway.trial.demo.agents import agents
from gateway.trial.demo.masking import masking
from gateway.trial.demo.report import Told
from gateway.trial.demo.rooms import rooms
from gateway.trial.demo.stage import CARRIER_IP, OWN_NUMBER, Stage
from gateway.trial.demo.voices import spoken
from gateway.trial.sip_behaviour import answers, by_last_digits
from gateway.trial.sip_call import CallState
from gateway.trial.sip_outgoing import Dial
from gateway.trial.sip_phone import SipPhone

Story = Callable[[Stage, Told], Awaitable[None]]
CARRIER_TONE_HZ, CALLER_TONE_HZ = 700.0, 1100.0
TALK_S = 3.0


async def two_phones(stage: Stage, told: Told) -> None:
    """An app joins a phone on the carrier with a softphone; the call is recorded and ended by the app."""
    speech = await spoken(stage, "Good afternoon, this is Alice speaking. I can hear you very well.")
    carrier = await stage.sipp_carrier(ulaw_encode(tone(CARRIER_TONE_HZ, 12.0)))
    try:
        async with await stage.softphone("alice", speech) as alice:
            stage.say("alice has registered her softphone (pyVoIP); the carrier is SIPp with audio")
            call_id = await stage.place("+14155550123", connect_to="phone:alice", record=True)
            call = await stage.until(call_id, "in_progress")
            told.check("the carrier's phone answered", call["status"] == "in_progress", call["status"])
            rang = await alice.waits_for("ringing")
            told.check("alice sees our number", rang.number == OWN_NUMBER, rang.number)
            await alice.waits_for("answered")
            stage.say("alice has answered: both phones talk")
            await asyncio.sleep(TALK_S)  # the conversation itself, not a wait for something
            ended = await stage.ok("POST", f"/v1/voice/calls/{call_id}/hangup")
            stage.say(f"POST …/hangup: {ended['status']} after {ended['duration_seconds']} s")
            told.check("hang-up by API completes the call", ended["status"] == "completed", ended["status"])
            await alice.waits_for("ended")
            heard = await alice.heard()
        told.check("alice heard the carrier's tone", has_tone(heard, CARRIER_TONE_HZ))
    finally:
        await carrier.stop()
    await _same_story(stage, told, call_id, "completed", recorded=True)
    await _recording(stage, told, call_id)


async def _recording(stage: Stage, told: Told, call_id: str) -> None:
    call = await stage.call(call_id)
    url = call["recording_url"]
    told.check("the call has a signed recording_url", "signature=" in str(url), url is not None)
    async with stage.http.get(url, headers={"X-API-Key": ""}) as response:
        content = await response.read()
        told.check("the recording downloads without a key", response.status == 200, response.status)
    path = stage.folder / "recording.wav"
    path.write_bytes(content)
    wave = read_wav(path)
    left, right = wave.channel(0), wave.channel(1)
    told.check("it has two channels", wave.channels == 2, wave.channels)
    told.check(
        "it is as long as the call", abs(wave.duration_ms / 1000 - call["duration_seconds"]) < 2.0,
        f"{wave.duration_ms} ms of {call['duration_seconds']} s",
    )  # fmt: skip
    told.check("the carrier is on the left", has_tone(left, CARRIER_TONE_HZ))
    spoken = active_seconds(right)
    told.check("alice is on the right", spoken > 1.0 and not has_tone(right, CARRIER_TONE_HZ), f"{spoken} s")
    start = url.index("signature=") + len("signature=")
    other = "0" if url[start] != "0" else "1"
    forgery = url[:start] + other + url[start + 1 :]
    async with stage.http.get(forgery, headers={"X-API-Key": ""}) as forged:
        told.check("a forged signature is refused", forged.status in (401, 403, 404), forged.status)
    stage.say(f"recording: {wave.duration_ms} ms, two channels, {len(content)} bytes")


async def announcement(stage: Stage, told: Told) -> None:
    """The answered party hears text spoken by espeak-ng; the call ends when it has been said."""
    async with await _carrier(stage) as carrier:
        call_id = await stage.place("+14155558020", announcement="Your parcel is at the door. Good bye.")
        phone = await carrier.receives(within_s=10.0)
        call = await stage.until(call_id, "completed")
        spoken = active_seconds(phone.stream.heard())
        told.check("the phone heard speech", spoken > 1.0, f"{spoken} s")
        told.check("the call completed", call["status"] == "completed", call["status"])
        reason = call["termination"]["reason"]
        told.check("the gateway says why it ended", reason == "announcement_finished", reason)
    await _same_story(stage, told, call_id, "completed")


async def busy(stage: Stage, told: Told) -> None:
    """The far end is busy: 486 becomes the status busy."""
    async with await _carrier(stage):
        call_id = await stage.place("+14155551486")
        call = await stage.until(call_id, "busy")
    told.check("the status is busy", call["status"] == "busy", call["status"])
    told.check("the SIP final is told", call["sip_code"] == 486, call["sip_code"])
    await _same_story(stage, told, call_id, "busy")


async def unanswered(stage: Stage, told: Told) -> None:
    """Nobody answers within our ring limit."""
    async with await _carrier(stage) as carrier:
        call_id = await stage.place("+14155557003", ring_timeout=5)
        call = await stage.until(call_id, "no_answer")
        await carrier.quiet()
    told.check("the status is no_answer", call["status"] == "no_answer", call["status"])
    told.check("it says whose limit it was", call["termination"]["reason"] == "ring_timeout")
    await _same_story(stage, told, call_id, "no_answer")


async def cancelled(stage: Stage, told: Told) -> None:
    """The app cancels while the phone rings; the phone stops ringing."""
    async with await _carrier(stage) as carrier:
        call_id = await stage.place("+14155557003")
        await stage.until(call_id, "ringing")
        ended = await stage.ok("POST", f"/v1/voice/calls/{call_id}/hangup")
        stage.say(f"POST …/hangup: {ended['status']}")
        told.check("the status is cancelled", ended["status"] == "cancelled", ended["status"])
        await carrier.quiet()
        ending = carrier.incoming[0].ending
        told.check("the phone was told to stop ringing", carrier.incoming[0].state is CallState.ENDED, ending)
        again = await stage.ok("POST", f"/v1/voice/calls/{call_id}/hangup")
        told.check("hanging up again gives the same record", again == ended, again["status"])
    await _same_story(stage, told, call_id, "cancelled")


async def inbound(stage: Stage, told: Told) -> None:
    """Somebody dials our number; its route rings a softphone; the caller hangs up."""
    speech = await spoken(stage, "Hello, you have reached Bob. How can I help you today?")
    number = await _own_number(stage)
    route = {"type": "phone", "phone": "bob"}
    body = {"route": route, "webhook_url": stage.listener.url()}
    await stage.ok("PATCH", f"/api/v1/numbers/{number}", body)
    async with await stage.softphone("bob", speech) as bob, await _carrier(stage) as world:
        assert stage.stack.switch is not None, "the demonstration runs its own switch"
        address = stage.stack.switch.address
        caller = world.call(
            Dial(
                OWN_NUMBER,
                (address.sip_host, address.sip_port),
                "+14155550199",
                audio=tone(CALLER_TONE_HZ, 12.0),
            )
        )
        stage.say(f"somebody on the carrier dials {OWN_NUMBER}")
        await caller.reaches(CallState.ANSWERED, within_s=15.0)
        stage.say("bob has answered")
        heard = await caller.hears(lambda pcm: active_seconds(pcm) > 0.5, 10.0, "bob's voice")
        told.check("the caller hears bob", active_seconds(heard) > 0.5)
        await caller.hang_up()
        await bob.waits_for("ended")
        told.check("bob heard the caller", has_tone(await bob.heard(), CALLER_TONE_HZ))
    page = await stage.ok("GET", f"/v1/voice/calls?to={OWN_NUMBER.replace('+', '%2B')}&limit=1")
    call_id = str(page[0]["id"])
    call = await stage.until(call_id, "completed")
    told.check("the call is in the list, inbound", call["direction"] == "inbound", call["direction"])
    told.check("who hung up is known", call["ended_by"] == "caller", call["ended_by"])
    await _same_story(stage, told, call_id, "completed")


async def refused(stage: Stage, told: Told) -> None:
    """What must not be dialled is refused before a phone rings, with the rule's name."""
    async with await _carrier(stage) as carrier:
        for to, why in (("911", "an emergency number"), ("+19005550123", "a premium number")):
            status, answer = await stage.ask("POST", "/v1/voice/calls", {"to": to, "from": OWN_NUMBER})
            named = answer.get("error", {}).get("details", {}).get("field")
            told.check(f"{why} is refused and the field named", status == 422 and named == "to", answer)
        checked = await stage.ok(
            "POST", "/v1/voice/calls:check", {"to": "+4930123456", "from": "+12025550199"}
        )
        told.check("calls:check names the rules without dialling", checked["allowed"] is False, checked)
        told.check("no phone rang", not carrier.incoming)


STORIES: tuple[tuple[str, Story], ...] = (
    ("a recorded call between two phones", two_phones),
    ("an announcement", announcement),
    ("a busy call", busy),
    ("an unanswered call", unanswered),
    ("a cancelled call", cancelled),
    ("an inbound call", inbound),
    ("what is never dialled", refused),
    ("two people behind proxy numbers", masking),
    ("an agent who is told before the end", agents),
    ("a telephone in a video room", rooms),
)


async def _same_story(stage: Stage, told: Told, call_id: str, status: str, *, recorded: bool = False) -> None:
    """API, timeline and webhooks must tell the same."""
    last = "recording.ready" if recorded else f"call.{status}"
    deliveries = await stage.webhooks(call_id, last)
    faults = sorted({fault for delivery in deliveries for fault in delivery.faults})
    told.check("every webhook is signed", not faults, faults)
    events = await stage.ok("GET", f"/v1/voice/calls/{call_id}/events")
    timeline = [(event["sequence"], event["type"]) for event in events]
    sent = [(int(d.event["sequence"]), str(d.event["type"])) for d in deliveries]
    told.check("webhooks and timeline agree", sent == timeline, [name for _, name in timeline])
    finals = [d for d in deliveries if d.event["type"] == f"call.{status}"]
    told.check("there is exactly one terminal event", len(finals) == 1, len(finals))
    call = await stage.call(call_id)
    same = finals and finals[0].event["data"]["termination"] == call["termination"]
    told.check("webhook and API give the same termination", bool(same), call["termination"])
    stage.say(" → ".join(name for _, name in timeline))


async def _carrier(stage: Stage) -> SipPhone:
    decide = by_last_digits()
    return await SipPhone.open(
        CARRIER_IP,
        stage.carrier_port,
        decide=lambda facts: answers(after_ms=400) if facts.user.endswith("8020") else decide(facts),
        name="carrier",
    )


async def _own_number(stage: Stage) -> str:
    listed = await stage.ok("GET", "/api/v1/numbers")
    return str(next(number["id"] for number in listed if OWN_NUMBER in number.values()))
