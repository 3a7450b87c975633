"""Recordings of real calls: who is on which side, what a pause leaves out, and what a failure looks like."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

import pytest

from gateway.config import ensure_signing_secret
from gateway.http.signing import RecordingLinks
from gateway.trial.audio import (
    RATE,
    SILENCE_DB,
    Wave,
    has_tone,
    levels_db,
    read_wav,
    tone,
    tone_seconds,
)
from gateway.trial.sip_behaviour import answers
from gateway.trial.sip_call import CallState, SimulatedCall
from gateway.trial.sip_outgoing import Dial
from tests.e2e.conftest import CARRIER_HZ
from tests.e2e.visitor import download, newest_call_to_us, recording_of, registered, route_own_number
from tests.rig.product import OWN, Json, Product

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

TONE, ALICE_HZ, CALLER_HZ = "+14155556000", 1100.0, 500.0
SETTLE_S = 1.0
"""So much of a pause, at its edges, may be heard: the order takes its way to the media, and back."""
WINDOW_S = 0.1


@asynccontextmanager
async def talking(house: Product, **fields: object) -> AsyncIterator[tuple[str, SimulatedCall]]:
    """A call between the carrier (sounding its tone) and alice (sounding hers); its id, and alice's end."""
    async with registered(house, "alice", lambda _: answers(audio=tone(ALICE_HZ, 10.0))) as alice:
        call_id = await house.api.place(TONE, connect_to="phone:alice", **fields)
        phone = await alice.receives(within_s=30.0)
        await hears_for(phone, 0.5)
        yield call_id, phone
        await house.api.ok("POST", f"/v1/voice/calls/{call_id}/hangup")
        await phone.reaches(CallState.ENDED, 20.0)


async def runs(house: Product, call_id: str, count: int = 1) -> None:
    """Until the call's newest recording, one of so many, is known to run."""

    def so(call: Json) -> bool:
        states = [recording["status"] for recording in call["recordings"]]
        return len(states) == count and states[-1] == "recording"

    await house.api.until(call_id, so, 30.0, "recorded")


async def hears_for(phone: SimulatedCall, seconds: float) -> None:
    """The conversation goes on for so long, by what the phone hears."""
    begun = tone_seconds(phone.stream.heard(), CARRIER_HZ)
    await phone.hears(
        lambda pcm: tone_seconds(pcm, CARRIER_HZ) >= begun + seconds,
        seconds + 30.0,
        f"{seconds} s more of talk",
    )


async def turn(house: Product, call_id: str, verb: str) -> Json:
    return dict(await house.api.ok("POST", f"/v1/voice/calls/{call_id}/recording/{verb}"))


async def finished(house: Product, call_id: str, count: int) -> list[Json]:
    """All recordings of the call, once none is being made."""
    final = ("ready", "failed")

    def there(call: Json) -> bool:
        states = [recording["status"] for recording in call["recordings"]]
        return len(states) == count and all(state in final for state in states)

    return list((await house.api.until(call_id, there, 40.0, f"{count} finished recordings"))["recordings"])


async def fetched(recording: Json, folder: Path) -> Wave:
    path = folder / f"{recording['id']}.wav"
    status, _ = await download(recording["url"], path)
    assert status == 200
    return read_wav(path)


def silence(pcm: bytes) -> tuple[float, float]:
    """The longest stretch in which nothing at all is recorded: from and to, in seconds."""
    longest = begun = (0.0, 0.0)
    for place, level in enumerate(levels_db(pcm, window_s=WINDOW_S)):
        end = (place + 1) * WINDOW_S
        begun = (begun[0], end) if level == SILENCE_DB else (end, end)
        longest = max(longest, begun, key=lambda one: one[1] - one[0])
    return longest


def part(pcm: bytes, start_s: float, end_s: float) -> bytes:
    return pcm[2 * round(start_s * RATE) : 2 * round(end_s * RATE)]


def moments(events: list[Json], recording_id: str) -> dict[str, float]:
    """When each event of a recording was, in seconds since it started; ``began`` is that, since 1970."""
    ours = [event for event in events if event["detail"].get("recording_id") == recording_id]
    at = {event["type"]: datetime.fromisoformat(event["at"]).timestamp() for event in ours}
    began = at["recording.started"]
    return {"began": began} | {name: moment - began for name, moment in at.items()}


