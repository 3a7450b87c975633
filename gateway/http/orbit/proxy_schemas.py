"""Requests about masking sessions, their interactions, and inbound texts and calls."""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from gateway.http.orbit.fields import Announced, Dialable, Metadata, Moment, Url
from gateway.http.orbit.proxy_fields import (
    MEMBERS_MAX,
    Area,
    CallTimeLimit,
    Channels,
    Country,
    DirectionWord,
    Extension,
    MaxLifetime,
    MemberOrParty,
    ModelWord,
    NumbersWord,
    OnExpiryWord,
    PartyFilter,
    PartyText,
    PinLength,
    PinModeWord,
    PinText,
    ProxyPageQuery,
    Quarantine,
    RedactionWord,
    RingTimeout,
    StickyWord,
    Ttl,
    UniqueName,
    WarnSeconds,
)
from gateway.http.schema import OneLine, Strict

TEXT_MAX: Final = 2000
"""Characters of an inbound text; ten parts of GSM-7 are 1530."""
MEDIA_MAX: Final = 10


class Terms(Strict):
    """What may be said of a session and of a service's defaults alike."""

    channels: Channels | None = Field(default=None, description="How the two reach each other.")
    ttl: Ttl | None = Field(
        default=None, description="Seconds after the last use until the session ends; 0 sets no such bound."
    )
    max_lifetime: MaxLifetime | None = Field(
        default=None, description="Seconds after its beginning until the session ends, used or not."
    )
    on_expiry: OnExpiryWord | None = Field(
        default=None, description="What becomes of a conversation when its session ends under it."
    )
    warn_seconds: WarnSeconds | None = Field(
        default=None, description="How long before its end a conversation hears a tone, where it does."
    )
    call_time_limit: CallTimeLimit | None = Field(
        default=None, description="Seconds of talk until a call is ended."
    )
    warn_before_limit: bool | None = Field(
        default=None, description="Whether the tone is heard before the call time limit too."
    )
    direction: DirectionWord | None = Field(default=None, description="Which side may begin.")
    record: bool | None = Field(default=None, description="Record calls, one channel a side.")
    ring_timeout: RingTimeout | None = Field(
        default=None, description="Seconds of ringing until an attempt ends."
    )
    quarantine: Quarantine | None = Field(
        default=None,
        description="Seconds after the session in which its numbers lead these people to nobody else.",
    )
    sticky: StickyWord | None = Field(
        default=None, description="Whether the same two people get the numbers they had before."
    )
    redaction: RedactionWord | None = Field(
        default=None, description="What becomes of texts that hold numbers, addresses or links."
    )


class SessionPin(Strict):
    """PINs let another phone in as the participant. Those not given are made."""

    mode: PinModeWord = Field(default="unknown", description="Who is asked for it.")
    length: PinLength | None = None
    a: PinText | None = Field(default=None, description="Party A's.")
    b: PinText | None = Field(default=None, description="Party B's.")
    generate: bool = Field(default=True, description="false: every PIN must be given.")

    @model_validator(mode="after")
    def _of_one_piece(self) -> Self:
        given = [pin for pin in (self.a, self.b) if pin is not None]
        if self.mode == "off" and given:
            raise PydanticCustomError("pin_off", "no PIN where the mode is off", {"field": "mode"})
        if len({len(pin) for pin in given} | ({self.length} if given and self.length else set())) > 1:
            raise PydanticCustomError("pin_length", "PINs of one length", {"field": "length"})
        if len(set(given)) < len(given):
            raise PydanticCustomError("same_pin", "different PINs", {"field": "b"})
        return self


class People(Terms):
    """Who takes part, and what they wish for; and the terms that only a session has."""

    party_b: PartyText | None = Field(
        default=None,
        description="The other one of a `pair`. In a session for `anyone`, whom party A reaches, if anybody.",
    )
    members: Annotated[list[MemberOrParty], Field(min_length=1, max_length=MEMBERS_MAX)] | None = Field(
        default=None, description="The members of a `group`: parties, or `{party, pin, proxy_number, …}`."
    )
    expires_at: Moment | None = Field(default=None, description="When the session ends, whatever happens.")
    pin: SessionPin | None = None
    announcement_a: Announced | None = Field(
        default=None, description="What party A hears before being joined: a text, or `{prompt}`."
    )
    announcement_b: Announced | None = Field(default=None, description="What party B hears likewise.")
    proxy_number_a: Dialable | None = Field(
        default=None, description="The proxy number that party A shall dial and see; may be a reserved one."
    )
    proxy_number_b: Dialable | None = None
    country: Country | None = Field(default=None, description="Where proxy numbers should be, for all.")
    area: Area | None = Field(default=None, description="National destination code, for all.")
    country_a: Country | None = None
    area_a: Area | None = None
    country_b: Country | None = None
    area_b: Area | None = None
    webhook_url: Url | None = Field(default=None, description="Receives this session's events.")

    @model_validator(mode="after")
    def _people_fit_together(self) -> Self:
        if self.members is not None:
            pins = [member.pin for member in self.members if member.pin is not None]
            if len(set(pins)) < len(pins):
                raise PydanticCustomError("same_pin", "different PINs", {"field": "members"})
            if self.party_b is not None:
                raise PydanticCustomError("one_of", "members, or party_b", {"field": "party_b"})
        for area, country in (("area", "country"), ("area_a", "country_a"), ("area_b", "country_b")):
            placed = getattr(self, country) or self.country
            if getattr(self, area) is not None and placed is None:
                raise PydanticCustomError("country_missing", "an area goes with its country", {"field": area})
        return self


