"""SIP over TCP and TLS between simulated far ends, and a far end that wants passwords."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.trial import audio, sdp
from gateway.trial.sip_behaviour import answers, rejects
from gateway.trial.sip_call import CallState, Ending
from gateway.trial.sip_digest import Credentials
from gateway.trial.sip_door import Door
from gateway.trial.sip_outgoing import Dial
from gateway.trial.sip_phone import RegistrationRefused, SipPhone
from gateway.trial.sip_transport import Timers
from gateway.trial.sip_wire import StreamWire, Wire, split_stream, wire_of
from gateway.trial.watch import NotInTime
from tests.rig.certificates import make_authority

pytestmark = pytest.mark.unit

QUICK = Timers(t1=0.05, t2=0.2, give_up=20.0)
HASTY = Timers(t1=0.05, t2=0.2, give_up=1.0)
MESSAGE = b"OPTIONS sip:a SIP/2.0\r\nContent-Length: 3\r\n\r\nabc"
SHORT = b"OPTIONS sip:a SIP/2.0\r\nl : 0\r\n\r\n"


@pytest.mark.parametrize("cut", range(len(MESSAGE + SHORT) + 5))
def test_a_stream_is_cut_into_messages_wherever_it_breaks(cut: int) -> None:
    stream = b"\r\n\r\n" + MESSAGE + b"\r\n" + SHORT
    first, left = split_stream(stream[:cut])
    rest, left = split_stream(left + stream[cut:])
    assert (first + rest, left) == ([MESSAGE, SHORT], b"")


def test_a_stream_that_cannot_be_cut_is_refused() -> None:
    with pytest.raises(ValueError, match="Content-Length"):
        split_stream(b"OPTIONS sip:a SIP/2.0\r\nX: 1\r\n\r\n")
    with pytest.raises(ValueError, match="too long"):
        split_stream(b"OPTIONS sip:a SIP/2.0\r\nContent-Length: 9999999\r\n\r\n")
    with pytest.raises(ValueError, match="without an end"):
        split_stream(b"x" * 2_000_000)


def test_tls_needs_a_certificate() -> None:
    with pytest.raises(ValueError, match="certificate"):
        wire_of("tls")


@pytest.mark.parametrize("kind", ["tcp", "tls"])
async def test_a_call_over_a_connection_sends_nothing_twice(tmp_path: Path, kind: str) -> None:
    authority = make_authority(tmp_path, "house")

    def wire() -> Wire:
        return StreamWire(authority.issue("127.0.0.1") if kind == "tls" else None)

    async with (
        await SipPhone.open(timers=QUICK, wire=wire()) as near,
        await SipPhone.open(
            timers=QUICK, wire=wire(), decide=lambda _: answers(after_ms=300, audio=audio.tone(880, 0.5))
        ) as far,
    ):
        call = near.call(Dial("+15550001000", far.address, "+15550002000"))
        await call.hears(lambda pcm: audio.has_tone(pcm, 880), 15, "the callee's tone")
        await call.hang_up()
        assert (await far.receives()).ending == Ending(by_us=False, status=200)
        far.decide = lambda _: rejects(486)
        refused = near.call(Dial("+15550001000", far.address, "+15550002000"))
        await refused.reaches(CallState.ENDED)
        assert refused.responses[-1] == 486
        assert far.transport.repeated == 0
        sent = [traced.raw for traced in near.transport.trace if traced.sent]
        assert len(sent) == len(set(sent)) == 5  # INVITE, ACK, BYE, INVITE, ACK
        assert all(f"SIP/2.0/{kind.upper()} ".encode() in raw for raw in sent)


async def test_a_certificate_of_a_stranger_is_not_believed(tmp_path: Path) -> None:
    ours, theirs = make_authority(tmp_path, "ours"), make_authority(tmp_path, "theirs")
    near_wire = StreamWire(ours.issue("127.0.0.1"))
    async with (
        await SipPhone.open(timers=HASTY, wire=near_wire) as near,
        await SipPhone.open(timers=QUICK, wire=StreamWire(theirs.issue("127.0.0.1"))) as far,
    ):
        call = near.call(Dial("+15550001000", far.address, "+15550002000"))
        await call.reaches(CallState.ENDED)
        assert call.ending == Ending(by_us=False, status=408)
        await near_wire.watch.until(lambda: bool(near_wire.failures), within_s=15, what="a failure")
        assert "CERTIFICATE_VERIFY_FAILED" in str(near_wire.failures[0])
        assert not far.incoming


HOUSE = Credentials("house", "a-word-for-the-house")


async def test_a_door_lets_in_who_knows_the_word() -> None:
    door = Door(HOUSE, token=iter(map(str, range(100))).__next__)
    async with (
        await SipPhone.open(timers=QUICK) as near,
        await SipPhone.open(timers=QUICK, decide=lambda _: answers()) as far,
    ):
        far.door = door
        await near.register(far.address, HOUSE)
        assert door.contact == f"sip:house@{near.transport.sent_by}"
        with pytest.raises(RegistrationRefused, match="403"):
            await near.register(far.address, Credentials("house", "guessed"))
        await near.register(far.address, HOUSE, expires_s=0)
        assert (door.contact, door.registered, door.refused) == ("", 1, 1)

        call = near.call(Dial("1", far.address, "+15550002000", credentials=HOUSE))
        await call.reaches(CallState.ANSWERED)
        assert call.responses[0] == 407
        stranger = near.call(Dial("1", far.address, "+15550002000"))
        await stranger.reaches(CallState.ENDED)
        assert stranger.responses == [407]
        assert len(far.incoming) == 1


async def test_srtp_is_offered_and_answered_in_words_and_sends_no_audio() -> None:
    key = "A" * 40
    async with (
        await SipPhone.open(timers=QUICK) as near,
        await SipPhone.open(timers=QUICK, decide=lambda _: answers(audio=audio.tone(440, 1))) as far,
    ):
        call = near.call(Dial("1", far.address, "+15550002000", srtp_key=key))
        await call.reaches(CallState.ANSWERED)
        assert sdp.read_security((await far.receives()).facts.body) == sdp.Security("RTP/SAVP", True)
        assert call.last_response is not None
        assert sdp.read_security(call.last_response.body) == sdp.Security("RTP/AVP", False)
        with pytest.raises(NotInTime):
            await call.hears(lambda _: True, 0.3, "audio")
    assert sdp.read_security(b"") == sdp.Security("", False)
