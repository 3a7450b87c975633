"""What a masking session is refused for: the field named, and nothing opened."""

import pytest

from gateway.http.orbit.proxy_schemas import OpenSession, Terms
from gateway.http.orbit.proxy_terms import OURS as TERM_OF
from gateway.http.schema import parse
from gateway.storage.records import Tenant
from proxy_pool.core import codec
from proxy_pool.core import session as core
from telephony.errors import InvalidInput
from tests.unit.http.masked import PROXY, SESSIONS
from tests.unit.http.rig import FROM, OTHER, OURS, THEIRS, TO, Rig

pytestmark = pytest.mark.unit

ONE, TWO, THREE = "+12025550301", "+12025550302", "+12025550303"
THIRD = "+14155552673"
PAIR = {"party_a": TO, "party_b": OTHER}
GROUP = {"model": "group", "party_a": TO, "party_b": None}

REFUSED = [
    ({"party_b": None}, "MISSING_REQUIRED_FIELD", "party_b"),
    ({"party_a": None}, "MISSING_REQUIRED_FIELD", "party_a"),
    ({**GROUP}, "MISSING_REQUIRED_FIELD", "members"),
    ({"party_b": TO}, "SAME_PARTY", "party_b"),
    ({"party_a": "phone:alice", "party_b": "phone:alice"}, "SAME_PARTY", "party_b"),
    ({**GROUP, "members": [OTHER, TO]}, "SAME_PARTY", "members.1.party"),
    ({**GROUP, "members": [OTHER, {"party": OTHER}]}, "SAME_PARTY", "members.1.party"),
    ({"party_b": FROM}, "PROXY_NUMBER_AS_PARTY", "party_b"),
    ({"party_a": ONE}, "PROXY_NUMBER_AS_PARTY", "party_a"),
    ({**GROUP, "members": [OTHER, ONE]}, "PROXY_NUMBER_AS_PARTY", "members.1.party"),
    ({"party_b": "911"}, "EMERGENCY_NUMBER", "party_b"),
    ({"party_b": "+1911"}, "EMERGENCY_NUMBER", "party_b"),
    ({"party_b": "112"}, "EMERGENCY_NUMBER", "party_b"),
    ({"party_a": "+19005551234"}, "PREMIUM_NUMBER", "party_a"),
    ({"party_a": "+18765551234"}, "COUNTRY_NOT_ALLOWED", "party_a"),
    ({"party_a": "14155552671"}, "INVALID_PHONE_NUMBER", "party_a"),
    ({"party_a": "+1415"}, "INVALID_PHONE_NUMBER", "party_a"),
    ({"party_a": "٠١٢٣٤٥٦٧٨"}, "INVALID_PHONE_NUMBER", "party_a"),
    ({"party_a": "phone:carol"}, "VALIDATION_ERROR", "party_a"),
    ({"party_a": "phone:a/b"}, "VALIDATION_ERROR", "party_a"),
    ({"party_a": "agent:agt_1"}, "VALIDATION_ERROR", "party_a"),
    ({"party_a": TO + "\r\n"}, "VALIDATION_ERROR", "party_a"),
    ({"party_a": 14155552671}, "VALIDATION_ERROR", "party_a"),
    ({"expires_at": "2026-03-08T12:00:00Z"}, "EXPIRY_IN_THE_PAST", "expires_at"),
    ({"expires_at": "2020-01-01T00:00:00Z"}, "EXPIRY_IN_THE_PAST", "expires_at"),
    ({"expires_at": "2027-03-08T12:00:00Z"}, "EXPIRY_TOO_FAR", "expires_at"),
    ({"expires_at": "2026-03-08T12:02:00Z", "max_lifetime": 60}, "EXPIRY_TOO_FAR", "expires_at"),
    ({"expires_at": "2026-03-09T12:00:00"}, "VALIDATION_ERROR", "expires_at"),
    ({"expires_at": 1772971200}, "VALIDATION_ERROR", "expires_at"),
    ({"channels": []}, "VALIDATION_ERROR", "channels"),
    ({"channels": ["fax"]}, "VALIDATION_ERROR", "channels.0"),
    ({"model": "conference"}, "VALIDATION_ERROR", "model"),
    ({"members": [THIRD]}, "VALIDATION_ERROR", "party_b"),
    ({"party_b": None, "model": "anyone", "members": [THIRD]}, "VALIDATION_ERROR", "members"),
    ({"model": "extension"}, "VALIDATION_ERROR", "party_b"),
    ({"extension": "204"}, "VALIDATION_ERROR", "extension"),
    ({"ttl": 59}, "VALIDATION_ERROR", "ttl"),
    ({"ttl": True}, "VALIDATION_ERROR", "ttl"),
    ({"max_lifetime": 0}, "VALIDATION_ERROR", "max_lifetime"),
    ({"quarantine": -1}, "VALIDATION_ERROR", "quarantine"),
    ({"direction": "up"}, "VALIDATION_ERROR", "direction"),
    ({"redaction": "some"}, "VALIDATION_ERROR", "redaction"),
    ({"pin": {"a": "1234"}}, "VALIDATION_ERROR", "pin.a"),
    ({"pin": {"a": "7777"}}, "VALIDATION_ERROR", "pin.a"),
    ({"pin": {"a": "12a4"}}, "VALIDATION_ERROR", "pin.a"),
    ({"pin": {"a": "4821", "b": "4821"}}, "VALIDATION_ERROR", "pin.b"),
    ({"pin": {"a": "4821", "length": 6}}, "VALIDATION_ERROR", "pin.length"),
    ({"pin": {"mode": "off", "a": "4821"}}, "VALIDATION_ERROR", "pin.mode"),
    ({"pin": {"generate": False, "a": "4821"}}, "MISSING_REQUIRED_FIELD", "pin.b"),
    ({"area": "415"}, "VALIDATION_ERROR", "area"),
    ({"country": "usa"}, "VALIDATION_ERROR", "country"),
    ({"proxy_number": "911"}, "INVALID_PHONE_NUMBER", "proxy_number"),
    ({"proxy_number": ONE, "proxy_number_a": TWO}, "VALIDATION_ERROR", "proxy_number"),
    ({"proxy_number": ONE, "numbers": "per_side"}, "VALIDATION_ERROR", "proxy_number"),
    ({"proxy_number_a": ONE, "numbers": "shared"}, "VALIDATION_ERROR", "proxy_number_a"),
    ({"webhook_url": "https://10.0.0.1/"}, "INVALID_WEBHOOK_URL", "webhook_url"),
    ({"announcement_a": ""}, "VALIDATION_ERROR", "announcement_a.text"),
    ({"announcement_b": {"prompt": "../x"}}, "VALIDATION_ERROR", "announcement_b.prompt"),
    ({"unique_name": "a\nb"}, "VALIDATION_ERROR", "unique_name"),
    ({"metadata": {"a": 1}}, "VALIDATION_ERROR", "metadata.a"),
    ({"owner": "me"}, "VALIDATION_ERROR", "owner"),
]


