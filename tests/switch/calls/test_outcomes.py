"""The truth about every SIP final: each before and after ringing, on a call we place and on one we bridge."""

from __future__ import annotations

import asyncio

import pytest
import pytest_asyncio

from gateway.trial.sip_behaviour import rejects
from gateway.trial.sip_call import CallState
from gateway.trial.sip_incoming import IncomingCall
from gateway.trial.sip_outgoing import Dial
from tests.rig.product import OWN, Json, Product

pytestmark = pytest.mark.switch

RINGS = "+14155557003"
# final → (status, termination reason) before the far end rang, and after
TRUTH: dict[int, tuple[tuple[str, str], tuple[str, str]]] = {
    486: (("busy", "busy"), ("busy", "busy")),
    600: (("busy", "busy"), ("busy", "busy")),
    480: (("no_answer", "unavailable"), ("no_answer", "unavailable")),
    408: (("failed", "no_response"), ("no_answer", "no_answer")),
    404: (("failed", "unallocated_number"), ("failed", "unallocated_number")),
    484: (("failed", "invalid_number"), ("failed", "invalid_number")),
    403: (("failed", "forbidden"), ("failed", "forbidden")),
    603: (("failed", "declined"), ("failed", "declined")),
    500: (("failed", "carrier_failure"), ("failed", "carrier_failure")),
    503: (("failed", "congestion"), ("failed", "congestion")),
    488: (("failed", "incompatible_media"), ("failed", "incompatible_media")),
    302: (("failed", "redirected"), ("failed", "redirected")),
}


@pytest_asyncio.fixture(scope="module", loop_scope="session", autouse=True)
async def long_call(product: Product) -> str:
    """A call of the shortest time that may be asked for, half a minute: it passes while others are made."""
    call_id = await product.api.place("+14155558000", max_duration=30)
    await product.api.status(call_id, "in_progress")
    return call_id


def check(call: Json, final: int, rang: bool, bridged: bool = False) -> None:
    status, reason = TRUTH[final][1 if rang else 0]
    assert (call["status"], call["termination"]["reason"]) == (status, reason), str(call)
    # Dial() may drop the leg of somebody who redirects before the switch has noted which 3xx it was.
    assert call["sip_code"] in ({final, None} if bridged and final == 302 else {final})
    assert call["answered_at"] is None
    assert call["duration_seconds"] == 0


async def one_terminal_event(product: Product, call_id: str, rang: bool) -> None:
    types = [event["type"] for event in await product.api.events(call_id)]
    finals = {"call.completed", "call.failed", "call.busy", "call.no_answer", "call.cancelled"}
    assert sum(name in finals for name in types) == 1
    assert types[0] == "call.initiated"
    assert ("call.ringing" in types) == rang


@pytest.mark.parametrize("rang", [False, True], ids=["before-18x", "after-18x"])
@pytest.mark.parametrize("final", TRUTH)
async def test_a_placed_call_that_is_refused(product: Product, final: int, rang: bool) -> None:
    before = len(product.carrier.incoming)
    call_id = await product.api.place(RINGS if rang else f"+14155550{final}")
    if rang:
        await product.api.status(call_id, "ringing")
        refuse(product.carrier.incoming[before], final)
    check(await product.api.ended(call_id), final, rang)
    await one_terminal_event(product, call_id, rang)


@pytest.mark.parametrize("rang", [False, True], ids=["before-18x", "after-18x"])
@pytest.mark.parametrize("final", TRUTH)
async def test_a_bridged_call_that_is_refused(product: Product, final: int, rang: bool) -> None:
    call_id, caller_final = await bridged(product, final, rang)
    check(await product.api.ended(call_id), final, rang, bridged=True)
    await one_terminal_event(product, call_id, rang)
    assert caller_final >= 400


def refuse(far: IncomingCall, final: int) -> None:
    """Only once its ringing was heard: the switch may tell of one answer alone where two come at once."""
    far.behaviour = rejects(final)
    far.reject(final)


async def bridged(product: Product, final: int, rang: bool) -> tuple[str, int]:
    """Call the owned number, which leads to somebody who refuses; the call's id, and what its caller got."""
    numbers = await product.api.ok("GET", "/api/v1/numbers")
    route = {"type": "number", "number": RINGS if rang else f"+14155550{final}"}
    await product.api.ok("PATCH", f"/api/v1/numbers/{numbers[0]['id']}", {"route": route})
    caller = product.carrier.call(Dial(OWN, product.sip, "+14155550177"))
    if rang:
        far = await product.carrier.receives(
            which=lambda call: call.state < CallState.ANSWERED and call.facts.user == RINGS
        )
        await caller.reaches(CallState.RINGING)
        refuse(far, final)
    await caller.reaches(CallState.ENDED, within_s=20.0)
    listed = await product.api.ok("GET", f"/v1/voice/calls?to={OWN.replace('+', '%2B')}&limit=1")
    assert caller.ending is not None
    return str(listed[0]["id"]), caller.ending.status or 0


async def test_whoever_never_answers_ends_at_our_ring_limit(product: Product) -> None:
    """It says nothing, or only 100, or rings for ever, or does so with sound, which is no answer."""
    endings = {"7001": False, "7002": False, "7003": True, "7004": True}
    before = len(product.carrier.incoming)
    placed = await asyncio.gather(
        *(product.api.place(f"+1415555{ending}", ring_timeout=5) for ending in endings)
    )
    for call_id, rang in zip(placed, endings.values(), strict=True):
        call = await product.api.ended(call_id)
        assert (call["status"], call["termination"]["reason"]) == ("no_answer", "ring_timeout")
        assert call["answered_at"] is None
        await one_terminal_event(product, call_id, rang)
    rung = {call.facts.user[-4:]: call for call in product.carrier.incoming[before:]}
    assert set(rung) == set(endings)
    for ending in ("7002", "7003", "7004"):
        await rung[ending].reaches(CallState.ENDED)
    rung["7001"].reject(480)  # nothing ends it otherwise: who said nothing cannot be sent a CANCEL


async def test_max_duration_ends_the_call(product: Product, long_call: str) -> None:
    call = await product.api.ended(long_call, within_s=60.0)
    assert call["status"] == "completed"
    assert call["termination"] == {"result": "success", "reason": "max_duration"}
    assert 29 <= call["duration_seconds"] <= 45
