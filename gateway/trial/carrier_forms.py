"""The two simulated carriers that speak forms: Twilio's and Vonage's languages."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final
from urllib.parse import parse_qs, parse_qsl, urlencode

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

_FORM: Final = {"content-type": "application/x-www-form-urlencoded; charset=UTF-8"}


def derived(seed: int, what: str) -> bytes:
    """32 bytes that belong to a trial account: the same for the same seed, secret to nobody."""
    return hashlib.sha256(f"patchbay trial carrier {seed} {what}".encode()).digest()


def json_answer(status: int, value: object, headers: Mapping[str, str] | None = None) -> ApiAnswer:
    return ApiAnswer(
        status, json.dumps(value).encode(), {"content-type": "application/json", **(headers or {})}
    )


def demand_basic(request: ApiRequest, user: str, password: str, code: str) -> None:
    """Raises Denied unless the request has exactly these credentials."""
    expected = base64.b64encode(f"{user}:{password}".encode()).decode()
    if request.headers.get("authorization") != f"Basic {expected}":
        raise Denied(401, code)


class TwilioSpeech:
    """Fits ``Speech``. The signature covers the address with its query, and a POST's sorted fields."""

    kind = "twilio"
    splits = False
    _WORDS: Final = {state: state.value for state in ReceiptState} | {
        ReceiptState.EXPIRED: "undelivered",
        ReceiptState.REJECTED: "failed",
    }

    def __init__(self, seed: int) -> None:
        self._sid = "AC" + derived(seed, "sid").hex()[:32]
        self._token = derived(seed, "token").hex()[:32]

    @property
    def keys(self) -> Mapping[str, str]:
        return {"account_sid": self._sid, "auth_token": self._token}

    def new_id(self, run: int, count: int) -> str:
        return f"SM{run % 2**64:016x}{count:016x}"

    def says(self, text: Utterance, at: Moment) -> Callback:
        fields = {
            "ToCountry": "US",
            "SmsMessageSid": text.id,
            "NumMedia": str(len(text.media)),
            "SmsSid": text.id,
            "SmsStatus": "received",
            "FromCountry": "US",
            "Body": text.body,
            "To": text.to,
            "NumSegments": "1",
            "MessageSid": text.id,
            "AccountSid": self._sid,
            "From": text.sender,
            "ApiVersion": "2010-04-01",
        }
        for place, (url, kind) in enumerate(text.media):
            fields |= {f"MediaUrl{place}": url, f"MediaContentType{place}": kind}
        if text.opt_out:
            fields["OptOutType"] = text.opt_out.upper()
        return self._signed(fields, at)

    def reports(self, report: Report, at: Moment) -> Callback:
        word = self._WORDS[report.state]
        fields = {
            "SmsSid": report.id,
            "SmsStatus": word,
            "MessageStatus": word,
            "To": report.to,
            "MessageSid": report.id,
            "AccountSid": self._sid,
            "From": report.sender,
            "ApiVersion": "2010-04-01",
        }
        if report.error:
            fields["ErrorCode"] = report.error
        return self._signed(fields, at)

    def _signed(self, fields: Mapping[str, str], at: Moment) -> Callback:
        encoded = urlencode(fields)
        if at.method == "GET":
            return Callback("GET", {"x-twilio-signature": self._sign(f"{at.url}?{encoded}")}, b"", encoded)
        run_together = at.url + "".join(f"{name}{fields[name]}" for name in sorted(fields))
        return Callback("POST", {**_FORM, "x-twilio-signature": self._sign(run_together)}, encoded.encode())

    def _sign(self, text: str) -> str:
        return base64.b64encode(hmac.new(self._token.encode(), text.encode(), hashlib.sha1).digest()).decode()

    def reads(self, request: ApiRequest) -> Asked:
        demand_basic(request, self._sid, self._token, "20003")
        if request.path != f"/2010-04-01/Accounts/{self._sid}/Messages.json":
            raise Denied(404, "20404")
        fields = parse_qs(request.body.decode(), keep_blank_values=True)
        media = tuple(fields.get("MediaUrl", []))
        try:
            asked = Asked(
                fields["From"][0],
                fields["To"][0],
                fields.get("Body", [""])[0],
                media,
                receipts_url=fields.get("StatusCallback", [""])[0],
            )
        except KeyError as missing:
            raise Denied(400, "21604" if missing.args[0] == "To" else "21603") from None
        if not asked.body and not media:
            raise Denied(400, "21602")
        return asked

    def takes(self, message_id: str, asked: Asked) -> ApiAnswer:
        return json_answer(
            201,
            {
                "sid": message_id,
                "status": "queued",
                "num_segments": "1",
                "num_media": str(len(asked.media)),
                "from": asked.sender,
                "to": asked.to,
                "error_code": None,
            },
        )

    def throttles(self, seconds: int) -> ApiAnswer:
        answer = {"code": 20429, "message": "Too Many Requests", "status": 429}
        return json_answer(429, answer, {"retry-after": str(seconds)})

    def denies(self, status: int, code: str) -> ApiAnswer:
        return json_answer(status, {"code": int(code), "message": "refused", "status": status})


