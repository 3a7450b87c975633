"""Vonage's SMS API: signed callbacks by GET, form or JSON; texts out as a form.

Sources: developer.vonage.com/getting-started/concepts/signing-messages (signature),
…/messaging/sms/guides/inbound-sms (inbound and parts), …/messaging/sms/guides/delivery-receipts,
…/api/sms, …/messaging/sms/guides/troubleshooting-sms (answers). The Messages API is another product.
Replay: the signed time is held to the window; the nonce is signed too, and within the window a repeated
callback names the same messageId and is stored once, so that nonces need no memory.
"""

from __future__ import annotations

import hashlib
import hmac
import zlib
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import urlencode

from proxy_pool.core.segments import Encoding, encoding_of
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
    Refused,
    Sent,
    Throttled,
    Told,
    Unclear,
)
from telephony.errors import MalformedRequest

STATES: Final[Mapping[str, ReceiptState]] = {
    "accepted": ReceiptState.SENT,
    "buffered": ReceiptState.SENT,
    "delivered": ReceiptState.DELIVERED,
    "expired": ReceiptState.EXPIRED,
    "failed": ReceiptState.FAILED,
    "rejected": ReceiptState.REJECTED,
}
"""``status`` of a delivery receipt. ``unknown`` says nothing, and is ignored."""
DIGESTS: Final = {"sha256hmac": "sha256", "sha512hmac": "sha512", "sha1hmac": "sha1", "md5hmac": "md5"}
_SEPARATORS: Final = str.maketrans("&=", "__")
_PASSING: Final = {"4", "5", "9", "10"}
"""``status`` words of a send that may go through later: credentials, their fault, credit, connections."""


class Vonage:
    """Fits ``Adapter``."""

    kind = "vonage"
    api_base = "https://rest.nexmo.com"
    carries_media = False
    keys = (
        Key("api_key", "the account's key", secret=False),
        Key("api_secret", "the account's secret, for sending"),
        Key("signature_secret", "what callbacks are signed with", many=True),
        Key("signature_method", "sha256hmac, sha512hmac, sha1hmac, md5hmac or md5hash", False, secret=False),
    )

    def verify(self, request: RawRequest, account: Account, now: float) -> None:
        """``sig`` over all other parameters, sorted, as ``&name=value`` with ``&`` and ``=`` made ``_``."""
        try:
            given = _parameters(request)
        except MalformedRequest:
            raise reading.refuse_signature() from None
        sig = given.pop("sig", "")
        timestamp = given.get("timestamp", "")
        run_together = any("&" in name or "=" in name for name in given)
        if not sig or run_together or not reading.fresh(timestamp, now, account.replay_window_s):
            raise reading.refuse_signature()
        method = account.one("signature_method") or "sha256hmac"
        expected = (_signature(given, secret, method) for secret in account.all("signature_secret"))
        if not sum(reading.same(one.encode("ascii"), sig.lower()) for one in expected):
            raise reading.refuse_signature()

    def parse(self, request: RawRequest, carrier: str) -> tuple[Told, ...]:
        """One text or part of one, or one receipt: receipts have a status."""
        given = _parameters(request)
        if "status" in given:
            return (_receipt(given, carrier),)
        return tuple(_inbound(given, carrier))

    def answer(self) -> HookAnswer:
        return HookAnswer(204)

    def encode_send(self, text: OutboundText, account: Account) -> HttpRequest:
        """Numbers go out as bare digits. The SMS API carries no media: callers look at ``carries_media``."""
        form = {
            "api_key": account.one("api_key"),
            "api_secret": account.one("api_secret"),
            "from": text.sender.reveal().removeprefix("+"),
            "to": text.to.reveal().removeprefix("+"),
            "text": text.body,
            "type": "text" if encoding_of(text.body) is Encoding.GSM7 else "unicode",
            "client-ref": text.id,
            "status-report-req": "1",
        }
        if account.receipts_url:
            form["callback"] = account.receipts_url
        headers = {"content-type": reading.FORM, "accept": reading.JSON}
        return HttpRequest("POST", f"{account.api_base}/sms/json", headers, urlencode(form).encode("ascii"))

    def decode_sent(self, status: int, headers: Mapping[str, str], body: bytes) -> Outcome:
        """A long text is answered by an entry a segment, each with an id: the first stands for all."""
        if not 200 <= status < 300:
            return reading.not_taken(status, headers, "")
        entries = reading.items(reading.member(reading.answered(body), "messages"))
        words = [reading.token(reading.member(entry, "status")) for entry in entries]
        if "0" not in words:
            return _refusal(words, headers)
        try:
            taken = entries[words.index("0")]
            found = reading.needed_id(reading.member(taken, "message-id"), "message-id")
        except MalformedRequest:
            return Unclear("unreadable")
        return Sent(found, len(entries))

    def media_headers(self, url: str, account: Account) -> Mapping[str, str]:
        """Its media need no proof."""
        return {}


