"""``make verify-privacy CALLS=10000``: masked calls and texts whose far ends name themselves everywhere.

Then everything that the other side received is searched for their numbers, and so is all that the product
tells to others: webhooks, the API, logs, metrics, the switch's files. The report is written to
``var/verify/privacy.json``; the exit code is 0 only where no number was found and the calls did take place.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from tools.verify_privacy.places import MAY_HOLD, Places
from tools.verify_privacy.rounds import Run
from tools.verify_privacy.search import Search
from tools.verify_privacy.world import running_world

ODD_SHARE = 0.02
"""More calls than these that came out as they should not, and the run shows too little."""


async def verify(
    calls: int, seed: int, folder: Path, at_once: int = 24, say: Callable[[str], None] = lambda line: None
) -> tuple[Run, Search]:
    """A whole run in a folder of its own."""
    apart = multiprocessing.get_context("spawn")
    search = Search()
    with ProcessPoolExecutor(1, mp_context=apart) as pool:
        async with running_world(folder, seed) as world:
            run = Run(world, Places(world, search, pool), seed, at_once, say=say)
            await run.until(calls)
            await run.places.at_the_end()
    return run, search


def report(run: Run, search: Search, took_s: float) -> dict[str, Any]:
    """What was done and found, for people and for programs."""
    tally = run.tally
    return {
        "seed": run.seed,
        "calls": tally.calls,
        "texts": tally.texts,
        "took_s": round(took_s, 1),
        "calls_per_s": round(tally.calls / took_s, 1),
        "leaks": sum(search.counted.values()),
        "leaks_by_place": dict(search.counted),
        "outcomes": dict(sorted(tally.outcomes.items())),
        "odd": dict(tally.odd.most_common(40)),
        "strays": sum(len(far.strays) for far in run.world.far.values()),
        "digits_typed_and_heard": run.places.typed,
        "octets_searched": dict(sorted(search.octets.items())),
        "pieces_searched": dict(sorted(search.pieces.items())),
        "not_searched": MAY_HOLD,
    }


def fair(found: dict[str, Any]) -> bool:
    """Whether no number was found, and the calls took place."""
    odd, made = sum(found["odd"].values()), found["calls"] + found["texts"]
    return bool(found["leaks"] == found["strays"] == 0 and made and odd <= ODD_SHARE * made)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--at-once", type=int, default=24)
    parser.add_argument("--report", type=Path, default=Path("var/verify/privacy.json"))
    parser.add_argument("--keep", type=Path, help="run in this folder, and leave it")
    wanted = parser.parse_args()
    folder = wanted.keep or Path(tempfile.mkdtemp(prefix="patchbay-verify-"))
    started = time.monotonic()
    try:
        run, search = asyncio.run(verify(wanted.calls, wanted.seed, folder / "var", wanted.at_once, print))
    finally:
        if wanted.keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    found = report(run, search, time.monotonic() - started)
    wanted.report.parent.mkdir(parents=True, exist_ok=True)
    wanted.report.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=2))
    for leak in search.leaks[:20]:
        print(f"{leak.place}: {leak.number[:5]}…{leak.number[-3:]}: {leak.story}")
    return 0 if fair(found) else 1


if __name__ == "__main__":
    sys.exit(main())
