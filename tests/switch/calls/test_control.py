"""Calls controlled through the API: every status reached, cancel against answer, hang-up in every state."""

from __future__ import annotations

import asyncio

import pytest

from gateway.trial.audio import active_seconds
from gateway.trial.sip_call import CallState
from gateway.trial.sip_outgoing import Dial
from tests.rig.product import OWN, Product

pytestmark = pytest.mark.switch

RANK = {"initiating": 0, "ringing": 1, "in_progress": 2}


async def test_an_answered_call_moves_only_forward_to_completed(product: Product) -> None:
    before = len(product.carrier.incoming)
    call_id = await product.api.place("+14155559150")
    call = await product.api.ended(call_id)
    assert call["status"] == "completed"
    assert call["ended_by"] == "caller"
    talked_s = product.carrier.incoming[before].talked_s
    assert talked_s > 1.0
    assert call["duration_seconds"] == pytest.approx(talked_s, abs=3.0)
    events = await product.api.events(call_id)
    assert [e["type"] for e in events] == [
        "call.initiated",
        "call.ringing",
        "call.answered",
        "call.completed",
    ]
    assert [e["sequence"] for e in events] == [1, 2, 3, 4]


async def test_hang_up_of_a_ringing_call_cancels_it(product: Product) -> None:
    call_id = await product.api.place("+14155557003")
    await product.api.status(call_id, "ringing")
    ended = await product.api.ok("POST", f"/v1/voice/calls/{call_id}/hangup")
    assert ended["status"] == "cancelled"
    await product.carrier.quiet()
    assert await product.api.ok("POST", f"/v1/voice/calls/{call_id}/hangup") == ended


async def test_hang_up_at_once_never_lets_the_phone_ring_on(product: Product) -> None:
    for _ in range(10):
        call_id = await product.api.place("+14155557003")
        ended = await product.api.ok("POST", f"/v1/voice/calls/{call_id}/hangup")
        assert ended["status"] == "cancelled", ended
    await product.carrier.quiet()


async def test_hang_up_of_an_answered_call_completes_it(product: Product) -> None:
    call_id = await product.api.place("+14155558010")
    await product.api.status(call_id, "in_progress")
    ended = await product.api.ok("POST", f"/v1/voice/calls/{call_id}/hangup")
    assert ended["status"] == "completed"
    assert ended["termination"] == {"result": "success", "reason": "hangup_by_api"}
    await product.carrier.quiet()


@pytest.mark.parametrize("answer_ms", [0, 10, 20, 30, 50, 80])
async def test_cancel_against_answer_has_one_winner_and_says_which(product: Product, answer_ms: int) -> None:
    call_id = await product.api.place(f"+14155558{answer_ms // 10:03d}")
    ended = await product.api.ok("POST", f"/v1/voice/calls/{call_id}/hangup")
    assert ended["status"] in ("cancelled", "completed")
    assert (ended["answered_at"] is None) == (ended["status"] == "cancelled")
    await product.carrier.quiet()
    call = await product.api.call(call_id)
    assert call["status"] == ended["status"]
    types = [event["type"] for event in await product.api.events(call_id)]
    assert ("call.answered" in types) == (call["status"] == "completed")


async def test_an_announcement_is_heard_and_ends_the_call(product: Product) -> None:
    before = len(product.carrier.incoming)
    call_id = await product.api.place("+14155558000", announcement="Your table is ready. Please come in.")
    call = await product.api.ended(call_id)
    assert call["termination"]["reason"] == "announcement_finished"
    assert active_seconds(product.carrier.incoming[before].stream.heard()) > 1.0


async def test_click_to_call_joins_two_people(product: Product) -> None:
    call_id = await product.api.place("+14155558000", connect_to="+14155559200")
    call = await product.api.ended(call_id)
    assert call["status"] == "completed"
    assert call["ended_by"] == "callee"
    types = [event["type"] for event in await product.api.events(call_id)]
    assert "call.connected" in types


async def test_click_to_call_whose_far_end_is_busy_says_so(product: Product) -> None:
    call_id = await product.api.place("+14155558000", connect_to="+14155551486")
    call = await product.api.ended(call_id)
    assert call["status"] == "completed"
    assert call["termination"] == {"result": "far_end", "reason": "connect_busy"}


async def test_a_caller_who_gives_up_cancels_the_bridged_call(product: Product) -> None:
    numbers = await product.api.ok("GET", "/api/v1/numbers")
    route = {"type": "number", "number": "+14155557003"}
    await product.api.ok("PATCH", f"/api/v1/numbers/{numbers[0]['id']}", {"route": route})
    caller = product.carrier.call(Dial(OWN, product.sip, "+14155550178"))
    await caller.reaches(CallState.RINGING, within_s=20.0)
    await caller.cancel()
    listed = await product.api.ok("GET", f"/v1/voice/calls?to={OWN.replace('+', '%2B')}&limit=1")
    call = await product.api.ended(listed[0]["id"])
    assert call["status"] == "cancelled"
    assert call["termination"]["reason"] == "cancelled_by_caller"
    await product.carrier.quiet()


async def test_calls_at_once_do_not_mix(product: Product) -> None:
    wanted = {"+14155550486": "busy", "+14155559050": "completed", "+14155551480": "no_answer"}
    ids = await asyncio.gather(*(product.api.place(to) for to in [*wanted] * 10))
    for call_id in ids:
        call = await product.api.ended(call_id)
        assert call["status"] == wanted[call["to"]], call


async def test_a_number_nobody_owns_is_turned_away(product: Product) -> None:
    caller = product.carrier.call(Dial("+12025550999", product.sip, "+14155550179"))
    await caller.reaches(CallState.ENDED, within_s=20.0)
    assert caller.ending is not None
    assert caller.ending.status == 404
