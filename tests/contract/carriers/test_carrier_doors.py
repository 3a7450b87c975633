"""The doors that carriers call: what they let in, what they turn away, and what they say of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gateway.carriers import intake
from gateway.http.app import create_app
from gateway.http.orbit.carrier_hooks import MAX_HOOK_BODY
from gateway.http.throttle import STRANGERS_PER_MINUTE
from gateway.trial.carrier_speech import Callback, Moment, Utterance
from tests.contract.carriers.world import PUBLIC, THEM, US, World, world
from tests.unit.http.asgi import Answer, Client

pytestmark = pytest.mark.contract
DOOR = "/v1/proxy/inbound/sim"


def genuine(w: World, url: str = PUBLIC + DOOR, method: str = "POST") -> Callback:
    text = Utterance(w.sim.speech.new_id(9, 9), THEM, US, "Hello")
    return w.sim.speech.says(text, Moment(url, w.rig.clock.now(), "nonce", method))


async def call(w: World, callback: Callback, path: str = DOOR, **more: str) -> Answer:
    headers = {**callback.headers, **{name.replace("_", "-"): value for name, value in more.items()}}
    query = f"?{callback.query}" if callback.query else ""
    return await w.client.ask(callback.method, path + query, callback.body or None, headers)


@pytest.mark.parametrize("kind", ["twilio", "generic"])
async def test_who_is_not_let_in_learns_nothing(tmp_path: Path, kind: str):
    async with world(tmp_path, kind) as w:
        unsigned = await call(w, Callback("POST", {}, b"{}"))
        unknown = await call(w, genuine(w), "/v1/proxy/inbound/other")
        assert (unsigned.status, unknown.status) == (401, 401)
        assert unsigned.error == unknown.error
        assert kind not in str(unsigned.body)
        assert w.intake.counts == {("sim", "unsigned"): 1, ("?", "unsigned"): 1}


async def test_the_signed_address_is_ours_by_configuration_never_by_the_request(tmp_path: Path):
    async with world(tmp_path, "twilio") as w:
        elsewhere = genuine(w, "https://evil.example" + DOOR)
        spoofed = {"host": "evil.example", "x_forwarded_host": "evil.example", "x_forwarded_proto": "https"}
        assert (await call(w, elsewhere, **spoofed)).status == 401
        assert (await call(w, genuine(w), **spoofed)).status == 200


async def test_both_mounts_serve_and_a_signature_is_good_for_one_of_them(tmp_path: Path):
    async with world(tmp_path, "twilio") as w:
        other = "/api/v1/proxy/inbound/sim"
        assert (await call(w, genuine(w), other)).status == 401
        assert (await call(w, genuine(w, PUBLIC + other), other)).status == 200


async def test_a_proof_that_comes_twice_is_none(tmp_path: Path):
    async with world(tmp_path, "generic") as w:
        callback = genuine(w)
        headers = [(name.encode(), value.encode()) for name, value in callback.headers.items()]
        again = [*headers, (b"webhook-signature", b"v1,AAAA")]
        assert (await w.client.raw("POST", DOOR, headers, [callback.body])).status == 204
        assert (await w.client.raw("POST", DOOR, again, [callback.body])).status == 401


async def test_a_body_beyond_the_limit_is_not_read(tmp_path: Path):
    async with world(tmp_path, "generic") as w:
        answer = await call(w, Callback("POST", genuine(w).headers, b"x" * (MAX_HOOK_BODY + 1)))
        assert answer.status == 413


async def test_a_query_beyond_the_limit_is_refused(tmp_path: Path):
    async with world(tmp_path, "vonage") as w:
        assert (await call(w, Callback("GET", {}, b"", "text=" + "x" * 70_000))).status == 400


async def test_strangers_are_slowed_down_and_the_carrier_is_not(tmp_path: Path):
    async with world(tmp_path, "generic") as w:
        for _ in range(STRANGERS_PER_MINUTE):
            assert (await call(w, Callback("POST", {}, b"{}"))).status == 401
        assert (await call(w, Callback("POST", {}, b"{}"))).status == 429
        assert (await call(w, genuine(w))).status == 204


async def test_what_is_signed_but_cannot_be_read_is_400_and_stores_nothing(tmp_path: Path):
    async with world(tmp_path, "bandwidth") as w:
        assert (await call(w, Callback("POST", genuine(w).headers, b"[]"))).status == 400
        assert w.texts.deliveries == 0
        assert w.intake.counts["sim", "malformed"] == 1


async def test_what_means_nothing_to_us_is_answered_and_counted(tmp_path: Path):
    async with world(tmp_path, "bandwidth") as w:
        body = b'[{"type": "message-teleported", "message": {"id": "m-1"}}]'
        assert (await call(w, Callback("POST", genuine(w).headers, body))).status == 204
        assert w.intake.counts == {("sim", "ignored_event"): 1}


async def test_a_store_that_hangs_is_answered_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(intake, "TAKE_DEADLINE_S", 0.05)
    async with world(tmp_path, "generic") as w:
        w.texts.stuck = True
        answer = await call(w, genuine(w))
        assert (answer.status, answer.headers["retry-after"]) == (503, "5")


async def test_without_carriers_the_doors_are_shut(tmp_path: Path):
    async with world(tmp_path, "generic") as w:
        registry = type(w.rig.face.registry)()
        app = create_app(replace(w.rig.face, carrier_hooks=None, registry=registry))
        answer = await Client(app).ask("POST", DOOR, b"{}")
        assert answer.status == 401
