"""What is known of an agent's session from outside, at any moment and for ever after. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from voice_agents.core.talk import Reason
from voice_agents.core.transcript import Turn

BUSY: Final = "agent_busy"
ARCHIVED: Final = "agent_archived"
"""Why a session began without its agent: it, or its tenant, had as many calls as it may; it takes none."""
ANNOUNCEMENT: Final = "announcement"
NUMBER: Final = "number"
"""Who a caller had, where no agent ever was on the call."""


class State(StrEnum):
    """Where a session is. ``ENDED`` and ``FAILED`` (no word was ever exchanged) are final."""

    REQUESTED = "requested"
    CONNECTING = "connecting"
    READY = "ready"
    BRIDGED = "media_bridged"
    TALKING = "talking"
    PAUSED = "paused"
    HELD = "held"
    TRANSFERRING = "transferring"
    ENDING = "ending"
    ENDED = "ended"
    FAILED = "failed"

    @property
    def final(self) -> bool:
        return self in (State.ENDED, State.FAILED)


class How(StrEnum):
    """What let the end go on: the agent's word, its farewell heard to the end, its deadline, ``force``, the
    caller's own leaving, or that there was no agent to be told."""

    ACKED = "acked"
    FAREWELL_HEARD = "farewell_heard"
    DEADLINE = "deadline"
    FORCED = "forced"
    CALLER_GONE = "caller_gone"
    AGENT_LOST = "agent_lost"


@dataclass(frozen=True, slots=True)
class Evidence:
    """How a session ended, step by step. Times in epoch seconds; None: that did not happen."""

    reason: Reason
    initiated_by: str
    asked_at: float
    agent_notified_at: float | None = None
    how: How | None = None
    settled_at: float | None = None
    """When the farewell was over, whichever way."""
    heard_at: float | None = None
    """When the last of what had been queued was heard."""
    hung_up_at: float | None = None
    """When the call's end was ordered; None where the caller left or the call goes on elsewhere."""
    words_lost_ms: int = 0
    """Sound of the agent that was queued and not heard: always 0 but for forced ends, the caller's own, and
    an agent that spoke on and on."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Counters of one session, milliseconds and pieces."""

    caller_ms: int = 0
    agent_ms: int = 0
    dropped_ms: int = 0
    stale_ms: int = 0
    interruptions: int = 0
    false_alarms: int = 0
    reconnects: int = 0
    underruns: int = 0
    malformed: int = 0
    tool_calls: int = 0
    refused_tools: int = 0
    unsent_frames: int = 0
    first_sound_ms: int | None = None
    """From the bridging of the sound to the agent's first."""
    slow_turns: int = 0


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """One session. ``agent_id`` and ``agent_version`` are those that began it; ``answered_by`` is who has it
    now, another where a standby took over; ``ANNOUNCEMENT`` or ``NUMBER`` where no agent ever did, but the
    caller was spoken to or sent on. Times are epoch seconds."""

    id: str
    call_id: str
    tenant: str
    agent_id: str
    agent_version: int
    answered_by: str
    direction: str
    dialect: str
    state: State
    created_at: float
    ready_at: float | None = None
    bridged_at: float | None = None
    ended_at: float | None = None
    evidence: Evidence | None = None
    failure: str = ""
    """Why it failed, lost its agent or began without it, one word; empty where all went well."""
    turns: tuple[Turn, ...] = ()
    summary: str = ""
    summary_by: str = ""
    """``agent`` or ``gateway``; empty until it has ended."""
    summary_fields: str = "{}"
    figures: Figures = field(default_factory=Figures)

    @property
    def led_by(self) -> str:
        """The agent whose rules hold: the one that has the call, else the one that it was for."""
        with_agent = self.answered_by and self.answered_by not in (ANNOUNCEMENT, NUMBER)
        return self.answered_by if with_agent else self.agent_id

    @property
    def duration_ms(self) -> int:
        """From the bridging of the sound to the end; 0 where there was no sound."""
        if self.bridged_at is None or self.ended_at is None:
            return 0
        return max(0, round((self.ended_at - self.bridged_at) * 1000))


@dataclass(frozen=True, slots=True)
class AgentCall:
    """A call that an agent shall take. ``caller`` and ``called`` are as the agent may know them.
    ``max_duration_s`` 0: as the agent has it; ``longest_s``: what the call itself may last, which no agent
    may go beyond, 0 where nothing says; ``media_within_s``: how long until the switch must have brought the
    sound, ringing included."""

    call_id: str
    tenant: str
    agent_id: str
    direction: str
    caller: str
    called: str
    agent_version: int | None = None
    metadata: tuple[tuple[str, str], ...] = ()
    parameters: tuple[tuple[str, str], ...] = ()
    max_duration_s: int = 0
    longest_s: int = 0
    media_within_s: float = 90.0

    def lasts_s(self, agent_s: int) -> int:
        """How long a session may last whose agent allows for so many seconds, where nothing else is said."""
        wanted_s = self.max_duration_s or agent_s
        return min(wanted_s, self.longest_s) if self.longest_s else wanted_s

    def __repr__(self) -> str:
        return f"AgentCall({self.call_id}, {self.agent_id}, {self.direction})"
