"""Callers sent on by a document, sent along or fetched, as Twilio's routes take it."""

import asyncio
import json
from collections.abc import Mapping
from urllib.parse import parse_qs

import pytest

from gateway.webhooks.core.backoff import Answer as Fetched
from gateway.webhooks.core.backoff import NoReply, Reply
from tests.unit.http.agent_sessions import with_agent
from tests.unit.http.rig import FROM, TO, Rig
from tests.unit.http.twilio_asked import ACCOUNT, HANGUP, ask, refusal, token_of
from voice_agents.core.sids import call_sid

pytestmark = pytest.mark.unit

STREAM = (
    '<Response><Connect><Stream url="wss://bots.example.com/two">'
    '<Parameter name="a" value="1"/></Stream></Connect></Response>'
)


# ---------------------------------------------------------------- sent on


async def test_a_document_hangs_up(rig: Rig):
    call_id = await with_agent(rig)
    told = json.loads((await ask(rig, "POST", call_id, {"Twiml": HANGUP})).body)
    assert told["status"] == "completed"
    assert rig.agents.asked == [("end", call_id, False, "agent")]


async def test_a_document_sends_the_caller_to_a_number(rig: Rig):
    call_id = await with_agent(rig)
    document = f"<Response><Dial timeout='20'>{TO}</Dial></Response>"
    told = json.loads((await ask(rig, "POST", call_id, {"Twiml": document})).body)
    assert told["status"] == "in-progress"
    assert rig.agents.asked == [("transfer", call_id, TO, 20)]


@pytest.mark.parametrize(
    ("number", "code"),
    [("911", 13225), ("+19005551234", 13225), ("+18765551234", 13227), (FROM, 13225), ("12", 13224)],
)
async def test_a_document_sends_nobody_where_nobody_may_call(rig: Rig, number: str, code: int):
    call_id = await with_agent(rig)
    document = f"<Response><Dial>{number}</Dial></Response>"
    refusal(await ask(rig, "POST", call_id, {"Twiml": document}), 400, code)
    assert rig.agents.asked == []


async def test_the_agents_own_token_sends_callers_only_where_its_list_lets_it(rig: Rig):
    call_id = await with_agent(rig)
    document = f"<Response><Dial>{TO}</Dial></Response>"
    answer = await ask(rig, "POST", call_id, {"Twiml": document}, password=token_of(rig, call_id))
    refusal(answer, 400, 13225)


async def test_a_document_cannot_be_followed_without_an_agent_on_the_call(rig: Rig):
    call_id = await rig.answered()
    document = f"<Response><Dial>{TO}</Dial></Response>"
    refusal(await ask(rig, "POST", call_id, {"Twiml": document}), 400, 21220)
    refusal(await ask(rig, "POST", call_id, {"Twiml": "<Response><Say>x</Say></Response>"}), 400, 12200)


async def test_a_slow_transfer_is_answered_before_it_is_over(rig: Rig):
    call_id = await with_agent(rig)
    joined = asyncio.Event()

    async def rings(*_: object) -> str:
        await joined.wait()
        return "completed"

    rig.agents.transfer = rings
    document = f"<Response><Dial>{TO}</Dial></Response>"
    assert (await ask(rig, "POST", call_id, {"Twiml": document})).status == 200
    joined.set()
    await rig.settle()


async def test_a_document_brings_another_registered_agent(rig: Rig):
    bot = {"name": "Two", "dialect": "twilio", "url": "wss://bots.example.com/two"}
    call_id = await with_agent(rig)
    refusal(await ask(rig, "POST", call_id, {"Twiml": STREAM}), 400, 31920)
    agent = (await rig.client.post("/api/v1/agents", bot)).data["id"]
    refusal(await ask(rig, "POST", call_id, {"Twiml": STREAM}, password=token_of(rig, call_id)), 403, 20403)
    assert (await ask(rig, "POST", call_id, {"Twiml": STREAM})).status == 200
    assert rig.agents.asked == [("hand_over", call_id, agent, 1, (("a", "1"),))]
    private = STREAM.replace("wss://bots.example.com/two", "ws://127.0.0.1/")
    refusal(await ask(rig, "POST", call_id, {"Twiml": private}), 400, 20001)


# ---------------------------------------------------------------- documents elsewhere


class _Documents:
    """Fits the poster: answers with one document, and keeps what it was told."""

    def __init__(self, answer: Fetched) -> None:
        self.answer = answer
        self.told: list[tuple[str, dict[str, list[str]]]] = []

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Fetched:
        self.told.append((url, parse_qs(body.decode())))
        return self.answer


async def test_a_document_is_fetched_as_twilio_fetches_it(rig: Rig):
    documents = _Documents(Reply(200, {}, body=HANGUP.encode()))
    object.__setattr__(rig.face, "documents", documents)
    call_id = await with_agent(rig)
    told = json.loads((await ask(rig, "POST", call_id, {"Url": "https://app.example.com/twiml"})).body)
    assert told["status"] == "completed"
    url, form = documents.told[0]
    assert url == "https://app.example.com/twiml"
    assert form == {
        "CallSid": [call_sid(call_id)],
        "AccountSid": [ACCOUNT],
        "From": [FROM],
        "To": [TO],
        "CallStatus": ["in-progress"],
    }


@pytest.mark.parametrize(
    ("answer", "form", "code"),
    [
        (Reply(500, {}, body=HANGUP.encode()), {"Url": "https://app.example.com/"}, 11200),
        (NoReply("timeout", "late"), {"Url": "https://app.example.com/"}, 11200),
        (Reply(200, {}, body=b"\xff"), {"Url": "https://app.example.com/"}, 12100),
        (Reply(200, {}, body=b"no"), {"Url": "https://app.example.com/"}, 12100),
        (Reply(200, {}, body=HANGUP.encode()), {"Url": "https://10.0.0.1/"}, 20001),
        (Reply(200, {}, body=HANGUP.encode()), {"Url": "https://app.example.com/", "Method": "GET"}, 20001),
    ],
)
async def test_a_document_that_cannot_be_had_changes_nothing(
    rig: Rig, answer: Fetched, form: dict[str, str], code: int
):
    object.__setattr__(rig.face, "documents", _Documents(answer))
    call_id = await with_agent(rig)
    refusal(await ask(rig, "POST", call_id, form), 400, code)
    assert rig.agents.asked == []
