"""A token that lets an agent control the call it is on, and nothing else.

``pb_call_`` + base64url of ``tenant LF call id LF expiry`` + ``.`` + base64url of its HMAC-SHA256. Nobody
stores it: whoever has the installation's secret can check it. It ends by itself; the call's own end leaves
it nothing to control.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from typing import Final

from telephony.errors import NotAuthenticated
from telephony.ids import CallId, TenantId, is_id

PREFIX: Final = "pb_call_"
GRACE_S: Final = 120
"""How long a token outlives the longest its call may last: for what is still to be said of it."""
_LONGEST: Final = 400
_REFUSED: Final = "this is not the control token of a call"


@dataclass(frozen=True, slots=True)
class Control:
    """What a token opens: one call of one tenant. ``expires_at``: whole seconds since 1970."""

    tenant: TenantId
    call_id: CallId
    expires_at: int


def issue(secret: bytes, control: Control) -> str:
    """The token's text. Raises ``ValueError`` for ids that it could not hold."""
    if "\n" in control.tenant or not is_id(control.call_id, "call"):
        raise ValueError("a token is for one call of one tenant")
    body = _spelt(f"{control.tenant}\n{control.call_id}\n{control.expires_at}".encode())
    return f"{PREFIX}{body}.{_seal(secret, body)}"


def read(secret: bytes, token: str, now: float) -> Control:
    """What a token opens. Raises ``NotAuthenticated`` for one that is not ours, was changed, or has ended."""
    body, dot, seal = token.removeprefix(PREFIX).partition(".")
    spelt = token.startswith(PREFIX) and dot and len(token) <= _LONGEST and token.isascii()
    if not spelt or not hmac.compare_digest(_seal(secret, body), seal):
        raise NotAuthenticated(_REFUSED, code="INVALID_API_KEY")
    tenant, call_id, expires = urlsafe_b64decode(body + "=" * (-len(body) % 4)).decode().split("\n")
    if now >= int(expires):
        raise NotAuthenticated("the control token of this call has expired", code="EXPIRED_TOKEN")
    return Control(TenantId(tenant), CallId(call_id), int(expires))


def _seal(secret: bytes, body: str) -> str:
    return _spelt(hmac.digest(secret, b"control of a call\n" + body.encode(), "sha256"))


def _spelt(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()
