"""Which trunk a number is called over. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gateway.runtime.plan import SwitchPlan
from telephony.numbers import E164


def choose_by_prefix(plan: SwitchPlan) -> Callable[[E164], str]:
    """The trunk with the longest of the ``prefixes`` that fit; else the first; "" where there is no trunk."""
    by_prefix = {prefix: trunk.name for trunk in plan.trunks for prefix in trunk.prefixes}
    lengths = sorted({len(prefix) for prefix in by_prefix}, reverse=True)
    first = plan.trunks[0].name if plan.trunks else ""

    def trunk_for(number: E164) -> str:
        digits = number.reveal()
        return next((by_prefix[digits[:n]] for n in lengths if digits[:n] in by_prefix), first)

    return trunk_for


def limits_of(plan: SwitchPlan) -> Mapping[str, int]:
    """Most legs at once, for the trunks that have such a limit."""
    return {trunk.name: trunk.max_channels for trunk in plan.trunks if trunk.max_channels}
