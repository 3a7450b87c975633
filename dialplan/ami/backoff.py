"""How long to wait before the next try at the switch. Pure: chance is an argument."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BackOff:
    """Exponential back-off with full jitter, in seconds.

    The ``n``-th wait (from 0) is drawn evenly between ``floor_s`` and ``min(cap_s, base_s * 2**n)``, so
    that many gateways which lost the same switch do not come back together.
    """

    base_s: float
    cap_s: float
    floor_s: float

    def wait_s(self, failures: int, chance: float) -> float:
        """Seconds to wait after ``failures`` failed tries in a row; ``chance`` is in [0, 1)."""
        ceiling = min(self.cap_s, self.base_s * 2.0 ** min(failures, 32))
        return self.floor_s + chance * max(0.0, ceiling - self.floor_s)


AWAY = BackOff(base_s=0.25, cap_s=10.0, floor_s=0.05)
"""The switch does not answer: it may be back at any moment."""

REFUSED = BackOff(base_s=5.0, cap_s=60.0, floor_s=1.0)
"""The switch does not accept our name, secret or rights: each try is a security event over there."""
