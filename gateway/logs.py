"""Logs: one JSON object per line, with the numbers masked whoever wrote them."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any

import orjson
import structlog
from structlog.contextvars import merge_contextvars
from structlog.processors import format_exc_info

from telephony.numbers import mask_text

_UNMASKED = frozenset(
    {
        "event",
        "timestamp",
        "level",
        "logger",
        "boot",
        "tenant",
        "key_id",
        "call_id",
        "request_id",
        "recording_id",
        "channel",
    }
)
"""Keys whose values are ours or hold long ids: masking would spoil them."""
_LEVELS = {"warn": "warning", "exception": "error"}


def configure(level: str) -> None:
    """Send everything to standard output; ``level`` is debug, info, warning or error."""
    number = logging.getLevelName(level.upper())
    structlog.configure(
        processors=[merge_contextvars, render],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.BytesLoggerFactory(sys.stdout.buffer),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=max(number, logging.WARNING), stream=sys.stdout, force=True)


def render(logger: Any, method: str, event: MutableMapping[str, Any]) -> bytes:
    """The finished line. One step, not a chain of structlog's: every call writes several lines."""
    event["level"] = _LEVELS.get(method, method)
    moment = datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="microseconds")
    event["timestamp"] = f"{moment[:-6]}Z"
    if "exc_info" in event:
        event = format_exc_info(logger, method, event)
    return orjson.dumps(mask_numbers(event), default=str)


def mask_numbers(event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Mask everything in string values that looks like a telephone number."""
    for key, value in event.items():
        if isinstance(value, str) and key not in _UNMASKED:
            event[key] = mask_text(value)
    return event
