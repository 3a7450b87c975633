"""The JSON of our own, for carriers and short message centres that speak none of the others.

docs/carriers.md is its contract. Callbacks have a Standard Webhooks 1.0.0 signature, as our own webhooks do.
Replay: the signed time is held to the window; within it a repeated message names the same id and is stored
once, so that ``webhook-id`` needs no memory.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Iterator, Mapping
from typing import Final

import orjson

from proxy_pool.core.text import InboundText, OutboundText, Part, Receipt, ReceiptState
from proxy_pool.wire import reading
from proxy_pool.wire.carrier import (
    Account,
    HookAnswer,
    HttpRequest,
    Ignored,
    Key,
    Outcome,
    RawRequest,
    Sent,
    Told,
    Unclear,
)
from telephony.errors import MalformedRequest

STATES: Final[Mapping[str, ReceiptState]] = {state.value: state for state in ReceiptState}
"""The contract's status words are ours."""
MAX_BATCH: Final = 100
_OPT_OUT: Final = ("stop", "start", "help")
_SECRET = re.compile(r"whsec_[A-Za-z0-9+/]{32,88}={0,2}")


class Generic:
    """Fits ``Adapter``."""

    kind = "generic"
    api_base = ""
    carries_media = True
    keys = (
        Key("api_key", "the bearer key for sending"),
        Key("signing_secret", "whsec_ and the base64 of 24 to 64 bytes", many=True, shape=_SECRET),
    )

    def verify(self, request: RawRequest, account: Account, now: float) -> None:
        """``v1,`` + base64 HMAC-SHA256 of ``{webhook-id}.{webhook-timestamp}.{body}``."""
        message_id = request.headers.get("webhook-id", "")
        timestamp = request.headers.get("webhook-timestamp", "")
        given = request.headers.get("webhook-signature", "").split(" ")
        if request.method != "POST" or not message_id:
            raise reading.refuse_signature()
        if not reading.fresh(timestamp, now, account.replay_window_s):
            raise reading.refuse_signature()
        signed = f"{message_id}.{timestamp}.".encode("utf-8", "replace") + request.body
        found = 0
        for secret in account.all("signing_secret"):
            # why: hmac.digest() lets other threads run, which costs more than so few octets do
            digest = hmac.new(_key(secret), signed, "sha256").digest()
            expected = b"v1," + base64.b64encode(digest)
            found += sum(reading.same(expected, one) for one in given[:10])
        if not found:
            raise reading.refuse_signature()

    def parse(self, request: RawRequest, carrier: str) -> tuple[Told, ...]:
        """One message, or an array of at most 100, all or none."""
        value = reading.json_value(request.body)
        messages = value if isinstance(value, list) else [value]
        if not 0 < len(messages) <= MAX_BATCH:
            raise MalformedRequest("no messages, or too many", expected=f"1 to {MAX_BATCH}")
        return tuple(told for message in messages for told in _told(message, carrier))

    def answer(self) -> HookAnswer:
        return HookAnswer(204)

    def encode_send(self, text: OutboundText, account: Account) -> HttpRequest:
        told: dict[str, object] = {
            "id": text.id,
            "from": text.sender.reveal(),
            "to": text.to.reveal(),
            "text": text.body,
        }
        if text.media:
            told["media"] = [{"url": one.url, "content_type": one.content_type} for one in text.media]
        if account.receipts_url:
            told["receipts_url"] = account.receipts_url
        headers = {
            "authorization": f"Bearer {account.one('api_key')}",
            "content-type": reading.JSON,
            "accept": reading.JSON,
            "idempotency-key": text.id,
        }
        return HttpRequest("POST", f"{account.api_base}/messages", headers, orjson.dumps(told))

    def decode_sent(self, status: int, headers: Mapping[str, str], body: bytes) -> Outcome:
        """The contract demands that the same ``id`` is sent once, so every failure is safe to repeat."""
        told = reading.answered(body)
        if 200 <= status < 300:
            try:
                found = reading.needed_id(reading.member(told, "id"), "id")
            except MalformedRequest:
                return Unclear("unreadable")
            return Sent(found, reading.whole(reading.member(told, "segments")) or None)
        code = reading.token(reading.member(told, "error", "code"))
        return reading.not_taken(status, headers, code, safe_to_repeat=True)

    def media_headers(self, url: str, account: Account) -> Mapping[str, str]:
        """At the API's own origin with the bearer key, elsewhere without."""
        if not reading.at_api(url, account.api_base):
            return {}
        return {"authorization": f"Bearer {account.one('api_key')}"}


def _key(secret: str) -> bytes:
    """The bytes of a ``whsec_…`` secret, whose shape the configuration has checked."""
    try:
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        raise reading.refuse_signature() from None


def _told(message: object, carrier: str) -> Iterator[Told]:
    if not isinstance(message, dict):
        raise MalformedRequest("a message is not an object")
    match message.get("type"):
        case "message.received":
            yield from _inbound(message, carrier)
        case "message.status":
            yield _receipt(message, carrier)
        case str():
            yield Ignored("event")
        case _:
            raise MalformedRequest("type is missing", field="type")


def _inbound(message: Mapping[str, object], carrier: str) -> Iterator[Told]:
    message_id = reading.needed_id(message.get("id"), "id")
    sender = reading.sender(message.get("from"), "from")
    body = reading.body_text(message.get("text"), "text")
    given = reading.items(message.get("media"))
    media, left = reading.attachments(
        [(reading.member(one, "url"), reading.member(one, "content_type")) for one in given]
    )
    yield from left
    to = reading.number(message.get("to"))
    if to is None:
        yield Ignored("destination")
        return
    word = message.get("opt_out")
    opt_out = word if isinstance(word, str) and word in _OPT_OUT else ""
    at = reading.moment(message.get("sent_at"))
    yield InboundText(carrier, message_id, sender, to, body, at, media, _part(message.get("part")), opt_out)


def _part(value: object) -> Part | None:
    if value is None:
        return None
    reference = reading.whole(reading.member(value, "reference"))
    total, place = (
        reading.whole(reading.member(value, "total")),
        reading.whole(reading.member(value, "number")),
    )
    if reference is None or not total or not place or not 1 <= place <= total <= 255:
        raise MalformedRequest("the part of a long text cannot be placed", field="part")
    return Part(reference, total, place)


def _receipt(message: Mapping[str, object], carrier: str) -> Told:
    message_id = reading.needed_id(message.get("id"), "id")
    word = message.get("status")
    state = STATES.get(word) if isinstance(word, str) else None
    if state is None:
        return Ignored("status")
    at = reading.moment(message.get("at"))
    return Receipt(carrier, message_id, state, reading.token(message.get("error")), at)