@pytest.mark.parametrize(("fields", "code", "field"), REFUSED)
async def test_what_breaks_a_rule_opens_nothing(rig: Rig, fields: dict[str, object], code: str, field: str):
    await rig.pool(ONE, TWO, THREE)
    answer = await rig.client.post(SESSIONS, {**PAIR, **fields})
    assert (answer.status, answer.code, answer.field) == (422, code, field), answer.body
    assert (await rig.client.get(SESSIONS)).data == []


async def test_only_agents_that_take_calls_take_part(rig: Rig):
    await rig.pool(ONE, TWO, THREE)
    agents = "/api/v1/agents"
    archived = (await rig.client.post(agents, {"name": "Gone"})).data["id"]
    await rig.client.ask("DELETE", f"{agents}/{archived}")
    theirs = (await rig.client.having(rig.keys["theirs"]).post(agents, {"name": "Theirs"})).data["id"]
    for agent, status, code in (
        ("agt_01J", 422, "VALIDATION_ERROR"),
        (theirs, 422, "VALIDATION_ERROR"),
        (archived, 409, "AGENT_ARCHIVED"),
    ):
        answer = await rig.client.post(SESSIONS, {**PAIR, "party_b": f"agent:{agent}"})
        assert (answer.status, answer.code) == (status, code)
        if status == 422:
            assert answer.field == "party_b"


