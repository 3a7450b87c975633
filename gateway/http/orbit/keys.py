"""API keys: make, list, revoke. A key's text is shown once, when it is made."""

from __future__ import annotations

from datetime import timedelta
from ipaddress import ip_network
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from gateway.auth import Scope, check_grant, may_revoke, mint, scopes_for
from gateway.http.answers import Answer, Plain
from gateway.http.exchange import stamp
from gateway.http.operation import Ask
from gateway.http.orbit.audit import note
from gateway.http.orbit.fields import Name, PageQuery
from gateway.http.orbit.views import page_meta
from gateway.http.schema import Shown, Strict
from gateway.storage.records import ApiKey, Json, KeyMode, KeyRole
from telephony.errors import NotFound, NotPermitted

Role = Literal["owner", "admin", "developer", "viewer", "billing"]
Expiry = Literal["never", "30d", "90d", "1y"]
LIFETIMES: Final[dict[str, timedelta | None]] = {
    "never": None,
    "30d": timedelta(days=30),
    "90d": timedelta(days=90),
    "1y": timedelta(days=365),
}


def _network(text: str) -> str:
    try:
        return str(ip_network(text, strict=False))
    except ValueError:
        raise PydanticCustomError("ip_network", "an IP address or a network, e.g. 192.0.2.0/24") from None


Network = Annotated[
    str, AfterValidator(_network), Field(max_length=64, json_schema_extra={"examples": ["192.0.2.0/24"]})
]


class CreateKey(Strict):
    """A new key. It can have no more rights than the key that makes it."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "CRM", "role": "developer", "expiresIn": "90d"}]}
    )

    name: Name
    type: Literal["secret"] = "secret"
    role: Role = "developer"
    scopes: Annotated[list[Scope], Field(max_length=20)] = Field(
        default_factory=list, description="What it may do; all that its role may if left out."
    )
    mode: Literal["live", "test"] = Field(default="live", description="Test keys place no calls.")
    expires_in: Expiry = Field(default="never", alias="expiresIn")
    allowed_ips: Annotated[list[Network], Field(max_length=50)] = Field(
        default_factory=list, description="Addresses and networks it may be used from; any if left out."
    )


class KeyShown(Shown):
    """A key. `value` is its text, in the answer that made it and never again."""

    id: str
    name: str
    type: Literal["secret"]
    role: Role
    scopes: list[str]
    mode: Literal["live", "test"]
    prefix: str
    last4: str
    allowed_ips: list[str]
    active: bool
    created_at: str
    expires_at: str | None
    revoked_at: str | None
    last_used_at: str | None
    value: str | None


async def create(ask: Ask) -> Answer:
    """Make a key. One that a cut-off attempt made is shown without its text: revoke it, make another."""
    wanted: CreateKey = ask.body
    if ask.again and (made := await ask.face.books.keys.get(ask.caller.tenant, ask.resource_id)):
        return Answer(_view(ask, made, None))
    role, mode = KeyRole(wanted.role), KeyMode(wanted.mode)
    scopes = scopes_for(role, tuple(wanted.scopes))
    check_grant(ask.caller, role, scopes)
    lifetime = LIFETIMES[wanted.expires_in]
    minted = mint(mode, ask.face.random_bytes(32))
    key = ApiKey(
        id=ask.resource_id,
        tenant=ask.caller.tenant,
        name=wanted.name,
        role=role,
        hash=minted.hash,
        last4=minted.last4,
        prefix=minted.prefix,
        mode=mode,
        created_at=ask.exchange.at,
        scopes=scopes,
        allowed_ips=tuple(wanted.allowed_ips),
        expires_at=None if lifetime is None else ask.exchange.at + lifetime,
    )
    await ask.face.books.keys.create(key)
    await note(ask, "key.created", key.id, {"role": role.value, "mode": mode.value, "name": key.name})
    return Answer(_view(ask, key, minted.text))


async def list_page(ask: Ask) -> Answer:
    query: PageQuery = ask.query
    page = await ask.face.books.keys.page(ask.caller.tenant, limit=query.limit, cursor=query.cursor)
    return Answer([_view(ask, key, None) for key in page.items], page_meta(page))


async def revoke(ask: Ask) -> Plain:
    """Take a key's rights away, at once. Revoking it again changes nothing."""
    tenant, key_id = ask.caller.tenant, ask.path["key_id"]
    key = await ask.face.books.keys.get(tenant, key_id)
    if key is None:
        raise NotFound("there is no such key")
    if not may_revoke(ask.caller, key.role):
        raise NotPermitted(
            f"a key of role {ask.caller.role.value} cannot revoke one of role {key.role.value}"
        )
    await ask.face.books.keys.revoke(tenant, key_id, ask.exchange.at)
    ask.face.auth.forget(key.hash)
    await note(ask, "key.revoked", key_id, {"name": key.name})
    return Plain(b"", b"")


def _view(ask: Ask, key: ApiKey, text: str | None) -> dict[str, Json]:
    return {
        "id": key.id,
        "name": key.name,
        "type": "secret",
        "role": key.role.value,
        "scopes": list(key.scopes),
        "mode": key.mode.value,
        "prefix": key.prefix,
        "last4": key.last4,
        "allowed_ips": list(key.allowed_ips),
        "active": key.valid_at(ask.exchange.at),
        "created_at": stamp(key.created_at),
        "expires_at": None if key.expires_at is None else stamp(key.expires_at),
        "revoked_at": None if key.revoked_at is None else stamp(key.revoked_at),
        "last_used_at": None if key.last_used_at is None else stamp(key.last_used_at),
        "value": text,
    }
