"""Requests about video rooms."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from gateway.http.orbit.agent_schemas import AgentId
from gateway.http.orbit.fields import Dialable, FarEnd
from gateway.http.orbit.video_fields import (
    AdhocName,
    DisplayName,
    GuestIdentity,
    GuestName,
    Identity,
    Minutes,
    MomentCursor,
    NameCursor,
    Pairs,
    PassedOn,
    Title,
    Track,
    Uuid,
    When,
    WhenAsked,
)
from gateway.http.schema import OneLine, QueryFlag, QueryInt, Strict


class RecurrenceWanted(Strict):
    """When a room comes again; `scheduled_at` is its first time."""

    rule: Annotated[OneLine, Field(min_length=1, max_length=500, examples=["FREQ=WEEKLY;BYDAY=MO"])] = Field(
        description="RRULE of RFC 5545, daily or rarer."
    )
    timezone: Annotated[OneLine, Field(min_length=1, max_length=100, examples=["Europe/Berlin"])] = Field(
        description="IANA name: the hour stays the same there, summer and winter."
    )


class CreateRoom(Strict):
    """A room to schedule."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "Onboarding call",
                    "scheduled_at": "2026-05-10T14:00:00Z",
                    "recording_enabled": True,
                    "max_participants": 4,
                }
            ]
        }
    )

    name: Title
    scheduled_at: When | None = Field(default=None, description="Its beginning; now if left out.")
    recording_enabled: bool = Field(default=False, description="Record from the first person's coming on.")
    max_participants: Annotated[int, Field(ge=1, le=500)] = Field(
        default=10, description="How many may be in it at once, telephones too."
    )
    settings: Pairs = Field(default_factory=dict, description="Kept as they are, and shown again.")
    duration_minutes: Minutes = Field(default=60, description="How long it is planned to last.")
    waiting_room: bool = Field(default=False, description="Whoever is not a host waits to be admitted.")
    recurrence: RecurrenceWanted | None = Field(default=None, description="It takes place again and again.")
    dial_in: bool = Field(default=True, description="Telephones may come in with a PIN.")

    @model_validator(mode="after")
    def _begins(self) -> Self:
        if self.recurrence is not None and self.scheduled_at is None:
            raise PydanticCustomError("first_time", "a first time: scheduled_at", {"field": "recurrence"})
        return self


class ChangeRoom(Strict):
    """Another plan for a room. What is left out stays."""

    scheduled_at: When | None = None
    duration_minutes: Minutes | None = None
    recurrence: RecurrenceWanted | None = Field(
        default=None,
        description="Another rule; what was skipped or moved under the old one is forgotten. Null: it "
        "stops, and the room takes place once more, at its next time or at `scheduled_at`.",
    )
    name: Title | None = None
    max_participants: Annotated[int, Field(ge=1, le=500)] | None = Field(
        default=None, description="Not while anybody is in the room."
    )
    waiting_room: bool | None = Field(default=None, description="For tokens made from now on.")
    recording_enabled: bool | None = Field(
        default=None, description="True: a live room is recorded at once. A recording that runs goes on."
    )

    @model_validator(mode="after")
    def _something(self) -> Self:
        wanted = self.model_fields_set & {"recurrence"} | {name for name, given in self if given is not None}
        if not wanted:
            raise PydanticCustomError("change", "at least one field with a value")
        return self


class MoveOccurrence(Strict):
    """Another time for one occurrence."""

    to: When = Field(description="When it takes place instead.")


class ListOccurrences(Strict):
    """Which times of a room."""

    after: WhenAsked | None = Field(default=None, description="Those that end after this; now if left out.")
    limit: QueryInt = Field(default=20, ge=1, le=100, description="Results on a page.")
    cursor: MomentCursor | None = Field(default=None, description="`cursor` of the page before.")


class ListRooms(Strict):
    """Which rooms."""

    status: Literal["scheduled", "live", "ended"] | None = Field(default=None, description="All if left out.")
    limit: QueryInt = Field(default=100, ge=1, le=500, description="The most rooms to return.")


