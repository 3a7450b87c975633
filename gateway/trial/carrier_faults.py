"""How a simulated carrier misbehaves: named rates and times, and the dice that decide."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from random import Random

from telephony.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Faults:
    """Rates from 0 to 1, and times in seconds (names in ``_s``). All rates 0: a carrier that never errs.

    On the way to us: ``duplicate`` tells something twice, ``reorder`` tells it ``reorder_s`` later,
    ``forge`` tells it first with a wrong signature, ``shuffle`` tells the parts of a long text in any order;
    receipts may be lost (``lost``) or come ``late_s`` later (``late``), or say that the text was not
    delivered (``undelivered``). On the way from us: ``slow`` answers after ``slow_s``, ``throttle`` answers
    429 with ``retry_after_s``, ``error`` answers 503 and takes nothing, ``cut`` takes the text and breaks the
    connection without an answer.
    """

    duplicate: float = 0.0
    reorder: float = 0.0
    forge: float = 0.0
    shuffle: float = 0.0
    lost: float = 0.0
    late: float = 0.0
    undelivered: float = 0.0
    slow: float = 0.0
    throttle: float = 0.0
    error: float = 0.0
    cut: float = 0.0
    reorder_s: float = 0.2
    late_s: float = 2.0
    slow_s: float = 3.0
    retry_after_s: float = 1.0
    receipt_s: float = 0.1
    """How long after taking a text each of its receipts comes."""

    def changed(self, given: Mapping[str, object]) -> Faults:
        """With these instead; raises InvalidInput for an unknown name or a value out of its range."""
        known = {one.name for one in fields(self)}
        values: dict[str, float] = {}
        for name, value in given.items():
            most = 3_600.0 if name.endswith("_s") else 1.0
            if name not in known:
                raise InvalidInput(f"no such fault: {name}", field=name, expected=", ".join(sorted(known)))
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
                raise InvalidInput(f"{name} is out of range", field=name, expected=f"0 to {most:g}")
            values[name] = float(value)
        return replace(self, **values)


def parse_faults(text: str) -> Faults:
    """Faults as ``duplicate=0.2,late=1,late_s=0.5``; raises InvalidInput."""
    given: dict[str, object] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, value = part.partition("=")
        try:
            given[name] = float(value)
        except ValueError:
            raise InvalidInput(f"{part}: expected name=number", field=name) from None
    return Faults().changed(given)


class Dice:
    """Chances by a seed: the same throws for the same seed. One throw a decision, whatever its rate."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def falls(self, rate: float) -> bool:
        return self._random.random() < rate

    def order(self, count: int) -> list[int]:
        """0 … count-1 in any order but the natural one, where there is another."""
        found = list(range(count))
        while count > 1 and found == sorted(found):
            self._random.shuffle(found)
        return found
