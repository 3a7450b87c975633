"""Endpoints as their owners manage them, over both storages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from gateway.webhooks.core.delivery import Settlement
from gateway.webhooks.core.signing import secret_key
from gateway.webhooks.core.ssrf import Policy
from gateway.webhooks.deliver import Deliverer, DeliverySettings
from gateway.webhooks.ports import DeliveryFilter
from gateway.webhooks.poster import GuardedPoster
from gateway.webhooks.service import MOST_ENDPOINTS, OVERLAP_S, EndpointService, Makers, Stores
from telephony.errors import Conflict, InvalidInput, MalformedRequest, NotFound

if TYPE_CHECKING:
    from .conftest import Doors, Receiver

    Make = Callable[[], Awaitable[Receiver]]

pytestmark = pytest.mark.contract

A, B = "ten_a", "ten_b"


@dataclass(frozen=True)
class New:
    url: str = "https://example.com/hooks"
    events: tuple[str, ...] = ("*",)
    description: str = ""
    secret: str | None = None


@dataclass(frozen=True)
class Change:
    url: str | None = None
    events: tuple[str, ...] | None = None
    description: str | None = None
    active: bool | None = None


@dataclass
class Desk:
    """The service, and which lanes it woke."""

    service: EndpointService[Any, Any, Any, Any]
    doors: Doors
    woken: list[str] = field(default_factory=list)

    async def dead(self, endpoint_id: str, subject: str = "call_1") -> str:
        """A delivery that was given up; its id."""
        await self.doors.tell(subject=subject)
        (delivery,) = await self.doors.claim(endpoint_id)
        await self.doors.outbox.settle([Settlement(delivery, "dead", self.doors.now, note="HTTP 500")])
        return str(delivery.id)


@pytest.fixture
def desk(doors: Doors) -> Desk:
    return desk_of(doors, Policy())


def desk_of(doors: Doors, policy: Policy) -> Desk:
    woken: list[str] = []

    def notify(lanes: Iterable[str]) -> None:
        woken.extend(lanes)

    service = EndpointService(
        Stores(doors.db, doors.book, doors.log, doors.outbox),
        Makers(doors.clock, doors.ids, doors.ids.secret),
        policy,
        doors.cursors,
        notify,
    )
    return Desk(service, doors, woken)


async def test_a_new_endpoint_has_a_secret_and_is_told_at_once(desk: Desk) -> None:
    made = await desk.service.create(A, New(url="https://Example.com", events=("call.busy", "call.busy")))
    assert secret_key(made.secret)
    assert (made.url, made.events, made.active) == ("https://example.com/", ("call.busy",), True)
    assert await desk.service.get(A, made.id) == made
    assert await desk.doors.tell(type_="call.busy") == (made.id,)
    assert made.secret not in repr(made)


async def test_ones_own_secret_is_kept(desk: Desk) -> None:
    secret = desk.doors.ids.secret()
    assert (await desk.service.create(A, New(secret=secret))).secret == secret


@pytest.mark.parametrize(
    ("wanted", "name", "code"),
    [
        (New(url="http://example.com/"), "url", "INVALID_WEBHOOK_URL"),
        (New(url="https://127.0.0.1/"), "url", "INVALID_WEBHOOK_URL"),
        (New(events=("call.answerd",)), "events", "VALIDATION_ERROR"),
        (New(events=()), "events", "VALIDATION_ERROR"),
        (New(secret="whsec_short"), "secret", "VALIDATION_ERROR"),
    ],
)
async def test_what_is_not_allowed_names_its_field(desk: Desk, wanted: New, name: str, code: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        await desk.service.create(A, wanted)
    assert (refused.value.field, refused.value.code) == (name, code)
    assert (await desk.service.page(A, limit=10)).total == 0


async def test_a_calls_own_url_is_checked_under_its_own_field(desk: Desk) -> None:
    assert desk.service.check_url("https://example.com#x", "webhook_url") == "https://example.com/"
    with pytest.raises(InvalidInput) as refused:
        desk.service.check_url("https://10.0.0.1/", "webhook_url")
    assert refused.value.field == "webhook_url"


async def test_another_tenants_endpoint_is_not_there(desk: Desk) -> None:
    delivery = await desk.dead((await desk.service.create(A, New())).id)
    mine = (await desk.service.page(A, limit=1)).items[0]
    attempts: list[Callable[[], Awaitable[Any]]] = [
        lambda: desk.service.get(B, mine.id),
        lambda: desk.service.change(B, mine.id, Change(description="x")),
        lambda: desk.service.remove(B, mine.id),
        lambda: desk.service.rotate_secret(B, mine.id),
        lambda: desk.service.test(B, mine.id),
        lambda: desk.service.replay(B, delivery),
        lambda: desk.service.replay_failed(B, mine.id, 0.0),
    ]
    for attempt in attempts:
        with pytest.raises(NotFound):
            await attempt()
    assert await desk.service.get(A, mine.id) == mine
    assert (await desk.service.page(B, limit=10)).total == 0
    assert (await desk.service.deliveries(B, DeliveryFilter(), limit=10)).total == 0


async def test_the_number_of_endpoints_is_bounded(desk: Desk) -> None:
    for _ in range(MOST_ENDPOINTS):
        await desk.service.create(A, New())
    with pytest.raises(Conflict):
        await desk.service.create(A, New())
    await desk.service.create(B, New())


async def test_pages_lead_from_one_to_the_next(desk: Desk) -> None:
    made = [await desk.service.create(A, New()) for _ in range(5)]
    seen: list[str] = []
    cursor = None
    while True:
        page = await desk.service.page(A, limit=2, cursor=cursor)
        assert page.total == 5
        seen += [one.id for one in page.items]
        cursor = page.cursor
        if not page.has_more:
            break
    assert seen == [one.id for one in reversed(made)]
    first = await desk.service.page(A, limit=2)
    for other in (B, "ten_c"):
        with pytest.raises(MalformedRequest):
            await desk.service.page(other, limit=2, cursor=first.cursor)


async def test_a_delivery_cursor_serves_only_its_own_filter(desk: Desk) -> None:
    made = await desk.service.create(A, New())
    for number in range(3):
        await desk.dead(made.id, f"call_{number}")
    wanted = DeliveryFilter(endpoint_id=made.id)
    page = await desk.service.deliveries(A, wanted, limit=2)
    assert ([one.subject for one in page.items], page.total) == (["call_2", "call_1"], 3)
    rest = await desk.service.deliveries(A, wanted, limit=2, cursor=page.cursor)
    assert ([one.subject for one in rest.items], rest.cursor) == (["call_0"], None)
    with pytest.raises(MalformedRequest):
        await desk.service.deliveries(A, DeliveryFilter(), limit=2, cursor=page.cursor)


async def test_a_change_touches_what_it_names(desk: Desk) -> None:
    made = await desk.service.create(A, New(description="first"))
    desk.doors.clock.advance(5)
    changed = await desk.service.change(A, made.id, Change(events=("call.busy",)))
    assert (changed.events, changed.url, changed.description) == (("call.busy",), made.url, "first")
    assert changed.updated_at == made.updated_at + 5
    assert await desk.doors.tell(type_="call.answered") == ()
    with pytest.raises(InvalidInput):
        await desk.service.change(A, made.id, Change(url="https://localhost/"))
    assert (await desk.service.get(A, made.id)).url == made.url


async def test_switching_off_ends_what_waits_and_on_forgives(desk: Desk) -> None:
    made = await desk.service.create(A, New())
    await desk.doors.tell()
    off = await desk.service.change(A, made.id, Change(active=False))
    assert (off.active, off.disabled_reason) == (False, "owner")
    assert await desk.doors.tell(subject="call_2") == ()
    (view,) = (await desk.service.deliveries(A, DeliveryFilter(), limit=10)).items
    assert (view.status, view.last_note) == ("dead", "the endpoint was switched off (owner)")
    for attempt in (desk.service.test(A, made.id), desk.service.replay(A, view.id)):
        with pytest.raises(Conflict):
            await attempt
    on = await desk.service.change(A, made.id, Change(active=True))
    assert (on.active, on.disabled_reason, on.failing_since) == (True, None, None)
    assert await desk.service.replay_failed(A, made.id, 0.0) == 1
    assert len(await desk.doors.claim(made.id)) == 1


async def test_removing_ends_everything(desk: Desk) -> None:
    made = await desk.service.create(A, New())
    delivery = await desk.dead(made.id)
    await desk.service.remove(A, made.id)
    assert await desk.doors.tell() == ()
    with pytest.raises(NotFound):
        await desk.service.get(A, made.id)
    with pytest.raises(NotFound):
        await desk.service.remove(A, made.id)
    with pytest.raises(Conflict):
        await desk.service.replay(A, delivery)


async def test_rotation_keeps_the_old_secret_for_a_day(desk: Desk) -> None:
    made = await desk.service.create(A, New())
    rotated = await desk.service.rotate_secret(A, made.id)
    assert rotated.secret != made.secret
    await desk.doors.tell()
    (delivery,) = await desk.doors.claim(made.id, hold=1)
    assert delivery.secrets == (rotated.secret, made.secret)
    desk.doors.clock.advance(OVERLAP_S)
    (delivery,) = await desk.doors.claim(made.id)
    assert delivery.secrets == (rotated.secret,)


async def test_the_tenants_secret_is_shown_once_and_can_be_rotated(desk: Desk) -> None:
    first = await desk.service.tenant_secret(A)
    again = await desk.service.tenant_secret(A)
    assert (first.shown, again.shown, again.secret) == (False, True, first.secret)
    rotated = await desk.service.rotate_tenant_secret(A)
    assert (rotated.previous_secret, rotated.previous_until) == (first.secret, desk.doors.now + OVERLAP_S)
    (lane,) = await desk.doors.tell(url="https://example.com/x")
    (delivery,) = await desk.doors.claim(lane)
    assert delivery.secrets == (rotated.secret, first.secret)
    assert (await desk.service.tenant_secret(B)).secret not in {first.secret, rotated.secret}


async def test_replay_wakes_the_lane(desk: Desk) -> None:
    made = await desk.service.create(A, New())
    delivery = await desk.dead(made.id)
    await desk.service.replay(A, delivery)
    assert desk.woken == [made.id]
    assert [one.id for one in await desk.doors.claim(made.id)] == [delivery]
    with pytest.raises(Conflict):
        await desk.service.replay(A, delivery)  # it is in flight now


async def test_replay_of_failed_ones_since_a_time(desk: Desk) -> None:
    made = await desk.service.create(A, New())
    await desk.dead(made.id, "call_old")
    desk.doors.clock.advance(100)
    since = desk.doors.now
    await desk.dead(made.id, "call_new")
    assert await desk.service.replay_failed(A, made.id, since) == 1
    assert [one.subject for one in await desk.doors.claim(made.id)] == ["call_new"]


@asynccontextmanager
async def delivering(doors: Doors) -> AsyncIterator[Deliverer]:
    poster = GuardedPoster(Policy(allow_private=True))
    deliverer = Deliverer(doors.outbox, poster, doors.clock, lambda: 0.5, DeliverySettings(poll_s=3600))
    await deliverer.start()
    yield deliverer
    await deliverer.stop()
    await poster.close()


async def test_a_test_event_and_a_replay_arrive_at_a_real_receiver(doors: Doors, receivers: Make) -> None:
    receiver, desk = await receivers(), desk_of(doors, Policy(allow_private=True))
    made = await desk.service.create(A, New(url=receiver.url(), events=("call.busy",)))
    delivery = await desk.service.test(A, made.id)
    assert desk.woken == [made.id]
    async with delivering(doors) as deliverer:
        deliverer.notify(desk.woken)
        (first,) = await receiver.got(1)
        assert first.event["type"] == "webhook.test"
        assert first.event["data"]["endpoint_id"] == made.id

        async def delivered() -> bool:
            page = await desk.service.deliveries(A, DeliveryFilter(), limit=1)
            return page.items[0].status == "delivered"

        await doors.eventually(delivered)
        await desk.service.replay(A, delivery)
        deliverer.notify((made.id,))
        second = (await receiver.got(2))[1]
    assert (second.id, second.body) == (first.id, first.body)
