"""Which worker a telephone is given to. Pure.

Telephones of one room that share a worker hear one another there, and what others publish is fetched and
decoded once for all of them (``bridge.hall``). A worker has one loop, so it is not given more than it can
keep in time.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

FULL: Final = 6
"""Telephones that a worker has before it is not sought for its room any more. A worker's clock begins to be
late at about eight in one room, and those that dial in are placed before anybody knows their room."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a worker has: telephones, and how many of these are in the room that is asked for, or on their
    way there."""

    number: int
    legs: int
    here: int = 0


def in_order(loads: Iterable[Load], turn: int, of: int) -> tuple[int, ...]:
    """Numbers of the workers to ask, one after another: first those that have the room and are not full, the
    one with most of it before the others; then the least loaded. Among equals it goes round, by ``turn``, of
    ``of`` workers."""

    def rank(load: Load) -> tuple[bool, int, int]:
        sought = load.here > 0 and load.legs < FULL
        return not sought, -load.here if sought else load.legs, (load.number - turn) % of

    return tuple(load.number for load in sorted(loads, key=rank))
