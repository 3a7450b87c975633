"""The echo gate, guarded spans, what is stale, and the pace that gives away another sampling rate."""

from __future__ import annotations

import pytest

from voice_agents.core.audio_clock import AudioClock
from voice_agents.core.barge_in import GUARD_MOST_MS, Guards
from voice_agents.core.echo_gate import MEMORY_MS, EchoGate
from voice_agents.core.pace import Pace
from voice_agents.core.stale import Stale
from voice_agents.core.transfer import refusal

pytestmark = pytest.mark.unit


def play(gate: EchoGate, sent: int, level: int, frames: int) -> list[bool]:
    passed = []
    for _ in range(frames):
        gate.sent(sent)
        passed.append(gate.passes(level))
    return passed


def test_while_nothing_is_sent_everything_passes() -> None:
    gate = EchoGate()
    assert all(play(gate, 0, 50, 10))


@pytest.mark.parametrize("line_gain", [0.03, 0.2, 0.4])
def test_our_own_echo_does_not_pass_once_the_line_is_known_and_a_louder_caller_does(line_gain: float) -> None:
    gate = EchoGate()
    sent = 6000
    play(gate, sent, round(sent * line_gain), 50)
    assert gate.gain == pytest.approx(line_gain, abs=0.05)
    assert not any(play(gate, sent, round(sent * line_gain * 1.2), 100))
    assert any(play(gate, sent, round(sent * line_gain * 3) + 200, 5))


def test_echo_that_comes_late_is_still_echo() -> None:
    gate = EchoGate()
    play(gate, 6000, 1200, 50)
    late = play(gate, 0, 1200, MEMORY_MS // 20 - 1)
    assert not any(late)
    assert all(play(gate, 0, 1200, 5)[1:])


def test_a_caller_who_speaks_over_a_part_of_the_greeting_does_not_deafen_the_gate() -> None:
    gate = EchoGate()
    play(gate, 6000, 600, 14)
    play(gate, 6000, 5000, 11)
    assert gate.gain < 0.15


def test_guards_cover_their_span_and_no_more_than_was_allowed() -> None:
    guards = Guards()
    guards.on(1000, 500)
    assert not guards.covers(999)
    assert guards.covers(1000)
    assert guards.covers(1499)
    assert not guards.covers(1500), "it is bounded though it never ended"
    guards.off(1200)
    assert guards.covers(1199)
    assert not guards.covers(1200)
    guards.on(5000, 10**9)
    assert not guards.covers(5000 + GUARD_MOST_MS)
    guards.off(5000)
    assert not guards.covers(5000)


def test_what_is_stale_ends_with_a_silence_or_with_time() -> None:
    stale = Stale()
    assert not stale.sound(10.0)
    stale.begin(10.0)
    assert [stale.sound(10.0 + n * 0.02) for n in range(1, 4)] == [True] * 3
    assert not stale.sound(10.5)
    stale.begin(20.0)
    times = [20.0 + n * 0.1 for n in range(1, 20)]
    assert [stale.sound(at) for at in times] == [at < 21.5 for at in times]
    stale.begin(30.0)
    stale.end()
    assert not stale.sound(30.01)


def pace(ms: float, every_s: float, for_s: float) -> list[float]:
    checked, told = Pace(), []
    for n in range(round(for_s / every_s)):
        ratio = checked.sent(ms, n * every_s)
        if ratio is not None:
            told.append(ratio)
    return told


@pytest.mark.parametrize(("ms", "every_s"), [(20, 0.02), (100, 0.1), (19, 0.02), (40, 0.02), (200, 0.02)])
def test_real_time_and_bursts_are_no_wrong_rate(ms: float, every_s: float) -> None:
    assert pace(ms, every_s, 6.0) == []


@pytest.mark.parametrize(("ms", "every_s", "ratio"), [(10, 0.02, 0.5), (60, 0.02, 3.0), (6.67, 0.02, 1 / 3)])
def test_a_steady_wrong_pace_is_one(ms: float, every_s: float, ratio: float) -> None:
    told = pace(ms, every_s, 6.0)
    assert told
    assert told[0] == pytest.approx(ratio, rel=0.05)


def test_twice_real_time_is_one_only_where_it_goes_on() -> None:
    assert pace(40, 0.02, 9.0) == []
    assert pace(40, 0.02, 15.0)


def test_the_audio_clock_makes_up_for_frames_that_were_left_out() -> None:
    clock = AudioClock()
    for n in range(51):
        clock.frame(n * 0.02)
    assert clock.ms == 1000
    clock.frame(3.0)
    assert clock.ms == 3000
    clock.frame(3.0)
    assert clock.ms == 3020


@pytest.mark.parametrize(
    ("allow", "to", "why"),
    [
        ((), "+14155550100", "policy_denied"),
        (("+1415*",), "+14155550100", ""),
        (("+1415*",), "+14165550100", "policy_denied"),
        (("phone:alice",), "phone:alice", ""),
        (("phone:alice",), "phone:alice2", "policy_denied"),
        (("*",), "sip:a@b", "invalid"),
        (("*",), "+0123456789", "invalid"),
        (("*",), "phone:a,b", "invalid"),
    ],
)
def test_where_callers_may_be_taken(allow: tuple[str, ...], to: str, why: str) -> None:
    assert refusal(allow, to) == why
