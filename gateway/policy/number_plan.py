"""What an owned number does: where its inbound calls go, whether they are recorded, who is told.

A plan lives in the number's ``route`` column as one flat JSON object, which the route book reads:
``type`` with the fields of that type, and beside them ``record``, ``webhook_url`` and ``is_default``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from telephony.causes import Cause
from telephony.numbers import E164

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


@dataclass(frozen=True, slots=True)
class ToPhone:
    """Ring this registered phone."""

    phone: str


@dataclass(frozen=True, slots=True)
class ToNumber:
    """Ring this number over a trunk."""

    number: E164


@dataclass(frozen=True, slots=True)
class ToAnnouncement:
    """Speak this text. ``sound`` is the prompt's file, made when the route was set."""

    text: str
    sound: str
    voice: str | None = None


@dataclass(frozen=True, slots=True)
class ToHold:
    """Music until somebody hangs up."""


@dataclass(frozen=True, slots=True)
class ToAgent:
    """Let this registered agent speak, in its newest version."""

    agent_id: str


@dataclass(frozen=True, slots=True)
class ToRooms:
    """Ask for a meeting number, and lead into the video room that it opens."""

    language: str = "en"


@dataclass(frozen=True, slots=True)
class ToNobody:
    """Refuse with this Q.850 cause."""

    cause: int


InboundRoute = ToPhone | ToNumber | ToAnnouncement | ToHold | ToAgent | ToRooms | ToNobody

REJECT_CAUSES: Final[Mapping[str, int]] = {
    "busy": Cause.USER_BUSY,
    "rejected": Cause.CALL_REJECTED,
    "unallocated": Cause.UNALLOCATED,
    "congestion": Cause.CONGESTION,
}
"""Words for the causes most asked for; any other Q.850 value from 1 to 127 is given as a number."""
_WORDS: Final = {int(cause): word for word, cause in REJECT_CAUSES.items()}


@dataclass(frozen=True, slots=True)
class NumberPlan:
    """All that is configured about an owned number besides its name and capabilities."""

    route: InboundRoute | None = None
    record: bool = False
    webhook_url: str | None = None
    is_default: bool = False


def plan_from(stored: Mapping[str, Json] | None) -> NumberPlan:
    """The plan in a number's ``route`` column; an unknown spelling gives no route: calls are refused."""
    if stored is None:
        return NumberPlan()
    webhook_url = stored.get("webhook_url")
    return NumberPlan(
        route=_route_from(stored),
        record=stored.get("record") is True,
        webhook_url=webhook_url if isinstance(webhook_url, str) else None,
        is_default=stored.get("is_default") is True,
    )


def plan_to(plan: NumberPlan) -> dict[str, Json]:
    """What the ``route`` column keeps of a plan."""
    route = {} if plan.route is None else _route_to(plan.route)
    return route | {
        "record": plan.record,
        "webhook_url": plan.webhook_url,
        "is_default": plan.is_default,
    }


def shown_route(route: InboundRoute | None) -> Json:
    """The route as the API shows it: in the words it was given in, without our file names."""
    if route is None:
        return None
    shown = _route_to(route)
    shown.pop("sound", None)
    if isinstance(route, ToNobody):
        shown["cause"] = _WORDS.get(route.cause, route.cause)
    return shown


def _route_to(route: InboundRoute) -> dict[str, Json]:
    match route:
        case ToPhone(phone):
            return {"type": "phone", "phone": phone}
        case ToNumber(number):
            return {"type": "number", "number": number.reveal()}
        case ToAnnouncement(text, sound, voice):
            return {"type": "announcement", "text": text, "voice": voice, "sound": sound}
        case ToHold():
            return {"type": "hold"}
        case ToAgent(agent_id):
            return {"type": "agent", "agent_id": agent_id}
        case ToRooms(language):
            return {"type": "rooms", "language": language}
        case ToNobody(cause):
            return {"type": "reject", "cause": int(cause)}


def _route_from(stored: Mapping[str, Json]) -> InboundRoute | None:
    match stored:
        case {"type": "phone", "phone": str(phone)}:
            return ToPhone(phone)
        case {"type": "number", "number": str(number)}:
            return ToNumber(E164(number))
        case {"type": "announcement", "text": str(text), "sound": str(sound)}:
            voice = stored.get("voice")
            return ToAnnouncement(text, sound, voice if isinstance(voice, str) else None)
        case {"type": "hold"}:
            return ToHold()
        case {"type": "agent", "agent_id": str(agent_id)}:
            return ToAgent(agent_id)
        case {"type": "rooms"}:
            language = stored.get("language")
            return ToRooms(language if isinstance(language, str) else "en")
        case {"type": "reject", "cause": int(cause)}:
            return ToNobody(cause)
        case _:
            return None
