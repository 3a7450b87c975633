"""Worker processes that die, hang or lie, and what becomes of whom they carry."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
import pytest_asyncio

from gateway.room_workers import RoomsHere, RoomWorkers, RoomWorkersPlan, room_carrier
from telephony.errors import RoomsUnavailable
from tests.contract.video_rooms.legs_world import Ear, LegWorld, running_legs
from tests.rig.livekit import LiveKitRig
from video_rooms.core.leg import Arrived, Gone, HangUp, Joined, PlaySounds

pytestmark = [pytest.mark.contract, pytest.mark.timeout(240)]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def world(livekit: LiveKitRig, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LegWorld]:
    async with running_legs("workers", livekit, tmp_path_factory.mktemp("workers")) as running:
        yield running


def workers(world: LegWorld) -> RoomWorkers:
    assert isinstance(world.carrier, RoomWorkers)
    return world.carrier


def number_of(world: LegWorld, leg_id: str) -> int:
    return int(world.dialled[leg_id].split("/")[1].removeprefix("room"))


async def ends(world: LegWorld, *legs: str) -> None:
    for leg in legs:
        world.order(leg, HangUp())
        await world.until(lambda leg=leg: world.ears[leg].of(Gone), "the end")  # type: ignore[misc]


async def test_telephones_are_spread(world: LegWorld) -> None:
    legs = [f"leg{number}" for number in range(4)]
    for leg in legs:
        await world.comes(leg)
    assert sorted(number_of(world, leg) for leg in legs) == [0, 0, 1, 1]
    await world.until(lambda: [s.legs for s in workers(world).states] == [2, 2], "told how many there are")
    await ends(world, *legs)


def test_a_workers_files_are_private(world: LegWorld) -> None:
    for state in workers(world).states:
        assert "Umask:\t0077" in Path(f"/proc/{state.pid}/status").read_text()


async def test_what_a_visit_took_is_given_back(world: LegWorld) -> None:
    """Threads and descriptors: without care each visit leaves some twenty of either behind."""

    def held() -> list[int]:
        pids = [state.pid for state in workers(world).states]
        return [len(os.listdir(f"/proc/{pid}/{what}")) for pid in pids for what in ("task", "fd")]

    room, before = await world.room(), held()
    for number in range(12):
        leg = f"visit-{number}"
        await world.comes(leg)
        world.order(leg, world.join(room, leg))
        await world.until(lambda leg=leg: world.ears[leg].of(Joined), "in")  # type: ignore[misc]
        await ends(world, leg)

    def grown() -> list[int]:
        return [after - first for first, after in zip(before, held(), strict=True)]

    # who hangs up is gone at once, and leaves the room after that
    await world.until(lambda: max(grown()) < 40, "threads and descriptors of each worker as before")


async def test_a_worker_that_dies_takes_its_own_telephones_alone_and_comes_back(world: LegWorld) -> None:
    room = await world.room()
    for leg in ("one", "two"):
        await world.comes(leg)
        world.order(leg, world.join(room, leg))
        await world.until(lambda leg=leg: world.ears[leg].of(Joined), "in")  # type: ignore[misc]
    dies = number_of(world, "one")
    state = workers(world).states[dies]
    before, pid = state.restarts, state.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    await world.until_told("one", Gone("carrier_lost"))
    await world.until(lambda: not world.phones["one"].channel.up, "the end of its sound")
    assert not world.ears["two"].of(Gone)
    world.order("one", HangUp())
    await world.until(lambda: state.up and state.restarts == before + 1, "back", within_s=60)
    legs = ("three", "four")
    for leg in legs:
        await world.comes(leg)
        await world.until_told(leg, Arrived())
    assert dies in {number_of(world, leg) for leg in legs}
    await ends(world, "two", *legs)


async def test_a_worker_that_hangs_is_found_and_replaced(world: LegWorld) -> None:
    await world.comes("leg")
    state = workers(world).states[number_of(world, "leg")]
    before, pid = state.restarts, state.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        for other in ("five", "six"):
            await world.expect(other)
            assert number_of(world, other) != state.number, "one that does not answer is passed over"
        for other in ("five", "six"):
            await world.arrives(other)
        await world.until_told("leg", Gone("carrier_lost"), within_s=30)
        await world.until(lambda: state.up and state.restarts == before + 1, "back", within_s=60)
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
    await ends(world, "five", "six")


async def test_an_order_too_long_for_a_line_is_left_out_and_harms_nobody(world: LegWorld) -> None:
    await world.comes("leg")
    world.order("leg", PlaySounds("much", (Path("/x" * 40_000),)))
    world.order("leg", PlaySounds("none", ()))
    await world.until(lambda: "none" in repr(world.ears["leg"].facts), "the end of nothing")
    await ends(world, "leg")


async def test_the_end_hangs_all_up_and_leaves_all_rooms(livekit: LiveKitRig, tmp_path: Path) -> None:
    async with running_legs("workers", livekit, tmp_path) as world:
        room = await world.room()
        await world.comes("leg")
        world.order("leg", world.join(room, "phone"))
        await world.until_told("leg", Joined(0))
        pids = [state.pid for state in workers(world).states]
        await workers(world).stop()
        await world.until_told("leg", Gone("hangup"))
        await world.until_inside(room, {})
        for pid in pids:
            assert pid is not None
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)
        with pytest.raises(RoomsUnavailable):
            await world.carrier.expect("late", world.ears["leg"], 5.0)


async def test_without_a_port_nobody_is_carried_until_there_is_one(free_port: int) -> None:
    async def nobody(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    taken = await asyncio.start_server(nobody, "127.0.0.1", free_port)
    async with taken:
        here = room_carrier(RoomWorkersPlan(0, "127.0.0.1", free_port))
        assert isinstance(here, RoomsHere)
        await here.start()
        with pytest.raises(RoomsUnavailable):
            await here.expect("leg", Ear(), 5.0)
        await here.stop()
        many = room_carrier(RoomWorkersPlan(1, "127.0.0.1", free_port, log_level="error"))
        async with asyncio.timeout(60):
            await many.start()
        with pytest.raises(RoomsUnavailable):
            await many.expect("leg", Ear(), 5.0)
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + 60
    while not many.states[0].up:
        assert loop.time() < ends_at, many.states
        await asyncio.sleep(0.05)
    assert "room0" in await many.expect("leg", Ear(), 5.0)
    await many.stop()
    assert many.states[0].pid is None
