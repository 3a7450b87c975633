"""Who asks: API keys, roles and scopes.

A key is ``pb_live_sk_`` or ``pb_test_sk_``, 32 random bytes in base62 and a checksum, so a mistyped or
invented key is refused without a look-up. Only its SHA-256 is kept: the key has 256 random bits, there
is nothing that a slow hash would add. Looking up by hash makes the comparison's time say nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import zlib
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import Final, Literal, Protocol, get_args

from gateway.storage.records import ApiKey, KeyMode, KeyRole
from telephony.clock import Clock
from telephony.errors import InvalidInput, NotAuthenticated, NotPermitted, StorageUnavailable
from telephony.ids import CallId, TenantId

Scope = Literal[
    "calls:read",
    "calls:write",
    "recordings:read",
    "recordings:write",
    "numbers:read",
    "numbers:write",
    "webhooks:read",
    "webhooks:write",
    "proxy:read",
    "proxy:write",
    "agents:read",
    "agents:write",
    "video:read",
    "video:write",
    "keys:read",
    "keys:write",
    "metrics:read",
    "pii:read",
]
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)
PII: Final[Scope] = "pii:read"
"""Whole telephone numbers in answers; without it they are masked."""

_WORK: Final[frozenset[Scope]] = frozenset(
    {
        "calls:read",
        "calls:write",
        "recordings:read",
        "recordings:write",
        "numbers:read",
        "numbers:write",
        "webhooks:read",
        "webhooks:write",
        "proxy:read",
        "proxy:write",
        "agents:read",
        "agents:write",
        "video:read",
        "video:write",
    }
)
ROLE_SCOPES: Final[dict[KeyRole, frozenset[Scope]]] = {
    KeyRole.OWNER: frozenset(SCOPES),
    KeyRole.ADMIN: frozenset(SCOPES),
    KeyRole.DEVELOPER: _WORK | {PII},
    KeyRole.VIEWER: frozenset(
        {
            "calls:read",
            "recordings:read",
            "numbers:read",
            "webhooks:read",
            "proxy:read",
            "agents:read",
            "video:read",
        }
    ),
    KeyRole.BILLING: frozenset({"calls:read", "numbers:read", "proxy:read", "video:read"}),
}
"""What each role may do; also a key's scopes where none are named. The one table of rights."""
GRANTABLE: Final[dict[KeyRole, frozenset[Scope]]] = {
    role: scopes | {PII} for role, scopes in ROLE_SCOPES.items()
}
"""What may be asked for by name: a viewer may be trusted with whole numbers, but not by default."""
_RANK: Final = {
    KeyRole.OWNER: 3,
    KeyRole.ADMIN: 2,
    KeyRole.DEVELOPER: 1,
    KeyRole.VIEWER: 0,
    KeyRole.BILLING: 0,
}

_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SECRET_BYTES: Final = 32
_SECRET_CHARS: Final = 43
_CHECK_CHARS: Final = 6
_KEY = re.compile(r"pb_(live|test)_sk_([0-9A-Za-z]{43})([0-9A-Za-z]{6})")
_REMEMBERED: Final = 4096
_TOUCH_EVERY: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who a request comes from, and what it may do. ``call``: an agent with the control token of this call,
    who reaches nothing else."""

    tenant: TenantId
    key_id: str
    role: KeyRole
    scopes: frozenset[str]
    test: bool
    call: CallId | None = None

    @property
    def sees_numbers(self) -> bool:
        return PII in self.scopes

    def may(self, scope: str) -> bool:
        return scope in self.scopes

    def demand(self, scope: str) -> None:
        """Raises NotPermitted unless the key has the scope."""
        if scope not in self.scopes:
            raise NotPermitted(f"this key's role and scopes do not allow {scope}")


@dataclass(frozen=True, slots=True)
class MintedKey:
    """A new key's text, to be shown once, and what is kept of it."""

    text: str
    hash: str
    prefix: str
    last4: str

    def __repr__(self) -> str:
        return f"MintedKey({self.prefix}…{self.last4})"


def mint(mode: KeyMode, raw: bytes) -> MintedKey:
    """The key of 32 random bytes. Raises ValueError for another length."""
    if len(raw) != _SECRET_BYTES:
        raise ValueError(f"a key is made of {_SECRET_BYTES} random bytes")
    prefix = f"pb_{mode.value}_sk_"
    body = prefix + _base62(int.from_bytes(raw, "big"), _SECRET_CHARS)
    text = body + _checksum(body)
    return MintedKey(text, hash_key(text), prefix, text[-4:])


def hash_key(text: str) -> str:
    """What is stored of a key: SHA-256, hex."""
    return hashlib.sha256(text.encode("ascii", "replace")).hexdigest()


def well_formed(text: str) -> bool:
    """Whether this can be a key of ours at all: spelling and checksum."""
    return _KEY.fullmatch(text) is not None and hmac.compare_digest(
        text[-_CHECK_CHARS:], _checksum(text[:-_CHECK_CHARS])
    )


