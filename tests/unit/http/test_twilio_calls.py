"""Twilio's routes for a call, as bots written for Twilio use them."""

import asyncio
import json
from base64 import b64encode
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode

import pytest

from gateway.webhooks.core.backoff import Answer as Fetched
from gateway.webhooks.core.backoff import NoReply, Reply
from telephony.ids import CallId
from tests.unit.http.asgi import Answer
from tests.unit.http.rig import FROM, OURS, THEIRS, TO, Rig, open_rig
from tests.unit.http.test_agents_on_calls import session
from voice_agents.core.control_token import Control, issue
from voice_agents.core.sids import account_sid, call_sid

pytestmark = pytest.mark.unit

ACCOUNT = account_sid(OURS)
HANGUP = "<Response><Hangup/></Response>"
STREAM = (
    '<Response><Connect><Stream url="wss://bots.example.com/two">'
    '<Parameter name="a" value="1"/></Stream></Connect></Response>'
)


def _token(rig: Rig, call_id: str) -> str:
    return issue(rig.face.signing_secret, Control(OURS, CallId(call_id), int(rig.clock.now()) + 600))


async def _ask(
    rig: Rig,
    method: str,
    call_id: str,
    form: Mapping[str, str] | None = None,
    *,
    password: str | None = None,
    user: str = ACCOUNT,
    account: str = ACCOUNT,
    path: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    secret = rig.keys["owner"] if password is None else password
    basic = b64encode(f"{user}:{secret}".encode()).decode()
    where = path or f"/2010-04-01/Accounts/{account}/Calls/{call_sid(call_id)}.json"
    sent = {"authorization": f"Basic {basic}", "content-type": "application/x-www-form-urlencoded"}
    body = None if form is None else urlencode(form).encode()
    return await rig.client.having(None).ask(method, where, body, {**sent, **(headers or {})})


def _refusal(answer: Answer, status: int, code: int) -> None:
    told = json.loads(answer.body)
    assert (answer.status, told["status"], told["code"]) == (status, status, code), told
    assert told["more_info"] == f"https://www.twilio.com/docs/errors/{code}"
    assert set(told) == {"code", "message", "more_info", "status"}


async def _with_agent(rig: Rig) -> str:
    call_id = await rig.answered()
    rig.agents.begin(session(call_id))
    return call_id


# ---------------------------------------------------------------- how it is shown


async def test_a_call_is_shown_in_twilios_words(rig: Rig):
    call_id = await rig.ended()
    answer = await _ask(rig, "GET", call_id)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    told = json.loads(answer.body)
    sid = call_sid(call_id)
    assert (told["sid"], told["account_sid"]) == (sid, ACCOUNT)
    assert (told["to"], told["from"], told["direction"]) == (TO, FROM, "outbound-api")
    assert (told["status"], told["duration"], told["api_version"]) == ("completed", "30", "2010-04-01")
    assert told["uri"] == f"/2010-04-01/Accounts/{ACCOUNT}/Calls/{sid}.json"
    took = parsedate_to_datetime(told["end_time"]) - parsedate_to_datetime(told["start_time"])
    assert took.total_seconds() == 30


@pytest.mark.parametrize(
    ("stage", "status"), [("place", "queued"), ("ringing", "ringing"), ("answered", "in-progress")]
)
async def test_a_call_under_way_has_twilios_status(rig: Rig, stage: str, status: str):
    made = await getattr(rig, stage)()
    told = json.loads((await _ask(rig, "GET", made if isinstance(made, str) else made["id"])).body)
    assert (told["status"], told["end_time"], told["duration"]) == (status, None, None)


async def test_numbers_are_masked_for_keys_that_may_not_see_them(rig: Rig):
    call_id = await rig.ended()
    for password in (rig.keys["viewer"], _token(rig, call_id)):
        assert TO.encode() not in (await _ask(rig, "GET", call_id, password=password)).body


# ---------------------------------------------------------------- who may


async def test_the_token_of_the_call_is_a_password_for_it_alone(rig: Rig):
    call_id, other = await _with_agent(rig), await rig.answered()
    token = _token(rig, call_id)
    assert (await _ask(rig, "GET", call_id, password=token)).status == 200
    _refusal(await _ask(rig, "GET", other, password=token), 404, 20404)
    _refusal(await _ask(rig, "POST", other, {"Status": "completed"}, password=token), 404, 20404)
    ended = await _ask(rig, "POST", call_id, {"Status": "completed"}, password=token)
    assert json.loads(ended.body)["status"] == "completed"
    assert rig.agents.asked == [("end", call_id, False, "agent")]
    rig.clock.advance(600)
    _refusal(await _ask(rig, "GET", call_id, password=token), 401, 20003)


async def test_the_secret_of_the_agent_is_a_password_for_its_calls_alone(rig: Rig):
    """Bots have one AuthToken: with it they check our signatures, and give it here."""
    bot = {"name": "Bot", "dialect": "twilio", "url": "wss://bots.example.com/one"}
    made = (await rig.client.post("/api/v1/agents", bot)).data
    ours = {"agent_id": made["id"], "answered_by": made["id"], "agent_version": 1}
    call_id, other, quiet = await rig.answered(), await rig.answered(), await rig.answered()
    rig.agents.begin(session(call_id, **ours))
    rig.agents.begin(session(other))
    secret = made["signing_secret"]
    assert made["account_sid"] == ACCOUNT
    assert (await _ask(rig, "GET", call_id, password=secret)).status == 200
    for foreign in (other, quiet):
        _refusal(await _ask(rig, "POST", foreign, {"Status": "completed"}, password=secret), 401, 20003)
    theirs = account_sid(THEIRS)
    for who in ({"user": theirs, "account": theirs}, {"user": theirs}, {"password": secret + "x"}):
        answer = await _ask(rig, "GET", call_id, **{"password": secret, **who})
        _refusal(answer, 401, 20003)
    ended = await _ask(rig, "POST", call_id, {"Status": "completed"}, password=secret)
    assert json.loads(ended.body)["status"] == "completed"
    await rig.face.books.sessions.save(session(call_id, **ours))
    again = await _ask(rig, "POST", call_id, {"Status": "completed"}, password=secret)
    assert (again.status, json.loads(again.body)["status"]) == (200, "completed")
    rotated = (await rig.client.post(f"/api/v1/agents/{made['id']}/rotate-secret")).data
    _refusal(await _ask(rig, "GET", call_id, password=secret), 401, 20003)
    assert (await _ask(rig, "GET", call_id, password=rotated["signing_secret"])).status == 200


async def test_an_agent_without_a_secret_has_no_password(rig: Rig):
    made = (await rig.client.post("/api/v1/agents", {"name": "Bare"})).data
    assert made["account_sid"] is None
    call_id = await rig.answered()
    rig.agents.begin(session(call_id, agent_id=made["id"], answered_by=made["id"], agent_version=1))
    _refusal(await _ask(rig, "GET", call_id, password=" "), 401, 20003)


async def test_whoever_is_not_the_account_is_turned_away(rig: Rig):
    call_id = await rig.answered()
    theirs = account_sid(THEIRS)
    wrong: list[dict[str, Any]] = [
        {"password": "wrong"},
        {"password": rig.keys["theirs"]},
        {"user": theirs},
        {"account": theirs},
        {"user": theirs, "account": theirs},
        {"headers": {"authorization": "Bearer " + rig.keys["owner"]}},
        {"headers": {"authorization": "Basic ???"}},
        {"headers": {"authorization": "Basic " + b64encode(ACCOUNT.encode()).decode()}},
        {"headers": {"authorization": ""}},
    ]
    for change in wrong:
        answer = await _ask(rig, "POST", call_id, {"Status": "completed"}, **change)
        _refusal(answer, 401, 20003)
        assert answer.headers["www-authenticate"].startswith("Basic")
    assert rig.director.live(CallId(call_id)) is not None


async def test_an_api_key_goes_by_its_id_too(rig: Rig):
    call_id = await rig.answered()
    keys = (await rig.client.get("/api/v1/settings/api-keys")).data
    ids = {key["name"]: key["id"] for key in keys}
    assert (await _ask(rig, "GET", call_id, user=ids["owner"])).status == 200
    for wrong in ({"user": ids["viewer"]}, {"user": ids["owner"], "account": account_sid(THEIRS)}):
        _refusal(await _ask(rig, "GET", call_id, **wrong), 401, 20003)


async def test_strangers_are_counted(rig: Rig):
    call_id = await rig.answered()
    for _ in range(60):
        await _ask(rig, "GET", call_id, password="wrong")
    _refusal(await _ask(rig, "GET", call_id, password="wrong"), 429, 20429)


async def test_another_tenant_finds_nothing_under_its_own_account(rig: Rig):
    call_id = await rig.answered()
    theirs = account_sid(THEIRS)
    answer = await _ask(rig, "GET", call_id, password=rig.keys["theirs"], user=theirs, account=theirs)
    _refusal(answer, 404, 20404)


async def test_a_role_that_changes_no_calls_does_not_here(rig: Rig):
    call_id = await rig.answered()
    assert (await _ask(rig, "GET", call_id, password=rig.keys["viewer"])).status == 200
    answer = await _ask(rig, "POST", call_id, {"Status": "completed"}, password=rig.keys["viewer"])
    _refusal(answer, 403, 20403)


@pytest.mark.parametrize("call", ["CA0.json", "CA" + "0" * 32, "CA" + "0" * 32 + ".xml", "call_1.json"])
async def test_what_is_no_call_of_ours_is_not_found(rig: Rig, call: str):
    path = f"/2010-04-01/Accounts/{ACCOUNT}/Calls/{call}"
    _refusal(await _ask(rig, "GET", "call_" + "0" * 26, path=path), 404, 20404)


# ---------------------------------------------------------------- the end


async def test_completed_ends_an_answered_call_after_the_agents_words(rig: Rig):
    call_id = await _with_agent(rig)
    told = json.loads((await _ask(rig, "POST", call_id, {"Status": "completed"})).body)
    assert (told["sid"], told["status"]) == (call_sid(call_id), "completed")
    assert rig.agents.asked == [("end", call_id, False, "agent")]
    again = await _ask(rig, "POST", call_id, {"Status": "completed"})
    assert (again.status, json.loads(again.body)["status"]) == (200, "completed")


async def test_canceled_ends_a_ringing_call_and_no_other(rig: Rig):
    ringing, answered = await rig.ringing(), await rig.answered()
    told = json.loads((await _ask(rig, "POST", ringing, {"Status": "canceled"})).body)
    assert told["status"] == "canceled"
    _refusal(await _ask(rig, "POST", answered, {"Status": "canceled"}), 400, 21220)


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"Status": "paused"},
        {"Status": "completed", "Twiml": HANGUP},
        {"StatusCallback": "https://example.com/"},
        {"Status": "completed", "TimeLimit": "5"},
    ],
)
async def test_what_cannot_be_done_is_refused_and_nothing_is(rig: Rig, form: dict[str, str]):
    call_id = await _with_agent(rig)
    _refusal(await _ask(rig, "POST", call_id, form), 400, 20001)
    assert rig.agents.asked == []


