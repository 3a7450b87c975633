"""A text by the API is one text for the relay, whichever way it is told of it again."""

import itertools

import pytest

from gateway.masked_inbound import RelayedTexts
from proxy_pool.core.settings import ServiceSettings
from proxy_pool.core.text import InboundText
from proxy_pool.fakes import MemoryInteractions, MemoryLedger
from proxy_pool.texts.fakes import MemoryTexts
from proxy_pool.texts.relay import Surroundings, TextRelay
from telephony.errors import StorageUnavailable
from telephony.ids import TenantId
from telephony.numbers import E164

pytestmark = pytest.mark.unit

OURS = TenantId("ten_ours")
TEXT = InboundText("api:ten_ours", "SM01", "+14155552671", E164("+12025550301"), "Hello.")


def _texts() -> tuple[RelayedTexts, MemoryTexts]:
    ids = itertools.count(1)

    async def nobody(*_: object) -> None:
        return None

    async def settings(_: TenantId) -> ServiceSettings:
        return ServiceSettings()

    around = Surroundings(
        resolve=nobody,
        owner=lambda number: None,
        settings=settings,
        now=lambda: 1_800_000_000.0,
        new_id=lambda prefix: f"{prefix}_{next(ids):026d}",
    )
    store = MemoryTexts(MemoryInteractions(), MemoryLedger())
    return RelayedTexts(TextRelay(store, around)), store


async def test_a_text_told_twice_is_one():
    texts, _ = _texts()
    first, second = [await texts.take_in(OURS, TEXT) for _ in range(2)]
    assert (first.status, second.status) == ("received", "repeated")
    assert first.id == second.id
    assert first.id.startswith("msg_")


async def test_a_store_that_is_away_takes_nothing():
    texts, store = _texts()
    store.away = True
    with pytest.raises(StorageUnavailable):
        await texts.take_in(OURS, TEXT)
