"""Texts and calls that reached a proxy number elsewhere: texts are relayed, calls are told their way."""

from __future__ import annotations

from gateway.http.answers import Answer
from gateway.http.operation import Ask
from gateway.http.orbit.proxy_desk import demand_live_key, present
from gateway.http.orbit.proxy_schemas import Inbound
from gateway.policy.destination import describe
from gateway.policy.rules import E164_EXPECTED, INVALID_NUMBER
from proxy_pool.core.codec import Json
from proxy_pool.core.party import shown
from proxy_pool.core.text import InboundText, Media
from telephony.errors import InvalidInput, UnknownReference
from telephony.numbers import E164


async def inbound(ask: Ask) -> Answer:
    """A text is stored before this answers, and relayed afterwards; a call is only told its way."""
    wanted: Inbound = ask.body
    to = await _own(ask, wanted.to)
    if wanted.type == "call":
        return Answer(await _way(ask, wanted, to), status=200)
    texts = present(ask.face.inbound_texts)
    demand_live_key(ask)
    media = tuple(
        Media(ask.face.webhooks.check_url(one.url, f"media.{place}.url"), one.content_type)
        for place, one in enumerate(wanted.media)
    )
    taken = await texts.take_in(
        ask.caller.tenant,
        InboundText(
            carrier=source_of(ask),
            message_id=wanted.message_id or "",
            sender=wanted.from_,
            to=to,
            body=wanted.body or "",
            sent_at=ask.exchange.at.timestamp(),
            media=media,
        ),
    )
    return Answer({"message_id": taken.id, "status": taken.status})


def source_of(ask: Ask) -> str:
    """What stands for the carrier: tenants do not share the names of their messages."""
    return f"api:{ask.caller.tenant}"


async def _own(ask: Ask, text: str) -> E164:
    """The tenant's number that was reached: nobody texts through another's numbers."""
    number = describe(text).number
    if number is None:
        raise InvalidInput(
            "not a number in E.164 form", field="to", expected=E164_EXPECTED, code=INVALID_NUMBER
        )
    if await ask.face.books.numbers.find_owned(ask.caller.tenant, number) is None:
        raise UnknownReference(
            "this number is not yours", field="to", expected="one of your numbers", code="NUMBER_NOT_OWNED"
        )
    return number


async def _way(ask: Ask, wanted: Inbound, dialled: E164) -> dict[str, Json]:
    decision = await present(ask.face.inbound_calls).decide(ask.caller.tenant, wanted.from_, dialled)
    if decision.to is None:
        return {"action": "reject", "reason": decision.reason}
    return {
        "action": "connect",
        "reason": decision.reason,
        "session_id": decision.session,
        "to": shown(decision.to, whole=ask.caller.sees_numbers),
        "shown_number": None if decision.shown is None else decision.shown.reveal(),
        "ring_timeout": decision.ring_timeout_s,
        "call_time_limit": decision.call_limit_s,
        "record": decision.record,
    }
