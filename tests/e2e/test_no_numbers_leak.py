"""Whole telephone numbers are where they must be, and nowhere else.

They must be in: the database (calls, numbers, webhook bodies), the API's answers and webhooks to whoever
may see them, and SIP to the far ends. They may not be in logs, metrics, call records of the switch, or Redis.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from redis.asyncio import Redis

from gateway.trial.listener import WebhookListener
from gateway.trial.sip_call import CallState
from gateway.trial.sip_outgoing import Dial
from tests.e2e.visitor import registered, route_own_number
from tests.rig.product import OWN, Product

pytestmark = pytest.mark.e2e

BUSY, TALKS, RINGS, STRANGER = "+14155551486", "+14155559050", "+14155557003", "+14155550163"
EVERYBODY = (OWN, BUSY, TALKS, RINGS, STRANGER)
LOGS = ("log/gateway.log", "switch/log/messages.log", "switch/log/security.log")


def spellings(number: str) -> tuple[str, ...]:
    """How the number may be written: the digits of any country's own form are in all of them."""
    digits = number.lstrip("+")
    national = digits[1:]
    return (
        national,
        f"({national[:3]}) {national[3:6]}-{national[6:]}",
        f"{national[:3]}-{national[3:6]}-{national[6:]}",
    )


def numbers_in(text: str) -> list[str]:
    return [number for number in EVERYBODY if any(spelling in text for spelling in spellings(number))]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def after_calls(house: Product, listener: WebhookListener) -> Product:
    """Calls of every kind have been made, refused requests too, and all webhooks have come."""
    api = house.api
    placed = [
        await api.place(to, webhook_url=listener.url("leak"), record=True, announcement="Hello.")
        for to in (BUSY, TALKS, RINGS)
    ]
    placed.append(await api.place(TALKS, connect_to=BUSY, webhook_url=listener.url("leak")))
    await api.status(placed[2], "ringing")
    await api.ok("POST", f"/v1/voice/calls/{placed[2]}/hangup")
    async with registered(house, "bob") as bob:
        await route_own_number(
            house, route={"type": "phone", "phone": "bob"}, webhook_url=listener.url("leak")
        )
        caller = house.carrier.call(Dial(OWN, house.sip, STRANGER, display=STRANGER))
        await caller.reaches(CallState.ANSWERED, 30.0)
        await caller.hang_up(20.0)
        await bob.quiet(20.0)
    await route_own_number(house, route={"type": "reject", "cause": "busy"}, webhook_url=None)
    for body in (
        {"to": STRANGER, "from": BUSY},
        {"to": TALKS, "from": OWN, "webhook_url": f"tel:{STRANGER}"},
    ):
        assert (await api.ask("POST", "/v1/voice/calls", body))[0] == 422
    await api.ask("GET", f"/v1/voice/calls?to={STRANGER.replace('+', '%2B')}")
    await api.ask("GET", f"/v1/voice/calls/{STRANGER}")
    for call_id in placed:
        call = await api.ended(call_id)
        await listener.waits_for(
            lambda d, call=call: (
                (d.event["data"].get("id"), d.event["type"]) == (call["id"], f"call.{call['status']}")
            ),
            30.0,
        )
    await listener.waits_for(
        lambda d: d.path == "/leak" and STRANGER in d.body.decode(), 30.0, "the caller's"
    )
    return house


async def test_no_log_holds_a_whole_number(after_calls: Product) -> None:
    for name in LOGS:
        path = after_calls.var / name
        text = await asyncio.to_thread(path.read_text, errors="replace")
        assert numbers_in(text) == [], name
    assert "call.completed" in (after_calls.var / LOGS[0]).read_text()


async def test_the_switchs_call_records_hold_none(after_calls: Product) -> None:
    assert after_calls.stack.switch is not None
    records = after_calls.stack.switch.cdr_file.read_text()
    assert records.count("\n") >= 4
    assert numbers_in(records) == []


async def test_no_other_file_of_the_switch_holds_one(after_calls: Product) -> None:
    """What Asterisk writes by itself, its database of registrations included."""
    found = {str(path.relative_to(after_calls.var)): numbers_in(content(path).decode("latin-1"))
             for path in files(after_calls.var / "switch")}  # fmt: skip
    assert len(found) > 10
    assert {name: numbers for name, numbers in found.items() if numbers} == {}


def files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def content(path: Path) -> bytes:
    """What is in a file; nothing where its owner has just taken it away, as a database its journal."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


async def test_metrics_hold_none(after_calls: Product) -> None:
    async with aiohttp.ClientSession() as http, http.get(f"{after_calls.api.root}/metrics") as response:
        text = await response.text()
    assert "patchbay_" in text
    assert numbers_in(text) == []


async def test_redis_holds_none(after_calls: Product) -> None:
    assert after_calls.stack.redis is not None
    async with Redis.from_url(after_calls.stack.redis.url) as redis:
        keys = [key async for key in redis.scan_iter("*")]
        assert keys
        dumped = b"\n".join([*keys, *[await redis.dump(key) or b"" for key in keys]])
    assert numbers_in(dumped.decode("latin-1")) == []
    kept = b"".join(content(path) for path in files(after_calls.var / "redis"))
    assert numbers_in(kept.decode("latin-1")) == []


async def test_the_names_of_recordings_and_sounds_hold_none(after_calls: Product) -> None:
    names = [str(path) for folder in ("recordings", "sounds") for path in files(after_calls.var / folder)]
    assert names
    assert numbers_in("\n".join(names)) == []


async def test_whoever_may_see_numbers_sees_them_whole(
    after_calls: Product, listener: WebhookListener
) -> None:
    """So the tests above do not hold for want of numbers: here they all are."""
    told = str(await after_calls.api.ok("GET", "/v1/voice/calls?limit=20"))
    assert numbers_in(told) == list(EVERYBODY)
    sent = b"".join(d.body for d in listener.deliveries if d.path == "/leak").decode()
    assert numbers_in(sent) == list(EVERYBODY)
    database = (after_calls.var / "patchbay.db").read_bytes() + (
        after_calls.var / "patchbay.db-wal"
    ).read_bytes()
    assert numbers_in(database.decode("latin-1")) == list(EVERYBODY)
