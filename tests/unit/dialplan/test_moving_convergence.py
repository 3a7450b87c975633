"""A caller who is taken elsewhere in a made-up switch whose words come late, twice or never: one end, the one
that it really had, and no channel that lives on.

What the switch says is delivered late (each channel's own words in order), repeated, or lost with the link;
the gateway may die at any moment. The switch's questions come at once, or late, as those of a busy machine.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from dialplan.core import orders
from dialplan.core.call import AgentSocket, Connect, Rank, Reject
from dialplan.core.heard import Heard, What
from dialplan.core.routing import Offered, RouteFacts
from dialplan.ports import Ending
from telephony.errors import Conflict, NotFound, OutcomeUnknown
from telephony.ids import ChannelId
from tests.unit.dialplan.desk import ALICE, CLI, OURS, A, B, Desk
from tests.unit.dialplan.virtual_time import VirtualLoop

pytestmark = pytest.mark.unit

AGENT = Connect(AgentSocket("WebSocket/patchbay/c(ulaw)nf(json)/0123456789abcdef", "agt_1"), CLI)
MOVED = Offered(A, "moved", "", "patchbay", "carrier")


class World(RuleBasedStateMachine):
    """``with_``: the channel that the caller's dials, or talks with; ``asking``: the switch's next question
    is due."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner(loop_factory=VirtualLoop)
        self.said: defaultdict[ChannelId, list[Heard]] = defaultdict(list)
        self.heard: list[Heard] = []
        self.linked = True
        self.with_: ChannelId | None = B
        self.up = True
        self.asking = False
        self.made = 2
        self.redirects = 0
        self.moves: list[asyncio.Task[str]] = []
        self.time_left = 3.0

    def teardown(self) -> None:
        try:
            if hasattr(self, "call_id"):
                self.finish()
        finally:
            if hasattr(self, "desk"):
                self.runner.run(self.desk.director.stop())
            self.runner.close()

    @initialize(refusals=st.booleans())
    def begin(self, refusals: bool) -> None:
        self.next = Reject(34, "agent_unavailable") if refusals else AGENT
        self.runner.run(self._begin())

    async def _begin(self) -> None:
        self.desk = Desk()
        self.switch = self.desk.switch
        self.call_id = await self.desk.inbound_talking()
        self._listen()

    def _listen(self) -> None:
        self.switch.tell = self._say
        self.desk.book.then.append(RouteFacts(OURS, self.next))

    def _say(self, heard: Heard) -> None:
        if self.linked:
            self.said[heard.channel].append(heard)
        if heard.what is What.HUNG_UP and heard.channel == A:
            now = self.desk.now()
            self.desk.endings.add(Ending(A, now - 1, now, 16))
            self.asking = False
            if self.with_ is not None and self._live(self.with_):
                self.switch.end(self.with_)  # Dial() does not outlive its caller
        elif heard.what is What.HUNG_UP and heard.channel == self.with_:
            self._lost_its_callee()

    def _lost_its_callee(self) -> None:
        answered, self.with_ = self.up, None
        redirects = len(self.switch.ordered(orders.Redirect))
        taken_away, self.redirects = redirects > self.redirects, redirects
        if not self._live(A) or self.asking:
            return
        if answered and not taken_away:
            self.switch.end(A)
        else:
            self.asking = True

    def _live(self, channel: ChannelId) -> bool:
        return channel in self.switch.channels

    def _settle(self) -> None:
        self.runner.run(self.desk.settle())

    # ------------------------------------------------------------ what happens

    @precondition(lambda self: self._live(A) and len(self.moves) < 3)
    @rule(lost=st.sampled_from([None, True, False]))
    def moves_away(self, lost: bool | None) -> None:
        if lost is not None:
            self.switch.fail("redirect", OutcomeUnknown(), carried_out=lost)
        self.runner.run(self._moves())
        self.switch._faults["redirect"].clear()

    async def _moves(self) -> None:
        self.moves.append(
            asyncio.create_task(self.desk.director.reroute(self.call_id, Connect(ALICE, CLI), 20))
        )
        await self.desk.settle()

    @precondition(lambda self: self.asking)
    @rule()
    def asks(self) -> None:
        self.runner.run(self._asks())

    async def _asks(self) -> None:
        self.asking = False
        reply = await self.desk.director.answer(MOVED)
        if not self._live(A):
            return
        if isinstance(reply, orders.Reply) and isinstance(reply.route, Connect):
            self.made += 1
            self.with_, self.up = ChannelId(f"pb-1.{self.made}"), False
            self.switch.dial(self.with_, by=A)
        else:
            self.switch.end(A, 34)

    @precondition(lambda self: self.with_ is not None and not self.up and self._live(A))
    @rule(answers=st.booleans())
    def the_new_one(self, answers: bool) -> None:
        self.runner.run(self._the_new_one(answers))

    async def _the_new_one(self, answers: bool) -> None:
        assert self.with_ is not None
        if answers:
            self.up = True
            self.switch.answer(self.with_)
        else:
            self.switch.end(self.with_, 17, 486)

    @precondition(lambda self: self._live(A))
    @rule(caller=st.booleans())
    def hangs_up(self, caller: bool) -> None:
        if caller:
            self.runner.run(self._leaves(A))
        elif self.with_ is not None and self.up:
            self.runner.run(self._leaves(self.with_))

    async def _leaves(self, channel: ChannelId) -> None:
        self.switch.far_end_hangs_up(channel)

    # ------------------------------------------------------------ what is known of it

    @precondition(lambda self: any(self.said.values()))
    @rule(pick=st.integers(0, 9), count=st.integers(1, 3))
    def is_told(self, pick: int, count: int) -> None:
        channels = [channel for channel, said in self.said.items() if said]
        self._deliver(channels[pick % len(channels)], count)

    def _deliver(self, channel: ChannelId, count: int) -> None:
        for heard in self.said[channel][:count]:
            self.runner.run(self._hears(heard))
        del self.said[channel][:count]

    async def _hears(self, heard: Heard) -> None:
        self.desk.director.hear(heard)
        self.heard.append(heard)
        await self.desk.settle()

    @precondition(lambda self: self.linked and self.heard)
    @rule(pick=st.integers(0, 99))
    def repeats(self, pick: int) -> None:
        self.runner.run(self._hears(self.heard[pick % len(self.heard)]))

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
        for move in self.moves:
            move.cancel()
        await self.desk.crash()
        self._listen()
        await self._look()

    @precondition(lambda self: self.time_left > 0)
    @rule()
    def time_passes(self) -> None:
        self.time_left -= 0.5
        self.runner.run(self.desk.pass_time(0.5))

    # ------------------------------------------------------------ the end

    def finish(self) -> None:
        if not self.linked:
            self.runner.run(self._look())
        for _ in range(40):
            for channel in [channel for channel, said in self.said.items() if said]:
                self._deliver(channel, 9)
            if self.asking:
                self.asks()
            elif self._live(A) and not any(self.said.values()):
                self.runner.run(self._leaves(A))
        self.runner.run(self.desk.pass_time(40))
        status, _ = self.desk.ended(self.call_id)
        assert status == "completed"
        assert len(self.desk.store.cdrs) == 1
        assert self.switch.channels == {}
        call = self.desk.store.get(self.call_id)
        assert all(leg.rank is Rank.ENDED for leg in call.legs)
        assert call.move is None or call.move.outcome is not None
        outcomes = self.runner.run(self._outcomes())
        assert all(one is None or isinstance(one, str | Conflict | NotFound) for one in outcomes)
        assert self.desk.leftovers().keys() <= {"early"}

    async def _outcomes(self) -> list[object]:
        done = await asyncio.gather(*self.moves, return_exceptions=True)
        return [None if isinstance(one, asyncio.CancelledError) else one for one in done]


TestMovingConvergence = World.TestCase
TestMovingConvergence.settings = settings(
    max_examples=120,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
