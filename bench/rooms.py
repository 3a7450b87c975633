"""Telephones in video rooms through the whole product: ``python -m bench.rooms``.

Two people and some telephones are in one room of a real LiveKit server; telephones dial in by the real
switch with a meeting number. Three ways are measured at the same time, burst by burst: person to person,
telephone to person, person to telephone. What is added is a way's delay less that of person to person, at the
same percentile of the same round; the larger of the two ways counts. A telephone's own packetising and jitter
buffer are left out, as is what a person's browser adds. One telephone, then ten in one room.

CPU is user and system time of the processes that carry telephones, over telephones and seconds; the switch's
and the media server's are told beside it. ``pin_to_room_ms`` is from the last packet of the last digit to the
moment at which another person in the room is told of the telephone's sound; ``kick_to_bye_ms`` from the
request that puts it out to BYE; ``join_p99_ms`` of the request for a way into a room.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvloop

from bench.calls import percentile
from bench.report import write_result
from bench.rooms_rig import ROOMS, Caller, Ear, Person, RoomBench, leave_process, running
from gateway.trial.sip_call import CallState

MANY = 10
WAYS = ("person_to_person", "phone_to_room", "room_to_phone")
_SETTLE_S = 4.0
_AT_ONCE = 4


@dataclass(slots=True)
class Round:
    """What was seen with some telephones in a room. CPU in percent of a core for one telephone."""

    phones: int
    delays: dict[str, list[float]] = field(default_factory=dict)
    bursts: dict[str, int] = field(default_factory=dict)
    core_percent: float = 0.0
    switch_percent: float = 0.0
    server_percent: float = 0.0

    def p(self, way: str, share: float) -> float:
        return float(percentile(self.delays[way], share)) if self.delays[way] else float("nan")

    def added(self, share: float) -> float:
        between = self.p(WAYS[0], share)
        return max(self.p(way, share) - between for way in WAYS[1:])


@dataclass(slots=True)
class Entries:
    """How long it took, in ms."""

    pin_to_room: list[float] = field(default_factory=list)
    kick_to_bye: list[float] = field(default_factory=list)


async def come_in(bench: RoomBench, room: dict[str, Any], sees: Person) -> tuple[Caller, float]:
    """A telephone dials in; how long from its last digit until its sound is in the room, in ms."""
    call = await bench.dial()
    known = set(sees.published)
    typed = asyncio.ensure_future(bench.typed(call, room["pin"]))
    identity, at = await sees.sees(known, 15.0)
    return Caller(call, identity), (at - await typed) * 1000


async def one_round(bench: RoomBench, phones: int, seconds: float) -> Round:
    """So many telephones in one room with two people; the first telephone and one person speak in turns."""
    room = await bench.room()
    ada, bob = await bench.person(room, "ada"), await bench.person(room, "bob")
    callers: list[Caller] = []
    try:
        bob.listens_to.add("ada")
        await ada.speak()
        for _ in range(phones):
            callers.append((await come_in(bench, room, bob))[0])
        bob.listen(callers[0].identity)
        callers[0].speak()
        await asyncio.sleep(_SETTLE_S)
        began = time.monotonic()
        cpu = bench.worker_cpu(), bench.switch_cpu().total, bench.server_cpu().total
        await asyncio.sleep(seconds)
        each = 100 / (time.monotonic() - began) / phones
        spent = bench.worker_cpu(), bench.switch_cpu().total, bench.server_cpu().total
        ends = time.monotonic() - 1.0
        await callers[0].hush()
        said = [at for at in ada.bursts if began < at < ends]
        spoken = [at for at in callers[0].bursts if began < at < ends]
        ears = {
            WAYS[0]: (bob.heard.get("ada", Ear()), said),
            WAYS[1]: (bob.heard.get(callers[0].identity, Ear()), spoken),
            WAYS[2]: (callers[0].ear(), said),
        }
        return Round(
            phones,
            {way: ear.delays_ms(bursts) for way, (ear, bursts) in ears.items()},
            {way: len(bursts) for way, (_, bursts) in ears.items()},
            *((after - before) * each for before, after in zip(cpu, spent, strict=True)),
        )
    finally:
        await asyncio.gather(*(caller.call.hang_up() for caller in callers), return_exceptions=True)
        await asyncio.gather(ada.leave(), bob.leave())
        await bench.ask("POST", f"{ROOMS}/{room['room_id']}/end")


async def entries(bench: RoomBench, times: int) -> Entries:
    """One telephone after the other comes in by its number, and is put out."""
    room, found = await bench.room(), Entries()
    bob = await bench.person(room, "bob")
    try:
        for _ in range(times):
            caller, took_ms = await come_in(bench, room, bob)
            found.pin_to_room.append(took_ms)
            asked_at = time.monotonic()
            await bench.ask("POST", f"{ROOMS}/{room['room_id']}/participants/{caller.identity}/kick")
            await caller.call.reaches(CallState.ENDED, within_s=15.0)
            found.kick_to_bye.append((time.monotonic() - asked_at) * 1000)
    finally:
        await bob.leave()
        await bench.ask("POST", f"{ROOMS}/{room['room_id']}/end")
    return Entries(sorted(found.pin_to_room), sorted(found.kick_to_bye))


async def ways_in(bench: RoomBench, times: int) -> list[float]:
    """Requests for a way into one room, some at a time, in ms."""
    room, took = await bench.room(), list[float]()
    path = f"{ROOMS}/{room['room_id']}/join"

    async def some(first: int) -> None:
        for number in range(first, times, _AT_ONCE):
            began = time.monotonic()
            await bench.ask("POST", path, {"identity": f"person-{number}"})
            took.append((time.monotonic() - began) * 1000)

    await asyncio.gather(*(some(first) for first in range(_AT_ONCE)))
    return sorted(took)


async def measure(seconds: float, times: int, joins: int) -> None:
    with tempfile.TemporaryDirectory(prefix="patchbay-bench-") as folder:
        async with running(Path(folder)) as bench:
            alone = await one_round(bench, 1, seconds)
            many = await one_round(bench, MANY, seconds)
            went = await entries(bench, times)
            joined = await ways_in(bench, joins)
    write_result("rooms", *told(alone, many, went, joined))


def told(
    alone: Round, many: Round, went: Entries, joined: list[float]
) -> tuple[dict[str, float | int], dict[str, float | int], dict[str, float | int]]:
    """Figures, baseline and ratio. Those without a number in their names: one telephone for delay, ten for
    CPU."""
    figures: dict[str, float | int] = {
        "added_one_way_p95_ms": alone.added(0.95),
        "core_percent_per_leg": many.core_percent,
        "pin_to_room_ms": percentile(went.pin_to_room, 0.95),
        "kick_to_bye_ms": percentile(went.kick_to_bye, 0.95),
        "join_p99_ms": percentile(joined, 0.99),
        "join_p50_ms": percentile(joined, 0.5),
        "pin_to_room_p50_ms": percentile(went.pin_to_room, 0.5),
        "kick_to_bye_p50_ms": percentile(went.kick_to_bye, 0.5),
        "added_one_way_p50_ms": alone.added(0.5),
    }
    for one in (alone, many):
        for way in WAYS[1:]:
            figures[f"{way}_p50_ms_{one.phones}"] = one.p(way, 0.5)
            figures[f"{way}_p95_ms_{one.phones}"] = one.p(way, 0.95)
        figures[f"added_one_way_p95_ms_{one.phones}"] = one.added(0.95)
        figures[f"core_percent_per_leg_{one.phones}"] = one.core_percent
        figures[f"switch_percent_per_leg_{one.phones}"] = one.switch_percent
        figures[f"server_percent_per_leg_{one.phones}"] = one.server_percent
        heard = sum(len(delays) for delays in one.delays.values())
        figures[f"bursts_heard_percent_{one.phones}"] = 100 * heard / max(1, sum(one.bursts.values()))
    baseline: dict[str, float | int] = {
        "participant_to_participant_p50_ms": alone.p(WAYS[0], 0.5),
        "participant_to_participant_p95_ms": alone.p(WAYS[0], 0.95),
        f"participant_to_participant_p95_ms_{MANY}": many.p(WAYS[0], 0.95),
    }
    ratio: dict[str, float | int] = {
        f"{way}_p95": alone.p(way, 0.95) / alone.p(WAYS[0], 0.95) for way in WAYS[1:]
    }
    return figures, baseline, ratio


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=40.0, help="how long each round is measured")
    parser.add_argument("--entries", type=int, default=20, help="telephones that come in and are put out")
    parser.add_argument("--joins", type=int, default=500, help="requests for a way into a room")
    given = parser.parse_args()
    uvloop.run(measure(given.seconds, given.entries, given.joins))
    leave_process(0)


if __name__ == "__main__":
    main()
