"""The inbound hook: texts are handed on once they are whole and meant for us, calls are told their way."""

import pytest

from gateway.http.ports_masking import CallDecision
from proxy_pool.core.text import Media
from telephony.numbers import E164
from tests.unit.http.masked import PROXY, SESSIONS
from tests.unit.http.rig import FROM, OTHER, OURS, THEIRS, TO, Rig

pytestmark = pytest.mark.unit

PATH = f"{PROXY}/inbound"
ONE, TWO = "+12025550301", "+12025550302"
TEXT = {"type": "sms", "from": TO, "to": FROM, "body": "I am at the door.\nHurry.", "message_id": "SM01"}


async def test_a_text_is_taken_in(rig: Rig):
    media = [{"url": "https://carrier.example/m/1", "content_type": "image/png"}]
    answer = await rig.client.post(PATH, {**TEXT, "media": media})
    assert answer.status == 202
    assert answer.data == {"message_id": f"msg_{1:026d}", "status": "received"}
    ((tenant, text),) = rig.masked.texts.taken
    assert tenant == OURS
    assert (text.sender, text.to.reveal(), text.body) == (TO, FROM, TEXT["body"])
    assert (text.carrier, text.message_id) == ("api:ten_ours", "SM01")
    assert text.media == (Media("https://carrier.example/m/1", "image/png"),)


async def test_two_tenants_do_not_share_the_names_of_messages(rig: Rig):
    theirs = "+12025550399"
    await rig.own(theirs, THEIRS)
    await rig.client.post(PATH, TEXT)
    await rig.client.having(rig.keys["theirs"]).post(PATH, {**TEXT, "to": theirs})
    first, second = (text for _, text in rig.masked.texts.taken)
    assert first.message_id == second.message_id
    assert first.carrier != second.carrier


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"type": "fax"}, "VALIDATION_ERROR", "type"),
        ({"from": ""}, "VALIDATION_ERROR", "from"),
        ({"from": "a\r\nb"}, "VALIDATION_ERROR", "from"),
        ({"from": None}, "VALIDATION_ERROR", "from"),
        ({"to": "911"}, "INVALID_PHONE_NUMBER", "to"),
        ({"to": TO}, "NUMBER_NOT_OWNED", "to"),
        ({"to": "+12025550399"}, "NUMBER_NOT_OWNED", "to"),
        ({"body": None}, "MISSING_REQUIRED_FIELD", "body"),
        ({"body": "x" * 2001}, "VALIDATION_ERROR", "body"),
        ({"message_id": None}, "MISSING_REQUIRED_FIELD", "message_id"),
        ({"media": [{"url": "http://169.254.169.254/"}]}, "INVALID_WEBHOOK_URL", "media.0.url"),
        ({"media": [{"content_type": "image/png"}]}, "MISSING_REQUIRED_FIELD", "media.0.url"),
        ({"type": "call"}, "VALIDATION_ERROR", "body"),
        ({"carrier": "x"}, "VALIDATION_ERROR", "carrier"),
    ],
)
async def test_garbage_is_refused_and_nothing_relayed(
    rig: Rig, fields: dict[str, object], code: str, field: str
):
    await rig.own("+12025550399", THEIRS)
    answer = await rig.client.post(PATH, {**TEXT, **fields})
    assert (answer.status, answer.code, answer.field) == (422, code, field), answer.body
    assert not rig.masked.texts.taken


async def test_a_text_of_no_words_but_a_picture_is_taken(rig: Rig):
    picture = {"body": "", "media": [{"url": "https://carrier.example/m/1"}]}
    assert (await rig.client.post(PATH, {**TEXT, **picture})).status == 202


async def test_a_text_that_could_not_be_stored_is_503(rig: Rig):
    rig.masked.texts.away = True
    answer = await rig.client.post(PATH, TEXT)
    assert (answer.status, answer.code) == (503, "SERVICE_UNAVAILABLE")


