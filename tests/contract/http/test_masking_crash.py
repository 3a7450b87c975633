"""A request for a masking session whose server is killed at each numbered point, and is sent again."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import pytest
from sqlalchemy import select

from gateway.storage.database import Database
from gateway.storage.idempotency import LEASE
from gateway.storage.tables import IDEMPOTENCY
from telephony.numbers import E164
from tests.contract.http.dying_face import BODY, KEY
from tests.unit.http.masked import SESSIONS
from tests.unit.http.rig import OURS, open_rig

pytestmark = pytest.mark.contract


@pytest.mark.parametrize("point", [1, 2, 3, 4, 5])
async def test_a_request_that_is_sent_again_opens_one_session(point: int, tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.contract.http.dying_face", str(point), str(tmp_path)),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(110):
        _, complaint = await process.communicate()
    assert process.returncode == -signal.SIGKILL, f"it died elsewhere: {complaint.decode()[-2000:]}"
    assert not (tmp_path / "answered").exists()
    owner = (tmp_path / "owner").read_text()
    database = await Database.open(f"sqlite:///{tmp_path / 'patchbay.db'}")
    claimed = await database.read(lambda conn: conn.execute(select(IDEMPOTENCY.c.resource_id)).scalar_one())
    async with open_rig(tmp_path, database, first_id=1000, masking_in_sql=True) as rig:
        await rig.masked.masking._memory.refresh()
        client = rig.client.having(owner)
        listed = (await client.get(SESSIONS)).data
        assert len(listed) == (1 if point >= 3 else 0)
        if point != 5:
            soon = await client.post(SESSIONS, BODY, KEY)
            assert soon.code == "IDEMPOTENCY_IN_PROGRESS", "nobody knows yet that the first one died"
            rig.clock.advance(LEASE.total_seconds())
        again = await client.post(SESSIONS, BODY, KEY)
        assert again.status == 201
        assert again.headers.get("idempotent-replayed") == ("true" if point == 5 else None)
        if listed:
            assert again.data == listed[0], "the same session on the same numbers"
        assert again.data["id"] == claimed, "the id that the first attempt was given"
        assert (await client.get(SESSIONS)).data == [again.data]
        for one, number in (("party_a", "proxy_number_a"), ("party_b", "proxy_number_b")):
            found = await rig.masked.masking.resolve(OURS, BODY[one], E164(again.data[number]))
            assert found is not None
            assert found[0].id == again.data["id"]
