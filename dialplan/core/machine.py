"""The call machine: ``step(call, fact, now) -> (call, orders)``.

Ranks, not a strict table: a fact lifts its leg to its rank if that is higher, otherwise it is late,
counted, and changes nothing. After every fact the joint rules run to a fixed point. Every state that
waits has a deadline (``waits``), so a call ends even if the switch never speaks again.
"""

from __future__ import annotations

from dialplan.core import answering, facts, in_rooms, moving, orders, outcome, rules, tapes
from dialplan.core.call import (
    Announcement,
    Call,
    Connect,
    Ender,
    Endpoint,
    Gather,
    Later,
    Leg,
    Rank,
    Reject,
    Role,
)
from dialplan.core.ending import arrange, end
from dialplan.core.evolve import replace
from dialplan.core.publish import publish
from dialplan.core.waits import PATIENCE, Patience, Wait, waits
from telephony.causes import Cause
from telephony.numbers import E164

Step = tuple[Call, tuple[orders.Order, ...]]


# ---------------------------------------------------------------- beginnings


def begin_outbound(call: Call, endpoint: Endpoint, cli: E164) -> Step:
    """First step of a call that we originate: tell the world, then ring the caller leg."""
    channel = call.caller.channel
    assert channel is not None, "an originated leg's channel id is chosen by us"
    call, told = publish(call, "call.initiated", call.created_at)
    backstop = call.terms.ring_timeout_s + PATIENCE.backstop_s
    return call, (*told, orders.Originate(channel, endpoint, cli, backstop))


def begin_inbound(call: Call, now: float) -> Step:
    """First step of a call that came in: its question has been asked and its route is known."""
    call, told = publish(call, "call.initiated", call.created_at)
    call, more = settle(replace(call, asked=True), now)
    return call, (*told, *more)


# ---------------------------------------------------------------- the step


_TAPE_FACTS = (facts.TapeAsked, facts.TapeTurned, facts.TapeFiled)


def step(call: Call, fact: facts.Fact, now: float, patience: Patience = PATIENCE) -> Step:
    """Fold one fact into the call. Pure and total: any fact in any state is answered."""
    if isinstance(fact, _TAPE_FACTS):
        return tapes.turn(call, fact, now)
    if call.closed:
        return replace(call, late_facts=call.late_facts + 1), _orphan(call, fact)
    before = call
    extra: tuple[orders.Order, ...] = ()
    match fact:
        case facts.TimerFired():
            call, extra = _expire(call, now, patience)
        case facts.HangupAsked(why=why, after_s=after_s) if after_s > 0:
            call = arrange(call, why, now + after_s)
        case facts.HangupAsked(by=by, why=why):
            call = end(call, by, why, now)
            if by is Ender.API and call.subject.rank < Rank.UP:
                call = replace(call, cancel_asked=True)
        case facts.AnswerLost():
            call = answering.answer_lost(moving.made(call, now), now, patience)
        case facts.Asked():
            # Only an answered caller that we dialled, or have moved, gets to ask: the question is evidence.
            if call.outbound or call.moving:
                call = moving.made(call.with_leg(_answer(call.caller, now)), now)
                call = replace(call, asked=True)
        case facts.Routed(route=route, terms=terms):
            call = answering.go_on(call, route, terms, now)
        case facts.Reroute():
            call, extra = moving.begin_move(call, fact, now)
        case facts.RoomEntered():
            call, extra = in_rooms.entered(call, fact, now)
        case facts.Unmoved():
            call, extra = moving.undone(call, now)
        case _:
            extra = _orphan(call, fact)
            call = _lift(call, fact, now)
    if (call is before or call == before) and not isinstance(fact, facts.TimerFired):
        call = replace(call, late_facts=call.late_facts + 1)
    call, more = settle(call, now)
    return call, (*extra, *more)


