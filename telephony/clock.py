"""Time as an argument: the two clocks the product knows.

``wall`` is UTC, for people and records; ``mono`` only ever moves forward, for deadlines.
Cores take plain numbers or datetimes; shells hold a Clock.
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time. ``wall()`` is an aware UTC datetime, ``mono()`` seconds that never go back."""

    def wall(self) -> datetime: ...

    def mono(self) -> float: ...
