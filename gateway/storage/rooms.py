"""Scheduled rooms in SQL. Fits ``video_rooms.ports.RoomStore``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, RowMapping, insert, literal_column, select, update

from gateway.storage.database import Database
from gateway.storage.errors import Duplicate
from gateway.storage.statements import first, run
from gateway.storage.tables_rooms import ROOMS as R
from telephony.ids import TenantId
from video_rooms.core.room import Recurrence, Room, Status
from video_rooms.ports import PinTaken

_LIVE: Final[ColumnElement[str]] = literal_column("'live'")
_ENDED: Final[ColumnElement[str]] = literal_column("'ended'")
_SCHEDULED: Final[ColumnElement[str]] = literal_column("'scheduled'")
"""Spelled out, as the partial indexes have them."""


class RoomRepository:
    """Another tenant's rooms are not there."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, room: Room) -> None:
        """Raises PinTaken; Duplicate for an id or a live name that is taken."""
        row = {**_row(room), "id": room.id, "tenant_id": room.tenant, "created_at": room.created_at}
        with_pin = insert(R).values(row)
        try:
            await self._database.write(lambda conn: run(conn, with_pin))
        except Duplicate as error:
            raise _told(error) from None

    async def get(self, tenant: TenantId, room_id: str) -> Room | None:
        return await self._database.read(lambda conn: _one(conn, R.c.id == room_id, R.c.tenant_id == tenant))

    async def of_live(self, live_name: str) -> Room | None:
        return await self._database.read(lambda conn: _one(conn, R.c.live_name == live_name))

    async def of_pin(self, pin: str) -> Room | None:
        if not pin:
            return None
        opens = (R.c.pin == pin, R.c.pin != literal_column("''"), R.c.status != _ENDED)
        return await self._database.read(lambda conn: _one(conn, *opens))

    async def page(self, tenant: TenantId, status: Status | None, limit: int) -> tuple[Room, ...]:
        query = select(R).where(R.c.tenant_id == tenant).order_by(R.c.listed_at.desc(), R.c.id.desc())
        if status is not None:
            query = query.where(R.c.status == status.value)
        rows = await self._database.read(lambda conn: conn.execute(query.limit(limit)).mappings().all())
        return tuple(_room(row) for row in rows)

    async def unfinished(self) -> tuple[Room, ...]:
        left = (R.c.status == _ENDED) & R.c.gone_at.is_(None)
        query = select(R).where((R.c.status == _LIVE) | left).order_by(R.c.id)
        rows = await self._database.read(lambda conn: conn.execute(query).mappings().all())
        return tuple(_room(row) for row in rows)

    async def begun_by(self, at: datetime, *, after: str, limit: int) -> tuple[Room, ...]:
        planned = (R.c.status == _SCHEDULED, R.c.scheduled_at <= at, R.c.id > after)
        query = select(R).where(*planned).order_by(R.c.id).limit(limit)
        rows = await self._database.read(lambda conn: conn.execute(query).mappings().all())
        return tuple(_room(row) for row in rows)

    async def change(self, tenant: TenantId, room_id: str, edit: Callable[[Room], Room]) -> Room | None:
        """See the port. Raises PinTaken."""
        mine = (R.c.id == room_id, R.c.tenant_id == tenant)

        def work(conn: Connection) -> Room | None:
            row = first(conn, select(R).where(*mine).with_for_update())
            if row is None:
                return None
            known = _room(row)
            edited = edit(known)
            if edited != known:
                run(conn, update(R).where(*mine).values(_row(edited)))
            return edited

        try:
            return await self._database.write(work)
        except Duplicate as error:
            raise _told(error) from None


def _told(error: Duplicate) -> Exception:
    return PinTaken() if "pin" in error.rule else error


def _one(conn: Connection, *conditions: Any) -> Room | None:
    row = first(conn, select(R).where(*conditions))
    return None if row is None else _room(row)


def _row(room: Room) -> dict[str, Any]:
    """Every column that may change."""
    return {
        "name": room.name,
        "host_user_id": room.host_user_id,
        "status": room.status.value,
        "live_name": room.live_name,
        "room_sid": room.room_sid,
        "scheduled_at": room.scheduled_at,
        "started_at": room.started_at,
        "ended_at": room.ended_at,
        "gone_at": room.gone_at,
        "why_ended": room.why_ended,
        "recording_enabled": room.recording_enabled,
        "recording_url": room.recording_url,
        "max_participants": room.max_participants,
        "settings": dict(room.settings),
        "duration_minutes": room.duration_minutes,
        "waiting_room": room.waiting_room,
        "recurrence": None if room.recurrence is None else recurrence_json(room.recurrence),
        "sequence": room.sequence,
        "pin": room.pin,
        "listed_at": room.scheduled_at or room.created_at,
        "updated_at": room.updated_at,
    }


def _room(row: RowMapping) -> Room:
    return Room(
        id=row["id"],
        tenant=TenantId(row["tenant_id"]),
        name=row["name"],
        host_user_id=row["host_user_id"],
        status=Status(row["status"]),
        live_name=row["live_name"],
        room_sid=row["room_sid"],
        scheduled_at=row["scheduled_at"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        recording_enabled=row["recording_enabled"],
        recording_url=row["recording_url"],
        max_participants=row["max_participants"],
        settings=row["settings"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        duration_minutes=row["duration_minutes"],
        waiting_room=row["waiting_room"],
        recurrence=None if row["recurrence"] is None else recurrence_of(row["recurrence"]),
        sequence=row["sequence"],
        pin=row["pin"],
        gone_at=row["gone_at"],
        why_ended=row["why_ended"],
    )


def recurrence_json(plan: Recurrence) -> dict[str, Any]:
    """As it is kept; moments are ISO 8601 in UTC, to the microsecond."""
    return {
        "rule": plan.rule,
        "zone": plan.zone,
        "without": [moment.isoformat() for moment in plan.without],
        "moved": [[original.isoformat(), to.isoformat()] for original, to in plan.moved],
    }


def recurrence_of(kept: Mapping[str, Any]) -> Recurrence:
    """What ``recurrence_json`` was made of."""
    moment = datetime.fromisoformat
    return Recurrence(
        rule=kept["rule"],
        zone=kept["zone"],
        without=tuple(moment(one) for one in kept["without"]),
        moved=tuple((moment(original), moment(to)) for original, to in kept["moved"]),
    )
