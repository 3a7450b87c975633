"""The three simulated carriers that speak JSON: Telnyx's and Bandwidth's languages, and our own."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.trial.carrier_forms import demand_basic, derived, json_answer
from gateway.trial.carrier_speech import (
    ApiAnswer,
    ApiRequest,
    Asked,
    Callback,
    Denied,
    Moment,
    Report,
    Utterance,
)
from proxy_pool.core.text import ReceiptState

_JSON: Final = {"content-type": "application/json"}


def _stamp(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds")


def _read(request: ApiRequest, path: str) -> dict[str, Any]:
    if request.path != path:
        raise Denied(404, "10005")
    try:
        told = json.loads(request.body)
    except ValueError:
        raise Denied(400, "10015") from None
    if not isinstance(told, dict) or not all(told.get(name) for name in ("from", "to")):
        raise Denied(422, "10004")
    return told


class TelnyxSpeech:
    """Fits ``Speech``. Ed25519 over ``timestamp|body``."""

    kind = "telnyx"
    splits = False
    _WORDS: Final = {
        ReceiptState.QUEUED: "queued",
        ReceiptState.SENT: "sent",
        ReceiptState.DELIVERED: "delivered",
        ReceiptState.UNDELIVERED: "delivery_failed",
        ReceiptState.FAILED: "sending_failed",
        ReceiptState.EXPIRED: "expired",
        ReceiptState.REJECTED: "delivery_failed",
    }

    def __init__(self, seed: int) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(derived(seed, "ed25519"))
        self._api_key = "KEY" + derived(seed, "api").hex()

    @property
    def keys(self) -> Mapping[str, str]:
        public = self._private.public_key().public_bytes_raw()
        return {"api_key": self._api_key, "public_key": base64.b64encode(public).decode()}

    def new_id(self, run: int, count: int) -> str:
        return f"{run % 2**32:08x}-0000-4000-8000-{count:012x}"

    def says(self, text: Utterance, at: Moment) -> Callback:
        payload = {
            "record_type": "message",
            "direction": "inbound",
            "id": text.id,
            "type": "MMS" if text.media else "SMS",
            "from": {"phone_number": text.sender, "carrier": "Trial", "line_type": "Wireless"},
            "to": [{"phone_number": text.to, "status": "webhook_delivered"}],
            "cc": [],
            "text": text.body,
            "media": [{"url": url, "content_type": kind, "size": None} for url, kind in text.media],
            "received_at": _stamp(at.now),
            "autoresponse_type": text.opt_out.upper() or None,
            "errors": [],
        }
        return self._signed("message.received", payload, at)

    def reports(self, report: Report, at: Moment) -> Callback:
        event = "message.sent" if report.state is ReceiptState.SENT else "message.finalized"
        payload = {
            "record_type": "message",
            "direction": "outbound",
            "id": report.id,
            "from": {"phone_number": report.sender},
            "to": [{"phone_number": report.to, "status": self._WORDS[report.state]}],
            "tags": [report.reference],
            "errors": [{"code": report.error, "title": "refused"}] if report.error else [],
        }
        return self._signed(event, payload, at)

    def _signed(self, event: str, payload: Mapping[str, object], at: Moment) -> Callback:
        told = {
            "data": {
                "record_type": "event",
                "id": at.nonce,
                "event_type": event,
                "occurred_at": _stamp(at.now),
                "payload": payload,
            },
            "meta": {"attempt": 1, "delivered_to": at.url},
        }
        body = json.dumps(told).encode()
        timestamp = str(int(at.now))
        signature = self._private.sign(f"{timestamp}|".encode() + body)
        proof = {
            "telnyx-timestamp": timestamp,
            "telnyx-signature-ed25519": base64.b64encode(signature).decode(),
        }
        return Callback("POST", {**_JSON, **proof}, body)

    def reads(self, request: ApiRequest) -> Asked:
        if request.headers.get("authorization") != f"Bearer {self._api_key}":
            raise Denied(401, "10009")
        told = _read(request, "/v2/messages")
        tags = told.get("tags") or [""]
        media = tuple(told.get("media_urls") or ())
        return Asked(
            told["from"], told["to"], told.get("text", ""), media, tags[0], told.get("webhook_url", "")
        )

    def takes(self, message_id: str, asked: Asked) -> ApiAnswer:
        to = [{"phone_number": asked.to, "status": "queued"}]
        return json_answer(200, {"data": {"record_type": "message", "id": message_id, "parts": 1, "to": to}})

    def throttles(self, seconds: int) -> ApiAnswer:
        told = {"errors": [{"code": "10011", "title": "Too many requests"}]}
        return json_answer(429, told, {"retry-after": str(seconds)})

    def denies(self, status: int, code: str) -> ApiAnswer:
        return json_answer(status, {"errors": [{"code": code, "title": "refused"}]})


class BandwidthSpeech:
    """Fits ``Speech``. Callbacks are arrays with HTTP Basic; there is no word for expiry or rejection."""

    kind = "bandwidth"
    splits = False
    _TYPES: Final = {
        ReceiptState.QUEUED: "message-sending",
        ReceiptState.SENT: "message-sending",
        ReceiptState.DELIVERED: "message-delivered",
    }

    def __init__(self, seed: int) -> None:
        self._account = str(5_000_000 + seed % 1_000_000)
        self._application = "93de2206-9669-4e07-948d-329f4b722ee2"
        self._api = ("trial", derived(seed, "api").hex()[:24])
        self._callback = ("patchbay", derived(seed, "callback").hex()[:24])

    @property
    def keys(self) -> Mapping[str, str]:
        return {
            "account_id": self._account,
            "application_id": self._application,
            "api_user": self._api[0],
            "api_password": self._api[1],
            "callback_user": self._callback[0],
            "callback_password": self._callback[1],
        }

    def new_id(self, run: int, count: int) -> str:
        return f"{run % 10**13:013d}l{count:014d}"

    def says(self, text: Utterance, at: Moment) -> Callback:
        message = {
            "id": text.id,
            "owner": text.to,
            "applicationId": self._application,
            "time": _stamp(at.now),
            "segmentCount": 1,
            "direction": "in",
            "to": [text.to],
            "from": text.sender,
            "text": text.body,
            "media": [url for url, _ in text.media],
        }
        return self._event("message-received", text.to, message, {}, at)

    def reports(self, report: Report, at: Moment) -> Callback:
        message = {
            "id": report.id,
            "owner": report.sender,
            "applicationId": self._application,
            "time": _stamp(at.now),
            "segmentCount": 1,
            "direction": "out",
            "to": [report.to],
            "from": report.sender,
            "text": "",
            "tag": report.reference,
        }
        kind = self._TYPES.get(report.state, "message-failed")
        more = {"errorCode": int(report.error or 4_720)} if kind == "message-failed" else {}
        return self._event(kind, report.to, message, more, at)

    def _event(
        self, kind: str, to: str, message: Mapping[str, object], more: Mapping[str, object], at: Moment
    ) -> Callback:
        told = {"time": _stamp(at.now), "type": kind, "to": to, "description": "told by the trial carrier"}
        body = json.dumps([{**told, **more, "message": message}]).encode()
        basic = base64.b64encode(":".join(self._callback).encode()).decode()
        return Callback("POST", {**_JSON, "authorization": f"Basic {basic}"}, body)

    def reads(self, request: ApiRequest) -> Asked:
        demand_basic(request, *self._api, "unauthorized")
        told = _read(request, f"/api/v2/users/{self._account}/messages")
        if told.get("applicationId") != self._application or len(told["to"]) != 1:
            raise Denied(400, "request-validation")
        media = tuple(told.get("media") or ())
        return Asked(told["from"], told["to"][0], told.get("text", ""), media, told.get("tag", ""))

    def takes(self, message_id: str, asked: Asked) -> ApiAnswer:
        return json_answer(
            202, {"id": message_id, "owner": asked.sender, "segmentCount": 1, "direction": "out"}
        )

    def throttles(self, seconds: int) -> ApiAnswer:
        return json_answer(429, {"type": "limit", "description": "slow down"}, {"retry-after": str(seconds)})

    def denies(self, status: int, code: str) -> ApiAnswer:
        return json_answer(status, {"type": code, "description": "refused"})


class GenericSpeech:
    """Fits ``Speech``: the contract of docs/carriers.md, signed as Standard Webhooks."""

    kind = "generic"
    splits = True

    def __init__(self, seed: int) -> None:
        self._api_key = derived(seed, "api").hex()
        self._signs = derived(seed, "signs")

    @property
    def keys(self) -> Mapping[str, str]:
        return {
            "api_key": self._api_key,
            "signing_secret": "whsec_" + base64.b64encode(self._signs).decode(),
        }

    def new_id(self, run: int, count: int) -> str:
        return f"trial-{run}-{count}"

    def says(self, text: Utterance, at: Moment) -> Callback:
        told: dict[str, object] = {
            "type": "message.received",
            "id": text.id,
            "from": text.sender,
            "to": text.to,
            "text": text.body,
            "sent_at": _stamp(at.now),
            "media": [{"url": url, "content_type": kind} for url, kind in text.media],
        }
        if text.opt_out:
            told["opt_out"] = text.opt_out
        if text.part is not None:
            part = text.part
            told["part"] = {"reference": part.reference, "total": part.total, "number": part.number}
        return self._signed(told, at)

    def reports(self, report: Report, at: Moment) -> Callback:
        told = {
            "type": "message.status",
            "id": report.id,
            "status": report.state.value,
            "error": report.error,
            "at": _stamp(at.now),
        }
        return self._signed(told, at)

    def _signed(self, told: Mapping[str, object], at: Moment) -> Callback:
        body, timestamp = json.dumps(told).encode(), str(int(at.now))
        digest = hmac.new(self._signs, f"{at.nonce}.{timestamp}.".encode() + body, hashlib.sha256).digest()
        proof = {
            "webhook-id": at.nonce,
            "webhook-timestamp": timestamp,
            "webhook-signature": "v1," + base64.b64encode(digest).decode(),
        }
        return Callback("POST", {**_JSON, **proof}, body)

    def reads(self, request: ApiRequest) -> Asked:
        if request.headers.get("authorization") != f"Bearer {self._api_key}":
            raise Denied(401, "unauthorized")
        told = _read(request, "/messages")
        media = tuple(one["url"] for one in told.get("media", []))
        return Asked(
            told["from"],
            told["to"],
            told.get("text", ""),
            media,
            told.get("id", ""),
            told.get("receipts_url", ""),
        )

    def takes(self, message_id: str, asked: Asked) -> ApiAnswer:
        return json_answer(202, {"id": message_id, "segments": 1})

    def throttles(self, seconds: int) -> ApiAnswer:
        return json_answer(429, {"error": {"code": "throttled"}}, {"retry-after": str(seconds)})

    def denies(self, status: int, code: str) -> ApiAnswer:
        return json_answer(status, {"error": {"code": code}})
