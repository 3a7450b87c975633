"""The carriers file: which HTTP carriers texts come from and go to, read from one TOML file.

``parse_carriers`` is pure: text in, a frozen ``CarrierPlan`` out, or ``InvalidInput`` whose ``field`` is the
key that is wrong (``carriers.main.auth_token``). The text of a secret is never part of an error. Like the
trunks file it holds secrets and belongs to its owner alone (mode 0600).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from gateway.webhooks.core.ssrf import Policy, check_url
from proxy_pool.core.relay import PHONES
from proxy_pool.wire.bandwidth import Bandwidth
from proxy_pool.wire.carrier import REPLAY_WINDOW_S, Account, Adapter, Key
from proxy_pool.wire.generic import Generic
from proxy_pool.wire.telnyx import Telnyx
from proxy_pool.wire.twilio import Twilio
from proxy_pool.wire.vonage import DIGESTS, Vonage
from telephony.errors import InvalidInput

ADAPTERS: Final[Mapping[str, Adapter]] = {
    adapter.kind: adapter for adapter in (Twilio(), Telnyx(), Bandwidth(), Vonage(), Generic())
}
INBOUND: Final = "/v1/proxy/inbound/"
RECEIPTS: Final = "/v1/proxy/receipts/"
MAX_CARRIERS: Final = 50
MAX_SECRETS: Final = 3
RESERVED: Final = frozenset({PHONES, "sip"})
"""Whoever speaks for these is believed to be a phone of ours, or a trunk."""
_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")


@dataclass(frozen=True, slots=True)
class Carrier:
    """One configured carrier. ``messages_per_second`` is the pace for each number of ours.

    ``allow_private`` lets its API be on this machine or a private network.
    """

    name: str
    adapter: Adapter
    account: Account
    messages_per_second: float = 1.0
    allow_private: bool = False


@dataclass(frozen=True, slots=True)
class CarrierPlan:
    """All carriers by name."""

    carriers: Mapping[str, Carrier] = field(default_factory=dict)

    def knows(self, name: str) -> bool:
        return name in self.carriers


def parse_carriers(text: str, public_url: str) -> CarrierPlan:
    """Read the file. ``public_url`` is our own address from outside: carriers get it for their receipts."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as failure:
        raise InvalidInput(f"the carriers file is not TOML: {failure}", field="carriers_file") from None
    given = tables.pop("carriers", {})
    if tables:
        raise _refusal(min(tables), "removed: there is no such key here")
    if not isinstance(given, dict) or len(given) > MAX_CARRIERS:
        raise _refusal("carriers", f"at most {MAX_CARRIERS} tables, each begun by [carriers.NAME]")
    return CarrierPlan({name: _carrier(name, table, public_url) for name, table in given.items()})


def _carrier(name: str, given: object, public_url: str) -> Carrier:
    where = f"carriers.{name}" if _NAME.fullmatch(name) else "carriers"
    if where == "carriers":
        raise _refusal(where, "named with lower-case letters, digits and -, at most 31")
    if name in RESERVED:
        raise _refusal(where, f"not called {' or '.join(sorted(RESERVED))}: these go through the switch")
    if not isinstance(given, dict):
        raise _refusal(where, "a table")
    table = _Table(where, given)
    adapter = ADAPTERS[table.choice("kind", tuple(ADAPTERS))]
    allow_private = table.flag("allow_private")
    account = Account(
        carrier=name,
        api_base=table.api_base(adapter.api_base, Policy(allow_private=allow_private)),
        values={key.name: table.values(key) for key in adapter.keys},
        receipts_url=f"{public_url}{RECEIPTS}{name}",
        replay_window_s=int(table.number("replay_window_s", REPLAY_WINDOW_S, 30, 86_400)),
    )
    pace = table.number("messages_per_second", 1.0, 0.01, 1_000.0)
    table.done()
    method = account.one("signature_method")
    if adapter.kind == "vonage" and method and method not in (*DIGESTS, "md5hash"):
        raise table.refuse("signature_method", "one of " + ", ".join((*DIGESTS, "md5hash")))
    if account.one("api_key_sid") and not account.one("api_key_secret"):
        raise table.refuse("api_key_secret", "given together with api_key_sid")
    return Carrier(name, adapter, account, pace, allow_private)


class _Table:
    """One carrier's table whose keys are taken one by one; a key nobody took is an error."""

    def __init__(self, where: str, values: Mapping[str, object]) -> None:
        self._where = where
        self._left = dict(values)

    def refuse(self, key: str, expected: str, value: object = None) -> InvalidInput:
        return _refusal(f"{self._where}.{key}", expected, value)

    def choice(self, key: str, options: tuple[str, ...]) -> str:
        value = self._left.pop(key, None)
        if not isinstance(value, str) or value not in options:
            raise self.refuse(key, "one of " + ", ".join(options), value)
        return value

    def flag(self, key: str) -> bool:
        value = self._left.pop(key, False)
        if not isinstance(value, bool):
            raise self.refuse(key, "true or false", value)
        return value

    def number(self, key: str, default: float, low: float, high: float) -> float:
        value = self._left.pop(key, default)
        if type(value) not in (int, float) or not isinstance(value, int | float) or not low <= value <= high:
            raise self.refuse(key, f"a number from {low:g} to {high:g}", value)
        return float(value)

    def values(self, key: Key) -> tuple[str, ...]:
        given = self._left.pop(key.name, None)
        if given is None and not key.required:
            return ()
        listed = given if isinstance(given, list) else [given]
        if not 0 < len(listed) <= (MAX_SECRETS if key.many else 1):
            raise self.refuse(key.name, f"1 to {MAX_SECRETS} of: {key.about}" if key.many else key.about)
        for value in listed:
            if not isinstance(value, str) or key.shape.fullmatch(value) is None:
                raise self.refuse(key.name, key.about, None if key.secret else value)
        return tuple(listed)

    def api_base(self, usual: str, policy: Policy) -> str:
        given = self._left.pop("api_base", usual or None)
        if not isinstance(given, str):
            raise self.refuse("api_base", "the address of the carrier's API, https://…")
        try:
            target = check_url(given, policy, f"{self._where}.api_base")
        except InvalidInput as error:
            hint = "" if policy.allow_private else ", or allow_private = true beside it"
            raise self.refuse("api_base", f"{error.expected}{hint}", given) from None
        if "?" in target.url:
            raise self.refuse("api_base", "an address without a query", given)
        return target.url.rstrip("/")

    def done(self) -> None:
        if self._left:
            raise self.refuse(min(self._left), "removed: there is no such key here")


def _refusal(where: str, expected: str, value: object = None) -> InvalidInput:
    shown = "" if value is None else f" (is {value!r})"
    return InvalidInput(
        f"carriers file: {where} must be {expected}{shown}", field=where, value=value, expected=expected
    )
