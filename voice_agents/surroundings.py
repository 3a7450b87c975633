"""What every session of one desk shares."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from voice_agents.core.record import AgentCall, SessionRecord, State
from voice_agents.core.session import PATIENCE, Patience
from voice_agents.ports import (
    AgentBook,
    AgentLines,
    Announcer,
    CallControl,
    Detectors,
    MediaPort,
    Now,
    SessionStore,
    SpeechFronts,
    TextToSpeech,
    Tools,
)


@dataclass(slots=True)
class Tally:
    """The desk's counters, for the metrics page. ``ended`` counts by reason and how, ``events`` by name."""

    prepared: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    passed_over: Counter[str] = field(default_factory=Counter)
    """Calls that an agent's fallback had from the beginning, by why."""
    bridged: int = 0
    ended: Counter[tuple[str, str]] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    interruptions: int = 0
    false_alarms: int = 0
    reconnects: int = 0
    words_lost_ms: int = 0
    unsent_frames: int = 0
    stale_ms: int = 0
    broken: int = 0
    """Faults of our own that a session survived."""

    def count(self, record: SessionRecord) -> tuple[str, str]:
        """Add a session that has ended; its reason and how, as they are counted."""
        evidence, figures = record.evidence, record.figures
        reason = "broken" if evidence is None else str(evidence.reason)
        how = "" if evidence is None or evidence.how is None else str(evidence.how)
        self.ended[reason, how] += 1
        if record.state is State.FAILED:
            self.failed[record.failure or reason] += 1
        self.interruptions += figures.interruptions
        self.false_alarms += figures.false_alarms
        self.reconnects += figures.reconnects
        self.words_lost_ms += 0 if evidence is None else evidence.words_lost_ms
        self.unsent_frames += figures.unsent_frames
        self.stale_ms += figures.stale_ms
        return reason, how


async def _read(path: Path) -> bytes:
    return await asyncio.to_thread(path.read_bytes)


def _no_token(call: AgentCall, longest_s: int) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """``now``: epoch seconds that never go back. ``new_id(prefix)``: a fresh id. ``new_token()``: what only
    the switch that is told it can know. ``control_token(call, longest_s)``: what lets an agent control this
    call for so long. ``read`` gives the octets of a file that ``voice`` wrote."""

    lines: AgentLines
    media: MediaPort
    control: CallControl
    book: AgentBook
    store: SessionStore
    announcer: Announcer
    tools: Tools
    now: Now
    new_id: Callable[[str], str]
    new_token: Callable[[], str]
    control_token: Callable[[AgentCall, int], str] = _no_token
    detectors: Detectors | None = None
    fronts: SpeechFronts | None = None
    voice: TextToSpeech | None = None
    read: Callable[[Path], Awaitable[bytes]] = _read
    patience: Patience = PATIENCE
    tally: Tally = field(default_factory=Tally)
