"""What is counted of telephones in rooms, for the metrics page. No numbers, no ids in labels."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from video_rooms.core.visit_words import Stage
from video_rooms.phones import PhoneDesk

_NOW: Final = tuple(stage.value for stage in Stage if stage is not Stage.OVER)


class RoomPhoneMetrics:
    """Reads the desk of telephones when the page is asked for. Fits ``prometheus_client``'s collectors."""

    def __init__(self, desk: PhoneDesk) -> None:
        self._desk = desk

    def collect(self) -> Iterable[Metric]:
        stages = self._desk.stages()
        phones = GaugeMetricFamily(
            "patchbay_room_phones", "Telephones in rooms, or on their way.", labels=("stage",)
        )
        for stage in _NOW:
            phones.add_metric([stage], stages[stage])
        yield phones
        ended = CounterMetricFamily(
            "patchbay_room_phones_ended", "Telephones' visits that are over.", labels=("way", "why")
        )
        for (way, why), count in self._desk.ended.items():
            ended.add_metric([way, why], count)
        yield ended
