"""The gateway is killed: masked calls are joined by the switch, taken up later, and told exactly once."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from urllib.parse import quote

import pytest
import pytest_asyncio

from gateway.copied_doors import MADE, Outside
from gateway.switch_copy import SwitchCopyWriter
from gateway.trial.sip_behaviour import Behaviour, answers, rejects
from gateway.trial.sip_call import CallState
from gateway.trial.sip_outgoing import Dial, OutgoingCall
from proxy_pool.core.session import Model, Participant, Session, SessionId, Terms
from telephony.ids import TenantId
from telephony.numbers import E164
from tests.rig.links import ami_link, database
from tests.rig.product import Json, Product, running_product

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

A, B, DIALS_A, DIALS_B = "+14155550177", "+442079460123", "+12025550188", "+12025550189"
SESSION = SessionId("ses_01ARZ3NDEKTSV4RRFFQ69G5FAV")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def product(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Product]:
    async with running_product(tmp_path_factory.mktemp("away") / "var") as running:
        yield running


async def copied(product: Product) -> None:
    """A session of A and B is in the switch's copy, as a gateway would have left it.

    To be done while no gateway runs: one that has just started makes the copy anew.
    """
    with sqlite3.connect(product.var / "patchbay.db") as stored:
        (tenant,) = stored.execute("SELECT id FROM tenants").fetchone()
    now = time.time()
    people = (Participant(0, E164(A), E164(DIALS_A)), Participant(1, E164(B), E164(DIALS_B)))
    terms = Terms(expires_at=now + 600)
    session = Session(SESSION, TenantId(tenant), Model.PAIR, terms, people, now, now + 600)
    assert product.stack.switch is not None
    async with ami_link(product.stack.switch.address, "recording") as link:
        copy = SwitchCopyWriter(link, Outside(lambda number: "carrier"), time.time)
        copy.start()
        copy.keep(session)
        await asyncio.wait_for(copy.settled(), 30)
        await copy.stop()


async def noted(product: Product) -> dict[str, str]:
    assert product.stack.switch is not None
    async with ami_link(product.stack.switch.address, "recording") as link:
        return await database(link, MADE)


def a_dials(product: Product) -> OutgoingCall:
    return product.carrier.call(Dial(DIALS_A, product.sip, A))


def b_does(product: Product, script: Behaviour) -> None:
    product.carrier.decide = lambda _: script


async def killed(product: Product) -> None:
    """SIGKILL, and nobody starts it again until ``back``."""
    assert product.stack.gateway is not None
    product.stack.gateway.kill()
    await product.stack.gateway.stop()


async def back(product: Product) -> None:
    assert product.stack.gateway is not None
    await product.stack.gateway.start()


async def the_call(product: Product) -> Json:
    """The newest call to A's proxy number."""
    async with asyncio.timeout(60):
        while True:
            listed = await product.api.ok("GET", f"/v1/voice/calls?to={quote(DIALS_A)}&limit=1")
            if listed:
                return dict(listed[0])
            await asyncio.sleep(0.05)


def told(product: Product, call_id: str) -> tuple[list[str], int, tuple[object, ...]]:
    """The types of its terminal events, how many CDRs it has, and its row: asked of the database itself."""
    with sqlite3.connect(product.var / "patchbay.db") as stored:
        types = [t for (t,) in stored.execute("SELECT type FROM call_events WHERE call_id = ?", (call_id,))]
        cdrs = stored.execute("SELECT count(*) FROM cdrs WHERE call_id = ?", (call_id,)).fetchone()[0]
        row = stored.execute(
            "SELECT session_id, seat, to_seat, private, from_number, snapshot FROM calls WHERE id = ?",
            (call_id,),
        ).fetchone()
    final = {"call.completed", "call.failed", "call.busy", "call.no_answer", "call.cancelled"}
    return [t for t in types if t in final], cdrs, tuple(row)


async def count_of_calls(product: Product) -> int:
    return len(await product.api.ok("GET", f"/v1/voice/calls?to={quote(DIALS_A)}&limit=100"))


async def test_a_call_that_still_talks_is_taken_up_and_can_be_hung_up(product: Product) -> None:
    b_does(product, answers())
    before = await count_of_calls(product)
    await killed(product)
    await copied(product)
    call = a_dials(product)
    await call.reaches(CallState.ANSWERED, 30.0)
    answered = time.time()
    assert (product.carrier.incoming[-1].facts.user, product.carrier.incoming[-1].facts.from_user) == (
        B,
        DIALS_B,
    )
    await asyncio.sleep(1.0)  # it talks a while before anybody looks
    await back(product)
    seen = await the_call(product)
    assert (seen["status"], seen["direction"], seen["session_id"]) == ("in_progress", "inbound", SESSION)
    await killed(product)
    await back(product)
    assert call.state is CallState.ANSWERED
    assert (await product.api.call(seen["id"]))["status"] == "in_progress"
    asked = time.time()
    ended = await product.api.ok("POST", f"/v1/voice/calls/{seen['id']}/hangup")
    over = time.time()
    assert ended["status"] == "completed"
    await call.reaches(CallState.ENDED, 20.0)
    finals, cdrs, row = told(product, seen["id"])
    assert (finals, cdrs, row) == (["call.completed"], 1, (SESSION, 0, 1, 1, A, None))
    assert asked - answered - 1 <= ended["duration_seconds"] <= over - answered + 2
    assert await noted(product) == {}
    assert await count_of_calls(product) == before + 1


@pytest.mark.parametrize(
    ("script", "status"),
    [(answers(hang_up_after_ms=1200), "completed"), (rejects(486), "busy")],
    ids=["answered", "busy"],
)
async def test_a_call_that_is_over_is_recorded_as_it_was(
    product: Product, script: Behaviour, status: str
) -> None:
    b_does(product, script)
    before = await count_of_calls(product)
    await killed(product)
    await copied(product)
    started = time.time()
    call = a_dials(product)
    await call.reaches(CallState.ENDED, 30.0)
    over = time.time()
    await asyncio.sleep(1.5)  # so that who takes its own looking for the end is found out
    await back(product)
    await killed(product)
    await back(product)
    seen = await product.api.ended((await the_call(product))["id"])
    assert (seen["status"], seen["session_id"]) == (status, SESSION)
    finals, cdrs, row = told(product, seen["id"])
    assert (finals, cdrs, row) == ([f"call.{status}"], 1, (SESSION, 0, 1, 1, A, None))
    if status == "completed":
        assert abs(seen["duration_seconds"] - product.carrier.incoming[-1].talked_s) <= 1
        with sqlite3.connect(product.var / "patchbay.db") as stored:
            answered, ended = stored.execute(
                "SELECT answered_at, ended_at FROM calls WHERE id = ?", (seen["id"],)
            ).fetchone()
        assert started <= answered / 1e6 <= ended / 1e6 <= over + 1.0
    assert await noted(product) == {}
    assert await count_of_calls(product) == before + 1
