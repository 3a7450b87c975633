"""Sessions that have ended are gone at once: what is left to the collector is felt by the 20 ms clock."""

from __future__ import annotations

import gc
import weakref
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.rig.media import RecordingEar
from tests.unit.dialplan.virtual_time import in_virtual_time
from tests.unit.voice_agents.sessions import SPEC
from tests.unit.voice_agents.stage import Stage, other_call
from voice_agents.core.agent import AgentSpec, DialectName
from voice_agents.core.audio import Codec
from voice_agents.core.talk import HangUp, Words
from voice_agents.media.leg import Leg, Yard

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


class Wire:
    """A leg's socket, which knows its leg. Fits ``voice_agents.media.leg.LegWire``."""

    leg: Leg | None = None

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *what: None


async def test_a_leg_that_is_closed_and_its_socket_forget_each_other() -> None:
    yard, wire = Yard(), Wire()
    wire.leg = Leg(Codec.ULAW, RecordingEar(), wire, yard, direct=True)
    gone = weakref.ref(wire)
    gc.disable()
    try:
        wire.leg.close("hangup")
        wire.leg.play(b"\x11" * 160)
        wire.leg.hang_up()
        del wire
        assert gone() is None
    finally:
        gc.enable()
        yard.close()
