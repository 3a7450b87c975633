"""One thing that breaks stays one thing: its call still ends, is told and let go; others do not notice."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from dialplan.core import facts, machine
from dialplan.core.call import Call, Ender
from dialplan.core.record import CallEvent, Cdr
from dialplan.fakes import MemoryCallStore
from tests.unit.dialplan.desk import A, B, open_desk
from tests.unit.dialplan.virtual_time import in_virtual_time

pytestmark = pytest.mark.unit


class TornStore(MemoryCallStore):
    """Breaks, in no way anyone foresaw, while ``torn``."""

    torn = False

    async def append(
        self, call: Call, events: Sequence[CallEvent], cdr: Cdr | None, *, patient: bool = False
    ) -> None:
        if self.torn:
            raise RuntimeError("broken")
        await super().append(call, events, cdr)


@in_virtual_time
async def test_a_store_that_breaks_loses_no_event() -> None:
    async with open_desk(store=TornStore()) as desk:
        call, channel = await desk.dialled()
        other, other_channel = await desk.dialled()
        desk.store.torn = True  # type: ignore[attr-defined]
        desk.switch.ring(channel)
        await desk.pass_time(3)
        desk.switch.end(channel, 17, 486)
        await desk.pass_time(3)
        desk.store.torn = False  # type: ignore[attr-defined]
        desk.switch.end(other_channel, 17, 486)
        await desk.pass_time(3)
        assert desk.store.types(call.id) == ["call.initiated", "call.ringing", "call.busy"]
        assert desk.ended(call.id) == ("busy", "far_end/busy")
        assert desk.ended(other.id) == ("busy", "far_end/busy")
        assert desk.leftovers() == {}


@in_virtual_time
async def test_a_switch_that_breaks_on_one_order_is_still_given_the_others() -> None:
    async with open_desk() as desk:
        call_id = await desk.inbound_talking()
        desk.switch.fail("hang_up", RuntimeError("broken"))
        await desk.director.hang_up(call_id, patience_s=20)
        await desk.pass_time(2)
        assert A not in desk.switch.channels
        assert desk.ended(call_id) == ("completed", "success/hangup_by_api")
        assert desk.leftovers() == {}
        assert B in desk.switch.channels  # the watchdog declared it gone; the next look ends it
        await desk.director.look(restarted=False)
        await desk.settle()
        assert desk.switch.channels == {}


@in_virtual_time
async def test_a_switch_that_breaks_on_the_first_order_does_not_end_the_judging() -> None:
    async with open_desk() as desk:
        desk.switch.fail("originate", RuntimeError("broken"))
        call = await desk.place()
        await desk.pass_time(30)
        assert desk.ended(call.id) == ("failed", "server_error/switch_silent")
        assert desk.leftovers() == {}


@in_virtual_time
async def test_a_fact_that_cannot_be_folded_takes_no_other_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = machine.step

    def step(call: Call, fact: facts.Fact, now: float) -> machine.Step:
        if isinstance(fact, facts.Rang):
            raise ZeroDivisionError
        return sound(call, fact, now)

    monkeypatch.setattr(machine, "step", step)
    async with open_desk() as desk:
        call, channel = await desk.dialled()
        desk.switch.answer(channel)
        desk.switch.ring(channel)
        desk.switch.far_end_hangs_up(channel)
        await desk.pass_time(3)
        assert desk.ended(call.id) == ("completed", "success/hangup_by_caller")


@in_virtual_time
async def test_a_recording_still_is_filed_after_an_order_broke() -> None:
    async with open_desk(record=True) as desk:
        call_id = await desk.inbound_talking()
        desk.switch.fail("hang_up", RuntimeError("broken"))
        life = desk.director._lives[call_id]
        life.post(facts.HangupAsked(Ender.API, "hangup"))
        desk.switch.end(A)
        desk.switch.end(B)
        await desk.pass_time(3)
        assert desk.archive.filed == [f"{call_id}-1"]
        assert desk.ended(call_id)[0] == "completed"
        assert desk.leftovers() == {}
