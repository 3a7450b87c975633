"""What the metrics page says of agents: the desk's own counts, the lateness of sound, and nobody's number."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from gateway.agent_metrics import AgentMetrics
from gateway.metrics import register
from telephony.errors import AgentUnavailable, TooMany
from tests.unit.dialplan.virtual_time import in_virtual_time
from tests.unit.voice_agents.sessions import SPEC
from tests.unit.voice_agents.stage import CALL, Stage, other_call
from voice_agents.desk import AgentDesk
from voice_agents.media.doorkeeper import DoorCounts
from voice_agents.media.ticker import Lateness
from voice_agents.surroundings import Tally

pytestmark = pytest.mark.unit

NUMBER = re.compile(rb"\+?[0-9]{7,}")
DOCUMENTED = (Path(__file__).parents[3] / "docs/operations.md").read_text()


def engine_of(desk: Any, told: Counter[str] | None = None, late: Lateness | None = None) -> Any:
    counts = DoorCounts(arrived=4, refused=3, never_came=2, stalled=1)
    media = SimpleNamespace(open_legs=2, counts=counts, lateness=late or Lateness())
    announcer = SimpleNamespace(tally=told or Counter())
    away = {"tts": True, "stt": False}
    return SimpleNamespace(desk=desk, media=media, announcer=announcer, speech_away=away)


def page_of(engine: Any) -> dict[str, float]:
    """Sample (name and labels) → value, as Prometheus would read them."""
    registry = CollectorRegistry()
    register(registry, AgentMetrics(engine))
    text = generate_latest(registry)
    assert NUMBER.search(text) is None, text
    lines = [line for line in text.decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


@in_virtual_time
async def test_the_page_tells_what_became_of_sessions() -> None:
    stage = Stage(replace(SPEC, max_concurrent=1))
    await stage.talk()
    with pytest.raises(TooMany):
        await stage.prepare(other_call(2))
    with pytest.raises(AgentUnavailable):
        await stage.prepare(replace(CALL, call_id="call_3", agent_id="agt_9"))
    page = page_of(engine_of(stage.desk))
    assert page["patchbay_agent_sessions"] == 1
    assert page["patchbay_agent_media_legs"] == 2
    away = [page[f'patchbay_speech_service_away{{what="{what}"}}'] for what in ("tts", "stt")]
    assert away == [1, 0]
    assert page["patchbay_agent_sessions_prepared_total"] == 1
    assert page["patchbay_agent_sessions_bridged_total"] == 1
    assert page['patchbay_agent_refused_total{why="agent_full"}'] == 1
    assert page['patchbay_agent_refused_total{why="unknown"}'] == 1
    stage.desk.caller_gone("call_1")
    await stage.until_over()
    page = page_of(engine_of(stage.desk))
    assert page["patchbay_agent_sessions"] == 0
    assert page['patchbay_agent_ended_total{how="caller_gone",reason="caller_hangup"}'] == 1
    stage.fake_lines.away = "forbidden"
    await stage.prepare(other_call(4))
    await stage.until_over("call_4")
    page = page_of(engine_of(stage.desk))
    failed = {name: value for name, value in page.items() if name.startswith("patchbay_agent_failed_total{")}
    assert list(failed.values()) == [1]
    await stage.close()


def test_the_page_tells_everything_that_is_counted() -> None:
    tally = Tally(interruptions=1, false_alarms=2, reconnects=3, words_lost_ms=4, unsent_frames=5, broken=6)
    page = page_of(engine_of(SimpleNamespace(tally=tally, live_sessions=7)))
    counted = ("interruptions", "false_alarms", "reconnects", "words_lost_ms", "unsent_frames", "broken")
    assert [page[f"patchbay_agent_{name}_total"] for name in counted] == [1, 2, 3, 4, 5, 6]
    assert page["patchbay_agent_sessions"] == 7
    doors = ("arrived", "refused", "never_came", "stalled", "broken")
    assert [page[f'patchbay_agent_media_doors_total{{what="{what}"}}'] for what in doors] == [4, 3, 2, 1, 0]


def test_events_that_were_lost_can_be_seen_and_none_lost_can_be_seen_too() -> None:
    desk = SimpleNamespace(tally=Tally(), live_sessions=0)
    for told, shown in ((Counter(), [0, 0, 0]), (Counter(told=9, dropped=2, failed=1), [9, 2, 1])):
        page = page_of(engine_of(desk, told))
        whats = ("told", "dropped", "failed")
        assert [page[f'patchbay_agent_events_total{{what="{what}"}}'] for what in whats] == shown


def test_how_late_sound_was_is_a_histogram_in_seconds() -> None:
    late = Lateness()
    for late_s in (0.0, 0.0005, 0.0015, 0.015, 0.3, 5.0):
        late.note(late_s)
    page = page_of(engine_of(SimpleNamespace(tally=Tally(), live_sessions=0), late=late))
    name = "patchbay_agent_tick_late_seconds"
    bounds = ("0.001", "0.002", "0.005", "0.01", "0.02", "0.05", "0.2", "0.5", "1.0", "+Inf")
    assert [page[f'{name}_bucket{{le="{bound}"}}'] for bound in bounds] == [2, 3, 3, 3, 4, 4, 4, 5, 5, 6]
    assert page[f"{name}_count"] == 6
    assert page[f"{name}_sum"] == pytest.approx(5.317)


@in_virtual_time
async def test_every_metric_is_in_the_documentation() -> None:
    stage = Stage()
    desk: AgentDesk = stage.desk
    desk.tally.refused["x"] = desk.tally.failed["x"] = desk.tally.ended["x", "y"] = 1
    page = page_of(engine_of(desk))
    names = {re.sub("_seconds_(bucket|count|sum|created)$", "_seconds", n.partition("{")[0]) for n in page}
    named = {name: f"…{name.removeprefix('patchbay_agent')}" for name in names if "_created" not in name}
    assert len(named) > 15
    assert [
        n for n, short in sorted(named.items()) if f"`{n}" not in DOCUMENTED and f"`{short}" not in DOCUMENTED
    ] == []
    await stage.close()
