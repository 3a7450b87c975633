"""A routing question whose time is over while the gateway is held up."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import cast

import pytest

from dialplan.agi.server import AgiLimits
from dialplan.agi.wire import Question
from gateway.wiring_voice import VoiceEngine

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(("held_up_s", "lost"), [(0.05, ["1.1"]), (0.0, [])], ids=["late", "caller-gone"])
async def test_the_call_learns_of_it_whoever_gives_up_first(held_up_s: float, lost: list[str]) -> None:
    told: list[str] = []

    async def answer(*_: object) -> None:
        time.sleep(held_up_s)  # noqa: ASYNC251 - the loop is what is held up
        await asyncio.Event().wait()

    budget_s = 0.01 if held_up_s else 60.0
    engine = SimpleNamespace(
        _parts=SimpleNamespace(agi_limits=AgiLimits(budget_s=budget_s)),
        director=SimpleNamespace(answer=answer, answer_lost=told.append),
    )
    question = SimpleNamespace(
        channel="1.1",
        channel_name="PJSIP/x-1",
        arguments=(),
        network_script="route",
        dialled="1",
        context="x",
    )
    asked = asyncio.create_task(VoiceEngine._answer(cast(VoiceEngine, engine), cast(Question, question)))
    await asyncio.sleep(0)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert told == lost
