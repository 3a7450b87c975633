"""Tenants and their API keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, RowMapping, Select, bindparam, insert, or_, select, update

from gateway.storage.cursors import Cursors
from gateway.storage.database import Database
from gateway.storage.paging import Wanted, page_reader, scope_of
from gateway.storage.records import ApiKey, KeyMode, KeyRole, Page, Tenant
from gateway.storage.statements import first, run
from gateway.storage.tables import API_KEYS, TENANTS
from telephony.errors import Conflict
from telephony.ids import TenantId


class TenantRepository:
    """Who this installation serves."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, tenant: Tenant) -> None:
        """Raises Duplicate when the id is taken."""
        values = {
            "id": tenant.id,
            "name": tenant.name,
            "settings": dict(tenant.settings),
            "created_at": tenant.created_at,
        }
        await self._database.write(lambda conn: run(conn, insert(TENANTS).values(values)))

    async def get(self, tenant: TenantId) -> Tenant | None:
        row = await self._database.read(
            lambda conn: first(conn, select(TENANTS).where(TENANTS.c.id == tenant))
        )
        return None if row is None else _tenant(row)

    async def all(self) -> tuple[Tenant, ...]:
        """Every tenant, oldest first."""
        ordered = select(TENANTS).order_by(TENANTS.c.created_at, TENANTS.c.id)
        rows = await self._database.read(lambda conn: conn.execute(ordered).mappings().all())
        return tuple(_tenant(row) for row in rows)


_BY_HASH = select(API_KEYS).where(API_KEYS.c.hash == bindparam("hash"))


class KeyRepository:
    """API keys: looked up by hash, shown by tenant, revoked and never deleted."""

    def __init__(self, database: Database, cursors: Cursors) -> None:
        self._database = database
        self._cursors = cursors

    async def find_by_hash(self, key_hash: str) -> ApiKey | None:
        """The key with this SHA-256 (hex), also a revoked or expired one: ask ``valid_at``."""
        row = await self._database.read(
            lambda conn: conn.execute(_BY_HASH, {"hash": key_hash}).mappings().first()
        )
        return None if row is None else _key(row)

    async def create(self, key: ApiKey) -> None:
        """Raises Duplicate when the id or the hash is taken, BrokenConstraint without the tenant."""
        values = {
            "id": key.id,
            "tenant_id": key.tenant,
            "name": key.name,
            "role": key.role.value,
            "scopes": list(key.scopes),
            "hash": key.hash,
            "last4": key.last4,
            "prefix": key.prefix,
            "mode": key.mode.value,
            "allowed_ips": list(key.allowed_ips),
            "created_at": key.created_at,
            "expires_at": key.expires_at,
            "revoked_at": key.revoked_at,
            "last_used_at": key.last_used_at,
        }
        await self._database.write(lambda conn: run(conn, insert(API_KEYS).values(values)))

    async def get(self, tenant: TenantId, key_id: str) -> ApiKey | None:
        row = await self._database.read(lambda conn: first(conn, _own(tenant, key_id)))
        return None if row is None else _key(row)

    async def page(self, tenant: TenantId, *, limit: int, cursor: str | None = None) -> Page[ApiKey]:
        """Newest first, revoked ones too. Raises MalformedRequest (INVALID_CURSOR)."""
        wanted = Wanted(scope_of("api_keys", tenant), [API_KEYS.c.tenant_id == tenant], limit, cursor)
        return await self._database.read(page_reader(API_KEYS, wanted, self._cursors, _key))

    async def revoke(self, tenant: TenantId, key_id: str, at: datetime) -> ApiKey | None:
        """The key, revoked; the first revocation's time stays. None when the tenant has no such key."""

        def work(conn: Connection) -> RowMapping | None:
            mine = (API_KEYS.c.id == key_id, API_KEYS.c.tenant_id == tenant)
            conn.execute(update(API_KEYS).where(*mine, API_KEYS.c.revoked_at.is_(None)).values(revoked_at=at))
            return first(conn, _own(tenant, key_id))

        row = await self._database.write(work)
        return None if row is None else _key(row)

    async def grant(self, tenant: TenantId, key_id: str, scopes: Sequence[str]) -> ApiKey | None:
        """The key with these scopes besides those it has. None when the tenant has no such key; Conflict for
        one that is revoked."""

        def work(conn: Connection) -> ApiKey | None:
            row = first(conn, _own(tenant, key_id).with_for_update())
            if row is None:
                return None
            key = _key(row)
            if key.revoked_at is not None:
                raise Conflict("the key is revoked, and gains nothing any more")
            granted = replace(key, scopes=tuple(dict.fromkeys((*key.scopes, *scopes))))
            mine = (API_KEYS.c.id == key_id, API_KEYS.c.tenant_id == tenant)
            conn.execute(update(API_KEYS).where(*mine).values(scopes=list(granted.scopes)))
            return granted

        return await self._database.write(work)

    async def touch(self, key_id: str, at: datetime) -> None:
        """Note the key's last use; an older time changes nothing."""
        older = or_(API_KEYS.c.last_used_at.is_(None), API_KEYS.c.last_used_at < at)
        statement = update(API_KEYS).where(API_KEYS.c.id == key_id, older).values(last_used_at=at)
        await self._database.write(lambda conn: run(conn, statement))


def _own(tenant: TenantId, key_id: str) -> Select[*tuple[object, ...]]:
    return select(API_KEYS).where(API_KEYS.c.id == key_id, API_KEYS.c.tenant_id == tenant)


def _tenant(row: RowMapping) -> Tenant:
    return Tenant(TenantId(row["id"]), row["name"], row["created_at"], row["settings"])


def _key(row: RowMapping) -> ApiKey:
    return ApiKey(
        id=row["id"],
        tenant=TenantId(row["tenant_id"]),
        name=row["name"],
        role=KeyRole(row["role"]),
        hash=row["hash"],
        last4=row["last4"],
        prefix=row["prefix"],
        mode=KeyMode(row["mode"]),
        created_at=row["created_at"],
        scopes=tuple(row["scopes"]),
        allowed_ips=tuple(row["allowed_ips"]),
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
        last_used_at=row["last_used_at"],
    )