async def test_a_form_is_a_form(rig: Rig):
    call_id = await _with_agent(rig)
    as_json = {"content-type": "application/json"}
    answer = await _ask(rig, "POST", call_id, {"Status": "completed"}, headers=as_json)
    assert json.loads(answer.body)["code"] == 20001
    assert rig.agents.asked == []


# ---------------------------------------------------------------- sent on


async def test_a_document_hangs_up(rig: Rig):
    call_id = await _with_agent(rig)
    told = json.loads((await _ask(rig, "POST", call_id, {"Twiml": HANGUP})).body)
    assert told["status"] == "completed"
    assert rig.agents.asked == [("end", call_id, False, "agent")]


async def test_a_document_sends_the_caller_to_a_number(rig: Rig):
    call_id = await _with_agent(rig)
    document = f"<Response><Dial timeout='20'>{TO}</Dial></Response>"
    told = json.loads((await _ask(rig, "POST", call_id, {"Twiml": document})).body)
    assert told["status"] == "in-progress"
    assert rig.agents.asked == [("transfer", call_id, TO, 20)]


@pytest.mark.parametrize(
    ("number", "code"),
    [("911", 13225), ("+19005551234", 13225), ("+18765551234", 13227), (FROM, 13225), ("12", 13224)],
)
async def test_a_document_sends_nobody_where_nobody_may_call(rig: Rig, number: str, code: int):
    call_id = await _with_agent(rig)
    document = f"<Response><Dial>{number}</Dial></Response>"
    _refusal(await _ask(rig, "POST", call_id, {"Twiml": document}), 400, code)
    assert rig.agents.asked == []