def _orphan(call: Call, fact: facts.Fact) -> tuple[orders.Order, ...]:
    """A channel that appears for a leg that is over must not live on."""
    if not isinstance(fact, facts.Dialed) or fact.channel is None:
        return ()
    leg = call.leg(fact.role)
    unwanted = not leg.live
    if fact.role is Role.CALLEE:
        past = call.virtual_callee or moving.of_the_past(call, fact)
        unwanted = past or (unwanted and not call.returned)
    if unwanted and leg.channel != fact.channel:
        return (orders.Hangup(fact.role, fact.channel, Cause.NORMAL_CLEARING),)
    return ()


_CHANNEL_FACTS = (facts.Rang, facts.Answered, facts.EndRequested, facts.HungUp, facts.SeenLive)


def _lift(call: Call, fact: facts.Fact, now: float) -> Call:
    """Apply a fact about one leg. Only a leg with a channel can ring, answer or hang up."""
    left = moving.former_at(call, fact) if call.former else None
    if left is not None:
        return moving.fold_former(call, left, fact, now)
    if isinstance(fact, _CHANNEL_FACTS) and call.leg(fact.role).channel is None:
        return call
    if call.former and moving.of_a_stranger(call, fact):
        return call
    match fact:
        case facts.Dialed(role=role, channel=channel):
            if moving.of_the_past(call, fact):
                return call
            call = moving.dialled_anew(call, fact, now)
            leg = call.leg(role)
            if leg.rank >= Rank.DIALING or (role is Role.CALLEE and call.virtual_callee):
                return call
            leg = replace(leg, rank=Rank.DIALING, channel=channel or leg.channel, dialed_at=now)
            return answering.joined(call.with_leg(leg), role, now)
        case facts.Rang(role=role):
            leg = call.leg(role)
            if leg.rank >= Rank.RINGING:
                return call
            return call.with_leg(
                replace(leg, rank=Rank.RINGING, rang_at=now, dialed_at=_first(leg.dialed_at, now))
            )
        case facts.Answered(role=role):
            return call.with_leg(_answer(call.leg(role), now))
        case facts.SeenLive(role=role, up=up):
            return _seen(call, call.leg(role), up, now)
        case facts.EndRequested() | facts.HungUp() | facts.Vanished():
            return _over(call, fact, now)
        case facts.OriginateFailed() | facts.OrderFailed():
            return _refused(call, fact, now)
    return call


def _over(call: Call, fact: facts.EndRequested | facts.HungUp | facts.Vanished, now: float) -> Call:
    """A leg's end: asked for by its party, reported by the switch, or found out later."""
    match fact:
        case facts.EndRequested(role=role, cause=cause, sip=sip):
            # A refused INVITE also "requests" the end; only an answered party hangs up.
            leg = call.leg(role)
            if role is Role.CALLER and call.lost_at is not None:
                return end(call, Ender.GATEWAY, "answer_too_late", now)
            if leg.rank is Rank.UP:
                return end(call, Ender.CALLER if role is Role.CALLER else Ender.CALLEE, "hangup", now)
            if role is Role.CALLER and not call.outbound:
                return end(call, Ender.CALLER, "caller_gave_up", now)
            # Dial() may drop a refused channel before its cause is set: this is then the only word of it,
            # and may come after the channel's end.
            hint = leg.sip is None and not leg.cause
            return call.with_leg(replace(leg, cause=cause, sip=sip)) if hint else call
        case facts.HungUp(role=role, cause=cause, sip=sip):
            return _hung_up(call, call.leg(role), cause, sip, now)
        case facts.Vanished(role=role, why=why, cause=cause, answered=answered):
            leg = call.leg(role)
            if not leg.live:
                return call
            if answered:
                leg = _answer(leg, now)
            if cause is not None:
                return call.with_leg(replace(leg, rank=Rank.ENDED, ended_at=now, cause=cause))
            call = call.with_leg(replace(leg, rank=Rank.ENDED, ended_at=now, lost=why))
            return end(call, Ender.SWITCH, why, now)


