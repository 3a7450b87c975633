"""Golden traces of the real switch: replayed whole, cut at every byte, and with the legs interleaved."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from itertools import count

import pytest

from dialplan.ami.message import Message, MessageStream
from dialplan.core import orders as o
from dialplan.core.call import Call, Connect
from dialplan.core.heard import Heard
from dialplan.core.routing import Offered, RouteFacts
from dialplan.director import Director, Ports
from dialplan.fakes import FakeArchive, FakeEndings, FakeSwitch, FixedBook, MemoryCallStore, SwitchOrder
from dialplan.ports import PlaceCall
from telephony.errors import StorageUnavailable
from telephony.ids import ChannelId, TenantId
from telephony.numbers import E164
from tests.unit.dialplan.interleavings import orders, with_one_repeated
from tests.unit.dialplan.virtual_time import in_virtual_time
from tools.replay import Item, items, play
from tools.trace_file import Trace, heard_in, load, names, order_name
from tools.trace_scenarios import SCENARIOS

pytestmark = pytest.mark.unit

TENANT = TenantId("tnt_1")
FINALS = {"call.completed", "call.failed", "call.busy", "call.no_answer", "call.cancelled"}
EACH = pytest.mark.parametrize("trace", [load(name) for name in names()], ids=lambda trace: trace.name)


def test_every_scenario_has_its_trace_and_ends_as_it_should() -> None:
    assert names() == sorted(scenario.name for scenario in SCENARIOS)
    for scenario in SCENARIOS:
        trace = load(scenario.name)
        assert f"{trace.status} {trace.termination}" == scenario.ends
        assert trace.ended_by == scenario.ended_by


@EACH
def test_a_trace_holds_nothing_but_the_call(trace: Trace) -> None:
    text = trace.stream.decode("ascii")
    for number in re.findall(r"\+?\d{10,}(?![.\d])", text):
        assert re.fullmatch(r"\+1(415|202)55501\d\d", number), number
    assert not re.search(r"(?i)secret|password|/home|/tmp|/var/", text)
    assert text.startswith("Asterisk Call Manager/")


# ---------------------------------------------------------------- whole


@EACH
def test_the_bytes_mean_these_facts(trace: Trace) -> None:
    heard = heard_in(trace.messages(), trace.beginning.channel)
    assert tuple((said.what.value, role.value) for _, _, role, said in heard) == trace.facts


@EACH
def test_the_machine_comes_to_the_recorded_end(trace: Trace) -> None:
    call, first = trace.beginning.call()
    after, out = play(call, first, items(trace))
    assert (after.status, str(after.termination), after.ended_by) == (
        trace.status,
        trace.termination,
        trace.ended_by,
    )
    assert tuple(map(order_name, out)) == trace.orders
    assert after.settled
    assert after.late_facts <= 2


class Replay:
    """A director to whom a trace happens again."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.switch = Obedient()
        self.store = MemoryCallStore()
        begun = trace.beginning
        self.call, _ = begun.call()
        self._ids = self._new_ids()
        facts = RouteFacts(TENANT, self.call.route, record=begun.record, ring_timeout_s=begun.ring_timeout_s)
        self.director = Director(
            Ports(
                switch=self.switch,
                store=self.store,
                book=FixedBook(facts),
                archive=FakeArchive(),
                endings=FakeEndings(),
                now=lambda: begun.at + asyncio.get_running_loop().time(),
                new_id=lambda prefix: next(self._ids),
                trunk_for=lambda _: "carrier",
            )
        )
        self._asking: list[asyncio.Task[object]] = []

    def _new_ids(self) -> Iterator[str]:
        if self.call.outbound:
            yield self.trace.beginning.channel
        yield from (f"id_{n:026d}" for n in count(1))

    async def run(self) -> str:
        """Everything again at its time; the call's id."""
        await self._begin()
        loop = asyncio.get_running_loop()
        for item in items(self.trace):
            await asyncio.sleep(max(0.0, item.at - self.trace.beginning.at - loop.time()))
            await self._happen(item)
        await asyncio.sleep(10)
        await asyncio.gather(*self._asking)
        (call_id,) = self.store.events
        return call_id

    async def _begin(self) -> None:
        begun = self.trace.beginning
        if not self.call.outbound:
            channel = ChannelId(begun.channel)
            await self.director.answer(Offered(channel, begun.to, begun.from_, "from-trunk", "carrier"))
            return
        assert isinstance(self.call.route, Connect)
        await self.director.place(
            PlaceCall(
                TENANT,
                "key_1",
                E164(begun.to),
                E164(begun.from_),
                self.call.route.endpoint,
                record=begun.record,
                ring_timeout_s=begun.ring_timeout_s,
            )
        )

    async def _happen(self, item: Item) -> None:
        if isinstance(item.what, Heard):
            self.director.hear(item.what)
            return
        (call_id,) = self.store.events
        match item.what.what:
            case "asked":
                asked = Offered(ChannelId(self.trace.beginning.channel), "outbound", "", "patchbay", "x")
                self._asking.append(asyncio.create_task(self.director.answer(asked)))
            case "hangup":
                self._asking.append(asyncio.create_task(self.director.hang_up(call_id)))
            case "looked":
                await self.director.look(restarted=True)


