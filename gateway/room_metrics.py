"""What is counted about video rooms, for the metrics page. No names, no numbers, no ids in labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from gateway.room_announcer import WebhookRoomAnnouncer
from video_rooms.desk import RoomDesk


class RoomMetrics:
    """Reads the desk's own counters when the page is asked for."""

    def __init__(self, desk: RoomDesk, announcer: WebhookRoomAnnouncer) -> None:
        self._desk = desk
        self._announcer = announcer

    def collect(self) -> Iterable[Metric]:
        desk, looks, reports = self._desk, self._desk.reconciler.tally, self._desk.hook.tally
        yield CounterMetricFamily(
            "patchbay_rooms_started", "Live sessions of rooms that began.", value=desk.lives.started
        )
        yield _counted("patchbay_rooms_over", "Live sessions of rooms that ended.", "why", desk.lives.over)
        yield CounterMetricFamily(
            "patchbay_room_kept_out",
            "Times that somebody came who had been put out.",
            value=desk.sightings.kept_out,
        )
        yield GaugeMetricFamily(
            "patchbay_rooms_watched",
            "Rooms in which somebody was put out of late.",
            value=len(desk.watched.names()),
        )
        kinds = {what: reports[what] for what in ("taken", "again", "passed", "unanswered")}
        yield _counted("patchbay_room_reports", "Reports of the media server.", "what", kinds)
        found = {what: looks[what] for what in ("looks", "unanswered", "broken")}
        yield _counted("patchbay_room_looks", "Looks at the media server.", "what", found)
        events = {what: self._announcer.tally[what] for what in ("told", "dropped", "failed")}
        yield _counted("patchbay_room_events", "Events of rooms, on their way to webhooks.", "what", events)


def _counted(name: str, help_: str, label: str, counts: Mapping[str, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, help_, labels=(label,))
    for what, count in counts.items():
        family.add_metric([what], count)
    return family
