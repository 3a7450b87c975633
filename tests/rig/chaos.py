"""What every test of a failure in mid-call begins with, and looks at in the end."""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import dataclass

from dialplan.ami.client import AmiAddress, AmiLink, LinkDown, LinkSettings, LinkUp
from dialplan.ami.message import Message
from dialplan.ami.wire import AmiAction
from gateway.stack import answers, base_url
from gateway.trial.sip_call import CallState
from gateway.trial.sip_incoming import IncomingCall
from tests.rig.product import Json, Product

RINGS, TALKS = "+14155557003", "+14155558000"


async def ready_again(product: Product) -> None:
    async with asyncio.timeout(60):
        await answers(f"{base_url(product.stack.settings)}/readyz")


async def unready(product: Product) -> None:
    """Until the gateway itself knows that something it needs is gone."""
    async with asyncio.timeout(30):
        while True:
            status, _ = await product.api.ask("GET", "/readyz")
            if status == 503:
                return
            await asyncio.sleep(0.02)


async def no_channels(product: Product) -> None:
    """Within a minute the switch has no channel left."""
    assert product.stack.switch is not None
    address = product.stack.switch.address
    user, secret = address.users["control"]

    async def up(link: LinkUp) -> None:
        """Nothing to do."""

    def ignore(message: Message | LinkDown) -> None:
        """Nothing to do."""

    link = AmiLink(
        "control",
        AmiAddress(address.ami_host, address.ami_port, user, secret),
        rng=lambda: 0.5,
        on_event=ignore,
        on_up=up,
        on_down=ignore,
        settings=LinkSettings(events="system"),
    )
    await link.start()
    try:
        await link.wait_up(30)
        async with asyncio.timeout(60):
            while True:
                rows = await link.listing(AmiAction("CoreShowChannels"), deadline_s=5)
                if not any(row.name == "CoreShowChannel" for row in rows):
                    return
                await asyncio.sleep(0.2)
    finally:
        await link.stop()


def told_once(product: Product, call_id: str) -> None:
    """One terminal event and one CDR, asked of the database itself."""
    with sqlite3.connect(product.var / "patchbay.db") as database:
        types = [t for (t,) in database.execute("SELECT type FROM call_events WHERE call_id = ?", (call_id,))]
        cdrs = database.execute("SELECT count(*) FROM cdrs WHERE call_id = ?", (call_id,)).fetchone()[0]
        settled = database.execute("SELECT snapshot FROM calls WHERE id = ?", (call_id,)).fetchone()[0]
    final = {"call.completed", "call.failed", "call.busy", "call.no_answer", "call.cancelled"}
    assert sum(t in final for t in types) == 1, types
    assert cdrs == 1
    assert settled is None


async def begin(product: Product, talking: bool) -> str:
    """What rings does so for as long as anything may take to come back."""
    how: Json = {} if talking else {"ring_timeout": 300}
    call_id = await product.api.place(TALKS if talking else RINGS, **how)
    await product.api.status(call_id, "in_progress" if talking else "ringing", 30.0)
    return call_id


async def hang_up(product: Product, call_id: str) -> Json:
    return dict(await product.api.ok("POST", f"/v1/voice/calls/{call_id}/hangup"))


@dataclass(frozen=True, slots=True)
class Struck:
    """A call that something happens to, and the telephone that it reached."""

    call_id: str
    phone: IncomingCall


async def both(product: Product) -> tuple[Struck, Struck]:
    """A call that rings, and one that talks."""
    rings = Struck(await begin(product, False), product.carrier.incoming[-1])
    return rings, Struck(await begin(product, True), product.carrier.incoming[-1])


async def the_world_ends(rings: Struck, talks: Struck) -> None:
    """Who is rung is busy after all, who talks hangs up."""
    rings.phone.reject(486)
    await talks.phone.hang_up()
    for one in (rings, talks):
        await one.phone.reaches(CallState.ENDED, 20.0)


async def ended_truly(product: Product, rings: Struck, talks: Struck) -> None:
    """What ``the_world_ends`` did is told, once, and the system is whole again."""
    for one, status in ((rings, "busy"), (talks, "completed")):
        call = await product.api.ended(one.call_id, within_s=60.0)
        assert call["status"] == status
        told_once(product, one.call_id)
    await ready_again(product)
    await no_channels(product)