class Obedient(FakeSwitch):
    """Takes every order; what follows from them is in the trace."""

    def _carry_out(self, order: SwitchOrder) -> None:
        self.orders.append(order)


def check_told(trace: Trace, replay: Replay, call_id: str) -> None:
    call: Call = replay.store.get(call_id)  # type: ignore[arg-type]
    assert (call.status, str(call.termination), call.ended_by) == (
        trace.status,
        trace.termination,
        trace.ended_by,
    )
    told = replay.store.types(call_id)  # type: ignore[arg-type]
    assert sorted(told) == sorted(trace.events)
    assert [type_ for type_ in told if type_ in FINALS] == [f"call.{trace.status}"]
    assert len(replay.store.cdrs) == 1
    assert replay.director.live_calls(TENANT) == 0


@EACH
@in_virtual_time
async def test_the_director_tells_the_recorded_story(trace: Trace) -> None:
    replay = Replay(trace)
    check_told(trace, replay, await replay.run())
    await replay.director.stop()


@EACH
@in_virtual_time
async def test_the_director_tells_it_though_the_database_was_away_at_every_step(trace: Trace) -> None:
    class Flaky(MemoryCallStore):
        """Away for every other append after the first."""

        turns = count()

        async def append(self, *args: object, patient: bool = False) -> None:  # type: ignore[override]
            if len(self) and next(self.turns) % 2 == 0:
                raise StorageUnavailable
            await super().append(*args)  # type: ignore[arg-type]

    replay = Replay(trace)
    replay.store = Flaky()
    object.__setattr__(replay.director._around, "store", replay.store)
    object.__setattr__(replay.director._ports, "store", replay.store)
    check_told(trace, replay, await replay.run())
    await replay.director.stop()


# ---------------------------------------------------------------- cut


def read(*chunks: bytes) -> list[Message]:
    stream = MessageStream()
    return [message for chunk in chunks for message in stream.feed(chunk)]


@EACH
def test_cut_at_every_byte_the_messages_are_the_same(trace: Trace) -> None:
    for part in trace.parts():
        whole = read(part)
        assert len(whole) > 0
        for cut in range(len(part) + 1):
            assert read(part[:cut], part[cut:]) == whole, cut


@EACH
def test_byte_by_byte_the_messages_are_the_same(trace: Trace) -> None:
    for part in trace.parts():
        assert read(*(part[at : at + 1] for at in range(len(part)))) == read(part)


# ---------------------------------------------------------------- interleaved and repeated


def check_end(trace: Trace, happened: Sequence[Item]) -> None:
    call, first = trace.beginning.call()
    after, out = play(call, first, happened)
    ended = after.status, str(after.termination), after.ended_by
    assert ended == (trace.status, trace.termination, trace.ended_by), happened
    finals = [order.type for order in out if isinstance(order, o.Publish) and order.type in FINALS]
    assert finals == [f"call.{trace.status}"]
    assert sum(isinstance(order, o.CloseCall) for order in out) == 1
    assert sum(isinstance(order, o.Reply) for order in out) <= 1


@EACH
def test_in_every_order_of_arrival_the_call_ends_the_same_way_once(trace: Trace) -> None:
    every = orders(items(trace))
    assert len({tuple(map(id, (item.what for item in order))) for order in every}) == len(every)
    assert len(every) > 1 or len(trace.facts) == 1
    for happened in every:
        check_end(trace, happened)


@EACH
def test_whatever_is_said_twice_in_whatever_order_it_is_the_same_call(trace: Trace) -> None:
    tried = 0
    for order in orders(items(trace)):
        for happened in with_one_repeated(order):
            check_end(trace, happened)
            tried += 1
    assert tried >= sum(range(len(trace.facts) + 1))


def test_there_are_orders_enough_to_speak_of_every_order() -> None:
    every = [order for name in names() for order in orders(items(load(name)))]
    assert len(every) >= 150
    assert sum(1 for order in every for _ in with_one_repeated(order)) > 5000
