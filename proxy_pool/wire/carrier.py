"""What a carrier's HTTP adapter is: verify, parse, answer, and the way out. Pure: bytes in, values out.

An adapter never trusts what it reads. ``verify`` comes first and raises NotAuthenticated and nothing else;
``parse`` is called with what was verified and raises MalformedRequest and nothing else. What it does not
know is not an error: new fields appear without notice (twilio.com/docs/usage/webhooks/webhooks-security), so
unknown fields stay out, and unknown words come back as ``Ignored`` for the caller to count.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from proxy_pool.core.text import InboundText, OutboundText, Receipt

REPLAY_WINDOW_S: Final = 300
"""How far a signed time may be from ours, either way (Standard Webhooks 1.0.0); an account may say else."""


@dataclass(frozen=True, slots=True)
class RawRequest:
    """A request as it came. ``url`` is our public address of it, without the query, made from configuration.

    ``headers`` have lower-case names; one that came more than once is left out. ``query`` is undecoded.
    """

    method: str
    url: str
    query: str = field(repr=False, default="")
    headers: Mapping[str, str] = field(repr=False, default_factory=dict)
    body: bytes = field(repr=False, default=b"")

    @property
    def full_url(self) -> str:
        """The address with its query, as the carrier called it."""
        return f"{self.url}?{self.query}" if self.query else self.url


@dataclass(frozen=True, slots=True)
class Key:
    """One thing that an account needs, by its name in the configuration. ``about`` says what it is.

    ``many`` allows several at once, so that a secret can be changed while both are in use.
    """

    name: str
    about: str
    required: bool = True
    many: bool = False
    secret: bool = True
    shape: re.Pattern[str] = re.compile(r"[!-~]{1,512}")


@dataclass(frozen=True, slots=True)
class Account:
    """What one configured carrier and we know of each other.

    ``api_base`` is where its API is, ``receipts_url`` our public address for its receipts.
    """

    carrier: str
    api_base: str
    values: Mapping[str, tuple[str, ...]] = field(repr=False)
    receipts_url: str = ""
    replay_window_s: int = REPLAY_WINDOW_S

    def one(self, name: str) -> str:
        """The value of a key, the first where there are several; empty where there is none."""
        return next(iter(self.values.get(name, ())), "")

    def all(self, name: str) -> tuple[str, ...]:
        return self.values.get(name, ())


@dataclass(frozen=True, slots=True)
class Ignored:
    """Something well signed and readable that means nothing to us. ``reason`` is one of ``REASONS``."""

    reason: str


REASONS: Final = ("event", "status", "kind", "destination", "media")
"""An unknown event, a status word, a kind of text, a destination that is no number, unusable media."""

Told = InboundText | Receipt | Ignored


@dataclass(frozen=True, slots=True)
class HookAnswer:
    """What the carrier wants to hear when we have stored what it told."""

    status: int = 204
    content_type: str = ""
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request to the carrier's API. The address may hold an account's name, the rest its secrets."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Sent:
    """The carrier has taken the text; receipts name ``provider_id``. ``segments`` where it tells them."""

    provider_id: str
    segments: int | None = None


@dataclass(frozen=True, slots=True)
class Throttled:
    """Too fast: nothing was taken; come back in so many seconds."""

    retry_after_s: float


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing was taken. ``permanent``: it would be refused again. ``code`` is the carrier's word."""

    code: str
    permanent: bool


@dataclass(frozen=True, slots=True)
class Unclear:
    """The text may or may not have been taken: sending it again could deliver it twice."""

    code: str


Outcome = Sent | Throttled | Refused | Unclear


class Adapter(Protocol):
    """One carrier's way of speaking. Has no state: one instance serves every account."""

    @property
    def kind(self) -> str: ...

    @property
    def api_base(self) -> str:
        """Where the carrier's own API is; empty where there is no such place."""
        ...

    @property
    def keys(self) -> tuple[Key, ...]: ...

    @property
    def carries_media(self) -> bool: ...

    def verify(self, request: RawRequest, account: Account, now: float) -> None: ...

    def parse(self, request: RawRequest, carrier: str) -> tuple[Told, ...]: ...

    def answer(self) -> HookAnswer: ...

    def encode_send(self, text: OutboundText, account: Account) -> HttpRequest: ...

    def decode_sent(self, status: int, headers: Mapping[str, str], body: bytes) -> Outcome:
        """``headers`` have lower-case names. Never raises: an unreadable answer is an outcome too."""
        ...

    def media_headers(self, url: str, account: Account) -> Mapping[str, str]:
        """What an attachment at this address is fetched with: the account's proof at its own API alone."""
        ...
