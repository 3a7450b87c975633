"""SIPp's far ends against our own, both ways: every scenario runs, and both sides tell one story."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from gateway.runtime.ports import free_sip_port, free_udp_range
from gateway.trial import audio
from gateway.trial.sip_behaviour import FINALS, by_last_digits
from gateway.trial.sip_call import CallState, Ending
from gateway.trial.sip_outgoing import Dial, OutgoingCall
from gateway.trial.sip_phone import SipPhone
from gateway.trial.sip_transport import Timers
from gateway.trial.sipp import Sipp, SippFailed, SippResult, SippRun, is_bound
from gateway.trial.sipp_scenario import Called, Calling, Ring, Scenario, called, called_by_ending, calling
from tests.rig.world import sipp_command

pytestmark = pytest.mark.switch

HOST = "127.0.0.1"
CARRIER = called_by_ending(
    "carrier",
    {
        "1000": Called(),
        "1001": Called(hang_up_after_ms=200),
        "1002": Called(ring=Ring.EARLY_MEDIA, final_after_ms=200),
        "7002": Called(final=0, ring=Ring.NONE),
        "7003": Called(final=0),
        "7004": Called(final=0, ring=Ring.EARLY_MEDIA),
        "8900": Called(final_after_ms=60_000),
        **{f"0{final}": Called(final=final, ring=Ring.NONE) for final in FINALS},
        **{f"1{final}": Called(final=final, final_after_ms=30) for final in FINALS},
    },
    Called(final=404, ring=Ring.NONE),
)


async def start(scenario: Scenario, folder: Path, **run: object) -> Sipp:
    options = SippRun(scenario, (HOST, free_sip_port()), free_udp_range(100), **run)  # type: ignore[arg-type]
    return await Sipp.start(sipp_command(), options, folder)


@pytest_asyncio.fixture
async def carrier(tmp_path: Path) -> AsyncIterator[Sipp]:
    sipp = await start(CARRIER, tmp_path / "carrier", echo=True)
    yield sipp
    await sipp.kill()


@pytest_asyncio.fixture
async def phone() -> AsyncIterator[SipPhone]:
    async with await SipPhone.open(decide=by_last_digits()) as opened:
        yield opened


def dial(phone: SipPhone, sipp: Sipp, number: str, sound: bytes = b"") -> OutgoingCall:
    return phone.call(Dial(number, sipp.run.local, caller="+15550002000", audio=sound))


async def test_every_refusal_with_and_without_ringing(carrier: Sipp, phone: SipPhone) -> None:
    for final in FINALS:
        for prefix, first in (("0", 100), ("1", 180)):
            call = dial(phone, carrier, f"+1555000{prefix}{final}")
            await call.reaches(CallState.ENDED)
            assert call.responses == [first, final]
            assert call.ending == Ending(by_us=False, status=final)
    result = await carrier.stop()
    assert result.clean, result.errors
    assert result.created == 2 * len(FINALS)


@pytest.mark.parametrize("ending", ["7002", "7003", "7004", "8900"])
async def test_cancel_in_every_waiting_state(carrier: Sipp, phone: SipPhone, ending: str) -> None:
    call = dial(phone, carrier, f"+1555000{ending}")
    await call.cancel()
    assert call.ending == Ending(by_us=True, status=487)
    result = await carrier.stop()
    assert result.clean, result.errors


async def test_answered_echoes_and_is_hung_up_by_either_side(carrier: Sipp, phone: SipPhone) -> None:
    call = dial(phone, carrier, "+15550001000", audio.tone(700, 0.5))
    await call.reaches(CallState.ANSWERED)
    await call.hears(lambda pcm: audio.has_tone(pcm, 700), 15, "our own tone, echoed")
    await call.hang_up()
    other = dial(phone, carrier, "+15550001001")
    await other.reaches(CallState.ENDED)
    assert other.ending == Ending(by_us=False, status=200)
    assert 0.15 <= other.talked_s < 10.0
    early = dial(phone, carrier, "+15550001002")
    await early.reaches(CallState.ANSWERED)
    assert early.responses == [183, 200]
    await early.hang_up()
    result = await carrier.stop()
    assert result.clean, result.errors


async def test_silence_is_silence(tmp_path: Path) -> None:
    sipp = await start(called("silent", Called(final=0, trying=False, ring=Ring.NONE)), tmp_path)
    async with await SipPhone.open(timers=Timers(t1=0.1, t2=0.2, give_up=0.8)) as hasty:
        call = dial(hasty, sipp, "1")
        await call.reaches(CallState.ENDED)
        assert (call.responses, call.ending) == ([408], Ending(by_us=False, status=408))
    result = await sipp.stop(within_s=1)
    assert result.created == 1


async def test_a_streamed_tone_is_heard(phone: SipPhone, tmp_path: Path) -> None:
    sound = tmp_path / "tone.ulaw"
    sound.write_bytes(audio.ulaw_encode(audio.tone(600, 1.0)))
    sipp = await start(called("streams", Called(stream=str(sound))), tmp_path / "run")
    call = dial(phone, sipp, "1")
    await call.reaches(CallState.ANSWERED)
    await call.hears(lambda pcm: audio.has_tone(pcm, 600), 15, "the streamed tone")
    await call.hang_up()
    assert (await sipp.stop()).clean


async def run_caller(phone: SipPhone, folder: Path, how: Calling, number: str) -> SippResult:
    run = {"remote": phone.address, "number": number, "caller": "+15550003000", "calls": 1}
    sipp = await start(calling("caller", how), folder, **run)
    return await sipp.finished(30)


async def test_a_caller_that_hangs_up(phone: SipPhone, tmp_path: Path) -> None:
    identity = (("P-Asserted-Identity", "<sip:+15550009999@127.0.0.1>"),)
    how = Calling(talk_ms=200, display="Ann", headers=identity)
    result = await run_caller(phone, tmp_path, how, "+15550001000")
    assert result.clean, result.errors
    there = phone.incoming[0]
    assert there.ending == Ending(by_us=False, status=200)
    assert (there.facts.user, there.facts.from_user, there.facts.from_display) == (
        "+15550001000", "+15550003000", "Ann",
    )  # fmt: skip
    assert there.facts.headers.first("P-Asserted-Identity") == "<sip:+15550009999@127.0.0.1>"


@pytest.mark.parametrize(
    ("how", "number", "ending"),
    [
        (Calling(talk_ms=30_000), "+15550009010", Ending(by_us=True, status=200)),
        (Calling(cancel_after_ms=100), "+15550007003", Ending(by_us=False, status=487)),
        (Calling(cancel_after_ms=100), "+15550007004", Ending(by_us=False, status=487)),
        (Calling(expect=486), "+15550001486", Ending(by_us=True, status=486)),
        (Calling(expect=404), "+15550000404", Ending(by_us=True, status=404)),
    ],
    ids=["callee hangs up", "cancels", "cancels early media", "busy", "unknown"],
)
async def test_other_callers(
    phone: SipPhone, tmp_path: Path, how: Calling, number: str, ending: Ending
) -> None:
    result = await run_caller(phone, tmp_path, how, number)
    assert result.clean, result.errors
    assert phone.incoming[0].ending == ending


async def test_what_does_not_go_by_the_scenario_counts_as_failed(phone: SipPhone, tmp_path: Path) -> None:
    result = await run_caller(phone, tmp_path, Calling(expect=200), "+15550000486")
    assert (result.exit_code, result.failed) == (1, 1)
    assert not result.clean
    assert "486" in result.errors


async def test_many_callers(phone: SipPhone, tmp_path: Path) -> None:
    run = {"remote": phone.address, "number": "+15550001000", "calls": 40, "per_second": 40}
    sipp = await start(calling("load", Calling(talk_ms=300)), tmp_path, **run)
    result = await sipp.finished(40)
    assert (result.created, result.succeeded, len(phone.incoming)) == (40, 40, 40), result.errors
    await phone.quiet()


async def test_a_scenario_that_sipp_refuses_says_why(tmp_path: Path) -> None:
    with pytest.raises(SippFailed, match="SIPp ended with"):
        await start(Scenario("empty", ()), tmp_path)


async def test_stopping_frees_the_port(tmp_path: Path) -> None:
    sipp = await start(called("waits", Called(final=0)), tmp_path)
    assert is_bound(sipp.run.local)
    async with await SipPhone.open() as phone:
        call = dial(phone, sipp, "1")
        await call.reaches(CallState.RINGING)
        result = await asyncio.wait_for(sipp.stop(within_s=1), 30)
    assert not is_bound(sipp.run.local)
    assert result.created == 1
