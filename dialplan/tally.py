"""The director's counters, for the metrics page."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Tally:
    """``ended`` counts by direction, status and termination."""

    placed: int = 0
    offered: int = 0
    turned_away: int = 0
    orphans: int = 0
    reconciled: int = 0
    ended: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    late_facts: int = 0
