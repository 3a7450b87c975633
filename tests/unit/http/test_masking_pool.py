"""The pool by HTTP: numbers in and out, how full it is, and what the numbers API may no longer do."""

import pytest

from gateway.http.orbit.proxy_numbers import place_of
from gateway.http.orbit.proxy_shown import ForecastShown, LoadedNumberShown, PoolShown
from telephony.numbers import E164
from tests.unit.http.masked import PROXY, SESSIONS
from tests.unit.http.rig import FROM, OTHER, OURS, THEIRS, TO, Rig

pytestmark = pytest.mark.unit

ONE, TWO = "+12025550301", "+12025550302"
NUMBERS = f"{PROXY}/pool/numbers"
PAIR = {"party_a": TO, "party_b": OTHER}
WEEK_S = 7 * 86_400


async def test_an_owned_number_joins_with_its_place_and_what_it_can(rig: Rig):
    owned = (await rig.client.post("/api/v1/numbers", {"e164": ONE, "capabilities": ["voice", "sms"]})).data
    answer = await rig.client.post(NUMBERS, {"e164": ONE, "use": "pairs", "carrier": "trunkline"})
    assert answer.status == 201
    assert answer.data == {
        "id": owned["id"],
        "e164": ONE,
        "country": "US",
        "area": "202",
        "capabilities": ["sms", "voice"],
        "use": "pairs",
        "reserved": False,
        "suspended": False,
        "carrier": "trunkline",
    }
    assert (await rig.client.post(NUMBERS, {"number_id": owned["id"]})).code == "NUMBER_IN_POOL"


@pytest.mark.parametrize(
    ("number", "place"),
    [
        ("+14155552671", ("US", "415")),
        ("+18765551234", ("JM", "876")),
        ("+442071838750", ("GB", "20")),
        ("+4930901820", ("DE", "30")),
        ("+88213123456", ("", "")),
        ("+80012345678", ("", "")),
    ],
)
def test_the_place_is_in_the_number(number: str, place: tuple[str, str]):
    assert place_of(E164(number)) == place


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({}, "VALIDATION_ERROR", "number_id"),
        ({"number_id": "num_x", "e164": ONE}, "VALIDATION_ERROR", "number_id"),
        ({"number_id": "num_x"}, "NUMBER_NOT_OWNED", "number_id"),
        ({"e164": "+12025550399"}, "NUMBER_NOT_OWNED", "e164"),
        ({"e164": TO}, "NUMBER_NOT_OWNED", "e164"),
        ({"e164": "911"}, "INVALID_PHONE_NUMBER", "e164"),
        ({"e164": FROM, "capabilities": ["sms"]}, "VALIDATION_ERROR", "capabilities"),
        ({"e164": FROM, "carrier": "nobody"}, "VALIDATION_ERROR", "carrier"),
        ({"e164": FROM, "use": "fax"}, "VALIDATION_ERROR", "use"),
        ({"e164": FROM, "index": 3}, "VALIDATION_ERROR", "index"),
    ],
)
async def test_what_cannot_serve_does_not_join(rig: Rig, body: dict[str, object], code: str, field: str):
    await rig.own("+12025550399", THEIRS)
    answer = await rig.client.post(NUMBERS, body)
    assert (answer.status, answer.code, answer.field) == (422, code, field), answer.body
    assert not await rig.masked.book.numbers()


async def test_a_pool_number_is_changed_by_what_is_named(rig: Rig):
    (number,) = await rig.pool(ONE, carrier="trunkline")
    path = f"{NUMBERS}/{number}"
    changed = (await rig.client.ask("PATCH", path, {"suspended": True, "capabilities": ["voice"]})).data
    assert (changed["suspended"], changed["capabilities"]) == (True, ["voice"])
    assert (changed["carrier"], changed["use"], changed["reserved"]) == ("trunkline", "pairs", False)
    bare = (await rig.client.ask("PATCH", path, {"carrier": None, "use": "anyone"})).data
    assert (bare["carrier"], bare["use"], bare["suspended"]) == (None, "anyone", True)
    assert (await rig.client.ask("PATCH", path, {"carrier": "nobody"})).field == "carrier"
    assert (await rig.client.ask("PATCH", f"{NUMBERS}/num_none", {"suspended": True})).status == 404


async def test_a_number_cannot_be_made_to_do_what_it_cannot(rig: Rig):
    owned = (await rig.client.get("/api/v1/numbers")).data[0]
    assert owned["capabilities"] == ["voice"]
    await rig.client.post(NUMBERS, {"number_id": owned["id"]})
    answer = await rig.client.ask("PATCH", f"{NUMBERS}/{owned['id']}", {"capabilities": ["sms"]})
    assert (answer.status, answer.field) == (422, "capabilities")


async def test_a_suspended_or_reserved_number_is_not_given(rig: Rig):
    first, second = await rig.pool(ONE, TWO)
    await rig.client.ask("PATCH", f"{NUMBERS}/{first}", {"suspended": True})
    await rig.client.ask("PATCH", f"{NUMBERS}/{second}", {"reserved": True})
    answer = await rig.client.post(SESSIONS, PAIR)
    assert answer.error["details"]["constraint"] == "all_suspended_or_reserved"
    assert (await rig.client.post(SESSIONS, {**PAIR, "proxy_number": TWO})).status == 201


