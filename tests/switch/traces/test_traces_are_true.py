"""The golden traces against the switch of today: each call made again says and ends the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from gateway.trial.sip_phone import SipPhone
from tools.trace import Recorder
from tools.trace_file import load
from tools.trace_scenarios import SCENARIOS, Scenario, carrier

pytestmark = pytest.mark.switch


@pytest.fixture(scope="module")
async def recorder(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Recorder]:
    """One switch for all scenarios."""
    async with AsyncExitStack() as stack:
        phone = await SipPhone.open("127.0.0.2", 0, decide=carrier())
        stack.push_async_callback(phone.vanish)
        made = Recorder(tmp_path_factory.mktemp("trace"), phone)
        await made.start(stack)
        yield made


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
async def test_a_call_made_again_is_the_recorded_one(recorder: Recorder, scenario: Scenario) -> None:
    known, again = load(scenario.name), await recorder.record(scenario)
    assert f"{again.status} {again.termination}" == scenario.ends
    assert again.ended_by == scenario.ended_by
    # The legs' events may arrive in another order than when they were recorded, and no others may.
    heard, recorded = ([fact for fact in t.facts if fact not in scenario.perhaps] for t in (again, known))
    assert Counter(heard) == Counter(recorded)
    assert sorted(again.events) == sorted(known.events)
    for role in ("caller", "callee"):
        own = [fact for fact in heard if fact[1] == role and fact[0] != "originate_failed"]
        assert own == [fact for fact in recorded if fact[1] == role and fact[0] != "originate_failed"]