class OpenSession(People):
    """A session between people. A `pair` needs `party_a` and `party_b`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "party_a": "+14155552671",
                    "party_b": "+14155552672",
                    "expires_at": "2026-03-09T12:00:00Z",
                    "channels": ["voice", "sms"],
                }
            ]
        }
    )

    party_a: PartyText = Field(description="A number in E.164, or `phone:` and a phone's name.")
    model: ModelWord = Field(
        default="pair",
        description="`pair`: two people reach each other. `anyone`: whoever dials the number reaches "
        "party A. "
        "`extension`: whoever dials the number and the extension does. `group`: each member reaches party A.",
    )
    numbers: NumbersWord | None = Field(
        default=None, description="A proxy number for each side, or one for all."
    )
    extension: Extension | None = Field(
        default=None, description="For the model `extension`; made where it is not given."
    )
    proxy_number: Dialable | None = Field(default=None, description="One proxy number for all.")
    unique_name: UniqueName | None = Field(
        default=None, description="A name of yours; no two open sessions have the same."
    )
    metadata: Metadata = Field(default_factory=dict, description="Up to 50 pairs of your own.")

    @model_validator(mode="before")
    @classmethod
    def _named_people(cls, given: object) -> object:
        """Names everybody who is missing at once."""
        if isinstance(given, dict):
            others = {"pair": ["party_b"], "group": ["members"]}.get(str(given.get("model", "pair")), [])
            missing = [name for name in ("party_a", *others) if given.get(name) is None]
            if missing:
                context = {"field": missing[0], "names": " and ".join(missing)}
                raise PydanticCustomError("missing", "a value", context)
        return given

    @model_validator(mode="after")
    def _fits_its_model(self) -> Self:
        def refuse(field: str, rule: str) -> PydanticCustomError:
            return PydanticCustomError("fits_model", rule, {"field": field})

        if self.members is not None and self.model != "group":
            raise refuse("members", "only a group has members")
        if self.party_b is not None and self.model in ("group", "extension"):
            raise refuse("party_b", f"a session of model {self.model} has no party_b")
        if self.extension is not None and self.model != "extension":
            raise refuse("extension", "only a session of model extension has one")
        if self.proxy_number is not None:
            if self.proxy_number_a is not None or self.proxy_number_b is not None:
                raise refuse("proxy_number", "one number for all, or a number for each side")
            if self.numbers == "per_side" and self.model == "pair":
                raise refuse("proxy_number", "proxy_number_a and proxy_number_b, or numbers shared")
        elif self.numbers == "shared" and self.proxy_number_a != self.proxy_number_b:
            raise refuse("proxy_number_a", "proxy_number, as the number is shared")
        return self


class ChangeSession(People):
    """What shall be different about an open session. What is left out, or null, stays; but `expires_at`,
    `announcement_a` and `announcement_b` are taken away by null."""

    party_a: PartyText | None = Field(default=None, description="Another party A. Party B and members stay.")
    metadata: Metadata | None = Field(default=None, description="Replaces what was there.")

    @model_validator(mode="after")
    def _wishes_have_people(self) -> Self:
        newcomers = {"a": self.party_a, "b": self.party_b}
        for side, party in newcomers.items():
            for name in (f"proxy_number_{side}", f"country_{side}", f"area_{side}"):
                if getattr(self, name) is not None and party is None:
                    raise PydanticCustomError("nobody", f"only with party_{side}", {"field": name})
            if self.pin is not None and getattr(self.pin, side) is not None and party is None:
                raise PydanticCustomError("nobody", f"only with party_{side}", {"field": f"pin.{side}"})
        return self


class ListSessions(ProxyPageQuery):
    """Which sessions."""

    status: Literal["open", "in_progress", "closed", "active"] | None = Field(
        default=None, description="`active` is open or in progress."
    )
    unique_name: UniqueName | None = Field(default=None, description="The session of this name.")
    party: PartyFilter | None = Field(
        default=None, description="Sessions in which this person takes part; needs `pii:read`."
    )


class InboundMedia(Strict):
    """An attachment, to be fetched at its URL."""

    url: Url
    content_type: Annotated[OneLine, Field(max_length=100)] = ""


class Inbound(Strict):
    """A text or a call that reached one of your proxy numbers elsewhere."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "sms",
                    "from": "+14155552671",
                    "to": "+12025551234",
                    "body": "I am at the door.",
                    "message_id": "SM0123",
                },
                {"type": "call", "from": "+14155552671", "to": "+12025551234"},
            ]
        }
    )

    type: Literal["sms", "call"] = Field(description="`sms`: relay it. `call`: say whom it would reach.")
    from_: Annotated[OneLine, Field(min_length=1, max_length=64)] = Field(
        alias="from", description="Who texts or calls, as the carrier gave it."
    )
    to: Dialable = Field(description="Your number that was reached.")
    body: Annotated[str, Field(max_length=TEXT_MAX)] | None = Field(default=None, description="Of a text.")
    message_id: Annotated[OneLine, Field(min_length=1, max_length=128)] | None = Field(
        default=None, description="Of a text: the same for a repeated delivery, which has no second effect."
    )
    media: Annotated[list[InboundMedia], Field(max_length=MEDIA_MAX)] = Field(
        default_factory=list, description="Of a text: its attachments."
    )

    @model_validator(mode="after")
    def _has_what_its_type_needs(self) -> Self:
        if self.type == "call":
            for name in ("body", "message_id"):
                if getattr(self, name) is not None:
                    raise PydanticCustomError("only_texts", "nothing: only texts have one", {"field": name})
            if self.media:
                raise PydanticCustomError("only_texts", "nothing: only texts have it", {"field": "media"})
            return self
        missing = [name for name in ("body", "message_id") if getattr(self, name) is None]
        if missing:
            context = {"field": missing[0], "names": " and ".join(missing)}
            raise PydanticCustomError("missing", "a value", context)
        return self
