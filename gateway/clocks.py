"""The process's clocks and chances: the only place that asks the machine for them."""

from __future__ import annotations

import random
import secrets
import time
from datetime import UTC, datetime

from ulid import ULID


class SystemClock:
    """Fits ``telephony.clock.Clock``. Wall time is anchored at start and carried by the monotonic clock,
    so a step of the machine's clock never makes a call's record run backwards."""

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    def epoch(self) -> float:
        """Seconds since 1970 that never go back within this process."""
        return self._offset + time.monotonic()

    def wall(self) -> datetime:
        return datetime.fromtimestamp(self.epoch(), UTC)

    def mono(self) -> float:
        return time.monotonic()


def new_id(prefix: str) -> str:
    """A fresh id, e.g. ``call_01J…``: sortable by time, 80 random bits."""
    return f"{prefix}_{ULID()}"


def chance() -> float:
    """A number in [0, 1) for jitter; not for secrets."""
    return random.random()


random_bytes = secrets.token_bytes
