"""A caller taken from one callee to another while the call goes on, and far ends that are left behind.

The switch is told to take the caller's channel away (``Redirect``); then it comes to ask where to, as an
answered call does, and is told the new route. What it leaves, its Dial() hangs up by itself. A far end that
does not answer in such a call, or an agent that does not, is left behind too: the switch asks on.
"""

from __future__ import annotations

from dialplan.core import facts, orders
from dialplan.core.call import (
    AgentSocket,
    Call,
    Connect,
    Endpoint,
    Former,
    Leg,
    Move,
    Rank,
    Role,
)
from dialplan.core.evolve import replace
from dialplan.core.publish import publish
from dialplan.core.waits import Patience, left_since
from telephony.causes import CallStatus, Cause, verdict
from telephony.ids import LegId

Step = tuple[Call, tuple[orders.Order, ...]]

MOST_MOVES = 16
"""How often one call may be taken elsewhere."""
MOST_FORMER = 32
"""How many callees one call may leave behind, those that did not answer included."""


def why_not(call: Call) -> str | None:
    """Why the caller of this call cannot be taken elsewhere now; None where it can."""
    if call.closed or call.ended_by is not None or call.caller.rank is not Rank.UP or call.caller.ending:
        return "the call is not in progress"
    if call.connected_at is None or not isinstance(call.route, Connect) or call.lost_at is not None:
        return "the call is on its way to somebody already"
    if call.move is not None and call.move.outcome is None:
        return "the call is on its way to somebody already"
    if not call.callee.live or call.callee.ending:
        return "the far end has just left"
    return "the call was moved too often" if call.moves >= MOST_MOVES else None


def begin_move(call: Call, fact: facts.Reroute, now: float) -> Step:
    """Order the caller away from its callee; the answer to the switch's next question is the new route."""
    channel = call.caller.channel
    if why_not(call) is not None or channel is None:
        return call, ()
    assert isinstance(call.route, Connect), "why_not has looked"
    assert call.connected_at is not None, "why_not has looked"
    fresh = _fresh(call)
    move = Move(call.moves + 1, fact.why, now, fresh.id, call.route, call.connected_at)
    left = Former(call.callee, call.route.endpoint, fact.why)
    call = replace(call, former=(*call.former, left), move=move)
    call = replace(call, route=fact.route, callee=fresh, connected_at=None, asked=False)
    return call, (orders.Redirect(channel),)


def _fresh(call: Call) -> Leg:
    """The next callee's leg: ``leg_…-2`` after ``leg_…``."""
    first = call.former[0].leg if call.former else call.callee
    return Leg(LegId(f"{first.id}-{len(call.former) + 2}"), Role.CALLEE)


def made(call: Call, now: float) -> Call:
    """The switch asks where to: the caller has left its callee."""
    if not call.moving or call.move is None:
        return call
    call = replace(call, move=replace(call.move, made=True))
    last = len(call.former) - 1
    return call.with_former(last, replace(call.former[last], parted_at=now))


def undone(call: Call, now: float) -> Step:
    """The caller was not taken away: everything is as it was."""
    if not call.moving or call.move is None:
        return call, ()
    *before, left = call.former
    move = call.move
    call = replace(call, former=tuple(before), callee=left.leg)
    call = replace(call, route=move.left, connected_at=move.joined_at, asked=True)
    return _tell(call, move, "timeout", now)


def move_overdue(call: Call, now: float) -> Step | None:
    """Nobody came to ask in time. Who was left and lives was not left; None where it is gone, too."""
    return undone(call, now) if call.former[-1].leg.live else None


def leave_behind(call: Call, now: float) -> Call:
    """The far end did not answer, and the switch asks on: its leg is the call's no longer."""
    assert isinstance(call.route, Connect), "somebody was dialled"
    callee = call.callee
    if callee.live and callee.channel is None:
        callee = replace(callee, rank=Rank.ENDED, ended_at=now)
    left = Former(callee, call.route.endpoint, "", now)
    return replace(call, former=(*call.former, left), callee=_fresh(call), connected_at=None, asked=False)


def dialled_anew(call: Call, fact: facts.Dialed, now: float) -> Call:
    """The caller's channel dials one after another: who was dialled before did not answer, though we have
    not heard of that, or not of our own answer to it."""
    channel, callee = fact.channel, call.callee
    again = channel is not None and callee.channel not in (None, channel)
    if fact.role is Role.CALLER or not again or not call.returned:
        return call
    at = call.connected_at
    return replace(leave_behind(call, now), connected_at=at, asked=True)


def of_the_past(call: Call, fact: facts.Fact) -> bool:
    """Whether this is a channel that the call has left, or one that was dialled before its last answer."""
    if not call.former or not isinstance(fact, facts.Dialed) or fact.role is Role.CALLER:
        return False
    return call.connected_at is None or former_at(call, fact) is not None


def of_a_stranger(call: Call, fact: facts.Fact) -> bool:
    """Whether this is about a channel that was never the call's, or only for a moment."""
    channel, role = getattr(fact, "channel", None), getattr(fact, "role", None)
    if channel is None or role is None or isinstance(fact, facts.Dialed):
        return False
    return bool(call.leg_at(channel, role).channel != channel)


