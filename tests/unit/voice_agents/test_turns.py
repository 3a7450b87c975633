"""Where a caller's turn begins and ends."""

from __future__ import annotations

import pytest

from voice_agents.core.audio import FRAME_MS
from voice_agents.core.talk import SpeechStarted, SpeechStopped
from voice_agents.core.turns import TurnBegan, TurnLimits, TurnOver, Turns, TurnSound, TurnStep

pytestmark = pytest.mark.unit

Script = dict[int, tuple[bool, int]]


def run(script: Script, until_ms: int, limits: TurnLimits | None = None) -> list[tuple[int, TurnStep]]:
    """The steps by the start of the frame that caused them; frames are numbered by their first octet."""
    turns = Turns(limits or TurnLimits(end_ms=600, before_ms=240))
    return [
        (at, step)
        for at in range(0, until_ms, FRAME_MS)
        for step in turns.feed(bytes([at // FRAME_MS % 256]), at, script.get(at))
    ]


def sound(steps: list[tuple[int, TurnStep]]) -> bytes:
    return b"".join(
        step.sound if isinstance(step, TurnBegan) else step.frame
        for _, step in steps
        if isinstance(step, TurnBegan | TurnSound)
    )


def of(kind: type, steps: list[tuple[int, TurnStep]]) -> list[tuple[int, TurnStep]]:
    return [(at, step) for at, step in steps if isinstance(step, kind)]


def test_a_turn_has_what_came_before_it_and_ends_after_a_pause() -> None:
    steps = run({1000: (True, 120), 2000: (False, 240)}, 4000)
    assert of(SpeechStarted, steps) == [(1000, SpeechStarted(900))]
    assert of(SpeechStopped, steps) == [(2000, SpeechStopped(1780))]
    assert of(TurnOver, steps) == [(2360, TurnOver(900, 1780))]
    assert list(sound(steps)) == list(range((900 - 240) // 20, 2380 // 20))


def test_speech_before_the_pause_is_long_enough_goes_on_with_the_turn() -> None:
    steps = run({1000: (True, 100), 1500: (False, 200), 1800: (True, 100), 2500: (False, 200)}, 5000)
    assert [type(step) for _, step in steps if not isinstance(step, TurnSound)] == [
        SpeechStarted, TurnBegan, SpeechStopped, SpeechStarted, SpeechStopped, TurnOver,
    ]  # fmt: skip
    assert of(TurnOver, steps) == [(2900, TurnOver(920, 2320))]
    assert len(of(TurnBegan, steps)) == 1
    heard = list(sound(steps))
    assert heard == list(range(heard[0], heard[-1] + 1))


def test_two_turns_share_no_frame() -> None:
    steps = run({200: (True, 100), 400: (False, 100), 960: (True, 100), 1200: (False, 100)}, 3000)
    assert [step for _, step in of(TurnOver, steps)] == [TurnOver(120, 320), TurnOver(880, 1120)]
    heard = list(sound(steps))
    assert len(set(heard)) == len(heard)


def test_who_never_stops_is_given_turns_without_a_gap() -> None:
    steps = run({200: (True, 100)}, 5000, TurnLimits(most_ms=1000))
    assert [step for _, step in of(TurnOver, steps)][:3] == [
        TurnOver(120, 1120), TurnOver(1120, 2120), TurnOver(2120, 3120),
    ]  # fmt: skip
    assert list(sound(steps)) == list(range(250))


def test_speech_from_the_first_frame_on() -> None:
    steps = run({100: (True, 500), 400: (False, 100)}, 2000)
    assert of(SpeechStarted, steps) == [(100, SpeechStarted(0))]
    assert sound(steps).startswith(b"\0\1")


def test_nobody_speaks() -> None:
    assert run({}, 10_000) == []
