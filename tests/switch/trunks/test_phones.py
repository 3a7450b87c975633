"""Phones on the whole product: registering, being called, being away, and calling."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio

from gateway.trial import audio
from gateway.trial.sip_behaviour import Behaviour, answers, by_last_digits
from gateway.trial.sip_call import CallState
from gateway.trial.sip_digest import Credentials
from gateway.trial.sip_outgoing import Dial
from gateway.trial.sip_phone import RegistrationRefused, SipPhone
from tests.rig.product import OWN, Json, Product, running_product

pytestmark = pytest.mark.switch

ALICE = Credentials("alice", "alice-on-loopback")
PLAN = """
[rtp]
timeout_s = 3

[[trunk]]
name = "carrier"
host = "127.0.0.2"
port = {port}
identify = ["127.0.0.2"]

[[phone]]
name = "alice"
password = "alice-on-loopback"
"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def product(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Product]:
    folder = tmp_path_factory.mktemp("phones")
    async with running_product(folder, trunks=lambda port: PLAN.format(port=port)) as running:
        yield running


@pytest.fixture(autouse=True)
def usual_carrier(product: Product) -> None:
    product.carrier.decide = by_last_digits()


@asynccontextmanager
async def registered(product: Product, **behaviour: object) -> AsyncIterator[SipPhone]:
    """Alice's phone, registered; it is taken off again at the end."""
    script = answers(audio=audio.tone(600, 1.0), **behaviour)  # type: ignore[arg-type]
    async with await SipPhone.open(decide=lambda _: script, name="alice") as phone:
        await phone.register(product.sip, ALICE)
        yield phone
        await phone.register(product.sip, ALICE, expires_s=0)


async def route_to(product: Product, route: Json) -> None:
    numbers = await product.api.ok("GET", "/api/v1/numbers")
    await product.api.ok("PATCH", f"/api/v1/numbers/{numbers[0]['id']}", {"route": route})


async def last_call(product: Product) -> Json:
    """The newest call to our own number, ended."""
    listed = await product.api.ok("GET", f"/v1/voice/calls?to={OWN.replace('+', '%2B')}&limit=1")
    return await product.api.ended(listed[0]["id"])


def told(call: Json) -> tuple[str, str, str]:
    return call["status"], call["termination"]["result"], call["termination"]["reason"]


async def test_a_wrong_password_does_not_register_nor_take_the_phone_away(product: Product) -> None:
    async with registered(product) as alice, await SipPhone.open(name="alice") as mallory:
        with pytest.raises(RegistrationRefused, match="401"):
            await mallory.register(product.sip, Credentials("alice", "guessed-by-mallory"))
        with pytest.raises(RegistrationRefused, match="401"):
            await mallory.register(product.sip, Credentials("nobody", "guessed-by-mallory"))
        call_id = await product.api.place("phone:alice")
        await product.api.status(call_id, "in_progress")
        assert len(alice.incoming) == 1
        assert not mallory.incoming
        await product.api.ok("POST", f"/v1/voice/calls/{call_id}/hangup")


async def test_a_phone_that_registers_again_from_elsewhere_rings_there_alone(product: Product) -> None:
    async with registered(product) as before:
        await before.register(product.sip, ALICE)
        async with registered(product) as now:
            call_id = await product.api.place("phone:alice")
            await product.api.status(call_id, "in_progress")
            assert (len(before.incoming), len(now.incoming)) == (0, 1)
            await product.api.ok("POST", f"/v1/voice/calls/{call_id}/hangup")
            await now.quiet()


async def test_an_inbound_call_rings_the_phone(product: Product) -> None:
    await route_to(product, {"type": "phone", "phone": "alice"})
    async with registered(product) as alice:
        caller = product.carrier.call(Dial(OWN, product.sip, "+14155550177"))
        await caller.hears(lambda pcm: audio.has_tone(pcm, 600), 15, "Alice's tone")
        assert alice.incoming[0].facts.from_user == "+14155550177"
        await caller.hang_up()
        assert told(await last_call(product)) == ("completed", "success", "hangup_by_caller")


