"""Answers to the routing question: the last one, a detour before it, and what becomes of one that is lost."""

from __future__ import annotations

from dialplan.core import moving, orders
from dialplan.core.call import (
    MOST_DETOURS,
    Call,
    Connect,
    Ender,
    Gather,
    Later,
    Rank,
    Reject,
    Role,
    Route,
    Terms,
)
from dialplan.core.ending import end
from dialplan.core.evolve import replace
from dialplan.core.waits import PATIENCE, Patience, all_s, detour_s
from telephony.causes import Cause

Step = tuple[Call, tuple[orders.Order, ...]]


def last_reply(call: Call, route: Connect | Reject, tape_id: str) -> orders.Reply:
    """The last answer. The number of a private call's caller does not go along, whatever the route shows."""
    terms, backstop_s = call.terms, PATIENCE.backstop_s
    warn_s = route.warn_s if isinstance(route, Connect) else 0
    warned = 0 < warn_s < terms.max_duration_s
    return orders.Reply(
        call.id,
        route,
        call.ring_s + backstop_s,
        all_s(call) + backstop_s,
        tape_id,
        "" if terms.private else terms.from_number,
        terms.max_duration_s + backstop_s if warned else 0,
        warn_s + backstop_s if warned else 0,
        again=call.asks_on and isinstance(route, Connect),
    )


def send_round(call: Call, route: Gather | Later, now: float) -> Step:
    """A detour: the switch does this with the caller, then asks again."""
    call = replace(call, asked=False, detours=call.detours + 1, detour_at=now)
    step_s = route.timeout_s if isinstance(route, Gather) else route.wait_s
    most_s = detour_s(call) + round(PATIENCE.ask_s) + PATIENCE.backstop_s
    return call, (orders.Reply(call.id, route, step_s, most_s),)


def go_on(call: Call, route: Route, terms: Terms, now: float) -> Call:
    """The caller is back from its detour, or from a far end that did not answer. What was private stays so;
    nobody is sent round for ever."""
    if call.returned:
        call = moving.leave_behind(call, now)
    elif not call.on_detour or not call.caller.live:
        return call
    if isinstance(route, Gather | Later) and call.detours >= MOST_DETOURS * (1 + len(call.former)):
        route = Reject(Cause.TEMPORARY_FAILURE, "too_many_questions")
    if isinstance(route, Connect) and len(call.former) >= moving.MOST_FORMER:
        route = Reject(Cause.TEMPORARY_FAILURE, "too_many_far_ends")
    terms = replace(terms, private=terms.private or call.terms.private)
    return replace(call, route=route, terms=terms, asked=True, detour_at=None)


def answer_lost(call: Call, now: float, patience: Patience) -> Call:
    """The switch joins the caller by itself, or says why not and ends it; we hang up if it does neither."""
    if not call.caller.live or call.callee.channel is not None or call.lost_at is not None:
        return call
    call = replace(call, lost_at=now, detour_at=None)
    if call.callee.rank is Rank.NEW:
        return call
    call = end(call, Ender.GATEWAY, "answer_too_late", now + patience.apology_s)
    return call.with_leg(replace(call.callee, rank=Rank.ENDED, ended_at=now, lost="answer_too_late"))


def joined(call: Call, role: Role, now: float) -> Call:
    """Where somebody is dialled though our answer was lost, the dialplan's fallback did it by itself."""
    if role is Role.CALLER or (call.lost_at is None and not call.on_detour):
        return call
    return replace(
        call,
        connected_at=now if call.connected_at is None else call.connected_at,
        detour_at=None,
        lost_at=None,
    )
