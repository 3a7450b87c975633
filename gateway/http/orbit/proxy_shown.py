"""Answers about masking: their shapes, and how stored things are put into them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from gateway.auth import Caller
from gateway.http.orbit.proxy_fields import (
    ChannelWord,
    DirectionWord,
    GeoWord,
    ModelWord,
    NumbersWord,
    OnExpiryWord,
    PinModeWord,
    RedactionWord,
    StatusWord,
    StickyWord,
    UseWord,
)
from gateway.http.schema import Shown
from proxy_pool.core.codec import Json
from proxy_pool.core.forecast import Bucket, BucketForecast, Forecast, NumberLoad, PoolView
from proxy_pool.core.number import PoolNumber
from proxy_pool.core.session import Session
from proxy_pool.core.views import session_view


class DefaultTermsShown(Shown):
    """Terms as they hold."""

    channels: list[ChannelWord]
    numbers: NumbersWord
    ttl: int
    max_lifetime: int
    on_expiry: OnExpiryWord
    warn_seconds: int
    call_time_limit: int
    warn_before_limit: bool
    direction: DirectionWord
    record: bool
    ring_timeout: int
    pin_mode: PinModeWord
    pin_length: int
    quarantine: int
    sticky: StickyWord
    redaction: RedactionWord


class TermsShown(DefaultTermsShown):
    """A session's terms. `expires_at` is the end that was asked for, if one was."""

    announcement_a: str
    announcement_b: str
    expires_at: str | None


class MemberShown(Shown):
    """A member of a group. `pin` is there when the session was just opened, for keys with `pii:read`."""

    seat: int
    party: str
    proxy_number: str
    has_pin: bool
    pin: str | None


class SessionShown(Shown):
    """A masking session. People's numbers are masked for keys without the scope `pii:read`; PINs are shown
    once, in the answer that opened the session, to keys that have it.

    `expires_at` is when it ends if nothing more happens. Party A dials and sees `proxy_number_a`, party B
    `proxy_number_b`; `proxy_number` is party A's."""

    id: str
    model: ModelWord
    status: StatusWord
    party_a: str | None
    party_b: str | None
    members: list[MemberShown]
    proxy_number: str | None
    proxy_number_a: str | None
    proxy_number_b: str | None
    channels: list[ChannelWord]
    extension: str | None
    has_pin_a: bool
    has_pin_b: bool
    pin_a: str | None
    pin_b: str | None
    unique_name: str | None
    metadata: dict[str, str]
    terms: TermsShown
    interactions: int
    version: int
    created_at: str
    expires_at: str
    last_interaction_at: str | None
    closed_at: str | None
    close_reason: Literal["api", "expired"] | None
    quarantine_until: str | None


class InteractionShown(Shown):
    """A call or a text of a session. `from` and `to` say who it was: `party_a`, `party_b`, `member_2`,
    `visitor`."""

    id: str
    session_id: str
    kind: Literal["voice", "message"]
    from_: str = Field(alias="from")
    from_seat: int
    to: str
    to_seat: int
    proxy_number: str
    call_id: str | None
    message_id: str | None
    status: str
    outcome: str
    created_at: str
    answered_at: str | None
    ended_at: str | None
    duration_seconds: int | None
    segments: int
    flags: list[str]
    body: str | None
    media: int
    sequence: int


class BucketShown(Shown):
    """Numbers that can stand in for one another. When `busiest`, the most that one participant holds here,
    reaches `usable`, that participant is full; `utilisation` is how near that is."""

    use: UseWord
    country: str
    area: str
    numbers: int
    usable: int
    live: int
    quarantined: int
    busiest: int
    headroom: int
    utilisation: float | None


class PoolNumberShown(Shown):
    """One of your numbers that serves as a proxy."""

    id: str
    e164: str
    country: str
    area: str
    capabilities: list[ChannelWord]
    use: UseWord
    reserved: bool
    suspended: bool
    carrier: str | None


class LoadedNumberShown(PoolNumberShown):
    """A pool number, and how many participants are held on it."""

    live: int
    quarantined: int


class PoolShown(Shown):
    """The pool as it stands."""

    buckets: list[BucketShown]
    numbers: list[LoadedNumberShown]


class SupposedShown(Shown):
    """The future that was supposed."""

    sessions_factor: float
    ttl: int | None
    quarantine: int | None
    extra_numbers: int


class BucketForecastShown(Shown):
    """What is to be expected of a bucket. `needed_…`: how many usable numbers each rule asks for."""

    bucket: BucketShown
    arrivals_per_hour: float
    busiest: int
    needed_per_side: int
    needed_shared: int
    needed_by_load: int
    shortfall: int
    exhausted_in_seconds: float | None


