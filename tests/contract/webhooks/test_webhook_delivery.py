"""Deliveries end to end: a real outbox, a real deliverer, real receivers on loopback."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from standardwebhooks import Webhook

from gateway.webhooks.core.delivery import Settlement
from gateway.webhooks.core.lanes import FAILURES_TO_OPEN, FIRST_OPEN_S
from gateway.webhooks.core.signing import verify_devotel
from gateway.webhooks.core.ssrf import Policy
from gateway.webhooks.deliver import Deliverer, DeliverySettings
from gateway.webhooks.ports import DeliveryFilter
from gateway.webhooks.poster import GuardedPoster, Limits
from telephony.errors import StorageUnavailable

if TYPE_CHECKING:
    from .conftest import Doors, Received, Receiver

    Make = Callable[..., Awaitable[Receiver]]

pytestmark = pytest.mark.contract

NEVER_POLL = DeliverySettings(poll_s=3600)
"""No timer: what happens, happens because of ``notify``."""


@asynccontextmanager
async def delivering(
    doors: Doors,
    settings: DeliverySettings = NEVER_POLL,
    *,
    total_s: float = 600.0,
    outbox: Any = None,
) -> AsyncIterator[Deliverer]:
    poster = GuardedPoster(Policy(allow_private=True), Limits(total_s=total_s))
    deliverer = Deliverer(outbox or doors.outbox, poster, doors.clock, lambda: 0.5, settings)
    await deliverer.start()
    try:
        yield deliverer
    finally:
        await deliverer.stop(grace_s=0.1, record_s=60)
        await poster.close()


async def endpoint_at(doors: Doors, receiver: Receiver, path: str = "/hook", **more: Any) -> Any:
    made = await doors.endpoint(**more)
    moved = replace(made, url=receiver.url(path))
    await doors.db.write(lambda conn: doors.book.put(conn, moved))
    return moved


async def until(doors: Doors, subject: str, **expected: Any) -> Any:
    """Wait until the subject's youngest delivery looks as expected; gives it."""

    async def look() -> Any:
        (view,) = (await doors.deliveries(DeliveryFilter(subject=subject), limit=1)).items
        return view if all(getattr(view, name) == value for name, value in expected.items()) else None

    return await doors.eventually(look)


def status(
    *codes: int, headers: dict[str, str] | None = None
) -> Callable[[Received], Awaitable[web.Response]]:
    """Answer with these codes in turn, then with the last one for ever."""
    left = list(codes)

    async def answer(_: Received) -> web.Response:
        return web.Response(status=left.pop(0) if len(left) > 1 else left[0], headers=headers)

    return answer


async def test_a_delivery_is_signed_so_that_independent_code_accepts_it(
    doors: Doors, receivers: Make
) -> None:
    now = datetime.now(UTC)
    doors.clock.advance((now - doors.clock.wall()).total_seconds())
    receiver, old = await receivers(), doors.ids.secret()
    endpoint = await endpoint_at(
        doors, receiver, previous_secret=old, previous_until=doors.now + 86_400, events=("call.answered",)
    )
    async with delivering(doors) as deliverer:
        deliverer.notify(await doors.tell(event_id="evt_1"))
        (seen,) = await receiver.got(1)
        await until(doors, "call_1", status="delivered", attempts=1, last_status=204, last_note="HTTP 204")
    for secret in (endpoint.secret, old):
        assert Webhook(secret).verify(seen.body, seen.headers)["id"] == seen.id == "evt_1"
        assert verify_devotel(secret, seen.headers["X-Devotel-Signature"], seen.body, int(now.timestamp()))
    assert seen.headers["Content-Type"] == "application/json"
    assert seen.event["type"] == "call.answered"


async def test_a_failure_is_tried_again_with_the_same_id_and_body_and_a_new_time(
    doors: Doors, receivers: Make
) -> None:
    receiver = await receivers()
    receiver.answer = status(500, 200)
    await endpoint_at(doors, receiver)
    async with delivering(doors) as deliverer:
        deliverer.notify(await doors.tell())
        view = await until(doors, "call_1", attempts=1)
        assert (view.status, view.last_note, view.next_at) == ("pending", "HTTP 500", doors.now + 5)
        doors.clock.advance(4.9)
        deliverer.notify()
        doors.clock.advance(0.1)
        deliverer.notify()
        first, second = await receiver.got(2)
        await until(doors, "call_1", status="delivered", attempts=2)
    assert (first.id, first.body) == (second.id, second.body)
    assert int(second.headers["webhook-timestamp"]) == int(first.headers["webhook-timestamp"]) + 5
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]


