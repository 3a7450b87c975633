"""What is counted of agents on calls, for the metrics page. No numbers, no ids in labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from gateway.wiring_agents import AgentEngine
from voice_agents.media.ticker import BOUNDS_MS, Lateness


class AgentMetrics:
    """Reads the counters of the desk, the media port and its clock when the page is asked for."""

    def __init__(self, engine: AgentEngine) -> None:
        self._engine = engine

    def collect(self) -> Iterable[Metric]:
        desk, media = self._engine.desk, self._engine.media
        tally = desk.tally
        yield GaugeMetricFamily(
            "patchbay_agent_sessions", "Calls with an agent now.", value=desk.live_sessions
        )
        yield GaugeMetricFamily("patchbay_agent_media_legs", "Agents' channels now.", value=media.open_legs)
        for name, help_, value in (
            ("patchbay_agent_sessions_prepared", "Sessions that were begun.", tally.prepared),
            ("patchbay_agent_sessions_bridged", "Sessions with sound.", tally.bridged),
            ("patchbay_agent_interruptions", "Times a caller cut an agent short.", tally.interruptions),
            ("patchbay_agent_false_alarms", "Pauses after which an agent went on.", tally.false_alarms),
            ("patchbay_agent_reconnects", "Lines that were lost and found.", tally.reconnects),
            ("patchbay_agent_words_lost_ms", "Queued sound nobody heard at an end.", tally.words_lost_ms),
            ("patchbay_agent_unsent_frames", "Frames that agents did not take.", tally.unsent_frames),
            ("patchbay_agent_broken", "Faults of our own that a session survived.", tally.broken),
        ):
            yield CounterMetricFamily(name, help_, value=value)
        yield _away(self._engine.speech_away)
        yield _counted("patchbay_agent_refused", "Sessions refused.", "why", tally.refused)
        yield _counted("patchbay_agent_passed_over", "Calls left to a fallback.", "why", tally.passed_over)
        yield _counted("patchbay_agent_failed", "Sessions without a word.", "why", tally.failed)
        ended = CounterMetricFamily("patchbay_agent_ended", "Sessions ended.", labels=("reason", "how"))
        for (reason, how), count in tally.ended.items():
            ended.add_metric([reason, how], count)
        yield ended
        counts = media.counts
        doors = {
            name: getattr(counts, name) for name in ("arrived", "refused", "never_came", "stalled", "broken")
        }
        yield _counted("patchbay_agent_media_doors", "Channels at the media socket.", "what", Counter(doors))
        yield _lateness(media.lateness)
        events = {what: self._engine.announcer.tally[what] for what in ("told", "dropped", "failed")}
        yield _counted(
            "patchbay_agent_events", "Events of sessions, on their way to webhooks.", "what", events
        )


def _away(services: Mapping[str, bool]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(
        "patchbay_speech_service_away", "1: an offline engine stands in for this service.", labels=("what",)
    )
    for what, away in services.items():
        family.add_metric([what], float(away))
    return family


def _counted(name: str, help_: str, label: str, counts: Mapping[str, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, help_, labels=(label,))
    for what, count in counts.items():
        family.add_metric([what], count)
    return family


def _lateness(late: Lateness) -> HistogramMetricFamily:
    """How late the 20 ms clock of all agents' sound was, in seconds."""
    family = HistogramMetricFamily("patchbay_agent_tick_late_seconds", "Lateness of the sound's clock.")
    total, buckets = 0, []
    for bound, count in zip(BOUNDS_MS, late.counts, strict=False):
        total += count
        buckets.append((str(bound / 1000), total))
    buckets.append(("+Inf", late.beats))
    family.add_metric([], buckets, late.sum_ms / 1000)
    return family
