"""Number masking by HTTP on a real SQLite file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.storage.database import Database
from tests.unit.http.masked import PROXY, SESSIONS
from tests.unit.http.rig import OTHER, OURS, TO, Rig, open_rig

pytestmark = pytest.mark.contract

PROXIES = tuple(f"+120255503{n:02d}" for n in range(4))
PAIR = {"party_a": TO, "party_b": OTHER}
DAY_S = 86_400


@asynccontextmanager
async def _rig(folder: Path, first_id: int = 1) -> AsyncIterator[Rig]:
    database = await Database.open(f"sqlite:///{folder / 'patchbay.db'}")
    await database.migrate()
    async with open_rig(folder, database, first_id=first_id, masking_in_sql=True) as rig:
        yield rig


async def test_a_session_from_post_to_quarantine(tmp_path: Path):
    async with _rig(tmp_path) as rig:
        numbers = await rig.pool(*PROXIES)
        made = (await rig.client.post(SESSIONS, {**PAIR, "unique_name": "ride", "quarantine": DAY_S})).data
        path = f"{SESSIONS}/{made['id']}"
        assert (await rig.client.get(path)).data == made
        assert (await rig.client.get(f"{SESSIONS}?status=active&unique_name=ride")).data == [made]
        assert (await rig.client.get(f"{SESSIONS}?party=%2B14155552671")).data == [made]
        kept = await rig.masked.interact(OURS, made["id"], rig.clock.now())
        assert [one["id"] for one in (await rig.client.get(f"{path}/interactions")).data] == [kept]
        changed = (await rig.client.ask("PATCH", path, {"party_b": "phone:bob", "ttl": 600})).data
        assert (changed["party_b"], changed["proxy_number_a"]) == ("phone:bob", made["proxy_number_a"])
        closed = (await rig.client.ask("DELETE", path, {})).data
        assert (await rig.client.ask("DELETE", path, {})).data == closed
        assert (await rig.client.get(f"{SESSIONS}?status=active")).data == []
        assert (await rig.client.get(f"{SESSIONS}?status=closed")).data == [closed]
        held = next(n for n, e164 in zip(numbers, PROXIES, strict=True) if e164 == made["proxy_number_a"])
        gone = f"{PROXY}/pool/numbers/{held}"
        assert (await rig.client.ask("DELETE", gone)).code == "NUMBER_IN_USE"
        rig.clock.advance(DAY_S)
        await rig.masked.ledger.sweep(rig.clock.now(), 10)
        assert (await rig.client.ask("DELETE", gone)).status == 204


async def test_a_list_goes_on_where_its_page_ended(tmp_path: Path):
    async with _rig(tmp_path) as rig:
        await rig.pool(*PROXIES)
        made = [
            (await rig.client.post(SESSIONS, {"party_a": f"+1415555261{n}", "party_b": OTHER})).data["id"]
            for n in range(4)
        ]
        await rig.client.ask("DELETE", f"{SESSIONS}/{made[1]}")
        seen, query = [], f"{SESSIONS}?limit=1&status=active"
        while True:
            answer = await rig.client.get(query)
            page = answer.json["meta"]["pagination"]
            seen += [one["id"] for one in answer.data]
            assert page["total"] == 3
            if not page["has_more"]:
                break
            query = f"{SESSIONS}?limit=1&status=active&cursor={page['cursor']}"
        assert seen == [made[3], made[2], made[0]]
        other = await rig.client.get(query.replace("status=active", "status=open"))
        assert (other.status, other.code) == (400, "INVALID_CURSOR")


async def test_many_at_once_get_what_there_is_and_the_rest_hear_why(tmp_path: Path):
    """One person with four numbers takes part in four sessions, however many are asked for."""
    async with _rig(tmp_path) as rig:
        await rig.pool(*PROXIES)
        async with asyncio.timeout(90):
            answers = await asyncio.gather(
                *(
                    rig.client.post(
                        SESSIONS,
                        {"party_a": TO, "party_b": f"+1415555{2700 + n % 8}"},
                        {"Idempotency-Key": f"k{n % 8}"},
                    )
                    for n in range(16)
                )
            )
        made = {answer.data["id"]: answer.data for answer in answers if answer.status == 201}
        assert len(made) == 4
        assert {one["proxy_number_a"] for one in made.values()} == set(PROXIES)
        codes = {answer.code for answer in answers if answer.status != 201}
        assert codes <= {"POOL_EXHAUSTED", "IDEMPOTENCY_IN_PROGRESS"}
        assert (await rig.client.get(SESSIONS)).json["meta"]["pagination"]["total"] == 4


async def test_an_answer_and_its_session_outlive_the_process(tmp_path: Path):
    key = {"Idempotency-Key": "ride-9"}
    body = {**PAIR, "pin": {"mode": "always"}}
    async with _rig(tmp_path) as rig:
        await rig.pool(*PROXIES)
        first = await rig.client.post(SESSIONS, body, key)
        owner = rig.keys["owner"]
        assert first.data["pin_a"]
    async with _rig(tmp_path, first_id=1000) as rig:
        client = rig.client.having(owner)
        again = await client.post(SESSIONS, body, key)
        assert again.headers["idempotent-replayed"] == "true"
        assert again.data == {**first.data, "pin_a": None, "pin_b": None}
        assert (await client.get(f"{SESSIONS}/{first.data['id']}")).data == again.data
        for pin in (first.data["pin_a"], first.data["pin_b"]):
            assert pin.encode() not in again.body


async def test_settings_outlive_the_process(tmp_path: Path):
    async with _rig(tmp_path) as rig:
        wanted = {"terms": {"ttl": 600}, "unknown": {"fallback": TO, "ask_pin": True}}
        stored = (await rig.client.ask("PUT", f"{PROXY}/settings", wanted)).data
        owner = rig.keys["owner"]
    async with _rig(tmp_path, first_id=1000) as rig:
        assert (await rig.client.having(owner).get(f"{PROXY}/settings")).data == stored