def scopes_for(role: KeyRole, wanted: tuple[str, ...]) -> tuple[str, ...]:
    """A key's scopes: those named, or all of its role's. Raises InvalidInput for one beyond the role."""
    if not wanted:
        return tuple(scope for scope in SCOPES if scope in ROLE_SCOPES[role])
    beyond = [scope for scope in wanted if scope not in GRANTABLE[role]]
    if beyond:
        raise InvalidInput(
            f"the role {role.value} cannot have the scope {beyond[0]}",
            field="scopes",
            value=beyond[0],
            expected="scopes among " + ", ".join(s for s in SCOPES if s in GRANTABLE[role]),
        )
    return tuple(dict.fromkeys(wanted))


def check_grant(caller: Caller, role: KeyRole, scopes: tuple[str, ...]) -> None:
    """Nobody hands out more than they have. Raises NotPermitted."""
    if _RANK[role] > _RANK[caller.role]:
        raise NotPermitted(f"a key of role {caller.role.value} cannot make one of role {role.value}")
    beyond = [scope for scope in scopes if scope not in caller.scopes]
    if beyond:
        raise NotPermitted(f"this key does not have the scope {beyond[0]} itself")


def may_revoke(caller: Caller, role: KeyRole) -> bool:
    """Whether the caller may take away a key of this role."""
    return _RANK[role] <= _RANK[caller.role]


def from_allowed(address: str | None, allowed: tuple[str, ...]) -> bool:
    """Whether a request from this address may use a key with these addresses and networks; none is any."""
    if not allowed:
        return True
    try:
        came_from = ip_address(address or "")
    except ValueError:
        return False
    return any(came_from in network for network in map(ip_network, allowed))


class KeyBook(Protocol):
    """Where keys are kept. Raises StorageUnavailable."""

    async def find_by_hash(self, key_hash: str) -> ApiKey | None: ...

    async def touch(self, key_id: str, at: datetime) -> None: ...


@dataclass(frozen=True, slots=True)
class _Known:
    key: ApiKey
    until: float


class Authenticator:
    """Turns a key's text into a Caller.

    Keys are remembered for ``memory_s`` seconds: a revocation through this process works at once
    (``forget``), one through another process after that time at the latest.
    """

    def __init__(self, keys: KeyBook, clock: Clock, *, memory_s: float = 5.0) -> None:
        self._keys = keys
        self._clock = clock
        self._memory_s = memory_s
        self._known: OrderedDict[str, _Known] = OrderedDict()

    async def identify(self, text: str | None, address: str | None) -> Caller:
        """Raises NotAuthenticated (no, unknown, revoked or expired key), NotPermitted (wrong address)."""
        if not text:
            raise NotAuthenticated("give an API key: X-API-Key, or Authorization: Bearer")
        key_hash = hash_key(text)
        key = self._remembered(key_hash)
        if key is None:
            if not well_formed(text):
                raise NotAuthenticated("this is not an API key", code="INVALID_API_KEY")
            key = await self._find(key_hash)
        now = self._clock.wall()
        if key is None or key.revoked_at is not None:
            raise NotAuthenticated("there is no such API key (any more)", code="INVALID_API_KEY")
        if not key.valid_at(now):
            raise NotAuthenticated("this API key has expired", code="EXPIRED_TOKEN")
        if not from_allowed(address, key.allowed_ips):
            raise NotPermitted("this API key may not be used from this address", code="FORBIDDEN")
        return Caller(
            tenant=key.tenant,
            key_id=key.id,
            role=key.role,
            scopes=frozenset(key.scopes) & GRANTABLE[key.role],
            test=key.mode is KeyMode.TEST,
        )

    def forget(self, key_hash: str) -> None:
        """Ask the key book again next time."""
        self._known.pop(key_hash, None)

    def _remembered(self, key_hash: str) -> ApiKey | None:
        known = self._known.get(key_hash)
        return known.key if known is not None and self._clock.mono() < known.until else None

    async def _find(self, key_hash: str) -> ApiKey | None:
        key = await self._keys.find_by_hash(key_hash)
        if key is None or not hmac.compare_digest(key.hash, key_hash):
            return None
        self._known[key_hash] = _Known(key, self._clock.mono() + self._memory_s)
        self._known.move_to_end(key_hash)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        await self._note_use(key)
        return key

    async def _note_use(self, key: ApiKey) -> None:
        now = self._clock.wall()
        if key.last_used_at is not None and now - key.last_used_at < _TOUCH_EVERY:
            return
        try:
            await self._keys.touch(key.id, now)
        except StorageUnavailable:
            return  # the note is for people; whoever needs the database will hear that it is away


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, rest = divmod(number, 62)
        digits.append(_ALPHABET[rest])
    return "".join(reversed(digits))


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode("ascii", "replace")), _CHECK_CHARS)