async def test_a_call_is_told_whom_it_would_reach(rig: Rig):
    await rig.pool(ONE, TWO)
    made = (await rig.client.post(SESSIONS, {"party_a": TO, "party_b": OTHER})).data
    asked = {"type": "call", "from": TO, "to": made["proxy_number_a"]}
    answer = await rig.client.post(PATH, asked)
    assert answer.status == 200
    assert answer.data == {
        "action": "connect",
        "reason": "session",
        "session_id": made["id"],
        "to": OTHER,
        "shown_number": made["proxy_number_b"],
        "ring_timeout": 30,
        "call_time_limit": 3600,
        "record": False,
    }
    blind = rig.client.having(await rig.key("owner", scopes=("proxy:write",)))
    assert (await blind.post(PATH, asked)).data["to"] == "+141••••••72"


async def test_a_stranger_is_rejected_without_a_word_of_the_session(rig: Rig):
    await rig.pool(ONE, TWO)
    made = (await rig.client.post(SESSIONS, {"party_a": TO, "party_b": OTHER})).data
    answer = await rig.client.post(
        PATH, {"type": "call", "from": "+14155552679", "to": made["proxy_number_a"]}
    )
    assert answer.data == {"action": "reject", "reason": "unknown_caller"}


@pytest.mark.parametrize(
    ("caller", "terms", "reason"),
    [
        ("anonymous", {}, "unknown_caller"),
        ("4155552671", {}, "unknown_caller"),
        ("0014155552671", {}, None),
        (ONE, {}, "loop"),
        (TO, {"pin": {"mode": "always"}}, "pin_required"),
        (TO, {"direction": "b_to_a"}, "direction_not_allowed"),
        (TO, {"channels": ["sms"]}, "channel_not_allowed"),
    ],
)
async def test_a_call_is_judged_as_a_real_one(
    rig: Rig, caller: str, terms: dict[str, object], reason: str | None
):
    await rig.pool(ONE, TWO)
    made = (await rig.client.post(SESSIONS, {"party_a": TO, "party_b": OTHER, **terms})).data
    asked = {"type": "call", "from": caller, "to": made["proxy_number_a"]}
    told = (await rig.client.post(PATH, asked)).data
    wanted = {"action": "reject", "reason": reason}
    assert told == wanted if reason else told["to"] == OTHER


async def test_a_call_to_no_proxy_number_or_to_nobody_any_more_is_rejected(rig: Rig):
    plain = (await rig.client.post(PATH, {"type": "call", "from": TO, "to": FROM})).data
    assert plain == {"action": "reject", "reason": "not_a_proxy_number"}
    await rig.pool(ONE, TWO)
    made = (await rig.client.post(SESSIONS, {"party_a": TO, "party_b": OTHER, "ttl": 60})).data
    asked = {"type": "call", "from": TO, "to": made["proxy_number_a"]}
    assert (await rig.client.post(PATH, asked)).data["action"] == "connect"
    rig.clock.advance(60)
    assert (await rig.client.post(PATH, asked)).data == {"action": "reject", "reason": "unknown_caller"}


async def test_a_visitor_who_is_not_let_through_hears_of_no_session(rig: Rig):
    await rig.pool(ONE, use="anyone")
    await rig.client.post(SESSIONS, {"model": "anyone", "party_a": TO, "direction": "a_to_b"})
    told = (await rig.client.post(PATH, {"type": "call", "from": "+14155552679", "to": ONE})).data
    assert told == {"action": "reject", "reason": "unknown_caller"}


async def test_a_tenant_asks_of_its_own_proxy_numbers_alone(rig: Rig):
    await rig.pool(ONE, use="anyone")
    await rig.client.post(SESSIONS, {"model": "anyone", "party_a": TO})
    decide = rig.masked.calls.decide
    assert (await decide(OURS, "+14155552679", E164(ONE))).to == E164(TO)
    assert await decide(THEIRS, "+14155552679", E164(ONE)) == CallDecision("not_a_proxy_number")


async def test_without_somebody_to_take_texts_the_hook_is_503(rig: Rig):
    for name in ("inbound_texts", "inbound_calls"):
        object.__setattr__(rig.face, name, None)
    for body in (TEXT, {"type": "call", "from": TO, "to": FROM}):
        assert (await rig.client.post(PATH, body)).status == 503
