"""Events of agents' sessions on their way to webhooks: in order, to whom they concern, none lost unseen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar, cast

import pytest
from sqlalchemy import Connection

import gateway.event_queue as announcing
from gateway.agent_announcer import AgentAnnouncer, webhook_of
from gateway.webhooks.core.events import CATALOGUE, WebhookEvent, render
from telephony.errors import StorageUnavailable
from tests.unit.dialplan.virtual_time import in_virtual_time
from tests.unit.gateway.agent_records import session
from voice_agents.core.record import State

pytestmark = pytest.mark.unit

CONN = cast("Connection", object())
URL = "https://app.example/calls"
NOW = 1_772_971_200.0
T = TypeVar("T")


class Storage:
    """Fits ``Transactions``. ``away`` refuses; ``broken`` is raised instead, once."""

    def __init__(self) -> None:
        self.away = False
        self.broken: Exception | None = None
        self.tries = 0

    async def write(self, work: Callable[[Connection], T]) -> T:
        await asyncio.sleep(0)
        self.tries += 1
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

    def __init__(self, *wants: str) -> None:
        self.wants = wants
        self.made: list[tuple[WebhookEvent, str | None]] = []

    def wanted(self, conn: Connection, tenant_id: str, event_type: str) -> bool:
        assert conn is CONN
        return event_type in self.wants

    def fan_out(
        self, conn: Connection, tenant_id: str, event: WebhookEvent, per_call_url: str | None = None
    ) -> tuple[str, ...]:
        self.made.append((event, per_call_url))
        return (f"lane of {tenant_id}",)

    def send_to(self, conn: Connection, endpoint: Any, event: WebhookEvent) -> str:
        raise AssertionError("a session's events go to whoever wants them, not to one endpoint")

    @property
    def types(self) -> list[str]:
        return [event.type for event, _ in self.made]


class Stage:
    """An announcer among these; ``urls`` are those of calls that are open."""

    def __init__(self, *wants: str) -> None:
        self.storage, self.sink = Storage(), Sink(*wants)
        self.woken: list[Sequence[str]] = []
        self.urls: dict[str, str] = {}
        self.announcer = AgentAnnouncer(
            self.storage, self.sink, self.woken.append, lambda: NOW, self.urls.get
        )
        self.tally = self.announcer.tally

    async def stored(self, count: int) -> None:
        async with asyncio.timeout(60.0):
            while self.tally["told"] < count:  # noqa: ASYNC110  # in virtual time
                await asyncio.sleep(0.01)


@asynccontextmanager
async def staged(*wants: str) -> AsyncIterator[Stage]:
    stage = Stage(*wants)
    stage.announcer.start()
    try:
        yield stage
    finally:
        await stage.announcer.stop()


@in_virtual_time
async def test_an_event_says_where_the_session_stands() -> None:
    async with staged("agent.transfer") as stage:
        one = session(state=State.TRANSFERRING, answered_by="agt_2")
        detail: dict[str, str | int | bool] = {"to": "+14155552671", "ring_timeout_s": 20, "keep": False}
        stage.announcer.publish("agent.transfer", one, detail)
        await stage.stored(1)
    ((event, url),) = stage.sink.made
    assert (event.type, event.subject, event.sequence, url) == ("agent.transfer", one.id, 1, None)
    assert event.data == {
        "session_id": one.id,
        "call_id": one.call_id,
        "agent_id": "agt_2",
        "agent_version": 3,
        "state": "transferring",
        "detail": {"to": "+141••••••71", "ring_timeout_s": 20, "keep": False},
    }
    assert b"4155552671" not in render(event)
    assert stage.woken == [("lane of ten_1",)]


@in_virtual_time
async def test_what_nobody_wants_is_not_made_but_counts_as_told() -> None:
    async with staged("agent.lost") as stage:
        for event in ("agent.slow", "agent.lost", "agent.recovered"):
            stage.announcer.publish(event, session(), {})
        await stage.stored(3)
    assert stage.sink.types == ["agent.lost"]
    assert stage.sink.made[0][0].sequence == 2, "a gap says that something was not wanted"
    assert dict(stage.tally) == {"told": 3}


@in_virtual_time
async def test_each_session_counts_its_own_events_and_no_two_share_an_id() -> None:
    async with staged("agent.tool") as stage:
        for number in (1, 2, 1, 1):
            stage.announcer.publish("agent.tool", session(number), {})
        await stage.stored(4)
    assert [event.sequence for event, _ in stage.sink.made] == [1, 1, 2, 3]
    assert len({event.id for event, _ in stage.sink.made}) == 4


@in_virtual_time
async def test_the_calls_own_url_hears_of_everything_and_of_the_end_when_the_call_is_over() -> None:
    async with staged() as stage:
        one = session()
        stage.announcer.publish("agent.session.ready", one, {})  # the call is not there yet
        stage.urls[one.call_id] = URL
        stage.announcer.publish("agent.session.talking", one, {})
        stage.urls.clear()  # its caller has left, and the agent's account is awaited
        stage.announcer.publish("agent.session.ended", one, {})
        stage.announcer.publish("agent.session.ended", session(2), {})
        await stage.stored(4)
    assert [(event.type, url) for event, url in stage.sink.made] == [
        ("agent.session.talking", URL),
        ("agent.session.ended", URL),
    ]


@in_virtual_time
async def test_what_happens_while_the_database_is_away_is_told_later_in_order() -> None:
    async with staged("agent.held", "agent.muted", "agent.tool") as stage:
        stage.storage.away = True
        stage.announcer.publish("agent.held", session(), {})
        await asyncio.sleep(7.5)
        stage.announcer.publish("agent.muted", session(), {})
        stage.announcer.publish("agent.tool", session(), {})
        assert (stage.sink.made, dict(stage.tally)) == ([], {})
        assert 5 <= stage.storage.tries <= 9, "neither never nor without end"
        stage.storage.away = False
        await stage.stored(3)
    assert stage.sink.types == ["agent.held", "agent.muted", "agent.tool"]
    assert dict(stage.tally) == {"told": 3}


@in_virtual_time
async def test_an_event_that_breaks_takes_no_other_with_it() -> None:
    async with staged("agent.held", "agent.muted") as stage:
        stage.storage.broken = ValueError("a fault of ours")
        stage.announcer.publish("agent.held", session(), {})
        stage.announcer.publish("agent.muted", session(), {})
        await stage.stored(1)
    assert stage.sink.types == ["agent.muted"]
    assert dict(stage.tally) == {"failed": 1, "told": 1}


@in_virtual_time
async def test_of_very_many_the_newest_are_dropped_and_counted() -> None:
    stage = Stage("agent.tool")
    room = announcing.MOST_WAITING
    for _ in range(room + 7):
        stage.announcer.publish("agent.tool", session(), {})
    assert dict(stage.tally) == {"dropped": 7}
    stage.announcer.start()
    await stage.announcer.stop()
    assert [event.sequence for event, _ in stage.sink.made] == list(range(1, room + 1))
    assert dict(stage.tally) == {"told": room, "dropped": 7}


@in_virtual_time
async def test_the_last_events_are_stored_before_it_stops() -> None:
    stage = Stage("agent.session.ended")
    stage.announcer.start()
    stage.storage.away = True
    for number in range(3):
        stage.announcer.publish("agent.session.ended", session(number), {})
    stopping = asyncio.ensure_future(stage.announcer.stop())
    await asyncio.sleep(2.0)
    stage.storage.away = False
    await stopping
    assert stage.sink.types == ["agent.session.ended"] * 3


@in_virtual_time
async def test_it_stops_though_the_database_stays_away_and_counts_what_is_lost() -> None:
    stage = Stage("agent.session.ended")
    stage.announcer.start()
    stage.storage.away = True
    for number in range(3):
        stage.announcer.publish("agent.session.ended", session(number), {})
    began = asyncio.get_running_loop().time()
    await stage.announcer.stop()
    assert asyncio.get_running_loop().time() - began == 5.0
    assert dict(stage.tally) == {"dropped": 3}


async def test_one_that_was_never_started_stops() -> None:
    await Stage().announcer.stop()


def test_what_sessions_tell_is_in_the_catalogue() -> None:
    event = webhook_of("agent.session.ended", session(), {}, 4, NOW + 0.25)
    assert event.type in CATALOGUE
    assert event.id.endswith("-a4")
    assert event.occurred_at.timestamp() == NOW + 0.25
