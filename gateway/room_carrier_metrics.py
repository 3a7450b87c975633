"""What is counted of those who carry telephones into rooms. No numbers, no ids in labels."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from gateway.room_sip import RoomsBySip
from gateway.room_workers import RoomsHere, RoomWorkers, WorkerState


class RoomCarrierMetrics:
    """Reads the carrier's own states when the page is asked for. Fits ``prometheus_client``'s collectors."""

    def __init__(self, carrier: RoomWorkers | RoomsHere | RoomsBySip) -> None:
        self._carrier = carrier

    def collect(self) -> Iterable[Metric]:
        yield from _workers(self._carrier.states)
        if isinstance(self._carrier, RoomsBySip):
            yield from _by_sip(self._carrier)


def _workers(states: Iterable[WorkerState]) -> Iterable[Metric]:
    name, labels = "patchbay_room_worker", ("worker",)
    up = GaugeMetricFamily(f"{name}_up", "Whether it listens for the switch.", labels=labels)
    legs = GaugeMetricFamily(f"{name}_legs", "Telephones that it carries.", labels=labels)
    late = GaugeMetricFamily(
        f"{name}_late_seconds", "The worst lateness of its clock, of late.", labels=labels
    )
    restarts = CounterMetricFamily(f"{name}_restarts", "Times that it was started anew.", labels=labels)
    for state in states:
        worker = [f"room{state.number}"]
        up.add_metric(worker, float(state.up))
        legs.add_metric(worker, state.legs)
        late.add_metric(worker, state.late_ms / 1000)
        restarts.add_metric(worker, max(0, state.restarts))
    yield from (up, legs, late, restarts)


def _by_sip(carrier: RoomsBySip) -> Iterable[Metric]:
    name = "patchbay_room_sip"
    yield GaugeMetricFamily(
        f"{name}_trunk_ready",
        "Whether LiveKit had our trunk when asked last.",
        value=float(carrier.keeper.ready),
    )
    yield GaugeMetricFamily(
        f"{name}_resting",
        "Whether the SIP service is left alone after a failure.",
        value=float(carrier.resting),
    )
    placed = CounterMetricFamily(
        f"{name}_legs", "Telephones, by whom they were given to at first.", labels=("carrier",)
    )
    for who in ("sip", "bridge"):
        placed.add_metric([who], carrier.placed[who])
    yield placed
    joins = CounterMetricFamily(
        f"{name}_joins", "Attempts to bring a telephone in.", labels=("way", "outcome")
    )
    for (way, outcome), count in carrier.joins.items():
        joins.add_metric([way, outcome], count)
    yield joins
    fallbacks = CounterMetricFamily(
        f"{name}_fallbacks", "Times that the bridge stood in at the door.", labels=("why",)
    )
    for why, count in carrier.fallbacks.items():
        fallbacks.add_metric([why], count)
    yield fallbacks
