"""What every media port promises: the WebSocket driver, AudioSocket, and the fake."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from inspect import isawaitable

import pytest
import pytest_asyncio

from telephony.errors import UnsafeValue
from tests.contract.voice_agents.media_world import PortWorld, new_token, running_port
from tests.rig.media import RecordingEar
from tests.rig.pretend_switch import Channel
from tests.unit.voice_agents.model_switch import numbered
from voice_agents.core.audio import Codec
from voice_agents.core.playout import Limits

pytestmark = pytest.mark.contract

ULAW = Codec.ULAW
DRIVERS = ("fake", "websocket", "audiosocket")
REAL = pytest.mark.parametrize("world", DRIVERS[1:], indirect=True)
"""What the fake leaves to its test: the time that passes, and faults of the test's own."""
LIMITS = Limits(most_ms=2000, most_bytes=2_000_000)


@pytest_asyncio.fixture(params=DRIVERS)
async def world(request: pytest.FixtureRequest) -> AsyncIterator[PortWorld]:
    async with running_port(request.param, LIMITS) as running:
        yield running


def frames(first: int, count: int, codec: Codec = ULAW) -> list[bytes]:
    return [numbered(number, codec) for number in range(first, first + count)]


def sound(channel: Channel, codec: Codec = ULAW) -> list[bytes]:
    """What the caller heard and was not silence."""
    return [frame for frame in channel.heard if frame is not None and frame != codec.silence]


async def settled(world: PortWorld, channel: Channel) -> None:
    """Until what was under way has arrived: silence, which is sent where no sound is, has come after it."""
    before = channel.heard.count(ULAW.silence)
    await world.until(lambda: channel.heard.count(ULAW.silence) >= before + 5, "silence")


# ---------------------------------------------------------------- who is let in


async def test_a_token_lets_one_channel_in_once(world: PortWorld) -> None:
    ear, token = RecordingEar(), new_token()
    world.port.expect(token, ULAW, ear, 60.0)
    dialled = world.port.dial_string(token, ULAW)
    assert await world.dial(dialled) is not None
    await world.until(lambda: ear.leg is not None, "the leg")
    assert ear.leg is not None
    assert ear.leg.codec is ULAW
    assert await world.dial(dialled) is None
    assert ear.why == "", "the second has not harmed the first"


async def test_an_unknown_token_is_refused(world: PortWorld) -> None:
    assert await world.dial(world.port.dial_string(new_token(), ULAW)) is None


async def test_a_forgotten_token_is_refused_and_nobody_is_told(world: PortWorld) -> None:
    ear, token = RecordingEar(), new_token()
    world.port.expect(token, ULAW, ear, 60.0)
    world.port.forget(token)
    world.port.forget(token)
    assert await world.dial(world.port.dial_string(token, ULAW)) is None
    assert (ear.leg, ear.why) == (None, "")


@REAL
async def test_who_never_comes_is_told_of(world: PortWorld) -> None:
    ear, token = RecordingEar(), new_token()
    world.port.expect(token, ULAW, ear, 0.05)
    await ear.until(lambda told: told.why == "never_came", "that it never came")
    assert await world.dial(world.port.dial_string(token, ULAW)) is None


@pytest.mark.parametrize("token", ["", "short", "a" * 20 + ")n", "a" * 20 + "&x", "a" * 65])
async def test_no_other_text_becomes_a_dial_string(world: PortWorld, token: str) -> None:
    with pytest.raises(UnsafeValue):
        world.port.dial_string(token, ULAW)


# ---------------------------------------------------------------- what is heard


async def test_silence_is_heard_from_the_start(world: PortWorld) -> None:
    leg, channel, _ = await world.talks()
    await world.until(lambda: len(channel.heard) >= 10, "ten frames")
    assert sound(channel) == []
    assert (leg.heard_ms, leg.queued_ms) == (0, 0)


@pytest.mark.parametrize("codec", list(Codec))
async def test_sound_of_any_length_is_heard_whole_and_its_end_padded(world: PortWorld, codec: Codec) -> None:
    leg, channel, ear = await world.talks(codec)
    said = b"".join(frames(0, 12, codec))[:-10] + b"\x22\x22"
    for at in range(0, len(said), 1000):
        assert leg.play(said[at : at + 1000])
    leg.mark("end")
    await world.until(lambda: ear.marks == [("end", True)], "the mark")
    await world.until(lambda: len(sound(channel, codec)) >= 12, "all of it at the far end")
    heard = b"".join(sound(channel, codec))
    assert heard == said + codec.silence[:8]
    assert leg.heard_ms == 240


