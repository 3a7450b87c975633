"""How an agent at the other end of a socket keeps up: what it has not taken, whether it is alive, and how
much it sends at once. Pure; times are monotonic seconds.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LineLimits:
    """``connect_s``: name, TCP, TLS and handshake together. ``behind_s`` and ``stuck_s``: how old what was
    sent and not taken may be before sound is dropped, and before the agent counts as lost. ``breath_s``: the
    span in which an agent may send ``breath_messages`` and ``breath_bytes``; then it is not read until the
    next."""

    connect_s: float = 2.5
    message_bytes: int = 2_000_000
    backlog_bytes: int = 4_000_000
    waiting_bytes: int = 8_000_000
    """Sound that waits for room in the call before the agent is not read: 16 minutes of µ-law."""
    behind_s: float = 1.0
    stuck_s: float = 10.0
    ping_s: float = 2.0
    check_s: float = 0.5
    close_s: float = 2.0
    breath_s: float = 0.1
    breath_messages: int = 400
    breath_bytes: int = 2_000_000
    addresses: int = 3
    kernel_bytes: int = 65_536
    """The kernel's buffers: small, so that a lag shows here, and a flood is read in sips."""


class Backlog:
    """The age of the oldest octet that was written and has not left the process."""

    def __init__(self) -> None:
        self._written = 0
        self._marks: deque[tuple[int, float]] = deque()

    def wrote(self, octets: int, buffered: int, now: float) -> None:
        """So many octets were written, after which so many are buffered."""
        self._written += octets
        if buffered:
            self._marks.append((self._written, now))
        elif self._marks:
            self._marks.clear()

    def age(self, buffered: int, now: float) -> float:
        """Seconds; 0 where nothing is buffered."""
        left = self._written - buffered
        marks = self._marks
        while marks and (marks[0][0] <= left or not buffered):
            marks.popleft()
        return now - marks[0][1] if marks else 0.0


class Pulse:
    """Pings and their pongs: one at a time. Whoever does not answer does not read either."""

    def __init__(self, every_s: float, now: float) -> None:
        self._every_s = every_s
        self._next_at = now + every_s
        self._asked_at: float | None = None
        self._beat = 0

    def due(self, now: float) -> bytes | None:
        """The ping to be sent now, if any."""
        if self._asked_at is not None or now < self._next_at:
            return None
        self._beat += 1
        self._asked_at = now
        return b"%d" % self._beat

    def answered(self, payload: bytes, now: float) -> None:
        """A pong; one to another ping than the last means nothing."""
        if self._asked_at is not None and payload == b"%d" % self._beat:
            self._asked_at, self._next_at = None, now + self._every_s

    def waiting(self, now: float) -> float:
        """Seconds since a ping was sent that is not answered yet."""
        return 0.0 if self._asked_at is None else now - self._asked_at


class Breath:
    """What arrives in a short span; more than that has to wait for the next. What was already under way when
    reading stopped is counted against the spans that follow."""

    def __init__(self, limits: LineLimits) -> None:
        self._limits = limits
        self._began = 0.0
        self._messages = self._bytes = 0

    def took(self, octets: int, now: float) -> float:
        """A message came. For how many seconds nothing more is to be read; 0 to go on."""
        limits = self._limits
        spans = int((now - self._began) / limits.breath_s)
        if spans:
            self._messages = max(0, self._messages - spans * limits.breath_messages)
            self._bytes = max(0, self._bytes - spans * limits.breath_bytes)
            self._began = now
        self._messages += 1
        self._bytes += octets
        over = max(self._messages // limits.breath_messages, self._bytes // limits.breath_bytes)
        return max(0.0, self._began + over * limits.breath_s - now) if over else 0.0
