"""Logs: one JSON object per line, with the numbers masked whoever wrote them."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import orjson
import structlog

from telephony.numbers import mask_text

_UNMASKED = frozenset(
    {"event", "timestamp", "level", "logger", "boot", "call_id", "request_id", "recording_id", "channel"}
)
"""Keys whose values are ours or hold long ids: masking would spoil them."""


def configure(level: str) -> None:
    """Send everything to standard output; ``level`` is debug, info, warning or error."""
    number = logging.getLevelName(level.upper())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            mask_numbers,
            structlog.processors.JSONRenderer(serializer=_dump),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.BytesLoggerFactory(sys.stdout.buffer),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=max(number, logging.WARNING), stream=sys.stdout, force=True)


def mask_numbers(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Mask everything in string values that looks like a telephone number."""
    for key, value in event.items():
        if isinstance(value, str) and key not in _UNMASKED:
            event[key] = mask_text(value)
    return event


def _dump(event: object, **_: object) -> bytes:
    return orjson.dumps(event, default=str)
