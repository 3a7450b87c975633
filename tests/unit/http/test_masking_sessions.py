"""Masking sessions by HTTP: what can be asked for, what it becomes, what is changed and listed."""

import pytest

from gateway.http.openapi import document
from gateway.http.orbit.proxy_shown import InteractionShown, MemberShown, SessionShown, TermsShown
from proxy_pool.core.interaction import Kind
from proxy_pool.core.session import SessionId
from tests.unit.http.masked import SESSIONS
from tests.unit.http.rig import OTHER, OURS, TO, Rig

pytestmark = pytest.mark.unit

ONE, TWO, THREE = "+12025550301", "+12025550302", "+12025550303"
THIRD, FOURTH = "+14155552673", "+14155552674"
PAIR = {"party_a": TO, "party_b": OTHER}


@pytest.fixture
async def pooled(rig: Rig) -> Rig:
    await rig.pool(ONE, TWO, THREE)
    return rig


async def _opened(rig: Rig, **fields: object) -> dict[str, object]:
    return dict((await rig.client.post(SESSIONS, {**PAIR, **fields})).data)


async def test_every_word_of_a_session_reaches_its_terms(pooled: Rig):
    said = {
        "channels": ["voice"],
        "ttl": 3600,
        "max_lifetime": 86_400,
        "on_expiry": "warn_then_end",
        "warn_seconds": 20,
        "call_time_limit": 600,
        "warn_before_limit": True,
        "direction": "a_to_b",
        "record": True,
        "ring_timeout": 25,
        "quarantine": 1800,
        "sticky": "avoid",
        "redaction": "mask",
        "numbers": "shared",
    }
    made = await _opened(
        pooled,
        **said,
        announcement_a="Hello A.",
        announcement_b={"prompt": "welcome"},
        metadata={"order": "7"},
        unique_name="order-7",
        webhook_url="https://example.com/masking",
    )
    terms = made["terms"]
    assert isinstance(terms, dict)
    assert {name: terms[name] for name in said} == said
    assert (terms["announcement_a"], terms["announcement_b"]) == ("tts/1", "prompts/ten_ours/welcome")
    assert pooled.prompts.said == [("Hello A.", None)]
    assert (made["metadata"], made["unique_name"]) == ({"order": "7"}, "order-7")
    assert made["proxy_number_a"] == made["proxy_number_b"]
    assert made["expires_at"] == "2026-03-08T13:00:00.000Z"
    stored = await pooled.masked.masking.get(OURS, SessionId(str(made["id"])))
    assert stored.webhook_url == "https://example.com/masking"
    assert stored.api_key_id is not None


async def test_proxy_numbers_may_be_asked_for(pooled: Rig):
    made = await _opened(pooled, proxy_number_a=TWO, proxy_number_b=THREE)
    assert (made["proxy_number_a"], made["proxy_number_b"]) == (TWO, THREE)
    shared = await _opened(pooled, party_a=THIRD, party_b=FOURTH, proxy_number=ONE)
    assert (shared["proxy_number_a"], shared["proxy_number_b"]) == (ONE, ONE)
    assert shared["terms"]["numbers"] == "shared"  # type: ignore[index]
    taken = await pooled.client.post(SESSIONS, {**PAIR, "party_b": THIRD, "proxy_number_a": TWO})
    assert (taken.status, taken.code) == (409, "POOL_EXHAUSTED")
    assert taken.error["details"]["constraint"] == "number_held_by_participant"


async def test_a_wish_for_a_place_is_kept(rig: Rig):
    await rig.pool(ONE, TWO, "+16465550301")
    made = await _opened(rig, country="US", area="202", area_b="646", country_b="US")
    assert made["proxy_number_a"] in (ONE, TWO)
    assert made["proxy_number_b"] == "+16465550301"


async def test_an_exhausted_pool_says_which_rule_and_how_many(pooled: Rig):
    answer = await pooled.client.post(SESSIONS, {**PAIR, "country": "GB"})
    assert (answer.status, answer.code) == (409, "POOL_EXHAUSTED")
    assert answer.error["details"] == {
        "constraint": "no_number_in_country",
        "shortfall": 1,
        "bucket": {"use": "pairs", "country": "GB", "area": ""},
    }


async def test_somebody_whom_anyone_may_call(rig: Rig):
    await rig.pool(ONE, use="anyone")
    made = (await rig.client.post(SESSIONS, {"model": "anyone", "party_a": TO})).data
    assert (made["proxy_number_a"], made["party_b"], made["proxy_number_b"]) == (ONE, None, None)
    changed = await rig.client.ask("PATCH", f"{SESSIONS}/{made['id']}", {"party_b": OTHER})
    assert changed.data["party_b"] == OTHER


async def test_an_extension_is_given_or_made(rig: Rig):
    await rig.pool(ONE, use="extensions")
    given = (await rig.client.post(SESSIONS, {"model": "extension", "party_a": TO, "extension": "204"})).data
    made = (await rig.client.post(SESSIONS, {"model": "extension", "party_a": OTHER})).data
    assert given["extension"] == "204"
    assert made["extension"].isdigit()
    assert made["extension"] != "204"
    assert given["proxy_number"] == made["proxy_number"] == ONE


