"""One effect for one Idempotency-Key, whatever happens in between."""

import asyncio

import pytest

from telephony.errors import PatchbayError, StorageUnavailable
from tests.unit.http.rig import CALLS, FROM, TO, Rig

pytestmark = pytest.mark.unit

KEY = {"Idempotency-Key": "order-7"}
GOOD = {"to": TO, "from": FROM}


async def _total(rig: Rig) -> int:
    return int((await rig.client.get(CALLS)).json["meta"]["pagination"]["total"])


async def test_the_same_request_again_gets_the_same_answer_and_one_call(rig: Rig):
    first = await rig.client.post(CALLS, GOOD, KEY)
    again = await rig.client.post(CALLS, GOOD, KEY)
    assert (first.status, again.status) == (201, 201)
    assert again.body == first.body
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert again.headers["x-request-id"] != first.headers["x-request-id"]
    assert await _total(rig) == 1


async def test_both_bases_share_keys(rig: Rig):
    first = await rig.client.post(CALLS, GOOD, KEY)
    assert (await rig.client.post("/v1/voice/calls", GOOD, KEY)).body == first.body


async def test_another_body_under_the_same_key_is_refused(rig: Rig):
    await rig.client.post(CALLS, GOOD, KEY)
    answer = await rig.client.post(CALLS, {**GOOD, "record": True}, KEY)
    assert (answer.status, answer.code, answer.field) == (422, "IDEMPOTENCY_MISMATCH", "Idempotency-Key")
    other_operation = await rig.client.post("/api/v1/voice/calls:check", GOOD, KEY)
    assert other_operation.code == "IDEMPOTENCY_MISMATCH"
    assert await _total(rig) == 1


async def test_refusals_are_replayed_too(rig: Rig):
    first = await rig.client.post(CALLS, {"to": "+18765551234", "from": FROM}, KEY)
    again = await rig.client.post(CALLS, {"to": "+18765551234", "from": FROM}, KEY)
    assert (first.status, again.status) == (422, 422)
    assert again.body == first.body
    assert again.headers["idempotent-replayed"] == "true"


async def test_a_schema_error_does_not_use_the_key_up(rig: Rig):
    assert (await rig.client.post(CALLS, {"to": 1}, KEY)).status == 422
    assert (await rig.client.post(CALLS, GOOD, KEY)).status == 201


async def test_at_the_same_time_one_is_carried_out(rig: Rig):
    answers = await asyncio.gather(*(rig.client.post(CALLS, GOOD, KEY) for _ in range(5)))
    assert {answer.status for answer in answers} <= {201, 409}
    assert [answer.status for answer in answers].count(201) >= 1
    assert {answer.code for answer in answers if answer.status == 409} <= {"IDEMPOTENCY_IN_PROGRESS"}
    assert await _total(rig) == 1


async def test_a_dead_switch_lets_go_of_the_key(rig: Rig):
    rig.switch.ready = False
    assert (await rig.client.post(CALLS, GOOD, KEY)).status == 503
    rig.switch.ready = True
    answer = await rig.client.post(CALLS, GOOD, KEY)
    assert answer.status == 201
    assert "idempotent-replayed" not in answer.headers


async def test_a_limit_lets_go_of_the_key(rig: Rig):
    for _ in range(20):
        await rig.place()
    crowded = await rig.client.post(CALLS, GOOD, KEY)
    assert (crowded.status, crowded.code) == (429, "CONCURRENCY_LIMIT")
    call_id = (await rig.client.get(CALLS)).data[0]["id"]
    channel = rig.channel_of(call_id)
    await rig.settle()
    rig.switch.dial(channel)
    rig.switch.end(channel, 17, 486)
    await rig.settle()
    assert (await rig.client.post(CALLS, GOOD, KEY)).status == 201