class JoinRoom(Strict):
    """Who wants in."""

    identity: Identity = Field(
        description="One session each: who comes again under the same name takes the place of the first."
    )
    display_name: DisplayName | None = Field(default=None, description="Shown to the others.")
    role: Literal["participant", "host"] = Field(
        default="participant", description="A key that may not make hosts gets a participant's token."
    )
    user_id: Uuid | None = Field(default=None, description="The user this is; the caller if left out.")
    contact_id: Uuid | None = Field(default=None, description="The contact this is.")
    ttl_seconds: Annotated[int, Field(ge=60, le=86_400)] | None = Field(
        default=None, description="How long the token opens the room; the installation's time if left out."
    )


class CreateInvite(Strict):
    """A way in for somebody outside."""

    participant_name: GuestName | None = Field(default=None, description="The guest's name, proposed.")
    expires_in_hours: Annotated[int, Field(ge=1, le=168)] | None = Field(
        default=None, description="The installation's time if left out."
    )
    max_uses: Annotated[int, Field(ge=1, le=500)] | None = Field(
        default=None, description="No limit if null."
    )


class ListInvites(Strict):
    """Which invites."""

    include_expired: QueryFlag = Field(default=False, description="Expired ones too.")
    limit: QueryInt = Field(default=100, ge=1, le=500, description="The most invites to return.")


class RedeemInvite(Strict):
    """Who a guest is."""

    display_name: GuestName = Field(description="Shown to the others.")
    identity: GuestIdentity | None = Field(default=None, description="Made for the guest if left out.")


class MuteTrack(Strict):
    """What is muted."""

    kind: Track = "audio"


class CallIn(Strict):
    """A telephone to be called into a room, or an agent to be brought into one: exactly one of `to`,
    `agent_id` and `session_id`."""

    to: FarEnd | None = Field(
        default=None, description="Who is called: a number in E.164, or `phone:` and a phone's name."
    )
    agent_id: AgentId | None = Field(default=None, description="The AI agent, in its newest version.")
    session_id: Annotated[str, Field(min_length=1, max_length=64)] | None = Field(
        default=None, description="A masking session; `party` of it is called, shown its own proxy number."
    )
    party: Annotated[str, Field(pattern=r"^(party_a|party_b|member_[0-9]{1,4})$")] | None = Field(
        default=None, description="Who of `session_id`, as its interactions name people."
    )
    display_name: GuestName | None = Field(
        default=None,
        description="What the room sees; if left out, the number, masked, the agent's name, or `Phone` "
        "for a session's party.",
    )
    from_: Dialable | None = Field(
        default=None,
        alias="from",
        description="One of your numbers; your default number if left out. A session's party is always shown "
        "its proxy number.",
    )
    ring_timeout: Annotated[int, Field(ge=5, le=300)] = Field(
        default=40, description="Seconds of ringing until the attempt ends; of telephones."
    )
    consent: bool = Field(
        default=True, description="Whoever answers is in the room once they have pressed 1: no machine does."
    )

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if [self.to, self.agent_id, self.session_id].count(None) != 2:
            raise PydanticCustomError(
                "one_of", "either a telephone, an agent, or a session's party", {"field": "to"}
            )
        if (self.session_id is None) != (self.party is None):
            raise PydanticCustomError("one_of", "session_id and party go together", {"field": "party"})
        if self.session_id is not None and self.from_ is not None:
            raise PydanticCustomError(
                "one_of", "a session's party is shown its proxy number", {"field": "from"}
            )
        return self


class CreateAdhoc(Strict):
    """A room to begin at once."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "quick-sync", "max_participants": 8}]})

    name: AdhocName
    max_participants: Annotated[int, Field(ge=2, le=100)] | None = Field(
        default=None, description="How many may be in it at once; no limit if left out."
    )
    metadata: PassedOn | None = Field(default=None, description="Passed on to everybody in the room.")


class ListAdhoc(Strict):
    """Which page of a list of ad-hoc rooms."""

    cursor: NameCursor | None = Field(default=None, description="`next_cursor` of the page before.")
    limit: QueryInt = Field(default=20, ge=1, le=100, description="Results on a page.")


class AdhocToken(Strict):
    """Who wants in."""

    participant_name: Title = Field(description="Shown to the others, and the identity.")
    metadata: PassedOn | None = Field(default=None, description="Passed on to everybody in the room.")
