"""A trace run through the call machine: no director, no loop, no clock."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dialplan.core import facts, orders
from dialplan.core.call import Call, Ender, Rank, Role
from dialplan.core.heard import Heard, What, as_fact
from dialplan.core.machine import step
from dialplan.core.waits import next_deadline
from tools.trace_file import Input, Trace, heard_in

_PATIENCE_STEPS = 20


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that happens to the call. ``role`` is None for what is no leg's own (an input)."""

    at: float
    role: Role | None
    what: Heard | Input

    @property
    def dial(self) -> bool:
        """A DialBegin of one leg by the other: both legs' streams have it."""
        return isinstance(self.what, Heard) and self.what.what is What.DIALED and self.what.by is not None

    @property
    def originate_response(self) -> bool:
        return isinstance(self.what, Heard) and self.what.what is What.ORIGINATE_FAILED


def items(trace: Trace) -> list[Item]:
    """What happened, as it came in; an input comes after the messages that were complete by then."""
    told: list[tuple[int, int, Item]] = []
    for byte, at, role, heard in heard_in(trace.messages(), trace.beginning.channel):
        told.append((byte, 0, Item(at, role, heard)))
    told += [(given.byte, 1, Item(given.at, None, given)) for given in trace.inputs]
    return [item for _, _, item in sorted(told, key=lambda one: one[:2])]


def facts_of(call: Call, item: Item) -> list[facts.Fact]:
    """The facts that this item means for the call as it stands."""
    if isinstance(item.what, Heard):
        assert item.role is not None, "what was heard is of a leg"
        return [as_fact(item.what, item.role)]
    match item.what.what:
        case "asked":
            return [facts.Asked()]
        case "hangup":
            return [facts.HangupAsked(Ender.API, "hangup")]
        case "looked":
            gone = (leg for leg in (call.caller, call.callee) if leg.live and leg.rank is not Rank.NEW)
            return [facts.Vanished(leg.role, "switch_restarted") for leg in gone if leg.channel is not None]
    raise ValueError(f"no input is called {item.what.what!r}")


def play(
    call: Call, first: Sequence[orders.Order], happened: Iterable[Item]
) -> tuple[Call, list[orders.Order]]:
    """The call after all that happened, and everything that was ordered; time never goes back.

    Deadlines fire when they are due; a recording's file is finished as soon as that is ordered; at the
    end the switch stays silent until the call's own deadlines have closed it.
    """
    out = list(first)
    now = call.created_at
    for item in happened:
        now = max(now, item.at)
        call = _until(call, now, out)
        for fact in facts_of(call, item):
            call = _fold(call, fact, now, out)
    for _ in range(_PATIENCE_STEPS):
        at = next_deadline(call)
        if at is None:
            break
        now = max(now, at)
        call = _until(call, now, out)
    return call, out


def _until(call: Call, now: float, out: list[orders.Order]) -> Call:
    while (at := next_deadline(call)) is not None and at <= now:
        call = _fold(call, facts.TimerFired(), at, out)
    return call


def _fold(call: Call, fact: facts.Fact, now: float, out: list[orders.Order]) -> Call:
    call, more = step(call, fact, now)
    out.extend(more)
    for order in more:
        if isinstance(order, orders.FileTape):
            call = _fold(call, facts.TapeFiled(order.tape_id, ok=True), now, out)
    return call
