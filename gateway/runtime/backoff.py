"""How long to wait before a crashed child is started again. Pure; chance is an argument."""

from __future__ import annotations

FIRST_S = 0.5
LONGEST_S = 30.0
STEADY_AFTER_S = 60.0
"""A child that ran this long is trusted again: its next crash counts as the first."""


def backoff_s(failures: int, chance: float) -> float:
    """Seconds to wait after ``failures`` crashes in a row (1 = the first); ``chance`` is in [0, 1).

    Doubles from FIRST_S up to LONGEST_S; between half of it and all of it is used, so that several
    children that died together do not come back together.

    >>> backoff_s(1, 0.0), backoff_s(2, 0.0), backoff_s(99, 0.0)
    (0.25, 0.5, 15.0)
    """
    whole = min(LONGEST_S, FIRST_S * 2.0 ** min(max(failures, 1) - 1, 16))
    return whole * (0.5 + chance / 2)


def failures_after(failures: int, ran_s: float) -> int:
    """Crashes in a row, counting one more after a run of ``ran_s`` seconds."""
    return 1 if ran_s >= STEADY_AFTER_S else failures + 1
