"""A session ends while its people talk: by time or by its owner, and the conversation as the terms say.

All conversations go on side by side; each one's end is told with its reason.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import pytest
import pytest_asyncio

from gateway.trial.sip_behaviour import answers
from gateway.trial.sip_call import CallState
from gateway.trial.sip_incoming import IncomingCall
from gateway.trial.sip_outgoing import OutgoingCall
from tests.rig.crowd import Crowd, Pair
from tests.rig.product import Json, running_product

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

WARN_S: Final = 5
"""The shortest that the API takes."""
SOON_S: Final = 8.0
"""Enough to call, and be answered, on a slow machine."""


@dataclass(frozen=True, slots=True)
class Talk:
    """A conversation of a session that ends under it."""

    pair: Pair
    caller: OutgoingCall
    far: IncomingCall
    ends_at: float


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def crowd(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Crowd]:
    folder = tmp_path_factory.mktemp("expiry") / "var"
    async with running_product(folder, decide=lambda _: answers()) as running:
        people = Crowd(running)
        await people.numbers("+12025550121", "+12025550122")
        yield people


async def talks(crowd: Crowd, on_expiry: str, soon_s: float = 0.0) -> Talk:
    """A conversation; its session ends ``soon_s`` seconds after its opening, or in its own time."""
    terms: Json = {"on_expiry": on_expiry, "warn_seconds": WARN_S}
    ends_at = time.time() + soon_s
    if soon_s:
        terms["expires_at"] = datetime.fromtimestamp(ends_at).astimezone().isoformat()
    pair = await crowd.opens(**terms)
    before = len(crowd.product.carrier.incoming)
    caller = crowd.dials(pair.ways[0])
    far = await crowd.rings(pair.ways[0], before, 30.0)
    await caller.reaches(CallState.ANSWERED, 30)
    return Talk(pair, caller, far, ends_at)


async def the_call(crowd: Crowd, talk: Talk) -> Json:
    """The conversation's record, once it is over."""
    listed = await crowd.product.api.ok("GET", "/v1/voice/calls?limit=100")
    (call,) = [call for call in listed if call["session_id"] == talk.pair.id]
    return await crowd.product.api.ended(call["id"], 60.0)


async def ended_as(crowd: Crowd, talk: Talk, ender: str, reason: str, not_before: float = 0.0) -> None:
    call = await the_call(crowd, talk)
    told = (call["status"], call["ended_by"], call["termination"]["reason"])
    assert told == ("completed", ender, reason)
    assert datetime.fromisoformat(call["ended_at"]).timestamp() >= not_before
    (one,) = await crowd.product.api.ok("GET", f"/api/v1/proxy/sessions/{talk.pair.id}/interactions")
    assert (one["call_id"], one["status"]) == (call["id"], "completed")
    assert [told[1:] for told in crowd.told([talk.pair])] == [("completed", 1, 1, 1)]


async def closed(crowd: Crowd, talk: Talk, reason: str) -> None:
    async with asyncio.timeout(60):
        while True:
            shown = await crowd.shown(talk.pair)
            if shown["status"] == "closed":
                break
            await asyncio.sleep(0.1)
    assert shown["close_reason"] == reason


async def both_end(talk: Talk, within_s: float) -> None:
    """Until both sides were hung up."""
    await talk.caller.reaches(CallState.ENDED, within_s)
    await talk.far.reaches(CallState.ENDED, 30)
    assert talk.caller.ending is not None
    assert not talk.caller.ending.by_us


async def test_the_end_comes_by_time(crowd: Crowd) -> None:
    words = ("finish", "end_now", "warn_then_end")
    finish, now, warned = await asyncio.gather(*(talks(crowd, word, SOON_S) for word in words))
    await both_end(now, 40)
    for talk in (now, warned, finish):
        await closed(crowd, talk, "expired")
    await both_end(warned, 40)
    assert now.caller.reached_at[CallState.ENDED] < warned.caller.reached_at[CallState.ENDED]
    assert finish.caller.state is CallState.ANSWERED
    await crowd.call([way for talk in (finish, now, warned) for way in talk.pair.closed_ways])
    await finish.caller.hang_up(20)
    await ended_as(crowd, finish, "caller", "hangup_by_caller", finish.ends_at)
    await ended_as(crowd, now, "gateway", "max_duration", now.ends_at - 2)
    await ended_as(crowd, warned, "gateway", "max_duration", warned.ends_at + WARN_S - 2)


async def test_its_owner_ends_it(crowd: Crowd) -> None:
    finish, now, warned = [await talks(crowd, word) for word in ("finish", "end_now", "warn_then_end")]
    closed_at = time.time()
    for talk in (finish, now, warned):
        await crowd.close(talk.pair)
    await both_end(now, 40)
    await crowd.call([way for talk in (finish, now, warned) for way in talk.pair.closed_ways])
    await both_end(warned, 40)
    assert finish.caller.state is CallState.ANSWERED
    await finish.caller.hang_up(20)
    await ended_as(crowd, finish, "caller", "hangup_by_caller")
    await ended_as(crowd, now, "gateway", "session_ended")
    await ended_as(crowd, warned, "gateway", "session_ended", closed_at + WARN_S - 1)
