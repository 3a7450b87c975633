"""Each tenant's settings in every backend; what another release wrote is an error with a name."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import Connection, insert

from gateway.storage.masking_settings import UnreadableSettings
from gateway.storage.tables_masking import PROXY_SETTINGS
from proxy_pool.core.number import Geo
from proxy_pool.core.session import Redaction, Terms
from proxy_pool.core.settings import ServiceSettings, TextAnswers, UnknownCallers
from telephony.numbers import E164
from tests.contract.proxy_pool.ledger_rig import OURS, THEIRS, Books

pytestmark = pytest.mark.contract


async def test_settings_read_back_as_they_were_put(empty_books: Books) -> None:
    book = empty_books.settings
    assert await book.get(OURS) is None
    rich = ServiceSettings(
        terms=Terms(ttl_s=600, redaction=Redaction.MASK, record=True),
        geo=Geo.ANY,
        unknown=UnknownCallers(
            intercept_url="https://hooks.example/i", fallback=E164("+14155550100"), hook_timeout_s=1.5
        ),
        answers=TextAnswers(stop="", help="ask ☎\nus"),
        expiring_notice_s=0,
        keep_bodies=True,
    )
    for settings in (rich, ServiceSettings(), replace(rich, keep_bodies=False)):
        await book.put(OURS, settings)
        assert await book.get(OURS) == settings
    assert await book.get(THEIRS) is None


@pytest.mark.parametrize(
    "stored", [{"no_such": 1}, {"terms": {"ttl_s": 1}}, {"unknown": {"fail_open": "yes"}}, {"terms": []}]
)
async def test_settings_of_another_release_are_not_guessed_at(
    empty_books: Books, stored: dict[str, object]
) -> None:
    database = empty_books.database
    if database is None:
        pytest.skip("memory: nothing outlives the process, so no other release wrote it")

    def put(conn: Connection) -> None:
        conn.execute(insert(PROXY_SETTINGS).values(tenant_id=OURS, settings=stored))

    await database.write(put)
    with pytest.raises(UnreadableSettings):
        await empty_books.settings.get(OURS)
