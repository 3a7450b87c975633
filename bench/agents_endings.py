"""Calls with an agent that end, many times: is the agent told, how soon, and is its last word heard.

Of three calls two are hung up by the API and one by the agent itself. The last word is 15 frames with
numbers: if one of them is not in what the caller's telephone received, the word is lost. The notice is the
time from the API's request to the agent's ``session.ending``, on one machine's clock.
"""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import dataclass, field

from bench.agents_rig import AGENTS, AgentBench
from bench.callers import Callers, Line
from bench.calls import percentile
from bench.far_ends import LAST_FRAMES
from gateway.trial.sip_call import CallState

_SOON_S = 20.0


@dataclass(slots=True)
class Endings:
    """``asked``: call → when its end was asked for; ``notices`` in ms. ``refused`` calls had no agent, and
    are none of the ``count``."""

    count: int = 0
    refused: int = 0
    lost: int = 0
    not_told: int = 0
    asked: dict[str, float] = field(default_factory=dict)
    notices: list[float] = field(default_factory=list)

    def figures(self) -> dict[str, float | int | str]:
        if not self.count:
            return {}
        notices = sorted(self.notices)
        return {
            "endings": self.count,
            "last_words_lost": self.lost,
            "agents_not_told": self.not_told,
            "calls_refused": self.refused,
            "notify_p50_ms": percentile(notices, 0.5),
            "notify_p99_ms": percentile(notices, 0.99),
        }


async def many_endings(bench: AgentBench, count: int, at_once: int) -> Endings:
    """So many calls, some at once, each on a number of its own."""
    done = Endings()
    if not count:
        return done
    numbers = {
        kind: [await _number(bench, kind, place) for place in range(at_once)] for kind in ("last", "leaver")
    }
    await bench.agents.ask("tell")
    begun = 0

    async def slot(place: int) -> None:
        nonlocal begun
        callers = bench.callers()
        while begun - done.refused < count and done.refused <= count // 10:
            kind = "leaver" if begun % 3 == 2 else "last"
            begun += 1
            await _one(bench, callers, done, kind, numbers[kind][place])

    await asyncio.gather(*(slot(place) for place in range(at_once)))
    told = dict((await bench.agents.ask("tell"))["endings"])
    done.notices = [(told[call] - at) * 1000 for call, at in done.asked.items() if call in told]
    done.not_told = sum(call not in told for call in done.asked)
    return done


async def _number(bench: AgentBench, kind: str, place: int) -> str:
    """One more number that leads to this agent."""
    listed = await bench.ask("GET", "/api/v1/numbers?limit=100")
    route = next(number["route"] for number in listed if number["e164"] == AGENTS[kind])
    number = f"+1202555{4 if kind == 'last' else 5}{place:03d}"
    await bench.ask("POST", "/api/v1/numbers", {"e164": number, "route": route})
    return number


async def _one(bench: AgentBench, callers: Callers, done: Endings, kind: str, number: str) -> None:
    lines = await callers.call(number, 1, keeps=True)
    if not lines:
        done.refused += 1
        return
    (line,) = lines
    try:
        if kind == "last":
            await _greeted(line)
            query = number.replace("+", "%2B")
            call = (await bench.ask("GET", f"/v1/voice/calls?to={query}&limit=1"))[0]["id"]
            done.asked[call] = time.time()
            await bench.ask("POST", f"/v1/voice/calls/{call}/hangup")
        await line.call.reaches(CallState.ENDED, within_s=_SOON_S)
        await asyncio.sleep(0.1)  # the thread reads what has come
    finally:
        await line.call.hang_up()
        callers.leave([line])
    heard = {number for _, number in line.seen}
    missing = sorted(set(range(1, LAST_FRAMES + 1)) - heard)
    if missing:
        print(f"a last word lost: frames {missing} of {LAST_FRAMES}, {kind}", file=sys.stderr, flush=True)
    done.lost += bool(missing)
    done.count += 1


async def _greeted(line: Line) -> None:
    """The caller has heard the agent."""
    async with asyncio.timeout(_SOON_S):
        while not any(number == 0 for _, number in line.seen):  # noqa: ASYNC110 # why: a thread reads it
            await asyncio.sleep(0.02)