async def test_a_group_has_members_with_wishes_of_their_own(pooled: Rig):
    made = (
        await pooled.client.post(
            SESSIONS,
            {"model": "group", "party_a": TO, "members": [OTHER, {"party": THIRD, "proxy_number": THREE}]},
        )
    ).data
    assert made["party_b"] is None
    assert [(one["seat"], one["party"]) for one in made["members"]] == [(1, OTHER), (2, THIRD)]
    assert made["members"][1]["proxy_number"] == THREE
    changed = (
        await pooled.client.ask("PATCH", f"{SESSIONS}/{made['id']}", {"members": [THIRD, FOURTH]})
    ).data
    assert [one["party"] for one in changed["members"]] == [THIRD, FOURTH]
    assert changed["members"][0]["proxy_number"] == THREE


async def test_phones_take_part_like_numbers(pooled: Rig):
    made = await _opened(pooled, party_a="phone:alice", party_b="phone:bob")
    assert (made["party_a"], made["party_b"]) == ("phone:alice", "phone:bob")


async def test_an_agent_takes_part_on_the_other_partys_number(pooled: Rig):
    agent = (await pooled.client.post("/api/v1/agents", {"name": "Desk"})).data["id"]
    made = await _opened(pooled, party_b=f"agent:{agent}")
    assert (made["party_a"], made["party_b"]) == (TO, f"agent:{agent}")
    assert made["proxy_number_a"] == made["proxy_number_b"]
    listed = (await pooled.client.get(f"{SESSIONS}?party=agent:{agent}")).data
    assert [one["id"] for one in listed] == [made["id"]]
    seen = (await pooled.as_role("viewer").get(f"{SESSIONS}/{made['id']}")).data
    assert seen["party_b"] == f"agent:{agent}"


async def test_only_what_is_named_changes(pooled: Rig):
    made = await _opened(pooled, announcement_a="Hi.", expires_at="2026-03-09T12:00:00Z", metadata={"a": "b"})
    path = f"{SESSIONS}/{made['id']}"
    changed = (await pooled.client.ask("PATCH", path, {"ttl": 600, "announcement_b": None})).data
    assert changed["terms"]["ttl"] == 600
    assert changed["terms"]["announcement_a"] == "tts/1"
    assert changed["metadata"] == {"a": "b"}
    assert changed["version"] == 2
    freed = (await pooled.client.ask("PATCH", path, {"expires_at": None, "announcement_a": None})).data
    assert freed["terms"]["expires_at"] is None
    assert freed["terms"]["announcement_a"] == ""
    assert freed["terms"]["ttl"] == 600


async def test_another_party_takes_a_seat_and_whoever_stays_keeps_the_number(pooled: Rig):
    made = await _opened(pooled)
    path = f"{SESSIONS}/{made['id']}"
    changed = (await pooled.client.ask("PATCH", path, {"party_b": THIRD})).data
    assert (changed["party_a"], changed["party_b"]) == (TO, THIRD)
    assert changed["proxy_number_a"] == made["proxy_number_a"]
    resolved = await pooled.masked.masking.resolve(
        OURS, OTHER, (await pooled.masked.masking.get(OURS, SessionId(str(made["id"])))).participants[1].proxy
    )
    assert resolved is None


async def test_a_closed_session_is_not_changed(pooled: Rig):
    path = f"{SESSIONS}/{(await _opened(pooled))['id']}"
    await pooled.client.ask("DELETE", path)
    answer = await pooled.client.ask("PATCH", path, {"ttl": 600})
    assert (answer.status, answer.code) == (409, "SESSION_CLOSED")


async def test_a_unique_name_is_free_again_after_the_session(pooled: Rig):
    made = await _opened(pooled, unique_name="ride-9")
    body = {"party_a": THIRD, "party_b": FOURTH, "unique_name": "ride-9"}
    assert (await pooled.client.post(SESSIONS, body)).code == "UNIQUE_NAME_TAKEN"
    await pooled.client.ask("DELETE", f"{SESSIONS}/{made['id']}")
    assert (await pooled.client.post(SESSIONS, body)).status == 201


async def test_sessions_are_listed_in_pages_newest_first_and_by_filter(pooled: Rig):
    made = []
    for n, other in enumerate((OTHER, THIRD, FOURTH)):
        made.append(str((await _opened(pooled, party_b=other, unique_name=f"n{n}"))["id"]))
        pooled.clock.advance(1)
    await pooled.client.ask("DELETE", f"{SESSIONS}/{made[0]}")

    async def ids(query: str) -> list[str]:
        return [one["id"] for one in (await pooled.client.get(f"{SESSIONS}?{query}")).data]

    assert await ids("") == made[::-1]
    assert await ids("status=active") == await ids("status=open") == [made[2], made[1]]
    assert await ids("status=closed") == [made[0]]
    assert await ids("status=in_progress") == []
    assert await ids("unique_name=n1") == [made[1]]
    assert await ids("party=%2B14155552673") == await ids("party=+14155552673") == [made[1]]
    first = await pooled.client.get(f"{SESSIONS}?limit=2")
    page = first.json["meta"]["pagination"]
    assert (page["total"], page["has_more"]) == (3, True)
    assert await ids(f"limit=2&cursor={page['cursor']}") == [made[0]]


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "status=gone", "party=12", "sort=up", "cursor=x"])
async def test_a_list_refuses_what_it_does_not_know(pooled: Rig, query: str):
    assert (await pooled.client.get(f"{SESSIONS}?{query}")).status in (400, 422)


