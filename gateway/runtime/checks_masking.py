"""Checks of number masking: the carriers file, and whether the pool is large enough. They change nothing."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from gateway.carriers.plan import CarrierPlan, parse_carriers
from gateway.config import Settings, is_loopback
from gateway.runtime.findings import Finding, fail, ok, warn
from telephony.errors import InvalidInput

_NEAR: Final = 0.8
"""From this share of the usable numbers on, whoever holds so many is near the limit."""
Json = Mapping[str, Any]


def check_carriers(settings: Settings) -> Iterator[Finding]:
    """The carriers file: there, private, understood, and able to reach us."""
    file = settings.carriers_file
    if file is None:
        yield ok("carriers file", "none given: texts go over SIP trunks alone")
        return
    plan, finding = _read(file, settings.public_url)
    yield finding
    if plan is None:
        return
    if stat.S_IMODE(file.stat().st_mode) & 0o077:
        yield fail("secrets", f"{file} can be read by others", f"chmod 600 {file}")
    outside = [name for name, carrier in plan.carriers.items() if not carrier.allow_private]
    if outside and is_loopback(urlsplit(settings.public_url).hostname or ""):
        yield warn(
            "carriers file",
            f"{', '.join(sorted(outside))} cannot reach {settings.public_url}",
            "set PATCHBAY_PUBLIC_URL to the address that carriers call",
        )


def _read(file: Path, public_url: str) -> tuple[CarrierPlan | None, Finding]:
    try:
        plan = parse_carriers(file.read_text(), public_url)
    except (OSError, UnicodeDecodeError) as failure:
        said = type(failure).__name__  # why: the failure's own text may quote the file, which holds secrets
        return None, fail("carriers file", f"{file} cannot be read: {said}", "mend PATCHBAY_CARRIERS_FILE")
    except InvalidInput as failure:
        return None, fail("carriers file", failure.message, f"mend {file}")
    return plan, ok("carriers file", f"{len(plan.carriers)} carriers")


def judge_pool(pool: Json, forecast: Json) -> Iterator[Finding]:
    """What ``GET /v1/proxy/pool`` and ``…/forecast`` mean for whoever runs the service."""
    buckets: Sequence[Json] = pool["buckets"]
    if not buckets:
        yield ok("number pool", "empty: no masking sessions can be opened")
        return
    troubles = [*_full(buckets), *_foreseen(forecast["buckets"])]
    yield from troubles
    if not troubles:
        yield ok("number pool", f"{sum(bucket['usable'] for bucket in buckets)} usable numbers, enough")


def _full(buckets: Sequence[Json]) -> Iterator[Finding]:
    for bucket in buckets:
        usable, busiest = bucket["usable"], bucket["busiest"]
        if not usable or busiest < usable * _NEAR:
            continue
        trouble = f"{_place(bucket)}: one participant holds {busiest} of {usable} usable numbers; " + (
            "opening another session for them is refused" if busiest >= usable else "nearly all"
        )
        yield warn("number pool", trouble, "patchbay pool add, or a shorter quarantine")


def _foreseen(told: Sequence[Json]) -> Iterator[Finding]:
    for one in told:
        left = one["exhausted_in_seconds"]
        if not one["shortfall"]:
            continue
        when = "" if not left else f", in about {left / 3600:.0f} h"
        yield warn(
            "number pool",
            f"{_place(one['bucket'])}: {one['shortfall']} numbers will be missing{when}",
            "see patchbay pool forecast",
        )


def _place(bucket: Json) -> str:
    return " ".join(str(bucket[name]) for name in ("use", "country", "area") if bucket[name])
