"""Calls for tests of the pure core, and a way to run facts through them."""

from __future__ import annotations

from collections.abc import Sequence

from dialplan.core import facts, orders
from dialplan.core.call import Call, Connect, Direction, HoldMusic, Leg, Rank, Role, Route, Terms, Trunk
from dialplan.core.machine import begin_inbound, begin_outbound, step
from telephony.ids import CallId, ChannelId, LegId, TenantId
from telephony.numbers import E164

NOW = 1_772_971_200.0
CALLER, CALLEE = Role.CALLER, Role.CALLEE
A, B = ChannelId("a-1"), ChannelId("b-1")
CLI = E164("+12025550100")
FAR = Trunk(E164("+14155550102"), "carrier")
TO_FAR = Connect(FAR, CLI)
HOLD = Connect(HoldMusic())


def new_call(direction: Direction, route: Route, *, record: bool = False, ring_timeout_s: int = 60) -> Call:
    outbound = direction is Direction.OUTBOUND
    return Call(
        id=CallId("call_00000000000000000000000001"),
        terms=Terms(
            TenantId("tnt_1"),
            direction,
            "+14155550101",
            "+12025550100",
            record=record,
            ring_timeout_s=ring_timeout_s,
        ),
        created_at=NOW,
        caller=Leg(LegId("leg_a"), CALLER, Rank.NEW if outbound else Rank.DIALING, A),
        callee=Leg(LegId("leg_b"), CALLEE),
        route=route,
    )


def outbound(route: Route = HOLD, **changes: object) -> Call:
    call = new_call(Direction.OUTBOUND, route, **changes)  # type: ignore[arg-type]
    return begin_outbound(call, Trunk(E164("+14155550101"), "carrier"), CLI)[0]


def inbound(route: Route = TO_FAR, **changes: object) -> Call:
    return begin_inbound(new_call(Direction.INBOUND, route, **changes), NOW)[0]  # type: ignore[arg-type]


def run(
    call: Call, *sequence: facts.Fact, at: float = NOW, every: float = 1.0
) -> tuple[Call, list[orders.Order]]:
    """The facts one after another, ``every`` seconds; the call and all that was ordered."""
    out: list[orders.Order] = []
    for number, fact in enumerate(sequence, 1):
        call, more = step(call, fact, at + number * every)
        out.extend(more)
    return call, out


def talking(**changes: object) -> Call:
    """An inbound call, connected, seven seconds old."""
    sequence = (
        facts.Dialed(CALLEE, B),
        facts.Rang(CALLEE),
        facts.Answered(CALLEE),
        facts.Answered(CALLER),
    )
    return run(inbound(**changes), *sequence)[0]  # type: ignore[arg-type]


def published(out: Sequence[orders.Order]) -> list[str]:
    return [order.type for order in out if isinstance(order, orders.Publish)]
