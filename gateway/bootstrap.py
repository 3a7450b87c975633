"""The first tenant and its first key, so that a fresh installation can be talked to at once."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from pathlib import Path

from gateway.auth import ROLE_SCOPES, hash_key, mint, well_formed
from gateway.config import Settings, ensure_signing_secret
from gateway.storage.cursors import Cursors
from gateway.storage.database import Database
from gateway.storage.keys import KeyRepository, TenantRepository
from gateway.storage.records import ApiKey, KeyMode, KeyRole, Tenant
from telephony.clock import Clock
from telephony.ids import TenantId

FIRST_TENANT = TenantId("ten_default")
_NAME = "first owner key"


@dataclass(frozen=True, slots=True)
class FirstKey:
    """The key of the first tenant's owner, kept in ``var_dir/api-key`` (mode 0600) for whoever starts it."""

    tenant: TenantId
    text: str = field(repr=False)


async def ensure_first_key(
    settings: Settings, clock: Clock, new_key_id: str, random_32_bytes: bytes
) -> FirstKey:
    """Bring the database up to date, and give the key that is kept here, made now if there is none valid."""
    await asyncio.to_thread(settings.var_dir.mkdir, parents=True, exist_ok=True)
    database = await Database.open(settings.database_url, synchronous=settings.db_synchronous)
    try:
        await database.migrate()
        tenants, keys = TenantRepository(database), KeyRepository(database, _cursors(settings))
        if await tenants.get(FIRST_TENANT) is None:
            await tenants.create(Tenant(FIRST_TENANT, "default", clock.wall()))
        kept = settings.var_dir / "api-key"
        text = kept.read_text().strip() if kept.exists() else ""
        if well_formed(text):
            known = await keys.find_by_hash(hash_key(text))
            if known is not None and known.valid_at(clock.wall()):
                await _keep_whole(keys, known)
                return FirstKey(known.tenant, text)
        minted = mint(KeyMode.LIVE, random_32_bytes)
        await keys.create(
            ApiKey(
                id=new_key_id,
                tenant=FIRST_TENANT,
                name=_NAME,
                role=KeyRole.OWNER,
                hash=minted.hash,
                last4=minted.last4,
                prefix=minted.prefix,
                mode=KeyMode.LIVE,
                created_at=clock.wall(),
                scopes=tuple(sorted(ROLE_SCOPES[KeyRole.OWNER])),
            )
        )
        _keep(kept, minted.text)
        return FirstKey(FIRST_TENANT, minted.text)
    finally:
        await database.close()


async def _keep_whole(keys: KeyRepository, key: ApiKey) -> None:
    """The key that was made here may do everything, also what came with a later release. One that somebody
    put in its place is left as it is."""
    lacking = ROLE_SCOPES[KeyRole.OWNER] - set(key.scopes)
    if key.name == _NAME and key.role is KeyRole.OWNER and lacking:
        await keys.grant(key.tenant, key.id, sorted(lacking))


def _cursors(settings: Settings) -> Cursors:
    return Cursors(ensure_signing_secret(settings).reveal().encode())


def _keep(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".new")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text + "\n")
    part.replace(path)
