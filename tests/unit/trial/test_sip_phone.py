"""Two simulated far ends talk to each other over loopback: signalling and audio, no switch between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from gateway.trial import audio
from gateway.trial.sip_behaviour import (
    FINALS,
    Behaviour,
    Decide,
    InviteFacts,
    OnCancel,
    answers,
    by_ending,
    by_last_digits,
    rejects,
    rings,
    silent,
)
from gateway.trial.sip_call import CallState, Ending
from gateway.trial.sip_message import Headers
from gateway.trial.sip_outgoing import Dial, OutgoingCall
from gateway.trial.sip_phone import SipPhone
from gateway.trial.sip_transport import Timers
from gateway.trial.watch import NotInTime

pytestmark = pytest.mark.unit

QUICK = Timers(t1=0.05, t2=0.2, give_up=20.0)
HASTY = Timers(t1=0.05, t2=0.2, give_up=1.0)
PATIENT = Timers(t1=5.0, t2=5.0, give_up=60.0)
"""Of who calls: an INVITE that is said twice is answered twice, and the answers are counted here."""


class Pair:
    """A calling and a called far end; ``far.decide`` is set by the test."""

    def __init__(self, near: SipPhone, far: SipPhone) -> None:
        self.near, self.far = near, far

    def dial(self, number: str = "+15550001000", *, sound: bytes = b"", mute: bool = False) -> OutgoingCall:
        return self.near.call(
            Dial(number, self.far.address, caller="+15550002000", display="Ann", audio=sound, mute=mute)
        )


@pytest_asyncio.fixture
async def pair() -> AsyncIterator[Pair]:
    async with await SipPhone.open(timers=PATIENT) as near, await SipPhone.open(timers=QUICK) as far:
        yield Pair(near, far)


def always(behaviour: Behaviour) -> Decide:
    return lambda _: behaviour


async def test_answered_and_hung_up_by_the_caller_with_sound_both_ways(pair: Pair) -> None:
    pair.far.decide = always(answers(audio=audio.tone(880, 0.5)))
    call = pair.dial(sound=audio.tone(440, 0.5))
    await call.reaches(CallState.ANSWERED)
    there = await pair.far.receives()
    await call.hears(lambda pcm: audio.has_tone(pcm, 880), 15, "the callee's tone")
    await there.hears(lambda pcm: audio.has_tone(pcm, 440), 15, "the caller's tone")
    await call.hang_up()
    await there.reaches(CallState.ENDED)
    assert call.ending == Ending(by_us=True, status=200)
    assert there.ending == Ending(by_us=False, status=200)
    assert call.responses == [100, 180, 200]
    assert there.confirmed
    assert (there.facts.user, there.facts.from_user, there.facts.from_display) == (
        "+15550001000", "+15550002000", "Ann",
    )  # fmt: skip
    assert not audio.has_tone(call.stream.heard(), 440)


async def test_hung_up_by_the_callee(pair: Pair) -> None:
    pair.far.decide = always(answers(hang_up_after_ms=100))
    call = pair.dial()
    await call.reaches(CallState.ENDED)
    assert call.ending == Ending(by_us=False, status=200)
    assert call.talked_s > 0.0
    assert 0.09 <= (await pair.far.receives()).talked_s < 10.0


@pytest.mark.parametrize("ring_after_ms", [None, 10], ids=["at once", "after ringing"])
@pytest.mark.parametrize("status", FINALS)
async def test_every_refusal(pair: Pair, status: int, ring_after_ms: int | None) -> None:
    pair.far.decide = always(rejects(status, after_ms=20, ring_after_ms=ring_after_ms))
    call = pair.dial()
    await call.reaches(CallState.ENDED)
    assert call.ending == Ending(by_us=False, status=status)
    assert call.responses == [100, *([180] if ring_after_ms else []), status]


async def test_nothing_at_all_ends_in_our_own_timeout(pair: Pair) -> None:
    pair.far.decide = always(silent())
    async with await SipPhone.open(timers=HASTY) as hasty:
        call = Pair(hasty, pair.far).dial()
        await call.reaches(CallState.ENDED)
        assert call.ending == Ending(by_us=False, status=408)
    assert pair.far.transport.repeated >= 2
    assert len(pair.far.incoming) == 1


@pytest.mark.parametrize("waiting", [rings(), rings(early_media=True), silent(trying=True)])
async def test_cancel_in_every_waiting_state(pair: Pair, waiting: Behaviour) -> None:
    pair.far.decide = always(waiting)
    call = pair.dial()
    await call.cancel(headers=(("Reason", 'Q.850;cause=16;text="x"'),))
    there = await pair.far.receives()
    assert call.ending == Ending(by_us=True, status=487)
    assert there.cancelled
    assert there.ending == Ending(by_us=False, status=487, reason='Q.850;cause=16;text="x"')


async def test_an_answer_that_crosses_the_cancel_is_hung_up(pair: Pair) -> None:
    pair.far.decide = always(rings(on_cancel=OnCancel.ANSWER_ANYWAY))
    call = pair.dial()
    await call.cancel()
    there = await pair.far.receives()
    await there.reaches(CallState.ENDED)
    assert CallState.ANSWERED in there.reached_at
    assert there.ending == Ending(by_us=False, status=200)


async def test_a_cancel_may_be_ignored(pair: Pair) -> None:
    pair.far.decide = always(rings(on_cancel=OnCancel.IGNORE))
    call = pair.dial()
    await call.reaches(CallState.RINGING)
    with pytest.raises(NotInTime, match="call ENDED"):
        await call.cancel(within_s=0.3)
    assert pair.far.incoming[0].state is CallState.RINGING


async def test_early_media_is_heard_before_the_answer(pair: Pair) -> None:
    sound = audio.tone(425, 0.5)
    pair.far.decide = always(Behaviour(ring_after_ms=10, early_media=True, audio=sound))
    call = pair.dial()
    await call.hears(lambda pcm: audio.has_tone(pcm, 425), 15, "early media")
    assert call.state is CallState.RINGING
    await call.cancel()


async def test_an_answer_is_repeated_until_its_ack(pair: Pair) -> None:
    pair.far.decide = always(answers(after_ms=0, ring_after_ms=None))
    call = pair.dial()
    await pair.far.receives()
    pair.near.transport.deaf = True
    there = pair.far.incoming[0]
    await there.reaches(CallState.ANSWERED)
    await pair.far.traces(lambda: _sent(pair.far, b"SIP/2.0 200") >= 2, 15, "a repeated 200")
    assert not there.confirmed
    pair.near.transport.deaf = False
    await there.until(lambda: there.confirmed, 15, "the ACK")
    assert call.state is CallState.ANSWERED


def _sent(phone: SipPhone, start: bytes) -> int:
    return sum(traced.sent and traced.raw.startswith(start) for traced in phone.transport.trace)


async def test_digits_arrive(pair: Pair) -> None:
    call = pair.dial()
    await call.reaches(CallState.ANSWERED)
    there = await pair.far.receives()
    call.stream.press("19#")
    await there.stream.until(lambda: there.digits == "19#", within_s=15, what="digits 19#")


async def test_a_mute_caller_sends_nothing(pair: Pair) -> None:
    call = pair.dial(mute=True)
    await call.reaches(CallState.ANSWERED)
    there = await pair.far.receives()
    await call.stream.until(lambda: len(call.stream.packets) > 10, within_s=15, what="the callee's silence")
    assert there.stream.packets == []


async def test_audio_keeps_the_clock(pair: Pair) -> None:
    pair.far.decide = always(answers(after_ms=0, ring_after_ms=None))
    call = pair.dial()
    await call.reaches(CallState.ANSWERED)
    stream = call.stream

    def is_kept() -> bool:
        """The quickest packet of a stretch shows the sender's clock, whatever delayed the others."""
        late = [packet.at - packet.timestamp / 8000 for packet in stream.packets]
        return len(late) >= 100 and abs(min(late[-30:]) - min(late[:50])) <= 0.03

    await stream.until(is_kept, within_s=15, what="after two seconds the clock of the first one")


