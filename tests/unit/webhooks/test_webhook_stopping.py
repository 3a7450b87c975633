"""How a deliverer ends: attempts have a grace, and to record what became of them takes its own time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import pytest

from gateway.webhooks.core.backoff import Answer, Reply
from gateway.webhooks.core.delivery import Delivery, Settlement
from gateway.webhooks.deliver import Deliverer
from gateway.webhooks.fakes import ManualClock
from gateway.webhooks.ports import SwitchedOff
from tests.unit.dialplan.virtual_time import in_virtual_time

pytestmark = pytest.mark.unit

NOW = datetime(2026, 3, 8, 12, tzinfo=UTC)


class SlowOutbox:
    """One delivery is due; to record what became of it takes ``record_s``."""

    def __init__(self, record_s: float) -> None:
        self._record_s = record_s
        self._due = [delivery()]
        self.recorded: list[str] = []

    async def waiting(self) -> Sequence[tuple[str, float]]:
        return [("lane", 0.0)] if self._due else []

    async def claim(self, lanes: Mapping[str, int], now: float, until: float) -> Sequence[Delivery]:
        claimed, self._due = self._due, []
        return claimed

    async def settle(self, outcomes: Sequence[Settlement]) -> Sequence[SwitchedOff]:
        await asyncio.sleep(self._record_s)
        self.recorded += [one.verdict for one in outcomes]
        return ()

    async def purge(self, before: float, limit: int) -> int:
        return 0


class Receiver:
    """Answers after ``takes_s``."""

    def __init__(self, takes_s: float) -> None:
        self._takes_s = takes_s
        self.asked = asyncio.Event()

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        self.asked.set()
        await asyncio.sleep(self._takes_s)
        return Reply(204, {})


def delivery() -> Delivery:
    return Delivery(
        id="dlv_1",
        tenant_id="ten_a",
        event_id="evt_1",
        endpoint_id="wh_1",
        lane="lane",
        url="https://example.com/",
        subject="call_1",
        sequence=1,
        attempts=0,
        created_at=NOW.timestamp(),
        claimed_until=NOW.timestamp() + 60,
        body=b"{}",
        secrets=("whsec_" + "QUJD" * 11,),
    )


@pytest.mark.parametrize(
    ("takes_s", "record_s", "recorded"),
    [(0.05, 0.0, ["delivered"]), (0.05, 4.0, ["delivered"]), (3_600.0, 4.0, ["returned"]), (0.05, 6.0, [])],
)
@in_virtual_time
async def test_what_became_of_attempts_is_recorded_however_short_their_grace_was(
    takes_s: float, record_s: float, recorded: list[str]
) -> None:
    outbox, receiver = SlowOutbox(record_s), Receiver(takes_s)
    deliverer = Deliverer(outbox, receiver, ManualClock(NOW), lambda: 0.5)
    await deliverer.start()
    await receiver.asked.wait()
    loop = asyncio.get_running_loop()
    began = loop.time()
    await deliverer.stop(grace_s=0.1, record_s=5.0)
    assert outbox.recorded == recorded
    assert loop.time() - began <= 0.1 + 5.0 + 0.001
