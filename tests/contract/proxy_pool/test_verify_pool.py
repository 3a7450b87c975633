"""The proof of number masking in small: a run with every kind of blow has no fault, and each safeguard that
is taken out shows as the fault that it is there against."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.contract.proxy_pool.sabotaged_pool import SABOTAGES
from tests.rig.world import tools
from tools.verify_pool.__main__ import Run, run
from tools.verify_pool.checker import Report, check
from tools.verify_pool.clients import Mix
from tools.verify_pool.history import read
from tools.verify_pool.servers import BLOWS, Setup

pytestmark = [pytest.mark.contract, pytest.mark.timeout(300)]


def judged(wanted: Run, folder: Path) -> tuple[Report, set[str]]:
    tools()
    blows = asyncio.run(run(wanted, folder, folder / "history.jsonl"))
    return check(read(folder / "history.jsonl")), set(blows)


@pytest.mark.parametrize(("numbers", "people"), [(24, 120), (6, 40)], ids=["roomy", "exhausted"])
def test_a_run_with_every_kind_of_blow_has_no_fault(numbers: int, people: int, tmp_path: Path) -> None:
    setup, mix = Setup(numbers=numbers), Mix(people=people)
    wanted = Run(
        4_000 if numbers == 24 else 2_000, seed=5, setup=setup, mix=mix, most_rounds=1, between_s=(0.1, 0.4)
    )
    report, blows = judged(wanted, tmp_path)
    assert report.faults == []
    assert blows == set(BLOWS)
    assert report.counted["unanswered"] > 0, "requests were cut off"
    assert report.counted["open"] > 300
    assert report.counted["resolve"] > 600
    assert (report.counted["exhausted"] > report.counted["open"] / 20) == (numbers == 6)


SHOWS = {
    "no_quarantine": "reuse_in_quarantine",
    "nobody_told_of_the_end": "late",
    "a_miss_is_nobody": "lost",
    "wrong_seat": "wrong_party",
    "everything_gives_way": "double_assignment",
    "answered_before_stored": "lost",
}


@pytest.mark.parametrize("sabotage", sorted(SABOTAGES))
def test_a_safeguard_that_is_missing_shows(sabotage: str, tmp_path: Path) -> None:
    program = ("-m", "tests.contract.proxy_pool.sabotaged_pool", sabotage)
    blows = (0.2, 0.5) if sabotage in ("answered_before_stored", "a_miss_is_nobody") else None
    wanted = Run(
        800,
        seed=5,
        setup=Setup(index="memory", numbers=6, program=program),
        mix=Mix(people=24),
        most_rounds=1,
        between_s=blows,
    )
    report, _ = judged(wanted, tmp_path)
    assert report.by_kind()[SHOWS[sabotage]] > 0