async def test_interactions_are_listed_shown_and_forgotten(pooled: Rig):
    session = str((await _opened(pooled))["id"])
    made = [
        await pooled.masked.interact(OURS, session, pooled.clock.now() + n, kind=kind)
        for n, kind in enumerate((Kind.VOICE, Kind.MESSAGE, Kind.VOICE))
    ]
    path = f"{SESSIONS}/{session}/interactions"
    listed = await pooled.client.get(f"{path}?limit=2")
    assert [one["id"] for one in listed.data] == [made[2], made[1]]
    page = listed.json["meta"]["pagination"]
    assert (page["total"], page["has_more"]) == (3, True)
    assert [
        one["id"] for one in (await pooled.client.get(f"{path}?limit=2&cursor={page['cursor']}")).data
    ] == [made[0]]
    one = f"/api/v1/proxy/interactions/{made[0]}"
    shown = (await pooled.client.get(one)).data
    assert (shown["from"], shown["to"], shown["kind"], shown["status"]) == (
        "party_a",
        "party_b",
        "voice",
        "completed",
    )
    assert (await pooled.client.ask("DELETE", one)).status == 204
    assert (await pooled.client.get(one)).status == 404
    assert (await pooled.client.ask("DELETE", one)).status == 404
    assert (await pooled.client.get(path)).json["meta"]["pagination"]["total"] == 2


async def test_the_document_tells_the_shape_that_is_answered(rig: Rig):
    """Field for field, for every model, with and without whole numbers."""
    await rig.pool(ONE, TWO, THREE)
    await rig.pool("+12025550311", use="anyone")
    await rig.pool("+12025550312", use="extensions")
    await _opened(rig, pin={"mode": "always"})
    await rig.client.post(SESSIONS, {"model": "group", "party_a": TO, "members": [THIRD, FOURTH]})
    await rig.client.post(SESSIONS, {"model": "anyone", "party_a": TO, "party_b": OTHER})
    await rig.client.post(SESSIONS, {"model": "extension", "party_a": TO})
    for role in ("owner", "viewer"):
        sessions = (await rig.as_role(role).get(SESSIONS)).data
        assert {one["model"] for one in sessions} == {"pair", "group", "anyone", "extension"}
        for one in sessions:
            SessionShown.model_validate(one)
            assert set(one) == set(SessionShown.model_fields)
            assert set(one["terms"]) == set(TermsShown.model_fields)
            assert all(set(member) == set(MemberShown.model_fields) for member in one["members"])
            kept = await rig.masked.interact(OURS, one["id"], rig.clock.now(), kind=Kind.MESSAGE, body="x")
            shown = (await rig.as_role(role).get(f"/api/v1/proxy/interactions/{kept}")).data
            InteractionShown.model_validate(shown)
            assert set(shown) == {
                field.alias or name for name, field in InteractionShown.model_fields.items()
            }


def test_the_document_has_the_operations_at_their_first_address():
    paths = [path for path in document()["paths"] if path.startswith("/api/v1/proxy")]
    assert sorted(paths) == [
        "/api/v1/proxy/inbound",
        "/api/v1/proxy/inbound/{carrier}",
        "/api/v1/proxy/interactions/{interaction_id}",
        "/api/v1/proxy/media/{media_id}",
        "/api/v1/proxy/pool",
        "/api/v1/proxy/pool/forecast",
        "/api/v1/proxy/pool/numbers",
        "/api/v1/proxy/pool/numbers/{number_id}",
        "/api/v1/proxy/receipts/{carrier}",
        "/api/v1/proxy/sessions",
        "/api/v1/proxy/sessions/{session_id}",
        "/api/v1/proxy/sessions/{session_id}/interactions",
        "/api/v1/proxy/settings",
    ]


async def test_what_was_done_is_in_the_audit_log_without_numbers(pooled: Rig):
    made = await _opened(pooled)
    path = f"{SESSIONS}/{made['id']}"
    await pooled.client.ask("PATCH", path, {"ttl": 600})
    for _ in range(2):
        await pooled.client.ask("DELETE", path)
    entries = [e for e in await pooled.face.books.audit.entries(OURS) if e.subject == made["id"]]  # type: ignore[attr-defined]
    assert [entry.action for entry in entries] == ["session.opened", "session.changed", "session.closed"]
    assert TO not in repr(entries)
