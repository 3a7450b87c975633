"""The floor of a line's levels: found without looking through them, and the same as if one did."""

import random
from collections import deque

import pytest

from voice_agents.providers.webrtc_vad import _Floor

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("frames", [1, 2, 3, 7, 200])
def test_the_floor_is_the_least_of_the_last_levels(frames: int):
    chance = random.Random(frames)
    floor, plain = _Floor(frames), deque[int](maxlen=frames)
    for _ in range(2000):
        level = chance.choice([chance.randrange(5), chance.randrange(1000)])
        assert floor.before(level) == min(plain, default=0)
        plain.append(level)
