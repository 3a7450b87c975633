"""Which worker process telephones are given to, by what is known of their rooms."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from gateway.room_workers import RoomWorkers, RoomWorkersPlan
from tests.unit.gateway.test_room_sip import Nobody
from video_rooms.core.leg import Gone, Join
from video_rooms.core.leg_lines import Expect, Listening, Ready, Told, ToWorker
from video_rooms.core.leg_lines import line as spoken
from video_rooms.core.live import Grant
from video_rooms.core.placement import FULL, Load
from video_rooms.core.room import Role
from video_rooms.livekit.tokens import press

pytestmark = pytest.mark.unit


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> RoomWorkers:
    """Three workers that are up, and can carry whatever they are told to expect."""
    made = RoomWorkers(RoomWorkersPlan(3, "127.0.0.1", 0))
    for slot in made._slots:
        slot._hear(spoken(Listening(4580)))

        def send(message: ToWorker, slot=slot) -> None:  # type: ignore[no-untyped-def]
            if isinstance(message, Expect):
                slot._hear(spoken(Ready(message.number, f"room{slot.state.number}")))

        monkeypatch.setattr(slot, "_send", send)
    return made


async def placed(workers: RoomWorkers, leg: str, room: str = "") -> int:
    return int((await workers.expect(leg, Nobody(), 1.0, room=room)).removeprefix("room"))


def gone(workers: RoomWorkers, number: int, *legs: str) -> None:
    for leg in legs:
        workers._slots[number]._hear(spoken(Told(leg, Gone("hangup"))))


def pass_into(room: str, identity: str) -> Join:
    until = datetime.now(UTC) + timedelta(hours=1)
    grant = Grant(room=room, identity=identity, name="", role=Role.PHONE, pass_id="p", expires_at=until)
    token = press(grant, "key", "s" * 40, datetime.now(UTC), host_is_admin=False)
    return Join("ws://127.0.0.1:7880", token, identity)


async def test_telephones_called_into_one_room_share_a_worker_until_it_is_full(workers: RoomWorkers) -> None:
    first = await placed(workers, "a0", "hall")
    others = {await placed(workers, f"a{number}", "hall") for number in range(1, FULL)}
    assert others == {first}
    assert await placed(workers, "b", "hall") != first


async def test_telephones_of_other_rooms_and_of_none_yet_are_spread(workers: RoomWorkers) -> None:
    assert {await placed(workers, room, room) for room in ("hall", "attic", "cellar")} == {0, 1, 2}
    assert {await placed(workers, leg) for leg in ("x", "y", "z")} == {0, 1, 2}


async def test_who_dialled_in_counts_for_the_room_once_that_is_known(workers: RoomWorkers) -> None:
    numbers = {leg: await placed(workers, leg) for leg in ("one", "two", "three")}
    workers.order("two", pass_into("hall", "phone_00000001"))
    assert await placed(workers, "called", "hall") == numbers["two"]


async def test_a_room_that_everybody_has_left_is_nobodys(workers: RoomWorkers) -> None:
    number = await placed(workers, "one", "hall")
    await placed(workers, "two", "hall")
    gone(workers, number, "one", "two")
    assert workers._slots[number].load("hall") == Load(number, 0, 0)
    await workers.expect("dialled in", Nobody(), 1.0)
    workers.order("one", pass_into("hall", "phone_00000001"))
    assert all(not slot.rooms for slot in workers._slots), "orders to those who are gone change nothing"


async def test_a_worker_that_ends_has_no_room(workers: RoomWorkers) -> None:
    number = await placed(workers, "one", "hall")
    await workers._slots[number]._over()
    assert workers._slots[number].rooms == {}
    assert await placed(workers, "two", "hall") != number
