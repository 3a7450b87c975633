"""Fields that several requests share, each with its rule."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from dialplan.core.call import ROOM
from gateway.http.schema import OneLine, QueryInt, Strict

E164_PATTERN: Final = r"^\+[1-9][0-9]{6,14}$"
_PHONE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,39}")
PHONE: Final = "phone:"
_ROOM = re.compile(r"room:[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
TEXT_MAX: Final = 1000
NUMBER_MAX: Final = 32
METADATA_MAX: Final = 50

Dialable = Annotated[
    OneLine,
    Field(
        min_length=1,
        max_length=NUMBER_MAX,
        json_schema_extra={"pattern": E164_PATTERN, "examples": ["+14155552671"]},
    ),
]
"""A telephone number as given. Whether it is one, and may be dialled, is for the policy's rules to say."""


def _phone_name(text: str) -> str:
    if _PHONE_NAME.fullmatch(text) is None:
        raise PydanticCustomError("phone_name", "the name of a phone: letters, digits, dot, dash, underscore")
    return text


PhoneName = Annotated[
    str,
    AfterValidator(_phone_name),
    Field(max_length=40, json_schema_extra={"pattern": "^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$"}),
]


def _far_end(text: str) -> str:
    if text.startswith(PHONE):
        _phone_name(text.removeprefix(PHONE))
    elif len(text) > NUMBER_MAX:
        raise PydanticCustomError("number_length", f"at most {NUMBER_MAX} characters")
    return text


FarEnd = Annotated[
    OneLine,
    Field(
        min_length=1,
        max_length=64,
        json_schema_extra={
            "pattern": r"^(\+[1-9][0-9]{6,14}|phone:[A-Za-z0-9][A-Za-z0-9_.-]{0,39})$",
            "examples": ["+14155552671", "phone:reception"],
        },
    ),
    AfterValidator(_far_end),
]
"""A number, or ``phone:`` and the name of a registered phone."""


def _far_end_or_room(text: str) -> str:
    if not text.startswith(ROOM):
        return _far_end(text)
    if _ROOM.fullmatch(text) is None:
        raise PydanticCustomError("room", "room: and the id of a scheduled video room")
    return text.lower()


FarEndOrRoom = Annotated[
    OneLine,
    Field(
        min_length=1,
        max_length=64,
        json_schema_extra={
            "pattern": r"^(\+[1-9][0-9]{6,14}|phone:[A-Za-z0-9][A-Za-z0-9_.-]{0,39}|" + _ROOM.pattern + ")$",
            "examples": ["+14155552671", "phone:reception", "room:0b9a2f57-0a25-4f5b-9d5c-0a4f3f1b7c11"],
        },
    ),
    AfterValidator(_far_end_or_room),
]
"""The same, or ``room:`` and the id of a scheduled video room."""

Url = Annotated[str, Field(min_length=1, max_length=2048, json_schema_extra={"format": "uri"})]
Name = Annotated[OneLine, Field(min_length=1, max_length=100)]
Words = Annotated[OneLine, Field(min_length=1, max_length=TEXT_MAX)]
Voice = Annotated[OneLine, Field(min_length=2, max_length=40, examples=["en-US"])]
_META_KEY = Annotated[OneLine, Field(min_length=1, max_length=50)]
_META_VALUE = Annotated[OneLine, Field(max_length=500)]
Metadata = Annotated[dict[_META_KEY, _META_VALUE], Field(max_length=METADATA_MAX)]
CursorText = Annotated[str, Field(min_length=1, max_length=400)]


class Spoken(Strict):
    """Text to speak, or the name of a stored prompt."""

    text: Words | None = Field(default=None, description="Text spoken by the speech engine.")
    voice: Voice | None = Field(default=None, description="Voice or language of the text.")
    prompt: Annotated[OneLine, Field(min_length=1, max_length=80)] | None = Field(
        default=None, description="Name of a stored prompt, instead of a text."
    )


def _as_spoken(given: object) -> object:
    """A bare string is the text."""
    return {"text": given} if isinstance(given, str) else given


def _one_source(spoken: Spoken) -> Spoken:
    if (spoken.text is None) == (spoken.prompt is None):
        raise PydanticCustomError("one_of", "either a text or the name of a prompt")
    if spoken.prompt is not None and spoken.voice is not None:
        raise PydanticCustomError("one_of", "a voice goes with a text", {"field": "voice"})
    return spoken


_TEXT_SCHEMA: Final[dict[str, Any]] = {
    "type": "string",
    "minLength": 1,
    "maxLength": TEXT_MAX,
    "pattern": r"^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]*$",
}
Announced = Annotated[
    Spoken,
    BeforeValidator(_as_spoken),
    AfterValidator(_one_source),
    WithJsonSchema(
        {
            "oneOf": [
                _TEXT_SCHEMA,
                {
                    "type": "object",
                    "properties": {"text": _TEXT_SCHEMA, "voice": {"type": "string"}},
                    "required": ["text"],
                    "additionalProperties": False,
                },
                {
                    "type": "object",
                    "properties": {"prompt": {"type": "string", "minLength": 1, "maxLength": 80}},
                    "required": ["prompt"],
                    "additionalProperties": False,
                },
            ],
            "examples": ["Your parcel arrives today."],
        }
    ),
]
"""Text, ``{text, voice}`` or ``{prompt}``."""


def _number_in_query(text: str) -> str:
    """A plus sign that was not percent-encoded arrives as a space: take it as meant."""
    return "+" + text[1:] if text.startswith(" ") else text


NumberFilter = Annotated[str, AfterValidator(_number_in_query), Field(min_length=2, max_length=64)]


def _moment(text: str) -> float:
    spelled = re.sub(r" (?=\d\d:\d\d$)", "+", text)
    try:
        if not text.isascii():
            raise ValueError
        moment = datetime.fromisoformat(spelled)
        if moment.tzinfo is None:
            raise ValueError
        return moment.timestamp()
    except (ValueError, OverflowError):
        raise PydanticCustomError(
            "moment", "a time in RFC 3339 with a zone, e.g. 2026-03-08T12:00:00Z"
        ) from None


def _read_moment(given: object) -> float:
    return _moment(given if isinstance(given, str) else "")


Moment = Annotated[
    float,
    BeforeValidator(_read_moment),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-03-08T12:00:00Z"]}),
]
"""Epoch seconds, given as RFC 3339."""


class PageQuery(Strict):
    """Which page of a list."""

    limit: QueryInt = Field(default=20, ge=1, le=100, description="Results on a page.")
    cursor: CursorText | None = Field(default=None, description="`cursor` of the page before.")


class Nothing(Strict):
    """No fields: the body may be left out."""
