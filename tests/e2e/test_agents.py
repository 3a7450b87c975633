"""Agents on real calls, from outside: they are heard, they hear, and are told first when a call shall end."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.trial.audio import tone, tone_seconds, ulaw_decode
from gateway.trial.sip_call import CallState
from gateway.trial.sip_outgoing import Dial
from patchbay_agent import Call
from tests.e2e.conftest import CARRIER_HZ
from tests.e2e.tone_bot import (
    CALLER,
    CALLER_HZ,
    FAREWELL_HZ,
    FAREWELL_S,
    GREETING_HZ,
    Bot,
    agent,
    calling_us,
    hears,
    whole_farewell,
)
from tests.e2e.visitor import given_up, newest_call_to_us, recording_of, registered, route_own_number
from tests.rig.media_streams_bot import media_streams_bot
from tests.rig.product import OWN, Product

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

TONE = "+14155556000"


async def test_the_app_hangs_up_and_the_agents_last_word_is_heard(house: Product, tmp_path: Path) -> None:
    bot = Bot()
    async with calling_us(house, bot) as (made, phone):
        await phone.reaches(CallState.ANSWERED, within_s=30.0)
        await phone.hears(hears(GREETING_HZ, 0.4), 20.0, "the greeting")
        await bot.until(lambda: tone_seconds(bytes(bot.heard), CALLER_HZ) >= 0.4, "the caller is heard")
        call = await newest_call_to_us(house)
        assert call["agent_id"] == made["id"]
        ended = await house.api.ok("POST", f"/v1/voice/calls/{call['id']}/hangup")
        assert ended["status"] == "completed"
        await phone.reaches(CallState.ENDED, within_s=30.0)
        assert whole_farewell(phone.stream.heard()), "the farewell was heard to its end"
    ending = bot.endings[0]
    assert ending is not None
    assert (ending.reason, ending.may_speak) == ("api_hangup", True)
    assert bot.farewell_heard == [True]
    shown = await house.api.until(
        call["id"], lambda one: bool((one.get("agent_summary") or {}).get("text")), 30.0, "summed up"
    )
    assert "A caller and a tone met." in str(shown["agent_summary"])
    on_call = shown["agent"]
    assert (on_call["reason"], on_call["initiated_by"], on_call["how"]) == ("api_hangup", "api", "acked")
    assert on_call["agent_notified_at"] < shown["ended_at"], "the agent was told before the call ended"
    assert on_call["words_lost_ms"] == 0
    wave = await recording_of(house, call["id"], tmp_path)
    assert whole_farewell(wave.channel(1)), "and is in the recording"
    said = await house.api.ok("GET", f"/v1/voice/calls/{call['id']}/transcript")
    assert "this is the tone speaking" in str(said)


async def test_a_caller_who_hangs_up_is_told_to_the_agent(house: Product) -> None:
    bot = Bot()
    async with calling_us(house, bot) as (_, phone):
        await phone.reaches(CallState.ANSWERED, within_s=30.0)
        await phone.hears(hears(GREETING_HZ, 0.3), 20.0, "the greeting")
        await phone.hang_up()
        call = await newest_call_to_us(house)
        ended = await house.api.ended(call["id"])
        assert ended["termination"]["reason"] == "hangup_by_caller"
        await bot.until(lambda: bool(bot.endings), "the agent is told")
    ending = bot.endings[0]
    assert ending is not None
    assert (ending.reason, ending.may_speak) == ("caller_hangup", False)


async def test_the_agent_hangs_up_once_all_was_heard(house: Product) -> None:
    async def leave(call: Call) -> None:
        call.sound(tone(FAREWELL_HZ, FAREWELL_S))
        call.hang_up("done")

    bot = Bot(then=leave)
    async with calling_us(house, bot) as (_, phone):
        await phone.reaches(CallState.ENDED, within_s=30.0)
        assert whole_farewell(phone.stream.heard())
        ended = await house.api.ended((await newest_call_to_us(house))["id"])
        assert ended["termination"]["reason"] == "hangup_by_agent"


async def test_an_agent_calls_somebody(house: Product) -> None:
    bot = Bot()
    async with agent(house, bot) as made:
        call_id = await house.api.place(TONE, agent_id=made["id"])
        heard = lambda: tone_seconds(bytes(bot.heard), CARRIER_HZ) >= 0.5  # noqa: E731
        await bot.until(heard, "whoever was called is heard")
        assert bot.calls[0].called == TONE
        await house.api.ok("POST", f"/v1/voice/calls/{call_id}/hangup")
        ended = await house.api.ended(call_id)
        assert (ended["status"], ended["agent_id"]) == ("completed", made["id"])
        assert bot.farewell_heard == [True]


async def test_an_agent_sends_the_caller_on(house: Product) -> None:
    bot = Bot()

    async def send_on(call: Call) -> None:
        bot.outcomes.append(await call.transfer("phone:alice"))
        bot.watch.changed()

    bot.then = send_on
    async with (
        registered(house, "alice") as alice,
        calling_us(house, bot, transfer_allow=["phone:alice"]) as (_, phone),
    ):
        rung = await alice.receives(within_s=30.0)
        await rung.reaches(CallState.ANSWERED)
        await bot.until(lambda: bool(bot.outcomes), "the outcome is told")
        assert bot.outcomes == ["completed"]
        await phone.hang_up()
        await rung.reaches(CallState.ENDED)


async def test_an_agent_in_a_masking_session_never_learns_the_number(house: Product) -> None:
    bot = Bot()
    pool = "+12025550161"
    number = await house.api.ok("POST", "/api/v1/numbers", {"e164": pool, "capabilities": ["voice"]})
    in_pool = await house.api.ok("POST", "/api/v1/proxy/pool/numbers", {"e164": pool, "reserved": True})
    async with agent(house, bot) as made:
        session = await house.api.ok(
            "POST",
            "/v1/proxy/sessions",
            {
                "party_a": CALLER,
                "party_b": f"agent:{made['id']}",
                "channels": ["voice"],
                "proxy_number_a": pool,
                "quarantine": 0,
            },
        )
        dial = Dial(session["proxy_number_a"], house.sip, CALLER, audio=tone(CALLER_HZ, 10.0))
        phone = house.carrier.call(dial)
        await phone.reaches(CallState.ANSWERED, within_s=30.0)
        await phone.hears(hears(GREETING_HZ, 0.4), 20.0, "the greeting")
        await phone.hang_up()
        await bot.until(lambda: bool(bot.endings), "the agent is told")
        digits = CALLER.removeprefix("+")
        assert digits not in str(bot.calls[0].begun), "the agent was not told who calls"
        await house.api.ok("DELETE", f"/v1/proxy/sessions/{session['id']}")
    await given_up(house, f"/v1/proxy/pool/numbers/{in_pool['id']}")
    await given_up(house, f"/api/v1/numbers/{number['id']}")


async def test_a_bot_written_for_media_streams_works_as_it_is(house: Product) -> None:
    """The bot knows Twilio's documentation and nothing else: the stream's messages, and one REST route."""
    secret = "the-auth-token-of-this-bot"
    async with media_streams_bot(house.api.root, secret) as bot:
        wanted = {
            "name": "streams",
            "dialect": "twilio",
            "url": f"ws://127.0.0.1:{bot.port}/stream",
            "auth": {"kind": "hmac", "secret": secret},
            "parameters": {"campaign": "retention"},
        }
        made = await house.api.ok("POST", "/api/v1/agents", wanted)
        await route_own_number(house, route={"type": "agent", "agent_id": made["id"]})
        try:
            phone = house.carrier.call(Dial(OWN, house.sip, CALLER, audio=tone(CALLER_HZ, 10.0)))
            await phone.reaches(CallState.ENDED, within_s=30.0)
            assert tone_seconds(phone.stream.heard(), GREETING_HZ) > 0.8, "all that it said was heard"
            told = lambda: bool(bot.rest) and bot.events[-1]["event"] == "stop"  # noqa: E731
            await bot.watch.until(told, within_s=30.0, what="the bot is told, and its request answered")
            ended = await house.api.ended((await newest_call_to_us(house))["id"])
            assert ended["termination"]["reason"] == "hangup_by_agent"
        finally:
            await route_own_number(house, route={"type": "hold"})
            await house.api.ok("DELETE", f"/api/v1/agents/{made['id']}")
    names = [event["event"] for event in bot.events]
    assert names[:2] == ["connected", "start"]
    assert names[-1] == "stop"
    start = bot.events[1]["start"]
    assert start["mediaFormat"] == {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
    assert start["customParameters"]["campaign"] == "retention"
    assert bot.marks == ["said"], "the mark came back once"
    assert bot.rest == [200]
    assert tone_seconds(ulaw_decode(bytes(bot.heard)), CALLER_HZ) > 0.3


async def test_an_agent_that_is_not_there_leaves_nobody_in_silence(house: Product) -> None:
    wanted = {"name": "gone", "dialect": "native", "url": "ws://127.0.0.1:9/agent", "codec": "slin"}
    made = await house.api.ok("POST", "/api/v1/agents", wanted)
    await route_own_number(house, route={"type": "agent", "agent_id": made["id"]})
    try:
        phone = house.carrier.call(Dial(OWN, house.sip, CALLER))
        await phone.reaches(CallState.ENDED, within_s=30.0)
        ended = await house.api.ended((await newest_call_to_us(house))["id"])
        assert ended["status"] == "failed"
        assert ended["termination"]["reason"] == "agent_unavailable"
    finally:
        await route_own_number(house, route={"type": "hold"})
        await house.api.ok("DELETE", f"/api/v1/agents/{made['id']}")
