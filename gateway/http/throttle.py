"""Which limit a request meets, and the headers that tell where its key stands."""

from __future__ import annotations

from typing import Final

from gateway.http.exchange import Exchange
from gateway.http.face import Face
from gateway.http.limits import Rate
from gateway.http.operation import Bucket
from gateway.policy.attempt import CallLimits, Pace
from telephony.errors import TooMany

STRANGERS_PER_MINUTE: Final = 60
"""Requests without a valid key that one address may make before it hears 429 instead of 401."""
GUESTS_PER_MINUTE: Final = 30
"""Requests of guests, who need no key, from one address."""


async def admit(face: Face, exchange: Exchange, bucket: Bucket) -> None:
    """Count the request against its key's limit; raises TooMany. The headers go out either way."""
    caller = exchange.caller
    if caller is None or bucket == "none":
        return
    limit = face.settings.api_rate_per_minute
    if bucket == "calls.create":
        limit = (await face.limits.of(caller.tenant)).calls_per_minute
    rate = await face.rates.take(f"{bucket}:{caller.key_id}", limit)
    _tell(exchange, rate)
    if not rate.allowed:
        raise _refused(rate)


async def pace_of(face: Face, limits: CallLimits, key_id: str) -> Pace:
    """Where a key stands with placing calls, without counting."""
    rate = await face.rates.peek(f"calls.create:{key_id}", limits.calls_per_minute)
    return Pace(rate.allowed, rate.limit, rate.reset_s)


async def admit_stranger(face: Face, exchange: Exchange) -> None:
    """Count a request without a valid key against its address; raises TooMany."""
    rate = await face.rates.take(f"stranger:{exchange.address}", STRANGERS_PER_MINUTE)
    if not rate.allowed:
        _tell(exchange, rate)
        raise _refused(rate)


async def admit_guest(face: Face, exchange: Exchange) -> None:
    """Count a guest's request against its address; raises TooMany. The headers go out either way."""
    rate = await face.rates.take(f"guests:{exchange.address}", GUESTS_PER_MINUTE)
    _tell(exchange, rate)
    if not rate.allowed:
        raise _refused(rate)


def _refused(rate: Rate) -> TooMany:
    return TooMany(
        f"more than {rate.limit} requests a minute",
        retry_after_s=rate.reset_s,
        limit=rate.limit,
        window="minute",
    )


def _tell(exchange: Exchange, rate: Rate) -> None:
    reset = int(exchange.at.timestamp()) + rate.reset_s
    exchange.extra.append((b"x-ratelimit-limit", b"%d" % rate.limit))
    exchange.extra.append((b"x-ratelimit-remaining", b"%d" % rate.remaining))
    exchange.extra.append((b"x-ratelimit-reset", b"%d" % reset))
