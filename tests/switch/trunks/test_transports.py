"""Trunks over UDP, TCP and TLS: calls out and in over each, and no call to a far end that proves nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from gateway.runtime.plan import SipPlan, SwitchPlan
from gateway.runtime.ports import free_port, free_sip_port
from gateway.trial import audio
from gateway.trial.sip_behaviour import answers
from gateway.trial.sip_call import CallState
from gateway.trial.sip_message import Response, parse
from gateway.trial.sip_phone import SipPhone
from gateway.trial.sip_wire import StreamWire
from tests.rig.certificates import make_authority
from tests.rig.trunks import World, trunk, world

pytestmark = pytest.mark.switch


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def trunks(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    folder = tmp_path_factory.mktemp("transports")
    ours, strangers = make_authority(folder / "ca", "ours"), make_authority(folder / "ca", "strangers")
    own = ours.issue("127.0.0.1")
    files = {
        "tls": ours.issue("127.0.0.4"),
        "stranger": strangers.issue("127.0.0.5"),
        "misnamed": ours.issue("127.0.0.66"),
    }
    sip = SipPlan(tls_port=free_port(), tls_cert=own.cert, tls_key=own.key, tls_ca=own.ca)
    plan = SwitchPlan(
        (
            trunk("udp", "127.0.0.2", free_sip_port("127.0.0.2")),
            trunk("tcp", "127.0.0.3", free_sip_port("127.0.0.3"), transport="tcp"),
            trunk("tls", "127.0.0.4", free_sip_port("127.0.0.4"), transport="tls"),
            trunk("stranger", "127.0.0.5", free_sip_port("127.0.0.5"), transport="tls"),
            trunk("misnamed", "127.0.0.6", free_sip_port("127.0.0.6"), transport="tls"),
        ),
        sip=sip,
    )
    async with world(folder, plan, files) as running:
        yield running


def vias(phone: SipPhone) -> set[str]:
    """The transports of all requests a far end received."""
    received = [parse(traced.raw) for traced in phone.transport.trace if not traced.sent]
    return {m.headers.first("Via").split()[0] for m in received if not isinstance(m, Response)}


@pytest.mark.parametrize(
    ("inward", "outward"), [("udp", "tcp"), ("tcp", "udp"), ("udp", "tls"), ("tls", "tcp")]
)
async def test_a_call_in_over_one_and_out_over_the_other(trunks: World, inward: str, outward: str) -> None:
    far = trunks.far[outward]
    far.decide = lambda _: answers(audio=audio.tone(880, 1.0))
    before = len(far.incoming)
    call = trunks.dial(inward, outward, audio=audio.tone(440, 1.0))
    await call.reaches(CallState.ANSWERED)
    there = far.incoming[before]
    await call.hears(lambda pcm: audio.has_tone(pcm, 880), 15, "the callee's tone")
    await there.hears(lambda pcm: audio.has_tone(pcm, 440), 15, "the caller's tone")
    await there.hang_up()
    await call.reaches(CallState.ENDED)
    assert call.ending is not None
    assert not call.ending.by_us
    assert vias(far) == {f"SIP/2.0/{outward.upper()}"}


async def test_a_call_over_a_connection_is_hung_up_by_the_caller_too(trunks: World) -> None:
    for inward in ("tcp", "tls"):
        before = len(trunks.far["udp"].incoming)
        call = trunks.dial(inward, "udp")
        await call.reaches(CallState.ANSWERED)
        await call.hang_up()
        await trunks.far["udp"].incoming[before].reaches(CallState.ENDED)


@pytest.mark.parametrize("suspect", ["stranger", "misnamed"])
async def test_a_far_end_whose_certificate_proves_nothing_gets_no_call(trunks: World, suspect: str) -> None:
    call = trunks.dial("udp", suspect)
    await call.reaches(CallState.ENDED, within_s=30)
    assert call.ending is not None
    assert call.ending.status == 503
    assert not trunks.far[suspect].transport.trace


async def test_our_own_certificate_is_shown_to_who_calls_in(trunks: World) -> None:
    """The TLS far end verified it before it sent its INVITE: no failure was noted, and a stranger fails."""
    wire, stranger = (trunks.far[name].transport.wire for name in ("tls", "stranger"))
    assert isinstance(wire, StreamWire)
    assert isinstance(stranger, StreamWire)
    call = trunks.dial("tls", "udp")
    await call.reaches(CallState.ANSWERED)
    await call.hang_up()
    assert not wire.failures
    before = len(stranger.failures)
    trunks.dial("stranger", "udp")
    refused = "a refusal of our certificate"
    await stranger.watch.until(lambda: len(stranger.failures) > before, within_s=15, what=refused)
    assert "CERTIFICATE_VERIFY_FAILED" in str(stranger.failures[-1])