async def test_agents_alone_make_no_session(rig: Rig):
    await rig.pool(ONE, TWO, THREE)
    made = [(await rig.client.post("/api/v1/agents", {"name": name})).data["id"] for name in "ab"]
    parties = {"party_a": f"agent:{made[0]}", "party_b": f"agent:{made[1]}"}
    answer = await rig.client.post(SESSIONS, parties)
    assert (answer.status, answer.field) == (422, "party_b")


async def test_a_number_of_another_tenant_is_refused_in_the_same_words(rig: Rig):
    """So that the answer does not say whose number it is."""
    theirs = "+12025550399"
    await rig.own(theirs, THEIRS)
    foreign = await rig.client.post(SESSIONS, {**PAIR, "party_b": theirs})
    own = await rig.client.post(SESSIONS, {**PAIR, "party_b": FROM})
    assert foreign.code == "PROXY_NUMBER_AS_PARTY"
    assert foreign.error == own.error


async def test_a_tenants_own_list_of_countries_holds_for_parties(rig: Rig):
    british = "+442071838750"
    await rig.pool(ONE, TWO, "+442071838751")
    assert (await rig.client.post(SESSIONS, {**PAIR, "party_b": british})).status == 201
    await rig.face.books.tenants.create(  # type: ignore[attr-defined]
        Tenant("ten_uk", "uk", rig.clock.wall(), settings={"limits": {"countries": ["US"]}})  # type: ignore[arg-type]
    )
    client = rig.client.having(await rig.key("owner", "ten_uk"))  # type: ignore[arg-type]
    answer = await client.post(SESSIONS, {**PAIR, "party_b": british})
    assert (answer.code, answer.field) == ("COUNTRY_NOT_ALLOWED", "party_b")


async def test_a_test_key_connects_nobody(rig: Rig):
    await rig.pool(ONE, TWO)
    made = (await rig.client.post(SESSIONS, PAIR)).data
    client = rig.client.having(rig.keys["test"])
    text = {"type": "sms", "from": TO, "to": ONE, "body": "x", "message_id": "1"}
    for method, path, body in [
        ("POST", SESSIONS, {**PAIR, "party_b": THIRD}),
        ("PATCH", f"{SESSIONS}/{made['id']}", {"party_b": THIRD}),
        ("POST", f"{PROXY}/inbound", text),
    ]:
        answer = await client.ask(method, path, body)
        assert (answer.status, answer.code) == (403, "TEST_KEY"), path
    assert not rig.masked.texts.taken
    assert (await client.get(f"{SESSIONS}/{made['id']}")).data["party_b"] == OTHER


CHANGES = [
    ({"party_b": TO}, "SAME_PARTY", "party_b"),
    ({"party_a": OTHER}, "SAME_PARTY", "party_b"),
    ({"party_b": "911"}, "EMERGENCY_NUMBER", "party_b"),
    ({"party_a": ONE}, "PROXY_NUMBER_AS_PARTY", "party_a"),
    ({"members": [THIRD]}, "VALIDATION_ERROR", "members"),
    ({"proxy_number_b": THREE}, "VALIDATION_ERROR", "proxy_number_b"),
    ({"pin": {"b": "4821"}}, "VALIDATION_ERROR", "pin.b"),
    ({"expires_at": "2026-03-08T11:00:00Z"}, "EXPIRY_IN_THE_PAST", "expires_at"),
    ({"expires_at": "2027-03-08T11:00:00Z"}, "EXPIRY_TOO_FAR", "expires_at"),
    ({"model": "group"}, "VALIDATION_ERROR", "model"),
    ({"numbers": "shared"}, "VALIDATION_ERROR", "numbers"),
    ({"unique_name": "x"}, "VALIDATION_ERROR", "unique_name"),
]


