"""Counting frames in a queue that only tells now and then."""

from __future__ import annotations

import pytest

from voice_agents.core.switch_queue import TICK_S, SwitchQueue

pytestmark = pytest.mark.unit


def test_a_frame_leaves_each_tick() -> None:
    queue = SwitchQueue()
    for _ in range(3):
        queue.send(10.0)
    assert [queue.depth(10.0 + ms / 1000) for ms in (0, 19, 21, 41, 61, 500)] == [3, 3, 2, 1, 0, 0]
    assert queue.gone(11.0) == 3


def test_word_from_the_switch_sets_the_count_right() -> None:
    queue = SwitchQueue()
    for _ in range(5):
        queue.send(10.0)
    queue.depth(10.1)
    assert queue.depth(10.1) == 0, "so it would be, had the switch played"
    queue.confirm(1, 10.1)
    assert queue.confirmed == 1
    assert queue.depth(10.1) == 3, "the first left, the second is playing"


@pytest.mark.parametrize("number", [0, 1, 9])
def test_old_and_impossible_words_change_nothing(number: int) -> None:
    queue = SwitchQueue()
    for _ in range(3):
        queue.send(10.0)
    queue.confirm(2, 10.04)
    queue.confirm(number, 10.041)
    assert (queue.confirmed, queue.depth(10.041)) == (2, 0)


def test_the_switchs_clock_is_followed() -> None:
    queue = SwitchQueue()
    assert queue.next_tick is None
    queue.send(10.0)
    assert queue.next_tick is None, "nothing was told yet"
    for tick in range(1, 20):
        queue.send(9.99 + tick * TICK_S)
        late = 0.004 if tick % 3 else 0.0005
        queue.confirm(tick, 10.003 + tick * TICK_S + late)
    assert queue.next_tick == pytest.approx(10.003 + 20 * TICK_S, abs=0.0015), (
        "late words do not lead it astray"
    )


def test_a_tick_that_found_nothing_is_counted_once_the_clock_is_known() -> None:
    queue = SwitchQueue()
    for number in range(1, 5):
        queue.send(10.0 + number * TICK_S)
        queue.confirm(number, 10.01 + (number + 1) * TICK_S)
    assert queue.starved == 1, "the first three may be for want of a start"


def test_a_flushed_queue_is_empty() -> None:
    queue = SwitchQueue()
    for _ in range(3):
        queue.send(10.0)
    queue.emptied()
    assert queue.depth(10.0) == 0
    queue.send(10.0)
    assert queue.depth(10.001) == 1