def _refused(call: Call, fact: facts.OriginateFailed | facts.OrderFailed, now: float) -> Call:
    """The switch said no: to the attempt (its true cause may still come), or to the order itself."""
    match fact:
        case facts.OriginateFailed(reason=why) if call.outbound:
            leg = call.caller
            if not leg.live or leg.rank is Rank.UP or leg.refused_at is not None:
                return call
            return call.with_leg(replace(leg, refused_at=now, refused_why=why))
        case facts.OrderFailed(role=role, reason=why):
            leg = call.leg(role)
            if leg.rank is not Rank.NEW:
                return call
            call = call.with_leg(replace(leg, rank=Rank.ENDED, ended_at=now, lost=why))
            return end(call, Ender.GATEWAY, why, now)
    return call


def _first(known: float | None, now: float) -> float:
    return now if known is None else known


def _answer(leg: Leg, now: float) -> Leg:
    if leg.rank >= Rank.UP:
        return leg
    return replace(leg, rank=Rank.UP, answered_at=now, dialed_at=_first(leg.dialed_at, now))


def _seen(call: Call, leg: Leg, up: bool, now: float) -> Call:
    """A look found the channel: lift the leg, and let an ordered hang-up be ordered again."""
    if not leg.live:
        return call
    seen = _answer(leg, now) if up else leg
    if seen.rank is Rank.NEW:
        seen = replace(seen, rank=Rank.DIALING, dialed_at=now)
    return call.with_leg(replace(seen, ending_at=None))


def _hung_up(call: Call, leg: Leg, cause: int | None, sip: int | None, now: float) -> Call:
    if not leg.live:
        return call
    cause, sip = cause or leg.cause or cause, sip or leg.sip
    call = call.with_leg(replace(leg, rank=Rank.ENDED, ended_at=now, cause=cause, sip=sip))
    if leg.role is Role.CALLER and call.ended_by is None and cause != Cause.REQUESTED_CHANNEL_UNAVAILABLE:
        route = call.route
        if call.lost_at is not None:
            return end(call, Ender.GATEWAY, "answer_too_late", now)
        if isinstance(route, Connect) and isinstance(route.endpoint, Announcement) and leg.rank is Rank.UP:
            return end(call, Ender.GATEWAY, "announcement_finished", now)
        if isinstance(route, Reject) and (not call.outbound or call.former):
            return end(call, Ender.GATEWAY, route.reason, now)
    return call


# ---------------------------------------------------------------- deadlines


def _expire(call: Call, now: float, patience: Patience) -> Step:
    told: tuple[orders.Order, ...] = ()
    for wait in sorted((w for w in waits(call, patience) if w.at <= now), key=lambda w: w.at):
        call, more = _overdue(call, wait, now, patience)
        told += more
    return call, told


def _overdue(call: Call, wait: Wait, now: float, patience: Patience) -> Step:
    leg = call.leg(wait.role)
    match wait.name:
        case "left" | "left_watchdog":
            return moving.overdue_former(call, now, patience)
        case "move" if (undone := moving.move_overdue(call, now)) is not None:
            return undone
        case "watchdog":
            return call.with_leg(replace(leg, rank=Rank.ENDED, ended_at=now, lost="watchdog")), ()
        case "verdict":
            ended = replace(leg, rank=Rank.ENDED, ended_at=now, lost=leg.refused_why)
            return call.with_leg(ended), ()
        case "ring":
            if leg.role is Role.CALLEE and call.asks_on:
                call = call.with_leg(replace(leg, refused_why=moving.RING_TIMEOUT))
            elif leg is call.subject:
                call = replace(call, ring_expired=True)
            elif call.ended_by is None:
                call = end(call, Ender.GATEWAY, "connect_no_answer", now)
            return _hang_up(call, call.leg(wait.role), Cause.NO_ANSWER, now)
        case "linger":
            return _hang_up(call, leg, outcome.cause_towards(call, wait.role), now)
        case "arranged":
            return end(call, Ender.GATEWAY, call.end_why or "unclassified", now), ()
        case "setup":
            call = end(call, Ender.GATEWAY, "switch_silent", now)
            return _hang_up(call, leg, Cause.NORMAL_CLEARING, now)
        case name:
            return end(call, Ender.GATEWAY, _OVERDUE_REASON[name], now), ()


