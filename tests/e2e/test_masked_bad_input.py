"""What is wrong with a request about masking has one defined answer, and changes nothing."""

from __future__ import annotations

import pytest
import pytest_asyncio

from gateway.trial.sip_call import CallState
from tests.rig.crowd import Crowd, Way
from tests.rig.product import Json, Product

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

A, B = "+14155567771", "+14155567772"
VOICE_ONLY, BOTH, OTHER = "+12025550141", "+12025550142", "+12025550143"
FOREIGN = "+12025550149"
"""Nobody owns it here."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def crowd(house: Product) -> Crowd:
    people = Crowd(house)
    await people.numbers(BOTH, OTHER)
    await house.api.ok("POST", "/api/v1/numbers", {"e164": VOICE_ONLY, "capabilities": ["voice"]})
    await house.api.ok("POST", "/api/v1/proxy/pool/numbers", {"e164": VOICE_ONLY, "reserved": True})
    return people


SESSION = {"party_a": A, "party_b": B}
REFUSED: dict[str, tuple[Json, int, str]] = {
    "the same party twice": ({"party_b": A}, 422, "SAME_PARTY"),
    "a party that is a proxy number": ({"party_b": BOTH}, 422, "PROXY_NUMBER_AS_PARTY"),
    "a party that is an emergency number": ({"party_b": "911"}, 422, "EMERGENCY_NUMBER"),
    "no second party": ({"party_b": None}, 422, "MISSING_REQUIRED_FIELD"),
    "an end in the past": ({"expires_at": "2020-01-01T00:00:00Z"}, 422, "EXPIRY_IN_THE_PAST"),
    "an end beyond the longest life": ({"expires_at": "2099-01-01T00:00:00Z"}, 422, "EXPIRY_TOO_FAR"),
    "a proxy number not in the pool": ({"proxy_number_a": FOREIGN}, 409, "POOL_EXHAUSTED"),
    "a proxy number that cannot text": ({"proxy_number_a": VOICE_ONLY}, 409, "POOL_EXHAUSTED"),
    "an unknown field": ({"proxy": BOTH}, 422, "VALIDATION_ERROR"),
    "an unknown channel": ({"channels": ["fax"]}, 422, "VALIDATION_ERROR"),
}
CONSTRAINTS = {
    "a proxy number not in the pool": "number_not_in_pool",
    "a proxy number that cannot text": "number_lacks_capability",
}


@pytest.mark.parametrize("case", REFUSED)
async def test_a_session_that_cannot_be_is_refused(crowd: Crowd, case: str) -> None:
    change, status, code = REFUSED[case]
    api = crowd.product.api
    before = await api.ok("GET", "/api/v1/proxy/sessions?limit=100")
    got, answer = await api.ask("POST", "/api/v1/proxy/sessions", SESSION | change)
    assert (got, answer["error"]["code"]) == (status, code)
    assert answer["error"]["details"].get("constraint") == CONSTRAINTS.get(case)
    assert await api.ok("GET", "/api/v1/proxy/sessions?limit=100") == before


async def test_both_sides_on_one_number_is_one_shared_number_and_routes_rightly(crowd: Crowd) -> None:
    pair = await crowd.opens(proxy_number_a=BOTH, proxy_number_b=BOTH)
    assert [way.number for way in pair.ways] == [BOTH, BOTH]
    await crowd.call([*pair.ways, Way(crowd.stranger(), BOTH)])
    await crowd.close(pair)
    await crowd.call([*pair.closed_ways])


async def told_its_way(crowd: Crowd, way: Way) -> Json:
    asked = {"type": "call", "from": way.caller, "to": way.number}
    answer = await crowd.product.api.ok("POST", "/api/v1/proxy/inbound", asked)
    return {"action": answer["action"], "reason": answer["reason"]}


async def test_a_channel_that_is_not_allowed_is_refused_to_participants_alone(crowd: Crowd) -> None:
    pair = await crowd.opens(channels=["sms"])
    way = pair.ways[0]
    assert await told_its_way(crowd, way) == {"action": "reject", "reason": "channel_not_allowed"}
    rang = len(crowd.product.carrier.incoming)
    call = crowd.dials(way)
    await call.reaches(CallState.ENDED, 30)
    assert call.ending is not None
    assert call.ending.status == 403
    assert len(crowd.product.carrier.incoming) == rang
    stranger = Way(crowd.stranger(), way.number)
    assert await told_its_way(crowd, stranger) == {"action": "reject", "reason": "unknown_caller"}
    await crowd.close(pair)


async def test_a_closed_session_is_as_if_it_had_never_been(crowd: Crowd) -> None:
    pair = await crowd.opens()
    await crowd.close(pair)
    await crowd.close(pair)
    await crowd.call([*pair.closed_ways])
    rejected = {"action": "reject", "reason": "unknown_caller"}
    assert [await told_its_way(crowd, way) for way in pair.ways] == [rejected, rejected]
    path = f"/api/v1/proxy/sessions/{pair.id}"
    status, answer = await crowd.product.api.ask("PATCH", path, {"ttl": 600})
    assert (status, answer["error"]["code"]) == (409, "SESSION_CLOSED")


GARBAGE: dict[str, tuple[object, str]] = {
    "something else": ({"hello": []}, "MISSING_REQUIRED_FIELD"),
    "no type": ({"from": A, "to": BOTH}, "MISSING_REQUIRED_FIELD"),
    "an unknown type": ({"type": "fax", "from": A, "to": BOTH}, "VALIDATION_ERROR"),
    "a text without its id": ({"type": "sms", "from": A, "to": BOTH, "body": "x"}, "MISSING_REQUIRED_FIELD"),
    "a number that is not ours": ({"type": "call", "from": A, "to": FOREIGN}, "NUMBER_NOT_OWNED"),
    "a number that is none": ({"type": "call", "from": A, "to": "; rm"}, "INVALID_PHONE_NUMBER"),
    "a list": ([1, 2], "VALIDATION_ERROR"),
}


@pytest.mark.parametrize("case", GARBAGE)
async def test_an_inbound_hook_with_garbage_is_refused(crowd: Crowd, case: str) -> None:
    body, code = GARBAGE[case]
    status, answer = await crowd.product.api.ask("POST", "/api/v1/proxy/inbound", body)
    assert (status, answer["error"]["code"]) == (422, code)
