"""Sessions that have ended are gone at once: what is left to the collector is felt by the 20 ms clock."""

from __future__ import annotations

import gc
from collections import Counter
from dataclasses import replace

import pytest

from tests.unit.dialplan.virtual_time import in_virtual_time
from tests.unit.voice_agents.sessions import SPEC
from tests.unit.voice_agents.stage import Stage, other_call
from voice_agents.core.agent import AgentSpec, DialectName
from voice_agents.core.talk import HangUp, Words

pytestmark = pytest.mark.unit

SESSIONS = 5
RELAY = replace(SPEC, dialect=DialectName.CONVERSATION_RELAY)


async def whole_call(stage: Stage, number: int, *, caller_leaves: bool) -> None:
    """From the first ring until nobody remembers it, the test's own stand-ins included."""
    call = other_call(number)
    await stage.talk(call)
    if stage.fronts.fronts:
        stage.line.say(Words("Hello there."))
    else:
        stage.speak(300)
    await stage.pass_s(1.0)
    if caller_leaves:
        stage.callers[call.call_id].leg.ends("hangup")
    else:
        stage.line.say(HangUp())
    await stage.until(lambda: stage.desk.session_of(call.call_id) is None)
    await stage.pass_s(1.0)
    del stage.callers[call.call_id]
    stage.port.legs.clear()
    stage.fake_lines.lines.clear()
    stage.fronts.fronts.clear()


async def left_behind(spec: AgentSpec, *, caller_leaves: bool) -> Counter[str]:
    """The kinds of objects in reference cycles after some calls; the first warms up what is made once."""
    stage = Stage(spec)
    await whole_call(stage, 1, caller_leaves=caller_leaves)
    enabled, found = gc.isenabled(), list[object]()
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        for number in range(2, 2 + SESSIONS):
            await whole_call(stage, number, caller_leaves=caller_leaves)
        gc.collect()
        found += gc.garbage
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        if enabled:
            gc.enable()
    kinds = Counter(f"{type(one).__module__}.{type(one).__qualname__}" for one in found)
    found.clear()
    assert stage.around.tally.broken == 0
    await stage.close()
    return kinds


@pytest.mark.parametrize("caller_leaves", [False, True], ids=["the agent hangs up", "the caller leaves"])
@pytest.mark.parametrize("spec", [SPEC, RELAY], ids=["sound", "words"])
def test_ended_sessions_leave_nothing_to_collect(spec: AgentSpec, caller_leaves: bool) -> None:
    in_virtual_time(_none_is_left)(spec, caller_leaves=caller_leaves)


async def _none_is_left(spec: AgentSpec, *, caller_leaves: bool) -> None:
    assert await left_behind(spec, caller_leaves=caller_leaves) == {}