async def test_a_call_made_by_an_attempt_that_was_cut_off_is_found_again(rig: Rig):
    """The process died after the call was stored and before the answer was: nobody is called twice."""
    keep = rig.face.books.idempotency.complete

    async def die(*_: object) -> None:
        raise asyncio.CancelledError

    rig.face.books.idempotency.complete = die
    with pytest.raises(asyncio.CancelledError):
        await rig.client.post(CALLS, GOOD, KEY)
    rig.face.books.idempotency.complete = keep
    made = (await rig.client.get(CALLS)).data[0]["id"]
    assert (await rig.client.post(CALLS, GOOD, KEY)).code == "IDEMPOTENCY_IN_PROGRESS"
    rig.clock.advance(60)
    again = await rig.client.post(CALLS, GOOD, KEY)
    assert (again.status, again.data["id"]) == (201, made)
    assert await _total(rig) == 1


async def test_an_attempt_cut_off_before_the_call_is_carried_out_by_the_next(rig: Rig):
    place = rig.director.place

    async def die(_: object) -> None:
        raise asyncio.CancelledError

    rig.director.place = die
    with pytest.raises(asyncio.CancelledError):
        await rig.client.post(CALLS, GOOD, KEY)
    rig.director.place = place
    rig.clock.advance(60)
    assert (await rig.client.post(CALLS, GOOD, KEY)).status == 201
    assert await _total(rig) == 1


async def test_a_defect_keeps_the_key_until_somebody_looked(rig: Rig):
    place = rig.director.place

    async def break_(_: object) -> None:
        raise PatchbayError("secret text")

    rig.director.place = break_
    broken = await rig.client.post(CALLS, GOOD, KEY)
    assert (broken.status, broken.code) == (500, "INTERNAL_ERROR")
    assert b"secret" not in broken.body
    rig.director.place = place
    assert (await rig.client.post(CALLS, GOOD, KEY)).code == "IDEMPOTENCY_IN_PROGRESS"


async def test_an_answer_that_cannot_be_kept_is_given_all_the_same(rig: Rig):
    async def away(*_: object) -> None:
        raise StorageUnavailable

    rig.face.books.idempotency.complete = away
    assert (await rig.client.post(CALLS, GOOD, KEY)).status == 201


async def test_tenants_do_not_share_keys(rig: Rig):
    await rig.own("+12025550177", tenant=rig.their_tenant)
    ours = await rig.client.post(CALLS, {"to": TO}, KEY)
    theirs = await rig.client.having(rig.keys["theirs"]).post(CALLS, {"to": TO}, KEY)
    assert (ours.status, theirs.status) == (201, 201)
    assert ours.data["id"] != theirs.data["id"]


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "caf\xe9", "a\tb"])
async def test_a_key_that_cannot_be_used_is_named(rig: Rig, key: str):
    answer = await rig.client.post(CALLS, GOOD, {"Idempotency-Key": key})
    assert (answer.status, answer.field) == (422, "Idempotency-Key")


async def test_a_key_given_twice_is_refused(rig: Rig):
    headers = [
        (b"x-api-key", rig.keys["owner"].encode()),
        (b"content-type", b"application/json"),
        (b"idempotency-key", b"a"),
        (b"idempotency-key", b"b"),
    ]
    answer = await rig.client.raw("POST", CALLS, headers, [b'{"to": "+14155552671"}'])
    assert (answer.status, answer.field) == (422, "Idempotency-Key")


async def test_a_secret_shown_once_is_not_kept_for_the_replay(rig: Rig):
    body = {"name": "CRM", "role": "viewer"}
    first = await rig.client.post("/api/v1/settings/api-keys", body, KEY)
    again = await rig.client.post("/api/v1/settings/api-keys", body, KEY)
    assert first.data["value"].startswith("pb_live_sk_")
    assert again.data == {**first.data, "value": None}
    hook = {"url": "https://example.com/h", "events": ["*"]}
    made = await rig.client.post("/api/v1/webhooks", hook, {"Idempotency-Key": "hook"})
    repeated = await rig.client.post("/api/v1/webhooks", hook, {"Idempotency-Key": "hook"})
    assert made.data["signing_secret"].startswith("whsec_")
    assert repeated.data == {**made.data, "signing_secret": None}
