"""When a service that failed is asked again. Pure.

A service that failed twice in a row is left alone, so that nobody waits for what will not come; then one
asker at a time finds out whether it is back. The rest grows with every failure in a row, up to a limit.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rests:
    """After ``patience`` failures in a row it rests ``first_s`` seconds, then twice as long each time."""

    patience: int = 2
    first_s: float = 10.0
    most_s: float = 120.0


class Away:
    """One service's. ``now`` is of any steady clock, in seconds."""

    def __init__(self, rests: Rests | None = None) -> None:
        self._rests = rests or Rests()
        self._failures = 0
        self._until = 0.0

    @property
    def away(self) -> bool:
        """Whether it is taken for gone."""
        return self._failures >= self._rests.patience

    def may_try(self, now: float) -> bool:
        """Whether to ask it now. Of those who come once a rest is over, the first may: the others are sent
        away until it is known what became of that."""
        if not self.away:
            return True
        if now < self._until:
            return False
        self._until = now + self._rest_s()
        return True

    def failed(self, now: float) -> bool:
        """It did not answer. True if that is news: it was there until now."""
        before, self._failures = self.away, self._failures + 1
        if self.away:
            self._until = now + self._rest_s()
        return self.away and not before

    def answered(self) -> bool:
        """It answered. True if that is news."""
        before, self._failures = self.away, 0
        return before

    def _rest_s(self) -> float:
        doublings = min(16, max(0, self._failures - self._rests.patience))
        return min(self._rests.most_s, self._rests.first_s * 2.0**doublings)