class ForecastShown(Shown):
    """How full the pool will be, and when."""

    supposed: SupposedShown
    quarantine: int
    mean_lifetime_seconds: float
    buckets: list[BucketForecastShown]


class SoundShown(Shown):
    """What is played: a stored prompt by its name, or a sound of ours; give it back as it is to keep it."""

    prompt: str | None = None
    sound: str | None = None


class SettingsTermsShown(DefaultTermsShown):
    """The defaults of your sessions."""

    announcement_a: SoundShown | None
    announcement_b: SoundShown | None


class LadderShown(Shown):
    """What happens to callers whom no session knows."""

    intercept_url: str | None
    ask_pin: bool
    callback_url: str | None
    fallback: str | None
    announcement: SoundShown | None
    fail_open: bool
    hook_timeout: float
    pin_attempts_per_caller: int
    pin_attempts_per_number: int
    pin_window: int
    calls_per_caller: int


class ReplyTextsShown(Shown):
    """What people hear back who write STOP, HELP or START."""

    stop: str
    help: str
    start: str


class SettingsShown(Shown):
    """All settings of your masking service, in the form that replaces them."""

    terms: SettingsTermsShown
    geo: GeoWord
    unknown: LadderShown
    answers: ReplyTextsShown
    expiring_notice: int
    keep_bodies: bool


class InboundShown(Shown):
    """What became of it: for a text `message_id` and `status`; for a call what would be done with it."""

    message_id: str | None = None
    status: str | None = None
    action: Literal["connect", "reject"] | None = None
    reason: str | None = None
    session_id: str | None = None
    to: str | None = None
    shown_number: str | None = None
    ring_timeout: int | None = None
    call_time_limit: int | None = None
    record: bool | None = None


def shown_session(caller: Caller, session: Session, *, just_opened: bool = False) -> dict[str, Json]:
    """A session as this caller may see it; its PINs only where it was just opened."""
    view = session_view(session, whole=caller.sees_numbers)
    if just_opened and caller.sees_numbers:
        return view
    members = view["members"]
    assert isinstance(members, list)
    bare = [{**member, "pin": None} for member in members if isinstance(member, dict)]
    return view | {"pin_a": None, "pin_b": None, "members": [*bare]}


def shown_pool(pool: PoolView) -> dict[str, Json]:
    return {
        "buckets": [_bucket(bucket) for bucket in pool.buckets],
        "numbers": [_loaded(load) for load in pool.numbers],
    }


def shown_pool_number(number: PoolNumber) -> dict[str, Json]:
    """A proxy number is nobody's secret: whoever may see the pool sees it whole."""
    return {
        "id": number.id,
        "e164": number.number.reveal(),
        "country": number.country,
        "area": number.area,
        "capabilities": [channel.value for channel in sorted(number.capabilities)],
        "use": number.use.value,
        "reserved": number.reserved,
        "suspended": number.suspended,
        "carrier": number.carrier or None,
    }


def shown_forecast(forecast: Forecast) -> dict[str, Json]:
    supposed = forecast.supposed
    return {
        "supposed": {
            "sessions_factor": supposed.sessions_factor,
            "ttl": supposed.ttl_s,
            "quarantine": supposed.quarantine_s,
            "extra_numbers": supposed.extra_numbers,
        },
        "quarantine": forecast.quarantine_s,
        "mean_lifetime_seconds": forecast.mean_lifetime_s,
        "buckets": [_expected(bucket) for bucket in forecast.buckets],
    }


def _loaded(load: NumberLoad) -> Json:
    return shown_pool_number(load.number) | {"live": load.live, "quarantined": load.quarantined}


def _bucket(bucket: Bucket) -> dict[str, Json]:
    return {
        "use": bucket.use.value,
        "country": bucket.country,
        "area": bucket.area,
        "numbers": bucket.numbers,
        "usable": bucket.usable,
        "live": bucket.live,
        "quarantined": bucket.quarantined,
        "busiest": bucket.busiest,
        "headroom": bucket.headroom,
        "utilisation": round(bucket.busiest / bucket.usable, 4) if bucket.usable else None,
    }


def _expected(told: BucketForecast) -> Json:
    return {
        "bucket": _bucket(told.bucket),
        "arrivals_per_hour": told.arrivals_per_hour,
        "busiest": told.busiest,
        "needed_per_side": told.needed_per_side,
        "needed_shared": told.needed_shared,
        "needed_by_load": told.needed_by_load,
        "shortfall": told.shortfall,
        "exhausted_in_seconds": told.exhausted_in_s,
    }
