"""Invites into rooms in SQL. Fits ``video_rooms.ports.InviteStore``."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, insert, select, update

from gateway.storage.database import Database
from gateway.storage.statements import first, run
from gateway.storage.tables_rooms import ROOM_INVITES as V
from telephony.ids import TenantId
from video_rooms.core.room import Invite


class RoomInviteRepository:
    """Another tenant's invites are not there; a token is its own credential."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, invite: Invite) -> None:
        """Raises Duplicate for an id or a token that is taken."""
        row = {
            "id": invite.id,
            "room_id": invite.room_id,
            "tenant_id": invite.tenant,
            "token": invite.token,
            "participant_name": invite.participant_name,
            "expires_at": invite.expires_at,
            "revoked_at": invite.revoked_at,
            "max_uses": invite.max_uses,
            "uses_count": invite.uses_count,
            "created_at": invite.created_at,
        }
        await self._database.write(lambda conn: run(conn, insert(V).values(row)))

    async def of_room(
        self, tenant: TenantId, room_id: str, *, expired_too: bool, now: datetime, limit: int
    ) -> tuple[Invite, ...]:
        """Newest first."""
        query = select(V).where(V.c.room_id == room_id, V.c.tenant_id == tenant)
        if not expired_too:
            query = query.where(V.c.expires_at > now)
        query = query.order_by(V.c.created_at.desc(), V.c.id.desc()).limit(limit)
        rows = await self._database.read(lambda conn: conn.execute(query).mappings().all())
        return tuple(_invite(row) for row in rows)

    async def revoke(self, tenant: TenantId, room_id: str, invite_id: str, at: datetime) -> bool:
        """Revoking again changes nothing. False: there is no such invite."""
        mine = (V.c.id == invite_id, V.c.room_id == room_id, V.c.tenant_id == tenant)

        def work(conn: Connection) -> bool:
            if run(conn, update(V).where(*mine, V.c.revoked_at.is_(None)).values(revoked_at=at)) == 1:
                return True
            return first(conn, select(V.c.id).where(*mine)) is not None

        return await self._database.write(work)

    async def find(self, token: str, now: datetime) -> Invite | None:
        query = select(V).where(*_good(token, now))
        row = await self._database.read(lambda conn: first(conn, query))
        return None if row is None else _invite(row)

    async def use(self, token: str, now: datetime) -> Invite | None:
        """One statement counts and judges: however many redeem at once, none is let in too many."""
        counted = update(V).where(*_good(token, now)).values(uses_count=V.c.uses_count + 1)

        def work(conn: Connection) -> Invite | None:
            row = conn.execute(counted.returning(*V.c)).mappings().first()
            return None if row is None else _invite(row)

        return await self._database.write(work)


def _good(token: str, now: datetime) -> tuple[ColumnElement[bool], ...]:
    left: Any = V.c.max_uses.is_(None) | (V.c.uses_count < V.c.max_uses)
    return V.c.token == token, V.c.revoked_at.is_(None), V.c.expires_at > now, left


def _invite(row: RowMapping) -> Invite:
    return Invite(
        **{name: value for name, value in row.items() if name != "tenant_id"}, tenant=row["tenant_id"]
    )
