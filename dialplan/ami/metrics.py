"""What a link to the switch can tell about itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class LinkState(Enum):
    """Where a link is in its life."""

    STOPPED = "stopped"
    CONNECTING = "connecting"
    LOGGING_IN = "logging_in"
    BOOTING = "booting"
    UP = "up"
    WAITING = "waiting"
    """Down; the next try is timed."""
    REFUSED = "refused"
    """Down because the switch does not accept our name, secret or rights; tried again, but seldom."""


class DownReason(Enum):
    """Why a link is down, or why events were lost on it."""

    UNREACHABLE = "unreachable"
    LOGIN_TIMEOUT = "login_timeout"
    REFUSED = "refused"
    NOT_BOOTED = "not_booted"
    CLOSED = "closed"
    SHUTDOWN = "shutdown"
    HALF_OPEN = "half_open"
    PROTOCOL = "protocol"
    GAP = "gap"
    """The link itself is up, but its events came faster than they were consumed and some were dropped."""
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class LinkMetrics:
    """A snapshot. Counts are since the link was made; ``lag_ms`` is the age of the oldest waiting event."""

    role: str
    state: LinkState
    connection_epoch: int
    events: int
    dropped: int
    gap: bool
    gaps: int
    queued: int
    lag_ms: float
    lag_max_ms: float
    connects: int
    failures: int
    pongs_missed: int
    callback_errors: int
    junk: int
    late_replies: int
    unknown_replies: int
    pending: int
    actions: Mapping[str, int]
    """By result: ``done``, ``refused``, ``unavailable``, ``unknown``."""


@dataclass(slots=True)
class Tally:
    """The counters behind ``LinkMetrics``; each is written in one place only."""

    events: int = 0
    dropped: int = 0
    gaps: int = 0
    lag_max_s: float = 0.0
    connects: int = 0
    failures: int = 0
    pongs_missed: int = 0
    callback_errors: int = 0
    junk: int = 0
    late_replies: int = 0
    unknown_replies: int = 0
    actions: dict[str, int] = field(
        default_factory=lambda: {"done": 0, "refused": 0, "unavailable": 0, "unknown": 0}
    )
