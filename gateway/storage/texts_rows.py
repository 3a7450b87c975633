"""Texts as rows and back: pure translation, no statements."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from gateway.storage.columns import seconds_to_micros
from gateway.storage.hot import Found
from gateway.storage.jsontext import json_list, to_json
from proxy_pool.core.party import key_of, party_of
from proxy_pool.core.reassembly import PATIENCE_S, Key
from proxy_pool.core.reassembly import key_of as part_key
from proxy_pool.core.relay import Draft
from proxy_pool.core.text import InboundText, Media
from proxy_pool.texts.ports import Arrived, Incoming, KeptMedia, Lane, Outbound, Outgoing
from telephony.ids import TenantId
from telephony.numbers import E164

Row = dict[str, Any]


def in_row(arrived: Arrived, now: float) -> Row:
    """A text that came, as it is stored."""
    text = arrived.text
    key = part_key(text)
    return {
        "id": arrived.id,
        "carrier": text.carrier,
        "message_id": text.message_id,
        "sender": text.sender,
        "recipient": text.to.reveal(),
        "body": text.body,
        "media": to_json([[one.url, one.content_type] for one in text.media]) if text.media else None,
        "opt_out": text.opt_out,
        "sent_at": None if text.sent_at is None else seconds_to_micros(text.sent_at),
        "taken_at": seconds_to_micros(now),
        "part_reference": 0 if key is None else key.reference,
        "part_total": 0 if key is None else key.total,
        "part_number": 0 if key is None or text.part is None else text.part.number,
        "mark": "" if key is None else hashlib.sha256(text.body.encode("utf-8", "replace")).hexdigest()[:32],
        "state": "waiting" if key is None else "held",
        "next_at": seconds_to_micros(now if key is None else now + PATIENCE_S),
    }


def key_row(key: Key) -> Row:
    return {
        "carrier": key.carrier,
        "sender": key.sender,
        "recipient": key.to,
        "part_reference": key.reference,
        "part_total": key.total,
    }


def incoming(row: Found) -> Incoming:
    """A row of ``DUE_IN``, claimed once more."""
    id_, carrier, message_id, sender, recipient, body, media, opt_out, sent_at, taken_at, missing, claim = row
    text = InboundText(
        carrier=carrier,
        message_id=message_id,
        sender=sender,
        to=E164(recipient),
        body=body,
        sent_at=None if sent_at is None else sent_at / 1_000_000,
        media=tuple(Media(url, kind) for url, kind in json_list(media)),
        opt_out=opt_out,
    )
    return Incoming(id_, text, taken_at / 1_000_000, claim + 1, tuple(json_list(missing)))


def lane_name(lane: Lane) -> str:
    return f"{lane.carrier} {lane.sender}"


def lane_of(name: str) -> Lane:
    return Lane(*name.split(" ", 1))


def out_row(outbound: Outbound, now: float) -> Row:
    draft = outbound.draft
    return {
        "id": outbound.id,
        "tenant_id": outbound.tenant,
        "interaction_id": outbound.interaction,
        "lane": lane_name(Lane(draft.carrier, draft.sender.reveal())),
        "carrier": draft.carrier,
        "sender": draft.sender.reveal(),
        "recipient": key_of(draft.to),
        "body": draft.body,
        "media": _media_json(outbound.media),
        "now": seconds_to_micros(now),
        "expires_at": seconds_to_micros(outbound.expires_at),
    }


def outgoing(lane: Lane, row: Found) -> Outgoing:
    """A row of ``DUE_OUT``, claimed once more."""
    id_, tenant, recipient, body, media, attempts, claim, expires_at = row
    return Outgoing(
        id=id_,
        tenant=TenantId(tenant),
        draft=Draft(lane.carrier, E164(lane.sender), party_of(recipient), body),
        attempts=attempts,
        claim=claim + 1,
        expires_at=expires_at / 1_000_000,
        media=tuple(KeptMedia(*one) for one in json_list(media)),
    )


def _media_json(media: Sequence[KeptMedia]) -> str | None:
    return to_json([[one.id, one.file, one.content_type, one.size] for one in media]) if media else None