async def test_a_number_leaves_only_when_nothing_is_held_on_it(rig: Rig):
    (number,) = await rig.pool(ONE)
    made = (await rig.client.post(SESSIONS, PAIR)).data
    path = f"{NUMBERS}/{number}"
    live = await rig.client.ask("DELETE", path)
    assert (live.status, live.code) == (409, "NUMBER_IN_USE")
    assert (await rig.client.ask("PATCH", path, {"use": "anyone"})).code == "NUMBER_IN_USE"
    await rig.client.ask("DELETE", f"{SESSIONS}/{made['id']}")
    assert (await rig.client.ask("DELETE", path)).code == "NUMBER_IN_USE"
    rig.clock.advance(WEEK_S + 1)
    await rig.masked.ledger.sweep(rig.clock.now(), 10)
    assert (await rig.client.ask("DELETE", path)).status == 204
    assert (await rig.client.ask("DELETE", path)).status == 404


async def test_the_numbers_api_leaves_a_proxy_number_alone(rig: Rig):
    """Given up or led elsewhere, it would lead a session's people to somebody else."""
    (number,) = await rig.pool(ONE)
    path = f"/api/v1/numbers/{number}"
    for method, body in [
        ("DELETE", None),
        ("PATCH", {"route": {"type": "phone", "phone": "alice"}}),
        ("PATCH", {"route": None}),
        ("PATCH", {"capabilities": ["voice"]}),
    ]:
        answer = await rig.client.ask(method, path, body)
        assert (answer.status, answer.code) == (409, "NUMBER_IN_POOL"), (method, body)
    assert (await rig.client.ask("PATCH", path, {"friendly_name": "x"})).data["friendly_name"] == "x"
    await rig.client.ask("DELETE", f"{NUMBERS}/{number}")
    assert (await rig.client.ask("DELETE", path)).status == 204


async def test_the_pool_tells_how_full_it_is(rig: Rig):
    await rig.pool(ONE, TWO)
    await rig.pool("+16465550301", use="anyone")
    await rig.client.post(SESSIONS, PAIR)
    pool = (await rig.client.get(f"{PROXY}/pool")).data
    PoolShown.model_validate(pool)
    buckets = {(one["use"], one["country"], one["area"]): one for one in pool["buckets"]}
    pairs = buckets["pairs", "US", "202"]
    assert (pairs["numbers"], pairs["usable"], pairs["live"], pairs["busiest"]) == (2, 2, 2, 1)
    assert pairs["utilisation"] == 0.5
    assert buckets["anyone", "US", "646"]["live"] == 0
    assert sum(one["live"] for one in pool["numbers"]) == 2
    assert {one["e164"] for one in pool["numbers"]} == {ONE, TWO, "+16465550301"}
    assert all(set(one) == set(LoadedNumberShown.model_fields) for one in pool["numbers"])
    assert (await rig.client.having(rig.keys["theirs"]).get(f"{PROXY}/pool")).data == {
        "buckets": [],
        "numbers": [],
    }


async def test_the_forecast_answers_what_if(rig: Rig):
    await rig.pool(ONE, TWO)
    for n in range(2):
        await rig.client.post(SESSIONS, {**PAIR, "party_b": f"+141555526{n}0"})
    today = (await rig.client.get(f"{PROXY}/pool/forecast")).data
    ForecastShown.model_validate(today)
    assert today["supposed"] == {
        "sessions_factor": 1.0,
        "ttl": None,
        "quarantine": None,
        "extra_numbers": 0,
    }
    query = "sessions_factor=10.5&ttl=3600&quarantine=0&extra_numbers=5"
    supposed = (await rig.client.get(f"{PROXY}/pool/forecast?{query}")).data
    assert supposed["supposed"] == {
        "sessions_factor": 10.5,
        "ttl": 3600,
        "quarantine": 0,
        "extra_numbers": 5,
    }
    assert supposed["buckets"][0]["arrivals_per_hour"] > today["buckets"][0]["arrivals_per_hour"] > 0


@pytest.mark.parametrize(
    "query",
    [
        "sessions_factor=-1",
        "sessions_factor=nan",
        "sessions_factor=1e9",
        "sessions_factor=1001",
        "ttl=0",
        "quarantine=x",
        "extra_numbers=-1",
        "extra_numbers=100001",
        "growth=2",
    ],
)
async def test_a_forecast_refuses_what_cannot_be_supposed(rig: Rig, query: str):
    assert (await rig.client.get(f"{PROXY}/pool/forecast?{query}")).status == 422


async def test_changes_of_the_pool_are_in_the_audit_log(rig: Rig):
    (number,) = await rig.pool(ONE)
    await rig.client.ask("PATCH", f"{NUMBERS}/{number}", {"reserved": True})
    await rig.client.ask("DELETE", f"{NUMBERS}/{number}")
    assert (await rig.client.ask("PATCH", f"{NUMBERS}/{number}", {"reserved": True})).status == 404
    entries = await rig.face.books.audit.entries(OURS)  # type: ignore[attr-defined]
    assert [entry.action for entry in entries] == [
        "number.added",
        "pool.number_added",
        "pool.number_changed",
        "pool.number_removed",
    ]
    assert ONE not in repr(entries)
