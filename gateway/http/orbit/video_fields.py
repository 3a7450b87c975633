"""Fields of requests about video rooms, each with its rule."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, JsonValue, WithJsonSchema
from pydantic_core import PydanticCustomError

from gateway.http.exchange import to_json
from gateway.http.schema import OneLine, Strict

EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)
"""Rooms are planned before this."""
_UUID: Final = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"
ADHOC_NAME = re.compile(r"[a-zA-Z0-9_\-]{3,200}")
WIRE_NAME = re.compile(r"[a-zA-Z0-9_\-]{1,300}")
"""An ad-hoc room's name, with the tenant's prefix or without."""


def read_moment(given: object) -> datetime:
    """A moment in UTC, of ISO 8601 with an offset. The form of calendars, 20260510T140000Z, is one."""
    text = given if isinstance(given, str) and given.isascii() else ""
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None or len(text) > 40:
            raise ValueError
        moment = moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise PydanticCustomError(
            "moment", "a time in ISO 8601 with an offset, e.g. 2026-05-10T14:00:00Z"
        ) from None
    if not EARLIEST <= moment < LATEST:
        raise PydanticCustomError("moment", "a time between the years 1970 and 2199")
    return moment


When = Annotated[
    datetime,
    BeforeValidator(read_moment),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-05-10T14:00:00Z"]}),
]


def _asked_moment(given: object) -> datetime:
    """A plus sign that was not percent-encoded arrives as a space: taken as meant."""
    return read_moment(re.sub(r" (?=\d\d:\d\d$)", "+", given) if isinstance(given, str) else given)


WhenAsked = Annotated[
    datetime,
    BeforeValidator(_asked_moment),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-05-10T14:00:00Z"]}),
]
"""The same in a query."""


def _spelled(text: str) -> str:
    return read_moment(text).isoformat()


def _lower(text: str) -> str:
    return text.lower()


Uuid = Annotated[str, Field(pattern=_UUID), AfterValidator(_lower)]
Title = Annotated[OneLine, Field(min_length=1, max_length=200, examples=["Onboarding call"])]
Identity = Annotated[OneLine, Field(min_length=1, max_length=200, examples=["user_42"])]
DisplayName = Annotated[OneLine, Field(min_length=1, max_length=200, examples=["Jane Doe"])]
GuestName = Annotated[OneLine, Field(min_length=1, max_length=120, examples=["Acme customer"])]
GuestIdentity = Annotated[str, Field(min_length=1, max_length=120, pattern=r"^[A-Za-z0-9_:\-]+$")]
InviteToken = Annotated[str, Field(min_length=24, max_length=64, pattern=r"^[A-Za-z0-9_\-]+$")]
Pairs = Annotated[dict[str, JsonValue], Field(max_length=200)]
"""An object of the client's own: kept as it is."""
PASSED_ON_MAX: Final = 16 * 1024


def _passed_on(pairs: dict[str, JsonValue]) -> dict[str, JsonValue]:
    if len(to_json(pairs)) > PASSED_ON_MAX:
        raise PydanticCustomError("too_large", "at most 16384 bytes as JSON")
    return pairs


PassedOn = Annotated[Pairs, AfterValidator(_passed_on)]
"""The same for everybody in a room: each of them is sent it, and a token carries it."""
Track = Literal["audio", "video"]
Minutes = Annotated[int, Field(ge=1, le=1440)]


def _adhoc_name(text: str) -> str:
    if ADHOC_NAME.fullmatch(text) is None:
        raise PydanticCustomError("room_name", "3 to 200 letters, digits, dashes and underscores")
    return text


AdhocName = Annotated[
    str,
    AfterValidator(_adhoc_name),
    Field(json_schema_extra={"pattern": "^[a-zA-Z0-9_-]{3,200}$", "examples": ["quick-sync"]}),
]


def _name_cursor(text: str) -> str:
    if WIRE_NAME.fullmatch(text) is None:
        raise PydanticCustomError("cursor", "`next_cursor` of the page before", {"code": "INVALID_CURSOR"})
    return text


def _moment_cursor(text: str) -> str:
    if re.fullmatch(r"[0-9]{1,17}", text) is None:
        raise PydanticCustomError("cursor", "`cursor` of the page before", {"code": "INVALID_CURSOR"})
    return text


MomentCursor = Annotated[
    str, AfterValidator(_moment_cursor), Field(json_schema_extra={"pattern": "^[0-9]{1,17}$"})
]
"""Behind which moment a page goes on, in microseconds since 1970."""
NameCursor = Annotated[
    str, AfterValidator(_name_cursor), Field(json_schema_extra={"pattern": "^[a-zA-Z0-9_-]{1,300}$"})
]


class RoomPath(Strict):
    """A scheduled room."""

    id: Uuid


class InvitePath(RoomPath):
    """An invite of a room."""

    inviteId: Uuid  # why: the name that clients know


class PersonPath(RoomPath):
    """Somebody in a room."""

    identity: Identity


class OccurrencePath(RoomPath):
    """One time a room takes place, by its original start."""

    occurrence: Annotated[
        str,
        AfterValidator(_spelled),
        WithJsonSchema(
            {
                "type": "string",
                "pattern": "^[0-9]{8}T[0-9]{6}Z$",
                "description": "Any spelling of ISO 8601 with an offset.",
                "examples": ["20260510T140000Z"],
            }
        ),
    ]


class TokenPath(Strict):
    """The credential of a guest."""

    inviteToken: InviteToken  # why: the name that clients know


class NamePath(Strict):
    """An ad-hoc room."""

    name: Annotated[
        OneLine,
        Field(min_length=1, max_length=300, json_schema_extra={"pattern": "^[a-zA-Z0-9_-]{1,300}$"}),
    ]