class VonageSpeech:
    """Fits ``Speech``. Numbers are bare digits; ``sig`` is an HMAC-SHA256 over all other fields."""

    kind = "vonage"
    splits = True
    _WORDS: Final = {
        ReceiptState.QUEUED: "buffered",
        ReceiptState.SENT: "accepted",
        ReceiptState.DELIVERED: "delivered",
        ReceiptState.UNDELIVERED: "failed",
        ReceiptState.FAILED: "failed",
        ReceiptState.EXPIRED: "expired",
        ReceiptState.REJECTED: "rejected",
    }

    def __init__(self, seed: int) -> None:
        self._key = derived(seed, "key").hex()[:8]
        self._secret = derived(seed, "secret").hex()[:16]
        self._signs = derived(seed, "signs").hex()

    @property
    def keys(self) -> Mapping[str, str]:
        return {"api_key": self._key, "api_secret": self._secret, "signature_secret": self._signs}

    def new_id(self, run: int, count: int) -> str:
        return f"{run % 2**40:010X}{count:010X}"

    def says(self, text: Utterance, at: Moment) -> Callback:
        fields = {
            "msisdn": text.sender.removeprefix("+"),
            "to": text.to.removeprefix("+"),
            "messageId": text.id,
            "text": text.body,
            "type": "text" if text.body.isascii() else "unicode",
            "keyword": (text.body.split() or [""])[0].upper(),
            "api-key": self._key,
        }
        if text.part is not None:
            fields |= {
                "concat": "true",
                "concat-ref": str(text.part.reference),
                "concat-total": str(text.part.total),
                "concat-part": str(text.part.number),
            }
        return self._signed(fields, at)

    def reports(self, report: Report, at: Moment) -> Callback:
        failed = report.state not in (ReceiptState.QUEUED, ReceiptState.SENT, ReceiptState.DELIVERED)
        fields = {
            "msisdn": report.to.removeprefix("+"),
            "to": report.sender.removeprefix("+"),
            "network-code": "12345",
            "messageId": report.id,
            "price": "0.03330000",
            "status": self._WORDS[report.state],
            "err-code": report.error or ("1" if failed else "0"),
            "api-key": self._key,
            "client-ref": report.reference,
        }
        return self._signed(fields, at)

    def _signed(self, fields: Mapping[str, str], at: Moment) -> Callback:
        pushed = datetime.fromtimestamp(at.now, UTC).strftime("%Y-%m-%d %H:%M:%S")
        whole = {
            **fields,
            "message-timestamp": pushed,
            "timestamp": str(int(at.now)),
            "nonce": at.nonce,
        }
        joined = "".join(
            f"&{name}={whole[name].replace('&', '_').replace('=', '_')}" for name in sorted(whole)
        )
        sig = hmac.new(self._signs.encode(), joined.encode(), hashlib.sha256).hexdigest().upper()
        encoded = urlencode({**whole, "sig": sig})
        if at.method == "GET":
            return Callback("GET", {}, b"", encoded)
        return Callback("POST", dict(_FORM), encoded.encode())

    def reads(self, request: ApiRequest) -> Asked:
        fields = dict(parse_qsl(request.body.decode(), keep_blank_values=True))
        if request.path != "/sms/json":
            raise Denied(404, "3")
        if (fields.get("api_key"), fields.get("api_secret")) != (self._key, self._secret):
            raise Denied(200, "4")
        if not all(fields.get(name) for name in ("from", "to", "text")):
            raise Denied(200, "2")
        return Asked(
            "+" + fields["from"],
            "+" + fields["to"],
            fields["text"],
            reference=fields.get("client-ref", ""),
            receipts_url=fields.get("callback", ""),
        )

    def takes(self, message_id: str, asked: Asked) -> ApiAnswer:
        entry = {"to": asked.to.removeprefix("+"), "message-id": message_id, "status": "0"}
        return json_answer(200, {"message-count": "1", "messages": [entry]})

    def throttles(self, seconds: int) -> ApiAnswer:
        told = {"message-count": "1", "messages": [{"status": "1", "error-text": "Throughput Rate Exceeded"}]}
        return json_answer(200, told, {"retry-after": str(seconds)})

    def denies(self, status: int, code: str) -> ApiAnswer:
        if status >= 500:
            return ApiAnswer(status)
        return json_answer(status, {"message-count": "1", "messages": [{"status": code, "error-text": "no"}]})
