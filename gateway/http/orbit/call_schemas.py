"""Requests and answers about calls."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from gateway.http.orbit.fields import (
    Announced,
    Dialable,
    FarEnd,
    Metadata,
    Moment,
    NumberFilter,
    PageQuery,
    Url,
)
from gateway.http.schema import OneLine, QueryInt, Shown, Strict

Status = Literal[
    "initiating", "ringing", "in_progress", "completed", "failed", "busy", "no_answer", "cancelled"
]


class CreateCall(Strict):
    """An outbound call: `to` is rung; once it answers it meets an agent, an announcement, another party or
    music."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "to": "+14155552671",
                    "from": "+12025551234",
                    "record": True,
                    "announcement": "Your parcel arrives today.",
                    "metadata": {"campaign": "retention"},
                }
            ]
        }
    )

    to: FarEnd = Field(description="Who is called: a number in E.164, or `phone:` and a phone's name.")
    from_: Dialable | None = Field(
        default=None, alias="from", description="One of your numbers; your default number if left out."
    )
    direction: Literal["outbound"] | None = Field(default=None, description="Only outbound calls are placed.")
    agent_id: Annotated[OneLine, Field(min_length=1, max_length=64)] | None = Field(
        default=None, description="The AI agent who speaks once `to` answered, in its newest version."
    )
    connect_to: FarEnd | None = Field(
        default=None, description="Who is rung once `to` answered: a number, or `phone:` and a phone's name."
    )
    announcement: Announced | None = Field(
        default=None, description="What is spoken once `to` answered: a text, `{text, voice}` or `{prompt}`."
    )
    webhook_url: Url | None = Field(default=None, description="Receives this call's events.")
    record: bool = Field(default=False, description="Record from the answer on, one channel a side.")
    max_duration: Annotated[int, Field(ge=30, le=14_400)] | None = Field(
        default=None, description="Seconds until the call is ended; 3600 unless configured otherwise."
    )
    ring_timeout: Annotated[int, Field(ge=5, le=300)] | None = Field(
        default=None, description="Seconds of ringing until the attempt ends; 60 unless configured otherwise."
    )
    amd: Literal[False] | None = Field(
        default=None, description="Answering-machine detection; not offered, only false is taken."
    )
    metadata: Metadata = Field(default_factory=dict, description="Up to 50 pairs of your own.")

    @model_validator(mode="after")
    def _one_far_end(self) -> Self:
        given = [
            name for name in ("agent_id", "connect_to", "announcement") if getattr(self, name) is not None
        ]
        if len(given) > 1:
            raise PydanticCustomError(
                "one_far_end", "at most one of agent_id, connect_to and announcement", {"field": given[1]}
            )
        return self


class ListCalls(PageQuery):
    """Which calls."""

    status: Status | None = None
    to: NumberFilter | None = Field(default=None, description="Calls to exactly this number.")
    from_: NumberFilter | None = Field(default=None, alias="from", description="Calls showing this number.")
    created_after: Moment | None = Field(default=None, description="Created at this time or later.")
    created_before: Moment | None = Field(default=None, description="Created before this time.")


class AfterEvent(Strict):
    """Which part of a timeline."""

    after: QueryInt = Field(
        default=0, ge=0, le=2**31 - 1, description="Only events with a higher sequence number."
    )


class TerminationShown(Shown):
    """Whose doing the ending was, and how."""

    result: str
    reason: str


class RecordingShown(Shown):
    """One recording of a call. `url` is there once it is ready, signed and for a limited time."""

    id: str
    call_id: str
    status: Literal["waiting", "recording", "paused", "processing", "ready", "failed"]
    created_at: str | None
    ended_at: str | None
    duration_seconds: float | None
    channels: int | None
    bytes: int | None
    url: str | None
    url_expires_at: str | None
    failure: str | None


class CallShown(Shown):
    """A call. Numbers are masked for keys without the scope `pii:read`."""

    id: str
    direction: Literal["outbound", "inbound"]
    to: str
    from_: str = Field(alias="from")
    agent_id: str | None
    session_id: str | None
    room_id: str | None = Field(description="The video room that the call leads, or led, to.")
    status: Status
    record: bool
    metadata: dict[str, str]
    webhook_url: str | None
    created_at: str
    answered_at: str | None
    ended_at: str | None
    duration_seconds: int | None
    hangup_cause: str | None
    hangup_cause_code: int | None
    sip_code: int | None
    termination: TerminationShown | None
    ended_by: Literal["caller", "callee", "api", "gateway", "switch"] | None
    recording_url: str | None


class CallWithRecordings(CallShown):
    """A call, with all its recordings."""

    recordings: list[RecordingShown]


class EventShown(Shown):
    """One entry of a call's timeline."""

    sequence: int
    type: str
    at: str
    status: Status
    detail: dict[str, str]


class RuleShown(Shown):
    """What one rule says."""

    rule: str
    passed: bool
    message: str
    code: str | None
    field: str | None


class CheckShown(Shown):
    """Whether the call would be placed now."""

    allowed: bool
    rules: list[RuleShown]
