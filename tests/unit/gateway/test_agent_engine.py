"""What the agents' engine decides by itself: when ears are loaded, and how many calls a tenant may have."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from gateway.config import Settings
from gateway.wiring_agents import _Warmed, most_at_once
from telephony.errors import SpeechUnavailable
from tests.unit.dialplan.virtual_time import in_virtual_time
from tests.unit.voice_agents.sessions import SPEC
from voice_agents.core.agent import AgentSpec
from voice_agents.core.audio import Codec
from voice_agents.ports import SpeechEar, SpeechFront
from voice_agents.speech.front import Fronts

pytestmark = pytest.mark.unit

EAR = cast("SpeechEar", object())


class Made:
    """Fits ``Fronts`` as far as it is asked: each front is one of ``fronts``."""

    def __init__(self) -> None:
        self.fronts: list[SpeechFront] = []

    def front(self, spec: AgentSpec, codec: Codec, ear: SpeechEar) -> SpeechFront:
        assert (spec, codec, ear) == (SPEC, Codec.ULAW, EAR)
        self.fronts.append(cast("SpeechFront", object()))
        return self.fronts[-1]


class Ears:
    """An engine that takes ``takes_s`` to load, and may fail at it."""

    def __init__(self, takes_s: float = 3.0, error: Exception | None = None) -> None:
        self.takes_s, self.error = takes_s, error
        self.begun = self.loaded = 0

    async def warm(self) -> None:
        self.begun += 1
        await asyncio.sleep(self.takes_s)
        if self.error is not None:
            raise self.error
        self.loaded += 1


def warmed(ears: Ears) -> tuple[_Warmed, Made]:
    made = Made()
    return _Warmed(cast("Fronts", made), ears.warm), made


@in_virtual_time
async def test_ears_are_loaded_for_the_first_who_needs_them_and_nobody_waits() -> None:
    ears = Ears()
    fronts, made = warmed(ears)
    await asyncio.sleep(60.0)
    assert ears.begun == 0, "where no agent needs ears they are never loaded"
    began = asyncio.get_running_loop().time()
    first = fronts.front(SPEC, Codec.ULAW, EAR)
    assert (first, asyncio.get_running_loop().time()) == (made.fronts[0], began)
    await asyncio.sleep(1.0)
    second = fronts.front(SPEC, Codec.ULAW, EAR)
    await asyncio.sleep(60.0)
    third = fronts.front(SPEC, Codec.ULAW, EAR)
    assert [first, second, third] == made.fronts
    assert (ears.begun, ears.loaded) == (1, 1)


@in_virtual_time
async def test_ears_that_cannot_be_loaded_are_told_of_and_in_nobodys_way() -> None:
    ears = Ears(error=SpeechUnavailable("the speech engine failed"))
    fronts, made = warmed(ears)
    unheard: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: unheard.append(context))
    assert fronts.front(SPEC, Codec.ULAW, EAR) is made.fronts[0]
    await asyncio.sleep(60.0)
    assert fronts.front(SPEC, Codec.ULAW, EAR) is made.fronts[1]
    await asyncio.sleep(60.0)
    assert (ears.begun, ears.loaded, unheard) == (1, 0, [])


@pytest.mark.parametrize(
    ("own", "all_calls", "most"), [(0, 100, 100), (7, 100, 7), (100, 100, 100), (500, 100, 100), (0, 1, 1)]
)
def test_agents_calls_have_a_bound_of_their_own_within_that_of_all_calls(
    own: int, all_calls: int, most: int
) -> None:
    settings = Settings.from_env(
        {
            "HOME": "/home/somebody",
            "PATCHBAY_AGENT_CALLS_PER_TENANT": str(own),
            "PATCHBAY_MAX_CONCURRENT_CALLS": str(all_calls),
        }
    )
    assert most_at_once(settings) == most
