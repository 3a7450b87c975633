"""How much may be sent to one receiver now, and in which order: a circuit breaker and a queue.

A lane is one receiver as one tenant sees it: a registered endpoint, or the host of a per-call URL. Lanes
know nothing of one another, so a dead receiver costs its own lane only.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar
from urllib.parse import urlsplit

FAILURES_TO_OPEN: Final = 5
FIRST_OPEN_S: Final = 5.0
LONGEST_OPEN_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Health:
    """A receiver's circuit. Closed: ``open_until`` is None. Open: nothing is sent before ``open_until``
    (monotonic seconds). After it, one attempt at a time probes until one is answered."""

    failures: int = 0
    opened: int = 0
    open_until: float | None = None


HEALTHY: Final = Health()


def after_answer(health: Health, now: float) -> Health:
    """A receiver that answers is healthy at once, unless it asked to be left alone until later."""
    if health.open_until is not None and now < health.open_until:
        return health
    return HEALTHY


def after_strain(health: Health, now: float) -> Health:
    """One more attempt found the receiver down. Stragglers of an open circuit change nothing."""
    if health.open_until is not None and now < health.open_until:
        return health
    failures = health.failures + 1
    if health.open_until is None and failures < FAILURES_TO_OPEN:
        return Health(failures, health.opened)
    stretch = min(FIRST_OPEN_S * 2.0**health.opened, LONGEST_OPEN_S)
    return Health(failures, min(health.opened + 1, 16), now + stretch)


def after_pause(health: Health, now: float, pause_s: float) -> Health:
    """The receiver asked to be left alone for ``pause_s``."""
    return Health(health.failures, health.opened, max(now + pause_s, health.open_until or 0.0))


def allowance(health: Health, now: float, limit: int) -> int:
    """How many attempts may be in flight at once: none while open, one as a probe, else ``limit``."""
    if health.open_until is None:
        return limit
    return 1 if now >= health.open_until else 0


def lane_of_url(tenant_id: str, url: str) -> str:
    """The lane of a per-call URL: its host as this tenant sees it. ``url`` has passed ``check_url``."""
    parts = urlsplit(url)
    return f"{tenant_id}|{parts.scheme}://{parts.netloc}"


class Queued(Protocol):
    """What the queue must know of a delivery: what it is about, and how many attempts it has had."""

    @property
    def subject(self) -> str: ...

    @property
    def attempts(self) -> int: ...


T = TypeVar("T", bound=Queued)


class LaneQueue(Generic[T]):
    """Deliveries of one lane that wait in memory, oldest first.

    A first attempt waits until the first attempt of the subject's previous event has ended, well or
    badly; retries wait for nobody. So a receiver meets a call's events in order, and one that it
    refuses does not hold up the rest.
    """

    def __init__(self) -> None:
        self.in_flight = 0
        self._queue: deque[T] = deque()
        self._held: dict[str, deque[T]] = {}

    def __len__(self) -> int:
        """How many wait, those held back for order included."""
        return len(self._queue) + sum(len(held) for held in self._held.values())

    def put(self, item: T) -> None:
        self._queue.append(item)

    def take(self) -> T | None:
        """The next delivery that may start, in flight until ``finished``; None if there is none."""
        while self._queue:
            item = self._queue.popleft()
            if item.attempts == 0:
                if item.subject in self._held:
                    self._held[item.subject].append(item)
                    continue
                self._held[item.subject] = deque()
            self.in_flight += 1
            return item
        return None

    def finished(self, item: T) -> None:
        """The attempt ended: its subject's next event may start, before younger ones."""
        self.in_flight -= 1
        if item.attempts > 0:
            return
        held = self._held.pop(item.subject, None)
        if held:
            self._queue.extendleft(reversed(held))

    def drain(self) -> list[T]:
        """Take out everything that waits, e.g. because the circuit opened; order is kept."""
        waiting = list(self._queue)
        self._queue.clear()
        for held in self._held.values():
            waiting.extend(held)
            held.clear()
        return waiting