async def test_each_side_of_a_placed_call_has_a_channel_of_its_own(house: Product, tmp_path: Path) -> None:
    async with talking(house, record=True) as (call_id, phone):
        await runs(house, call_id)
        await hears_for(phone, 2.0)
    wave = await recording_of(house, call_id, tmp_path)
    call = await house.api.call(call_id)
    left, right = wave.channel(0), wave.channel(1)
    assert (wave.channels, wave.rate) == (2, RATE)
    assert has_tone(left, CARRIER_HZ, seconds=1.5)
    assert not has_tone(left, ALICE_HZ)
    assert has_tone(right, ALICE_HZ, seconds=1.0)
    assert not has_tone(right, CARRIER_HZ)
    [recording] = call["recordings"]
    assert abs(recording["duration_seconds"] * 1000 - wave.duration_ms) < 1
    assert recording["bytes"] == (tmp_path / f"{call_id}.wav").stat().st_size
    at = moments(await house.api.events(call_id), recording["id"])
    ended = datetime.fromisoformat(call["ended_at"]).timestamp() - at["began"]
    assert abs(recording["duration_seconds"] - ended) < 1.5


async def test_an_inbound_call_is_recorded_where_its_number_says_so(house: Product, tmp_path: Path) -> None:
    async with registered(house, "bob", lambda _: answers(audio=tone(ALICE_HZ, 10.0))) as bob:
        await route_own_number(house, route={"type": "phone", "phone": "bob"}, record=True)
        try:
            dial = Dial(OWN, house.sip, "+14155550142", audio=tone(CALLER_HZ, 10.0))
            caller = house.carrier.call(dial)
            phone = await bob.receives(within_s=30.0)
            await phone.hears(lambda pcm: has_tone(pcm, CALLER_HZ, seconds=1.0), 30.0, "the caller")
            await caller.hang_up(20.0)
            await phone.reaches(CallState.ENDED, 20.0)
        finally:
            await route_own_number(house, route={"type": "reject", "cause": "busy"}, record=False)
    call = await newest_call_to_us(house)
    assert (call["direction"], call["record"]) == ("inbound", True)
    wave = await recording_of(house, call["id"], tmp_path)
    assert has_tone(wave.channel(0), CALLER_HZ)
    assert has_tone(wave.channel(1), ALICE_HZ)
    assert not has_tone(wave.channel(1), CALLER_HZ)


async def test_a_pause_is_silence_and_the_clock_goes_on(house: Product, tmp_path: Path) -> None:
    async with talking(house, record=True) as (call_id, phone):
        await runs(house, call_id)
        await hears_for(phone, 1.0)
        assert (await turn(house, call_id, "pause"))["status"] == "paused"
        await hears_for(phone, 1.5)
        assert (await turn(house, call_id, "resume"))["status"] == "recording"
        await hears_for(phone, 1.0)
        assert (await turn(house, call_id, "stop"))["status"] in ("processing", "ready")
        await hears_for(phone, 0.5)
        assert (await turn(house, call_id, "start"))["status"] in ("waiting", "recording")
        await runs(house, call_id, 2)
        await hears_for(phone, 1.0)
    first, second = await finished(house, call_id, 2)
    assert first["id"] != second["id"]
    at = moments(await house.api.events(call_id), first["id"])
    wave = await fetched(first, tmp_path)
    assert abs(wave.duration_ms / 1000 - at["recording.stopped"]) < 1.5
    paused_s = at["recording.resumed"] - at["recording.paused"]
    for side, hz in ((wave.channel(0), CARRIER_HZ), (wave.channel(1), ALICE_HZ)):
        begins, ends = silence(side)
        assert ends - begins > paused_s - SETTLE_S
        assert tone_seconds(side, hz) < at["recording.stopped"] - paused_s + SETTLE_S
        assert has_tone(part(side, 0, begins), hz)
        assert has_tone(part(side, ends, wave.duration_ms / 1000), hz)
    again = await fetched(second, tmp_path)
    assert has_tone(again.channel(0), CARRIER_HZ)
    at = moments(await house.api.events(call_id), second["id"])
    ended = datetime.fromisoformat((await house.api.call(call_id))["ended_at"]).timestamp() - at["began"]
    assert abs(again.duration_ms / 1000 - ended) < 1.5


