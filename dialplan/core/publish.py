"""Numbering of what the world hears about a call."""

from __future__ import annotations

from dialplan.core.call import Call
from dialplan.core.evolve import replace
from dialplan.core.orders import Order, Publish


def publish(
    call: Call, type_: str, at: float, detail: tuple[tuple[str, str], ...] = ()
) -> tuple[Call, tuple[Order, ...]]:
    """The call with its sequence advanced, and the order that tells the world."""
    call = replace(call, sequence=call.sequence + 1)
    return call, (Publish(call.sequence, type_, at, detail),)