async def test_a_dead_receiver_that_comes_back_gets_it_once(doors: Doors, receivers: Make) -> None:
    receiver = await receivers(dead=True)
    endpoint = await endpoint_at(doors, receiver)
    async with delivering(doors) as deliverer:
        deliverer.notify(await doors.tell(event_id="evt_1"))
        view = await until(doors, "call_1", attempts=1)
        assert view.last_note.startswith("connect: ")
        await receiver.start()
        doors.clock.advance(5)
        deliverer.notify([endpoint.id])
        await until(doors, "call_1", status="delivered", attempts=2)
    assert [seen.id for seen in receiver.requests] == ["evt_1"]


async def test_the_schedule_ends_in_a_dead_letter(doors: Doors, receivers: Make) -> None:
    receiver = await receivers()
    receiver.answer = status(500)
    await endpoint_at(doors, receiver)
    async with delivering(doors) as deliverer:
        deliverer.notify(await doors.tell())
        for attempts in range(1, 11):
            view = await until(doors, "call_1", attempts=attempts, status="pending")
            doors.clock.advance(view.next_at - doors.now)
            deliverer.notify()
        view = await until(doors, "call_1", attempts=11)
    assert (view.status, view.last_note, view.next_at) == ("dead", "HTTP 500; given up: exhausted", None)
    assert len(receiver.requests) == 11


async def test_410_disables_and_later_events_are_not_sent(doors: Doors, receivers: Make) -> None:
    receiver, ops = await receivers(), await receivers()
    receiver.answer = status(410)
    endpoint = await endpoint_at(doors, receiver, events=("call.answered",))
    await endpoint_at(doors, ops, events=("webhook.endpoint.disabled",))
    async with delivering(doors) as deliverer:
        deliverer.notify(await doors.tell())
        (told,) = await ops.got(1)
        assert told.event["data"]["endpoint_id"] == endpoint.id
        assert await doors.tell(subject="call_2") == ()
    stored = await doors.db.read(lambda conn: doors.book.get(conn, "ten_a", endpoint.id))
    assert (stored.active, stored.disabled_reason, len(receiver.requests)) == (False, "gone", 1)


async def test_a_redirect_counts_as_failure(doors: Doors, receivers: Make) -> None:
    receiver, target = await receivers(), await receivers()
    receiver.answer = status(302, headers={"Location": target.url()})
    await endpoint_at(doors, receiver)
    async with delivering(doors) as deliverer:
        deliverer.notify(await doors.tell())
        view = await until(doors, "call_1", attempts=1)
    assert (view.status, view.last_status) == ("pending", 302)
    assert target.requests == []


async def test_a_receiver_can_abort_one_message(doors: Doors, receivers: Make) -> None:
    receiver = await receivers()
    receiver.answer = status(400, headers={"webhook-delivery": "abort-message"})
    await endpoint_at(doors, receiver)
    async with delivering(doors) as deliverer:
        deliverer.notify(await doors.tell())
        view = await until(doors, "call_1", status="dead")
    assert view.last_note == "HTTP 400; given up: aborted"


async def test_receivers_that_never_answer_delay_nobody_else(doors: Doors, receivers: Make) -> None:
    """Every slot is taken by silent receivers; another one still gets all its events."""
    silent, quick, never = await receivers(), await receivers(), asyncio.Event()

    async def silence(_: Received) -> web.StreamResponse:
        await never.wait()
        return web.Response()

    silent.answer = silence
    tenants = [f"ten_{n}" for n in range(4)]
    for n, tenant in enumerate(tenants):
        await endpoint_at(doors, silent, f"/{n}", tenant=tenant)
    await endpoint_at(doors, quick)
    settings = replace(NEVER_POLL, per_lane=4, ahead=8, at_once=8)
    async with delivering(doors, settings) as deliverer:
        for n in range(12):
            for tenant in tenants:
                deliverer.notify(await doors.tell(tenant=tenant, subject=f"{tenant}_{n}"))
        await silent.got(settings.at_once)
        for n in range(30):
            deliverer.notify(await doors.tell(subject=f"call_{n}"))
        await quick.got(30)

        async def everyone_was_tried() -> bool:
            return {seen.path for seen in silent.requests} == {"/0", "/1", "/2", "/3"}

        await doors.eventually(everyone_was_tried)
        assert deliverer.counts.retried == 0  # no silent attempt had ended by then
        never.set()


