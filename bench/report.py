"""Writes what a benchmark measured: one JSON file for machines, one table for people."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

RESULTS = Path(__file__).resolve().parent / "results"

Figures = Mapping[str, float | int | str]


def write_result(name: str, figures: Figures, baseline: Figures, ratio: Figures) -> Path:
    """Write ``bench/results/NAME.json`` and print the same as a table.

    ``figures`` is ours, ``baseline`` what it is compared with in the same run, ``ratio`` ours over the
    baseline. Units are in the names (``_ms``, ``_us``, ``_per_s``, ``_rps``). Returns the file's path.
    """
    result = {
        "name": name,
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "figures": _rounded(figures),
        "baseline": _rounded(baseline),
        "ratio": _rounded(ratio),
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(_table(result))
    return path


def machine() -> dict[str, str | int]:
    """What it ran on; nothing that names the host."""
    return {
        "cpu": _cpu_model(),
        "cpus": os.cpu_count() or 0,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    found = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(found, platform.processor() or "unknown")


def _rounded(figures: Figures) -> dict[str, float | int | str]:
    return {key: round(value, 4) if isinstance(value, float) else value for key, value in figures.items()}


def _table(result: Mapping[str, object]) -> str:
    rows = [f"bench {result['name']}"]
    for part in ("figures", "baseline", "ratio"):
        figures = result[part]
        assert isinstance(figures, dict)
        rows += [f"  {part:<9} {key:<32} {_shown(value):>14}" for key, value in figures.items()]
    return "\n".join(rows)


def _shown(value: object) -> str:
    return (
        f"{value:,.3f}"
        if isinstance(value, float)
        else f"{value:,}"
        if isinstance(value, int)
        else str(value)
    )