def _refusal(words: list[str], headers: Mapping[str, str]) -> Outcome:
    if not words or not words[0]:
        return Unclear("unreadable")
    if words[0] == "1":
        return Throttled(reading.retry_after(headers))
    return Refused(words[0], permanent=words[0] not in _PASSING)


def _parameters(request: RawRequest) -> dict[str, str]:
    if request.method != "POST":
        return reading.once(reading.pairs(request.query))
    if reading.is_form(request.headers):
        return reading.once(reading.pairs(request.body))
    value = reading.json_value(request.body)
    if not isinstance(value, dict):
        raise MalformedRequest("the body is not an object")
    return {name: _as_text(inner) for name, inner in value.items()}


def _as_text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int):
        return str(value)
    raise MalformedRequest("a parameter is neither text nor a whole number")


def _signature(given: Mapping[str, str], secret: str, method: str) -> str:
    """Hexadecimal in small letters; Vonage writes capitals for some methods."""
    joined = "".join(f"&{name}={given[name].translate(_SEPARATORS)}" for name in sorted(given))
    signed = joined.encode("utf-8", "replace")
    if method == "md5hash":
        return hashlib.md5(signed + secret.encode(), usedforsecurity=False).hexdigest()
    return hmac.digest(secret.encode(), signed, DIGESTS[method]).hex()


def _inbound(given: Mapping[str, str], carrier: str) -> Iterator[Told]:
    message_id = reading.needed_id(given.get("messageId"), "messageId")
    sender = reading.sender(reading.msisdn(given.get("msisdn")), "msisdn")
    if given.get("type", "text") not in ("text", "unicode"):
        yield Ignored("kind")
        return
    to = reading.number(reading.msisdn(given.get("to")))
    if to is None:
        yield Ignored("destination")
        return
    body = reading.body_text(given.get("text"), "text")
    at = reading.moment(given.get("message-timestamp"))
    yield InboundText(carrier, message_id, sender, to, body, at, part=_part(given))


def _part(given: Mapping[str, str]) -> Part | None:
    if given.get("concat", "").lower() != "true":
        return None
    total, place = reading.whole(given.get("concat-total")), reading.whole(given.get("concat-part"))
    reference = given.get("concat-ref", "")
    if not total or not place or not 1 <= place <= total <= 255 or not reference:
        raise MalformedRequest("the part of a long text cannot be placed", field="concat-part")
    known = reading.whole(reference)
    return Part(zlib.crc32(reference.encode()) if known is None else known, total, place)


def _receipt(given: Mapping[str, str], carrier: str) -> Told:
    message_id = reading.needed_id(given.get("messageId"), "messageId")
    state = STATES.get(given["status"].lower())
    if state is None:
        return Ignored("status")
    error = reading.token(given.get("err-code"))
    at = reading.moment(given.get("message-timestamp"))
    return Receipt(carrier, message_id, state, "" if error == "0" else error, at)
