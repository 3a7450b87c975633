"""The face on a real SQLite file: what was answered outlives the process, and a lock is a 503."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.storage.database import Database
from tests.unit.http.rig import CALLS, FROM, OTHER, TO, Rig, open_rig

pytestmark = pytest.mark.contract

KEY = {"Idempotency-Key": "order-7"}


async def _open(file: Path) -> Database:
    database = await Database.open(f"sqlite:///{file}")
    await database.migrate()
    return database


@asynccontextmanager
async def _rig(folder: Path) -> AsyncIterator[Rig]:
    async with open_rig(folder, await _open(folder / "patchbay.db")) as rig:
        yield rig


async def test_a_call_from_post_to_story(tmp_path: Path):
    async with _rig(tmp_path) as rig:
        call_id = await rig.ended(record=True, metadata={"a": "b"})
        call = (await rig.client.get(f"{CALLS}/{call_id}")).data
        assert (call["status"], call["duration_seconds"], call["metadata"]) == ("completed", 30, {"a": "b"})
        assert call["recordings"][0]["status"] == "ready"
        events = (await rig.client.get(f"{CALLS}/{call_id}/events")).data
        assert [event["sequence"] for event in events] == list(range(1, len(events) + 1))
        assert (await rig.client.get(CALLS)).data[0]["recording_url"] == call["recording_url"]


async def test_fifty_requests_at_once_with_ten_keys_make_ten_calls(tmp_path: Path):
    async with _rig(tmp_path) as rig:
        async with asyncio.timeout(90):
            answers = await asyncio.gather(
                *(
                    rig.client.post(CALLS, {"to": TO, "from": FROM}, {"Idempotency-Key": f"k{n % 10}"})
                    for n in range(50)
                )
            )
        assert {answer.status for answer in answers} <= {201, 409}
        made = {answer.data["id"] for answer in answers if answer.status == 201}
        assert len(made) == 10
        assert (await rig.client.get(CALLS)).json["meta"]["pagination"]["total"] == 10


async def test_a_kept_answer_outlives_the_process(tmp_path: Path):
    body = {"to": TO, "from": FROM}
    async with _rig(tmp_path) as rig:
        first = await rig.client.post(CALLS, body, KEY)
        key = rig.keys["owner"]
    async with open_rig(tmp_path, await _open(tmp_path / "patchbay.db"), first_id=1000) as rig:
        again = await rig.client.having(key).post(CALLS, body, KEY)
        assert (again.status, again.body) == (201, first.body)
        assert again.headers["idempotent-replayed"] == "true"
        assert (await rig.client.having(key).get(f"{CALLS}/{first.data['id']}")).data == {
            **first.data,
            "recordings": [],
            "agent": None,
            "agent_summary": None,
        }


async def test_a_locked_database_is_503_in_time_and_leaves_no_call(tmp_path: Path):
    async with _rig(tmp_path) as rig:
        assert (await rig.client.get(CALLS)).status == 200
        other = sqlite3.connect(tmp_path / "patchbay.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        try:
            async with asyncio.timeout(60):
                answer = await rig.client.post(CALLS, {"to": TO, "from": FROM})
            assert (answer.status, answer.code) == (503, "SERVICE_UNAVAILABLE")
            assert answer.headers["retry-after"] == "5"
            assert (await rig.client.get(CALLS)).json["meta"]["pagination"]["total"] == 0
        finally:
            other.execute("ROLLBACK")
            other.close()
        assert (await rig.client.post(CALLS, {"to": TO, "from": FROM})).status == 201


async def test_numbers_keys_and_lists_on_a_file(tmp_path: Path):
    async with _rig(tmp_path) as rig:
        number = (await rig.client.post("/api/v1/numbers", {"e164": "+12025550155", "is_default": True})).data
        assert (await rig.client.post(CALLS, {"to": TO})).data["from"] == "+12025550155"
        assert (await rig.client.post("/api/v1/numbers", {"e164": "+12025550155"})).code == "NUMBER_TAKEN"
        path = f"/api/v1/numbers/{number['id']}"
        assert (await rig.client.ask("PATCH", path, {"friendly_name": "x"})).data["friendly_name"] == "x"
        key = (await rig.client.post("/api/v1/settings/api-keys", {"name": "k", "role": "viewer"})).data
        assert (await rig.client.having(key["value"]).get(CALLS)).status == 200
        await rig.place(to=OTHER)
        page = (await rig.client.get(f"{CALLS}?limit=1")).json["meta"]["pagination"]
        assert (page["total"], page["has_more"]) == (2, True)
        second = (await rig.client.get(f"{CALLS}?limit=1&cursor={page['cursor']}")).json
        assert second["meta"]["pagination"] == {"cursor": None, "has_more": False, "total": 2}
