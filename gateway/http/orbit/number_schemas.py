"""Requests and answers about owned numbers."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Literal

from pydantic import BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from gateway.http.orbit.agent_schemas import AgentId
from gateway.http.orbit.fields import Dialable, PhoneName, Url, Voice, Words
from gateway.http.schema import OneLine, Shown, Strict
from gateway.policy.number_plan import REJECT_CAUSES

Capability = Literal["voice", "sms"]
Capabilities = Annotated[list[Capability], Field(min_length=1, max_length=2)]
FriendlyName = Annotated[OneLine, Field(max_length=100)]


def _voice_alone() -> list[Capability]:
    return ["voice"]


def _cause(given: object) -> object:
    """A word of the list, or a Q.850 value. ITU-T Q.850: causes are 1 to 127."""
    known = isinstance(given, str) and given in REJECT_CAUSES
    value = isinstance(given, int) and not isinstance(given, bool) and 1 <= given <= 127
    if not (known or value):
        raise PydanticCustomError("cause", _CAUSE_EXPECTED)
    return given


_CAUSE_EXPECTED: Final = "busy, rejected, unallocated, congestion, or a Q.850 value from 1 to 127"
RejectCause = Annotated[
    str | int,
    BeforeValidator(_cause),
    WithJsonSchema(
        {"oneOf": [{"enum": sorted(REJECT_CAUSES)}, {"type": "integer", "minimum": 1, "maximum": 127}]}
    ),
]


class PhoneRoute(Strict):
    """Ring a registered phone."""

    type: Literal["phone"]
    phone: PhoneName


class NumberRoute(Strict):
    """Ring another number over a trunk."""

    type: Literal["number"]
    number: Dialable


class AnnouncementRoute(Strict):
    """Speak a text."""

    type: Literal["announcement"]
    text: Words
    voice: Voice | None = None


class HoldRoute(Strict):
    """Play music until somebody hangs up."""

    type: Literal["hold"]


class AgentRoute(Strict):
    """Let an AI agent speak, in its newest version."""

    type: Literal["agent"]
    agent_id: AgentId


class RoomsRoute(Strict):
    """A dial-in line of your video rooms: callers are asked for a meeting number."""

    type: Literal["rooms"]
    language: Literal["en"] = Field(default="en", description="What callers are spoken to in.")


class RejectRoute(Strict):
    """Refuse, with a word for the cause or its Q.850 value."""

    type: Literal["reject"]
    cause: RejectCause


Route = Annotated[
    PhoneRoute | NumberRoute | AnnouncementRoute | HoldRoute | AgentRoute | RoomsRoute | RejectRoute,
    Field(discriminator="type"),
]


class AddNumber(Strict):
    """A number that you own at your carrier."""

    TAGGED: ClassVar[frozenset[str]] = frozenset({"route"})

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "e164": "+12025551234",
                    "friendly_name": "Front desk",
                    "route": {"type": "phone", "phone": "reception"},
                    "is_default": True,
                }
            ]
        }
    )

    e164: Dialable = Field(description="The number in E.164.")
    friendly_name: FriendlyName = ""
    capabilities: Capabilities = Field(default_factory=_voice_alone)
    route: Route | None = Field(
        default=None, description="Where inbound calls go; without it they are refused."
    )
    record: bool = Field(default=False, description="Record inbound calls.")
    webhook_url: Url | None = Field(default=None, description="Receives the events of inbound calls.")
    is_default: bool = Field(default=False, description="Shown by calls that name no `from`.")


class ChangeNumber(Strict):
    """What shall be different; what is left out stays. `route` and `webhook_url` may be null."""

    TAGGED: ClassVar[frozenset[str]] = frozenset({"route"})

    friendly_name: FriendlyName | None = None
    capabilities: Capabilities | None = None
    route: Route | None = None
    record: bool | None = None
    webhook_url: Url | None = None
    is_default: bool | None = None


class RouteShown(Shown):
    """Where inbound calls go; the fields of its type."""

    type: Literal["phone", "number", "announcement", "hold", "agent", "rooms", "reject"]
    phone: str | None = None
    number: str | None = None
    text: str | None = None
    voice: str | None = None
    agent_id: str | None = None
    language: str | None = None
    cause: str | int | None = None


class NumberShown(Shown):
    """An owned number."""

    id: str
    e164: str
    friendly_name: str
    capabilities: list[Capability]
    route: RouteShown | None
    record: bool
    webhook_url: str | None
    is_default: bool
    country: str | None
    created_at: str
