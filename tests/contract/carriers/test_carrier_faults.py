"""Simulated carriers of every kind against our doors and our sender, with every fault they are known for."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import structlog

from gateway.trial.carrier_faults import Faults
from gateway.trial.carrier_sim import SPEECHES
from gateway.trial.carrier_speech import Moment, Utterance
from proxy_pool.core.text import ReceiptState
from proxy_pool.texts.ports import CarrierRefused, CarrierThrottled
from telephony.errors import OutcomeUnknown
from telephony.numbers import E164
from tests.contract.carriers.world import QUICK, THEM, US, World, world

pytestmark = pytest.mark.contract
every_kind = pytest.mark.parametrize("kind", sorted(SPEECHES))
LONG = "".join(f"{n:04d} " for n in range(100))


async def texts_in(w: World, count: int) -> list[str]:
    """So many different texts, all told."""
    bodies = [f"text {n}: 5€ & more = ?" for n in range(count)]
    for body in bodies:
        w.sim.text_in(THEM, US, body)
    await w.sim.settled()
    return bodies


@every_kind
@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_a_text_comes_in_as_it_was_sent(tmp_path: Path, kind: str, method: str):
    async with world(tmp_path, kind, method=method) as w:
        assert await texts_in(w, 3) == w.texts.bodies
        assert {(text.sender, text.to) for text in w.texts.texts.values()} == {(THEM, E164(US))}
        expected = w.plan.carriers["sim"].adapter.answer().status
        assert [told.status for told in w.sim.told] == [expected] * 3
        assert w.intake.counts == Counter({("sim", "text"): 3})


@every_kind
async def test_the_answer_is_what_the_carrier_expects(tmp_path: Path, kind: str):
    async with world(tmp_path, kind) as w:
        public = w.sim.setup.public_target
        text = Utterance(w.sim.speech.new_id(9, 9), THEM, US, "Hello")
        callback = w.sim.speech.says(text, Moment(public, w.rig.clock.now(), "n"))
        headers = dict(callback.headers)
        answer = await w.client.ask("POST", "/v1/proxy/inbound/sim", callback.body, headers)
        wanted = w.plan.carriers["sim"].adapter.answer()
        assert (answer.status, answer.body) == (wanted.status, wanted.body)
        assert answer.headers.get("content-type", "") == wanted.content_type


@every_kind
async def test_a_text_told_twice_is_one_text(tmp_path: Path, kind: str):
    async with world(tmp_path, kind, replace(QUICK, duplicate=1.0)) as w:
        bodies = await texts_in(w, 4)
        assert w.texts.bodies == bodies
        assert w.texts.deliveries == 8
        assert all(200 <= told.status < 300 for told in w.sim.told)


@every_kind
async def test_texts_in_another_order_all_come(tmp_path: Path, kind: str):
    async with world(tmp_path, kind, replace(QUICK, reorder=0.5)) as w:
        bodies = await texts_in(w, 8)
        assert sorted(w.texts.bodies) == bodies
        assert w.texts.bodies != bodies, "the fault did not fall"


@every_kind
async def test_a_forgery_is_turned_away_and_the_true_text_comes(tmp_path: Path, kind: str):
    async with world(tmp_path, kind, replace(QUICK, forge=1.0)) as w:
        bodies = await texts_in(w, 5)
        assert [told.status for told in w.sim.told if told.forged] == [401] * 5
        assert w.texts.bodies == bodies
        assert w.texts.deliveries == 5
        assert w.intake.counts["sim", "unsigned"] == 5


@every_kind
async def test_while_nothing_can_be_stored_the_carrier_is_told_so_and_calls_again(tmp_path: Path, kind: str):
    async with world(tmp_path, kind) as w:
        w.texts.away = 2
        assert await texts_in(w, 1) == w.texts.bodies
        assert [told.status for told in w.sim.told][:2] == [503, 503]
        assert [told.attempt for told in w.sim.told] == [1, 2, 3]


@pytest.mark.parametrize("kind", ["vonage", "generic"])
async def test_parts_of_a_long_text_come_in_any_order(tmp_path: Path, kind: str):
    async with world(tmp_path, kind, replace(QUICK, shuffle=1.0, duplicate=0.5)) as w:
        w.sim.text_in(THEM, US, LONG)
        await w.sim.settled()
        parts = [text.part for text in w.texts.texts.values()]
        numbers = [part.number for part in parts if part is not None]
        assert sorted(numbers) == [1, 2, 3, 4]
        assert numbers != sorted(numbers), "the fault did not fall"
        assert len({(part.reference, part.total) for part in parts if part is not None}) == 1
        in_order = sorted(w.texts.texts.values(), key=lambda text: text.part.number if text.part else 0)
        assert "".join(text.body for text in in_order) == LONG


@every_kind
async def test_a_text_goes_out_and_its_receipts_come_back(tmp_path: Path, kind: str):
    async with world(tmp_path, kind) as w:
        provider_id = await w.send("Ja, für 20€")
        (taken,) = w.sim.sent
        assert (taken.id, taken.asked.sender, taken.asked.to) == (provider_id, US, THEM)
        assert taken.asked.body == "Ja, für 20€"
        await w.sim.settled()
        assert [(r.carrier, r.message_id, r.state) for r in w.texts.receipts] == [
            ("sim", provider_id, ReceiptState.SENT),
            ("sim", provider_id, ReceiptState.DELIVERED),
        ]


@every_kind
async def test_receipts_lost_late_or_twice(tmp_path: Path, kind: str):
    async with world(tmp_path, kind, replace(QUICK, lost=1.0)) as w:
        await w.send()
        await w.sim.settled()
        assert [r.state for r in w.texts.receipts] == [ReceiptState.SENT]
        clock, first = asyncio.get_running_loop().time, dict[tuple[str, str], float]()
        w.sim.on_event = lambda what, id_, outcome: first.setdefault((what, id_), clock())
        w.sim.faults = replace(QUICK, late=1.0, duplicate=1.0)
        late = await w.send(id_="msg_02")
        await w.sim.settled()
        assert first["delivered", late] - first["sent", late] >= QUICK.late_s
        states = [r.state for r in w.texts.receipts if r.message_id == late]
        assert states == [ReceiptState.SENT, ReceiptState.DELIVERED]
        assert w.texts.deliveries == 5, "the one before, and each of these twice"


@every_kind
async def test_what_was_not_delivered_is_told_with_its_reason(tmp_path: Path, kind: str):
    async with world(tmp_path, kind, replace(QUICK, undelivered=1.0)) as w:
        await w.send()
        await w.sim.settled()
        last = w.texts.receipts[-1]
        assert last.state in (ReceiptState.UNDELIVERED, ReceiptState.FAILED)
        assert last.error == "30003"


@every_kind
async def test_too_fast_is_told_and_nothing_was_taken(tmp_path: Path, kind: str):
    async with world(tmp_path, kind, replace(QUICK, throttle=1.0, retry_after_s=7.0)) as w:
        with pytest.raises(CarrierThrottled) as told:
            await w.send()
        assert told.value.retry_after_s == 7.0
        assert w.sim.sent == []


@every_kind
async def test_a_carrier_out_of_order_takes_nothing_for_now(tmp_path: Path, kind: str):
    async with world(tmp_path, kind, replace(QUICK, error=1.0)) as w:
        with pytest.raises(CarrierRefused) as told:
            await w.send()
        assert not told.value.permanent
        assert w.sim.sent == []


@every_kind
async def test_a_connection_cut_after_the_taking_is_not_known(tmp_path: Path, kind: str):
    async with world(tmp_path, kind, replace(QUICK, cut=1.0)) as w:
        with pytest.raises(OutcomeUnknown):
            await w.send()
        assert len(w.sim.sent) == 1, "it was taken, and not sent again by itself"


async def test_a_text_of_our_own_contract_is_taken_once_however_often_it_is_sent(tmp_path: Path):
    async with world(tmp_path, "generic", replace(QUICK, cut=1.0)) as w:
        with pytest.raises(OutcomeUnknown):
            await w.send()
        w.sim.faults = QUICK
        assert await w.send() == w.sim.sent[0].id
        assert len(w.sim.sent) == 1


async def test_an_answer_too_slow_is_not_known(tmp_path: Path):
    async with world(tmp_path, "generic", replace(QUICK, slow=1.0, slow_s=60.0), total_s=1.0) as w:
        with pytest.raises(OutcomeUnknown):
            await w.send()
        assert w.sim.sent == []


@every_kind
async def test_all_faults_at_once_lose_and_invent_nothing(tmp_path: Path, kind: str):
    faults = replace(QUICK, duplicate=0.4, reorder=0.4, forge=0.3, shuffle=0.5, late=0.3, late_s=0.05)
    async with world(tmp_path, kind, faults) as w:
        with structlog.testing.capture_logs() as lines:
            ids = [one for n in range(12) for one in w.sim.text_in(THEM, US, f"{n} {LONG if n == 5 else ''}")]
            sent = [await w.send(id_=f"msg_{n:02d}") for n in range(6)]
            await w.sim.settled()
        assert sorted(message_id for _, message_id in w.texts.texts) == sorted(ids)
        delivered = [r.message_id for r in w.texts.receipts if r.state is ReceiptState.DELIVERED]
        assert sorted(delivered) == sorted(sent)
        assert {told.status for told in w.sim.told if told.forged} == {401}
        assert lines
        for number in (THEM[1:], US[1:]):
            assert number not in str(lines)


@every_kind
async def test_the_same_seed_makes_the_same_faults(tmp_path: Path, kind: str):
    faults = Faults(duplicate=0.3, forge=0.3, lost=0.5, receipt_s=0.0)
    seen = []
    for run in range(2):
        async with world(tmp_path / str(run), kind, faults, seed=11) as w:
            await texts_in(w, 10)
            await w.send()
            await w.sim.settled()
            seen.append(sorted((told.what, told.id, told.forged) for told in w.sim.told))
    assert seen[0] == seen[1]
    assert any(forged for _, _, forged in seen[0])
