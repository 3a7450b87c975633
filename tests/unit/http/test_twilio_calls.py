"""Twilio's routes for a call, as bots written for Twilio use them."""

import json
from base64 import b64encode
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from telephony.ids import CallId
from tests.unit.http.agent_sessions import session, with_agent
from tests.unit.http.rig import FROM, THEIRS, TO, Rig
from tests.unit.http.twilio_asked import ACCOUNT, HANGUP, ask, refusal, token_of
from voice_agents.core.sids import account_sid, call_sid

pytestmark = pytest.mark.unit


# ---------------------------------------------------------------- how it is shown


async def test_a_call_is_shown_in_twilios_words(rig: Rig):
    call_id = await rig.ended()
    answer = await ask(rig, "GET", call_id)
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
    told = json.loads((await ask(rig, "GET", made if isinstance(made, str) else made["id"])).body)
    assert (told["status"], told["end_time"], told["duration"]) == (status, None, None)


async def test_numbers_are_masked_for_keys_that_may_not_see_them(rig: Rig):
    call_id = await rig.ended()
    for password in (rig.keys["viewer"], token_of(rig, call_id)):
        assert TO.encode() not in (await ask(rig, "GET", call_id, password=password)).body


# ---------------------------------------------------------------- who may


async def test_the_token_of_the_call_is_a_password_for_it_alone(rig: Rig):
    call_id, other = await with_agent(rig), await rig.answered()
    token = token_of(rig, call_id)
    assert (await ask(rig, "GET", call_id, password=token)).status == 200
    refusal(await ask(rig, "GET", other, password=token), 404, 20404)
    refusal(await ask(rig, "POST", other, {"Status": "completed"}, password=token), 404, 20404)
    ended = await ask(rig, "POST", call_id, {"Status": "completed"}, password=token)
    assert json.loads(ended.body)["status"] == "completed"
    assert rig.agents.asked == [("end", call_id, False, "agent")]
    rig.clock.advance(600)
    refusal(await ask(rig, "GET", call_id, password=token), 401, 20003)


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
    assert (await ask(rig, "GET", call_id, password=secret)).status == 200
    for foreign in (other, quiet):
        refusal(await ask(rig, "POST", foreign, {"Status": "completed"}, password=secret), 401, 20003)
    theirs = account_sid(THEIRS)
    for who in ({"user": theirs, "account": theirs}, {"user": theirs}, {"password": secret + "x"}):
        answer = await ask(rig, "GET", call_id, **{"password": secret, **who})
        refusal(answer, 401, 20003)
    ended = await ask(rig, "POST", call_id, {"Status": "completed"}, password=secret)
    assert json.loads(ended.body)["status"] == "completed"
    await rig.face.books.sessions.save(session(call_id, **ours))
    again = await ask(rig, "POST", call_id, {"Status": "completed"}, password=secret)
    assert (again.status, json.loads(again.body)["status"]) == (200, "completed")
    rotated = (await rig.client.post(f"/api/v1/agents/{made['id']}/rotate-secret")).data
    refusal(await ask(rig, "GET", call_id, password=secret), 401, 20003)
    assert (await ask(rig, "GET", call_id, password=rotated["signing_secret"])).status == 200


async def test_an_agent_without_a_secret_has_no_password(rig: Rig):
    made = (await rig.client.post("/api/v1/agents", {"name": "Bare"})).data
    assert made["account_sid"] is None
    call_id = await rig.answered()
    rig.agents.begin(session(call_id, agent_id=made["id"], answered_by=made["id"], agent_version=1))
    refusal(await ask(rig, "GET", call_id, password=" "), 401, 20003)


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
        answer = await ask(rig, "POST", call_id, {"Status": "completed"}, **change)
        refusal(answer, 401, 20003)
        assert answer.headers["www-authenticate"].startswith("Basic")
    assert rig.director.live(CallId(call_id)) is not None


async def test_an_api_key_goes_by_its_id_too(rig: Rig):
    call_id = await rig.answered()
    keys = (await rig.client.get("/api/v1/settings/api-keys")).data
    ids = {key["name"]: key["id"] for key in keys}
    assert (await ask(rig, "GET", call_id, user=ids["owner"])).status == 200
    for wrong in ({"user": ids["viewer"]}, {"user": ids["owner"], "account": account_sid(THEIRS)}):
        refusal(await ask(rig, "GET", call_id, **wrong), 401, 20003)


async def test_strangers_are_counted(rig: Rig):
    call_id = await rig.answered()
    for _ in range(60):
        await ask(rig, "GET", call_id, password="wrong")
    refusal(await ask(rig, "GET", call_id, password="wrong"), 429, 20429)


async def test_another_tenant_finds_nothing_under_its_own_account(rig: Rig):
    call_id = await rig.answered()
    theirs = account_sid(THEIRS)
    answer = await ask(rig, "GET", call_id, password=rig.keys["theirs"], user=theirs, account=theirs)
    refusal(answer, 404, 20404)


async def test_a_role_that_changes_no_calls_does_not_here(rig: Rig):
    call_id = await rig.answered()
    assert (await ask(rig, "GET", call_id, password=rig.keys["viewer"])).status == 200
    answer = await ask(rig, "POST", call_id, {"Status": "completed"}, password=rig.keys["viewer"])
    refusal(answer, 403, 20403)


@pytest.mark.parametrize("call", ["CA0.json", "CA" + "0" * 32, "CA" + "0" * 32 + ".xml", "call_1.json"])
async def test_what_is_no_call_of_ours_is_not_found(rig: Rig, call: str):
    path = f"/2010-04-01/Accounts/{ACCOUNT}/Calls/{call}"
    refusal(await ask(rig, "GET", "call_" + "0" * 26, path=path), 404, 20404)


# ---------------------------------------------------------------- the end


async def test_completed_ends_an_answered_call_after_the_agents_words(rig: Rig):
    call_id = await with_agent(rig)
    told = json.loads((await ask(rig, "POST", call_id, {"Status": "completed"})).body)
    assert (told["sid"], told["status"]) == (call_sid(call_id), "completed")
    assert rig.agents.asked == [("end", call_id, False, "agent")]
    again = await ask(rig, "POST", call_id, {"Status": "completed"})
    assert (again.status, json.loads(again.body)["status"]) == (200, "completed")


async def test_canceled_ends_a_ringing_call_and_no_other(rig: Rig):
    ringing, answered = await rig.ringing(), await rig.answered()
    told = json.loads((await ask(rig, "POST", ringing, {"Status": "canceled"})).body)
    assert told["status"] == "canceled"
    refusal(await ask(rig, "POST", answered, {"Status": "canceled"}), 400, 21220)


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
    call_id = await with_agent(rig)
    refusal(await ask(rig, "POST", call_id, form), 400, 20001)
    assert rig.agents.asked == []


async def test_a_form_is_a_form(rig: Rig):
    call_id = await with_agent(rig)
    as_json = {"content-type": "application/json"}
    answer = await ask(rig, "POST", call_id, {"Status": "completed"}, headers=as_json)
    assert json.loads(answer.body)["code"] == 20001
    assert rig.agents.asked == []
