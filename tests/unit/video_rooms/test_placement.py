"""Which worker a telephone is given to."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.dialplan.virtual_time import in_virtual_time
from tests.unit.video_rooms.phone_stage import host, open_stage
from video_rooms.core.placement import FULL, Load, in_order

pytestmark = pytest.mark.unit


def first(*loads: tuple[int, int], turn: int = 0) -> int:
    """The worker that is asked first; ``loads``: telephones, and those of the room, of each worker."""
    known = [Load(number, legs, here) for number, (legs, here) in enumerate(loads)]
    order = in_order(known, turn, len(known))
    assert sorted(order) == list(range(len(known))), "each is asked, where the others cannot"
    return order[0]


def test_where_nobody_has_the_room_the_least_loaded_has_the_telephone() -> None:
    assert first((3, 0), (1, 0), (2, 0)) == 1


@pytest.mark.parametrize("turn", range(6))
def test_among_equals_it_goes_round(turn: int) -> None:
    assert first((2, 0), (2, 0), (2, 0), turn=turn) == turn % 3


def test_whoever_has_the_room_has_the_telephone_though_others_have_less_to_do() -> None:
    assert first((0, 0), (5, 1), (0, 0)) == 1
    assert first((2, 1), (5, 3), (0, 0)) == 1, "the one with most of it"


def test_one_that_is_full_is_not_sought_for_its_room() -> None:
    assert first((FULL, FULL), (1, 0)) == 1
    assert first((FULL - 1, FULL - 1), (1, 0)) == 0
    assert first((FULL, FULL), (4, 1), (0, 0)) == 1, "the next one that has it"
    assert first((FULL + 3, FULL), (FULL, 1)) == 1, "all are full: the least loaded"


def test_a_room_fills_one_worker_and_then_the_next() -> None:
    loads = [0, 0]
    placed = []
    for turn in range(2 * FULL):
        known = [Load(number, legs, legs) for number, legs in enumerate(loads)]
        number = in_order(known, turn, 2)[0]
        placed.append(number)
        loads[number] += 1
    assert placed == [0] * FULL + [1] * FULL


def test_a_worker_that_is_away_is_not_asked() -> None:
    assert in_order([Load(2, 4, 1), Load(0, 0)], 7, 3) == (2, 0)
    assert in_order([], 0, 3) == ()


@in_virtual_time
async def test_the_room_is_told_to_the_carrier_where_it_is_known(tmp_path: Path) -> None:
    async with open_stage(tmp_path, None, host()) as stage:
        await stage.calls_out("call_out")
        await stage.dials_in("call_in")
        bound = {leg: known.bound_for for leg, known in stage.carrier.legs.items()}
        assert bound == {"call_out": "vr_tnt_1_x", "call_in": ""}
        await stage.rest()
