"""Callers on the real switch whose calls are brought straight to a media port, by each driver.

µ-law goes end to end without a change, so what the caller hears is compared octet by octet.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from gateway.trial import audio
from gateway.trial.sip_call import CallState, SimulatedCall
from tests.rig.media import MediaWorld, RecordingEar, payloads, running_media
from tests.unit.voice_agents.model_switch import numbered
from voice_agents.core import playout
from voice_agents.core.audio import Codec
from voice_agents.core.sound import from_linear
from voice_agents.ports import MediaLeg

pytestmark = [pytest.mark.switch, pytest.mark.timeout(300)]

ULAW = Codec.ULAW
DIAL_S = 20.0
"""How long the dialplan lets an agent's channel ring."""


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=["websocket", "audiosocket"])
async def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[MediaWorld]:
    async with running_media(tmp_path_factory.mktemp("media"), request.param) as world:
        yield world


@pytest.fixture
def world(running: MediaWorld) -> MediaWorld:
    return running


def spoken(first: int, count: int) -> list[bytes]:
    """Frames that survive µ-law to linear and back: no minus zero in them."""
    return [numbered(number).replace(b"\x7f", b"\x7e") for number in range(first, first + count)]


def agent_sound(call: SimulatedCall) -> list[bytes]:
    """What the caller heard and was not silence."""
    return [payload for payload in payloads(call.stream.packets) if payload != ULAW.silence]


async def ends(call: SimulatedCall, ear: RecordingEar) -> None:
    if call.state is not CallState.ENDED:
        await call.hang_up()
    await ear.until(lambda told: bool(told.why), "the end")


async def played(leg: MediaLeg, ear: RecordingEar, frames: list[bytes], name: str) -> None:
    """Play it all, and wait until it was heard."""
    for frame in frames:
        assert leg.play(frame)
    leg.mark(name)
    await ear.until(lambda told: (name, True) in told.marks, f"mark {name}")


async def test_what_the_caller_says_comes_back(world: MediaWorld) -> None:
    ear = RecordingEar()

    def echoes(frame: bytes) -> None:
        assert ear.leg is not None
        ear.leg.play(frame)

    ear.hears = echoes
    before = world.port.lateness.sum_ms
    call, leg = await world.talks(ear, audio=audio.tone(440, 2.0))
    await call.hears(lambda pcm: audio.has_tone(pcm, 440, seconds=1.0), 20, "its own tone")
    assert audio.has_tone(audio.ulaw_decode(b"".join(ear.frames)), 440)
    await ear.until(
        lambda _: leg.queued_ms <= 200 + world.port.lateness.sum_ms - before,
        "that what came back does not pile up, but for what this machine was late with",
    )
    await ends(call, ear)
    assert ear.why == "hangup"


async def test_all_frames_arrive_in_order_and_unchanged(world: MediaWorld) -> None:
    ear = RecordingEar()
    call, leg = await world.talks(ear)
    await played(leg, ear, spoken(0, 100), "end")
    await call.stream.until(lambda: len(agent_sound(call)) >= 100, within_s=15.0, what="the last frame")
    assert agent_sound(call) == spoken(0, 100)
    assert leg.heard_ms == 2000
    await ends(call, ear)


async def test_silence_flows_while_nobody_speaks(world: MediaWorld) -> None:
    ear, before = RecordingEar(), world.port.lateness.sum_ms
    call, _ = await world.talks(ear)
    await call.stream.until(lambda: len(call.stream.packets) > 100, within_s=15.0, what="100 packets")
    late_ms = world.port.lateness.sum_ms - before
    packets = call.stream.packets[10:]
    assert {packet.payload for packet in packets} == {ULAW.silence}
    steps = [b.timestamp - a.timestamp for a, b in itertools.pairwise(packets)]
    holes = len(steps) - steps.count(160)
    assert holes <= 2 + late_ms / 20, "hardly one, but for what this machine was late with"
    assert max(steps) <= 480 + late_ms * 8
    assert min(steps) > 0
    await ends(call, ear)


