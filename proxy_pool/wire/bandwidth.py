"""Bandwidth's arrays of events under HTTP Basic; texts out as JSON, also with Basic.

Sources: dev.bandwidth.com/docs/messaging/webhooks (events: answer 2xx in 10 s; repeats for 24 h),
…/docs/messaging/errors, …/apis/messaging-apis/messaging (createMessage).
Replay: the scheme signs nothing and has no time; the password proves the sender over TLS, and a repeated
event names the same message id, which is stored once. "At least once" is Bandwidth's own promise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import orjson

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
    "message-sending": ReceiptState.SENT,
    "message-delivered": ReceiptState.DELIVERED,
    "message-read": ReceiptState.DELIVERED,
    "message-failed": ReceiptState.FAILED,
}
"""Event types of outbound texts."""


class Bandwidth:
    """Fits ``Adapter``."""

    kind = "bandwidth"
    api_base = "https://messaging.bandwidth.com"
    carries_media = True
    keys = (
        Key("account_id", "the account's number", secret=False),
        Key("application_id", "the messaging application that our numbers belong to", secret=False),
        Key("api_user", "the API's user", secret=False),
        Key("api_password", "the API's password"),
        Key("callback_user", "the user set for the application's callbacks", secret=False),
        Key("callback_password", "the password set for them", many=True),
    )

    def verify(self, request: RawRequest, account: Account, now: float) -> None:
        """The user and password set for the callbacks, in constant time."""
        given = request.headers.get("authorization", "")
        scheme, _, credentials = given.partition(" ")
        if request.method != "POST" or scheme.lower() != "basic":
            raise reading.refuse_signature()
        user = account.one("callback_user")
        found = 0
        for password in account.all("callback_password"):
            expected = reading.basic(user, password).partition(" ")[2]
            found += reading.same(expected.encode("ascii"), credentials.strip())
        if not found:
            raise reading.refuse_signature()

    def parse(self, request: RawRequest, carrier: str) -> tuple[Told, ...]:
        """Every event of the array, or none: one that cannot be read spoils all."""
        events = reading.json_value(request.body)
        if not isinstance(events, list) or not 0 < len(events) <= reading.MAX_FIELDS:
            raise MalformedRequest("the body is not an array of events")
        return tuple(told for event in events for told in _told(event, carrier))

    def answer(self) -> HookAnswer:
        return HookAnswer(204)

    def encode_send(self, text: OutboundText, account: Account) -> HttpRequest:
        told: dict[str, object] = {
            "applicationId": account.one("application_id"),
            "from": text.sender.reveal(),
            "to": [text.to.reveal()],
            "tag": text.id,
        }
        if text.body or not text.media:
            told["text"] = text.body
        if text.media:
            told["media"] = [media.url for media in text.media]
        headers = {
            "authorization": reading.basic(account.one("api_user"), account.one("api_password")),
            "content-type": reading.JSON,
            "accept": reading.JSON,
        }
        url = f"{account.api_base}/api/v2/users/{account.one('account_id')}/messages"
        return HttpRequest("POST", url, headers, orjson.dumps(told))

    def decode_sent(self, status: int, headers: Mapping[str, str], body: bytes) -> Outcome:
        """Bandwidth says that nothing is sent for any 4xx or 5xx, so those are safe to repeat."""
        told = reading.answered(body)
        if 200 <= status < 300:
            try:
                found = reading.needed_id(reading.member(told, "id"), "id")
            except MalformedRequest:
                return Unclear("unreadable")
            return Sent(found, reading.whole(reading.member(told, "segmentCount")) or None)
        code = reading.token(reading.member(told, "type"))
        return reading.not_taken(status, headers, code, safe_to_repeat=True)

    def media_headers(self, url: str, account: Account) -> Mapping[str, str]:
        """Media lie behind the API's user and password."""
        if not reading.at_api(url, account.api_base):
            return {}
        return {"authorization": reading.basic(account.one("api_user"), account.one("api_password"))}


def _told(event: object, carrier: str) -> Iterator[Told]:
    message = reading.member(event, "message")
    kind = reading.member(event, "type")
    if not isinstance(message, dict) or not isinstance(kind, str):
        raise MalformedRequest("an event has no type or no message")
    if kind == "message-received":
        yield from _inbound(event, message, carrier)
    elif kind in STATES:
        message_id = reading.needed_id(message.get("id"), "message.id")
        at = reading.moment(reading.member(event, "time"))
        error = reading.token(reading.member(event, "errorCode")) if kind == "message-failed" else ""
        yield Receipt(carrier, message_id, STATES[kind], error, at)
    else:
        yield Ignored("event")


def _inbound(event: object, message: Mapping[str, object], carrier: str) -> Iterator[Told]:
    """One text: a group's text comes as one event with its own id for each number of ours."""
    message_id = reading.needed_id(message.get("id"), "message.id")
    sender = reading.sender(message.get("from"), "message.from")
    body = reading.body_text(message.get("text"), "message.text")
    media, left = reading.attachments([(url, None) for url in reading.items(message.get("media"))])
    yield from left
    to = reading.number(message.get("owner")) or reading.number(reading.member(event, "to"))
    if to is None:
        yield Ignored("destination")
        return
    at = reading.moment(message.get("time")) or reading.moment(reading.member(event, "time"))
    yield InboundText(carrier, message_id, sender, to, body, at, media)
