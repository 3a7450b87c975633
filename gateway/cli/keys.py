"""``patchbay keys``: make, list, widen and revoke API keys, at the database itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Final, TypeVar

import typer

from gateway.auth import mint, scopes_for
from gateway.bootstrap import FIRST_TENANT
from gateway.clocks import SystemClock, new_id, random_bytes
from gateway.config import Settings, current_settings, ensure_signing_secret
from gateway.storage.audit import AuditRepository
from gateway.storage.cursors import Cursors
from gateway.storage.database import Database
from gateway.storage.keys import KeyRepository
from gateway.storage.records import ApiKey, AuditEntry, Json, KeyMode, KeyRole
from telephony.errors import NotFound
from telephony.ids import TenantId

T = TypeVar("T")
app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
_PAGE: Final = 100
_ACTOR: Final = "command line"
OfTenant = Annotated[str, typer.Option("--tenant", help="The tenant it belongs to.")]


@dataclass(frozen=True, slots=True)
class _Opened:
    keys: KeyRepository
    audit: AuditRepository


@app.command()
def create(
    name: str,
    role: Annotated[KeyRole, typer.Option(help="What it may do.")] = KeyRole.DEVELOPER,
    mode: Annotated[KeyMode, typer.Option(help="Test keys place no calls.")] = KeyMode.LIVE,
    days: Annotated[int, typer.Option(min=0, help="Days until it expires; 0 for never.")] = 0,
    scope: Annotated[
        list[str] | None, typer.Option(help="A scope; again for more. All of the role's if left out.")
    ] = None,
    tenant: OfTenant = FIRST_TENANT,
) -> None:
    """Make a key. Its text is printed once and kept nowhere."""
    minted = mint(mode, random_bytes(32))
    now = SystemClock().wall()
    key = ApiKey(
        id=new_id("key"),
        tenant=TenantId(tenant),
        name=name,
        role=role,
        hash=minted.hash,
        last4=minted.last4,
        prefix=minted.prefix,
        mode=mode,
        created_at=now,
        scopes=scopes_for(role, tuple(scope or ())),
        expires_at=now + timedelta(days=days) if days else None,
    )

    async def store(opened: _Opened) -> None:
        await opened.keys.create(key)
        await _note(opened, key, "key.created")

    _run(store)
    print(minted.text)


@app.command("list")
def list_keys(tenant: OfTenant = FIRST_TENANT) -> None:
    """Every key of a tenant, newest first."""
    now = SystemClock().wall()
    for key in _run(lambda opened: _all(opened.keys, TenantId(tenant))):
        state = "revoked" if key.revoked_at else "valid" if key.valid_at(now) else "expired"
        used = key.last_used_at.date().isoformat() if key.last_used_at else "never"
        print(f"{key.id}  {key.prefix}…{key.last4}  {key.role.value:<9}  {state:<7}  used {used}  {key.name}")
        lacking = [scope for scope in scopes_for(key.role, ()) if scope not in key.scopes]
        if lacking and state == "valid":
            print(f"{'':<{len(key.id)}}  without {' '.join(lacking)}")


@app.command()
def grant(
    key_id: str,
    scope: Annotated[
        list[str] | None, typer.Option(help="A scope; again for more. All of the role's if left out.")
    ] = None,
    tenant: OfTenant = FIRST_TENANT,
) -> None:
    """Give a key more scopes of its role, e.g. those that came with a new release. It keeps those it has; a
    running gateway notices within 5 seconds."""

    async def widen(opened: _Opened) -> ApiKey:
        key = await opened.keys.get(TenantId(tenant), key_id)
        if key is None:
            raise NotFound(f"tenant {tenant} has no key {key_id}")
        wanted = scopes_for(key.role, tuple(scope or ()))
        gained: list[Json] = [one for one in wanted if one not in key.scopes]
        granted = await opened.keys.grant(key.tenant, key_id, wanted)
        if granted is None:
            raise NotFound(f"tenant {tenant} has no key {key_id}")
        if gained:
            await _note(opened, granted, "key.granted", gained=gained)
        return granted

    key = _run(widen)
    print(f"{key_id} has {' '.join(key.scopes)}")


@app.command()
def revoke(key_id: str, tenant: OfTenant = FIRST_TENANT) -> None:
    """Take a key's rights away; a running gateway notices within 5 seconds."""

    async def end(opened: _Opened) -> None:
        key = await opened.keys.revoke(TenantId(tenant), key_id, SystemClock().wall())
        if key is None:
            raise NotFound(f"tenant {tenant} has no key {key_id}")
        await _note(opened, key, "key.revoked")

    _run(end)
    print(f"{key_id} is revoked")


async def _note(opened: _Opened, key: ApiKey, action: str, **more: Json) -> None:
    details: dict[str, Json] = {"name": key.name, "role": key.role.value, "mode": key.mode.value, **more}
    entry = AuditEntry(new_id("aud"), key.tenant, SystemClock().wall(), _ACTOR, action, key.id, details)
    await opened.audit.append(entry)


async def _all(keys: KeyRepository, tenant: TenantId) -> list[ApiKey]:
    found: list[ApiKey] = []
    cursor = None
    while True:
        page = await keys.page(tenant, limit=_PAGE, cursor=cursor)
        found += page.items
        if page.cursor is None:
            return found
        cursor = page.cursor


def _run(work: Callable[[_Opened], Awaitable[T]]) -> T:
    return asyncio.run(_with_database(current_settings(), work))


async def _with_database(settings: Settings, work: Callable[[_Opened], Awaitable[T]]) -> T:
    database = await Database.open(settings.database_url, synchronous=settings.db_synchronous)
    try:
        await database.migrate()
        cursors = Cursors(ensure_signing_secret(settings).reveal().encode())
        return await work(_Opened(KeyRepository(database, cursors), AuditRepository(database)))
    finally:
        await database.close()
