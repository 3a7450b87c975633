"""What is counted about calls, links and deliveries, for the metrics page. No numbers, no ids in labels."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from gateway.webhooks.deliver import Deliverer
from gateway.wiring_voice import VoiceEngine


class _Source(Protocol):
    def collect(self) -> Iterable[Metric]: ...


class VoiceMetrics:
    """Reads the engine's own counters when the page is asked for; costs nothing per call."""

    def __init__(self, engine: VoiceEngine) -> None:
        self._engine = engine

    def collect(self) -> Iterable[Metric]:
        tally = self._engine.director.tally
        ended = CounterMetricFamily(
            "patchbay_calls_ended", "Calls ended.", labels=("direction", "status", "termination")
        )
        for (direction, status, termination), count in tally.ended.items():
            ended.add_metric([direction, status, termination], count)
        yield ended
        for name, help_, value in (
            ("patchbay_calls_placed", "Outbound calls accepted.", tally.placed),
            ("patchbay_calls_offered", "Inbound calls accepted.", tally.offered),
            ("patchbay_calls_turned_away", "Inbound calls to numbers nobody owns.", tally.turned_away),
            ("patchbay_channels_orphaned", "Channels of no live call, hung up.", tally.orphans),
            ("patchbay_facts_late", "Facts that came late or twice.", tally.late_facts),
            ("patchbay_looks", "Comparisons of open calls with the switch.", tally.reconciled),
        ):
            yield CounterMetricFamily(name, help_, value=value)
        yield from self._links()
        yield from self._questions()

    def _links(self) -> Iterable[Metric]:
        up = GaugeMetricFamily("patchbay_ami_up", "Whether the link is up.", labels=("role",))
        lag = GaugeMetricFamily("patchbay_ami_lag_ms", "Age of the oldest event waiting.", labels=("role",))
        dropped = CounterMetricFamily("patchbay_ami_dropped", "Events dropped.", labels=("role",))
        events = CounterMetricFamily("patchbay_ami_events", "Events received.", labels=("role",))
        actions = CounterMetricFamily("patchbay_ami_actions", "Actions sent.", labels=("role", "result"))
        for role, link in self._engine.links.items():
            seen = link.metrics()
            up.add_metric([role], float(seen.state.value == "up"))
            lag.add_metric([role], seen.lag_ms)
            dropped.add_metric([role], seen.dropped)
            events.add_metric([role], seen.events)
            for result, count in seen.actions.items():
                actions.add_metric([role, result], count)
        yield from (up, lag, dropped, events, actions)

    def _questions(self) -> Iterable[Metric]:
        seen = self._engine.agi.metrics()
        results = CounterMetricFamily("patchbay_questions", "Routing questions.", labels=("result",))
        for result in ("asked", "answered", "late", "failed"):
            results.add_metric([result], getattr(seen, result))
        yield results


class DeliveryMetrics:
    """Reads the deliverer's counters."""

    def __init__(self, deliverer: Deliverer) -> None:
        self._deliverer = deliverer

    def collect(self) -> Iterable[Metric]:
        counts = self._deliverer.counts
        results = CounterMetricFamily("patchbay_webhooks", "Webhook attempts.", labels=("verdict",))
        for verdict in ("delivered", "retried", "dead"):
            results.add_metric([verdict], getattr(counts, verdict, 0))
        yield results


def register(registry: CollectorRegistry, *sources: _Source) -> None:
    """Put the sources on the metrics page."""
    for source in sources:
        registry.register(source)
