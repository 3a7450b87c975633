"""One receiver's circuit and queue."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.webhooks.core.lanes import (
    FAILURES_TO_OPEN,
    FIRST_OPEN_S,
    HEALTHY,
    LONGEST_OPEN_S,
    Health,
    LaneQueue,
    after_answer,
    after_pause,
    after_strain,
    allowance,
)

pytestmark = pytest.mark.unit


@dataclass(frozen=True)
class Item:
    subject: str
    number: int
    attempts: int = 0


def opened(now: float) -> Health:
    health = HEALTHY
    for _ in range(FAILURES_TO_OPEN):
        health = after_strain(health, now)
    return health


def test_the_circuit_opens_after_failures_in_a_row_and_then_probes() -> None:
    health = HEALTHY
    for _ in range(FAILURES_TO_OPEN - 1):
        health = after_strain(health, 0.0)
        assert allowance(health, 0.0, 32) == 32
    health = after_strain(health, 0.0)
    assert allowance(health, 0.0, 32) == 0
    assert allowance(health, FIRST_OPEN_S - 0.01, 32) == 0
    assert allowance(health, FIRST_OPEN_S, 32) == 1


def test_an_answer_in_between_starts_the_count_anew() -> None:
    health = HEALTHY
    for _ in range(20):
        health = after_strain(after_answer(after_strain(health, 0.0), 0.0), 0.0)
        health = after_answer(health, 0.0)
    assert health == HEALTHY


def test_stragglers_do_not_lengthen_an_open_circuit() -> None:
    health = opened(0.0)
    assert after_strain(health, FIRST_OPEN_S - 0.01) == health


def test_failed_probes_double_the_wait_up_to_a_bound_and_success_closes() -> None:
    health, now, waits = opened(0.0), 0.0, []
    for _ in range(7):
        assert health.open_until is not None
        waits.append(health.open_until - now)
        now = health.open_until
        health = after_strain(health, now)
    assert waits == [5, 10, 20, 40, 60, 60, LONGEST_OPEN_S]
    assert health.open_until is not None
    assert after_answer(health, health.open_until) == HEALTHY


def test_a_pause_holds_even_when_older_attempts_are_answered() -> None:
    health = after_pause(HEALTHY, 10.0, 30.0)
    assert allowance(after_answer(health, 11.0), 11.0, 32) == 0
    assert allowance(health, 40.0, 32) == 1
    assert after_pause(health, 10.0, 1.0).open_until == 40.0


def test_a_probe_that_fails_after_a_pause_opens_again() -> None:
    health = after_strain(after_pause(HEALTHY, 0.0, 5.0), 5.0)
    assert allowance(health, 5.0, 32) == 0


def test_a_calls_events_start_one_after_another_others_are_not_held() -> None:
    queue: LaneQueue[Item] = LaneQueue()
    for item in (Item("a", 1), Item("a", 2), Item("b", 1), Item("a", 3)):
        queue.put(item)
    first, other = queue.take(), queue.take()
    assert (first, other, queue.take()) == (Item("a", 1), Item("b", 1), None)
    assert (len(queue), queue.in_flight) == (2, 2)
    assert first is not None
    queue.finished(first)
    assert (queue.take(), queue.take()) == (Item("a", 2), None)


def test_what_was_held_for_order_goes_before_younger_deliveries() -> None:
    queue: LaneQueue[Item] = LaneQueue()
    queue.put(Item("a", 1))
    first = queue.take()
    for item in (Item("a", 2), Item("a", 3)):
        queue.put(item)
    assert queue.take() is None
    queue.put(Item("z", 1))
    assert first is not None
    queue.finished(first)
    assert [queue.take(), queue.take()] == [Item("a", 2), Item("z", 1)]


def test_retries_wait_for_nobody_and_hold_nobody() -> None:
    queue: LaneQueue[Item] = LaneQueue()
    for item in (Item("a", 1, attempts=3), Item("a", 2, attempts=1), Item("a", 3)):
        queue.put(item)
    assert [queue.take(), queue.take(), queue.take()] == [
        Item("a", 1, 3),
        Item("a", 2, 1),
        Item("a", 3),
    ]
    queue.finished(Item("a", 1, 3))
    queue.put(Item("a", 4))
    assert queue.take() is None


def test_drain_gives_everything_back_and_leaves_the_lane_usable() -> None:
    queue: LaneQueue[Item] = LaneQueue()
    for number in range(4):
        queue.put(Item("a", number))
    first = queue.take()
    assert queue.take() is None
    queue.put(Item("b", 1))
    assert queue.drain() == [Item("b", 1), Item("a", 1), Item("a", 2), Item("a", 3)]
    assert first is not None
    queue.finished(first)
    queue.put(Item("a", 9))
    assert queue.take() == Item("a", 9)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=40), st.randoms())
def test_per_subject_order_and_nothing_lost_under_any_finishing_order(
    plan: list[tuple[str, bool]], dice: object
) -> None:
    queue: LaneQueue[Item] = LaneQueue()
    counts: dict[str, int] = {}
    started: list[Item] = []
    running: list[Item] = []
    for subject, start in plan:
        counts[subject] = counts.get(subject, 0) + 1
        queue.put(Item(subject, counts[subject]))
        if start and (item := queue.take()) is not None:
            started.append(item)
            running.append(item)
        if running and dice.random() < 0.4:  # type: ignore[attr-defined]
            queue.finished(running.pop(dice.randrange(len(running))))  # type: ignore[attr-defined]
    while len(queue) or running:
        while (item := queue.take()) is not None:
            started.append(item)
            running.append(item)
        assert len({item.subject for item in running}) == len(running)
        queue.finished(running.pop())
    assert queue.in_flight == 0
    for subject, count in counts.items():
        assert [i.number for i in started if i.subject == subject] == list(range(1, count + 1))
