"""Every wait of a call and its deadline: no state waits for ever, even if the switch never speaks again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from dialplan.core.call import Call, Connect, Former, Gather, Later, Rank, Role


@dataclass(frozen=True, slots=True)
class Patience:
    """How long each wait may last, in seconds. ``backstop_s`` later the switch gives up by itself.

    ``gather_s`` is for a prompt and all digits together, ``prompt_s`` for a prompt on the way to a talk.
    """

    setup_s: float = 10.0
    ask_s: float = 5.0
    connect_s: float = 10.0
    answer_s: float = 10.0
    watchdog_s: float = 8.0
    move_s: float = 5.0
    verdict_s: float = 1.5
    linger_s: float = 2.0
    apology_s: float = 25.0
    gather_s: int = 90
    prompt_s: int = 120
    backstop_s: int = 5


PATIENCE = Patience()


class Wait(NamedTuple):
    """Something the call waits for, until when (epoch seconds), and for which leg."""

    name: str
    at: float
    role: Role


def _or(known: float | None, fallback: float) -> float:
    return fallback if known is None else known


def waits(call: Call, patience: Patience = PATIENCE) -> Iterator[Wait]:
    """Everything this call waits for. Empty only when it is closed."""
    if call.closed:
        return
    for leg in (call.caller, call.callee):
        if leg.live and leg.ending_at is not None:
            yield Wait("watchdog", leg.ending_at + patience.watchdog_s, leg.role)
        if leg.live and leg.refused_at is not None:
            yield Wait("verdict", leg.refused_at + patience.verdict_s, leg.role)
    if call.outbound and call.caller.rank is Rank.NEW and not call.caller.ending:
        yield Wait("setup", call.created_at + patience.setup_s, Role.CALLER)
    yield from _linger_waits(call, patience)
    if call.former:
        yield from _former_waits(call, patience)
    if call.ended_by is None:
        yield from _caller_waits(call, patience)
        yield from _callee_waits(call, patience)


def _linger_waits(call: Call, patience: Patience) -> Iterator[Wait]:
    """The end is decided, or one leg has gone: the switch takes the rest down by itself, or we do."""
    for leg, other in ((call.caller, call.callee), (call.callee, call.caller)):
        if not leg.live or leg.ending or leg.channel is None or leg.rank is Rank.NEW:
            continue
        if call.ending_at is not None:
            yield Wait("linger", call.ending_at + patience.linger_s, leg.role)
        elif not other.live and not (leg is call.caller and call.returned):
            yield Wait("linger", _or(other.ended_at, call.created_at) + patience.linger_s, leg.role)


def _former_waits(call: Call, patience: Patience) -> Iterator[Wait]:
    """Legs that were left end within moments of it, by themselves or by us."""
    for old in call.former:
        leg = old.leg
        if not leg.live or leg.channel is None:
            continue
        since = left_since(call, old)
        if leg.ending_at is not None:
            yield Wait("left_watchdog", leg.ending_at + patience.watchdog_s, Role.CALLEE)
        elif since is not None:
            yield Wait("left", since + patience.linger_s, Role.CALLEE)


def left_since(call: Call, old: Former) -> float | None:
    """Since when nothing can hold this leg any longer: it was left, or the call is ending."""
    known = (old.parted_at, call.ending_at, None if call.caller.live else call.caller.ended_at)
    return min((at for at in known if at is not None), default=None)


def _caller_waits(call: Call, patience: Patience) -> Iterator[Wait]:
    caller = call.caller
    if call.end_at is not None:
        yield Wait("arranged", call.end_at, Role.CALLER)
    if call.detour_at is not None and caller.live and not caller.ending:
        yield Wait("again", call.detour_at + detour_s(call, patience) + patience.ask_s, Role.CALLER)
    if call.move is not None and call.moving and caller.live:
        yield Wait("move", call.move.at + patience.move_s, Role.CALLER)
    if not call.callee.live and call.returned and not caller.ending:
        yield Wait("back", _or(call.callee.ended_at, call.created_at) + patience.ask_s, Role.CALLER)
    if call.talking_at is not None:
        yield Wait("max_duration", call.talking_at + call.terms.max_duration_s, Role.CALLER)
    if not call.outbound or not caller.live or caller.ending or caller.rank is Rank.NEW:
        return
    if caller.rank < Rank.UP:
        yield Wait("ring", _or(caller.dialed_at, call.created_at) + call.terms.ring_timeout_s, Role.CALLER)
    elif not call.asked and not call.moving and not call.on_detour:
        yield Wait("ask", _or(caller.answered_at, call.created_at) + patience.ask_s, Role.CALLER)


def _callee_waits(call: Call, patience: Patience) -> Iterator[Wait]:
    caller, callee = call.caller, call.callee
    if call.lost_at is not None and callee.rank is Rank.NEW:
        yield Wait("apology", call.lost_at + patience.apology_s, Role.CALLER)
        return
    if call.connected_at is None or not callee.live or callee.ending:
        return
    if callee.rank is Rank.NEW:
        told_s = patience.prompt_s if _prompts(call)[0] else 0
        yield Wait("connect", call.connected_at + told_s + patience.connect_s, Role.CALLEE)
    elif callee.rank < Rank.UP and call.virtual_callee:
        yield Wait("answer", call.connected_at + patience.answer_s, Role.CALLEE)
    elif callee.rank < Rank.UP:
        yield Wait("ring", _or(callee.dialed_at, call.connected_at) + call.ring_s, Role.CALLEE)
    elif caller.rank < Rank.UP:
        told_s = patience.prompt_s if _prompts(call)[1] else 0
        answered_at = _or(callee.answered_at, call.connected_at)
        yield Wait("answer", answered_at + told_s + patience.answer_s, Role.CALLER)


def _prompts(call: Call) -> tuple[str, str]:
    """What the caller hears before the far end is dialled, and what that hears before it is joined."""
    route = call.route
    return (route.caller_prompt, route.callee_prompt) if isinstance(route, Connect) else ("", "")


def detour_s(call: Call, patience: Patience = PATIENCE) -> int:
    """How long the call's detour may last, in seconds; 0 where its route is none."""
    match call.route:
        case Gather():
            return patience.gather_s
        case Later(wait_s=wait_s):
            return wait_s
    return 0


def all_s(call: Call, patience: Patience = PATIENCE) -> int:
    """How long the call may last from its answer on, prompts, ringing and talk together, in seconds."""
    terms = call.terms
    ring_s = 0 if call.virtual_callee else call.ring_s
    told_s = sum(patience.prompt_s for prompt in _prompts(call) if prompt)
    return told_s + ring_s + terms.max_duration_s


def next_deadline(call: Call, patience: Patience = PATIENCE) -> float | None:
    """When TimerFired is due next, in epoch seconds; None only for a closed call."""
    return min((wait.at for wait in waits(call, patience)), default=None)
