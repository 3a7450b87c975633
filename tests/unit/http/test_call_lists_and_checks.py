"""Lists of calls: pages, filters, totals; and asking before calling."""

import pytest

from gateway.policy.rules import RULES
from tests.unit.http.rig import CALLS, FROM, OTHER, OURS, TO, Rig

pytestmark = pytest.mark.unit


async def _seven(rig: Rig) -> list[str]:
    made = []
    for n in range(7):
        made.append((await rig.place(to=TO if n % 2 else OTHER))["id"])
        rig.clock.advance(10)
    return list(reversed(made))


async def test_pages_hold_every_call_once_newest_first(rig: Rig):
    made = await _seven(rig)
    seen, query = [], "?limit=3"
    while True:
        answer = await rig.client.get(CALLS + query)
        page = answer.json["meta"]["pagination"]
        assert page["total"] == 7
        seen += [call["id"] for call in answer.data]
        assert page["has_more"] is (page["cursor"] is not None)
        if page["cursor"] is None:
            break
        query = f"?limit=3&cursor={page['cursor']}"
    assert seen == made


async def test_a_call_made_meanwhile_does_not_shift_pages(rig: Rig):
    made = await _seven(rig)
    first = (await rig.client.get(f"{CALLS}?limit=3")).json
    await rig.place()
    cursor = first["meta"]["pagination"]["cursor"]
    second = (await rig.client.get(f"{CALLS}?limit=3&cursor={cursor}")).data
    assert [call["id"] for call in second] == made[3:6]


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("", 7),
        ("status=initiating", 7),
        ("status=busy", 0),
        ("to=%2B14155552671", 3),
        ("to=+14155552671", 3),
        ("from=%2B12025550100", 7),
        ("from=%2B12025550199", 0),
        ("created_after=2026-03-08T12:00:30Z", 4),
        ("created_before=2026-03-08T12:00:30Z", 3),
        ("created_after=2026-03-08T13:00:10%2B01:00&created_before=2026-03-08T13:00:30+01:00", 2),
        ("to=%2B14155552671&created_after=2026-03-08T12:00:30Z", 2),
    ],
)
async def test_filters(rig: Rig, query: str, count: int):
    await _seven(rig)
    answer = await rig.client.get(f"{CALLS}?{query}")
    assert len(answer.data) == answer.json["meta"]["pagination"]["total"] == count


async def test_twenty_on_a_page_unless_asked_otherwise(rig: Rig):
    for _ in range(20):
        await rig.place()
    rig.clock.advance(60)
    call_id = (await rig.client.get(CALLS)).data[0]["id"]
    channel = rig.channel_of(call_id)
    await rig.settle()
    rig.switch.dial(channel)
    rig.switch.end(channel, 17, 486)
    await rig.settle()
    await rig.place()
    answer = await rig.client.get(CALLS)
    assert len(answer.data) == 20
    assert answer.json["meta"]["pagination"]["total"] == 21
    assert len((await rig.client.get(f"{CALLS}?limit=100")).data) == 21
    assert (await rig.client.get(f"{CALLS}?status=busy")).data[0]["id"] == call_id


# ------------------------------------------------------------ asking before calling


async def _check(rig: Rig, **fields: object) -> dict[str, dict[str, object]]:
    data = (await rig.client.post(f"{CALLS}:check", {"to": TO, "from": FROM, **fields})).data
    assert [rule["rule"] for rule in data["rules"]] == [rule.name for rule in RULES]
    assert data["allowed"] is all(rule["passed"] for rule in data["rules"])
    return {rule["rule"]: rule for rule in data["rules"] if not rule["passed"]}


async def test_a_call_that_may_be_made_passes_every_rule_and_is_not_made(rig: Rig):
    assert await _check(rig) == {}
    assert rig.director.live_calls(OURS) == 0
    assert rig.switch.orders == []
    assert rig.prompts.said == []


@pytest.mark.parametrize(
    ("fields", "failed", "field"),
    [
        ({"to": "911"}, {"not_emergency", "valid_number", "country_allowed"}, "to"),
        ({"to": "+18765551234"}, {"country_allowed"}, "to"),
        ({"to": "+19005551234"}, {"not_premium"}, "to"),
        ({"to": FROM}, {"not_own_number"}, "to"),
        ({"connect_to": FROM}, {"not_own_number"}, "connect_to"),
        ({"from": "+14155550199"}, {"from_owned"}, "from"),
    ],
)
async def test_the_check_names_the_rule_and_the_field(
    rig: Rig, fields: dict[str, object], failed: set[str], field: str
):
    found = await _check(rig, **fields)
    assert set(found) == failed
    assert {rule["field"] for rule in found.values()} == {field}
    refused = await rig.client.post(CALLS, {"to": TO, "from": FROM, **fields})
    first = next(iter(found.values()))
    assert (refused.code, refused.error["message"]) == (first["code"], first["message"])


async def test_the_check_sees_the_limits_of_the_moment(rig: Rig):
    for _ in range(20):
        await rig.place()
    assert set(await _check(rig)) == {"tenant_concurrency"}
    for _ in range(40):
        await rig.client.post(CALLS, {"to": 1})
    assert set(await _check(rig)) == {"tenant_concurrency", "rate"}
    await rig.face.books.usage.add(OURS, rig.clock.wall().date(), 6000)
    rig.clock.advance(1)
    assert set(await _check(rig)) == {"tenant_concurrency", "rate", "daily_minutes"}


async def test_the_check_takes_the_same_bodies(rig: Rig):
    answer = await rig.client.post(f"{CALLS}:check", {"to": TO, "agent_id": "agt_1"})
    assert (answer.status, answer.field) == (422, "agent_id")
    assert (await rig.client.post(f"{CALLS}:check", {"to": TO, "nope": 1})).field == "nope"