async def test_many_calls_on_one_address(pair: Pair) -> None:
    pair.far.decide = by_last_digits()
    calls = [pair.dial(f"+1555000{ending}") for ending in ("1000", "0486", "1603", "9005", "8003", "0404")]
    for call in calls:
        await call.reaches(CallState.RINGING if call.dial.number.endswith("1000") else CallState.STARTED)
    await calls[0].reaches(CallState.ANSWERED)
    await calls[4].reaches(CallState.ANSWERED)
    await calls[0].hang_up()
    await calls[4].hang_up()
    await pair.near.quiet()
    await pair.far.quiet()
    assert [call.ending.status for call in calls if call.ending] == [200, 486, 603, 200, 200, 404]


async def test_vanishing_leaves_the_other_side_alone(pair: Pair) -> None:
    call = pair.dial()
    await call.reaches(CallState.ANSWERED)
    await pair.far.vanish()
    with pytest.raises(TimeoutError):
        await call.hang_up(within_s=0.2)
    assert call.ending == Ending(by_us=True, status=200)


async def test_hang_up_twice_is_once(pair: Pair) -> None:
    call = pair.dial()
    await call.reaches(CallState.ANSWERED)
    await asyncio.gather(call.hang_up(), call.hang_up())
    await call.hang_up()
    assert _sent(pair.near, b"BYE") == 1


async def test_all_that_was_received_can_be_searched(pair: Pair) -> None:
    call = pair.dial()
    await call.reaches(CallState.ANSWERED)
    assert b"+15550002000" in pair.far.received_bytes()
    assert "INVITE sip:+15550001000@" in pair.far.transcript()


def _facts(user: str) -> InviteFacts:
    return InviteFacts(user, user, "1", "", "id", Headers())


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("+15550001000", answers()),
        ("+15550000486", rejects(486)),
        ("+15550001603", rejects(603, ring_after_ms=20)),
        ("+15550007001", silent()),
        ("+15550007003", rings()),
        ("+15550008012", answers(after_ms=120)),
        ("+15550009100", answers(hang_up_after_ms=1000)),
        ("alice", rejects(404)),
    ],
)
def test_the_standing_dial_plan(user: str, expected: Behaviour) -> None:
    assert by_last_digits()(_facts(user)) == expected


def test_the_longest_ending_wins() -> None:
    decide = by_ending({"00": rings(), "1000": answers()}, rejects(404))
    assert [decide(_facts(u)) for u in ("1000", "200", "3")] == [answers(), rings(), rejects(404)]
