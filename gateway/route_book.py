"""Where inbound calls go, answered from memory: every owned number and its route.

Fits ``dialplan.ports.RouteBook``. The book is filled from storage at start and whenever a number changes;
a question never waits for a database.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import structlog

from dialplan.core.call import (
    AgentSocket,
    Announcement,
    Call,
    Connect,
    HoldMusic,
    Phone,
    Reject,
    Route,
    Trunk,
    VideoRoom,
)
from dialplan.core.routing import Offered, RouteFacts
from gateway.storage.records import Json, OwnedNumber
from telephony.causes import Cause
from telephony.errors import InvalidInput
from telephony.ids import TenantId
from telephony.numbers import E164

_log = structlog.get_logger("gateway.routes")

_NAME = re.compile(r"[A-Za-z0-9_-]{1,79}")
_AGENT = re.compile(r"agt_[0-9A-Za-z]{1,60}")
_LANGUAGE = re.compile(r"[a-z]{2,3}(?:-[A-Z]{2})?")

REJECT_CAUSES = {
    "busy": Cause.USER_BUSY,
    "rejected": Cause.CALL_REJECTED,
    "unallocated": Cause.UNALLOCATED,
    "congestion": Cause.CONGESTION,
}


@dataclass(frozen=True, slots=True)
class RouteDefaults:
    """What a route does not say itself. Durations in seconds."""

    trunk_for: Callable[[E164], str]
    ring_timeout_s: int = 30
    max_duration_s: int = 3600


class NumberRoutes:
    """The book. ``replace`` swaps its whole content; a look-up is one dictionary access."""

    def __init__(self, defaults: RouteDefaults) -> None:
        self._defaults = defaults
        self._by_digits: dict[str, RouteFacts] = {}

    def __len__(self) -> int:
        return len(self._by_digits)

    def replace(self, numbers: Iterable[OwnedNumber]) -> None:
        """Take these numbers, and only these. A route that cannot be read rejects; the others stand."""
        book: dict[str, RouteFacts] = {}
        for number in numbers:
            book[number.number.reveal().lstrip("+")] = self._facts(number)
        self._by_digits = book

    async def facts_for(self, offered: Offered) -> RouteFacts:
        """Whose number was dialled and where it leads; no tenant where nobody owns it. Never waits."""
        return self.known(offered)

    async def go_on(self, offered: Offered, call: Call, digits: str) -> RouteFacts:
        """No route of this book is a detour: whoever asks again hears what the number's route is now."""
        return self.known(offered)

    def room_lines(self, tenant: TenantId) -> tuple[str, ...]:
        """The tenant's dial-in numbers for video rooms, E.164."""
        found = (
            facts.did.reveal()
            for facts in self._by_digits.values()
            if facts.tenant == tenant
            and facts.did is not None
            and isinstance(facts.route, Connect)
            and isinstance(facts.route.endpoint, VideoRoom)
        )
        return tuple(sorted(found))

    def known(self, offered: Offered) -> RouteFacts:
        """The answer to both, at once."""
        known = self._by_digits.get(offered.dialled.lstrip("+"))
        return known if known is not None else RouteFacts(tenant=None, route=None)

    def _facts(self, number: OwnedNumber) -> RouteFacts:
        defaults, raw = self._defaults, number.route or {}
        webhook = raw.get("webhook_url")
        return RouteFacts(
            tenant=number.tenant,
            route=self._read(number, raw),
            did=number.number,
            record=raw.get("record") is True,
            webhook_url=webhook if isinstance(webhook, str) else None,
            ring_timeout_s=_seconds(raw.get("ring_timeout"), defaults.ring_timeout_s),
            max_duration_s=_seconds(raw.get("max_duration"), defaults.max_duration_s),
        )

    def _read(self, number: OwnedNumber, raw: Mapping[str, Json]) -> Route:
        try:
            return read_route(raw, number.number, self._defaults.trunk_for)
        except (InvalidInput, KeyError, TypeError, ValueError):
            _log.error("route.unreadable", number_id=number.id)
            return Reject(Cause.TEMPORARY_FAILURE, "route_unreadable")


def read_route(raw: Mapping[str, Json], did: E164, trunk_for: Callable[[E164], str]) -> Route:
    """A stored route as the core knows it. A number without a route refuses, and says so.

    Raises InvalidInput, KeyError, TypeError or ValueError where the stored form makes no sense.
    """
    match raw.get("type"):
        case None:
            return Reject(Cause.UNALLOCATED, "no_route")
        case "phone":
            return Connect(Phone(_name(raw["phone"])))
        case "number":
            number = E164(str(raw["number"]))
            return Connect(Trunk(number, trunk_for(number)), did)
        case "announcement":
            return Connect(Announcement(str(raw["sound"]), str(raw.get("text", ""))))
        case "hold":
            return Connect(HoldMusic())
        case "agent":
            return Connect(AgentSocket("", _agent(raw["agent_id"])))
        case "rooms":
            return Connect(VideoRoom("", language=_language(raw.get("language", "en"))))
        case "reject":
            cause = raw["cause"]
            code = REJECT_CAUSES[cause] if isinstance(cause, str) else int(str(cause))
            if not 1 <= code <= 127:
                raise ValueError("not a cause of Q.850")
            return Reject(code, "rejected_by_route")
        case kind:
            raise ValueError(f"no route of type {kind!r}")


def _name(value: Json) -> str:
    """A phone's configured name; what has more than a name in it would be a dial string."""
    if not isinstance(value, str) or _NAME.fullmatch(value) is None:
        raise ValueError("not the name of a phone")
    return value


def _agent(value: Json) -> str:
    """An agent's id; how it is dialled, ``gateway.agent_routes`` says."""
    if not isinstance(value, str) or _AGENT.fullmatch(value) is None:
        raise ValueError("not the id of an agent")
    return value


def _language(value: Json) -> str:
    """A language's tag; which room is dialled and how, ``gateway.room_routes`` says."""
    if not isinstance(value, str) or _LANGUAGE.fullmatch(value) is None:
        raise ValueError("not a language")
    return value


def _seconds(value: Json, default: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else default
