"""Twilio's form: callbacks as forms with ``X-Twilio-Signature``, texts out as forms with HTTP Basic.

Sources: twilio.com/docs/usage/webhooks/webhooks-security (signature), …/docs/messaging/guides/webhook-request
(inbound), …/docs/messaging/api/message-resource (sending, status words).
Replay: the scheme has no time; a repeated request names the same MessageSid and is stored once. The signed
text runs names and values together, so the strict shape of MessageSid is what keeps another split of the
same bytes from naming another text.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import urlencode, urlsplit, urlunsplit

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
    "accepted": ReceiptState.QUEUED,
    "scheduled": ReceiptState.QUEUED,
    "queued": ReceiptState.QUEUED,
    "sending": ReceiptState.QUEUED,
    "sent": ReceiptState.SENT,
    "delivered": ReceiptState.DELIVERED,
    "read": ReceiptState.DELIVERED,
    "undelivered": ReceiptState.UNDELIVERED,
    "failed": ReceiptState.FAILED,
    "canceled": ReceiptState.FAILED,
}
"""Message status values (twilio.com/docs/messaging/api/message-resource#message-status-values)."""
_OPT_OUT: Final = {"STOP": "stop", "START": "start", "HELP": "help"}
_SID = re.compile(r"(?:SM|MM)[0-9a-fA-F]{32}")
_ACCOUNT = re.compile(r"AC[0-9a-fA-F]{32}")
_PASSING: Final = {"20429", "14107", "30022", "21611"}
"""Codes of rates and full queues: the text may go through later (twilio.com/docs/api/errors)."""


class Twilio:
    """Fits ``Adapter``."""

    kind = "twilio"
    api_base = "https://api.twilio.com"
    carries_media = True
    keys = (
        Key("account_sid", "AC and 32 hexadecimal digits", secret=False, shape=_ACCOUNT),
        Key("auth_token", "signs callbacks, and is the API's password where there is no API key", many=True),
        Key("api_key_sid", "an API key for sending", required=False, secret=False),
        Key("api_key_secret", "its secret", required=False),
    )

    def verify(self, request: RawRequest, account: Account, now: float) -> None:
        """Base64 HMAC-SHA1 of public address and sorted form; of the address alone for JSON and GET."""
        given = request.headers.get("x-twilio-signature", "")
        signed = _signed(request)
        if not given or signed is None:
            raise reading.refuse_signature()
        found = 0
        for secret in account.all("auth_token"):
            for url in _spellings(request.full_url):
                digest = hmac.digest(secret.encode(), (url + signed).encode("utf-8", "replace"), "sha1")
                found += reading.same(base64.b64encode(digest), given)
        if not found:
            raise reading.refuse_signature()

    def parse(self, request: RawRequest, carrier: str) -> tuple[Told, ...]:
        """One text, or one receipt: a status callback is told by its MessageStatus."""
        form = _form(request)
        if "MessageStatus" in form:
            return (_receipt(form, carrier),)
        return tuple(_inbound(form, carrier))

    def answer(self) -> HookAnswer:
        """An empty TwiML document: no reply of Twilio's own to the sender."""
        return HookAnswer(200, "text/xml", b'<?xml version="1.0" encoding="UTF-8"?><Response/>')

    def encode_send(self, text: OutboundText, account: Account) -> HttpRequest:
        sid = account.one("account_sid")
        form = [("From", text.sender.reveal()), ("To", text.to.reveal())]
        if text.body or not text.media:
            form.append(("Body", text.body))
        form += [("MediaUrl", media.url) for media in text.media]
        if account.receipts_url:
            form.append(("StatusCallback", account.receipts_url))
        headers = {
            "authorization": _authorization(account),
            "content-type": reading.FORM,
            "accept": reading.JSON,
        }
        url = f"{account.api_base}/2010-04-01/Accounts/{sid}/Messages.json"
        return HttpRequest("POST", url, headers, urlencode(form).encode("ascii"))

    def decode_sent(self, status: int, headers: Mapping[str, str], body: bytes) -> Outcome:
        told = reading.answered(body)
        if 200 <= status < 300:
            sid = reading.member(told, "sid")
            if not isinstance(sid, str) or _SID.fullmatch(sid) is None:
                return Unclear("unreadable")
            return Sent(sid, reading.whole(reading.member(told, "num_segments")) or None)
        code = reading.token(reading.member(told, "code"))
        if code in _PASSING and status < 500:
            return reading.not_taken(429, headers, code)
        return reading.not_taken(status, headers, code)

    def media_headers(self, url: str, account: Account) -> Mapping[str, str]:
        """Media at the API may be set to want the account's credentials; what it redirects to must not."""
        return {"authorization": _authorization(account)} if reading.at_api(url, account.api_base) else {}


def _authorization(account: Account) -> str:
    """HTTP Basic with the API key where there is one, else with the account itself."""
    if account.one("api_key_sid"):
        return reading.basic(account.one("api_key_sid"), account.one("api_key_secret"))
    return reading.basic(account.one("account_sid"), account.one("auth_token"))


def _signed(request: RawRequest) -> str | None:
    """What is signed behind the address; None where the request can not have been signed."""
    if request.method != "POST":
        return "" if not request.body else None
    if reading.is_form(request.headers):
        try:
            given = reading.pairs(request.body)
        except MalformedRequest:
            return None
        return "".join(name + value for name, value in sorted(set(given)))
    try:
        told = [value for name, value in reading.pairs(request.query) if name == "bodySHA256"]
    except MalformedRequest:
        return None
    digest = hashlib.sha256(request.body).hexdigest().encode()
    return "" if len(told) == 1 and reading.same(digest, told[0]) else None


def _spellings(url: str) -> tuple[str, ...]:
    """The address with and without its port: carriers sign either."""
    parts = urlsplit(url)
    host = parts.netloc
    bare = re.sub(r":[0-9]+\Z", "", host)
    usual = f"{bare}:{443 if parts.scheme == 'https' else 80}"
    others = (bare, usual if bare == host else host)
    return tuple(urlunsplit(parts._replace(netloc=other)) for other in others)


def _form(request: RawRequest) -> dict[str, str]:
    if request.method != "POST":
        return reading.once(reading.pairs(request.query))
    if reading.is_form(request.headers):
        return reading.once(reading.pairs(request.body))
    value = reading.json_value(request.body)
    if not isinstance(value, dict):
        raise MalformedRequest("the body is not an object")
    return {name: inner for name, inner in value.items() if isinstance(inner, str)}


def _inbound(form: Mapping[str, str], carrier: str) -> Iterator[Told]:
    sid = reading.needed_id(form.get("MessageSid") or form.get("SmsSid"), "MessageSid", _SID)
    sender = reading.sender(form.get("From"), "From")
    body = reading.body_text(form.get("Body"), "Body")
    count = min(reading.whole(form.get("NumMedia", "0")) or 0, reading.MAX_MEDIA + 1)
    media, left = reading.attachments(
        [(form.get(f"MediaUrl{n}"), form.get(f"MediaContentType{n}")) for n in range(count)]
    )
    yield from left
    to = reading.number(form.get("To"))
    if to is None:
        yield Ignored("destination")
        return
    opt_out = _OPT_OUT.get(form.get("OptOutType", "").upper(), "")
    yield InboundText(carrier, sid, sender, to, body, media=media, opt_out=opt_out)


def _receipt(form: Mapping[str, str], carrier: str) -> Told:
    sid = reading.needed_id(form.get("MessageSid") or form.get("SmsSid"), "MessageSid", _SID)
    state = STATES.get(form["MessageStatus"].lower())
    if state is None:
        return Ignored("status")
    return Receipt(carrier, sid, state, reading.token(form.get("ErrorCode")))
