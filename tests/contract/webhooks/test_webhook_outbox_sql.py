"""What only the SQL outbox promises: it never scans a backlog, and notices other processes' changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest
from sqlalchemy import Connection, text

from gateway.storage import outbox as module
from gateway.storage.webhook_book import REMEMBER_S, SqlEndpointBook
from gateway.storage.webhook_statements import DUE

if TYPE_CHECKING:
    from .conftest import Doors

pytestmark = pytest.mark.contract


async def plan(doors: Doors, statement: str, *values: Any) -> str:
    def work(conn: Connection) -> str:
        rows = conn.exec_driver_sql("EXPLAIN QUERY PLAN " + statement, values).all()
        return "\n".join(row.detail for row in rows)

    return str(await doors.db.read(work))


async def test_claiming_walks_one_lane_of_the_index_of_pending_ones_without_sorting(sql_doors: Doors) -> None:
    told = await plan(sql_doors, DUE._spelled["sqlite"].sql, "no lane", 0, 10)
    assert "USING INDEX ix_webhook_deliveries_due (lane=? AND next_at<?)" in told
    assert "TEMP B-TREE" not in told
    assert "SCAN" not in told


async def test_looking_for_lanes_takes_one_step_per_lane(sql_doors: Doors) -> None:
    told = await plan(sql_doors, str(module._WAITING))
    assert told.count("SEARCH webhook_deliveries USING INDEX ix_webhook_deliveries_due") == 3
    assert "SCAN webhook_deliveries" not in told


async def test_a_delivery_to_an_endpoint_that_another_process_removed_ends_as_dead(sql_doors: Doors) -> None:
    endpoint = await sql_doors.endpoint()
    await sql_doors.tell()
    await sql_doors.db.write(lambda conn: conn.execute(text("DELETE FROM webhook_endpoints")))
    assert await sql_doors.tell() == (endpoint.id,)  # still remembered here
    assert await sql_doors.claim(endpoint.id) == []
    assert await sql_doors.outbox.waiting() == []
    sql_doors.clock.advance(REMEMBER_S)
    assert await sql_doors.tell() == ()


async def test_an_endpoint_added_by_another_process_is_noticed_soon(sql_doors: Doors) -> None:
    assert await sql_doors.tell() == ()
    other_process = SqlEndpointBook(sql_doors.clock.mono, sql_doors.ids.secret)
    mine, sql_doors.book = sql_doors.book, other_process
    endpoint = await sql_doors.endpoint()
    sql_doors.book = mine
    assert await sql_doors.tell() == ()
    sql_doors.clock.advance(REMEMBER_S)
    assert await sql_doors.tell() == (endpoint.id,)


async def test_what_was_read_before_a_concurrent_change_is_not_remembered(sql_doors: Doors) -> None:
    """A change committed between our look and our note of it must not be covered up."""
    endpoint = await sql_doors.endpoint()

    class Interrupted:
        """A connection during whose look another writer commits a change."""

        def __init__(self, conn: Connection) -> None:
            self._conn = conn

        def execute(self, statement: Any) -> Any:
            found = self._conn.execute(statement).all()
            sql_doors.book.forget(("ten_a",))
            return found

    def look(conn: Connection) -> Any:
        return sql_doors.book.active(cast("Connection", Interrupted(conn)), "ten_a")

    assert [one.endpoint_id for one in await sql_doors.db.read(look)] == [endpoint.id]
    await sql_doors.db.write(lambda conn: conn.execute(text("DELETE FROM webhook_endpoints")))
    assert await sql_doors.tell() == ()
