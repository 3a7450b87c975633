"""What the metrics page says of masking: the engine's own counts, the tightest spot, and nobody's number."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, get_args

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from gateway.masking_metrics import SENDINGS, MaskingMetrics, PoolWatch, TextMetrics
from gateway.metrics import register
from gateway.switch_copy import CopyMetrics
from gateway.switch_texts import TextMetrics as SwitchCounts
from proxy_pool.core.session import SessionId
from proxy_pool.desk import NewSession, Seating
from proxy_pool.store_memory import MemoryIndex
from proxy_pool.texts.ports import Sending
from telephony.errors import StorageUnavailable
from tests.rig.masking import TENANT, Service, person, pool_number, service, ulid

pytestmark = pytest.mark.unit

NOW = 1_800_000_000.0
NUMBER = re.compile(rb"\+?[0-9]{7,}")


class Routes:
    """What the metrics read of the book of masked calls."""

    def __init__(self) -> None:
        self.tally = Counter({"connected": 3, "unknown_caller": 2})

    def __len__(self) -> int:
        return 4


class Copy:
    def metrics(self) -> CopyMetrics:
        return CopyMetrics(waiting=5, lag_s=1.5, written=7, removed=6, failed=2, refused=1, resyncs=9)


class Switch:
    def metrics(self) -> SwitchCounts:
        return SwitchCounts(received=3, sent=2, waiting=1, too_long=4, too_old=5, unreadable=6)


def engine_of(made: Service, **more: Any) -> Any:
    placer = SimpleNamespace(repairs=1)
    given = {"index": made.index, "placer": placer, "routes": Routes(), "copy": Copy(), **more}
    return SimpleNamespace(sessions=made.sessions, **given)


async def opened(made: Service, a: int, b: int) -> None:
    wanted = NewSession(Seating(person(a)), (Seating(person(b)),))
    await made.sessions.open(TENANT, wanted, SessionId(ulid("ses", a * 100 + b)))
    await made.sessions.settle()


def page_of(*sources: Any) -> dict[str, float]:
    """Sample (name and labels) → value, as Prometheus would read them."""
    registry = CollectorRegistry()
    register(registry, *sources)
    text = generate_latest(registry)
    assert NUMBER.search(re.sub(rb"seen_at_seconds [0-9.e+]+", b"", text)) is None, text
    lines = [line for line in text.decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


async def test_the_page_tells_what_the_engine_counted():
    made = await service(MemoryIndex())
    await opened(made, 1, 2)
    await made.sessions.close(TENANT, SessionId(ulid("ses", 102)))
    watch = PoolWatch(made.book, made.hand.now)
    page = page_of(MaskingMetrics(engine_of(made), watch))
    assert page["patchbay_masking_sessions_opened_total"] == 1
    assert page["patchbay_masking_sessions_closed_total"] == 1
    assert page["patchbay_masking_claims_repaired_total"] == 1
    assert page["patchbay_masking_index_trusted"] == 1
    assert page["patchbay_masking_index_reserved_total"] == 2
    assert page['patchbay_masking_calls_total{answer="unknown_caller"}'] == 2
    assert page["patchbay_masking_callers_waiting"] == 4
    assert page["patchbay_masking_copy_lag_seconds"] == 1.5
    assert page['patchbay_masking_copy_doors_total{verb="removed"}'] == 6
    assert page["patchbay_masking_pool_seen_at_seconds"] == 0


async def test_before_the_switch_is_attached_the_page_has_no_copy_and_no_calls():
    made = await service(MemoryIndex())
    page = page_of(
        MaskingMetrics(engine_of(made, routes=None, copy=None), PoolWatch(made.book, made.hand.now))
    )
    assert not [name for name in page if "copy" in name]
    assert page["patchbay_masking_callers_waiting"] == 0


async def test_headroom_is_that_of_the_participant_who_has_least_left():
    made = await service(MemoryIndex(), numbers=4)
    for other in (2, 3, 4):
        await opened(made, 1, other)
    await made.sessions.close(TENANT, SessionId(ulid("ses", 104)))
    watch = PoolWatch(made.book, made.hand.now)
    await watch.look()
    page = page_of(MaskingMetrics(engine_of(made), watch))
    there = 'country="US"'
    assert page[f'patchbay_masking_pool_numbers{{{there},state="usable",use="pairs"}}'] == 4
    assert page[f'patchbay_masking_pool_doors{{{there},state="live",use="pairs"}}'] == 4
    assert page[f'patchbay_masking_pool_doors{{{there},state="quarantined",use="pairs"}}'] == 2
    assert page[f'patchbay_masking_pool_headroom{{{there},use="pairs"}}'] == 1
    assert page["patchbay_masking_pool_seen_at_seconds"] == NOW


async def test_numbers_of_one_country_are_one_bucket_whatever_their_area():
    made = await service(MemoryIndex(), numbers=1)
    await made.book.add(replace(pool_number(2), area="415"))
    watch = PoolWatch(made.book, made.hand.now)
    await watch.look()
    assert [(seen.country, seen.numbers, seen.headroom) for seen in watch.seen] == [("US", 2, 2)]


async def test_what_was_seen_stays_while_the_database_is_away():
    made = await service(MemoryIndex(), numbers=2)
    watch = PoolWatch(made.book, made.hand.now)
    await watch.look()
    made.book.away = True  # type: ignore[attr-defined]
    with pytest.raises(StorageUnavailable):
        await watch.look()
    assert [seen.usable for seen in watch.seen] == [2]
    watch.start()
    await watch.stop()


def test_the_page_tells_what_became_of_texts():
    texts: Any = SimpleNamespace(
        relay=SimpleNamespace(counts=Counter({"relayed": 8, "opted_out": 1})),
        pump=SimpleNamespace(counts=Counter({"SentOff": 7, "TryLater": 2, "Over": 1, "expired": 3})),
        intake=SimpleNamespace(counts=Counter({("main", "text"): 9, ("?", "unsigned"): 4})),
        switch=Switch(),
    )
    page = page_of(TextMetrics(texts))
    assert page['patchbay_masking_texts_total{outcome="relayed"}'] == 8
    results = [page[f'patchbay_masking_text_attempts_total{{result="{one}"}}'] for one in ("sent", "later")]
    assert results == [7, 2]
    assert page['patchbay_masking_text_attempts_total{result="given_up"}'] == 1
    assert page["patchbay_masking_texts_expired_total"] == 3
    assert page['patchbay_masking_carrier_callbacks_total{carrier="?",kind="unsigned"}'] == 4
    assert page["patchbay_masking_sip_texts_waiting"] == 1
    assert page['patchbay_masking_sip_texts_total{result="too_old"}'] == 5
    texts.switch = None
    assert not [name for name in page_of(TextMetrics(texts)) if "sip" in name]


def test_there_is_a_word_for_whatever_comes_of_an_attempt():
    assert set(SENDINGS) == {kind.__name__ for kind in get_args(Sending)}
