"""How far behind an agent is, whether it is alive, and when it is not read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_agents.lines.pressure import Backlog, Breath, LineLimits, Pulse

pytestmark = pytest.mark.unit


def test_what_is_taken_at_once_has_no_age():
    backlog = Backlog()
    for moment in range(10):
        backlog.wrote(100, 0, float(moment))
    assert backlog.age(0, 10.0) == 0.0


def test_the_age_is_that_of_the_oldest_octet_left():
    backlog = Backlog()
    backlog.wrote(100, 0, 0.0)
    backlog.wrote(100, 100, 1.0)
    backlog.wrote(100, 200, 2.0)
    backlog.wrote(100, 300, 3.0)
    assert backlog.age(300, 4.0) == 3.0
    assert backlog.age(250, 4.0) == 3.0
    assert backlog.age(200, 4.0) == 2.0
    assert backlog.age(1, 4.0) == 1.0
    assert backlog.age(0, 4.0) == 0.0


def test_what_was_caught_up_with_is_forgotten():
    backlog = Backlog()
    backlog.wrote(100, 100, 1.0)
    backlog.wrote(100, 0, 2.0)
    backlog.wrote(100, 100, 9.0)
    assert backlog.age(100, 10.0) == 1.0


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 60)), max_size=40))
def test_the_age_is_right_whatever_is_taken_when(steps: list[tuple[int, int]]):
    """Against a queue of octets, each with its moment."""
    backlog, queue = Backlog(), list[int]()
    for now, (octets, taken) in enumerate(steps):
        queue += [now] * octets
        del queue[: min(taken, len(queue))]
        backlog.wrote(octets, len(queue), float(now))
        wanted = now - queue[0] if queue else 0
        assert backlog.age(len(queue), float(now)) == wanted
        del queue[: min(taken, len(queue))]
        wanted = now + 1 - queue[0] if queue else 0
        assert backlog.age(len(queue), float(now + 1)) == wanted


def test_pings_come_one_at_a_time():
    pulse = Pulse(2.0, 0.0)
    assert pulse.due(1.9) is None
    assert pulse.due(2.0) == b"1"
    assert pulse.due(5.0) is None
    assert pulse.waiting(5.0) == 3.0
    pulse.answered(b"1", 5.5)
    assert pulse.waiting(6.0) == 0.0
    assert pulse.due(7.4) is None
    assert pulse.due(7.5) == b"2"


def test_a_pong_to_something_else_means_nothing():
    pulse = Pulse(2.0, 0.0)
    pulse.answered(b"1", 1.0)
    assert pulse.due(2.0) == b"1"
    pulse.answered(b"", 2.5)
    pulse.answered(b"7", 2.5)
    assert pulse.waiting(4.0) == 2.0


def test_whoever_sends_too_many_messages_waits_for_the_next_breath():
    breath = Breath(LineLimits(breath_s=0.1, breath_messages=3, breath_bytes=1000))
    assert [breath.took(1, 0.02), breath.took(1, 0.03)] == [0.0, 0.0]
    assert breath.took(1, 0.04) == pytest.approx(0.06)
    assert breath.took(1, 0.2) == 0.0


def test_what_was_under_way_is_counted_later():
    breath = Breath(LineLimits(breath_s=0.1, breath_messages=3, breath_bytes=1000))
    waits = [breath.took(1, 1.0) for _ in range(7)]
    assert waits == pytest.approx([0.0, 0.0, 0.1, 0.1, 0.1, 0.2, 0.2])
    assert breath.took(1, 1.25) == 0.0
    assert breath.took(1, 1.25) == pytest.approx(0.1)


def test_whoever_sends_too_much_waits_too():
    breath = Breath(LineLimits(breath_s=0.1, breath_messages=99, breath_bytes=1000))
    assert breath.took(999, 1.0) == 0.0
    assert breath.took(1, 1.05) == pytest.approx(0.05)
