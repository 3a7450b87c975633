"""Callers of a director's desk who are taken elsewhere: what their tests share."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from dialplan.core import orders
from dialplan.core.call import AgentSocket, Connect
from dialplan.core.routing import Offered
from telephony.ids import CallId, ChannelId
from tests.unit.dialplan.desk import ALICE, CLI, A, Desk

B2 = ChannelId("pb-1.3")
AGENT = AgentSocket("WebSocket/patchbay/c(ulaw)nf(json)/0123456789abcdef", "agt_1")
TO_ALICE, TO_AGENT = Connect(ALICE, CLI), Connect(AGENT, CLI)
MOVED = Offered(A, "moved", "", "patchbay", "carrier")


def rerouting(desk: Desk, call_id: CallId, route: Connect = TO_ALICE) -> asyncio.Task[str]:
    return asyncio.create_task(desk.director.reroute(call_id, route, 20))


async def asks(desk: Desk, channel: ChannelId = A) -> object:
    """What the switch's question for this channel is answered with, within its budget."""
    async with asyncio.timeout(1.0):
        reply = await desk.director.answer(replace(MOVED, channel=channel))
    return reply.route if isinstance(reply, orders.Reply) else reply


async def ringing_elsewhere(desk: Desk, route: Connect = TO_ALICE) -> tuple[CallId, asyncio.Task[str]]:
    """A talking call whose caller was taken away; who it was taken to rings now."""
    call_id = await desk.inbound_talking()
    moving = rerouting(desk, call_id, route)
    await desk.settle()
    assert isinstance(await asks(desk), Connect)
    desk.switch.dial(B2, by=A)
    desk.switch.ring(B2)
    await desk.settle()
    return call_id, moving