async def test_a_calls_events_start_in_order_and_other_calls_pass_by(doors: Doors, receivers: Make) -> None:
    receiver, release = await receivers(), asyncio.Event()

    async def answer(seen: Received) -> web.StreamResponse:
        if seen.event["data"]["call_id"] == "call_1" and seen.event["sequence"] == 1:
            await release.wait()
            return web.Response(status=500)
        return web.Response()

    receiver.answer = answer
    await endpoint_at(doors, receiver)
    async with delivering(doors, DeliverySettings(poll_s=0.05)) as deliverer:
        for sequence in (1, 2, 3):
            deliverer.notify(await doors.tell(subject="call_1", sequence=sequence))
        deliverer.notify(await doors.tell(subject="call_2"))
        before = await receiver.got(2)
        assert sorted((s.event["data"]["call_id"], s.event["sequence"]) for s in before) == [
            ("call_1", 1),
            ("call_2", 1),
        ]
        release.set()
        after = await receiver.got(4)
        assert [s.event["sequence"] for s in after if s.event["data"]["call_id"] == "call_1"] == [1, 2, 3]
        doors.clock.advance(5)
        last = (await receiver.got(5))[-1]
        assert (last.event["data"]["call_id"], last.event["sequence"]) == ("call_1", 1)


async def test_429_leaves_the_whole_receiver_alone_for_as_long_as_it_asks(
    doors: Doors, receivers: Make
) -> None:
    receiver, other = await receivers(), await receivers()
    turn, came_at = status(429, 200, headers={"Retry-After": "120"}), list[float]()

    async def answer(seen: Received) -> web.Response:
        came_at.append(doors.now)
        return await turn(seen)

    receiver.answer = answer
    lane = (await endpoint_at(doors, receiver, events=("call.answered",))).id
    async with delivering(doors) as deliverer:
        start = doors.now
        deliverer.notify(await doors.tell(subject="call_1"))
        view = await until(doors, "call_1", attempts=1)
        assert view.next_at == doors.now + 120
        deliverer.notify(await doors.tell(subject="call_2"))
        doors.clock.advance(119)
        passed_by = await endpoint_at(doors, other, events=("call.busy",))
        await doors.tell(type_="call.busy", subject="call_3")
        deliverer.notify([lane, passed_by.id])
        await other.got(1)  # the same round of claims looked at both
        doors.clock.advance(1)
        deliverer.notify()
        await until(doors, "call_1", status="delivered", attempts=2)
        await until(doors, "call_2", status="delivered", attempts=1)
    assert came_at == [start, start + 120, start + 120]


async def test_an_overloaded_receivers_circuit_opens_and_then_one_attempt_probes(
    doors: Doors, receivers: Make
) -> None:
    receiver = await receivers()
    receiver.answer = status(503)
    lane = (await endpoint_at(doors, receiver)).id
    settings = replace(NEVER_POLL, per_lane=FAILURES_TO_OPEN, ahead=FAILURES_TO_OPEN)
    async with delivering(doors, settings) as deliverer:
        for n in range(20):
            await doors.tell(subject=f"call_{n}")
        deliverer.notify([lane])

        async def at_rest() -> bool:
            pending = (await doors.deliveries(DeliveryFilter(status="pending"))).items
            tried = sum(view.attempts for view in pending)
            return deliverer.counts.in_flight == 0 and tried == len(receiver.requests) >= FAILURES_TO_OPEN

        await doors.eventually(at_rest)
        before = len(receiver.requests)
        assert before < 2 * FAILURES_TO_OPEN  # those in flight when the circuit opened, and no more
        at_probe: list[int] = []

        async def answer(_: Received) -> web.StreamResponse:
            if not at_probe:
                at_probe.append(deliverer.counts.in_flight)
            return web.Response()

        receiver.answer = answer
        doors.clock.advance(FIRST_OPEN_S)
        deliverer.notify()
        for n in range(20):
            await until(doors, f"call_{n}", status="delivered")
    assert at_probe == [1]
    assert len(receiver.requests) == before + 20


async def test_what_is_in_flight_at_the_end_may_finish_and_the_rest_is_due_again(
    doors: Doors, receivers: Make
) -> None:
    receiver, release = await receivers(), asyncio.Event()

    async def answer(_: Received) -> web.StreamResponse:
        await release.wait()
        return web.Response()

    receiver.answer = answer
    lane = (await endpoint_at(doors, receiver)).id
    poster = GuardedPoster(Policy(allow_private=True), Limits())
    settings = replace(NEVER_POLL, per_lane=1, ahead=8)
    deliverer = Deliverer(doors.outbox, poster, doors.clock, lambda: 0.5, settings)
    await deliverer.start()
    for n in range(3):
        await doors.tell(subject=f"call_{n}")
    deliverer.notify([lane])
    await receiver.got(1)
    stopping = asyncio.create_task(deliverer.stop(grace_s=60, record_s=60))
    await until(doors, "call_1", status="pending")
    release.set()
    await stopping
    await poster.close()
    assert (await until(doors, "call_0", status="delivered")).attempts == 1
    assert sorted(d.subject for d in await doors.claim(lane)) == ["call_1", "call_2"]