async def test_the_agents_own_token_sends_callers_only_where_its_list_lets_it(rig: Rig):
    call_id = await _with_agent(rig)
    document = f"<Response><Dial>{TO}</Dial></Response>"
    answer = await _ask(rig, "POST", call_id, {"Twiml": document}, password=_token(rig, call_id))
    _refusal(answer, 400, 13225)


async def test_a_document_cannot_be_followed_without_an_agent_on_the_call(rig: Rig):
    call_id = await rig.answered()
    document = f"<Response><Dial>{TO}</Dial></Response>"
    _refusal(await _ask(rig, "POST", call_id, {"Twiml": document}), 400, 21220)
    _refusal(await _ask(rig, "POST", call_id, {"Twiml": "<Response><Say>x</Say></Response>"}), 400, 12200)


async def test_a_slow_transfer_is_answered_before_it_is_over(rig: Rig):
    call_id = await _with_agent(rig)
    joined = asyncio.Event()

    async def rings(*_: object) -> str:
        await joined.wait()
        return "completed"

    rig.agents.transfer = rings
    document = f"<Response><Dial>{TO}</Dial></Response>"
    assert (await _ask(rig, "POST", call_id, {"Twiml": document})).status == 200
    joined.set()
    await rig.settle()


async def test_a_document_brings_another_registered_agent(rig: Rig):
    bot = {"name": "Two", "dialect": "twilio", "url": "wss://bots.example.com/two"}
    call_id = await _with_agent(rig)
    _refusal(await _ask(rig, "POST", call_id, {"Twiml": STREAM}), 400, 31920)
    agent = (await rig.client.post("/api/v1/agents", bot)).data["id"]
    _refusal(await _ask(rig, "POST", call_id, {"Twiml": STREAM}, password=_token(rig, call_id)), 403, 20403)
    assert (await _ask(rig, "POST", call_id, {"Twiml": STREAM})).status == 200
    assert rig.agents.asked == [("hand_over", call_id, agent, 1, (("a", "1"),))]
    private = STREAM.replace("wss://bots.example.com/two", "ws://127.0.0.1/")
    _refusal(await _ask(rig, "POST", call_id, {"Twiml": private}), 400, 20001)


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
    call_id = await _with_agent(rig)
    told = json.loads((await _ask(rig, "POST", call_id, {"Url": "https://app.example.com/twiml"})).body)
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
    call_id = await _with_agent(rig)
    _refusal(await _ask(rig, "POST", call_id, form), 400, code)
    assert rig.agents.asked == []


