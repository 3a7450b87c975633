"""The media server's reports: posted to us, signed with one of its API keys (LiveKit, "Webhooks").

``Authorization`` holds a JWT, without ``Bearer``, whose claim ``sha256`` is the body's digest in base64.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

import jwt
from google.protobuf.json_format import Parse, ParseError
from livekit import api

from telephony.errors import InvalidInput, NotAuthenticated
from video_rooms.core.live import LiveEvent
from video_rooms.livekit.translate import event_of

MAX_BODY: Final = 1_048_576
"""Octets. Room and participant carry up to 64 000 octets of metadata each, and attributes likewise."""
_MAX_TOKEN: Final = 4_096
_LEEWAY_S: Final = 60
"""How far the server's clock and ours may be apart. Its tokens hold for five minutes."""


def hear(
    body: bytes, authorization: str, keys: Mapping[str, str], now: Callable[[], datetime]
) -> LiveEvent | None:
    """The report, verified with the key that it names; None for a kind that we pass over.

    Raises NotAuthenticated or InvalidInput.
    """
    if len(body) > MAX_BODY:
        raise InvalidInput(f"a report of more than {MAX_BODY} octets")
    _verify(body, authorization, keys, now().timestamp())
    try:
        told = Parse(body.decode(), api.WebhookEvent(), ignore_unknown_fields=True)
    except (ParseError, UnicodeDecodeError, RecursionError) as failure:
        raise InvalidInput("not a report of the media server") from failure
    return event_of(told)


def _verify(body: bytes, authorization: str, keys: Mapping[str, str], now: float) -> None:
    token = authorization.strip().removeprefix("Bearer ").strip()
    claims = _claims(token, keys) if 0 < len(token) <= _MAX_TOKEN else None
    if claims is None:
        raise NotAuthenticated("the report is not signed with a key of the media server")
    begins, ends = _seconds(claims.get("nbf", 0)), _seconds(claims.get("exp"))
    if begins is None or ends is None or not begins - _LEEWAY_S <= now < ends + _LEEWAY_S:
        raise NotAuthenticated("the report's signature is not of now")
    digest = base64.b64encode(hashlib.sha256(body).digest())
    if not hmac.compare_digest(digest, str(claims.get("sha256", "")).encode()):
        raise NotAuthenticated("the report's signature is not of this body")


def _claims(token: str, keys: Mapping[str, str]) -> dict[str, Any] | None:
    """What the token claims, if one of our keys signed it and is the one it names."""
    for key, secret in keys.items():
        try:
            found: dict[str, Any] = jwt.decode(
                token,
                secret,
                algorithms=["HS256"],
                issuer=key,
                options={"verify_exp": False, "verify_nbf": False, "verify_iat": False, "require": ["iss"]},
            )
        except jwt.PyJWTError:
            continue
        return found
    return None


def _seconds(value: object) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
