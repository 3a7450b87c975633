"""Agents on real calls that people and apps lead: taken over, handed over, told of what became of a call."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest

from gateway.trial.audio import tone, tone_seconds, ulaw_encode
from gateway.trial.listener import Delivery, WebhookListener
from gateway.trial.sip_behaviour import answers
from gateway.trial.sip_call import CallState
from gateway.trial.sip_outgoing import Dial
from gateway.trial.watch import Watch
from tests.e2e.tone_bot import (
    CALLER,
    CALLER_HZ,
    GREETING_HZ,
    Bot,
    agent,
    calling_us,
    hears,
    whole_farewell,
)
from tests.e2e.visitor import newest_call_to_us, registered, route_own_number
from tests.rig.agent_servers import Socket, serving
from tests.rig.product import OWN, Json, Product

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

ALICE_HZ, BACK_HZ = 800.0, 1900.0
BUSY = "+14155550486"
ANSWERS = "+14155552000"
SECRET = "the-secret-of-two-bots-on-one-call"


async def test_a_human_takes_the_call_over_and_hands_it_back(house: Product) -> None:
    bot = Bot()
    async with (
        registered(house, "alice", lambda _: answers(audio=tone(ALICE_HZ, 10.0))) as alice,
        calling_us(house, bot) as (_, phone),
    ):
        await phone.reaches(CallState.ANSWERED, within_s=30.0)
        await phone.hears(hears(GREETING_HZ, 0.4), 20.0, "the greeting")
        call = await newest_call_to_us(house)
        path = f"/v1/voice/calls/{call['id']}/agent"
        moved = await house.api.ok("POST", f"{path}/take-over", {"to": "phone:alice"})
        assert moved["outcome"] == "completed"
        human = await alice.receives(within_s=30.0)
        await phone.hears(hears(ALICE_HZ, 0.4), 20.0, "the human")
        await human.hears(hears(CALLER_HZ, 0.4), 20.0, "the caller, to the human")
        shown = await house.api.call(call["id"])
        assert (shown["status"], shown["agent"]["ended_at"]) == ("in_progress", None), "the agent waits"
        assert bot.endings == []

        await house.api.ok("POST", f"{path}/hand-back")
        await human.reaches(CallState.ENDED)
        bot.heard.clear()
        await bot.until(lambda: tone_seconds(bytes(bot.heard), CALLER_HZ) >= 0.3, "the caller is heard again")
        bot.calls[0].sound(tone(BACK_HZ, 0.6))
        await phone.hears(hears(BACK_HZ, 0.4), 20.0, "the agent, again")
        await house.api.ok("POST", f"/v1/voice/calls/{call['id']}/hangup")
        await phone.reaches(CallState.ENDED)
        assert whole_farewell(phone.stream.heard())
    assert len(bot.calls) == 1, "one session from the first to the last"
    told = [(e["type"], e["detail"]) for e in await house.api.events(call["id"]) if "transfer" in e["type"]]
    assert [(kind, d["outcome"]) for kind, d in told] == [("call.transfer_completed", "completed")] * 2


@dataclass(slots=True)
class Stream:
    """A bot for Media Streams that says one tone and keeps what it is told, sound left out."""

    hz: float
    told: list[Json] = field(default_factory=list)
    watch: Watch = field(default_factory=Watch)

    async def behave(self, socket: Socket) -> None:
        start = await socket.event("start", key="event")
        self.told.append(start)
        payload = base64.b64encode(ulaw_encode(tone(self.hz, 0.6))).decode()
        socket.send({"event": "media", "streamSid": start["streamSid"], "media": {"payload": payload}})
        async for message in socket:
            event: dict[str, Any] = json.loads(message)
            if event["event"] != "media":
                self.told.append(event)
                self.watch.changed()


@asynccontextmanager
async def streams(house: Product, bot: Stream, name: str) -> AsyncIterator[Json]:
    async with serving(bot.behave) as server:
        wanted = {
            "name": name,
            "dialect": "twilio",
            "url": server.url,
            "auth": {"kind": "hmac", "secret": SECRET},
        }
        made = await house.api.ok("POST", "/api/v1/agents", wanted)
        yield made
        await house.api.ok("DELETE", f"/api/v1/agents/{made['id']}")


async def test_another_bot_takes_the_call_by_twilios_redirect(house: Product) -> None:
    first, second = Stream(GREETING_HZ), Stream(BACK_HZ)
    async with streams(house, first, "first") as one, streams(house, second, "second") as other:
        await route_own_number(house, route={"type": "agent", "agent_id": one["id"]})
        phone = house.carrier.call(Dial(OWN, house.sip, CALLER, audio=tone(CALLER_HZ, 10.0)))
        await phone.hears(hears(GREETING_HZ, 0.4), 30.0, "the first bot")
        start = first.told[0]["start"]
        document = (
            f'<Response><Connect><Stream url="{other["url"]}"><Parameter name="why" value="sales"/></Stream>'
            "</Connect></Response>"
        )
        status, shown = await redirected(house, start, {"Twiml": document})
        assert (status, shown["status"]) == (200, "in-progress")
        await phone.hears(hears(BACK_HZ, 0.4), 30.0, "the second bot")
        fresh = second.told[0]["start"]
        assert (fresh["callSid"], fresh["customParameters"]["why"]) == (start["callSid"], "sales")
        await first.watch.until(
            lambda: first.told[-1]["event"] == "stop",
            within_s=30.0,
            what="the first bot is told that it is over",
        )
        assert tone_seconds(phone.stream.heard(), GREETING_HZ) >= 0.5, "what the first one said was heard"
        call = await newest_call_to_us(house)
        call = await house.api.until(
            call["id"],
            lambda seen: bool(seen["agent"]["answered_by"] == other["id"]),
            what="answered by the other",
        )
        assert call["agent"]["agent_id"] == one["id"]
        await phone.hang_up()
        ended = await house.api.ended(call["id"])
        assert ended["termination"]["reason"] == "hangup_by_caller"
        await route_own_number(house, route={"type": "hold"})


async def redirected(house: Product, start: Json, form: dict[str, str]) -> tuple[int, Json]:
    """As an app that knows Twilio does it: AccountSid, and a key of the account as its AuthToken."""
    account = start["accountSid"]
    url = f"{house.api.root}/2010-04-01/Accounts/{account}/Calls/{start['callSid']}.json"
    auth = aiohttp.BasicAuth(account, house.key)
    async with aiohttp.ClientSession(auth=auth) as http, http.post(url, data=form) as response:
        return response.status, await response.json()


async def test_an_agent_whose_callee_is_busy_is_told_at_once(house: Product) -> None:
    told: list[tuple[float, Json]] = []
    watch = Watch()

    async def behave(socket: Socket) -> None:
        socket.send({"type": "session.ready"})
        async for message in socket:
            told.append((asyncio.get_running_loop().time(), json.loads(message)))
            watch.changed()

    async with serving(behave) as server:
        wanted: Json = {"name": "caller", "dialect": "native", "url": server.url, "auth": {"kind": "none"}}
        wanted["shutdown"] = {"summary_ms": 300}
        made = await house.api.ok("POST", "/api/v1/agents", wanted)
        call_id = await house.api.place(BUSY, agent_id=made["id"])
        ended = await house.api.ended(call_id)
        ended_at = asyncio.get_running_loop().time()
        await house.api.until(call_id, lambda call: bool((call["agent"] or {}).get("ended_at")), 30.0, "kept")
        await watch.until(
            lambda: bool(told) and told[-1][1]["type"] == "session.ended",
            within_s=30.0,
            what="the agent is told that it is over",
        )
        await house.api.ok("DELETE", f"/api/v1/agents/{made['id']}")
    assert (ended["status"], ended["termination"]["reason"]) == ("busy", "busy")
    assert [event["type"] for _, event in told] == ["session.begin", "session.ending", "session.ended"]
    at, ending = told[1]
    assert (ending["reason"], ending["may_speak"]) == ("caller_hangup", False)
    assert at < ended_at + 5.0


async def test_what_becomes_of_an_agents_session_is_told_by_webhook(
    house: Product, listener: WebhookListener
) -> None:
    bot = Bot()
    async with agent(house, bot) as made:
        call_id = await house.api.place(ANSWERS, agent_id=made["id"], webhook_url=listener.url("agents"))
        await bot.until(lambda: bool(bot.calls), "the agent is on the call")
        await house.api.ok("POST", f"/v1/voice/calls/{call_id}/hangup")
        await listener.waits_for(lambda d: d.event["type"] == "agent.session.ended", 30.0)
    about = {d.webhook_id: d for d in listener.deliveries if of_session(d, call_id)}
    sent = sorted(about.values(), key=lambda d: int(d.event["sequence"]))
    assert [fault for delivery in sent for fault in delivery.faults] == []
    names = [d.event["type"].removeprefix("agent.session.") for d in sent]
    assert names == ["ready", "talking", "ending", "ended"]
    assert [d.event["sequence"] for d in sent] == [1, 2, 3, 4]
    ending, over = (d.event["data"] for d in sent[-2:])
    assert ending["agent_id"] == over["agent_id"] == made["id"]
    assert ending["detail"] == {"reason": "api_hangup", "initiated_by": "api", "may_speak": True}
    assert (over["state"], over["detail"]["how"]) == ("ended", "acked")
    assert OWN not in str(ending)
    assert ANSWERS not in str(ending)


def of_session(delivery: Delivery, call_id: str) -> bool:
    event = delivery.event
    return bool(event["type"].startswith("agent.") and event["data"]["call_id"] == call_id)
