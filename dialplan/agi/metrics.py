"""What the FastAGI server counted: plain values that any exporter can read."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

_BOUNDS_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)


class Outcome(StrEnum):
    """How one question ended. Every question gets exactly one."""

    ANSWERED = "answered"
    """The switch confirmed the variable."""
    LATE = "late"
    """The answerer took longer than its budget; nothing was set."""
    FAILED = "failed"
    """The answerer raised, or its answer must not reach the wire; nothing was set."""
    GONE = "gone"
    """The caller hung up, or the switch closed the connection, before the answer was confirmed."""
    DECLINED = "declined"
    """The switch refused the command (510, 511, 520, or a result other than 1)."""
    UNCONFIRMED = "unconfirmed"
    """The answer was sent and no reply came in time; it may have been set."""
    GARBLED = "garbled"
    """The other side said something that is neither a reply nor a hang-up."""
    DROPPED = "dropped"
    """The server stopped and the drain time was over."""


class Refused(StrEnum):
    """Why a connection never became a question, beside the reasons of the wire."""

    FULL = "full"
    """Every place was taken by a question that is being answered."""
    CROWDED_OUT = "crowded_out"
    """It had the longest silence when a newer connection needed its place."""
    FOREIGN = "foreign"
    """It did not come from this machine."""
    SILENT = "silent"
    """No whole question before the header deadline."""
    CLOSED_EARLY = "closed_early"
    """The other side closed before a whole question."""
    STOPPING = "stopping"
    """The server stopped before a whole question had come."""


@dataclass(frozen=True, slots=True)
class AnswerTimes:
    """Seconds from a whole question to the answer on the wire, in buckets.

    ``counts[i]`` holds the times of at most ``bounds_s[i]``; the last count those above every bound.
    """

    bounds_s: tuple[float, ...]
    counts: tuple[int, ...]
    total_s: float

    @property
    def count(self) -> int:
        """How many answers were timed."""
        return sum(self.counts)

    def quantile(self, share: float) -> float:
        """Upper bound, in seconds, of the bucket that holds this share (0 to 1) of the answers.

        0.0 when there are none; infinity when it lies above the last bound.
        """
        wanted = share * self.count
        if self.count == 0:
            return 0.0
        seen = 0
        for bound, count in zip(self.bounds_s, self.counts, strict=False):
            seen += count
            if seen >= wanted:
                return bound
        return float("inf")


@dataclass(frozen=True, slots=True)
class AgiMetrics:
    """A snapshot. Connections taken = ``asked`` + all ``rejected`` + those still being read;
    ``asked`` = all ``outcomes`` + those still being answered."""

    asked: int
    outcomes: Mapping[str, int]
    rejected: Mapping[str, int]
    hangups: int
    open_now: int
    answer_times: AnswerTimes

    @property
    def answered(self) -> int:
        """Questions whose answer the switch confirmed."""
        return self.outcomes.get(Outcome.ANSWERED, 0)

    @property
    def late(self) -> int:
        """Questions whose answerer missed its budget."""
        return self.outcomes.get(Outcome.LATE, 0)

    @property
    def failed(self) -> int:
        """Questions whose answerer raised or gave an unsafe answer."""
        return self.outcomes.get(Outcome.FAILED, 0)


class Tally:
    """The counters behind a snapshot. Touched only from the server's loop."""

    def __init__(self) -> None:
        self.asked = 0
        self.hangups = 0
        self.outcomes: Counter[str] = Counter()
        self.rejected: Counter[str] = Counter()
        self._counts = [0] * (len(_BOUNDS_S) + 1)
        self._total_s = 0.0

    def time(self, seconds: float) -> None:
        """Take the time of one answer."""
        self._counts[bisect_left(_BOUNDS_S, seconds)] += 1
        self._total_s += seconds

    def snapshot(self, open_now: int) -> AgiMetrics:
        """The counters as they stand, with the number of connections open now."""
        return AgiMetrics(
            asked=self.asked,
            outcomes={str(outcome): count for outcome, count in self.outcomes.items()},
            rejected={str(reason): count for reason, count in self.rejected.items()},
            hangups=self.hangups,
            open_now=open_now,
            answer_times=AnswerTimes(_BOUNDS_S, tuple(self._counts), self._total_s),
        )
