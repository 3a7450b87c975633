"""Rooms' recordings. Fits ``gateway.room_recordings.Tapes``."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, RowMapping, delete, select

from gateway.storage.database import Database
from gateway.storage.statements import run, upsert
from gateway.storage.tables_room_tapes import ROOM_RECORDINGS as R
from telephony.ids import TenantId
from video_rooms.core.tape import RoomTape, TapeState

_CHUNK = 500
_FINAL = (TapeState.READY.value, TapeState.FAILED.value)


class RoomTapeRepository:
    """Another tenant's recordings are not there."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def save(self, tape: RoomTape) -> None:
        """Insert, or bring up to date."""
        await self._database.write(lambda conn: _put(conn, tape))

    async def settle(self, tape: RoomTape) -> bool:
        """Keep how it ended, once: False where that is kept already."""
        mine = select(R.c.state).where(R.c.id == tape.id).with_for_update()

        def once(conn: Connection) -> bool:
            if conn.execute(mine).scalar() in _FINAL:
                return False
            _put(conn, tape)
            return True

        return await self._database.write(once)

    async def get(self, tenant: TenantId, tape_id: str) -> RoomTape | None:
        found = await self._where(R.c.id == tape_id, R.c.tenant_id == tenant)
        return found[0] if found else None

    async def of_room(self, tenant: TenantId, room_id: str) -> tuple[RoomTape, ...]:
        """Oldest first."""
        return await self._where(R.c.room_id == room_id, R.c.tenant_id == tenant)

    async def unfinished(self) -> tuple[RoomTape, ...]:
        """Of every tenant."""
        return await self._where(R.c.state.not_in(_FINAL))

    async def known(self, ids: Sequence[str]) -> frozenset[str]:
        """Which of these there are, whosever they are."""

        def found(conn: Connection) -> frozenset[str]:
            parts = (ids[at : at + _CHUNK] for at in range(0, len(ids), _CHUNK))
            return frozenset(
                one
                for part in parts
                for one in conn.execute(select(R.c.id).where(R.c.id.in_(part))).scalars()
            )

        return await self._database.read(found)

    async def forget(self, tenant: TenantId, tape_id: str) -> bool:
        """Drop a finished recording's row; False when there is none, or it is still being made."""
        mine = delete(R).where(R.c.id == tape_id, R.c.tenant_id == tenant, R.c.state.in_(_FINAL))
        return await self._database.write(lambda conn: run(conn, mine)) > 0

    async def _where(self, *conditions: ColumnElement[bool]) -> tuple[RoomTape, ...]:
        query = select(R).where(*conditions).order_by(R.c.started_at, R.c.id)
        rows = await self._database.read(lambda conn: conn.execute(query).mappings().all())
        return tuple(_tape(row) for row in rows)


def _put(conn: Connection, tape: RoomTape) -> None:
    values = {
        "id": tape.id,
        "tenant_id": tape.tenant,
        "room_id": tape.room_id,
        "state": tape.state.value,
        "started_at": tape.started_at,
        "ended_at": tape.ended_at,
        "duration_ms": tape.duration_ms,
        "size": tape.size,
        "speakers": tape.speakers,
        "location": tape.location,
        "why": tape.why,
    }
    upsert(conn, R, values, ("id",), ("tenant_id", "room_id", "started_at"))


def _tape(row: RowMapping) -> RoomTape:
    return RoomTape(
        id=row["id"],
        room_id=row["room_id"],
        tenant=TenantId(row["tenant_id"]),
        state=TapeState(row["state"]),
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        duration_ms=row["duration_ms"],
        size=row["size"],
        speakers=row["speakers"],
        location=row["location"],
        why=row["why"],
    )
