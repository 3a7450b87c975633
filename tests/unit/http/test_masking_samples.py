"""The masking page's samples, as curl sends them, and the newer body that fills its gap."""

import pytest

from proxy_pool.core.session import Model
from tests.unit.http.masked import PROXY
from tests.unit.http.rig import OTHER, TO, Rig

pytestmark = pytest.mark.unit

PLACES = (PROXY, "/v1/proxy")
ONE, TWO = "+12025550301", "+12025550302"
JSON = {"Content-Type": "application/json"}


@pytest.fixture(params=PLACES)
def at(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def _opened(rig: Rig, at: str = PROXY, **fields: object) -> dict[str, object]:
    return dict((await rig.client.post(f"{at}/sessions", {"party_a": TO, "party_b": OTHER, **fields})).data)


async def test_list_sessions(rig: Rig, at: str):
    answer = await rig.client.get(f"{at}/sessions")
    assert answer.status == 200
    assert answer.data == []
    assert answer.json["meta"]["pagination"] == {"cursor": None, "has_more": False, "total": 0}


async def test_get_a_session_as_the_sample_spells_it(rig: Rig, at: str):
    answer = await rig.client.get(f"{at}/sessions/{{id}}")
    assert (answer.status, answer.code) == (404, "NOT_FOUND")


async def test_get_a_session(rig: Rig, at: str):
    await rig.pool(ONE, TWO)
    made = await _opened(rig, at)
    assert (await rig.client.get(f"{at}/sessions/{made['id']}")).data == made


async def test_the_inbound_hook_wants_to_know_what_came_in(rig: Rig, at: str):
    answer = await rig.client.ask("POST", f"{at}/inbound", b"{}", JSON)
    assert (answer.status, answer.code, answer.field) == (422, "MISSING_REQUIRED_FIELD", "type")
    assert not rig.masked.texts.taken


async def test_creating_a_session_between_nobody_names_both_parties(rig: Rig, at: str):
    answer = await rig.client.ask("POST", f"{at}/sessions", b"{}", JSON)
    assert (answer.status, answer.code, answer.field) == (422, "MISSING_REQUIRED_FIELD", "party_a")
    assert answer.error["message"] == "party_a and party_b are required"


async def test_creating_a_session_allocates_proxy_numbers(rig: Rig, at: str):
    await rig.pool(ONE, TWO)
    answer = await rig.client.post(
        f"{at}/sessions",
        {
            "party_a": TO,
            "party_b": OTHER,
            "expires_at": "2026-03-09T13:00:00+01:00",
            "channels": ["voice", "sms"],
        },
    )
    assert answer.status == 201
    data = answer.data
    assert str(data["id"]).startswith("ses_")
    assert {data["proxy_number_a"], data["proxy_number_b"]} <= {ONE, TWO}
    assert data["proxy_number"] == data["proxy_number_a"]
    assert (data["party_a"], data["party_b"], data["model"]) == (TO, OTHER, Model.PAIR.value)
    assert (data["status"], data["channels"]) == ("open", ["sms", "voice"])
    assert data["expires_at"] == data["terms"]["expires_at"] == "2026-03-09T12:00:00.000Z"
    assert data["created_at"] == "2026-03-08T12:00:00.000Z"


@pytest.mark.parametrize(("body", "headers"), [(b"{}", JSON), (None, {})], ids=["as sampled", "bare"])
async def test_closing_ends_the_session_for_good(
    rig: Rig, at: str, body: bytes | None, headers: dict[str, str]
):
    await rig.pool(ONE, TWO)
    made = await _opened(rig, at)
    path = f"{at}/sessions/{made['id']}"
    first = await rig.client.ask("DELETE", path, body, headers)
    assert first.status == 200
    assert (first.data["status"], first.data["close_reason"]) == ("closed", "api")
    assert first.data["closed_at"] == "2026-03-08T12:00:00.000Z"
    assert first.data["quarantine_until"] == "2026-03-15T12:00:00.000Z"
    rig.clock.advance(60)
    again = await rig.client.ask("DELETE", path, body, headers)
    assert (again.status, again.data) == (200, first.data)
    assert (await rig.client.get(path)).data == first.data


async def test_closing_a_session_as_the_sample_spells_it(rig: Rig, at: str):
    answer = await rig.client.ask("DELETE", f"{at}/sessions/{{id}}", b"{}", JSON)
    assert (answer.status, answer.code) == (404, "NOT_FOUND")


async def test_the_closed_numbers_are_kept_from_others_and_given_to_the_same_two_again(rig: Rig):
    await rig.pool(ONE, TWO)
    made = await _opened(rig, numbers="shared")
    other = await _opened(rig, party_b="phone:alice", numbers="shared")
    assert made["proxy_number"] != other["proxy_number"]
    for session in (made, other):
        await rig.client.ask("DELETE", f"{PROXY}/sessions/{session['id']}")
    full = await rig.client.post(f"{PROXY}/sessions", {"party_a": TO, "party_b": "phone:bob"})
    assert (full.status, full.code) == (409, "POOL_EXHAUSTED")


async def test_a_face_without_masking_says_so(rig: Rig):
    object.__setattr__(rig.face, "masking", None)
    for method, path, body in [
        ("GET", "/sessions", None),
        ("POST", "/sessions", {"party_a": TO, "party_b": OTHER}),
        ("GET", "/pool", None),
        ("GET", "/settings", None),
    ]:
        answer = await rig.client.ask(method, PROXY + path, body)
        assert (answer.status, answer.code) == (503, "SERVICE_UNAVAILABLE"), path
        assert answer.headers["retry-after"] == "5"
    number = (await rig.client.get("/api/v1/numbers")).data[0]["id"]
    assert (await rig.client.ask("DELETE", f"/api/v1/numbers/{number}")).status == 204
