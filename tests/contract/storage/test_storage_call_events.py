"""Who is told of a call's events: with the call, once, and by every announcer."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import date

import pytest
from sqlalchemy import Connection

from dialplan.core.record import CallEvent, cdr
from gateway.announcer import WebhookAnnouncer
from gateway.storage.calls import Announcers, CallRepository
from gateway.storage.cursors import Cursors
from gateway.storage.database import Database
from gateway.storage.outbox import SqlOutbox
from gateway.storage.usage import UsageRepository, add_in
from gateway.storage.webhook_book import SqlEndpointBook
from tests.contract.storage.made_calls import (
    OURS,
    T0,
    THEIRS,
    FixedClock,
    answered,
    completed,
    event,
    started,
)

pytestmark = pytest.mark.contract


class Counting:
    """An announcer that writes in the same transaction, and fails on request."""

    def __init__(self) -> None:
        self.fails = False
        self.told: list[str] = []

    def announce(self, conn: Connection, events: Sequence[CallEvent]) -> Sequence[str]:
        add_in(conn, THEIRS, date(2000, 1, 1), len(events))
        if self.fails:
            raise RuntimeError("the outbox broke")
        return [told_.type for told_ in events]

    def committed(self, announced: Sequence[str]) -> None:
        self.told.extend(announced)


async def test_several_announcers_each_hear_of_their_own(database: Database, cursors: Cursors) -> None:
    class Teller:
        def __init__(self, *says: str) -> None:
            self.says, self.heard = says, list[str]()

        def announce(self, conn: Connection, events: Sequence[CallEvent]) -> Sequence[str]:
            return self.says

        def committed(self, announced: Sequence[str]) -> None:
            self.heard += announced

    tellers = (Teller("0:a", "b"), Teller(), Teller("c"))
    calls = CallRepository(database, cursors, Announcers(tellers))
    call = started(1)
    await calls.append(call, [event(call, "call.initiated", T0)], None)
    assert [teller.heard for teller in tellers] == [["0:a", "b"], [], ["c"]]


async def test_each_event_is_announced_once_and_with_the_call(database: Database, cursors: Cursors) -> None:
    announcer, usage = Counting(), UsageRepository(database)
    calls = CallRepository(database, cursors, announcer)
    call = started(1)
    for _ in range(2):
        await calls.append(call, [event(call, "call.initiated", T0)], None)
    assert announcer.told == ["call.initiated"]
    assert await usage.seconds_on(THEIRS, date(2000, 1, 1)) == 1


async def test_the_real_outbox_gets_each_event_with_the_call_and_wakes_its_lane_once(
    database: Database, cursors: Cursors
) -> None:
    ids = itertools.count(1)
    book = SqlEndpointBook(lambda: 0.0, lambda: "whsec_" + "QUJD" * 11)
    outbox = SqlOutbox(database, book, FixedClock(), lambda prefix: f"{prefix}_{next(ids):026d}")
    woken: list[Sequence[str]] = []
    calls = CallRepository(database, cursors, WebhookAnnouncer(outbox, woken.append))
    call = started(1)
    for _ in range(2):
        await calls.append(call, [event(call, "call.initiated", T0)], None)
    lanes = [lane for lane, _ in await outbox.waiting()]
    assert [list(lanes_) for lanes_ in woken] == [lanes]
    claimed = await outbox.claim(dict.fromkeys(lanes, 10), T0 + 60, T0 + 120)
    assert [(one.subject, one.sequence, one.url) for one in claimed] == [
        (call.id, 1, "https://example.com/hook")
    ]


async def test_when_announcing_fails_nothing_of_the_append_is_stored(
    database: Database, cursors: Cursors
) -> None:
    announcer, usage = Counting(), UsageRepository(database)
    calls = CallRepository(database, cursors, announcer)
    announcer.fails = True
    call = completed(answered(started(1), T0 + 3), T0 + 63)
    with pytest.raises(RuntimeError, match="the outbox broke"):
        await calls.append(call, [event(call, "call.completed", T0 + 63)], cdr(call))
    assert await calls.get(OURS, call.id) is None
    assert await calls.cdr(OURS, call.id) is None
    assert await usage.seconds_on(THEIRS, date(2000, 1, 1)) == 0
    assert announcer.told == []
