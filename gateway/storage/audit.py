"""The audit log: append-only, each entry sealed together with the one before it.

``hash`` = SHA-256 over the JSON of every other field, the previous hash included; the first entry's
previous hash is empty. Changing or taking out an entry breaks every hash behind it, which ``verify``
finds; only a cut at the very end needs a copy of the last hash to be seen.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import orjson
from sqlalchemy import Connection, RowMapping, func, insert, select

from gateway.storage.columns import to_micros
from gateway.storage.database import Database
from gateway.storage.records import AuditEntry
from gateway.storage.statements import first, run
from gateway.storage.tables import AUDIT
from telephony.ids import TenantId


class AuditRepository:
    """Entries by tenant, each tenant's chain on its own."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def append(self, entry: AuditEntry) -> AuditEntry:
        """Store the entry behind the last one; gives it back with its number and hashes."""

        def work(conn: Connection) -> AuditEntry:
            if conn.dialect.name == "postgresql":
                conn.execute(
                    select(func.pg_advisory_xact_lock(func.hashtextextended(f"audit {entry.tenant}", 0)))
                )
            mine = select(AUDIT).where(AUDIT.c.tenant_id == entry.tenant)
            last = first(conn, mine.order_by(AUDIT.c.number.desc()).limit(1))
            linked = replace(
                entry,
                number=1 if last is None else last["number"] + 1,
                previous_hash="" if last is None else last["hash"],
            )
            sealed = replace(linked, hash=seal(linked))
            run(conn, insert(AUDIT).values(_values(sealed)))
            return sealed

        return await self._database.write(work)

    async def entries(self, tenant: TenantId, *, after: int = 0, limit: int = 100) -> tuple[AuditEntry, ...]:
        """Oldest first, from the one numbered ``after`` + 1."""
        mine = select(AUDIT).where(AUDIT.c.tenant_id == tenant, AUDIT.c.number > after)
        rows = await self._database.read(
            lambda conn: conn.execute(mine.order_by(AUDIT.c.number).limit(limit)).mappings().all()
        )
        return tuple(_entry(row) for row in rows)

    async def verify(self, tenant: TenantId) -> int | None:
        """The number at which the chain is broken first, or None when every entry is as it was written."""
        expected, previous = 1, ""
        while entries := await self.entries(tenant, after=expected - 1):
            for entry in entries:
                if (entry.number, entry.previous_hash, entry.hash) != (expected, previous, seal(entry)):
                    return expected
                expected, previous = expected + 1, entry.hash
        return None


def seal(entry: AuditEntry) -> str:
    """The hash of an entry, over everything but the hash itself."""
    values = _values(entry) | {"at": to_micros(entry.at)}
    del values["hash"]
    return hashlib.sha256(orjson.dumps(values, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _values(entry: AuditEntry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "tenant_id": entry.tenant,
        "number": entry.number,
        "at": entry.at,
        "actor": entry.actor,
        "action": entry.action,
        "subject": entry.subject,
        "details": dict(entry.details),
        "previous_hash": entry.previous_hash,
        "hash": entry.hash,
    }


def _entry(row: RowMapping) -> AuditEntry:
    return AuditEntry(
        id=row["id"],
        tenant=TenantId(row["tenant_id"]),
        at=row["at"],
        actor=row["actor"],
        action=row["action"],
        subject=row["subject"],
        details=row["details"],
        number=row["number"],
        previous_hash=row["previous_hash"],
        hash=row["hash"],
    )
