"""What a new call is made from: an order to place one, or a channel that arrived. Ids and time are given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dialplan import reconcile
from dialplan.core.call import Call, Direction, Endpoint, Leg, Phone, Rank, Reject, Role, Route, Terms, Trunk
from dialplan.core.evolve import replace
from dialplan.core.routing import Offered, RouteFacts
from dialplan.lines import TRUNK_FULL
from dialplan.ports import PlaceCall
from telephony.causes import Cause
from telephony.ids import CallId, ChannelId, LegId, TenantId
from telephony.numbers import E164

FROM_PHONE = "from-phone"
"""The dialplan context that calls of our own phones enter."""
FROM_TRUNK = "from-trunk"
"""The dialplan context that calls from outside enter."""


@dataclass(frozen=True, slots=True)
class Makers:
    """Where a new call's ids, time and trunk come from."""

    new_id: Callable[[str], str]
    now: Callable[[], float]
    trunk_for: Callable[[E164], str]


def outbound(wanted: PlaceCall, makers: Makers) -> tuple[Call, Endpoint]:
    """The call that somebody wants placed, and what is rung first."""
    leg_id = makers.new_id("leg")
    to = wanted.to
    first = Trunk(to, makers.trunk_for(to)) if isinstance(to, E164) else to
    far_end = wanted.far_end
    if isinstance(far_end, Trunk) and not far_end.trunk:
        far_end = Trunk(far_end.number, makers.trunk_for(far_end.number))
    terms = Terms(
        tenant=wanted.tenant,
        direction=Direction.OUTBOUND,
        to_number=wanted.called,
        from_number=wanted.cli.reveal(),
        ring_timeout_s=wanted.ring_timeout_s,
        max_duration_s=wanted.max_duration_s,
        record=wanted.record,
        agent_id=wanted.agent_id,
        agent_version=wanted.agent_version,
        webhook_url=wanted.webhook_url,
        metadata=wanted.metadata,
        api_key_id=wanted.api_key_id,
        session_id=wanted.session_id,
        to_seat=wanted.to_seat,
        private=wanted.session_id is not None,
    )
    line = first.trunk if isinstance(first, Trunk) else first.name if isinstance(first, Phone) else ""
    call = Call(
        id=wanted.call_id or CallId(makers.new_id("call")),
        terms=terms,
        created_at=makers.now(),
        caller=Leg(LegId(leg_id), Role.CALLER, Rank.NEW, ChannelId(leg_id), line=line),
        callee=Leg(LegId(makers.new_id("leg")), Role.CALLEE),
        route=reconcile.connect_to(far_end, wanted.cli),
    )
    return call, first


def inbound(offered: Offered, known: RouteFacts, tenant: TenantId, route: Route, makers: Makers) -> Call:
    """The call that a channel brings, to a number that this tenant owns."""
    caller = f"phone:{offered.line}" if offered.door == FROM_PHONE else offered.caller
    terms = Terms(
        tenant=tenant,
        direction=Direction.INBOUND,
        to_number=offered.dialled,
        from_number=caller,
        ring_timeout_s=known.ring_timeout_s,
        max_duration_s=known.max_duration_s,
        record=known.record and not isinstance(route, Reject),
        webhook_url=known.webhook_url,
        session_id=known.session_id,
        seat=known.seat,
        to_seat=known.to_seat,
        private=known.private,
        agent_id=known.agent_id,
        agent_version=known.agent_version,
    )
    legs = LegId(makers.new_id("leg")), LegId(makers.new_id("leg"))
    return Call(
        id=known.call_id or CallId(makers.new_id("call")),
        terms=terms,
        created_at=makers.now(),
        caller=Leg(legs[0], Role.CALLER, Rank.DIALING, offered.channel, line=offered.line),
        callee=Leg(legs[1], Role.CALLEE),
        route=route,
    )


def offered_again(call: Call) -> Offered:
    """How the call of a caller who is back from a detour was offered at first."""
    caller, line = call.caller, call.caller.line
    assert caller.channel is not None, "a caller who asks has a channel"
    known = call.terms.from_number
    if known.startswith("phone:"):
        return Offered(caller.channel, call.terms.to_number, "", FROM_PHONE, line)
    return Offered(caller.channel, call.terms.to_number, known, FROM_TRUNK, line)


def going_on(call: Call, known: RouteFacts) -> Call:
    """The call with what the book says after a detour: its route, and the terms that depend on it. One that
    we placed, or that has reached somebody or tried to, keeps its terms."""
    route = known.route
    if known.tenant != call.terms.tenant or route is None:
        route = Reject(Cause.UNALLOCATED, "no_route")
    if call.outbound or call.former or call.returned:
        return replace(call, route=route)
    terms = replace(
        call.terms,
        ring_timeout_s=known.ring_timeout_s,
        max_duration_s=known.max_duration_s,
        record=known.record and not isinstance(route, Reject),
        webhook_url=known.webhook_url or call.terms.webhook_url,
        session_id=known.session_id,
        seat=known.seat,
        to_seat=known.to_seat,
        private=known.private or call.terms.private,
        agent_id=known.agent_id or call.terms.agent_id,
        agent_version=known.agent_version or call.terms.agent_version,
    )
    return replace(call, route=route, terms=terms)


def refused_for_want_of_lines(call: Call) -> Call:
    """The same call, turned away: a trunk that it needs is full."""
    route = Reject(Cause.CONGESTION, TRUNK_FULL)
    return replace(call, route=route, terms=replace(call.terms, record=False))


def cause_for_nobodys(offered: Offered) -> Cause:
    """Why a number that nobody owns is refused: a phone may not call out by itself, others are lost."""
    return Cause.CALL_REJECTED if offered.door == FROM_PHONE else Cause.UNALLOCATED
