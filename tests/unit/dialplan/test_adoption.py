"""Calls that the switch joined by itself: taken up once, told truly, however often we die in between."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest

from dialplan.adoption import Adoption
from dialplan.core.call import Connect
from dialplan.ports import Ending, Joined
from dialplan.reconcile import CATCH_UP_S
from telephony.errors import StorageUnavailable
from telephony.ids import CallId
from tests.unit.dialplan.desk import CLI, EPOCH, FAR, OURS, A, B, Desk, open_desk
from tests.unit.dialplan.virtual_time import in_virtual_time

pytestmark = pytest.mark.unit

ID = CallId("call_joined")
ONE = Joined(
    call_id=ID,
    channel=A,
    at=EPOCH - 60,
    tenant=OURS,
    session_id="ses_1",
    seat=0,
    to_seat=1,
    dialled="+12025550100",
    caller="+14155550103",
    line="carrier",
    route=Connect(FAR, CLI),
    ring_s=30,
    talk_s=3600,
)


@dataclass
class Notes:
    """Fits ``JoinedCalls``: what the dialplan noted, in memory; the store says what is told."""

    desk: Desk
    noted: list[Joined] = field(default_factory=lambda: [ONE])
    keeps: bool = False
    """Forgetting does not work: we die before it."""

    async def seen(self) -> Sequence[Joined]:
        return list(self.noted)

    async def is_told(self, joined: Joined) -> bool:
        return bool(self.desk.store.events[joined.call_id])

    async def forget(self, joined: Joined) -> None:
        if not self.keeps:
            self.noted.remove(joined)


def adoption(desk: Desk, notes: Notes) -> Adoption:
    return Adoption(desk.director, notes, desk.switch, lambda prefix: f"{prefix}_{next(desk.numbers):026d}")


async def looked(desk: Desk, notes: Notes) -> int:
    """What the engine does when its links are up."""
    count = await adoption(desk, notes).take_up_all()
    await desk.director.look(restarted=False)
    await desk.settle()
    return count


@in_virtual_time
async def test_a_look_is_over_when_what_it_found_is_stored() -> None:
    async with open_desk() as desk:
        desk.switch.exist(A, up=True)
        desk.switch.exist(B, up=True, by=A)
        await adoption(desk, Notes(desk, [replace(ONE, answered_at=EPOCH - 50)])).take_up_all()
        slow = desk.store.hold()
        asyncio.get_running_loop().call_later(CATCH_UP_S - 1, slow.set)
        await desk.director.look(restarted=False)
        assert desk.store.get(ID).status == "in_progress"
        assert desk.now() - EPOCH == pytest.approx(CATCH_UP_S - 1)


@in_virtual_time
async def test_a_look_does_not_wait_for_ever_to_be_stored() -> None:
    async with open_desk() as desk:
        desk.switch.exist(A, up=True)
        desk.switch.exist(B, up=True, by=A)
        await adoption(desk, Notes(desk, [replace(ONE, answered_at=EPOCH - 50)])).take_up_all()
        desk.store.go_away()
        await desk.director.look(restarted=False)
        assert desk.now() - EPOCH == pytest.approx(CATCH_UP_S)
        assert desk.store.get(ID).status != "in_progress"
        desk.store.return_()
        await desk.pass_time(2)
        assert desk.store.get(ID).status == "in_progress"


@in_virtual_time
async def test_a_call_that_talks_becomes_an_ordinary_one() -> None:
    async with open_desk() as desk:
        notes = Notes(desk, [replace(ONE, answered_at=EPOCH - 50)])
        desk.switch.exist(A, up=True)
        desk.switch.exist(B, up=True, by=A)
        assert await looked(desk, notes) == 1
        call = desk.director.live(ID)
        assert call is not None
        assert (call.status, call.answered_at, call.created_at) == ("in_progress", EPOCH - 50, EPOCH - 60)
        assert (call.terms.session_id, call.terms.seat, call.terms.to_seat) == ("ses_1", 0, 1)
        assert call.terms.private
        assert desk.director.calls_of_session("ses_1") == [ID]
        assert notes.noted == []
        await desk.pass_time(30)
        assert desk.switch.orders == [], "it is left to talk"
        await desk.director.hang_up(ID)
        assert desk.ended(ID) == ("completed", "success/hangup_by_api")
        assert desk.store.cdrs[ID].call.duration_s == 80
        assert desk.leftovers() == {}


@in_virtual_time
async def test_a_call_that_rings_is_followed_to_its_end() -> None:
    async with open_desk() as desk:
        desk.switch.exist(A)
        desk.switch.exist(B, by=A)
        await looked(desk, Notes(desk, [replace(ONE, at=EPOCH - 10)]))
        desk.switch.answer(B)
        desk.switch.answer(A)
        await desk.settle()
        assert desk.store.get(ID).status == "in_progress"
        desk.switch.far_end_hangs_up(B)
        desk.switch.end(B)
        desk.switch.end(A)
        await desk.settle()
        assert desk.ended(ID) == ("completed", "success/hangup_by_callee")


@in_virtual_time
async def test_a_callee_who_is_dialled_after_the_look_is_his() -> None:
    async with open_desk() as desk:
        desk.switch.exist(A)
        await looked(desk, Notes(desk))
        desk.switch.dial(B, by=A)
        desk.switch.answer(B)
        desk.switch.answer(A)
        await desk.settle()
        assert desk.store.get(ID).status == "in_progress"


@pytest.mark.parametrize(
    ("ending", "told", "seconds"),
    [
        (Ending(A, EPOCH - 50, EPOCH - 10, 16), ("completed", "success/hangup_by_callee"), 40),
        (Ending(A, None, EPOCH - 10, 17), ("busy", "far_end/busy"), 0),
        (Ending(A, None, EPOCH - 10, 19), ("no_answer", "far_end/no_answer"), 0),
        (None, ("failed", "server_error/gateway_was_away"), 0),
    ],
)
@in_virtual_time
async def test_a_call_that_is_over_is_told_from_the_switchs_records(
    ending: Ending | None, told: tuple[str, str], seconds: int
) -> None:
    async with open_desk() as desk:
        if ending is not None:
            desk.endings.add(ending)
        await looked(desk, Notes(desk))
        assert desk.ended(ID)[0] == told[0]
        assert desk.ended(ID) == told
        assert desk.store.cdrs[ID].call.duration_s == seconds
        assert desk.leftovers() == {}


@in_virtual_time
async def test_it_is_taken_up_once_though_it_cannot_be_forgotten() -> None:
    async with open_desk() as desk:
        desk.endings.add(Ending(A, EPOCH - 50, EPOCH - 10, 16))
        notes = Notes(desk, keeps=True)
        for _ in range(3):
            await looked(desk, notes)
            await desk.crash()
        assert desk.finals(ID) == ["call.completed"]
        assert len(desk.store.cdrs) == 1


@in_virtual_time
async def test_we_die_between_storing_and_forgetting_a_call_that_talks() -> None:
    async with open_desk() as desk:
        desk.switch.exist(A, up=True)
        desk.switch.exist(B, up=True, by=A)
        notes = Notes(desk, [replace(ONE, answered_at=EPOCH - 50)], keeps=True)
        await looked(desk, notes)
        await desk.crash()
        notes.keeps = False
        assert await looked(desk, notes) == 0
        assert desk.open_lives() == 1
        await desk.director.hang_up(ID)
        assert desk.ended(ID)[0] == "completed"


@in_virtual_time
async def test_what_could_not_be_stored_is_found_again() -> None:
    async with open_desk() as desk:
        desk.endings.add(Ending(A, EPOCH - 50, EPOCH - 10, 16))
        notes = Notes(desk)
        desk.store.go_away(1)
        with pytest.raises(StorageUnavailable):
            await adoption(desk, notes).take_up_all()
        assert notes.noted == [ONE]
        await looked(desk, notes)
        assert desk.ended(ID)[0] == "completed"
        assert notes.noted == []


@in_virtual_time
async def test_a_channel_that_a_call_knows_already_makes_no_second_one() -> None:
    """The gateway hung: it woke up, answered the old question, and finds its caller joined meanwhile."""
    async with open_desk() as desk:
        call_id = await desk.offered()
        desk.switch.exist(B, up=True, by=A)
        desk.switch.channels[A] = replace(desk.switch.channels[A], up=True)
        await looked(desk, Notes(desk, [replace(ONE, answered_at=EPOCH)]))
        assert desk.open_lives() == 1
        assert desk.store.get(call_id).status == "in_progress"
