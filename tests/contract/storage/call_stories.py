"""Whole calls, as the store hears of them."""

from __future__ import annotations

from dialplan.core.record import cdr
from gateway.storage.calls import CallRepository
from tests.contract.storage.made_calls import T0, answered, completed, event, ringing, started


async def story(calls: CallRepository, n: int, **changes: object) -> None:
    """A call from its first ring to its CDR."""
    call = started(n, **changes)  # type: ignore[arg-type]
    await calls.append(call, [event(call, "call.initiated", T0)], None)
    call = ringing(call, T0 + 1)
    await calls.append(call, [event(call, "call.ringing", T0 + 1)], None)
    call = answered(call, T0 + 3)
    await calls.append(call, [event(call, "call.answered", T0 + 3)], None)
    call = completed(call, T0 + 63)
    await calls.append(call, [event(call, "call.completed", T0 + 63)], cdr(call))
