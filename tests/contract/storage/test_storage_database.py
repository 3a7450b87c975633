"""What every database promises: whole transactions, errors in our words, concurrent writers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection, insert, select, text, update

from gateway.storage.database import Database
from gateway.storage.errors import BrokenConstraint, Duplicate
from gateway.storage.tables import DAILY_USAGE, NUMBERS, TENANTS
from telephony.errors import Conflict, InvalidInput

pytestmark = pytest.mark.contract

NOW = datetime(2026, 3, 8, 12, 0, 0, 123456, UTC)


def tenant(id_: str, **changes: object) -> dict[str, object]:
    return {"id": id_, "name": "A tenant", "settings": {}, "created_at": NOW, **changes}


def add(id_: str, **changes: object) -> Callable[[Connection], None]:
    return lambda conn: conn.execute(insert(TENANTS), tenant(id_, **changes)) and None


async def names(database: Database) -> list[str]:
    ordered = select(TENANTS.c.id).order_by(TENANTS.c.id)
    return list(await database.read(lambda conn: conn.execute(ordered).scalars().all()))


async def test_a_write_is_seen_by_the_next_read_and_gives_its_result(database: Database) -> None:
    def work(conn: Connection) -> str:
        add("a")(conn)
        return "done"

    assert await database.write(work) == "done"
    assert await names(database) == ["a"]


async def test_a_work_that_raises_leaves_nothing_behind(database: Database) -> None:
    def work(conn: Connection) -> None:
        add("a")(conn)
        raise LookupError("on purpose")

    with pytest.raises(LookupError, match="on purpose"):
        await database.write(work)
    assert await names(database) == []


async def test_moments_come_back_exact_and_in_utc_and_json_as_it_went(database: Database) -> None:
    settings = {"z": [1, None, True], "a": {"text": "é \x00 \U0001f4de"}}
    await database.write(add("a", settings=settings))
    row = await database.read(lambda conn: conn.execute(select(TENANTS)).one())
    assert (row.created_at, row.settings, list(row.settings)) == (NOW, settings, ["z", "a"])


async def test_a_naive_datetime_is_refused(database: Database) -> None:
    with pytest.raises(ValueError, match="naive"):
        await database.write(add("a", created_at=NOW.replace(tzinfo=None)))
    assert await names(database) == []


async def test_a_second_row_with_a_unique_value_is_a_duplicate(database: Database) -> None:
    await database.write(add("a"))
    with pytest.raises(Duplicate) as caught:
        await database.write(add("a"))
    assert isinstance(caught.value, Conflict)
    assert caught.value.rule
    assert caught.value.message == "A row with the same unique value exists already."


async def test_a_null_where_none_may_be_is_a_broken_constraint(database: Database) -> None:
    with pytest.raises(BrokenConstraint):
        await database.write(add("a", name=None))


async def test_a_row_without_its_parent_is_a_broken_constraint(database: Database) -> None:
    number = {
        "id": "num_1",
        "tenant_id": "nobody",
        "e164": "+14155552671",
        "capabilities": [],
        "friendly_name": "",
        "created_at": NOW,
    }
    with pytest.raises(BrokenConstraint):
        await database.write(lambda conn: conn.execute(insert(NUMBERS), number) and None)


@pytest.mark.parametrize("broken", [{"name": "\ud800"}, {"settings": {"a": "\ud800"}}])
async def test_half_a_character_is_invalid_input_not_a_failure(
    database: Database, broken: dict[str, object]
) -> None:
    with pytest.raises(InvalidInput):
        await database.write(add("a", **broken))


async def test_a_mistake_in_sql_is_not_taken_for_an_outage(database: Database) -> None:
    with pytest.raises(Exception, match="no_such_table") as caught:
        await database.read(lambda conn: conn.execute(text("SELECT * FROM no_such_table")).all())
    assert type(caught.value).__module__.startswith("sqlalchemy")


async def test_a_savepoint_of_the_work_s_own_holds(database: Database) -> None:
    def work(conn: Connection) -> None:
        add("a")(conn)
        with pytest.raises(Exception, match=r"(?i)unique"), conn.begin_nested():
            add("a")(conn)
        add("b")(conn)

    await database.write(work)
    assert await names(database) == ["a", "b"]


async def test_concurrent_writes_lose_no_update(database: Database) -> None:
    key = {"tenant_id": "t", "day": "2026-03-08"}
    await database.write(lambda conn: conn.execute(insert(DAILY_USAGE), {**key, "seconds": 0}) and None)
    once = update(DAILY_USAGE).values(seconds=DAILY_USAGE.c.seconds + 1)
    await asyncio.gather(*(database.write(lambda conn: conn.execute(once) and None) for _ in range(50)))
    assert await database.read(lambda conn: conn.execute(select(DAILY_USAGE.c.seconds)).scalar_one()) == 50


async def test_of_many_writes_at_once_the_failing_ones_fail_alone(database: Database) -> None:
    async def attempt(n: int) -> str:
        try:
            await database.write(add(f"t{n // 2}"))  # every id comes twice
        except Duplicate:
            return "duplicate"
        return "written"

    outcomes = await asyncio.gather(*(attempt(n) for n in range(40)))
    assert sorted(outcomes) == ["duplicate"] * 20 + ["written"] * 20
    assert len(await names(database)) == 20


async def test_a_cancelled_write_does_not_disturb_the_others(database: Database) -> None:
    writes = [asyncio.create_task(database.write(add(f"t{n}"))) for n in range(20)]
    writes[3].cancel()
    outcomes = await asyncio.gather(*writes, return_exceptions=True)
    assert isinstance(outcomes[3], asyncio.CancelledError)
    assert [n for n, outcome in enumerate(outcomes) if outcome is not None] == [3]
    assert set(await names(database)) >= {f"t{n}" for n in range(20) if n != 3}


async def test_migrating_what_is_up_to_date_changes_nothing(database: Database) -> None:
    await database.write(add("a"))
    await asyncio.gather(database.migrate(), database.migrate())
    assert await names(database) == ["a"]
