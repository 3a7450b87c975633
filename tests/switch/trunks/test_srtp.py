"""The encryption policy of a trunk, in both directions: what we offer and what we take."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from gateway.runtime.plan import Srtp, SwitchPlan
from gateway.runtime.ports import free_sip_port
from gateway.trial.audio import tone
from gateway.trial.sdp import Security, read_security
from gateway.trial.sip_behaviour import Behaviour
from gateway.trial.sip_call import CallState
from gateway.trial.sip_incoming import IncomingCall
from gateway.trial.sip_outgoing import OutgoingCall
from gateway.trial.watch import NotInTime
from tests.rig.trunks import World, trunk, world

pytestmark = pytest.mark.switch

KEY = base64.b64encode(bytes(range(30))).decode()
PLAIN, KEYED, SECURE = Security("RTP/AVP", False), Security("RTP/AVP", True), Security("RTP/SAVP", True)
POLICIES: tuple[tuple[str, Srtp], ...] = (("clear", "off"), ("maybe", "preferred"), ("strict", "required"))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def trunks(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    made = [trunk("udp", "127.0.0.2", free_sip_port("127.0.0.2"))]
    for last, (name, policy) in enumerate(POLICIES, start=3):
        host = f"127.0.0.{last}"
        made.append(trunk(name, host, free_sip_port(host), srtp=policy))
    async with world(tmp_path_factory.mktemp("srtp"), SwitchPlan(tuple(made))) as running:
        yield running


@pytest.mark.parametrize(
    ("by", "key", "final", "answered"),
    [
        ("clear", "", 200, PLAIN),
        ("clear", KEY, 488, None),
        ("maybe", "", 200, PLAIN),
        ("maybe", KEY, 200, SECURE),
        ("strict", "", 488, None),
        ("strict", KEY, 200, SECURE),
    ],
)
async def test_what_an_offer_of_theirs_gets(
    trunks: World, by: str, key: str, final: int, answered: Security | None
) -> None:
    before = len(trunks.far["udp"].incoming)
    call = trunks.dial(by, "udp", srtp_key=key)
    await call.until(lambda: call.responses[-1:] == [final], 15, f"the answer {final}")
    if answered is None:
        assert len(trunks.far["udp"].incoming) == before
        return
    await call.reaches(CallState.ANSWERED)
    assert call.last_response is not None
    assert read_security(call.last_response.body) == answered
    await call.hang_up()


@pytest.mark.parametrize(
    ("over", "key", "offered"),
    [("clear", "", PLAIN), ("maybe", "", KEYED), ("maybe", KEY, KEYED), ("strict", KEY, SECURE)],
)
async def test_what_we_offer(trunks: World, over: str, key: str, offered: Security) -> None:
    there, call = await called(trunks, over, Behaviour(answer_after_ms=50, srtp_key=key))
    assert read_security(there.facts.body) == offered
    await call.hang_up()
    await trunks.far[over].quiet()


async def test_a_far_end_that_answers_in_the_clear_where_we_require_srtp_hears_nothing(trunks: World) -> None:
    """It breaks RFC 3264; the switch takes the answer but no audio passes, in either direction."""
    there, call = await called(trunks, "strict", Behaviour(answer_after_ms=50, audio=tone(440, 1.0)))
    await there.until(lambda: there.confirmed, 15, "the ACK")
    for end in (there, call):
        with pytest.raises(NotInTime):
            await end.stream.until(lambda end=end: bool(end.stream.packets), within_s=0.5, what="audio")
    await call.hang_up()
    await trunks.far["strict"].quiet()


async def called(trunks: World, over: str, behaviour: Behaviour) -> tuple[IncomingCall, OutgoingCall]:
    """An answered call over this trunk: its far end, and its caller."""
    far = trunks.far[over]
    far.decide = lambda _: behaviour
    before = len(far.incoming)
    call = trunks.dial("udp", over, audio=tone(880, 1.0))
    await call.reaches(CallState.ANSWERED)
    return far.incoming[before], call
