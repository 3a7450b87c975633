"""Who sees what of a masking session: numbers, PINs, texts; and what is kept for a retry."""

import json

import pytest

from proxy_pool.core.interaction import Kind
from tests.unit.http.masked import PROXY, SESSIONS
from tests.unit.http.rig import OURS, Rig

pytestmark = pytest.mark.unit

ONE, TWO, THREE = "+12025550301", "+12025550302", "+12025550303"
TO, OTHER, THIRD = "+14155552681", "+14155552682", "+14155552683"
PAIR = {"party_a": TO, "party_b": OTHER}
SECRETS = (TO[1:], OTHER[1:], THIRD[1:], TO[2:], OTHER[2:], THIRD[2:])


@pytest.fixture
async def pooled(rig: Rig) -> Rig:
    await rig.pool(ONE, TWO, THREE)
    return rig


async def _blind(rig: Rig) -> str:
    """A key that may do everything with masking, but sees no whole numbers."""
    return await rig.key("owner", scopes=("proxy:read", "proxy:write", "numbers:read", "numbers:write"))


async def test_without_the_scope_no_answer_tells_a_number(pooled: Rig):
    blind = pooled.client.having(await _blind(pooled))
    made = await blind.post(SESSIONS, {**PAIR, "pin": {"mode": "always"}})
    group = await blind.post(SESSIONS, {"model": "group", "party_a": TO, "members": [THIRD]})
    path = f"{SESSIONS}/{made.data['id']}"
    kept = await pooled.masked.interact(
        OURS, made.data["id"], pooled.clock.now(), kind=Kind.MESSAGE, body=f"call {TO}", outcome=f"to {TO}"
    )
    seen = [
        made,
        group,
        await blind.get(path),
        await blind.get(SESSIONS),
        await blind.get(f"{path}/interactions"),
        await blind.get(f"{PROXY}/interactions/{kept}"),
        await blind.ask("PATCH", path, {"party_b": THIRD}),
        await blind.get(f"{PROXY}/settings"),
        await blind.post(f"{PROXY}/inbound", {"type": "call", "from": TO, "to": made.data["proxy_number_a"]}),
        await blind.ask("DELETE", path),
    ]
    for answer in seen:
        assert answer.status < 300, answer.body
        assert not [secret for secret in SECRETS if secret in answer.body.decode()], answer.body
    assert made.data["party_a"] == "+141••••••81"
    assert (made.data["has_pin_a"], made.data["pin_a"], made.data["pin_b"]) == (True, None, None)


REFUSED = [
    {**PAIR, "party_b": TO},
    {**PAIR, "party_a": TO[1:]},
    {**PAIR, "party_a": int(TO[1:])},
    {**PAIR, "party_a": float(TO[1:])},
    {**PAIR, "party_a": [TO]},
    {**PAIR, "party_a": f"{TO}\n"},
    {**PAIR, "party_a": f"phone:{TO}"},
    {**PAIR, "party_a": f"agent:{TO}"},
    {**PAIR, "proxy_number": TO[1:]},
    {**PAIR, "ttl": TO},
    {**PAIR, TO: "x"},
    {**PAIR, "metadata": {TO: 1}},
    {**PAIR, "metadata": {"a": int(TO[1:])}},
    {**PAIR, "unique_name": f"{TO}\n"},
    {**PAIR, "pin": {"a": TO[1:]}},
    {**PAIR, "pin": {"a": "4821", "b": "48217"}},
]


@pytest.mark.parametrize("body", REFUSED, ids=range(len(REFUSED)))
async def test_without_the_scope_no_refusal_tells_a_number_or_a_pin(pooled: Rig, body: dict[str, object]):
    blind = pooled.client.having(await _blind(pooled))
    first = await blind.post(SESSIONS, body, {"Idempotency-Key": "k"})
    again = await blind.post(SESSIONS, body, {"Idempotency-Key": "k"})
    for answer in (first, again):
        assert answer.status == 422
        told = answer.body.decode()
        assert not [secret for secret in (*SECRETS, "4821") if secret in told], told


async def test_a_number_given_twice_is_not_told_either(pooled: Rig):
    blind = pooled.client.having(await _blind(pooled))
    answer = await blind.post(SESSIONS, f'{{"{TO}": 1, "{TO}": 2}}'.encode())
    assert answer.status == 400
    assert TO[2:] not in answer.body.decode()


async def test_whoever_may_see_numbers_is_told_what_was_wrong(pooled: Rig):
    answer = await pooled.client.post(SESSIONS, {**PAIR, "party_a": f"{TO}x\n"})
    assert answer.error["details"]["value"] == f"{TO}x\n"


