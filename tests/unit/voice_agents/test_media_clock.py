"""The one clock of all legs, the watchdog of their loop, and the door."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from tests.unit.dialplan.virtual_time import in_virtual_time
from voice_agents.core.audio import Codec
from voice_agents.fakes_media import FakeMediaPort
from voice_agents.media.doorkeeper import Doorkeeper
from voice_agents.media.ticker import BEAT_S, CATCH_UP, Lateness, Ticker
from voice_agents.media.watchdog import Watchdog

pytestmark = pytest.mark.unit


@dataclass(eq=False)
class Leg:
    clock: Callable[[], float]
    at: list[float] = field(default_factory=list)

    def tick(self, now: float) -> None:
        self.at.append(self.clock())


def ticking(legs: int) -> tuple[Ticker, list[Leg]]:
    clock = asyncio.get_running_loop().time
    ticker = Ticker(clock=clock)
    made = [Leg(clock) for _ in range(legs)]
    for leg in made:
        ticker.add(leg)
    return ticker, made


@in_virtual_time
async def test_each_leg_is_called_every_20_ms_and_nothing_adds_up() -> None:
    ticker, legs = ticking(8)
    await asyncio.sleep(60.0001)
    assert {len(leg.at) for leg in legs} == {3000}
    for leg in legs:
        first = leg.at[0]
        assert all(abs(at - first - n * 0.02) < 1e-6 for n, at in enumerate(leg.at))
    ticker.close()


@in_virtual_time
async def test_legs_are_spread_over_the_20_ms() -> None:
    ticker, legs = ticking(8)
    await asyncio.sleep(0.1)
    firsts = sorted(round(leg.at[0] / BEAT_S) for leg in legs)
    assert firsts == [1, 1, 2, 2, 3, 3, 4, 4]
    ticker.close()


@in_virtual_time
async def test_a_leg_is_called_a_little_before_the_moment_it_asked_for() -> None:
    ticker, (leg,) = ticking(1)
    await asyncio.sleep(0.1)
    ticker.align(leg, 0.213)
    leg.at.clear()
    await asyncio.sleep(0.2)
    assert all(0 <= (0.213 - at) % 0.02 < BEAT_S for at in leg.at)
    assert len(leg.at) == 10
    assert abs((ticker.moment(leg) - leg.at[0] + 0.01) % 0.02 - 0.01) < 1e-6
    ticker.close()


@in_virtual_time
async def test_the_clock_stands_still_without_legs() -> None:
    ticker, (leg,) = ticking(1)
    await asyncio.sleep(0.1)
    ticker.remove(leg)
    await asyncio.sleep(0.1)
    beats = ticker.lateness.beats
    await asyncio.sleep(10)
    assert ticker.lateness.beats == beats
    ticker.add(leg)
    await asyncio.sleep(0.1)
    assert ticker.lateness.beats > beats
    ticker.close()


def test_after_a_stall_a_few_beats_are_made_up_for_and_the_rest_left_out() -> None:
    now = 0.0

    async def run() -> None:
        nonlocal now
        ticker = Ticker(clock=lambda: now)
        leg, called = Leg(lambda: now), asyncio.Event()
        ticker.add(leg)
        plain = leg.tick
        leg.tick = lambda at: (plain(at), called.set())  # type: ignore[method-assign,assignment,func-returns-value]
        now = 1.0
        await asyncio.wait_for(called.wait(), 5.0)
        assert len(leg.at) <= CATCH_UP // 4 + 1
        assert ticker.lateness.left_out > 150
        assert ticker.lateness.worst_ms > 900
        ticker.close()

    asyncio.run(run())


@in_virtual_time
async def test_legs_may_leave_while_they_are_called() -> None:
    clock = asyncio.get_running_loop().time
    ticker = Ticker(clock=clock)

    class Leaver(Leg):
        def tick(self, now: float) -> None:
            super().tick(now)
            for one in legs:
                ticker.remove(one)

    legs = [Leaver(clock) for _ in range(8)]
    for leg in legs:
        ticker.add(leg)
    await asyncio.sleep(1.0)
    assert sum(len(leg.at) for leg in legs) == 2, "both of the first quarter were on their way"
    assert len(ticker) == 0


def test_lateness_is_counted_in_bounds() -> None:
    lateness = Lateness()
    for late_s in (0.0005, 0.004, 0.004, 0.03, 5.0, -1.0):
        lateness.note(late_s)
    assert lateness.counts == [2, 0, 2, 0, 0, 1, 0, 0, 0, 0, 1]
    assert (lateness.beats, lateness.worst_ms) == (6, 5000.0)


# ---------------------------------------------------------------- the watchdog


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def shut(reader: socket.socket) -> None:
    """Waits until the far end of this socket is shut."""
    reader.settimeout(30.0)
    assert reader.recv(1) == b""


def test_the_sockets_of_a_loop_that_stands_still_are_shut() -> None:
    clock = Clock()
    dog = Watchdog(look_s=0.001, clock=clock)
    (ours, theirs), (fine, _) = socket.socketpair(), socket.socketpair()
    key, later = dog.watch(ours.fileno()), 0
    clock.now += 1.01
    shut(theirs)
    assert dog.stalls == 1
    dog.alive(clock.now)
    later = dog.watch(fine.fileno())
    assert dog.release(key), "its leg learns why it ended"
    assert not dog.release(later)
    assert not dog.release(key)
    dog.close()


def goes_on(dog: Watchdog, key: int, theirs: socket.socket) -> None:
    """The call was not cut off; the watch of it ends."""
    theirs.setblocking(False)
    with pytest.raises(BlockingIOError):
        theirs.recv(1)
    assert not dog.release(key)
    assert dog.stalls == 0
    dog.close()


def test_a_loop_that_lives_keeps_its_sockets() -> None:
    clock, looks = Clock(), threading.Semaphore(0)

    def look() -> float:
        if threading.current_thread().name == "media watchdog":
            looks.release()
        return clock.now

    dog = Watchdog(look_s=0.001, clock=look)
    ours, theirs = socket.socketpair()
    key = dog.watch(ours.fileno())
    for _ in range(5):
        clock.now += 0.9
        dog.alive(clock.now)
        while looks.acquire(blocking=False):
            pass
        assert looks.acquire(timeout=30.0)
        assert looks.acquire(timeout=30.0)
    goes_on(dog, key, theirs)


def test_a_loop_that_stood_still_with_the_whole_machine_is_looked_at_once_more() -> None:
    clock, looks = Clock(), threading.Semaphore(0)
    late = 0

    def look() -> float:
        nonlocal late
        if threading.current_thread().name == "media watchdog" and clock.now > 101.0:
            late += 1
            looks.release()
            if late == 2:
                dog.alive(clock.now)
        return clock.now

    dog = Watchdog(look_s=0.001, clock=look)
    ours, theirs = socket.socketpair()
    key = dog.watch(ours.fileno())
    clock.now += 60.0
    for _ in range(4):
        assert looks.acquire(timeout=30.0)
    goes_on(dog, key, theirs)


def test_the_time_before_the_first_socket_does_not_count() -> None:
    clock = Clock()
    dog = Watchdog(look_s=0.001, clock=clock)
    clock.now += 3600
    ours, theirs = socket.socketpair()
    key = dog.watch(ours.fileno())
    clock.now += 0.5
    dog.close()
    assert not dog.release(key)
    assert theirs.fileno() >= 0


# ---------------------------------------------------------------- the door


class Ear:
    def __init__(self) -> None:
        self.why: list[str] = []

    def arrived(self, leg: object) -> None: ...

    def audio(self, frame: bytes) -> None: ...

    def digit(self, digit: str) -> None: ...

    def mark(self, name: str, heard: bool) -> None: ...

    def gone(self, why: str) -> None:
        self.why.append(why)


@in_virtual_time
async def test_a_key_opens_once() -> None:
    door, ear = Doorkeeper(), Ear()
    door.expect("k", Codec.SLIN16, ear, 5.0)
    found = door.admit("k")
    assert found is not None
    assert (found.codec, found.ear) == (Codec.SLIN16, ear)
    assert door.admit("k") is None
    assert door.admit("other") is None
    await asyncio.sleep(60)
    assert ear.why == []
    assert (door.counts.arrived, door.counts.refused) == (1, 2)


@in_virtual_time
async def test_who_does_not_come_in_time_is_not_let_in() -> None:
    door, ear = Doorkeeper(), Ear()
    door.expect("k", Codec.ULAW, ear, 5.0)
    await asyncio.sleep(5.01)
    assert ear.why == ["never_came"]
    assert door.admit("k") is None


@in_virtual_time
async def test_a_forgotten_key_is_worth_nothing_and_nobody_is_told() -> None:
    door, ear = Doorkeeper(), Ear()
    door.expect("k", Codec.ULAW, ear, 5.0)
    door.forget("k")
    door.forget("k")
    await asyncio.sleep(60)
    assert door.admit("k") is None
    assert ear.why == []


@in_virtual_time
async def test_closing_the_door_tells_all_who_wait() -> None:
    door, ear = Doorkeeper(), Ear()
    door.expect("k", Codec.ULAW, ear, 5.0)
    door.close()
    await asyncio.sleep(60)
    assert ear.why == ["never_came"]


def test_the_fake_lets_nobody_in_twice() -> None:
    port, ear = FakeMediaPort(), Ear()
    token = "t" * 20
    port.expect(token, Codec.ULAW, ear, 5.0)
    assert port.awaits(token)
    assert port.come(token) is not None
    assert port.come(token) is None
    port.expect(token, Codec.ULAW, ear, 5.0)
    port.never_comes(token)
    assert ear.why == ["never_came"]
