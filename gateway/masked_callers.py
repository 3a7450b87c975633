"""Who is calling a proxy number, as far as the switch can say, and how often they may try.

A caller from a carrier is the number in From: ``+14155550101``, ``0014155550101``, or the bare international
digits ``14155550101`` where these are a number of the plan of some country. Anything else (withheld,
letters, a national number) is an unknown caller: better a question too much than the wrong person.
A phone of ours is known by its line, whatever it writes into From.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, TypeVar

from dialplan.core.routing import Offered
from gateway.http.limits import Rates
from gateway.policy.destination import describe
from proxy_pool.core.party import PhoneParty, key_of
from proxy_pool.core.settings import UnknownCallers
from telephony.errors import InvalidInput
from telephony.ids import TenantId
from telephony.numbers import E164

FROM_PHONE: Final = "from-phone"
_LINE = re.compile(r"[A-Za-z0-9_-]{1,79}")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Caller:
    """``key`` is what a session knows this caller by, empty for somebody who could be anybody."""

    key: str = field(default="", repr=False)
    number: E164 | None = None

    @property
    def masked(self) -> str:
        """For eyes that must not see a whole number."""
        return self.number.masked if self.number is not None else self.key


UNKNOWN: Final = Caller()


def caller_of(offered: Offered) -> Caller:
    """Who calls. Never raises: what cannot be read is nobody."""
    if offered.door == FROM_PHONE:
        known = _LINE.fullmatch(offered.line) is not None
        return Caller(key_of(PhoneParty(offered.line))) if known else UNKNOWN
    number = international(offered.caller)
    return UNKNOWN if number is None else Caller(key_of(number), number)


def international(text: str) -> E164 | None:
    """The number that these characters certainly are, or None.

    >>> international("0014155550101") == international("+14155550101") == international("14155550101")
    True
    >>> international("anonymous") is None
    True
    """
    try:
        if text.startswith("+"):
            return E164(text)
        if text.startswith("00"):
            return E164("+" + text[2:])
        number = E164("+" + text)
    except InvalidInput:
        return None
    return number if describe(number.reveal()).valid else None


@dataclass(frozen=True, slots=True)
class Attempter:
    """Who tries, where. All callers without a number are one."""

    tenant: TenantId
    proxy: E164
    caller: Caller


class AttemptLimits:
    """How often an unknown caller may call a proxy number, and guess PINs and extensions there.

    Only wrong guesses count, but each from the moment it is made: many at once gain nothing. Names are
    hashed with ``secret``: no number stands in the counters' store.
    """

    def __init__(self, rates: Rates, secret: bytes) -> None:
        self._rates = rates
        self._secret = hashlib.sha256(secret).digest()
        self._guessing: Counter[str] = Counter()

    async def may_call(self, who: Attempter, unknown: UnknownCallers) -> bool:
        """Count a call of somebody unknown; whether it is one too many."""
        name = self._name("call", who, who.caller.key)
        rate = await self._rates.take(name, unknown.calls_per_caller, unknown.pin_window_s)
        return rate.allowed

    async def guess(
        self, who: Attempter, unknown: UnknownCallers, look: Callable[[], Awaitable[T | None]]
    ) -> T | None:
        """What the look-up finds; None where it finds nothing, and where it may not even look."""
        limits = {
            self._name("guess", who, who.caller.key): unknown.pin_attempts_per_caller,
            self._name("guesses", who, ""): unknown.pin_attempts_per_number,
        }
        window = unknown.pin_window_s
        self._guessing.update(limits.keys())
        try:
            for name, limit in limits.items():
                left = (await self._rates.peek(name, limit, window)).remaining
                if self._guessing[name] > left:
                    return None
            found = await look()
            if found is None:
                for name, limit in limits.items():
                    await self._rates.take(name, limit, window)
            return found
        finally:
            self._guessing.subtract(limits.keys())
            for name in limits:
                if self._guessing[name] <= 0:
                    del self._guessing[name]

    def _name(self, kind: str, who: Attempter, key: str) -> str:
        text = f"{who.tenant}|{who.proxy.reveal()}|{key}".encode()
        digest = hashlib.blake2b(text, key=self._secret, digest_size=12).hexdigest()
        return f"masking-{kind}:{digest}"
