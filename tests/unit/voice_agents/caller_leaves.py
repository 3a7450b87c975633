"""How a test of the desk ends its call: the caller leaves, and nothing broke."""

from __future__ import annotations

from tests.unit.voice_agents.stage import Stage


async def over(stage: Stage) -> None:
    stage.desk.caller_gone("call_1")
    await stage.until_over()
    assert stage.around.tally.broken == 0
    await stage.close()
