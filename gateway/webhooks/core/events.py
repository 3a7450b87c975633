"""What a receiver is told: the event, its names, and its body as bytes.

The body follows Standard Webhooks 1.0.0 (``type``, ``timestamp``, ``data``) with ``id``, ``created_at``
and ``sequence`` besides. It is rendered once, when the event is stored; every attempt and every
replay sends the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

import orjson

from telephony.errors import InvalidInput

MAX_BODY_BYTES: Final = 256 * 1024
"""A body must be smaller than this; larger ``data`` is replaced by a pointer."""
EVERYTHING: Final = "*"
"""In an endpoint's ``events``: all events, also those added later."""
TEST_EVENT: Final = "webhook.test"
ENDPOINT_DISABLED: Final = "webhook.endpoint.disabled"
CATALOGUE: Final[Mapping[str, str]] = {
    "call.initiated": "A call was accepted and will be dialled, or a call came in.",
    "call.ringing": "The far end rings.",
    "call.answered": "The far end answered; talking time runs from here.",
    "call.connected": "Both ends of the call hear one another.",
    "call.transfer_completed": "The caller was taken to somebody else, who answered.",
    "call.transfer_failed": "The caller was to be taken to somebody else, who did not answer.",
    "call.room_entered": "The caller is in a video room.",
    "call.completed": "An answered call ended. Terminal.",
    "call.failed": "The call could not be connected. Terminal.",
    "call.busy": "The far end was busy. Terminal.",
    "call.no_answer": "Nobody answered in time. Terminal.",
    "call.cancelled": "The call was cancelled before it was answered. Terminal.",
    "recording.started": "Recording of a call began.",
    "recording.paused": "Recording of a call rests.",
    "recording.resumed": "Recording of a call goes on.",
    "recording.stopped": "Recording of a call ended; the file is being made.",
    "recording.ready": "A recording can be downloaded.",
    "recording.failed": "A recording was asked for and could not be made.",
    "session.opened": "A masking session is open: its proxy numbers connect its people.",
    "session.in_progress": "The first call or message of a masking session.",
    "session.changed": "People or terms of an open masking session were changed.",
    "session.expiring": "A masking session will end soon, unless it is used or changed.",
    "session.closed": "A masking session ended; its numbers no longer connect its people. Terminal.",
    "interaction.started": "Somebody calls through a masking session.",
    "interaction.updated": "A masked call was answered, or what is known of it has changed.",
    "interaction.ended": "A masked call ended. Terminal.",
    "interaction.refused": "A call or message to a proxy number was turned away. Terminal.",
    "message.received": "A message to a proxy number came in and will be relayed.",
    "message.sent": "A relayed message was taken by the carrier.",
    "message.delivered": "A relayed message reached its receiver. Terminal.",
    "message.failed": "A relayed message could not be delivered. Terminal.",
    "message.blocked": "A message was not relayed, for what it says. Terminal.",
    "message.opt_out": "Somebody wrote STOP: nothing more is sent to this person by the service.",
    "message.opt_in": "Somebody wrote START: messages are sent to this person again.",
    "agent.session.ready": "An agent will take a call.",
    "agent.session.talking": "An agent and a caller hear one another.",
    "agent.session.ending": "An agent's session will end; the agent was told first.",
    "agent.session.ended": "An agent's session ended; its summary and transcript can be read. Terminal.",
    "agent.session.failed": "An agent never spoke with the caller. Terminal.",
    "agent.interrupted": "The caller spoke over an agent, whose sound was dropped.",
    "agent.slow": "An agent took long to answer the caller.",
    "agent.lost": "The line to an agent broke; it is looked for.",
    "agent.recovered": "An agent, or the one that stands in for it, is on the line again.",
    "agent.failover": "An agent was given up; the caller is taken to what is registered for that.",
    "agent.fault": "An agent did what cannot be borne with; its line was closed.",
    "agent.transfer": "A caller is taken from an agent to somebody else, or that came to its outcome.",
    "agent.tool": "An agent asked for a tool.",
    "agent.held": "A caller was put on hold, or is back from it.",
    "agent.muted": "An agent is not heard by the caller, or is again.",
    "agent.media_silent": "No sound came from the caller for a while.",
    "agent.near_end": "A call with an agent nears its longest duration.",
    "room.scheduled": "A video room was planned, planned anew, or waits for its next time.",
    "room.started": "The first person came into a video room.",
    "room.ended": "A video room ended. Terminal.",
    "room.participant.joined": "Somebody came into a video room.",
    "room.participant.left": "Somebody left a video room, or was put out of it.",
    "room.participant.waiting": "Somebody waits in a video room's lobby.",
    "room.participant.admitted": "Somebody was let in from a video room's lobby.",
    "room.participant.kicked": "Somebody was put out of a video room by its host.",
    "room.recording.started": "A video room is being recorded.",
    "room.recording.finished": "A video room's recording can be fetched.",
    "room.recording.failed": "A video room's recording could not be made.",
    "room.invite.redeemed": "A guest used an invite into a video room.",
    "room.phone.ringing": "A telephone that is called into a video room rings.",
    "room.phone.joined": "A telephone that was called is in the video room.",
    "room.phone.failed": "A telephone that was called did not come into the video room.",
    "pool.exhausted": "A masking session could not be opened for want of a number.",
    TEST_EVENT: "You asked for a test event.",
    ENDPOINT_DISABLED: "An endpoint was switched off: it answered 410, or failed for five days.",
}
"""Every event a receiver can subscribe to, with its meaning."""
_TYPE = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)*")
_MAX_SUBSCRIPTIONS = 100


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """Something the world may hear.

    ``subject`` names what it is about (a call's id): events of one subject carry ``sequence`` 1, 2, 3 …
    and their first attempts start in that order. ``occurred_at`` is an aware datetime. ``data`` holds
    JSON values only.
    """

    id: str
    type: str
    occurred_at: datetime
    subject: str
    sequence: int
    data: Mapping[str, object]

    def __post_init__(self) -> None:
        if _TYPE.fullmatch(self.type) is None:
            raise InvalidInput("not an event type", field="type", expected="lower-case words joined by dots")
        if "." in self.id:
            raise InvalidInput(
                "an event id must not contain a dot: it is part of the signed text", field="id"
            )
        if self.occurred_at.tzinfo is None:
            raise InvalidInput("an event's time must carry a zone", field="occurred_at")


