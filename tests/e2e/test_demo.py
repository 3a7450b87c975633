"""The demonstration as a person runs it: its exit code, and the report that machines read."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(480)]
"""In real time, with sound: a minute and a half where nothing is in the way."""

ROOT = Path(__file__).parents[2]
STORIES = [
    "a recorded call between two phones",
    "an announcement",
    "a busy call",
    "an unanswered call",
    "a cancelled call",
    "an inbound call",
    "what is never dialled",
    "two people behind proxy numbers",
    "an agent who is told before the end",
    "a telephone in a video room",
]


async def demo(var: Path, *stories: str, **variables: str) -> tuple[int, str, Any]:
    """Exit code, what was printed, and the report. No story named: all of them."""
    environment = {
        k: v for k, v in os.environ.items() if not k.startswith("PATCHBAY_") or k == "PATCHBAY_RUNTIME"
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway.cli", "demo", "--var", str(var)),
        *(f"--story={story}" for story in stories),
        cwd=ROOT,
        env={**environment, **variables},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed, _ = await asyncio.wait_for(process.communicate(), 450)
    report = await asyncio.to_thread((var / "report.json").read_text)
    assert process.returncode is not None
    return process.returncode, printed.decode(), json.loads(report)


def faults(report: Any) -> list[str]:
    """Where it is not ``{held, stories: […]}``, and each story not as ``report`` makes it."""
    found: list[str] = []

    def fits(value: Any, shape: dict[str, type | tuple[type, ...]], where: str) -> None:
        if list(value) != list(shape):
            found.append(f"{where} has {list(value)}")
        found.extend(
            f"{where}.{name}"
            for name, kind in shape.items()
            if type(value.get(name)) not in (kind if isinstance(kind, tuple) else (kind,))
        )

    fits(report, {"held": bool, "stories": list}, "report")
    for story in report["stories"]:
        fits(
            story,
            {"name": str, "held": bool, "skipped": (str, type(None)), "seconds": float, "checks": list},
            story["name"],
        )
        for check in story["checks"]:
            fits(check, {"name": str, "held": bool, "detail": str}, f"{story['name']}: {check['name']}")
    return found


async def test_the_demonstration_holds_and_says_so(tmp_path: Path) -> None:
    code, printed, report = await demo(tmp_path / "demo")
    assert faults(report) == []
    broken = [c for story in report["stories"] for c in story["checks"] if not c["held"]]
    assert (code, report["held"], broken) == (0, True, []), printed
    assert [story["name"] for story in report["stories"]] == STORIES
    assert all(story["held"] and (story["skipped"] or story["seconds"] > 0) for story in report["stories"])
    assert [story["name"] for story in report["stories"] if story["skipped"]] in ([], STORIES[-1:])
    assert sum(len(story["checks"]) for story in report["stories"]) >= 30
    for line in ("call.initiated → call.ringing → call.answered", "alice has answered", "the call is busy"):
        assert line in printed


async def test_a_demonstration_that_fails_says_so(tmp_path: Path) -> None:
    """No country may be called: every story that dials a number breaks at once."""
    breaks = ("a recorded call between two phones", "a busy call", "two people behind proxy numbers")
    code, printed, report = await demo(
        tmp_path / "demo",
        *(*breaks, "what is never dialled"),
        PATCHBAY_ALLOWED_COUNTRIES="FR",
        PATCHBAY_LIVEKIT="off",
    )
    assert faults(report) == []
    assert (code, report["held"]) == (1, False), printed
    held = {story["name"]: story["held"] for story in report["stories"]}
    assert held == {**dict.fromkeys(breaks, False), "what is never dialled": True}
    assert "COUNTRY_NOT_ALLOWED" in json.dumps(report)
    assert "FAILED" in printed
