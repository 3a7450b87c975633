"""Requests and answers about an agent that is, or was, on a call."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gateway.http.orbit.call_schemas import CallWithRecordings
from gateway.http.orbit.fields import FarEnd, FarEndOrRoom, Words
from gateway.http.schema import QueryFlag, Shown, Strict

State = Literal[
    "requested",
    "connecting",
    "ready",
    "media_bridged",
    "talking",
    "paused",
    "held",
    "transferring",
    "ending",
    "ended",
    "failed",
]
Outcome = Literal[
    "completed",
    "busy",
    "no_answer",
    "declined",
    "invalid",
    "timeout",
    "ended",
    "agent_unavailable",
    "policy_denied",
]
RingTimeout = Annotated[int, Field(ge=5, le=40)]


class HangUp(Strict):
    """How to end a call that an agent is on."""

    force: QueryFlag = Field(
        default=False, description="Do not wait for the agent's goodbye; it is told all the same."
    )


class WhichForm(Strict):
    """The form of a transcript; without it the `Accept` header decides."""

    format: Literal["json", "text", "vtt"] | None = None


class Say(Strict):
    """Words for the caller, in our voice."""

    text: Words
    interruptible: bool = True


class SendDigits(Strict):
    """Keys to play to the caller's line."""

    digits: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[0-9*#A-Dw]+$")] = Field(
        description="`w` waits half a second."
    )


class SendCaller(Strict):
    """Who shall speak with the caller."""

    to: FarEnd = Field(description="A number in E.164, or `phone:` and a phone's name.")
    ring_timeout: RingTimeout = Field(default=30, description="Seconds until the attempt is given up.")


class SendCallerOn(Strict):
    """Where the caller goes on."""

    to: FarEndOrRoom = Field(
        description="A number in E.164, `phone:` and a phone's name, or `room:` and the id of a scheduled "
        "video room, which the caller enters without its meeting number or its lobby."
    )
    ring_timeout: RingTimeout = Field(default=30, description="Seconds until the attempt is given up.")


class AgentOnCall(Shown):
    """An agent's part in a call. `agent_id` and `agent_version` began it; `answered_by` has it now, another
    where a standby took over, `announcement` or `number` where the caller never had any. `failure` is
    `agent_busy` where the agent, or its tenant, was full, `agent_archived` where it takes no calls."""

    session_id: str
    agent_id: str
    agent_version: int
    answered_by: str
    dialect: str
    state: State
    started_at: str | None
    ready_at: str | None
    connected_at: str | None
    ended_at: str | None
    duration_seconds: float
    reason: str | None
    initiated_by: str | None
    how: str | None
    agent_notified_at: str | None
    words_lost_ms: int | None
    failure: str | None
    interruptions: int
    tool_calls: int
    first_sound_ms: int | None


class AgentSummaryShown(Shown):
    """What became of the conversation: the agent's own account, else ours. `fields` are the agent's."""

    text: str
    by: Literal["agent", "gateway"]
    fields: dict[str, object]


class CallInFull(CallWithRecordings):
    """A call with its recordings, and what its agent did. Without an agent both are null; the summary is
    for those who may hear recordings."""

    agent: AgentOnCall | None
    agent_summary: AgentSummaryShown | None


class Moved(Shown):
    """What became of sending the caller on."""

    call_id: str
    to: str
    outcome: Outcome


class ToolUseShown(Shown):
    """A tool that was called."""

    id: str
    name: str
    ok: bool
    error: str


class TurnShown(Shown):
    """Whose words, and what of them was heard. Times: milliseconds on the session's audio clock."""

    role: Literal["agent", "caller", "gateway", "tool", "digits"]
    said: str
    heard: str
    start_ms: int
    end_ms: int
    interrupted: bool
    source: str
    confidence: float
    tools: list[ToolUseShown]


class SessionTranscript(Shown):
    """One session's turns, in the order of its clock, which began at `clock_began_at`."""

    session_id: str
    agent_id: str
    agent_version: int
    answered_by: str
    state: State
    clock_began_at: str | None
    turns: list[TurnShown]


class TranscriptShown(Shown):
    """What was said in a call. `live`: the conversation goes on."""

    call_id: str
    live: bool
    sessions: list[SessionTranscript]
