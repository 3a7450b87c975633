"""SIPp as carrier and as caller, with a real Asterisk between: the whole row of final answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from gateway.runtime.plan import SwitchPlan, Trunk
from gateway.runtime.ports import free_sip_port, free_udp_range
from gateway.runtime.switch import EmbeddedSwitch
from gateway.trial.sip_behaviour import FINALS
from gateway.trial.sipp import Sipp, SippResult, SippRun
from gateway.trial.sipp_scenario import Called, Calling, Ring, called_by_ending, calling
from tests.rig.switch import running_switch
from tests.rig.world import STATIC_DIALPLAN, sipp_command, static_templates

pytestmark = pytest.mark.switch

OUTSIDE = "127.0.0.2"
CARRIER = called_by_ending(
    "carrier",
    {
        "1000": Called(),
        "7003": Called(final=0),
        **{f"0{final}": Called(final=final, ring=Ring.NONE) for final in FINALS},
        **{f"1{final}": Called(final=final, final_after_ms=20) for final in FINALS},
    },
    Called(final=404, ring=Ring.NONE),
)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def switch(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedSwitch]:
    folder = tmp_path_factory.mktemp("sipp")
    trunk = Trunk("carrier", OUTSIDE, free_sip_port(OUTSIDE), identify=(OUTSIDE,))
    templates = static_templates(folder, STATIC_DIALPLAN)
    async with running_switch(folder, SwitchPlan((trunk,)), templates=templates) as running:
        yield running


@pytest_asyncio.fixture
async def carrier(switch: EmbeddedSwitch, tmp_path: Path) -> AsyncIterator[Sipp]:
    at = (OUTSIDE, switch.spec.plan.trunks[0].port)
    run = SippRun(CARRIER, at, free_udp_range(100, OUTSIDE), echo=True)
    sipp = await Sipp.start(sipp_command(), run, tmp_path / "carrier")
    yield sipp
    await sipp.kill()


async def dials(
    switch: EmbeddedSwitch, folder: Path, how: Calling, number: str, calls: int = 1
) -> SippResult:
    run = SippRun(
        calling("caller", how),
        (OUTSIDE, free_sip_port(OUTSIDE)),
        free_udp_range(100, OUTSIDE),
        remote=(switch.address.sip_host, switch.address.sip_port),
        number=number,
        caller="+15550002000",
        calls=calls,
        per_second=20,
    )
    sipp = await Sipp.start(sipp_command(), run, folder)
    return await sipp.finished(40)


async def test_answered_calls(switch: EmbeddedSwitch, carrier: Sipp, tmp_path: Path) -> None:
    result = await dials(switch, tmp_path / "caller", Calling(talk_ms=300), "+15550001000", calls=10)
    assert (result.succeeded, result.failed) == (10, 0), result.errors
    there = await carrier.stop(within_s=20)
    assert (there.succeeded, there.failed) == (10, 0), there.errors


async def test_a_cancelled_call(switch: EmbeddedSwitch, carrier: Sipp, tmp_path: Path) -> None:
    result = await dials(switch, tmp_path / "caller", Calling(cancel_after_ms=100), "+15550007003")
    assert result.clean, result.errors
    there = await carrier.stop(within_s=20)
    assert (there.succeeded, there.failed) == (1, 0), there.errors


@pytest.mark.parametrize("prefix", ["0", "1"], ids=["before 18x", "after 18x"])
@pytest.mark.parametrize("final", FINALS)
async def test_the_far_end_gives_each_final(
    switch: EmbeddedSwitch, carrier: Sipp, tmp_path: Path, final: int, prefix: str
) -> None:
    number = f"+1555000{prefix}{final}"
    # what the switch makes of it towards the caller is its own business: here the far end's side counts
    await dials(switch, tmp_path / "caller", Calling(expect=final), number)
    there = await carrier.stop(within_s=20)
    assert (there.created, there.succeeded, there.failed) == (1, 1, 0), there.errors
