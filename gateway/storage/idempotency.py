"""One answer for one Idempotency-Key: claim, then store the answer or let go.

A claim that was never answered (the process died in between) can be taken over after ``LEASE``; the new
holder gets the first one's resource id, so that it can look whether the effect is there already.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, Connection, delete, select, tuple_, update

from gateway.storage.database import Database
from gateway.storage.records import Claim, Claimed, InProgress, Mismatch, Replay
from gateway.storage.statements import first, insert_new, run
from gateway.storage.tables import IDEMPOTENCY
from telephony.ids import TenantId

KEPT: Final = timedelta(hours=24)
LEASE: Final = timedelta(seconds=60)
"""Longer than any request may take: an open claim older than this has lost its process."""
_SLICE: Final = 1_000

_OPEN, _DONE = "open", "done"


class IdempotencyRepository:
    """Claims by tenant and key."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(
        self, tenant: TenantId, key: str, fingerprint: str, resource_id: str, now: datetime
    ) -> Claim:
        """Ask to carry a request out. ``fingerprint`` tells requests apart; its result is ``resource_id``."""

        def work(conn: Connection) -> Claim:
            fresh = {
                "fingerprint": fingerprint,
                "resource_id": resource_id,
                "state": _OPEN,
                "status": None,
                "body": None,
                "created_at": now,
                "claimed_at": now,
            }
            if insert_new(conn, IDEMPOTENCY, {"tenant_id": tenant, "key": key, **fresh}):
                return Claimed(resource_id)
            row = first(conn, select(IDEMPOTENCY).where(*_mine(tenant, key)).with_for_update())
            if row is None:
                return work(conn)  # released in the meantime: it is ours after all
            if now - row["created_at"] >= KEPT:
                run(conn, update(IDEMPOTENCY).where(*_mine(tenant, key)).values(fresh))
                return Claimed(resource_id)
            if row["fingerprint"] != fingerprint:
                return Mismatch()
            if row["state"] == _DONE:
                return Replay(row["status"], row["body"])
            if now - row["claimed_at"] < LEASE:
                return InProgress()
            run(conn, update(IDEMPOTENCY).where(*_mine(tenant, key)).values(claimed_at=now))
            return Claimed(row["resource_id"], again=True)

        return await self._database.write(work)

    async def complete(self, tenant: TenantId, key: str, status: int, body: bytes) -> None:
        """Keep the answer of a claimed request; later claims replay it."""
        await self._database.write(lambda conn: complete_in(conn, tenant, key, status, body))

    async def release(self, tenant: TenantId, key: str) -> None:
        """Forget a claim whose request failed on our side: the next attempt starts afresh."""
        statement = delete(IDEMPOTENCY).where(*_mine(tenant, key), IDEMPOTENCY.c.state == _OPEN)
        await self._database.write(lambda conn: run(conn, statement))

    async def purge(self, now: datetime) -> int:
        """Drop what is older than ``KEPT``, in slices that let other writes through; how many rows went."""
        row_key = tuple_(IDEMPOTENCY.c.tenant_id, IDEMPOTENCY.c.key)
        old = select(IDEMPOTENCY.c.tenant_id, IDEMPOTENCY.c.key).where(IDEMPOTENCY.c.created_at <= now - KEPT)
        statement = delete(IDEMPOTENCY).where(row_key.in_(old.limit(_SLICE)))
        gone = 0
        while (slice_ := await self._database.write(lambda conn: run(conn, statement))) > 0:
            gone += slice_
        return gone


def complete_in(conn: Connection, tenant: TenantId, key: str, status: int, body: bytes) -> None:
    """``complete`` inside a transaction of the caller's, together with the effect itself."""
    answer = {"state": _DONE, "status": status, "body": body}
    run(conn, update(IDEMPOTENCY).where(*_mine(tenant, key), IDEMPOTENCY.c.state == _OPEN).values(answer))


def _mine(tenant: TenantId, key: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return IDEMPOTENCY.c.tenant_id == tenant, IDEMPOTENCY.c.key == key