async def test_what_does_not_fit_the_recordings_state_is_refused(house: Product) -> None:
    async with talking(house) as (call_id, _):
        path = f"/v1/voice/calls/{call_id}/recording"
        for verb in ("stop", "pause", "resume"):
            status, answer = await house.api.ask("POST", f"{path}/{verb}")
            assert (status, answer["error"]["code"]) == (409, "RECORDING_NOT_RUNNING")
        await turn(house, call_id, "start")
        status, answer = await house.api.ask("POST", f"{path}/start")
        assert (status, answer["error"]["code"]) == (409, "RECORDING_RUNNING")
    status, answer = await house.api.ask("POST", f"{path}/start")
    assert (status, answer["error"]["code"]) == (409, "CALL_ENDED")


async def test_a_far_end_that_never_answers_leaves_no_recording(house: Product) -> None:
    call_id = await house.api.place("+14155557003", record=True, ring_timeout=5)
    call = await house.api.ended(call_id)
    assert (call["status"], call["recordings"], call["recording_url"]) == ("no_answer", [], None)
    types = [event["type"] for event in await house.api.events(call_id)]
    assert not [name for name in types if name.startswith("recording.")]


async def test_a_folder_that_takes_no_recordings_is_told_as_a_failure(house: Product) -> None:
    """A file stands where the folder was: nobody, not even root, can write below it."""
    folder, aside = house.var / "recordings", house.var / "recordings.aside"
    folder.rename(aside)
    folder.touch()
    try:
        async with talking(house, record=True) as (call_id, phone):
            await hears_for(phone, 0.5)
        [recording] = await finished(house, call_id, 1)
    finally:
        folder.unlink()
        aside.rename(folder)
    told = (recording["status"], recording["failure"], recording["url"])
    assert told == ("failed", "disk_error", None)
    call = await house.api.call(call_id)
    assert (call["status"], call["recording_url"]) == ("completed", None)
    failed = [event for event in await house.api.events(call_id) if event["type"] == "recording.failed"]
    assert [event["detail"]["reason"] for event in failed] == [recording["failure"]]
    async with talking(house, record=True) as (call_id, phone):
        await runs(house, call_id)
        await hears_for(phone, 0.5)
    [recording] = await finished(house, call_id, 1)
    assert recording["status"] == "ready"


async def test_a_signed_address_gives_the_file_whole_and_in_parts(house: Product, tmp_path: Path) -> None:
    async with talking(house, record=True) as (call_id, phone):
        await runs(house, call_id)
        await hears_for(phone, 0.5)
    [recording] = await finished(house, call_id, 1)
    url, scratch = recording["url"], tmp_path / "part"
    status, whole = await download(url, scratch)
    assert (status, len(whole), whole[:4]) == (200, recording["bytes"], b"RIFF")
    for wanted, part_of in (
        ("bytes=0-43", whole[:44]),
        ("bytes=100-", whole[100:]),
        ("bytes=-50", whole[-50:]),
        (f"bytes=10-{len(whole) * 2}", whole[10:]),
    ):
        assert await download(url, scratch, Range=wanted) == (206, part_of)
    status, _ = await download(url, scratch, Range=f"bytes={len(whole)}-")
    assert status == 416


async def test_an_address_that_is_forged_or_over_gives_nothing(house: Product, tmp_path: Path) -> None:
    async with talking(house, record=True) as (call_id, phone):
        await runs(house, call_id)
        await hears_for(phone, 0.5)
    [recording] = await finished(house, call_id, 1)
    url, scratch = str(recording["url"]), tmp_path / "refused"
    address, signature = url.split("signature=")
    turned = ("0" if signature[0] != "0" else "1") + signature[1:]
    expires = address.split("expires=")[1].rstrip("&")
    forged = [
        f"{address}signature={turned}",
        url.replace(f"expires={expires}", f"expires={int(expires) + 1}"),
        url.replace(recording["id"], f"{call_id}-2"),
    ]
    secret = ensure_signing_secret(house.stack.settings).reveal().encode()
    ours = RecordingLinks(secret, address.split("/recordings/")[0], 900)
    assert ours.link(recording["id"], float(int(expires) - 900))[0] == url
    over = ours.link(recording["id"], float(int(expires) - 90_000))[0]
    for wrong in (*forged, over):
        status, content = await download(wrong, scratch)
        assert status == 403, wrong
        assert not content.startswith(b"RIFF")
    unsigned, _ = await download(url.partition("?")[0], scratch)
    assert unsigned in (400, 403, 422)
