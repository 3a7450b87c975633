"""Fields of the masking requests, each with its rule. Times are whole seconds."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from gateway.http.orbit.fields import NUMBER_MAX, PHONE, TEXT_MAX, CursorText, Spoken
from gateway.http.schema import OneLine, QueryInt, Strict
from proxy_pool.core.codec import LONGEST_NOTICE_S
from proxy_pool.core.party import AGENT

DAY_S: Final = 86_400
MEMBERS_MAX: Final = 50
_PARTY_PATTERN: Final = (
    r"^(\+[1-9][0-9]{6,14}|phone:[A-Za-z0-9][A-Za-z0-9_.-]{0,39}|agent:agt_[0-9A-HJKMNP-TV-Z]{26})$"
)

ChannelWord = Literal["voice", "sms"]
ModelWord = Literal["pair", "anyone", "extension", "group"]
NumbersWord = Literal["per_side", "shared"]
DirectionWord = Literal["both", "a_to_b", "b_to_a"]
OnExpiryWord = Literal["finish", "warn_then_end", "end_now"]
PinModeWord = Literal["off", "unknown", "always"]
StickyWord = Literal["prefer", "avoid"]
RedactionWord = Literal["off", "mask", "block", "flag"]
StatusWord = Literal["open", "in_progress", "closed"]
UseWord = Literal["pairs", "anyone", "extensions"]
GeoWord = Literal["area", "country", "any"]

Channels = Annotated[list[ChannelWord], Field(min_length=1, max_length=2)]


def _party(text: str) -> str:
    if not text.startswith((PHONE, AGENT)) and len(text) > NUMBER_MAX:
        raise PydanticCustomError("number_length", f"at most {NUMBER_MAX} characters")
    return text


PartyText = Annotated[
    OneLine,
    Field(
        min_length=1,
        max_length=64,
        json_schema_extra={"pattern": _PARTY_PATTERN, "examples": ["+14155552671", "phone:reception"]},
    ),
    AfterValidator(_party),
]
"""A number, ``phone:`` and a phone's name, or ``agent:`` and an agent's id. Who it is, and whether it may be,
is judged later."""

Country = Annotated[str, Field(pattern="^[A-Z]{2}$", examples=["US"])]
"""ISO 3166 alpha-2."""
Area = Annotated[str, Field(pattern="^[0-9]{1,6}$", examples=["415"])]
"""A national destination code."""
Extension = Annotated[str, Field(pattern="^[0-9]{2,8}$", examples=["204"])]
UniqueName = Annotated[OneLine, Field(min_length=1, max_length=100)]


def _hard_to_guess(pin: str) -> str:
    """Refuses the PINs that everybody tries first: one digit over and over, or digits in a row."""
    steps = {(int(after) - int(before)) % 10 for before, after in pairwise(pin)}
    if len(steps) == 1 and steps <= {0, 1, 9}:
        raise PydanticCustomError("weak_pin", "a PIN that is not one digit repeated or digits in a row")
    return pin


PinText = Annotated[str, Field(pattern="^[0-9]{4,10}$"), AfterValidator(_hard_to_guess)]
PinLength = Annotated[int, Field(ge=4, le=10)]


def _none_or(least: int) -> Callable[[int], int]:
    def check(seconds: int) -> int:
        if 0 < seconds < least:
            raise PydanticCustomError("too_few", f"0, or at least {least}")
        return seconds

    return check


Ttl = Annotated[int, Field(ge=0, le=90 * DAY_S), AfterValidator(_none_or(60))]
MaxLifetime = Annotated[int, Field(ge=60, le=365 * DAY_S)]
WarnSeconds = Annotated[int, Field(ge=5, le=300)]
CallTimeLimit = Annotated[int, Field(ge=10, le=14_400)]
RingTimeout = Annotated[int, Field(ge=5, le=120)]
Quarantine = Annotated[int, Field(ge=0, le=90 * DAY_S)]
Notice = Annotated[int, Field(ge=0, le=LONGEST_NOTICE_S), AfterValidator(_none_or(10))]
"""The bounds are those of ``proxy_pool.core.codec``."""


class Member(Strict):
    """One member of a group."""

    party: PartyText
    pin: PinText | None = None
    proxy_number: PartyText | None = None
    country: Country | None = None
    area: Area | None = None


def _as_member(given: object) -> object:
    """A bare string is the party."""
    return {"party": given} if isinstance(given, str) else given


_PARTY_SCHEMA: Final[dict[str, Any]] = {
    "type": "string",
    "minLength": 1,
    "maxLength": 64,
    "pattern": _PARTY_PATTERN,
}
MemberOrParty = Annotated[
    Member,
    BeforeValidator(_as_member),
    WithJsonSchema(
        {
            "oneOf": [
                _PARTY_SCHEMA,
                {
                    "type": "object",
                    "properties": {
                        "party": _PARTY_SCHEMA,
                        "pin": {"type": "string", "pattern": "^[0-9]{4,10}$"},
                        "proxy_number": {"type": "string", "pattern": r"^\+[1-9][0-9]{6,14}$"},
                        "country": {"type": "string", "pattern": "^[A-Z]{2}$"},
                        "area": {"type": "string", "pattern": "^[0-9]{1,6}$"},
                    },
                    "required": ["party"],
                    "additionalProperties": False,
                },
            ]
        }
    ),
]


class KeptSound(Spoken):
    """Text to speak, the name of a stored prompt, or the sound that is set already."""

    sound: Annotated[OneLine, Field(min_length=1, max_length=200)] | None = None


def _as_text(given: object) -> object:
    return {"text": given} if isinstance(given, str) else given


def _one_sound(kept: KeptSound) -> KeptSound:
    if sum(source is not None for source in (kept.text, kept.prompt, kept.sound)) != 1:
        raise PydanticCustomError("one_of", "one of a text, the name of a prompt, and the sound as shown")
    if kept.text is None and kept.voice is not None:
        raise PydanticCustomError("one_of", "a voice goes with a text", {"field": "voice"})
    return kept


def _object_of(name: str, longest: int, **more: Any) -> dict[str, Any]:
    properties = {name: {"type": "string", "minLength": 1, "maxLength": longest}, **more}
    return {"type": "object", "properties": properties, "required": [name], "additionalProperties": False}


AnnouncedOrKept = Annotated[
    KeptSound,
    BeforeValidator(_as_text),
    AfterValidator(_one_sound),
    WithJsonSchema(
        {
            "oneOf": [
                {"type": "string", "minLength": 1, "maxLength": TEXT_MAX},
                _object_of("text", TEXT_MAX, voice={"type": "string"}),
                _object_of("prompt", 80),
                _object_of("sound", 200),
            ]
        }
    ),
]
"""As ``Announced``, or ``{sound}`` exactly as the settings show it: it stays."""


class ProxyPageQuery(Strict):
    """Which page of a list."""

    limit: QueryInt = Field(default=25, ge=1, le=200, description="Results on a page.")
    cursor: CursorText | None = Field(default=None, description="`cursor` of the page before.")


def _phone_or_number(text: str) -> str:
    """A plus sign that was not percent-encoded arrives as a space: take it as meant."""
    return "+" + text[1:] if text.startswith(" ") else text


PartyFilter = Annotated[str, AfterValidator(_phone_or_number), Field(min_length=2, max_length=64)]


def _decimal(value: object) -> object:
    if not isinstance(value, str):
        return value
    whole, _, part = value.partition(".")
    if not (value.isascii() and whole.isdigit() and len(value) <= 15 and (not part or part.isdigit())):
        raise PydanticCustomError("float_parsing", "a number such as 1.5")
    return float(value)


QueryFactor = Annotated[float, BeforeValidator(_decimal), Field(ge=0.0, le=1000.0)]
