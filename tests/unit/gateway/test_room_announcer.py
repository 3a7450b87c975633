"""Events of video rooms on their way to webhooks: in order, to who wants them, none lost unseen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar, cast

import pytest
from sqlalchemy import Connection

import gateway.event_queue as announcing
from gateway.room_announcer import WebhookRoomAnnouncer
from gateway.webhooks.core.events import CATALOGUE, WebhookEvent, render
from telephony.errors import StorageUnavailable
from telephony.ids import TenantId
from tests.unit.dialplan.virtual_time import in_virtual_time

pytestmark = pytest.mark.unit

CONN = cast("Connection", object())
NOW = 1_772_971_200.0
OURS = TenantId("ten_ours")
T = TypeVar("T")


class Storage:
    """Fits ``Transactions``. ``away`` refuses; ``broken`` is raised instead, once."""

    def __init__(self) -> None:
        self.away = False
        self.broken: Exception | None = None

    async def write(self, work: Callable[[Connection], T]) -> T:
        await asyncio.sleep(0)
        if self.away:
            raise StorageUnavailable
        if self.broken is not None:
            error, self.broken = self.broken, None
            raise error
        return work(CONN)

    async def read(self, work: Callable[[Connection], T]) -> T:
        raise AssertionError("an announcer reads nothing")


class Sink:
    """Fits ``EventSink``; ``wants`` are the types that an endpoint wants."""

    def __init__(self, wants: Sequence[str]) -> None:
        self.wants = wants
        self.made: list[WebhookEvent] = []

    def wanted(self, conn: Connection, tenant_id: str, event_type: str) -> bool:
        return tenant_id == OURS and event_type in self.wants

    def fan_out(
        self, conn: Connection, tenant_id: str, event: WebhookEvent, per_call_url: str | None = None
    ) -> tuple[str, ...]:
        self.made.append(event)
        return (f"lane of {tenant_id}",)

    def send_to(self, conn: Connection, endpoint: Any, event: WebhookEvent) -> str:
        raise AssertionError("a room's events go to whoever wants them, not to one endpoint")


class Desk:
    def __init__(self, *wants: str) -> None:
        self.storage, self.sink, self.woken, self.at = Storage(), Sink(wants or tuple(CATALOGUE)), [], NOW
        self.woken: list[Sequence[str]] = []
        self._ids = 0
        self.announcer = WebhookRoomAnnouncer(
            self.storage, self.sink, self.woken.append, lambda: self.at, self._new_id
        )

    def _new_id(self, prefix: str) -> str:
        self._ids += 1
        return f"{prefix}_{self._ids}"


@asynccontextmanager
async def desk(*wants: str) -> AsyncIterator[Desk]:
    opened = Desk(*wants)
    opened.announcer.start()
    yield opened
    await opened.announcer.stop()


@in_virtual_time
async def test_what_happens_is_told_in_order() -> None:
    async with desk() as opened:
        opened.announcer.tell(OURS, "room.started", "r1", {"name": "Sync"})
        opened.announcer.tell(OURS, "room.participant.joined", "r1", {"identity": "ann"})
        opened.at -= 5  # a clock that is set back
        opened.announcer.tell(OURS, "room.ended", "r1", {"why": "api"})
    made = opened.sink.made
    assert [one.type for one in made] == ["room.started", "room.participant.joined", "room.ended"]
    assert [one.sequence - int(NOW * 1000) for one in made] == [0, 1, 2]
    assert {one.subject for one in made} == {"r1"}
    assert [one.id for one in made] == ["evt_1", "evt_2", "evt_3"]
    assert made[1].data == {"room_id": "r1", "identity": "ann"}
    assert render(made[0])
    assert opened.woken == [("lane of ten_ours",)] * 3
    assert opened.announcer.tally == {"told": 3}


@in_virtual_time
async def test_nobody_is_told_what_nobody_wants() -> None:
    async with desk("room.ended") as opened:
        opened.announcer.tell(OURS, "room.started", "r1", {})
        opened.announcer.tell(TenantId("ten_theirs"), "room.ended", "r1", {})
        opened.announcer.tell(OURS, "room.ended", "r1", {})
    assert [one.type for one in opened.sink.made] == ["room.ended"]


@in_virtual_time
async def test_no_number_leaves() -> None:
    async with desk() as opened:
        told = {
            "display_name": "+447700900123",
            "recording_url": "https://a.example/8391829182918",
            "why": None,
        }
        opened.announcer.tell(OURS, "room.participant.joined", "r1", told)
    assert opened.sink.made[0].data == {
        "room_id": "r1",
        "display_name": "+44 •••• 0123",
        "recording_url": "https://a.example/8391829182918",
        "why": None,
    }


@in_virtual_time
async def test_events_wait_for_the_database() -> None:
    async with desk() as opened:
        opened.storage.away = True
        opened.announcer.tell(OURS, "room.started", "r1", {})
        opened.announcer.tell(OURS, "room.ended", "r1", {})
        await asyncio.sleep(30)
        assert opened.sink.made == []
        opened.storage.away = False
    assert [one.type for one in opened.sink.made] == ["room.started", "room.ended"]


@in_virtual_time
async def test_one_broken_event_does_not_hold_up_the_next() -> None:
    async with desk() as opened:
        opened.storage.broken = ValueError("defect")
        opened.announcer.tell(OURS, "room.started", "r1", {})
        opened.announcer.tell(OURS, "room.ended", "r1", {})
    assert [one.type for one in opened.sink.made] == ["room.ended"]
    assert opened.announcer.tally == {"failed": 1, "told": 1}


@in_virtual_time
async def test_what_is_too_much_is_counted() -> None:
    async with desk() as opened:
        opened.storage.away = True
        for _ in range(announcing.MOST_WAITING + 5):
            opened.announcer.tell(OURS, "room.started", "r1", {})
        assert opened.announcer.tally["dropped"] == 5
    assert opened.announcer.tally["dropped"] == announcing.MOST_WAITING + 5