def render(event: WebhookEvent) -> bytes:
    """The body to sign and send: JSON, smaller than MAX_BODY_BYTES.

    A ``data`` that would not fit is replaced by ``{_truncated: true, _original_bytes: n, id: subject}``:
    the receiver fetches the thing itself through the API.
    """
    body = _dump(event)
    if len(body) < MAX_BODY_BYTES:
        return body
    pointer = {"_truncated": True, "_original_bytes": len(orjson.dumps(event.data)), "id": event.subject}
    return _dump(replace(event, data=pointer))


def iso(moment: datetime) -> str:
    """RFC 3339 in UTC with milliseconds, e.g. ``2026-03-08T12:00:00.000Z``."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _dump(event: WebhookEvent) -> bytes:
    moment = iso(event.occurred_at)
    return orjson.dumps(
        {
            "id": event.id,
            "type": event.type,
            "created_at": moment,
            "timestamp": moment,
            "sequence": event.sequence,
            "data": dict(event.data),
        }
    )


def wants(subscriptions: tuple[str, ...], event_type: str) -> bool:
    """Whether an endpoint with these ``events`` is told about this type."""
    return EVERYTHING in subscriptions or event_type in subscriptions


def checked_subscriptions(events: list[str] | tuple[str, ...]) -> tuple[str, ...]:
    """An endpoint's ``events`` without duplicates; ``InvalidInput`` (field ``events``) for unknown names."""
    unique = tuple(dict.fromkeys(events))
    if not unique or len(unique) > _MAX_SUBSCRIPTIONS:
        raise InvalidInput(
            "name the events to send", field="events", expected='["*"] or 1 to 100 names of events'
        )
    for name in unique:
        if name != EVERYTHING and name not in CATALOGUE:
            raise InvalidInput(
                f"there is no event {name[:60]!r}",
                field="events",
                value=name[:60],
                expected='"*" or one of ' + ", ".join(CATALOGUE),
            )
    return unique
