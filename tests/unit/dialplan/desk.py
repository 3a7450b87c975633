"""A director among fakes: what its tests share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count

from dialplan.core import orders
from dialplan.core.call import Announcement, Call, Connect, Endpoint, HoldMusic, Phone, Reject, Route, Trunk
from dialplan.core.orders import Originate
from dialplan.core.routing import Offered, RouteFacts
from dialplan.director import Director, Ports
from dialplan.fakes import FakeArchive, FakeEndings, FakeSwitch, FixedBook, MemoryCallStore
from dialplan.ports import PlaceCall
from telephony.ids import CallId, ChannelId, TenantId
from telephony.numbers import E164

EPOCH = 1_772_971_200.0
OURS = TenantId("tnt_1")
CLI = E164("+12025550100")
TO = E164("+14155550101")
FAR = Trunk(E164("+14155550102"), "carrier")
DID = "12025550100"
HOLD, ALICE = HoldMusic(), Phone("alice")
SPEECH = Announcement("var/hello", "Hello.")
A, B = ChannelId("pb-1.1"), ChannelId("pb-1.2")
OFFERED = Offered(A, DID, "+14155550103", "from-trunk", "carrier")
FINALS = {"call.completed", "call.failed", "call.busy", "call.no_answer", "call.cancelled"}


@dataclass(eq=False)
class Desk:
    """The director and its surroundings; ``settle`` lets everything that can happen now happen."""

    switch: FakeSwitch = field(default_factory=FakeSwitch)
    store: MemoryCallStore = field(default_factory=MemoryCallStore)
    archive: FakeArchive = field(default_factory=FakeArchive)
    endings: FakeEndings = field(default_factory=FakeEndings)
    route: Route | None = field(default_factory=lambda: Connect(FAR, CLI))
    record: bool = False
    ring_timeout_s: int = 30
    max_duration_s: int = 3600
    numbers: count[int] = field(default_factory=lambda: count(1))
    director: Director = field(init=False)
    book: FixedBook = field(init=False)

    def __post_init__(self) -> None:
        self.open()

    def open(self) -> Director:
        """A director on the same surroundings: the first, or the one after a crash."""
        tenant = None if self.route is None else OURS
        self.book = FixedBook(
            RouteFacts(
                tenant,
                self.route,
                record=self.record,
                ring_timeout_s=self.ring_timeout_s,
                max_duration_s=self.max_duration_s,
            )
        )
        self.director = Director(
            Ports(
                switch=self.switch,
                store=self.store,
                book=self.book,
                archive=self.archive,
                endings=self.endings,
                now=self.now,
                new_id=lambda prefix: f"{prefix}_{next(self.numbers):026d}",
                trunk_for=lambda _: "carrier",
            )
        )
        self.switch.tell = self.director.hear
        return self.director

    def now(self) -> float:
        return EPOCH + asyncio.get_running_loop().time()

    async def crash(self) -> Director:
        """The gateway dies and comes back: judges gone, store and switch as they were."""
        await self.director.stop()
        director = self.open()
        await director.adopt()
        return director

    # ------------------------------------------------------------ calls

    async def place(self, far: Endpoint = HOLD, **changes: object) -> Call:
        wanted = PlaceCall(OURS, "key_1", TO, CLI, far, **changes)  # type: ignore[arg-type]
        return await self.director.place(wanted)

    async def dialled(self, far: Endpoint = HOLD, **changes: object) -> tuple[Call, ChannelId]:
        """A placed call whose originate the switch has taken, and its channel."""
        call = await self.place(far, **changes)
        channel = channel_of(call)
        await self.settle()
        self.switch.dial(channel)
        await self.settle()
        return call, channel

    async def talking(self, far: Endpoint = HOLD, **changes: object) -> tuple[Call, ChannelId]:
        """A placed call whose caller has answered, asked and been answered."""
        call, channel = await self.dialled(far, **changes)
        self.switch.ring(channel)
        self.switch.answer(channel)
        assert isinstance(await self.ask(channel), orders.Reply)
        await self.settle()
        return call, channel

    async def ask(self, channel: ChannelId, dialled: str = "outbound") -> orders.Reply | int:
        """The switch's question for this channel, within its budget."""
        async with asyncio.timeout(1.0):
            return await self.director.answer(Offered(channel, dialled, "", "patchbay", "carrier"))

    async def offered(self) -> CallId:
        """An inbound call on channel A whose question was answered with a route."""
        self.switch.exist(A)
        reply = await self.director.answer(OFFERED)
        assert isinstance(reply, orders.Reply), reply
        return reply.call_id

    async def inbound_talking(self) -> CallId:
        """An inbound call, connected: A talks to B."""
        call_id = await self.offered()
        self.switch.dial(B, by=A)
        self.switch.ring(B)
        self.switch.answer(B)
        self.switch.answer(A)
        await self.settle()
        return call_id

    async def settle(self) -> None:
        """Let everything that is ready run; no time passes."""
        for _ in range(30):
            await asyncio.sleep(0)

    async def pass_time(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self.settle()

    # ------------------------------------------------------------ what became of it

    def finals(self, call_id: CallId) -> list[str]:
        return [type_ for type_ in self.store.types(call_id) if type_ in FINALS]

    def ended(self, call_id: CallId) -> tuple[str, str]:
        """Status and termination, after checking that there is one terminal event and one CDR."""
        call = self.store.get(call_id)
        assert self.finals(call_id) == [f"call.{call.status}"]
        sequences = [event.sequence for event in self.store.events[call_id]]
        assert sequences == list(range(1, len(sequences) + 1))
        assert self.store.cdrs[call_id].call.status is call.status
        assert self.director.live(call_id) is None
        assert self.director.live_calls(OURS) == self.open_lives()
        return str(call.status), str(call.termination)

    def open_lives(self) -> int:
        return len(self.director._lives)

    def leftovers(self) -> dict[str, int]:
        """What the director still holds in memory, except the bounded memory of ended channels."""
        d = self.director
        held = {
            "lives": d._lives,
            "places": d._places,
            "channels": d._channels,
            "early": d._early,
            "questions": d._questions,
            "background": d._background,
        }
        return {name: len(what) for name, what in held.items() if what} | (
            {"open": d.live_calls(OURS)} if d.live_calls(OURS) else {}
        )


@asynccontextmanager
async def open_desk(**changes: object) -> AsyncIterator[Desk]:
    """A desk for one test; its director is stopped at the end."""
    desk = Desk(**changes)  # type: ignore[arg-type]
    try:
        yield desk
    finally:
        await desk.director.stop()


def channel_of(call: Call) -> ChannelId:
    assert call.caller.channel is not None
    return call.caller.channel


def when_originated(desk: Desk, then: Callable[[ChannelId], None]) -> None:
    """Play ``then`` on the channel of every originate, as soon as the order was carried out."""

    def on_order(order: object) -> None:
        if isinstance(order, Originate):
            asyncio.get_running_loop().call_soon(then, order.channel)

    desk.switch.on_order = on_order


__all__ = [
    "ALICE",
    "CLI",
    "DID",
    "EPOCH",
    "FAR",
    "FINALS",
    "HOLD",
    "OFFERED",
    "OURS",
    "SPEECH",
    "TO",
    "A",
    "B",
    "Desk",
    "Reject",
    "channel_of",
    "open_desk",
    "when_originated",
]