_OVERDUE_REASON = {
    "ask": "question_not_asked",
    "again": "question_not_asked",
    "back": "question_not_asked",
    "move": "question_not_asked",
    "connect": "connect_not_started",
    "answer": "answer_not_reported",
    "apology": "answer_too_late",
    "max_duration": "max_duration",
}


def _hang_up(call: Call, leg: Leg, cause: int, now: float) -> Step:
    """Order the end of one leg, once."""
    if not leg.live or leg.ending or leg.channel is None:
        return call, ()
    return call.with_leg(replace(leg, ending_at=now)), (orders.Hangup(leg.role, leg.channel, cause),)


# ---------------------------------------------------------------- joint rules


def settle(call: Call, now: float) -> Step:
    """Run the joint rules until nothing changes, then say what changed to the world."""
    out: list[orders.Order] = []
    joint = JOINT_RULES if call.former or call.move is not None else _OF_UNMOVED
    while True:
        for rule in joint:
            changed, more = rule(call, now)
            if more or (changed is not call and changed != call):
                call = changed
                out.extend(more)
                break
        else:
            return call, tuple(out)


def _reply(call: Call, now: float) -> Step:
    """The caller asked and the route is known: answer the question, once."""
    if not call.asked or call.connected_at is not None or call.route is None or not call.caller.live:
        return call, ()
    route = call.route
    if call.ended_by is not None:
        route = Reject(Cause.NORMAL_CLEARING, "ending")
    if isinstance(route, Gather | Later):
        return answering.send_round(call, route, now)
    call = replace(call, connected_at=now)
    tape_id = ""
    if isinstance(route, Connect) and call.terms.record and not call.tapes:
        call, tape_id = tapes.load(call)
    if call.callee.rank is Rank.NEW and isinstance(route, Reject):
        call = call.with_leg(replace(call.callee, rank=Rank.ENDED, ended_at=now))
    elif call.callee.rank is Rank.NEW and call.virtual_callee:
        call = call.with_leg(replace(call.callee, rank=Rank.DIALING, dialed_at=now))
    return call, (answering.last_reply(call, route, tape_id),)


def _ending(call: Call, now: float) -> Step:
    """The call shall end: hang up every leg whose channel is known to exist, once each."""
    if call.ended_by in (None, Ender.CALLER, Ender.CALLEE):
        return call, ()  # Asterisk's Dial() takes the other leg down; `linger` is the backstop.
    if call.ending_at is not None and now < call.ending_at:
        return call, ()  # The switch is telling the caller why; `linger` runs from then on.
    out: tuple[orders.Order, ...] = ()
    for role in (Role.CALLEE, Role.CALLER):
        leg = call.leg(role)
        if leg.rank in (Rank.DIALING, Rank.RINGING, Rank.UP):
            call, more = _hang_up(call, leg, outcome.cause_towards(call, role), now)
            out += more
    return call, out


def _close(call: Call, now: float) -> Step:
    """All legs have ended: one terminal event, one CDR."""
    if call.closed or call.caller.live or call.callee.live:
        return call, ()
    if any(old.leg.live for old in call.former):
        return call, ()
    call, stopped = tapes.stop_at_end(call, now)
    call = outcome.judge(call, now)
    call, told = publish(call, f"call.{call.status}", now)
    return call, (*stopped, *told, orders.CloseCall())


JOINT_RULES = (
    rules.statuses,
    _reply,
    rules.virtual_callee,
    rules.talking,
    rules.callee_never_was,
    moving.left_without_channel,
    moving.moved,
    _ending,
    _close,
)
_OF_UNMOVED = tuple(rule for rule in JOINT_RULES if rule not in (moving.left_without_channel, moving.moved))
"""Most calls are never moved, and every rule costs."""
