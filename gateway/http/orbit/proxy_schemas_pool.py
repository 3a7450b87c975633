"""Requests about the pool, its forecast and the service's settings."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from gateway.http.orbit.fields import Dialable, Url
from gateway.http.orbit.number_schemas import Capabilities
from gateway.http.orbit.proxy_fields import (
    DAY_S,
    AnnouncedOrKept,
    GeoWord,
    Notice,
    NumbersWord,
    PinLength,
    PinModeWord,
    QueryFactor,
    UseWord,
)
from gateway.http.orbit.proxy_schemas import Terms
from gateway.http.schema import QueryInt, Strict

CarrierName = Annotated[str, Field(pattern="^[a-z0-9][a-z0-9_-]{0,39}$")]
NumberId = Annotated[str, Field(pattern="^[A-Za-z0-9_.-]{1,80}$")]


class AddPoolNumber(Strict):
    """One of your numbers that shall serve as a proxy: by its id, or by its digits."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"e164": "+12025551234", "use": "pairs"}]})

    number_id: NumberId | None = None
    e164: Dialable | None = None
    use: UseWord = Field(
        default="pairs",
        description="`pairs` lets in participants alone; `anyone` and `extensions` serve those models.",
    )
    reserved: bool = Field(default=False, description="Only taken when a session asks for it by name.")
    carrier: CarrierName | None = Field(default=None, description="The carrier its texts go over.")
    capabilities: Capabilities | None = Field(
        default=None, description="At most what the number can; all of it if left out."
    )

    @model_validator(mode="after")
    def _one_name(self) -> Self:
        if (self.number_id is None) == (self.e164 is None):
            raise PydanticCustomError("one_of", "either number_id or e164", {"field": "number_id"})
        return self


class ChangePoolNumber(Strict):
    """What shall be different; what is left out stays. `carrier` may be null."""

    use: UseWord | None = Field(default=None, description="Only while nothing is held on the number.")
    reserved: bool | None = None
    suspended: bool | None = Field(default=None, description="Not given to new sessions; live ones go on.")
    carrier: CarrierName | None = None
    capabilities: Capabilities | None = None


class ForecastQuery(Strict):
    """A supposed future; what is left out is as it is today."""

    sessions_factor: QueryFactor = Field(default=1.0, description="So many times today's new sessions.")
    ttl: QueryInt | None = Field(default=None, ge=1, le=365 * DAY_S, description="Seconds a session lives.")
    quarantine: QueryInt | None = Field(
        default=None, ge=0, le=90 * DAY_S, description="Seconds of quarantine after a session."
    )
    extra_numbers: QueryInt = Field(
        default=0, ge=0, le=100_000, description="Numbers more than there are, in every bucket."
    )


class DefaultTerms(Terms):
    """What holds in sessions that do not say otherwise."""

    numbers: NumbersWord | None = None
    announcement_a: AnnouncedOrKept | None = None
    announcement_b: AnnouncedOrKept | None = None
    pin_mode: PinModeWord | None = None
    pin_length: PinLength | None = None


_Attempts = Annotated[int, Field(ge=1, le=10_000)]


class CallerLadder(Strict):
    """The ladder for callers whom no session knows, or who withhold their number. Each rung is optional,
    and they are climbed in this order: intercept, PIN, callback, fallback, announcement, refusal."""

    intercept_url: Url | None = Field(default=None, description="Asked first; may block.")
    ask_pin: bool | None = Field(default=None, description="Ask for a PIN, whether or not one would help.")
    callback_url: Url | None = Field(default=None, description="Your application; may open a session.")
    fallback: Dialable | None = Field(default=None, description="The number that is dialled instead.")
    announcement: AnnouncedOrKept | None = Field(default=None, description="What is said at the end.")
    fail_open: bool | None = Field(
        default=None, description="Whether a hook that cannot be reached lets the call go on."
    )
    hook_timeout: Annotated[float, Field(ge=0.5, le=10.0)] | None = None
    pin_attempts_per_caller: Annotated[int, Field(ge=1, le=100)] | None = None
    pin_attempts_per_number: _Attempts | None = None
    pin_window: Annotated[int, Field(ge=60, le=DAY_S)] | None = None
    calls_per_caller: _Attempts | None = None


def _printable(text: str) -> str:
    if not text.replace("\n", " ").isprintable():
        raise PydanticCustomError("not_printable", "printable characters and line breaks")
    return text


Reply = Annotated[str, Field(max_length=480), AfterValidator(_printable)]


class ReplyTexts(Strict):
    """What people hear back who write STOP, HELP or START; an empty text answers nothing."""

    stop: Reply | None = None
    help: Reply | None = None
    start: Reply | None = None


class PutSettings(Strict):
    """All settings of your masking service; what is left out, or null, is as in a fresh installation."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "terms": {"ttl": 86_400, "quarantine": 604_800, "redaction": "mask"},
                    "geo": "country",
                    "unknown": {"ask_pin": True, "announcement": "This number is not in use."},
                }
            ]
        }
    )

    terms: DefaultTerms = Field(default_factory=DefaultTerms)
    geo: GeoWord | None = Field(
        default=None, description="What a session's wish for a place insists on when numbers run out."
    )
    unknown: CallerLadder = Field(default_factory=CallerLadder)
    answers: ReplyTexts = Field(default_factory=ReplyTexts)
    expiring_notice: Notice | None = Field(
        default=None, description="Seconds before its end at which a session is told to expire; 0 never."
    )
    keep_bodies: bool | None = Field(default=None, description="Keep texts after they were relayed.")
