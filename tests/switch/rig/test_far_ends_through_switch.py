"""The simulated far ends through a real Asterisk with a plain dialplan: sound, refusals, phones."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from gateway.runtime.plan import Phone, SwitchPlan, Trunk
from gateway.runtime.ports import free_sip_port, free_udp_range
from gateway.runtime.switch import EmbeddedSwitch
from gateway.trial import audio
from gateway.trial.sip_behaviour import answers, by_last_digits
from gateway.trial.sip_call import CallState, Ending
from gateway.trial.sip_digest import Credentials
from gateway.trial.sip_outgoing import Dial, OutgoingCall
from gateway.trial.sip_phone import RegistrationRefused, SipPhone
from gateway.trial.softphone import Softphone, SoftphoneAccount, SoftphoneFailed
from tests.rig.switch import PHONE_PASSWORDS, running_switch
from tests.rig.world import STATIC_DIALPLAN, static_templates, tools
from voice_agents.providers.espeak import EspeakSettings, EspeakSpeech

pytestmark = pytest.mark.switch

CARRIER = "127.0.0.2"
ALICE = Credentials("alice", PHONE_PASSWORDS["alice"].reveal())


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def switch(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedSwitch]:
    folder = tmp_path_factory.mktemp("static")
    phones = tuple(Phone(name, password) for name, password in PHONE_PASSWORDS.items())
    trunk = Trunk("carrier", CARRIER, free_sip_port(CARRIER), identify=(CARRIER,))
    templates = static_templates(folder, STATIC_DIALPLAN)
    async with running_switch(folder, SwitchPlan((trunk,), phones), templates=templates) as running:
        yield running


@pytest_asyncio.fixture
async def carrier(switch: EmbeddedSwitch) -> AsyncIterator[SipPhone]:
    port = switch.spec.plan.trunks[0].port
    async with await SipPhone.open(CARRIER, port, decide=by_last_digits(), name="carrier") as phone:
        yield phone


def dial(phone: SipPhone, switch: EmbeddedSwitch, number: str, sound: bytes = b"") -> OutgoingCall:
    to = (switch.address.sip_host, switch.address.sip_port)
    return phone.call(Dial(number, to, caller="+15550002000", display="Ann", audio=sound))


async def test_sound_goes_both_ways(switch: EmbeddedSwitch, carrier: SipPhone) -> None:
    carrier.decide = lambda _: answers(audio=audio.tone(880, 1.0))
    call = dial(carrier, switch, "+15550001000", audio.tone(440, 1.0))
    await call.reaches(CallState.ANSWERED)
    there = await carrier.receives()
    assert there.facts.user == "+15550001000"
    await call.hears(lambda pcm: audio.has_tone(pcm, 880), 15, "the callee's tone")
    await there.hears(lambda pcm: audio.has_tone(pcm, 440), 15, "the caller's tone")
    await call.hang_up()
    await there.reaches(CallState.ENDED)
    assert there.ending is not None
    assert not there.ending.by_us


@pytest.mark.parametrize(
    ("number", "final"),
    [("+15550000486", 486), ("+15550001486", 486), ("+15550000404", 404), ("+15550001503", 503)],
)
async def test_a_refusal_comes_back(
    switch: EmbeddedSwitch, carrier: SipPhone, number: str, final: int
) -> None:
    call = dial(carrier, switch, number)
    await call.reaches(CallState.ENDED)
    assert (await carrier.receives()).ending == Ending(by_us=True, status=final)
    assert call.ending is not None
    assert call.ending.status == final


async def test_a_cancelled_call_is_cancelled_at_the_far_end(
    switch: EmbeddedSwitch, carrier: SipPhone
) -> None:
    call = dial(carrier, switch, "+15550007003")
    await call.reaches(CallState.RINGING)
    await call.cancel()
    there = await carrier.receives()
    await there.reaches(CallState.ENDED)
    assert there.cancelled
    assert call.ending is not None
    assert (call.ending.by_us, call.ending.status) == (True, 487)


async def test_our_own_phone_registers_and_is_called(switch: EmbeddedSwitch, carrier: SipPhone) -> None:
    registrar = (switch.address.sip_host, switch.address.sip_port)
    async with await SipPhone.open(decide=lambda _: answers(audio=audio.tone(600, 1.0))) as alice:
        await alice.register(registrar, ALICE)
        call = dial(carrier, switch, "alice")
        await call.hears(lambda pcm: audio.has_tone(pcm, 600), 15, "Alice's tone")
        assert alice.incoming[0].facts.from_user == "+15550002000"
        await call.hang_up()
        await alice.quiet()
        outward = alice.call(Dial("+15550001000", registrar, caller="alice", credentials=ALICE))
        await outward.reaches(CallState.ANSWERED)
        assert 401 in outward.responses
        await outward.hang_up()
        await alice.register(registrar, ALICE, expires_s=0)


async def test_an_announcement_is_heard(tmp_path: Path) -> None:
    spoken = await EspeakSpeech(
        EspeakSettings(tuple(tools().command("espeak-ng")), tmp_path / "sounds"), time.time
    ).speak("Thank you for calling. Nobody is here at the moment.")
    name = spoken.path.relative_to(tmp_path / "sounds").with_suffix("")
    dialplan = f"""[from-trunk]
