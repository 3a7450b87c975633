"""What the outbox promises, in memory and in SQLite alike."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from gateway.webhooks.core.backoff import DISABLE_AFTER_S
from gateway.webhooks.core.delivery import Delivery, Settlement
from gateway.webhooks.ports import DeliveryFilter

if TYPE_CHECKING:
    from .conftest import Doors

pytestmark = pytest.mark.contract

URL = "https://receiver.example.com/hooks/7"


def settled(delivery: Delivery, verdict: Any, at: float, **more: Any) -> Settlement:
    return Settlement(delivery, verdict, at, **more)


async def test_an_event_goes_to_each_endpoint_that_wants_it_and_to_the_calls_own_url(doors: Doors) -> None:
    everything = await doors.endpoint()
    answers = await doors.endpoint(events=("call.answered", "call.busy"))
    await doors.endpoint(events=("call.busy",))
    await doors.endpoint(tenant="ten_b")
    lanes = await doors.tell(url=URL)
    assert set(lanes) == {everything.id, answers.id, "ten_a|https://receiver.example.com"}
    claimed = await doors.claim(*lanes)
    assert {d.url for d in claimed} == {everything.url, answers.url, URL}
    assert len({d.event_id for d in claimed}) == 1
    assert len({d.body for d in claimed}) == 1
    assert json.loads(claimed[0].body)["data"] == {"call_id": "call_1"}
    assert {d.secrets for d in claimed if d.endpoint_id} == {(everything.secret,), (answers.secret,)}


async def test_nobody_to_tell_stores_nothing(doors: Doors) -> None:
    await doors.endpoint(tenant="ten_b")
    assert await doors.tell() == ()
    assert await doors.outbox.waiting() == []


async def test_the_same_event_twice_changes_nothing(doors: Doors) -> None:
    lane = (await doors.endpoint()).id
    assert await doors.tell(event_id="evt_1") == (lane,)
    assert await doors.tell(event_id="evt_1") == ()
    assert len(await doors.claim(lane)) == 1


async def test_a_fact_that_is_not_stored_leaves_no_webhook(doors: Doors) -> None:
    lane = (await doors.endpoint()).id

    def work(conn: Any) -> None:
        from gateway.webhooks.core.events import WebhookEvent

        doors.outbox.fan_out(
            conn, "ten_a", WebhookEvent("evt_1", "call.busy", doors.clock.wall(), "call_1", 1, {})
        )
        raise LookupError

    with pytest.raises(LookupError):
        await doors.db.write(work)
    assert await doors.claim(lane) == []
    assert await doors.tell(event_id="evt_1") == (lane,)


async def test_what_would_be_told_to_nobody_is_known_beforehand(doors: Doors) -> None:
    async def wanted(tenant: str, type_: str) -> bool:
        return bool(await doors.db.write(lambda conn: doors.outbox.wanted(conn, tenant, type_)))

    assert not await wanted("ten_a", "call.busy")
    endpoint = await doors.endpoint()
    await doors.db.write(lambda conn: doors.book.put(conn, replace(endpoint, events=("call.busy",))))
    assert await wanted("ten_a", "call.busy")
    assert not await wanted("ten_a", "call.answered")
    assert not await wanted("ten_b", "call.busy")
    await doors.db.write(lambda conn: doors.book.put(conn, replace(endpoint, active=False)))
    assert not await wanted("ten_a", "call.busy")


async def test_changes_of_endpoints_take_effect_at_once(doors: Doors) -> None:
    endpoint = await doors.endpoint()
    assert await doors.tell() == (endpoint.id,)
    other = await doors.endpoint()
    assert await doors.tell() == (endpoint.id, other.id)
    await doors.db.write(lambda conn: doors.book.put(conn, replace(endpoint, active=False)))
    assert await doors.tell() == (other.id,)
    await doors.db.write(lambda conn: doors.book.put(conn, replace(other, events=("call.busy",))))
    assert await doors.tell() == ()


async def test_a_claim_hides_a_delivery_until_it_runs_out(doors: Doors) -> None:
    lane = (await doors.endpoint()).id
    await doors.tell()
    first = await doors.claim(lane, hold=60)
    assert await doors.claim(lane) == []
    doors.clock.advance(59.9)
    assert await doors.claim(lane) == []
    doors.clock.advance(0.2)
    again = await doors.claim(lane)
    assert [d.id for d in again] == [d.id for d in first]
    assert again[0].attempts == 0


async def test_claims_are_bounded_per_lane_and_oldest_first(doors: Doors) -> None:
    lane, other = (await doors.endpoint()).id, (await doors.endpoint(events=("call.busy",))).id
    for sequence in range(1, 6):
        await doors.tell(sequence=sequence)
        doors.clock.advance(0.5)
    await doors.tell(type_="call.busy", subject="call_2")
    claimed = await doors.outbox.claim({lane: 3, other: 3}, doors.now, doors.now + 60)
    assert [d.sequence for d in claimed if d.lane == lane] == [1, 2, 3]
    assert [d.subject for d in claimed if d.lane == other] == ["call_2"]


async def test_events_of_the_same_instant_keep_their_sequence(doors: Doors) -> None:
    lane = (await doors.endpoint()).id
    for sequence in (1, 2, 3, 4):
        await doors.tell(sequence=sequence)
    assert [d.sequence for d in await doors.claim(lane)] == [1, 2, 3, 4]


async def test_waiting_names_each_lane_and_when_its_first_is_due(doors: Doors) -> None:
    assert await doors.outbox.waiting() == []
    first, second = await doors.endpoint(), await doors.endpoint(events=("call.busy",))
    start = doors.now
    await doors.tell()
    doors.clock.advance(10)
    await doors.tell(type_="call.busy")
    await doors.tell(type_="call.busy")
    assert sorted(await doors.outbox.waiting()) == sorted([(first.id, start), (second.id, start + 10)])
    await doors.claim(first.id, hold=60)
    assert dict(await doors.outbox.waiting())[first.id] == start + 70


async def test_a_delivered_one_is_never_claimed_again(doors: Doors) -> None:
    lane = (await doors.endpoint()).id
    await doors.tell()
    (delivery,) = await doors.claim(lane)
    await doors.outbox.settle([settled(delivery, "delivered", doors.now, status=204, took_ms=12)])
    doors.clock.advance(10_000)
    assert await doors.claim(lane) == []
    assert await doors.outbox.waiting() == []
    view = await doors.db.read(lambda conn: doors.log.get(conn, "ten_a", delivery.id))
    assert (view.status, view.attempts, view.last_status, view.took_ms) == ("delivered", 1, 204, 12)
    assert (view.next_at, view.delivered_at) == (None, doors.now - 10_000)


async def test_a_failed_one_comes_back_when_its_time_has_come(doors: Doors) -> None:
    lane = (await doors.endpoint()).id
    await doors.tell()
    (delivery,) = await doors.claim(lane)
    outcome = settled(
        delivery, "retry", doors.now, next_at=doors.now + 5, status=500, note="HTTP 500", excerpt="oh"
    )
    await doors.outbox.settle([outcome])
    assert await doors.claim(lane) == []
    view = await doors.db.read(lambda conn: doors.log.get(conn, "ten_a", delivery.id))
    assert (view.status, view.attempts, view.last_note, view.last_excerpt) == ("pending", 1, "HTTP 500", "oh")
    assert view.next_at == doors.now + 5
    doors.clock.advance(5)
    (again,) = await doors.claim(lane)
    assert (again.id, again.event_id, again.attempts, again.body) == (
        delivery.id,
        delivery.event_id,
        1,
        delivery.body,
    )


async def test_a_dead_one_stays_dead_unless_it_is_delivered_after_all(doors: Doors) -> None:
    lane = (await doors.endpoint()).id
    await doors.tell()
    (delivery,) = await doors.claim(lane)
    await doors.outbox.settle([settled(delivery, "dead", doors.now, note="HTTP 500")])
    await doors.outbox.settle([settled(delivery, "retry", doors.now, next_at=doors.now)])
    doors.clock.advance(1)
    assert await doors.claim(lane) == []
    await doors.outbox.settle([settled(delivery, "delivered", doors.now, status=200)])
    view = await doors.db.read(lambda conn: doors.log.get(conn, "ten_a", delivery.id))
    assert view.status == "delivered"


async def test_one_returned_unused_is_due_at_once_and_counts_no_attempt(doors: Doors) -> None:
    lane = (await doors.endpoint()).id
    await doors.tell()
    (delivery,) = await doors.claim(lane)
    await doors.outbox.settle([settled(delivery, "returned", doors.now)])
    (again,) = await doors.claim(lane)
    assert (again.id, again.attempts) == (delivery.id, 0)


async def test_returning_a_settled_one_changes_nothing(doors: Doors) -> None:
    lane = (await doors.endpoint()).id
    await doors.tell()
    (delivery,) = await doors.claim(lane)
    await doors.outbox.settle([settled(delivery, "retry", doors.now, next_at=doors.now + 100)])
    await doors.outbox.settle([settled(delivery, "returned", doors.now)])
    assert await doors.claim(lane) == []


async def test_rotated_secrets_both_sign_until_the_overlap_ends(doors: Doors) -> None:
    old = doors.ids.secret()
    endpoint = await doors.endpoint(previous_secret=old, previous_until=doors.now + 100)
    await doors.tell()
    (delivery,) = await doors.claim(endpoint.id, hold=50)
    assert delivery.secrets == (endpoint.secret, old)
    doors.clock.advance(100)
    (delivery,) = await doors.claim(endpoint.id)
    assert delivery.secrets == (endpoint.secret,)


async def test_per_call_urls_are_signed_with_the_tenants_own_secret(doors: Doors) -> None:
    (lane,) = await doors.tell(url=URL)
    (delivery,) = await doors.claim(lane)
    secret = await doors.db.write(lambda conn: doors.book.secret_of(conn, "ten_a", doors.now))
    other = await doors.db.write(lambda conn: doors.book.secret_of(conn, "ten_b", doors.now))
    assert delivery.secrets == (secret.secret,)
    assert delivery.endpoint_id is None
    assert other.secret != secret.secret
    assert not secret.shown


async def test_a_changed_url_is_used_by_what_waits_already(doors: Doors) -> None:
    endpoint = await doors.endpoint()
    await doors.tell()
    moved = replace(endpoint, url="https://elsewhere.example.com/")
    await doors.db.write(lambda conn: doors.book.put(conn, moved))
    (delivery,) = await doors.claim(endpoint.id)
    assert delivery.url == "https://elsewhere.example.com/"


async def test_removing_an_endpoint_ends_its_deliveries(doors: Doors) -> None:
    endpoint = await doors.endpoint()
    await doors.tell()
    assert not await doors.db.write(lambda conn: doors.book.remove(conn, "ten_b", endpoint.id, doors.now))
    assert await doors.db.write(lambda conn: doors.book.remove(conn, "ten_a", endpoint.id, doors.now))
    assert await doors.claim(endpoint.id) == []
    page = await doors.deliveries(DeliveryFilter())
    assert page.total == 1
    assert (page.items[0].status, page.items[0].last_note) == ("dead", "the endpoint was deleted")
    assert await doors.tell() == ()


async def test_410_switches_the_endpoint_off_and_tells_the_others(doors: Doors) -> None:
    gone, other = (
        await doors.endpoint(events=("call.answered",)),
        await doors.endpoint(events=("webhook.endpoint.disabled",)),
    )
    for _ in range(2):
        await doors.tell()
    delivery, _ = await doors.claim(gone.id)
    (off,) = await doors.outbox.settle(
        [settled(delivery, "dead", doors.now, status=410, note="HTTP 410", endpoint_gone=True)]
    )
    assert (off.tenant_id, off.endpoint_id, off.reason, off.lanes) == ("ten_a", gone.id, "gone", (other.id,))
    stored = await doors.db.read(lambda conn: doors.book.get(conn, "ten_a", gone.id))
    assert (stored.active, stored.disabled_reason) == (False, "gone")
    doors.clock.advance(100)
    assert await doors.claim(gone.id) == []
    (told,) = await doors.claim(other.id)
    body = json.loads(told.body)
    assert body["type"] == "webhook.endpoint.disabled"
    assert body["data"] == {"endpoint_id": gone.id, "url": gone.url, "reason": "gone"}
    assert await doors.tell() == ()


async def test_five_days_of_nothing_but_failure_switch_an_endpoint_off(doors: Doors) -> None:
    endpoint = await doors.endpoint()
    await doors.tell()

    async def fail(after: float) -> list[Any]:
        doors.clock.advance(after)
        (delivery,) = await doors.claim(endpoint.id)
        return list(await doors.outbox.settle([settled(delivery, "retry", doors.now, next_at=doors.now)]))

    assert await fail(0) == []
    assert await fail(DISABLE_AFTER_S - 1) == []
    (off,) = await fail(1)
    assert (off.endpoint_id, off.reason) == (endpoint.id, "failing")
    stored = await doors.db.read(lambda conn: doors.book.get(conn, "ten_a", endpoint.id))
    assert (stored.active, stored.disabled_reason) == (False, "failing")


async def test_one_success_starts_the_five_days_anew(doors: Doors) -> None:
    endpoint = await doors.endpoint()
    for _ in range(2):
        await doors.tell()
    first, second = await doors.claim(endpoint.id)
    await doors.outbox.settle([settled(first, "retry", doors.now, next_at=doors.now)])
    doors.clock.advance(DISABLE_AFTER_S - 1)
    await doors.outbox.settle([settled(second, "delivered", doors.now, status=200)])
    doors.clock.advance(10)
    (again,) = await doors.claim(endpoint.id)
    assert await doors.outbox.settle([settled(again, "retry", doors.now, next_at=doors.now)]) == []


async def test_a_success_in_the_same_batch_outweighs_failures(doors: Doors) -> None:
    endpoint = await doors.endpoint(failing_since=doors.now - DISABLE_AFTER_S)
    for _ in range(2):
        await doors.tell()
    first, second = await doors.claim(endpoint.id)
    outcomes = [
        settled(first, "delivered", doors.now),
        settled(second, "retry", doors.now, next_at=doors.now),
    ]
    assert await doors.outbox.settle(outcomes) == []


async def test_purge_drops_old_finished_events_only(doors: Doors) -> None:
    lane = (await doors.endpoint()).id
    await doors.tell(subject="call_done")
    await doors.tell(subject="call_waits")
    claimed = {one.subject: one for one in await doors.claim(lane)}  # of one moment: in either order
    done, waits = claimed["call_done"], claimed["call_waits"]
    await doors.outbox.settle(
        [settled(done, "delivered", doors.now), settled(waits, "retry", doors.now, next_at=doors.now)]
    )
    doors.clock.advance(100)
    await doors.tell(subject="call_new")
    assert await doors.outbox.purge(doors.now - 50, 100) == 1
    page = await doors.deliveries(DeliveryFilter())
    assert [v.subject for v in page.items] == ["call_new", "call_waits"]
    assert len(await doors.claim(lane)) == 2


async def test_a_replayed_delivery_is_sent_as_new(doors: Doors) -> None:
    lane = (await doors.endpoint()).id
    await doors.tell()
    (delivery,) = await doors.claim(lane)
    await doors.outbox.settle([settled(delivery, "dead", doors.now, note="HTTP 500")])
    doors.clock.advance(50)
    assert await doors.db.write(lambda c: doors.log.replay(c, "ten_b", delivery.id, doors.now)) is None
    assert await doors.db.write(lambda c: doors.log.replay(c, "ten_a", delivery.id, doors.now)) == lane
    (again,) = await doors.claim(lane)
    assert (again.id, again.event_id, again.attempts) == (delivery.id, delivery.event_id, 0)


async def test_one_in_flight_is_not_replayed_but_one_that_waits_is(doors: Doors) -> None:
    lane = (await doors.endpoint()).id
    await doors.tell()
    (delivery,) = await doors.claim(lane, hold=60)

    async def replay() -> str | None:
        result: str | None = await doors.db.write(
            lambda conn: doors.log.replay(conn, "ten_a", delivery.id, doors.now)
        )
        return result

    assert await replay() is None
    await doors.outbox.settle([settled(delivery, "retry", doors.now, next_at=doors.now + 7200)])
    assert await replay() == lane
    assert len(await doors.claim(lane, hold=60)) == 1
    doors.clock.advance(61)
    assert await replay() == lane


async def test_all_dead_ones_since_a_time_are_replayed(doors: Doors) -> None:
    endpoint = await doors.endpoint()
    other = await doors.endpoint()
    for number in range(4):
        await doors.tell(subject=f"call_{number}")
        doors.clock.advance(10)
    claimed = await doors.claim(endpoint.id, other.id)
    await doors.outbox.settle([settled(d, "dead", doors.now) for d in claimed])
    since = doors.now - 25
    replayed = await doors.db.write(
        lambda conn: doors.log.replay_dead(conn, "ten_a", endpoint.id, since, doors.now)
    )
    assert replayed == 2
    foreign = await doors.db.write(lambda conn: doors.log.replay_dead(conn, "ten_b", other.id, 0, doors.now))
    assert foreign == 0
    assert sorted(d.subject for d in await doors.claim(endpoint.id, other.id)) == ["call_2", "call_3"]


async def test_deliveries_are_paged_newest_first_within_the_tenant(doors: Doors) -> None:
    endpoint = await doors.endpoint()
    await doors.endpoint(tenant="ten_b")
    for number in range(5):
        await doors.tell(subject=f"call_{number}")
        await doors.tell(tenant="ten_b", subject=f"foreign_{number}")

    wanted, seen, cursor = DeliveryFilter(endpoint_id=endpoint.id), [], None
    while True:
        page = await doors.deliveries(wanted, limit=2, cursor=cursor)
        assert page.total == 5
        seen += [view.subject for view in page.items]
        assert {view.url for view in page.items} == {endpoint.url}
        assert {view.event_type for view in page.items} == {"call.answered"}
        cursor = page.cursor
        if not page.has_more:
            break
    assert seen == [f"call_{number}" for number in (4, 3, 2, 1, 0)]


async def test_deliveries_are_filtered(doors: Doors) -> None:
    lane = (await doors.endpoint()).id
    await doors.tell(subject="call_1", event_id="evt_x")
    await doors.tell(subject="call_2")
    claimed = await doors.claim(lane)
    await doors.outbox.settle([settled(claimed[0], "dead", doors.now)])

    async def count(wanted: DeliveryFilter) -> int:
        page = await doors.deliveries(wanted)
        assert len(page.items) == page.total
        return int(page.total)

    assert await count(DeliveryFilter()) == 2
    assert await count(DeliveryFilter(status="dead")) == 1
    assert await count(DeliveryFilter(subject="call_2")) == 1
    assert await count(DeliveryFilter(event_id="evt_x")) == 1
    assert await count(DeliveryFilter(endpoint_id="wh_other")) == 0


async def test_endpoints_are_paged_and_belong_to_one_tenant(doors: Doors) -> None:
    mine = [await doors.endpoint() for _ in range(3)]
    foreign = await doors.endpoint(tenant="ten_b")
    page = await doors.endpoints(limit=2)
    assert ([one.id for one in page.items], page.total) == ([mine[2].id, mine[1].id], 3)
    rest = await doors.endpoints(limit=2, cursor=page.cursor)
    assert (rest.items, rest.cursor) == ((mine[0],), None)
    assert await doors.db.read(lambda conn: doors.book.count(conn, "ten_a")) == 3
    assert await doors.db.read(lambda conn: doors.book.get(conn, "ten_a", foreign.id)) is None
    assert await doors.db.read(lambda conn: doors.book.get(conn, "ten_b", foreign.id)) == foreign


async def test_a_test_event_reaches_an_endpoint_that_did_not_ask_for_it(doors: Doors) -> None:
    from gateway.webhooks.core.events import WebhookEvent

    endpoint = await doors.endpoint(events=("call.busy",))
    event = WebhookEvent("evt_t", "webhook.test", doors.clock.wall(), endpoint.id, 1, {})
    id_ = await doors.db.write(lambda conn: doors.outbox.send_to(conn, endpoint, event))
    assert [d.id for d in await doors.claim(endpoint.id)] == [id_]