# ---------------------------------------------------------------- told in Twilio's shape, whoever refuses


async def test_other_methods_are_told(rig: Rig):
    call_id = await rig.answered()
    answer = await _ask(rig, "DELETE", call_id)
    _refusal(answer, 405, 20004)
    assert answer.headers["allow"] == "GET, POST"


async def test_unknown_addresses_are_told(rig: Rig):
    accounts = f"/Accounts/{ACCOUNT}"
    calls = ["/Calls.json", "/Calls/a b", f"/Calls/CA{'0' * 32}/Recordings.json"]
    for path in ("", "/", "/../v1/voice/calls", f"{accounts}.json", *(accounts + call for call in calls)):
        for method in ("GET", "POST"):
            _refusal(await _ask(rig, method, "call_" + "0" * 26, path="/2010-04-01" + path), 404, 20404)


async def test_what_only_looks_like_twilios_address_is_told_as_elsewhere(rig: Rig):
    for path in ("/2010-04-011", "/2010-04", "/v1/2010-04-01/Accounts"):
        assert (await rig.client.get(path)).code == "NOT_FOUND"


async def test_a_body_too_large_is_told(rig: Rig):
    call_id = await _with_agent(rig)
    answer = await _ask(rig, "POST", call_id, {"Twiml": "x" * 16 * 1024})
    _refusal(answer, 413, 20001)
    assert answer.headers["connection"] == "close"


async def test_a_query_too_long_is_told(rig: Rig):
    path = f"/2010-04-01/Accounts/{ACCOUNT}/Calls/CA{'0' * 32}.json?{'a' * 65_537}"
    _refusal(await _ask(rig, "GET", "call_" + "0" * 26, path=path), 400, 20001)


async def test_too_many_requests_of_a_key_are_told(tmp_path: Path):
    async with open_rig(tmp_path, environment={"PATCHBAY_API_RATE_PER_MINUTE": "1"}) as rig:
        absent = "call_" + "0" * 26
        _refusal(await _ask(rig, "GET", absent), 404, 20404)
        answer = await _ask(rig, "GET", absent)
        _refusal(answer, 429, 20429)
        assert int(answer.headers["retry-after"]) > 0


async def test_a_defect_is_told_bare(rig: Rig):
    async def break_(*_: object, **__: object) -> None:
        raise ZeroDivisionError("inner secret")

    call_id = await rig.answered()
    rig.face.books.calls.get = break_
    answer = await _ask(rig, "GET", call_id)
    _refusal(answer, 500, 20500)
    assert b"secret" not in answer.body
