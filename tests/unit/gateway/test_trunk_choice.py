"""Which trunk a number goes over: the longest prefix wins, the first trunk takes the rest."""

from __future__ import annotations

import pytest

from gateway.runtime.plan import SwitchPlan, Trunk
from gateway.trunk_choice import choose_by_prefix, limits_of
from telephony.numbers import E164

pytestmark = pytest.mark.unit

PLAN = SwitchPlan(
    (
        Trunk("first", "192.0.2.1"),
        Trunk("british", "192.0.2.2", prefixes=("+44",), max_channels=30),
        Trunk("london", "192.0.2.3", prefixes=("+4420", "+4423"), max_channels=0),
        Trunk("exact", "192.0.2.4", prefixes=("+442079460000",)),
    )
)


@pytest.mark.parametrize(
    ("number", "trunk"),
    [
        ("+14155550100", "first"),
        ("+441632960001", "british"),
        ("+442079460001", "london"),
        ("+442379460001", "london"),
        ("+442079460000", "exact"),
        ("+4930123456", "first"),
    ],
)
def test_the_longest_prefix_that_fits_wins(number: str, trunk: str) -> None:
    assert choose_by_prefix(PLAN)(E164(number)) == trunk


def test_without_prefixes_the_first_trunk_takes_all_and_without_trunks_there_is_none() -> None:
    assert choose_by_prefix(SwitchPlan(PLAN.trunks[:1]))(E164("+442079460000")) == "first"
    assert choose_by_prefix(SwitchPlan())(E164("+442079460000")) == ""


def test_a_prefix_may_belong_to_the_first_trunk_too() -> None:
    plan = SwitchPlan((Trunk("a", "h", prefixes=("+1",)), Trunk("b", "h", prefixes=("+1415",))))
    choose = choose_by_prefix(plan)
    assert [choose(E164(n)) for n in ("+14155550100", "+12025550100", "+4930123456")] == ["b", "a", "a"]


def test_only_trunks_with_a_limit_are_limited() -> None:
    assert limits_of(PLAN) == {"british": 30}