# ---------------------------------------------------------------- legs that were left


def former_at(call: Call, fact: facts.Fact) -> int | None:
    """Which of the legs that were left this fact is about; None where it is about none of them."""
    channel = getattr(fact, "channel", None)
    if channel is None or getattr(fact, "role", None) is not Role.CALLEE:
        return None
    found = (at for at, old in enumerate(call.former) if old.leg.channel == channel)
    return next(found, None)


def fold_former(call: Call, at: int, fact: facts.Fact, now: float) -> Call:
    """A leg that was left is heard of: it only ends, and that ends nothing else."""
    old = call.former[at]
    leg = old.leg
    match fact:
        case facts.EndRequested(cause=cause, sip=sip) if leg.answered_at is None and not leg.cause:
            leg = replace(leg, cause=cause, sip=sip)
        case facts.HungUp(cause=cause, sip=sip) if leg.live:
            cause, sip = cause or leg.cause or cause, sip or leg.sip
            leg = replace(leg, rank=Rank.ENDED, ended_at=now, cause=cause, sip=sip)
        case facts.Vanished(why=why, cause=cause) if leg.live:
            lost = why if cause is None else None
            leg = replace(leg, rank=Rank.ENDED, ended_at=now, cause=cause or leg.cause, lost=lost)
        case facts.SeenLive() if leg.live:
            leg = replace(leg, ending_at=None)
    return call if leg == old.leg else call.with_former(at, replace(old, leg=leg))


def overdue_former(call: Call, now: float, patience: Patience) -> Step:
    """Hang up what was left and lives on; count as ended what was hung up and says nothing."""
    out: list[orders.Order] = []
    for at, old in enumerate(call.former):
        leg, since, channel = old.leg, left_since(call, old), old.leg.channel
        if not leg.live or channel is None:
            continue
        if leg.ending_at is not None and leg.ending_at + patience.watchdog_s <= now:
            leg = replace(leg, rank=Rank.ENDED, ended_at=now, lost="watchdog")
        elif leg.ending_at is None and since is not None and since + patience.linger_s <= now:
            out.append(orders.Hangup(Role.CALLEE, channel, Cause.NORMAL_CLEARING))
            leg = replace(leg, ending_at=now)
        call = call.with_former(at, replace(old, leg=leg))
    return call, tuple(out)


# ---------------------------------------------------------------- joint rules


def left_without_channel(call: Call, now: float) -> Step:
    """A prompt or hold music that the caller has left is over, and so is one whose caller is gone."""
    for at, old in enumerate(call.former):
        over = old.parted_at is not None or not call.caller.live
        if over and old.leg.live and old.leg.channel is None:
            leg = replace(old.leg, rank=Rank.ENDED, ended_at=now)
            return call.with_former(at, replace(old, leg=leg)), ()
    return call, ()


def moved(call: Call, now: float) -> Step:
    """What became of the latest order to take the caller elsewhere, told once."""
    move = call.move
    if move is None or call.closed:
        return call, ()
    outcome = _outcome(call, move) if move.outcome is None else None
    return (call, ()) if outcome is None else _tell(call, move, outcome, now)


def _tell(call: Call, move: Move, outcome: str, now: float) -> Step:
    call = replace(call, move=replace(move, outcome=outcome))
    what = "completed" if outcome == "completed" else "failed"
    return publish(call, f"call.transfer_{what}", now, (("why", move.why), ("outcome", outcome)))


def _outcome(call: Call, move: Move) -> str | None:
    old = next((old for old in call.former if old.leg.id == move.leg), None)
    leg = call.callee if old is None else old.leg
    if move.made and leg.id == move.leg and leg.answered_at is not None:
        return "completed"
    if call.ended_by is not None or not call.caller.live:
        return "ended"
    if not move.made or leg.id != move.leg or leg.live:
        return None
    endpoint = old.endpoint if old is not None else _endpoint(call)
    return outcome_of(leg, endpoint)


def _endpoint(call: Call) -> Endpoint | None:
    return call.route.endpoint if isinstance(call.route, Connect) else None


_BY_STATUS = {CallStatus.BUSY: "busy", CallStatus.NO_ANSWER: "no_answer"}
_SAID_NO = {"declined", "forbidden", "redirected"}


def outcome_of(leg: Leg, endpoint: Endpoint | None) -> str:
    """What dialling this far end came to, in the words of ``Move.outcome``."""
    if leg.answered_at is not None:
        return "completed"
    if isinstance(endpoint, AgentSocket):
        return "agent_unavailable"
    if leg.refused_why == RING_TIMEOUT:
        return "no_answer"
    found = verdict(leg.cause, leg.sip, rang=leg.rang_at is not None)
    if found.termination.reason in _SAID_NO:
        return "declined"
    if found.termination.reason == "unclassified" and leg.rang_at is not None:
        return "no_answer"
    return _BY_STATUS.get(found.status, "invalid")


RING_TIMEOUT = "ring_timeout"
"""Why a far end was hung up that had not answered in time, where its call goes on."""
