"""Back-off: grows, is capped, and is drawn by chance."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialplan.ami.backoff import AWAY, REFUSED, BackOff

pytestmark = pytest.mark.unit


@given(failures=st.integers(0, 10_000), chance=st.floats(0, 1, exclude_max=True))
def test_never_outside_floor_and_cap(failures: int, chance: float) -> None:
    for policy in (AWAY, REFUSED):
        assert policy.floor_s <= policy.wait_s(failures, chance) <= policy.cap_s


def test_the_ceiling_doubles_until_the_cap() -> None:
    policy = BackOff(base_s=1.0, cap_s=10.0, floor_s=0.0)
    assert [policy.wait_s(n, 1.0) for n in range(6)] == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]


def test_full_jitter_spreads_between_floor_and_ceiling() -> None:
    policy = BackOff(base_s=4.0, cap_s=10.0, floor_s=1.0)
    assert [policy.wait_s(0, chance) for chance in (0.0, 0.5, 1.0)] == [1.0, 2.5, 4.0]


def test_a_floor_above_the_ceiling_is_the_wait() -> None:
    assert BackOff(base_s=0.1, cap_s=10.0, floor_s=1.0).wait_s(0, 0.9) == 1.0


def test_a_refusal_waits_longer_than_an_absence() -> None:
    assert AWAY.cap_s == 10.0
    assert REFUSED.cap_s == 60.0
    assert REFUSED.wait_s(0, 0.5) > AWAY.wait_s(0, 0.999)
