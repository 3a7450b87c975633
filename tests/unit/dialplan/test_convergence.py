"""Whatever is lost, late or said twice: one call, one end, and the end that it really had.

A call lives in a made-up switch. What that says may be delivered late (each channel's own words in order),
twice, or be lost with the link; the gateway may die. After the link's return the gateway looks, as it
does in earnest, at the live channels and the switch's own records.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from dialplan.core import orders
from dialplan.core.call import Endpoint
from dialplan.core.heard import Heard, What
from dialplan.ports import Ending
from telephony.ids import CallId, ChannelId
from tests.unit.dialplan.desk import FAR, HOLD, A, B, Desk, channel_of
from tests.unit.dialplan.virtual_time import VirtualLoop

pytestmark = pytest.mark.unit


class World(RuleBasedStateMachine):
    """``said``: what the switch said and nobody heard yet, by channel."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner(loop_factory=VirtualLoop)
        self.said: defaultdict[ChannelId, list[Heard]] = defaultdict(list)
        self.heard: list[Heard] = []
        self.linked = True
        self.up: set[ChannelId] = set()
        self.ringing: set[ChannelId] = set()
        self.answered_at: float | None = None
        self.asked = self.cancelled = self.caller_left = False
        self.truth = ""
        self.time_left = 1.2

    def teardown(self) -> None:
        try:
            if hasattr(self, "call_id"):
                self.finish()
        finally:
            if hasattr(self, "desk"):
                self.runner.run(self.desk.director.stop())
            self.runner.close()

    # ------------------------------------------------------------ beginnings

    @initialize(far=st.sampled_from([None, FAR, HOLD]))
    def begin(self, far: Endpoint | None) -> None:
        self.outbound, self.far = far is not None, far or FAR
        self.runner.run(self._begin())

    async def _begin(self) -> None:
        self.desk = Desk()
        self.switch = self.desk.switch
        self._listen()
        if self.outbound:
            call = await self.desk.place(self.far)
            self.call_id, self.caller = call.id, channel_of(call)
            await self.desk.settle()
            self.switch.dial(self.caller)
        else:
            self.call_id, self.caller = CallId(await self.desk.offered()), A
            self.switch.dial(B, by=A)
        self.subject = self.caller if self.outbound else B

    def _listen(self) -> None:
        self.switch.tell = self._say

    def _say(self, heard: Heard) -> None:
        if self.linked:
            self.said[heard.channel].append(heard)
        if heard.what is What.HUNG_UP and heard.channel == self.caller:
            up = self.answered_at is not None
            cause = 16 if up else heard.cause
            left = self.caller_left and not up  # the record's disposition is then CANCEL
            ending = Ending(heard.channel, self.answered_at, self.desk.now(), cause, joined=up, left=left)
            self.desk.endings.add(ending)
            if self._live(B):  # Dial() does not outlive its caller
                self.switch.end(B, 16)

    def _settle(self) -> None:
        self.runner.run(self.desk.settle())

    # ------------------------------------------------------------ what really happens

    def _live(self, channel: ChannelId) -> bool:
        return channel in self.switch.channels

    @precondition(lambda self: self._live(self.subject) and self.subject not in self.up | self.ringing)
    @rule()
    def rings(self) -> None:
        self.ringing.add(self.subject)
        self.switch.ring(self.subject)

    @precondition(lambda self: self._live(self.subject) and self.subject not in self.up)
    @rule()
    def answers(self) -> None:
        self.runner.run(self._answers())

    async def _answers(self) -> None:
        self.answered_at = self.desk.now()
        self.truth = "completed"
        for channel in (self.subject, self.caller):
            if channel not in self.up:
                self.up.add(channel)
                self.switch.answer(channel)

    @precondition(lambda self: self.outbound and self._live(self.caller) and self.caller in self.up)
    @precondition(lambda self: not self.asked)
    @rule()
    def asks(self) -> None:
        self.asked = True
        self.runner.run(self._asks())

    async def _asks(self) -> None:
        reply = await self.desk.ask(self.caller)
        joins = isinstance(reply, orders.Reply) and reply.route == getattr(self, "route", reply.route)
        if joins and self.far is FAR and not self.cancelled:
            self.switch.dial(B, by=self.caller)

    @precondition(lambda self: self.outbound and self._live(B) and B not in self.up)
    @rule()
    def the_second_person_answers(self) -> None:
        self.up.add(B)
        self.runner.run(self._say_up(B))

    async def _say_up(self, channel: ChannelId) -> None:
        self.switch.answer(channel)

    @precondition(lambda self: self._live(self.subject) and self.subject not in self.up)
    @rule()
    def refuses(self) -> None:
        self.truth = self.truth or ("cancelled" if self.cancelled else "busy")
        self.runner.run(self._ends([self.subject, self.caller], 17, 486))

    @precondition(lambda self: self._live(self.caller) and (not self.outbound or self.caller in self.up))
    @rule()
    def the_caller_hangs_up(self) -> None:
        self.truth = self.truth or "cancelled"
        self._caller_leaves()

    def _caller_leaves(self) -> None:
        self.caller_left = True
        self.switch.say(Heard(What.END_REQUESTED, self.caller))
        self.runner.run(self._ends([B, self.caller], 16))

    @precondition(lambda self: self._live(B) and B in self.up)
    @rule()
    def the_callee_hangs_up(self) -> None:
        self.switch.say(Heard(What.END_REQUESTED, B))
        self.runner.run(self._ends([B, self.caller], 16))

    async def _ends(self, channels: list[ChannelId], cause: int, sip: int | None = None) -> None:
        for channel in dict.fromkeys(channels):
            if self._live(channel):
                self.switch.end(channel, cause, sip if channel == self.subject else None)

    @precondition(lambda self: not self.cancelled and self._live(self.caller))
    @rule()
    def the_api_hangs_up(self) -> None:
        self.cancelled = True
        self.truth = self.truth or "cancelled"
        self.runner.run(self.desk.director.hang_up(self.call_id, patience_s=0.0))
        self._settle()

    # ------------------------------------------------------------ what is heard of it

    @precondition(lambda self: self.linked and any(self.said.values()))
    @rule(pick=st.integers(0, 9), count=st.integers(1, 3))
    def delivers(self, pick: int, count: int) -> None:
        self.runner.run(self._deliver(pick, count))

    async def _deliver(self, pick: int, count: int) -> None:
        waiting = [channel for channel, said in self.said.items() if said]
        channel = waiting[pick % len(waiting)]
        if channel == self.caller and self.said[B] and self.said[B][0].what is What.DIALED:
            channel = B  # a DialBegin is of both legs: nothing of the caller overtakes it
        said = self.said[channel]
        for heard in said[:count]:
            self.desk.director.hear(heard)
            self.heard.append(heard)
        del said[:count]
        await self.desk.settle()

    @precondition(lambda self: self.linked and self.heard)
    @rule(pick=st.integers(0, 99))
    def repeats(self, pick: int) -> None:
        self.runner.run(self._repeat(self.heard[pick % len(self.heard)]))

    async def _repeat(self, heard: Heard) -> None:
        self.desk.director.hear(heard)
        await self.desk.settle()

    @precondition(lambda self: self.linked)
    @rule()
    def the_link_breaks(self) -> None:
        self.linked = False
        self.said.clear()

    @precondition(lambda self: not self.linked)
    @rule()
    def the_link_returns(self) -> None:
        self.runner.run(self._look())

    async def _look(self) -> None:
        self.linked = True
        await self.desk.director.look(restarted=False)
        await self.desk.settle()

    @rule()
    def the_gateway_dies_and_returns(self) -> None:
        self.linked = False
        self.said.clear()
        self.runner.run(self._crash())

    async def _crash(self) -> None:
        await self.desk.crash()
        self._listen()
        await self._look()

    @precondition(lambda self: self.time_left > 0)
    @rule()
    def time_passes(self) -> None:
        self.time_left -= 0.3
        self.runner.run(self.desk.pass_time(0.3))

    # ------------------------------------------------------------ the end

    def finish(self) -> None:
        if self._live(self.caller):
            self.truth = self.truth or ("cancelled" if self.cancelled or not self.outbound else "busy")
            if self.outbound and self.caller not in self.up:
                self.runner.run(self._ends([self.caller], 17, 486))
            else:
                self._caller_leaves()
        if not self.linked:
            self.runner.run(self._look())
        while any(self.said.values()):
            self.runner.run(self._deliver(0, 9))
        self.runner.run(self.desk.pass_time(40))
        status, _ = self.desk.ended(self.call_id)
        assert status == self.truth, self.desk.store.get(self.call_id)
        assert len(self.desk.store.cdrs) == 1
        assert self.switch.channels == {}


TestConvergence = World.TestCase
TestConvergence.settings = settings(
    max_examples=150,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
