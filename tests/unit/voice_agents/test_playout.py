"""What waits to be heard, against a model of the switch."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.voice_agents.model_switch import ModelSwitch, model, numbered
from voice_agents.core.audio import Codec
from voice_agents.core.playout import LEAD, Limits, Playout

pytestmark = pytest.mark.unit

ULAW = Codec.ULAW


def frames(first: int, count: int) -> list[bytes]:
    return [numbered(number) for number in range(first, first + count)]


def settled(**how: int) -> ModelSwitch:
    """A call that is a second old."""
    switch = model(**how)  # type: ignore[arg-type]
    switch.pass_ms(1000)
    return switch


def test_silence_goes_out_as_long_as_nothing_waits() -> None:
    switch = settled()
    assert switch.heard[3:] == [ULAW.silence] * len(switch.heard[3:])
    assert switch.most <= 2
    assert switch.playout.heard_ms(switch.now) == 0


@pytest.mark.parametrize("codec", list(Codec))
@pytest.mark.parametrize("size", [1, 37, 160, 161, 4000, 9999])
def test_sound_of_any_length_becomes_whole_frames_and_nothing_is_lost(codec: Codec, size: int) -> None:
    switch = model(codec)
    spoken = b"".join(numbered(n, codec) for n in range(25))[:-7] + b"\x33"
    for at in range(0, len(spoken), size):
        switch.play(spoken[at : at + size])
    switch.pass_ms(1000)
    heard = b"".join(switch.sound)
    assert heard[: len(spoken)] == spoken
    assert heard[len(spoken) :] == codec.silence[: len(heard) - len(spoken)], "the last part is padded"
    assert len(heard) % codec.frame_bytes == 0
    assert all(frame is None or len(frame) == codec.frame_bytes for frame in switch.heard)


def test_a_part_of_a_frame_waits_for_its_rest_until_it_is_due() -> None:
    switch = settled()
    frame = numbered(1)
    switch.play(frame[:100])
    switch.play(frame[100:])
    switch.pass_ms(60)
    assert switch.sound == [frame]


@pytest.mark.parametrize("phase_ms", range(0, 20, 3))
@pytest.mark.parametrize("late_ms", [0, 4, 9])
def test_the_switch_never_holds_more_than_three_frames_and_never_runs_dry(
    phase_ms: int, late_ms: int
) -> None:
    switch = model(phase_ms=phase_ms, late_ms=late_ms)
    switch.pass_ms(200)
    for frame in frames(0, 100):
        switch.play(frame)
    switch.pass_ms(2400)
    assert switch.sound == frames(0, 100)
    assert switch.most <= 3
    assert None not in switch.heard[5:], "after the start each tick found a frame"


def test_a_frame_that_comes_in_time_does_not_wait_for_our_clock() -> None:
    switch = settled(phase_ms=19, fill_ms=12)
    switch.pass_ms(20 - 1000 % 20 + 2)
    for frame in frames(0, 50):
        switch.play(frame)
        switch.pass_ms(18)
        assert switch.heard[-1] == frame, "the next tick of the switch played it"
        switch.pass_ms(2)


def test_a_frame_that_is_late_for_once_delays_none_after_it() -> None:
    switch = settled(phase_ms=19, fill_ms=12)
    switch.pass_ms(6)
    for number in range(150):
        switch.play(numbered(number))
        switch.pass_ms(20)
    assert switch.playout.creep.paced
    switch.pass_ms(10)
    assert switch.playout.queued_ms(switch.now) == 0, "late: past our clock, in time for the switch's"
    for number in range(150, 200):
        switch.play(numbered(number))
        switch.pass_ms(20)
        assert switch.playout.queued_ms(switch.now) <= 20
    assert switch.sound == frames(0, 200)


def test_a_sender_that_stops_is_followed_by_silence_after_one_tick() -> None:
    switch = settled()
    for number in range(150):
        switch.play(numbered(number))
        switch.pass_ms(20)
    switch.pass_ms(400)
    end = switch.heard.index(numbered(149))
    assert switch.heard[end + 1 : end + 3].count(None) <= 1
    assert set(switch.heard[end + 3 :]) == {ULAW.silence}


def test_an_answered_but_unread_channel_is_not_filled() -> None:
    switch = model()
    switch.plays = False
    switch.pass_ms(5000)
    assert len(switch.queue) <= 20
    switch.plays = True
    switch.pass_ms(500)
    switch.play(numbered(7))
    switch.pass_ms(100)
    assert switch.sound == [numbered(7)]
    assert sum(isinstance(one, bytes) for one in switch.queue) <= 1, "the backlog is gone"


# ---------------------------------------------------------------- marks


def test_a_mark_is_reached_when_its_sound_has_left_the_switch() -> None:
    switch = settled()
    for frame in frames(0, 30):
        switch.play(frame)
    switch.mark("half")
    for frame in frames(30, 30):
        switch.play(frame)
    switch.mark("end")
    switch.pass_ms(2000)
    assert [(name, heard) for name, heard, _ in switch.marks] == [("half", True), ("end", True)]
    for name, last in (("half", numbered(29)), ("end", numbered(59))):
        (ticks,) = [ticks for told, _, ticks in switch.marks if told == name]
        assert last in switch.heard[:ticks], f"{name} was told before it was heard"
        assert ticks - switch.heard.index(last) <= 3, f"{name} was told long after"


def test_a_mark_on_nothing_is_reached_at_once() -> None:
    switch = settled()
    switch.mark("now")
    assert [(name, heard) for name, heard, _ in switch.marks] == [("now", True)]


def test_a_mark_set_after_its_sound_went_out_waits_for_the_switch() -> None:
    switch = settled()
    switch.play(numbered(1))
    switch.mark("late")
    assert switch.marks == []
    switch.pass_ms(60)
    (told,) = switch.marks
    assert told[:2] == ("late", True)
    assert numbered(1) in switch.heard[: told[2]]


def test_a_mark_in_the_middle_of_a_frame_waits_for_the_whole_of_it() -> None:
    switch = settled()
    switch.play(numbered(1) + b"\x22" * 10)
    switch.mark("m")
    switch.pass_ms(100)
    assert [(name, heard) for name, heard, _ in switch.marks] == [("m", True)]
    assert switch.sound[-1][:10] == b"\x22" * 10


# ---------------------------------------------------------------- flush, pause


@pytest.mark.parametrize("after_ms", range(100, 121, 3))
def test_a_flush_stops_the_sound_at_once_and_tells_the_marks(after_ms: int) -> None:
    switch = settled()
    for frame in frames(0, 50):
        switch.play(frame)
    switch.mark("never")
    switch.pass_ms(after_ms)
    heard = len(switch.sound)
    dropped = switch.flush()
    assert [(name, told) for name, told, _ in switch.marks] == [("never", False)]
    switch.pass_ms(500)
    assert len(switch.sound) == heard, "not one frame more"
    assert abs(dropped + heard * 20 - 1000) <= 20
    assert switch.playout.heard_ms(switch.now) == heard * 20
    assert None not in switch.heard[10:], "silence follows without a hole"
    assert switch.playout.generation == 1


def test_after_a_flush_new_sound_is_heard_and_marks_count_anew() -> None:
    switch = settled()
    for frame in frames(0, 50):
        switch.play(frame)
    switch.pass_ms(100)
    switch.flush()
    switch.mark("at once")
    for frame in frames(100, 10):
        switch.play(frame)
    switch.mark("new")
    heard = len(switch.sound)
    switch.pass_ms(500)
    assert switch.sound[heard:] == frames(100, 10)
    assert [(name, told) for name, told, _ in switch.marks] == [("at once", True), ("new", True)]


@pytest.mark.parametrize("after_ms", range(100, 121, 3))
@pytest.mark.parametrize("event_ms", [1, 4])
def test_pause_and_resume_lose_nothing_and_repeat_nothing(after_ms: int, event_ms: int) -> None:
    switch = settled(event_ms=event_ms)
    for frame in frames(0, 50):
        switch.play(frame)
    switch.mark("end")
    switch.pass_ms(after_ms)
    before = len(switch.sound)
    switch.pause()
    switch.pass_ms(400)
    assert len(switch.sound) == before, "paused at once"
    assert None not in switch.heard[10:], "silence is sent"
    switch.resume()
    switch.pass_ms(1500)
    assert switch.sound == frames(0, 50)
    assert switch.playout.heard_ms(switch.now) == 1000
    assert [(name, told) for name, told, _ in switch.marks] == [("end", True)]


def test_a_pause_that_is_over_before_the_switch_answers_loses_nothing() -> None:
    switch = settled(event_ms=5)
    for frame in frames(0, 20):
        switch.play(frame)
    switch.pass_ms(100)
    switch.pause()
    switch.resume()
    switch.pass_ms(800)
    assert switch.sound == frames(0, 20)


def test_a_flush_while_paused_drops_all_and_goes_on() -> None:
    switch = settled()
    for frame in frames(0, 20):
        switch.play(frame)
    switch.mark("m")
    switch.pass_ms(100)
    switch.pause()
    switch.pass_ms(100)
    heard = len(switch.sound)
    switch.flush()
    switch.play(numbered(99))
    switch.pass_ms(200)
    assert switch.sound[heard:] == [numbered(99)]
    assert [(name, told) for name, told, _ in switch.marks] == [("m", False)]


def test_a_flush_right_after_a_pause_asks_the_switch_once() -> None:
    switch = settled()
    for frame in frames(0, 20):
        switch.play(frame)
    switch.pass_ms(100)
    assert switch.playout.pause(switch.now)
    dropped, again = switch.playout.flush(switch.now)
    assert not again
    assert dropped >= 300
    switch.playout.frozen(2)
    switch.queue.clear()
    switch.pass_ms(200)
    assert len(switch.sound) <= 5


def test_a_switch_that_does_not_count_is_not_waited_for() -> None:
    switch = settled()
    for frame in frames(0, 20):
        switch.play(frame)
    switch.pass_ms(100)
    assert switch.playout.pause(switch.now)
    switch.queue.clear()
    switch.resume()
    switch.pass_ms(1000)
    assert switch.sound[-1] == numbered(19)
    assert len(set(switch.sound)) >= 17


def test_a_switch_that_wants_no_more_gets_no_more_until_it_does() -> None:
    switch = settled()
    switch.playout.flow(False)
    sent = switch.playout.switch.sent
    switch.play(numbered(1))
    switch.pass_ms(200)
    assert switch.playout.switch.sent == sent
    switch.playout.flow(True)
    switch.pass_ms(100)
    assert switch.sound == [numbered(1)]


# ---------------------------------------------------------------- limits, ledger


def test_the_queue_has_a_limit_in_time_and_says_how_full_it_is() -> None:
    playout = Playout(ULAW)
    assert playout.play(bytes(160) * 1200, 0.0)
    assert playout.fullness == pytest.approx(0.8)
    assert playout.play(bytes(160) * 300, 0.0)
    assert not playout.play(b"x", 0.0)
    assert playout.queued_ms(0.0) == 30_000
    assert playout.fullness == pytest.approx(1.0)


def test_the_queue_has_a_limit_in_octets() -> None:
    playout = Playout(Codec.SLIN24, Limits(most_ms=60_000, most_bytes=2_000_000))
    assert playout.play(bytes(2_000_000), 0.0)
    assert not playout.play(bytes(2), 0.0)


def test_a_sender_that_runs_dry_in_the_middle_is_counted() -> None:
    switch = settled()
    switch.play(numbered(1))
    switch.pass_ms(100)
    switch.play(numbered(2))
    switch.pass_ms(1000)
    switch.play(numbered(3))
    assert switch.playout.dry_runs == 1, "a pause of a second is no hole"


def test_what_was_heard_grows_with_what_was_played_and_with_nothing_else() -> None:
    switch = settled()
    for frame in frames(0, 40):
        switch.play(frame)
    for _ in range(60):
        switch.pass_ms(20)
        known = switch.playout.heard_ms(switch.now)
        assert abs(known - len(switch.sound) * 20) <= 20
    assert switch.playout.heard_ms(switch.now) == 800


# ---------------------------------------------------------------- without a queue in the switch


def test_a_direct_switch_gets_one_frame_a_tick() -> None:
    playout = Playout(ULAW, direct=True)
    playout.play(b"".join(frames(0, 3)) + b"\x22" * 5, 0.0)
    playout.mark("end")
    got = [playout.take(tick * 0.02, fill=True) for tick in range(6)]
    assert [len(orders) for orders in got] == [1] * 6
    assert got[3] == [b"\x22" * 5 + ULAW.silence[5:]]
    assert got[4:] == [[ULAW.silence]] * 2
    assert playout.take(0.0, fill=False) == []
    assert list(playout.told) == [("end", True)]
    assert playout.heard_ms(1.0) == 80


def test_a_switch_may_turn_out_to_have_no_queue() -> None:
    switch = settled()
    for frame in frames(0, 5):
        switch.play(frame)
    switch.mark("end")
    switch.playout.become_direct()
    orders = [switch.playout.take(switch.now, fill=True) for _ in range(6)]
    assert all(len(one) == 1 and isinstance(one[0], bytes) for one in orders)
    assert list(switch.playout.told) == [("end", True)]


# ---------------------------------------------------------------- anything in any order


ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("play"), st.integers(1, 2000)),
        st.tuples(st.just("pass"), st.integers(1, 90)),
        st.tuples(st.sampled_from(["mark", "flush", "pause", "resume"]), st.just(0)),
    ),
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given(ACTS, st.integers(0, 19), st.integers(1, 6))
def test_whatever_happens_nothing_is_heard_twice_or_out_of_order_and_each_mark_is_told_once(
    acts: list[tuple[str, int]], phase_ms: int, event_ms: int
) -> None:
    switch = model(phase_ms=phase_ms, event_ms=event_ms)
    said, marks = 0, 0
    for act, amount in acts:
        if act == "play":
            count = amount // 160 + 1
            assert switch.play(b"".join(frames(said, count)))
            said += count
        elif act == "pass":
            switch.pass_ms(amount)
        elif act == "mark":
            marks += 1
            switch.mark(f"m{marks}")
        else:
            getattr(switch, act)()
    switch.resume()
    switch.pass_ms(said * 20 + 600)
    order = [int.from_bytes(frame[1:4], "big") for frame in switch.sound]
    assert order == sorted(set(order))
    assert switch.most <= LEAD + 1
    assert sorted(int(name[1:]) for name, _, _ in switch.marks) == list(range(1, marks + 1))
    assert switch.playout.heard_ms(switch.now) == len(order) * 20
    if not any(act == "flush" for act, _ in acts):
        assert order == list(range(said))
        assert all(heard for _, heard, _ in switch.marks)
