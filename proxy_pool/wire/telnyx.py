"""Telnyx's JSON events with an Ed25519 signature; texts out as JSON with a bearer key.

Sources: developers.telnyx.com/docs/messaging/messages/receiving-webhooks (events, signature),
…/api-reference/callbacks/inbound-message and delivery-update (shapes), …/advanced-opt-in-out
(autoresponse_type), …/api-reference/messages/send-a-message.
Replay: the signed time is held to the window; within it a repeated event names the same message id and is
stored once. The signature covers time and raw bytes.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from typing import Final

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from proxy_pool.core.text import InboundText, OutboundText, Receipt, ReceiptState
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

STATES: Final[Mapping[str, ReceiptState]] = {
    "scheduled": ReceiptState.QUEUED,
    "queued": ReceiptState.QUEUED,
    "sending": ReceiptState.QUEUED,
    "sent": ReceiptState.SENT,
    "delivery_unconfirmed": ReceiptState.SENT,
    "delivered": ReceiptState.DELIVERED,
    "delivery_failed": ReceiptState.UNDELIVERED,
    "sending_failed": ReceiptState.FAILED,
    "cancelled": ReceiptState.FAILED,
    "expired": ReceiptState.EXPIRED,
}
"""``data.payload.to[].status`` of message.sent and message.finalized. ``delivery_unconfirmed`` is final but
says that nothing was heard: the text was handed on, so it stays ``sent``."""
_OPT_OUT: Final = {"STOP": "stop", "START": "start", "HELP": "help", "OPT_OUT": "stop", "OPT_IN": "start"}
_PUBLIC_KEY = re.compile(r"[A-Za-z0-9+/]{43}=")


class Telnyx:
    """Fits ``Adapter``."""

    kind = "telnyx"
    api_base = "https://api.telnyx.com"
    carries_media = True
    keys = (
        Key("api_key", "the bearer key for sending"),
        Key(
            "public_key",
            "the account's Ed25519 public key, base64",
            many=True,
            secret=False,
            shape=_PUBLIC_KEY,
        ),
        Key("messaging_profile_id", "named when sending", required=False, secret=False),
    )

    def verify(self, request: RawRequest, account: Account, now: float) -> None:
        """Ed25519 over ``{telnyx-timestamp}|{raw body}``."""
        timestamp = request.headers.get("telnyx-timestamp", "")
        signature = _decoded(request.headers.get("telnyx-signature-ed25519", ""))
        if request.method != "POST" or not signature:
            raise reading.refuse_signature()
        if not reading.fresh(timestamp, now, account.replay_window_s):
            raise reading.refuse_signature()
        signed = timestamp.encode("ascii") + b"|" + request.body
        if not any(_holds(_decoded(key), signature, signed) for key in account.all("public_key")):
            raise reading.refuse_signature()

    def parse(self, request: RawRequest, carrier: str) -> tuple[Told, ...]:
        event = reading.member(reading.json_value(request.body), "data")
        payload = reading.member(event, "payload")
        if not isinstance(payload, dict):
            raise MalformedRequest("data.payload is missing", field="data.payload")
        match reading.member(event, "event_type"):
            case "message.received":
                return tuple(_inbound(event, payload, carrier))
            case "message.sent" | "message.finalized":
                return tuple(_receipts(event, payload, carrier))
            case str():
                return (Ignored("event"),)
            case _:
                raise MalformedRequest("data.event_type is missing", field="data.event_type")

    def answer(self) -> HookAnswer:
        return HookAnswer(200, reading.JSON, b"{}")

    def encode_send(self, text: OutboundText, account: Account) -> HttpRequest:
        told: dict[str, object] = {"from": text.sender.reveal(), "to": text.to.reveal(), "tags": [text.id]}
        if text.body or not text.media:
            told["text"] = text.body
        if text.media:
            told["media_urls"] = [media.url for media in text.media]
        if account.one("messaging_profile_id"):
            told["messaging_profile_id"] = account.one("messaging_profile_id")
        if account.receipts_url:
            told["webhook_url"] = account.receipts_url
        headers = {
            "authorization": f"Bearer {account.one('api_key')}",
            "content-type": reading.JSON,
            "accept": reading.JSON,
        }
        return HttpRequest("POST", f"{account.api_base}/v2/messages", headers, orjson.dumps(told))

    def decode_sent(self, status: int, headers: Mapping[str, str], body: bytes) -> Outcome:
        told = reading.answered(body)
        if 200 <= status < 300:
            try:
                found = reading.needed_id(reading.member(told, "data", "id"), "data.id")
            except MalformedRequest:
                return Unclear("unreadable")
            return Sent(found, reading.whole(reading.member(told, "data", "parts")) or None)
        errors = reading.items(reading.member(told, "errors"))
        code = reading.token(reading.member(errors[0], "code")) if errors else ""
        return reading.not_taken(status, headers, code)

    def media_headers(self, url: str, account: Account) -> Mapping[str, str]:
        """Its media need no proof."""
        return {}


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _holds(key: bytes, signature: bytes, signed: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, signed)
    except (InvalidSignature, ValueError):
        return False
    return True


def _inbound(event: object, payload: Mapping[str, object], carrier: str) -> Iterator[Told]:
    """One text for each of our numbers it went to; all but the first have the id with its place."""
    message_id = reading.needed_id(payload.get("id"), "data.payload.id")
    sender = reading.sender(reading.member(payload.get("from"), "phone_number"), "data.payload.from")
    body = reading.body_text(payload.get("text"), "data.payload.text")
    given = reading.items(payload.get("media"))
    media, left = reading.attachments(
        [(reading.member(one, "url"), reading.member(one, "content_type")) for one in given]
    )
    yield from left
    at = reading.moment(payload.get("received_at")) or reading.moment(reading.member(event, "occurred_at"))
    word = payload.get("autoresponse_type")
    opt_out = _OPT_OUT.get(word.upper(), "") if isinstance(word, str) else ""
    for place, entry in enumerate(reading.items(payload.get("to")) or [None]):
        to = reading.number(reading.member(entry, "phone_number"))
        if to is None:
            yield Ignored("destination")
            continue
        own_id = f"{message_id}:{place}" if place else message_id
        yield InboundText(carrier, own_id, sender, to, body, at, media, opt_out=opt_out)


def _receipts(event: object, payload: Mapping[str, object], carrier: str) -> Iterator[Told]:
    """What became of the text for its addressee; ours have one each."""
    message_id = reading.needed_id(payload.get("id"), "data.payload.id")
    entries = reading.items(payload.get("to"))
    if not entries:
        raise MalformedRequest("data.payload.to is missing", field="data.payload.to")
    errors = reading.items(payload.get("errors"))
    error = reading.token(reading.member(errors[0], "code")) if errors else ""
    at = reading.moment(reading.member(event, "occurred_at"))
    word = reading.member(entries[0], "status")
    state = STATES.get(word) if isinstance(word, str) else None
    yield Ignored("status") if state is None else Receipt(carrier, message_id, state, error, at)
