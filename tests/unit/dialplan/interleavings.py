"""Every order in which a call's events may really arrive.

Each leg's own events keep their order, and a leg's first event keeps its place among those of the leg that
dialled it. OriginateResponse alone is free: it goes past the switch's own queue, by less than half a second.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from dialplan.core.call import Role
from dialplan.core.heard import Heard, What
from tools.replay import Item
from tools.trace_file import Input

OVERTAKES_S = 0.5

Before = list[set[int]]
"""For each item, by its place, the items that must come before it."""


def constraints(happened: Sequence[Item]) -> Before:
    return [
        {j for j in range(i) if _ordered(happened[j], happened[i])} | _causes(happened, i)
        for i in range(len(happened))
    ]


def _ordered(first: Item, second: Item) -> bool:
    """Whether ``first``, recorded earlier, has to stay so."""
    if first.originate_response or second.originate_response:
        return second.at - first.at > OVERTAKES_S or _barrier(first) or _barrier(second)
    if _barrier(first) or _barrier(second):
        return True
    if _asks(first) or _asks(second):
        return False
    return first.role is second.role or first.dial or second.dial


def _barrier(item: Item) -> bool:
    """What we did caused what followed."""
    return isinstance(item.what, Input) and not _asks(item)


def _asks(item: Item) -> bool:
    return isinstance(item.what, Input) and item.what.what == "asked"


def _causes(happened: Sequence[Item], i: int) -> set[int]:
    """The question comes over another connection; it made the callee, and a live channel asked it."""
    item = happened[i]
    caller_gone = isinstance(item.what, Heard) and item.what.what in (What.HUNG_UP, What.END_REQUESTED)
    if not (item.role is Role.CALLEE or (caller_gone and item.role is Role.CALLER)):
        return set()
    return {j for j, other in enumerate(happened) if _asks(other)}


def orders(happened: Sequence[Item]) -> list[list[Item]]:
    """All orders there are. Moments keep their places: what comes first comes at the first moment."""
    times = [item.at for item in happened]
    return [
        [replace(happened[place], at=at) for place, at in zip(order, times, strict=True)]
        for order in _all(constraints(happened), [])
    ]


def with_one_repeated(happened: Sequence[Item]) -> Iterator[list[Item]]:
    """Each event once more, at each later moment."""
    for i, item in enumerate(happened):
        for j in range(i + 1, len(happened) + 1):
            at = happened[min(j, len(happened) - 1)].at
            yield [*happened[:j], replace(item, at=at), *happened[j:]]


def _ready(before: Before, done: Sequence[int]) -> list[int]:
    have = set(done)
    return [i for i in range(len(before)) if i not in have and before[i] <= have]


def _all(before: Before, done: list[int]) -> Iterator[tuple[int, ...]]:
    if len(done) == len(before):
        yield tuple(done)
    for i in _ready(before, done):
        yield from _all(before, [*done, i])
