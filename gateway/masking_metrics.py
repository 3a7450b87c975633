"""What is counted about number masking, for the metrics page. No numbers and no ids in labels."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

import structlog
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from gateway.wiring_masking import MaskingEngine
from gateway.wiring_texts import TextEngine
from proxy_pool.core import forecast
from proxy_pool.core.forecast import Bucket
from proxy_pool.ports import PoolBook
from telephony.errors import PatchbayError

_log = structlog.get_logger("gateway.masking")

LOOK_EVERY_S: Final = 300.0
"""Seconds between two looks at the pool; each counts the doors of every number."""
_BUSIEST: Final = 100
_PREFIX: Final = "patchbay_masking"
SENDINGS: Final[Mapping[str, str]] = {"SentOff": "sent", "TryLater": "later", "Over": "given_up"}
"""The words for what came of an attempt (``proxy_pool.texts.ports.Sending``)."""


@dataclass(frozen=True, slots=True)
class PoolState:
    """All tenants' numbers of one use and country. ``headroom``: how many numbers more could be given to
    the participant, of any tenant, who has the least left; 0 means that somebody gets no new session."""

    use: str
    country: str
    numbers: int
    usable: int
    live: int
    quarantined: int
    headroom: int


class PoolWatch:
    """Looks at the pool every ``LOOK_EVERY_S``. ``seen`` is what it saw last, ``seen_at`` when (epoch
    seconds, 0 before the first look)."""

    def __init__(self, book: PoolBook, now: Callable[[], float]) -> None:
        self._book = book
        self._now = now
        self._task: asyncio.Task[None] | None = None
        self.seen: Sequence[PoolState] = ()
        self.seen_at = 0.0

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="masking-pool-watch")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def look(self) -> None:
        """One look. Raises StorageUnavailable; what was seen before stays then."""
        buckets: list[Bucket] = []
        for tenant in sorted({number.tenant for number in await self._book.numbers()}):
            loads = [
                replace(load, number=replace(load.number, area=""))  # all of a country are one bucket
                for load in await self._book.loads(tenant)
            ]
            buckets += forecast.buckets(loads, await self._book.busiest(tenant, _BUSIEST))
        self.seen, self.seen_at = pool_states(buckets), self._now()

    async def _run(self) -> None:
        while True:
            try:
                await self.look()
            except PatchbayError as error:
                _log.warning("pool_watch.away", code=error.code)
            except Exception:  # noqa: BLE001  # why: edge of the task; one bad look must not end the watch
                _log.exception("pool_watch.broken")
            await asyncio.sleep(LOOK_EVERY_S)


def pool_states(buckets: Iterable[Bucket]) -> Sequence[PoolState]:
    """Buckets of several tenants, those of one use and country put together."""
    groups: dict[tuple[str, str], list[Bucket]] = {}
    for bucket in buckets:
        groups.setdefault((bucket.use.value, bucket.country), []).append(bucket)
    return [
        PoolState(
            use=use,
            country=country,
            numbers=sum(one.numbers for one in alike),
            usable=sum(one.usable for one in alike),
            live=sum(one.live for one in alike),
            quarantined=sum(one.quarantined for one in alike),
            headroom=min(one.headroom for one in alike),
        )
        for (use, country), alike in sorted(groups.items())
    ]


class MaskingMetrics:
    """Reads the counters of the masking engine when the page is asked for; costs nothing per call."""

    def __init__(self, engine: MaskingEngine, watch: PoolWatch) -> None:
        self._engine = engine
        self._watch = watch

    def collect(self) -> Iterable[Metric]:
        yield from self._sessions()
        yield from self._index()
        yield from self._calls()
        yield from self._copy()
        yield from self._pool()

    def _sessions(self) -> Iterable[Metric]:
        tally = self._engine.sessions.tally
        yield from _counters(
            ("sessions_opened", "Sessions opened.", tally["opened"]),
            ("sessions_closed", "Sessions that ended, by the API or by time.", tally["closed"]),
            (
                "read_through",
                "Look-ups that the index had no live door for, asked of the database.",
                tally["read_through"],
            ),
            (
                "mismatch",
                "Look-ups whose index entry did not fit its session; the database decided.",
                tally["mismatch"],
            ),
            (
                "claims_repaired",
                "Numbers that the index proposed and the database refused.",
                self._engine.placer.repairs,
            ),
        )

    def _index(self) -> Iterable[Metric]:
        index, counts = self._engine.index, self._engine.index.counts
        yield GaugeMetricFamily(
            f"{_PREFIX}_index_trusted", "Whether the index answers now.", value=float(index.trusted)
        )
        lookups = CounterMetricFamily(
            f"{_PREFIX}_index_lookups", "Look-ups in the index.", labels=("result",)
        )
        lookups.add_metric(["hit"], counts.hits)
        lookups.add_metric(["miss"], counts.misses)
        yield lookups
        yield from _counters(
            ("index_reserved", "Numbers reserved in the index.", counts.reserved),
            ("index_refused", "Claims all of whose candidates were held.", counts.refused),
            ("index_failures", "Commands that Redis did not answer in time.", counts.failures),
            ("index_suspected", "How often the index stopped being trusted.", counts.suspected),
            ("index_rebuilds", "How often it was filled from the database.", counts.rebuilds),
            ("index_drift", "Doors about which index and database disagreed twice.", counts.drift),
            ("index_repairs", "Doors that a comparison mended.", counts.repairs),
        )

    def _calls(self) -> Iterable[Metric]:
        routes = self._engine.routes
        calls = CounterMetricFamily(
            f"{_PREFIX}_calls", "Calls to proxy numbers, by how they were answered.", labels=("answer",)
        )
        for answer, count in sorted({} if routes is None else routes.tally.items()):
            calls.add_metric([str(answer)], count)
        yield calls
        waiting = 0 if routes is None else len(routes)
        yield _gauge("callers_waiting", "Callers who are asked something, or wait for a hook.", waiting)

    def _copy(self) -> Iterable[Metric]:
        copy = self._engine.copy
        if copy is None:
            return
        seen = copy.metrics()
        yield _gauge("copy_waiting", "Doors noted and not yet in the switch's copy.", seen.waiting)
        yield _gauge("copy_lag_seconds", "Age of the oldest of them.", seen.lag_s)
        doors = CounterMetricFamily(f"{_PREFIX}_copy_doors", "Doors of the copy.", labels=("verb",))
        for verb in ("written", "removed", "refused"):
            doors.add_metric([verb], getattr(seen, verb))
        yield doors
        yield from _counters(
            ("copy_failures", "Rounds that the switch did not take whole.", seen.failed),
            ("copy_resyncs", "How often the copy was made anew.", seen.resyncs),
        )

    def _pool(self) -> Iterable[Metric]:
        labels = ("use", "country")
        numbers = GaugeMetricFamily(
            f"{_PREFIX}_pool_numbers", "Numbers in the pool.", labels=(*labels, "state")
        )
        doors = GaugeMetricFamily(
            f"{_PREFIX}_pool_doors", "(Participant, number) pairs that are held.", labels=(*labels, "state")
        )
        headroom = GaugeMetricFamily(
            f"{_PREFIX}_pool_headroom",
            "Numbers left for the participant who has the fewest left.",
            labels=labels,
        )
        for seen in self._watch.seen:
            numbers.add_metric([seen.use, seen.country, "usable"], seen.usable)
            numbers.add_metric([seen.use, seen.country, "kept_back"], seen.numbers - seen.usable)
            doors.add_metric([seen.use, seen.country, "live"], seen.live)
            doors.add_metric([seen.use, seen.country, "quarantined"], seen.quarantined)
            headroom.add_metric([seen.use, seen.country], seen.headroom)
        yield from (numbers, doors, headroom)
        yield _gauge("pool_seen_at_seconds", "When the pool was looked at last.", self._watch.seen_at)


class TextMetrics:
    """Reads the counters of the text engine."""

    def __init__(self, engine: TextEngine) -> None:
        self._engine = engine

    def collect(self) -> Iterable[Metric]:
        engine = self._engine
        judged = CounterMetricFamily(
            f"{_PREFIX}_texts", "Texts that came in, by what became of them.", labels=("outcome",)
        )
        for outcome, count in sorted(engine.relay.counts.items()):
            judged.add_metric([str(outcome)], count)
        attempts = CounterMetricFamily(
            f"{_PREFIX}_text_attempts", "Attempts to send a text.", labels=("result",)
        )
        for kind, result in SENDINGS.items():
            attempts.add_metric([result], engine.pump.counts[kind])
        told = CounterMetricFamily(
            f"{_PREFIX}_carrier_callbacks", "What carriers told us.", labels=("carrier", "kind")
        )
        for (carrier, kind), count in sorted(engine.intake.counts.items()):
            told.add_metric([carrier, kind], count)
        yield from (judged, attempts, told)
        yield from _counters(
            ("texts_expired", "Texts that were not sent in time.", engine.pump.counts["expired"])
        )
        yield from self._switch()

    def _switch(self) -> Iterable[Metric]:
        if self._engine.switch is None:
            return
        seen = self._engine.switch.metrics()
        yield _gauge("sip_texts_waiting", "SIP texts noted in the switch, not yet fetched.", seen.waiting)
        texts = CounterMetricFamily(
            f"{_PREFIX}_sip_texts", "Texts as SIP MESSAGE, by what became of them.", labels=("result",)
        )
        for result in ("received", "sent", "too_long", "too_old", "unreadable"):
            texts.add_metric([result], getattr(seen, result))
        yield texts


def _gauge(name: str, says: str, value: float) -> Metric:
    return GaugeMetricFamily(f"{_PREFIX}_{name}", says, value=value)


def _counters(*each: tuple[str, str, int]) -> Iterable[Metric]:
    for name, says, value in each:
        yield CounterMetricFamily(f"{_PREFIX}_{name}", says, value=value)