async def test_an_inbound_call_to_a_phone_that_is_away_ends_at_once_and_says_so(product: Product) -> None:
    await route_to(product, {"type": "phone", "phone": "alice"})
    caller = product.carrier.call(Dial(OWN, product.sip, "+14155550177"))
    await caller.reaches(CallState.ENDED, within_s=15.0)
    assert caller.ending is not None
    assert (caller.ending.status, caller.ending.reason) == (480, "Q.850;cause=20")
    call = await last_call(product)
    assert told(call) == ("failed", "far_end", "phone_not_registered")
    assert call["ended_by"] == "callee"


async def test_a_person_joined_with_a_phone_that_is_away(product: Product) -> None:
    call = await product.api.ended(await product.api.place("+14155558000", connect_to="phone:alice"))
    assert told(call) == ("completed", "far_end", "phone_not_registered")
    assert (call["ended_by"], call["sip_code"]) == ("callee", None)


async def test_a_phone_that_is_away_is_rung_first(product: Product) -> None:
    call = await product.api.ended(await product.api.place("phone:alice"))
    assert told(call) == ("failed", "far_end", "phone_not_registered")


async def test_a_phone_that_lost_its_power_is_not_said_to_be_unregistered(product: Product) -> None:
    """Its registration still stands: it does not answer, and only the ring limit ends that."""
    async with await SipPhone.open(name="alice") as alice:
        await alice.register(product.sip, ALICE)
        alice.transport.deaf = True
        call = await product.api.ended(await product.api.place("phone:alice", ring_timeout=5))
        assert told(call) == ("no_answer", "far_end", "ring_timeout")
        alice.transport.deaf = False
        await alice.register(product.sip, ALICE, expires_s=0)


async def test_a_phone_calls_a_number_of_ours(product: Product) -> None:
    await route_to(product, {"type": "number", "number": "+14155558000"})
    async with registered(product) as alice:
        call = alice.call(Dial(OWN, product.sip, "alice", credentials=ALICE))
        await call.reaches(CallState.ANSWERED, within_s=30)
        there = product.carrier.incoming[-1]
        assert (there.facts.user, there.facts.from_user) == ("+14155558000", OWN)
        await call.hang_up()
        ended = await last_call(product)
        assert told(ended) == ("completed", "success", "hangup_by_caller")
        assert (ended["direction"], ended["from"]) == ("inbound", "phone:alice")


@pytest.mark.parametrize("number", ["+14155558000", "14155558000", "911", "+442079460000"])
async def test_a_phone_cannot_call_out_by_itself(product: Product, number: str) -> None:
    before = len(product.carrier.incoming)
    async with registered(product) as alice:
        call = alice.call(Dial(number, product.sip, "alice", credentials=ALICE))
        await call.reaches(CallState.ENDED)
        assert call.ending is not None
        assert (call.ending.status, call.ending.reason) == (403, "Q.850;cause=21")
    assert len(product.carrier.incoming) == before


async def test_a_call_that_says_it_is_a_phone_and_is_not_reaches_no_dialplan(product: Product) -> None:
    async with registered(product), await SipPhone.open(name="alice") as mallory:
        call = mallory.call(
            Dial(OWN, product.sip, "alice", credentials=Credentials("alice", "guessed-by-mallory"))
        )
        await call.reaches(CallState.ENDED)
        assert call.responses == [401, 401]


@pytest.mark.parametrize("silent", ["first", "second"])
async def test_a_side_that_sends_no_audio_is_given_up(product: Product, silent: str) -> None:
    product.carrier.decide = lambda facts: Behaviour(
        answer_after_ms=50, mute=facts.user.endswith("1" if silent == "first" else "2")
    )
    call_id = await product.api.place("+14155558001", connect_to="+14155558002")
    await product.api.until(call_id, lambda call: call["answered_at"] is not None, what="answered")
    call = await product.api.ended(call_id, within_s=30)
    assert told(call) == ("completed", "far_end", "media_timeout")
    assert call["ended_by"] == "switch"
    assert 2 <= call["duration_seconds"] <= 15, "three seconds of the switch's, seen from the gateway"
    await product.carrier.quiet()


async def test_a_listener_without_audio_is_given_up_too(product: Product) -> None:
    product.carrier.decide = lambda _: Behaviour(answer_after_ms=50, mute=True)
    call = await product.api.ended(await product.api.place("+14155558001"), within_s=30)
    assert told(call) == ("completed", "far_end", "media_timeout")
    assert call["hangup_cause"] == "requested_channel_unavailable"