async def test_a_mark_is_told_once_its_sound_was_heard(world: PortWorld) -> None:
    """A switch without a queue hears what it is sent: there, what was sent is what counts."""
    leg, channel, ear = await world.talks()
    seen: list[int] = []
    plain = ear.mark

    def noting(name: str, heard: bool) -> None:
        seen.append(leg.heard_ms // 20 if world.driver == "audiosocket" else len(sound(channel)))
        plain(name, heard)

    ear.mark = noting  # type: ignore[method-assign]
    for half in (0, 10):
        for frame in frames(half, 10):
            leg.play(frame)
        leg.mark(f"m{half}")
    assert ear.marks == []
    await world.until(lambda: len(ear.marks) == 2, "both marks")
    assert ear.marks == [("m0", True), ("m10", True)]
    assert seen[0] >= 10 - world.slack
    assert seen[1] >= 20 - world.slack


async def test_a_mark_on_nothing_is_told_at_once(world: PortWorld) -> None:
    leg, _, ear = await world.talks()
    leg.mark("now")
    assert ear.marks == [("now", True)]


async def test_a_flush_drops_what_was_not_heard_and_its_marks(world: PortWorld) -> None:
    leg, channel, ear = await world.talks()
    for frame in frames(0, 60):
        leg.play(frame)
    leg.mark("never")
    await world.until(lambda: len(sound(channel)) >= 5, "some of it")
    dropped = leg.flush()
    assert ear.marks == [("never", False)]
    assert leg.queued_ms == 0
    await settled(world, channel)
    await world.passes(10)
    heard = len(sound(channel))
    assert abs(dropped + heard * 20 - 1200) <= 20 * (1 + world.slack)
    assert leg.heard_ms == heard * 20
    leg.play(numbered(99))
    leg.mark("new")
    await world.until(lambda: ear.marks[-1] == ("new", True), "the new mark")
    await world.until(lambda: len(sound(channel)) > heard, "the new sound at the far end")
    assert sound(channel)[heard:] == [numbered(99)]


async def test_pause_and_resume_lose_nothing(world: PortWorld) -> None:
    leg, channel, ear = await world.talks()
    for frame in frames(0, 40):
        leg.play(frame)
    leg.mark("end")
    await world.until(lambda: len(sound(channel)) >= 5, "some of it")
    leg.pause()
    await settled(world, channel)
    before, silent = len(sound(channel)), channel.heard.count(ULAW.silence)
    await world.until(lambda: channel.heard.count(ULAW.silence) > silent + 5, "silence, sent meanwhile")
    assert len(sound(channel)) == before
    leg.resume()
    await world.until(lambda: ear.marks == [("end", True)], "the end")
    await world.until(lambda: len(sound(channel)) >= 40, "all of it at the far end")
    assert sound(channel) == frames(0, 40)
    assert leg.heard_ms == 800


async def test_a_flush_ends_a_pause(world: PortWorld) -> None:
    leg, channel, ear = await world.talks()
    for frame in frames(0, 20):
        leg.play(frame)
    leg.pause()
    leg.flush()
    await world.passes(5)
    leg.play(numbered(99))
    leg.mark("on")
    await world.until(lambda: ear.marks[-1:] == [("on", True)], "the sound after it")
    await world.until(lambda: sound(channel)[-1:] == [numbered(99)], "the sound at the far end")


async def test_a_full_queue_takes_no_more_and_says_so(world: PortWorld) -> None:
    leg, _, _ = await world.talks()
    leg.pause()
    assert leg.play(numbered(1) * 85)
    assert leg.fullness >= 0.8
    assert not leg.play(numbered(1) * 20)
    assert leg.fullness < 1.0, "nothing of it was taken"
    leg.flush()
    assert leg.fullness == 0.0


async def test_what_is_played_at_a_beat_is_heard_without_a_hole(world: PortWorld) -> None:
    leg, channel, _ = await world.talks()
    played: list[bytes] = []

    def beat() -> None:
        if len(played) < 50:
            played.append(numbered(len(played)))
            leg.play(played[-1])

    leg.on_beat(beat)
    await world.until(lambda: len(sound(channel)) >= 50, "all of it")
    assert sound(channel) == played
    await world.until(lambda: leg.queued_ms == 0, "that nothing of it waits")


# ---------------------------------------------------------------- what is told


async def test_the_caller_is_heard_in_whole_frames(world: PortWorld) -> None:
    _, channel, ear = await world.talks()
    for frame in frames(0, 20):
        await channel.says(frame)
    await world.until(lambda: len(ear.frames) == 20, "all frames")
    assert ear.frames == frames(0, 20)


@pytest.mark.parametrize("codec", list(Codec))
async def test_the_caller_is_heard_in_the_codec_asked_for(world: PortWorld, codec: Codec) -> None:
    _, channel, ear = await world.talks(codec)
    await channel.says(numbered(5, codec))
    await world.until(lambda: len(ear.frames) == 1, "the frame")
    assert ear.frames == [numbered(5, codec)]


async def test_keys_are_told_in_order(world: PortWorld) -> None:
    _, channel, ear = await world.talks()
    for digit in "1470*#":
        await channel.presses(digit)
    await world.until(lambda: len(ear.digits) == 6, "the keys")
    assert ear.digits == "1470*#"


async def test_the_answer_is_the_agents_where_the_driver_can_wait(world: PortWorld) -> None:
    ear, token = RecordingEar(answers=False), new_token()
    world.port.expect(token, ULAW, ear, 60.0)
    channel = await world.dial(world.port.dial_string(token, ULAW))
    assert channel is not None
    await world.passes(10)
    assert channel.answered is (world.driver == "audiosocket")
    assert ear.leg is not None
    ear.leg.answer()
    await world.until(lambda: channel.answered, "the answer")


# ---------------------------------------------------------------- how it ends


async def test_the_callers_hang_up_is_told_once_with_what_was_not_heard(world: PortWorld) -> None:
    leg, channel, ear = await world.talks()
    for frame in frames(0, 40):
        leg.play(frame)
    leg.mark("end")
    await world.until(lambda: len(sound(channel)) >= 3, "some of it")
    await channel.hangs_up()
    await world.until(lambda: ear.why == "hangup", "the end")
    assert ear.marks == [("end", False)]
    assert not leg.play(numbered(1))
    leg.mark("after")
    assert ear.marks[-1] == ("after", False)
    for nothing in (leg.answer, leg.pause, leg.resume, leg.hang_up):
        nothing()
    assert leg.flush() == 0
    await world.passes(3)
    assert ear.why == "hangup"


async def test_hanging_up_ends_the_channel(world: PortWorld) -> None:
    leg, channel, ear = await world.talks()
    leg.hang_up()
    await world.until(lambda: ear.why == "hangup" and not channel.up, "the end")


@REAL
async def test_an_ear_that_fails_harms_nobody(world: PortWorld) -> None:
    _, other, _ = await world.talks()
    _, channel, ear = await world.talks()

    def fails(frame: bytes) -> None:
        raise RuntimeError("a session's fault")

    ear.hears = fails
    await channel.says(numbered(1))
    await world.until(lambda: len(ear.frames) == 1, "the frame")
    before = (len(other.heard), len(channel.heard))
    await world.until(lambda: len(other.heard) > before[0] + 3, "the other call")
    await world.until(lambda: len(channel.heard) > before[1] + 3, "its own call")
    assert ear.why == ""


async def test_many_channels_do_not_mix(world: PortWorld) -> None:
    calls = [await world.talks() for _ in range(12)]
    for number, (leg, _, _) in enumerate(calls):
        for frame in frames(number * 100, 10):
            leg.play(frame)
        leg.mark("end")
    await world.until(lambda: all(ear.marks for _, _, ear in calls), "all ends")
    await world.until(lambda: all(len(sound(at)) >= 10 for _, at, _ in calls), "all at the far ends")
    for number, (_, channel, _) in enumerate(calls):
        assert sound(channel) == frames(number * 100, 10)


async def test_closing_the_port_ends_all_and_tells_all(world: PortWorld) -> None:
    (_, _, first), (_, _, second) = await world.talks(), await world.talks()
    waiting, token = RecordingEar(), new_token()
    if world.driver != "fake":
        world.port.expect(token, ULAW, waiting, 60.0)
    closed = world.close()
    if isawaitable(closed):
        await asyncio.wait_for(closed, 30.0)
    assert (first.why, second.why) == ("hangup", "hangup")
    assert waiting.why == ("" if world.driver == "fake" else "never_came")
