"""A sender whose clock is faster than ours, for minutes of made-up time."""

from __future__ import annotations

import pytest

from tests.unit.voice_agents.model_switch import ModelSwitch, model, numbered
from voice_agents.core.audio import Codec
from voice_agents.core.creep import CreepWatch, peak, quiet
from voice_agents.core.playout import Limits
from voice_agents.core.sound import from_linear

pytestmark = pytest.mark.unit

ULAW = Codec.ULAW
HISS = b"\xf8\x7a" * 80
"""A line's noise: some 40 of 32,768."""


def talk(number: int) -> bytes:
    """Speech for two seconds, then a pause of one, with noise in it."""
    return HISS if number % 150 >= 100 else numbered(number)


def runs(switch: ModelSwitch, seconds: int, per_s: float, frame: object = talk) -> list[int]:
    """A sender of so many frames a second. Returns how much waited at each frame, in frames."""
    waited, sent, start = [], 0, switch.now
    while switch.now - start < seconds:
        while sent < (switch.now - start) * per_s:
            assert switch.play(frame(sent))  # type: ignore[operator]
            sent += 1
            waited.append(switch.playout.queued_ms(switch.now) // 20)
        switch.pass_ms(1)
    return waited


def lows(waited: list[int], each: int = 500) -> list[int]:
    """What waited at least, by tens of seconds: delay that never goes away."""
    return [min(waited[at : at + each]) for at in range(0, len(waited) - each + 1, each)]


def test_ten_minutes_at_50_1_frames_a_second_add_no_delay() -> None:
    switch = model()
    waited = runs(switch, 600, 50.1)
    standing = lows(waited)
    assert max(standing) - standing[0] <= 1
    assert max(waited[-500:]) <= max(waited[:500]) + 2
    assert 55 <= switch.playout.creep.dropped <= 62, "what came too much, and nothing else"


def test_without_the_watch_it_would_grow() -> None:
    switch = model()
    switch.playout.creep.drops = lambda frame: False  # type: ignore[method-assign]
    standing = lows(runs(switch, 120, 50.1))
    assert standing[-1] - standing[0] >= 8


def test_what_is_left_out_is_pause_alone() -> None:
    switch = model()
    runs(switch, 120, 50.1)
    spoken = [frame for frame in switch.sound if frame != HISS]
    numbers = [int.from_bytes(frame[1:4], "big") for frame in spoken]
    whole = [n for n in range(numbers[-1] + 1) if talk(n) != HISS]
    assert numbers == whole


def test_speech_without_a_pause_loses_a_frame_now_and_then_rather_than_time() -> None:
    switch = model()
    standing = lows(runs(switch, 300, 50.1, numbered))
    assert max(standing) <= standing[0] + 12
    assert 10 <= switch.playout.creep.dropped <= 30


@pytest.mark.parametrize("per_s", [50.0, 49.9, 45.0])
def test_a_sender_in_time_or_slower_loses_no_more_than_the_silence_it_began_with(per_s: float) -> None:
    switch = model()
    runs(switch, 60, per_s)
    assert switch.playout.creep.dropped <= 1


def test_a_sender_far_faster_than_real_time_loses_nothing() -> None:
    switch = model(limits=Limits(most_ms=120_000))
    speech = [talk(n) for n in range(1500)]
    for frame in speech:
        switch.play(frame)
    switch.pass_ms(31_000)
    assert switch.sound == speech


@pytest.mark.parametrize("chunk", [25, 50, 100])
def test_a_sender_of_large_pieces_in_time_loses_no_speech(chunk: int) -> None:
    switch = model()
    for first in range(0, 600, chunk):
        for number in range(first, first + chunk):
            switch.play(numbered(number))
        switch.pass_ms(chunk * 20)
    switch.pass_ms(3000)
    assert switch.sound == [numbered(n) for n in range(600)]


def test_what_piled_up_while_something_stood_still_is_made_up_for_in_its_pauses() -> None:
    switch = model()
    runs(switch, 10, 50.0)
    switch.pass_ms(240)
    for number in range(24):
        switch.play(numbered(10_000 + number))
    standing = lows(runs(switch, 20, 50.0), 100)
    assert standing[0] >= 11
    assert standing[-1] <= 2
    assert 22 <= switch.playout.creep.dropped <= 27


def test_a_lead_that_a_sender_wants_costs_no_word_gap() -> None:
    """Half a second at once, then real time, with gaps of 100 ms between words: all of it is heard."""
    switch = model()
    words = [HISS if n % 30 >= 25 else numbered(n) for n in range(1025)]
    for frame in words[:25]:
        switch.play(frame)
    runs(switch, 20, 50.0, lambda n: words[25 + n])
    switch.pass_ms(1000)
    assert switch.sound == words[: len(switch.sound)]
    assert switch.playout.creep.dropped == 0


@pytest.mark.parametrize("codec", list(Codec))
def test_noise_is_quiet_and_speech_is_not(codec: Codec) -> None:
    samples = codec.rate_hz // 50
    noise = from_linear(codec, b"\x28\x00\xd8\xff" * (samples // 2))
    speech = from_linear(codec, b"\x00\x08\x00\xf8" * (samples // 2))
    assert quiet(codec, codec.silence)
    assert quiet(codec, noise)
    assert not quiet(codec, speech)


def test_the_loudest_sample_counts_whatever_its_sign() -> None:
    assert peak(b"\x00\x80\x01\x00") == 32768
    assert peak(b"") == 0


def test_a_flush_forgets_what_was_known() -> None:
    watch = CreepWatch(ULAW)
    for _ in range(200):
        watch.arrived(1)
        watch.level(9)
        watch.look()
    assert watch.excess == 9
    watch.restart()
    assert watch.excess == 0
    assert not watch.drops(ULAW.silence)