async def test_a_flush_is_heard_at_once(world: MediaWorld) -> None:
    ear = RecordingEar()
    call, leg = await world.talks(ear)
    for frame in spoken(0, 300):
        leg.play(frame)
    await call.stream.until(lambda: len(agent_sound(call)) > 20, within_s=15.0, what="the first words")
    sent = leg.heard_ms // 20
    dropped = leg.flush()
    await played(leg, ear, spoken(1000, 20), "new")
    await call.stream.until(
        lambda: agent_sound(call)[-1] == spoken(1019, 1)[0], within_s=15.0, what="the end"
    )
    heard = len([frame for frame in agent_sound(call) if frame in spoken(0, 300)])
    assert heard - sent <= 3, f"{heard - sent} frames after the flush"
    assert dropped > 2000
    assert abs(dropped + heard * 20 - 6000) <= 60, "but for what the switch holds"
    assert abs(leg.heard_ms - heard * 20 - 400) <= 60
    await ends(call, ear)


async def test_pause_and_resume_lose_nothing(world: MediaWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a switch whose word comes in time, however late this machine makes it."""
    monkeypatch.setattr(playout, "FREEZE_S", 5.0)
    ear = RecordingEar()
    call, leg = await world.talks(ear)
    for frame in spoken(0, 60):
        leg.play(frame)
    for words in (10, 25, 40):
        await call.stream.until(
            lambda words=words: len(agent_sound(call)) > words,  # type: ignore[misc]
            within_s=15.0,
            what="words",
        )
        leg.pause()
        await call.stream.until(
            lambda: {p.payload for p in call.stream.packets[-15:]} == {ULAW.silence},
            within_s=15.0,
            what="the silence of a pause",
        )
        leg.resume()
    await played(leg, ear, [], "end")
    await call.stream.until(lambda: len(agent_sound(call)) >= 60, within_s=15.0, what="the end")
    assert agent_sound(call) == spoken(0, 60)
    await ends(call, ear)


async def test_marks_tell_the_truth(world: MediaWorld) -> None:
    """When a mark is told, its frame is in the caller's ear, or will be within a blink."""
    ear, told = RecordingEar(), dict[str, float]()
    plain = ear.mark

    def noting(name: str, heard: bool) -> None:
        told[name] = time.monotonic()
        plain(name, heard)

    ear.mark = noting  # type: ignore[method-assign]
    call, leg = await world.talks(ear)
    for number in range(10):
        for frame in spoken(10 * number, 10):
            leg.play(frame)
        leg.mark(f"m{number}")
    await ear.until(lambda seen: len(seen.marks) == 10, "all marks")
    await call.stream.until(lambda: len(agent_sound(call)) >= 100, within_s=15.0, what="the last frame")
    arrived = {packet.payload: packet.at for packet in call.stream.packets}
    early = sorted(arrived[spoken(10 * n + 9, 1)[0]] - told[f"m{n}"] for n in range(10))
    assert -0.1 <= early[5] <= 0.035, "most of them to a frame; this machine may stand still now and then"
    assert early[-1] <= 0.5, "told before it was heard"
    assert early[0] >= -1.0, "told long after"
    await ends(call, ear)


async def test_the_last_part_of_a_frame_is_heard_too(world: MediaWorld) -> None:
    ear = RecordingEar()
    call, leg = await world.talks(ear)
    await played(leg, ear, [*spoken(0, 3), b"\x22" * 50], "end")
    await call.stream.until(lambda: len(agent_sound(call)) >= 4, within_s=15.0, what="the tail")
    assert agent_sound(call)[3] == b"\x22" * 50 + ULAW.silence[50:]
    await ends(call, ear)


async def test_keys_arrive_once_each_and_in_order(world: MediaWorld) -> None:
    ear = RecordingEar()
    call, _ = await world.talks(ear)
    call.stream.press("147*0#")
    await ear.until(lambda told: len(told.digits) >= 6, "the keys")
    await asyncio.sleep(0.3)
    assert ear.digits == "147*0#"
    await ends(call, ear)


@pytest.mark.parametrize("codec", [Codec.SLIN, Codec.SLIN16, Codec.SLIN24, Codec.ALAW])
async def test_an_agent_has_the_codec_it_wants(world: MediaWorld, codec: Codec) -> None:
    ear = RecordingEar()
    call, leg = await world.talks(ear, codec, audio=audio.tone(440, 1.0))
    leg.play(from_linear(codec, audio.tone(900, 1.0, rate=codec.rate_hz)))
    await call.hears(lambda pcm: audio.has_tone(pcm, 900), 20, "the agent's tone")
    await ear.until(lambda told: len(told.frames) > 60, "the caller")
    assert {len(frame) for frame in ear.frames} == {codec.frame_bytes}
    if codec.linear:
        assert audio.has_tone(b"".join(ear.frames), 440, rate=codec.rate_hz)
    await ends(call, ear)


# ---------------------------------------------------------------- beginnings and ends


async def test_the_caller_hears_ringing_until_the_agent_answers(world: MediaWorld) -> None:
    ear = RecordingEar(answers=False)
    call = world.dial(ear)
    await ear.until(lambda told: told.leg is not None, "the leg")
    if world.port.abilities.delays_answer:
        await asyncio.sleep(0.3)
        assert call.state is not CallState.ANSWERED
    assert ear.leg is not None
    ear.leg.answer()
    await call.reaches(CallState.ANSWERED)
    await ends(call, ear)


async def test_a_caller_who_gives_up_before_the_answer_is_told(world: MediaWorld) -> None:
    ear = RecordingEar(answers=False)
    call = world.dial(ear)
    await ear.until(lambda told: told.leg is not None, "the leg")
    if world.port.abilities.delays_answer:
        await call.cancel()
    else:
        await call.reaches(CallState.ANSWERED)
        await call.hang_up()
    await ear.until(lambda told: told.why == "hangup", "the end")


async def test_the_agent_may_hang_up(world: MediaWorld) -> None:
    ear = RecordingEar()
    call, leg = await world.talks(ear)
    leg.hang_up()
    await call.reaches(CallState.ENDED)
    await ear.until(lambda told: told.why == "hangup", "the end")


async def test_a_wrong_token_is_no_call(world: MediaWorld) -> None:
    call = world.dial_string(world.port.dial_string("wrong" * 4, ULAW))
    await call.reaches(CallState.ENDED, within_s=DIAL_S / 2)
    if world.port.abilities.delays_answer:
        assert 200 not in call.responses


async def test_a_token_is_good_for_one_call(world: MediaWorld) -> None:
    ear = RecordingEar()
    token = "once" * 5
    world.port.expect(token, ULAW, ear, 20.0)
    dialled = world.port.dial_string(token, ULAW)
    first = world.dial_string(dialled)
    await first.reaches(CallState.ANSWERED)
    await ear.talks()
    second = world.dial_string(dialled)
    await second.reaches(CallState.ENDED)
    frames = len(ear.frames)
    await ear.until(lambda told: len(told.frames) > frames + 10, "the first call goes on")
    await ends(first, ear)


async def test_a_port_that_is_gone_is_a_call_that_fails_at_once(world: MediaWorld) -> None:
    text = (
        world.port.dial_string("nobody" * 4, ULAW)
        .replace("patchbay", "elsewhere")
        .replace("127.0.0.1", "127.0.0.3")
    )
    call = world.dial_string(text)
    await call.reaches(CallState.ENDED, within_s=DIAL_S / 2)


async def test_calls_do_not_mix(world: MediaWorld) -> None:
    ears = [RecordingEar() for _ in range(6)]
    calls = [await world.talks(ear) for ear in ears]
    await asyncio.gather(
        *(
            played(leg, ear, spoken(n * 200, 40), "end")
            for n, ((_, leg), ear) in enumerate(zip(calls, ears, strict=True))
        )
    )
    for n, (call, _) in enumerate(calls):
        await call.stream.until(
            lambda call=call: len(agent_sound(call)) >= 40,  # type: ignore[misc]
            within_s=15.0,
            what="the last frame",
        )
        assert agent_sound(call) == spoken(n * 200, 40)
    for (call, _), ear in zip(calls, ears, strict=True):
        await ends(call, ear)


async def test_calls_of_the_same_moment_are_not_mixed_up(world: MediaWorld) -> None:
    """The WebSocket driver's query parameters are shared by all that it dials at once."""
    for _ in range(3):
        ears = [RecordingEar() for _ in range(12)]
        calls = await asyncio.gather(*(world.talks(ear) for ear in ears))
        for n, (_, leg) in enumerate(calls):
            leg.play(b"".join(spoken(n * 20, 10)))
        for n, (call, _) in enumerate(calls):
            await call.stream.until(
                lambda call=call: len(agent_sound(call)) >= 10,  # type: ignore[misc]
                within_s=15.0,
                what="the last frame",
            )
            assert agent_sound(call) == spoken(n * 20, 10)
        await asyncio.gather(*(ends(call, ear) for (call, _), ear in zip(calls, ears, strict=True)))
