"""What a simulated carrier says and hears, in words that all five kinds share.

The kinds themselves are written from the carriers' documents, apart from the product's own adapters, so
that a mistake in one is not repeated in the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from proxy_pool.core.text import ReceiptState


@dataclass(frozen=True, slots=True)
class PartOf:
    """Which part of a long text; ``number`` counts from 1."""

    reference: int
    total: int
    number: int


@dataclass(frozen=True, slots=True)
class Utterance:
    """A text that somebody sends to a number of ours. ``media`` are (address, type) pairs."""

    id: str
    sender: str = field(repr=False)
    to: str = field(repr=False)
    body: str = field(repr=False)
    media: tuple[tuple[str, str], ...] = ()
    opt_out: str = ""
    part: PartOf | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a text that the carrier took."""

    id: str
    sender: str = field(repr=False)
    to: str = field(repr=False)
    state: ReceiptState
    error: str = ""
    reference: str = ""


@dataclass(frozen=True, slots=True)
class Moment:
    """When and how a callback is signed: its public address, epoch seconds, a nonce, GET or POST."""

    url: str
    now: float
    nonce: str
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class Callback:
    """A signed request, ready to be sent. ``query`` is encoded."""

    method: str
    headers: Mapping[str, str]
    body: bytes = b""
    query: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """A text that the gateway asks to be sent. ``reference`` is its own id, where it gives one."""

    sender: str = field(repr=False)
    to: str = field(repr=False)
    body: str = field(repr=False)
    media: tuple[str, ...] = ()
    reference: str = ""
    receipts_url: str = ""


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """A request to the carrier's API. Header names are in lower case."""

    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class ApiAnswer:
    """What the API answers."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": "application/json"})


class Denied(Exception):
    """The API refuses a request: wrong credentials, or something that cannot be sent."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code


class Speech(Protocol):
    """One carrier's language, with the credentials of one trial account."""

    @property
    def kind(self) -> str: ...

    @property
    def keys(self) -> Mapping[str, str]:
        """The account as the gateway's carriers file names it."""
        ...

    @property
    def splits(self) -> bool:
        """Whether this carrier hands on the parts of long texts one by one."""
        ...

    def new_id(self, run: int, count: int) -> str: ...

    def says(self, text: Utterance, at: Moment) -> Callback: ...

    def reports(self, report: Report, at: Moment) -> Callback: ...

    def reads(self, request: ApiRequest) -> Asked:
        """Raises Denied."""
        ...

    def takes(self, message_id: str, asked: Asked) -> ApiAnswer: ...

    def throttles(self, seconds: int) -> ApiAnswer: ...

    def denies(self, status: int, code: str) -> ApiAnswer: ...


def forged(callback: Callback) -> Callback:
    """The same callback with one bit of its proof changed: whatever the scheme, it must be turned away."""
    for name in ("x-twilio-signature", "telnyx-signature-ed25519", "webhook-signature", "authorization"):
        if name in callback.headers:
            return replace(callback, headers={**callback.headers, name: _bent(callback.headers[name])})
    return replace(callback, body=_bent_sig(callback.body), query=_bent_sig(callback.query.encode()).decode())


def _bent(text: str) -> str:
    """Another letter in the middle of its last word: still well formed, no longer true."""
    at = len(text) - 6
    return text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]


def _bent_sig(form: bytes) -> bytes:
    head, mark, tail = form.partition(b"sig=")
    return head + mark + ((b"0" if tail[:1] != b"0" else b"1") + tail[1:] if mark else b"")