async def test_stopping_does_not_wait_for_ever(doors: Doors, receivers: Make) -> None:
    receiver, never = await receivers(), asyncio.Event()

    async def answer(_: Received) -> web.StreamResponse:
        await never.wait()
        return web.Response()

    receiver.answer = answer
    lane = (await endpoint_at(doors, receiver)).id
    async with delivering(doors) as deliverer:
        deliverer.notify(await doors.tell())
        await receiver.got(1)
    never.set()
    (again,) = await doors.claim(lane)
    assert again.attempts == 0


class Failing:
    """An outbox whose database is away for some calls."""

    def __init__(self, real: Any, **away: int) -> None:
        self._real = real
        self._away = away

    def _check(self, verb: str) -> None:
        if self._away.get(verb, 0) > 0:
            self._away[verb] -= 1
            raise StorageUnavailable

    async def waiting(self) -> Any:
        self._check("waiting")
        return await self._real.waiting()

    async def claim(self, lanes: Any, now: float, until_: float) -> Any:
        self._check("claim")
        return await self._real.claim(lanes, now, until_)

    async def settle(self, outcomes: Sequence[Settlement]) -> Any:
        self._check("settle")
        return await self._real.settle(outcomes)

    async def purge(self, before: float, limit: int) -> int:
        self._check("purge")
        return int(await self._real.purge(before, limit))


@pytest.mark.parametrize("verb", ["waiting", "claim", "settle", "purge"])
async def test_a_database_that_is_away_for_a_while_loses_nothing(
    doors: Doors, receivers: Make, verb: str
) -> None:
    receiver = await receivers()
    await endpoint_at(doors, receiver)
    settings = replace(NEVER_POLL, retry_storage_s=0.01)
    async with delivering(doors, settings, outbox=Failing(doors.outbox, **{verb: 3})) as deliverer:
        await doors.tell()
        deliverer.notify()
        await until(doors, "call_1", status="delivered", attempts=1)
    assert len(receiver.requests) == 1


async def test_the_poll_finds_what_nobody_announced(doors: Doors, receivers: Make) -> None:
    receiver = await receivers()
    await endpoint_at(doors, receiver)
    async with delivering(doors, DeliverySettings(poll_s=0.05)):
        await doors.tell()
        await receiver.got(1)


async def test_what_a_dead_process_had_claimed_is_sent_by_the_next_with_the_same_id(
    doors: Doors, receivers: Make
) -> None:
    receiver = await receivers()
    lane = (await endpoint_at(doors, receiver)).id
    await doors.tell(event_id="evt_1")
    assert len(await doors.claim(lane, hold=60)) == 1  # and that claimant is never heard of again
    async with delivering(doors) as deliverer:
        deliverer.notify()
        doors.clock.advance(61)
        deliverer.notify()
        (seen,) = await receiver.got(1)
    assert seen.id == "evt_1"


async def test_per_call_urls_are_delivered_and_signed_by_the_tenants_secret(
    doors: Doors, receivers: Make
) -> None:
    doors.clock.advance((datetime.now(UTC) - doors.clock.wall()).total_seconds())
    receiver = await receivers()
    async with delivering(doors) as deliverer:
        deliverer.notify(await doors.tell(url=receiver.url("/per-call?token=1")))
        (seen,) = await receiver.got(1)
    secret = await doors.db.write(lambda conn: doors.book.secret_of(conn, "ten_a", doors.now))
    assert Webhook(secret.secret).verify(seen.body, seen.headers)
    assert seen.request.raw_path == "/per-call?token=1"


async def test_a_stored_url_that_policy_no_longer_allows_is_given_up(doors: Doors) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        poster = GuardedPoster(Policy(), Limits())
        deliverer = Deliverer(doors.outbox, poster, doors.clock, lambda: 0.5, NEVER_POLL)
        await deliverer.start()
        deliverer.notify(await doors.tell(url=f"https://127.0.0.1:{listener.getsockname()[1]}/"))
        view = await until(doors, "call_1", status="dead")
        await deliverer.stop()
        await poster.close()
    assert "given up: refused" in view.last_note


async def test_old_finished_events_are_purged(doors: Doors, receivers: Make) -> None:
    receiver = await receivers()
    await endpoint_at(doors, receiver)
    settings = replace(NEVER_POLL, keep_s=100.0, purge_every_s=50.0)
    async with delivering(doors, settings) as deliverer:
        deliverer.notify(await doors.tell(subject="call_old"))
        await until(doors, "call_old", status="delivered")
        doors.clock.advance(101)
        deliverer.notify()

        async def none_left() -> bool:
            return (await doors.deliveries(DeliveryFilter())).total == 0

        await doors.eventually(none_left)


def test_a_claim_must_outlast_attempts() -> None:
    with pytest.raises(ValueError, match="claim"):
        DeliverySettings(claim_s=20, attempt_s=15)
