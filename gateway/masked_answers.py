"""What the switch is told about a call to a proxy number: who is dialled, what is asked, what is played.

What a caller hears who is not let through, as Q.850 causes:

    why                                                    stranger   participant, without a sound for it
    no session, wrong PIN, closed or expired session,
    blocked, too many attempts, place on the ladder lost   21         (is a stranger)
    direction_not_allowed, channel_not_allowed             21         21 call rejected
    loop, emergency_number                                 21         21 call rejected
    same_party                                             21         17 user busy
    nobody_to_reach                                        21         20 subscriber absent
    no_trunk                                               21         3 no route to destination

A stranger always hears the same one; the reason beside it is for the tenant's records alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from dialplan.core.call import (
    AgentSocket,
    Announcement,
    Connect,
    Endpoint,
    Gather,
    Later,
    Phone,
    Reject,
    Route,
    Trunk,
)
from dialplan.core.routing import RouteFacts
from proxy_pool.core.ladder import Progress, Rung
from proxy_pool.core.number import PoolNumber
from proxy_pool.core.party import AgentParty, PhoneParty
from proxy_pool.core.reach import Reached, Refusal
from proxy_pool.core.session import Session
from telephony.causes import Cause
from telephony.numbers import E164

PROMPT_TEXTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "ask_pin": "Please enter your PIN, then press the hash key.",
        "ask_extension": "Please enter the extension, then press the hash key.",
        "wrong_again": "That was not right. Please try again, then press the hash key.",
        "unavailable": "The person you are calling cannot be reached at the moment.",
    }
)
"""What the fields of ``MaskingPrompts`` say."""
DIGITS_MAX: Final = 10
"""The longest PIN; everybody may type as many, so that the question tells nothing of its answer."""
DIGITS_TIMEOUT_S: Final = 6
ANNOUNCEMENT_MAX_S: Final = 300
NO_TRUNK: Final = "no_trunk"
CAUSES: Final[Mapping[str, Cause]] = MappingProxyType(
    {
        Refusal.SAME_PARTY: Cause.USER_BUSY,
        Refusal.NOBODY: Cause.SUBSCRIBER_ABSENT,
        NO_TRUNK: Cause.NO_ROUTE,
    }
)
"""Where the cause is not 21, call rejected."""


@dataclass(frozen=True, slots=True)
class MaskingPrompts:
    """Sounds by name, as the switch knows them; spoken from ``PROMPT_TEXTS``.

    ``refusals`` has a sound for a reason (``Refusal``), played to participants who are not let through;
    ``unavailable`` is for the other reasons. Where both are empty they hear a cause.
    """

    ask_pin: str
    ask_extension: str
    wrong_again: str
    unavailable: str = ""
    refusals: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answers:
    """Makes them. ``trunk_for`` names the trunk that a number is called over, "" where there is none."""

    prompts: MaskingPrompts
    trunk_for: Callable[[E164], str]

    def connected(self, number: PoolNumber, session: Session, way: Reached) -> RouteFacts | None:
        """Join the caller with the other party of the session; None where no trunk leads there."""
        endpoint = self._endpoint(way)
        if endpoint is None:
            return None
        return RouteFacts(
            tenant=number.tenant,
            route=Connect(endpoint, way.cli, way.caller_prompt, way.callee_prompt, way.warn_s),
            did=number.number,
            record=way.record,
            webhook_url=session.webhook_url,
            ring_timeout_s=way.ring_s,
            max_duration_s=way.max_s,
            session_id=session.id,
            seat=way.seat,
            to_seat=way.to_seat,
            private=True,
        )

    def _endpoint(self, way: Reached) -> Endpoint | None:
        if isinstance(way.target, PhoneParty):
            return Phone(way.target.name)
        if isinstance(way.target, AgentParty):
            return AgentSocket("", way.target.agent_id)  # how it is dialled, ``gateway.agent_routes`` says
        trunk = self.trunk_for(way.target)
        return Trunk(way.target, trunk) if trunk else None

    def refused(self, number: PoolNumber, session: Session, seat: int, reason: str) -> RouteFacts:
        """Tell a participant that this cannot be."""
        sound = self.prompts.refusals.get(reason) or self.prompts.unavailable
        route: Route = Reject(int(CAUSES.get(reason, Cause.CALL_REJECTED)), reason)
        if sound:
            route = Connect(Announcement(sound))
        return replace(
            _plain(number, route), session_id=session.id, seat=seat, webhook_url=session.webhook_url
        )

    def turned_away(self, number: PoolNumber, why: str) -> RouteFacts:
        """The one thing that strangers hear, whatever the reason."""
        return _plain(number, Reject(int(Cause.CALL_REJECTED), why))

    def question(self, number: PoolNumber, progress: Progress) -> RouteFacts:
        """Ask for digits."""
        first = self.prompts.ask_extension if progress.rung is Rung.EXTENSION else self.prompts.ask_pin
        prompt = self.prompts.wrong_again if progress.again else first
        return _plain(number, Gather(prompt, DIGITS_MAX, DIGITS_TIMEOUT_S))

    def later(self, number: PoolNumber, wait_s: int) -> RouteFacts:
        """Let the caller wait."""
        return _plain(number, Later(wait_s))

    def fallback(self, number: PoolNumber, to: E164) -> RouteFacts | None:
        """Dial the service's number for strangers; None where it cannot be dialled."""
        trunk = self.trunk_for(to)
        return _plain(number, Connect(Trunk(to, trunk), number.number)) if trunk else None

    def said(self, number: PoolNumber, sound: str) -> RouteFacts:
        """Play a sound, then end the call."""
        return replace(_plain(number, Connect(Announcement(sound))), max_duration_s=ANNOUNCEMENT_MAX_S)


def _plain(number: PoolNumber, route: Route) -> RouteFacts:
    return RouteFacts(tenant=number.tenant, route=route, did=number.number, private=True)
