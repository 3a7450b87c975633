"""The simulated carrier's own doors: its control API, its limits to this machine, and its command."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import aiohttp
import pytest

from gateway.trial.carrier_faults import Faults, parse_faults
from gateway.trial.carrier_sim import CarrierSim, SimSetup
from telephony.errors import InvalidInput
from tests.contract.carriers.world import QUICK, THEM, US, World, world

pytestmark = pytest.mark.contract


async def ask(w: World, method: str, path: str, given: object = None, **headers: str) -> tuple[int, object]:
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, w.sim.api_base + path, json=given, headers=headers) as response,
    ):
        return response.status, await response.json()


async def test_a_text_is_sent_in_and_seen_going_out(tmp_path: Path):
    async with world(tmp_path, "telnyx") as w:
        status, told = await ask(w, "POST", "/sim/inbound", {"from": THEM, "to": US, "body": "Hi"})
        assert status == 200
        await w.sim.settled()
        assert w.texts.bodies == ["Hi"]
        assert told == {"ids": [message_id for _, message_id in w.texts.texts]}
        provider_id = await w.send("Yes")
        _, seen = await ask(w, "GET", "/sim/sent")
        assert isinstance(seen, dict)
        assert [(one["id"], one["to"], one["body"]) for one in seen["sent"]] == [(provider_id, THEM, "Yes")]
        await ask(w, "POST", "/sim/receipt", {"id": provider_id, "state": "failed", "error": "40008"})
        await w.sim.settled()
        assert ("failed", "40008") in [(receipt.state, receipt.error) for receipt in w.texts.receipts]
        _, calls = await ask(w, "GET", "/sim/callbacks")
        assert isinstance(calls, dict)
        assert {call["status"] for call in calls["callbacks"]} == {200}


async def test_faults_are_set_while_it_runs(tmp_path: Path):
    async with world(tmp_path, "generic") as w:
        assert (await ask(w, "POST", "/sim/faults", {"duplicate": 1}))[0] == 200
        await ask(w, "POST", "/sim/inbound", {"from": THEM, "to": US, "body": "Hi"})
        await w.sim.settled()
        assert w.texts.deliveries == 2
        _, now = await ask(w, "GET", "/sim/faults")
        assert isinstance(now, dict)
        assert (now["duplicate"], now["receipt_s"]) == (1.0, QUICK.receipt_s)


@pytest.mark.parametrize(
    ("path", "given"),
    [
        ("/sim/faults", {"explode": 1}),
        ("/sim/faults", {"duplicate": 2}),
        ("/sim/faults", {"duplicate": True}),
        ("/sim/inbound", {"from": THEM}),
        ("/sim/inbound", {"from": THEM, "to": US, "body": 7}),
        ("/sim/inbound", {"from": THEM, "to": US, "media": "x"}),
        ("/sim/receipt", {"id": "x", "state": "teleported"}),
        ("/sim/inbound", [1]),
    ],
)
async def test_what_is_wrong_is_said(tmp_path: Path, path: str, given: object):
    async with world(tmp_path, "generic") as w:
        status, told = await ask(w, "POST", path, given)
        assert status == 422
        assert isinstance(told, dict)
        assert told["error"]


async def test_a_page_of_another_name_cannot_steer_it(tmp_path: Path):
    """A browser on this machine could be led here by a name that resolves to 127.0.0.1."""
    async with world(tmp_path, "generic") as w:
        assert (await ask(w, "GET", "/sim/sent", Host="evil.example"))[0] == 403
        assert (await ask(w, "POST", "/sim/receipt", {"id": "no", "state": "sent"}))[0] == 404


@pytest.mark.parametrize(
    "target", ["https://127.0.0.1/in", "http://192.0.2.1/in", "http://gw.example/in", "ftp://127.0.0.1/"]
)
def test_it_calls_this_machine_only(target: str):
    with pytest.raises(InvalidInput) as told:
        CarrierSim(SimSetup("generic", target), lambda: 0.0)
    assert told.value.field == "target"


@pytest.mark.parametrize("text", ["duplicate", "duplicate=x", "=1", "late_s=-1", "nothing=1"])
def test_faults_that_are_none_are_refused(text: str):
    with pytest.raises(InvalidInput):
        parse_faults(text)


def test_faults_are_read_by_name():
    assert parse_faults(" duplicate=0.5, late=1 ,late_s=3") == Faults(duplicate=0.5, late=1.0, late_s=3.0)


async def test_the_command_plays_a_carrier_until_it_is_told_to_stop():
    command = (sys.executable, "-m", "gateway.cli", "simulate", "carrier")
    options = ("--kind", "twilio", "--port", "0", "--seed", "5", "--faults", "throttle=0.5")
    process = await asyncio.create_subprocess_exec(*command, *options, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            told = await process.stdout.readuntil(b"Ctrl-C ends this.\n")
            assert b"[carriers.sim]" in told
            assert b'kind = "twilio"' in told
            process.send_signal(signal.SIGTERM)
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