exten => say,1,Answer(400)
 same => n,Playback({{{{ sounds_dir }}}}/{name})
 same => n,Hangup(16)
"""
    trunk = Trunk("carrier", CARRIER, free_sip_port(CARRIER), identify=(CARRIER,))
    templates = static_templates(tmp_path, dialplan)
    async with (
        running_switch(tmp_path, SwitchPlan((trunk,)), templates=templates) as running,
        await SipPhone.open(CARRIER, trunk.port) as phone,
    ):
        call = dial(phone, running, "say")
        await call.reaches(CallState.ENDED, within_s=30)
        said = audio.active_seconds(audio.read_wav(spoken.path).pcm)
        assert said > 1.5
        assert audio.active_seconds(call.stream.heard()) == pytest.approx(said, abs=0.3)


async def test_a_wrong_password_is_refused(switch: EmbeddedSwitch) -> None:
    registrar = (switch.address.sip_host, switch.address.sip_port)
    async with await SipPhone.open() as mallory:
        with pytest.raises(RegistrationRefused, match="401"):
            await mallory.register(registrar, Credentials("alice", "guessed"))


def account(switch: EmbeddedSwitch, **more: object) -> SoftphoneAccount:
    server = (switch.address.sip_host, switch.address.sip_port)
    options = {"user": ALICE.user, "password": ALICE.password, "host": "127.0.0.1", **more}
    return SoftphoneAccount(server=server, port=free_sip_port(), rtp_ports=free_udp_range(40), **options)  # type: ignore[arg-type]


async def test_the_softphone_answers_speaks_hears_and_is_hung_up(
    switch: EmbeddedSwitch, carrier: SipPhone, tmp_path: Path
) -> None:
    async with await Softphone.start(account(switch), tmp_path, say=audio.tone(600, 4.0)) as alice:
        call = dial(carrier, switch, "alice", audio.tone(440, 1.0))
        assert (await alice.waits_for("ringing")).number == "+15550002000"
        await call.reaches(CallState.ANSWERED)
        await call.hears(lambda pcm: audio.has_tone(pcm, 600, seconds=1.0), 15, "the softphone's tone")
        await call.hang_up()
        ended = await alice.waits_for("ended")
        assert not ended.by_us
        heard = await alice.heard()
        assert audio.has_tone(heard, 440)
        assert ended.heard_ms == audio.duration_ms(heard)
    assert alice.events[-1].why == "exit 0"


async def test_the_softphone_hangs_up(switch: EmbeddedSwitch, carrier: SipPhone, tmp_path: Path) -> None:
    async with await Softphone.start(account(switch), tmp_path) as alice:
        call = dial(carrier, switch, "alice")
        await alice.waits_for("answered")
        alice.hang_up()
        await call.reaches(CallState.ENDED)
        assert (await alice.waits_for("ended")).by_us
        assert call.ending is not None
        assert not call.ending.by_us


async def test_the_softphone_rejects_and_meets_a_cancel(
    switch: EmbeddedSwitch, carrier: SipPhone, tmp_path: Path
) -> None:
    async with await Softphone.start(account(switch, answer_by_itself=False), tmp_path) as alice:
        call = dial(carrier, switch, "alice")
        await alice.waits_for("ringing")
        alice.reject()
        await call.reaches(CallState.ENDED)
        assert call.ending is not None
        assert call.ending.status == 486
        cancelled = dial(carrier, switch, "alice")
        await cancelled.reaches(CallState.RINGING)
        await cancelled.cancel()
        await alice.waits_for("cancelled")
        third = dial(carrier, switch, "alice")
        await alice.waits_for("ringing")
        alice.answer()
        await third.reaches(CallState.ANSWERED)
        await third.hang_up()
        await alice.waits_for("ended")


async def test_a_softphone_with_a_wrong_password_says_so(switch: EmbeddedSwitch, tmp_path: Path) -> None:
    with pytest.raises(SoftphoneFailed, match="refused"):
        await Softphone.start(account(switch, password="guessed"), tmp_path)