async def test_a_pin_is_never_told_back(pooled: Rig):
    answer = await pooled.client.post(SESSIONS, {**PAIR, "pin": {"a": "48211x"}})
    assert answer.error["details"] == {
        "field": "pin.a",
        "value": None,
        "expected": "text matching ^[0-9]{4,10}$",
    }


async def test_pins_are_shown_once_to_those_who_may_see_numbers(pooled: Rig):
    body = {**PAIR, "pin": {"mode": "always", "length": 5, "a": "48213"}}
    first = await pooled.client.post(SESSIONS, body, {"Idempotency-Key": "k"})
    assert first.data["pin_a"] == "48213"
    assert len(first.data["pin_b"]) == 5
    again = await pooled.client.post(SESSIONS, body, {"Idempotency-Key": "k"})
    assert again.headers["idempotent-replayed"] == "true"
    assert again.data == {**first.data, "pin_a": None, "pin_b": None}
    path = f"{SESSIONS}/{first.data['id']}"
    for answer in (
        await pooled.client.get(path),
        await pooled.client.get(SESSIONS),
        await pooled.client.ask("PATCH", path, {"ttl": 600}),
        await pooled.client.ask("DELETE", path),
    ):
        assert "48213" not in answer.body.decode()
        assert first.data["pin_b"] not in json.dumps(answer.json["data"])


async def test_members_pins_are_shown_once_too(pooled: Rig):
    body = {
        "model": "group",
        "party_a": TO,
        "members": [{"party": OTHER, "pin": "482135"}, THIRD],
        "pin": {"mode": "unknown"},
    }
    first = await pooled.client.post(SESSIONS, body, {"Idempotency-Key": "k"})
    pins = [member["pin"] for member in first.data["members"]]
    assert pins[0] == "482135"
    assert len(pins[1]) == 6
    again = await pooled.client.post(SESSIONS, body, {"Idempotency-Key": "k"})
    shown = (await pooled.client.get(f"{SESSIONS}/{first.data['id']}")).data
    assert shown["members"] == again.data["members"]
    assert [(m["pin"], m["has_pin"]) for m in shown["members"]] == [(None, True), (None, True)]


async def test_looking_a_party_up_needs_to_see_numbers(pooled: Rig):
    await pooled.client.post(SESSIONS, PAIR)
    blind = pooled.client.having(await _blind(pooled))
    answer = await blind.get(f"{SESSIONS}?party=%2B14155552681")
    assert (answer.status, answer.code) == (403, "INSUFFICIENT_PERMISSIONS")
    assert TO[2:] not in answer.body.decode()
    assert len((await pooled.client.get(f"{SESSIONS}?party=%2B14155552681")).data) == 1


async def test_the_same_request_twice_opens_one_session(pooled: Rig):
    key = {"Idempotency-Key": "ride-9"}
    first, second = [await pooled.client.post(SESSIONS, PAIR, key) for _ in range(2)]
    assert first.data["id"] == second.data["id"]
    assert (await pooled.client.get(SESSIONS)).json["meta"]["pagination"]["total"] == 1


async def test_a_request_that_was_cut_off_finds_the_session_it_opened(
    pooled: Rig, monkeypatch: pytest.MonkeyPatch
):
    opened = pooled.masked.masking.open

    async def open_and_die(*args: object, **kwargs: object) -> object:
        await opened(*args, **kwargs)  # type: ignore[arg-type]
        raise RuntimeError

    key = {"Idempotency-Key": "ride-9"}
    monkeypatch.setattr(pooled.masked.masking, "open", open_and_die)
    assert (await pooled.client.post(SESSIONS, PAIR, key)).status == 500
    monkeypatch.setattr(pooled.masked.masking, "open", opened)
    pooled.clock.advance(120)
    assert (await pooled.client.post(SESSIONS, PAIR, key)).status == 201
    assert (await pooled.client.get(SESSIONS)).json["meta"]["pagination"]["total"] == 1


async def test_a_ledger_that_is_away_is_503_and_the_same_key_may_try_again(pooled: Rig):
    key = {"Idempotency-Key": "ride-9"}
    pooled.masked.ledger.away = True
    answer = await pooled.client.post(SESSIONS, PAIR, key)
    assert (answer.status, answer.code) == (503, "SERVICE_UNAVAILABLE")
    pooled.masked.ledger.away = False
    assert (await pooled.client.post(SESSIONS, PAIR, key)).status == 201


async def test_an_audit_log_that_is_away_does_not_undo_the_session(
    pooled: Rig, monkeypatch: pytest.MonkeyPatch
):
    from telephony.errors import StorageUnavailable

    async def away(entry: object) -> None:
        raise StorageUnavailable

    monkeypatch.setattr(pooled.face.books.audit, "append", away)
    assert (await pooled.client.post(SESSIONS, PAIR)).status == 201