@pytest.mark.parametrize(("fields", "code", "field"), CHANGES)
async def test_what_breaks_a_rule_changes_nothing(rig: Rig, fields: dict[str, object], code: str, field: str):
    await rig.pool(ONE, TWO, THREE)
    made = (await rig.client.post(SESSIONS, PAIR)).data
    path = f"{SESSIONS}/{made['id']}"
    answer = await rig.client.ask("PATCH", path, fields)
    assert (answer.status, answer.code, answer.field) == (422, code, field), answer.body
    shown = (await rig.client.get(path)).data
    assert shown == {**made, "pin_a": None, "pin_b": None}


async def test_a_group_is_not_turned_into_a_pair(rig: Rig):
    await rig.pool(ONE, TWO, THREE)
    made = (await rig.client.post(SESSIONS, {**GROUP, "members": [OTHER, THIRD]})).data
    answer = await rig.client.ask("PATCH", f"{SESSIONS}/{made['id']}", {"party_b": OTHER})
    assert (answer.status, answer.field) == (422, "party_b")
    assert len((await rig.client.get(f"{SESSIONS}/{made['id']}")).data["members"]) == 2


BOUNDS = {
    "ttl": (-1, 0, 59, 60, 7_776_000, 7_776_001),
    "max_lifetime": (59, 60, 31_536_000, 31_536_001),
    "warn_seconds": (4, 5, 300, 301),
    "call_time_limit": (9, 10, 14_400, 14_401),
    "ring_timeout": (4, 5, 120, 121),
    "quarantine": (-1, 0, 7_776_000, 7_776_001),
}


def _core_takes(word: str, value: int) -> bool:
    try:
        codec.terms_from(core.Terms(), {TERM_OF.get(word, word): value})
    except InvalidInput:
        return False
    return True


def _schema_takes(word: str, value: int) -> bool:
    try:
        parse(OpenSession, {**PAIR, word: value})
    except InvalidInput as error:
        return error.field != word  # a complaint of another field is no bound
    return True


@pytest.mark.parametrize(("word", "value"), [(word, n) for word, values in BOUNDS.items() for n in values])
def test_the_bounds_are_those_of_the_core(word: str, value: int):
    assert _schema_takes(word, value) is _core_takes(word, value)


def test_every_word_is_a_term_of_the_core():
    assert {TERM_OF.get(word, word) for word in Terms.model_fields} <= set(codec.TERMS)


async def test_nothing_is_spoken_for_a_session_that_cannot_be(rig: Rig):
    await rig.client.post(SESSIONS, {**PAIR, "party_b": "911", "announcement_a": "Hello."})
    assert rig.prompts.said == []


async def test_nobody_of_another_tenant_is_reached(rig: Rig):
    """A neighbour's session of the same people with the same name and PIN stands beside ours."""
    await rig.pool(ONE, TWO)
    neighbour = rig.client.having(rig.keys["theirs"])
    await rig.pool("+12025550391", "+12025550392", client=neighbour)
    body = {**PAIR, "unique_name": "x", "pin": {"a": "4821", "b": "9153"}}
    ours, theirs = (await rig.client.post(SESSIONS, body)).data, (await neighbour.post(SESSIONS, body)).data
    assert theirs["proxy_number_a"] in ("+12025550391", "+12025550392")
    assert ours["proxy_number_a"] in (ONE, TWO)
    taken = await neighbour.post(SESSIONS, {**PAIR, "party_b": THIRD, "proxy_number_a": ONE})
    assert taken.error["details"]["constraint"] == "number_not_in_pool"
    assert (await rig.client.get(f"{SESSIONS}?unique_name=x")).json["meta"]["pagination"]["total"] == 1
    assert (await neighbour.get(f"{SESSIONS}/{ours['id']}")).status == 404
    assert OURS != THEIRS
