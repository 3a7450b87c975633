"""Signatures on a webhook, two families over the same bytes.

Standard Webhooks 1.0.0: ``webhook-id``, ``webhook-timestamp`` (integer seconds of this attempt) and
``webhook-signature`` = ``v1,`` + base64 HMAC-SHA256 of ``{id}.{timestamp}.{body}``, keyed by the
decoded secret. ``X-Devotel-Signature``: ``t={timestamp},v1=`` + hex HMAC-SHA256 of ``{timestamp}.{body}``,
keyed by the secret's text as shown to its owner. While a secret is rotated both carry two signatures,
the new secret's first.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping, Sequence
from typing import Final

from telephony.errors import InvalidInput

SECRET_PREFIX: Final = "whsec_"  # noqa: S105
SECRET_BYTES: Final = 32
"""How many random bytes a secret of ours has; any from 24 to 64 are accepted."""
TOLERANCE_S: Final = 300
_MIN_BYTES, _MAX_BYTES = 24, 64


def make_secret(raw: bytes) -> str:
    """``whsec_`` and the base64 of 24 to 64 random bytes; raises ``InvalidInput`` for another length."""
    if not _MIN_BYTES <= len(raw) <= _MAX_BYTES:
        raise InvalidInput("a signing secret has 24 to 64 bytes", field="secret")
    return SECRET_PREFIX + base64.b64encode(raw).decode("ascii")


def secret_key(secret: str) -> bytes:
    """The key bytes of a secret. The text of a wrong secret is never part of the error."""
    expected = "whsec_ followed by the base64 of 24 to 64 bytes"
    if not secret.startswith(SECRET_PREFIX):
        raise InvalidInput("not a signing secret", field="secret", expected=expected)
    try:
        raw = base64.b64decode(secret[len(SECRET_PREFIX) :], validate=True)
    except (binascii.Error, ValueError):
        raise InvalidInput("not a signing secret", field="secret", expected=expected) from None
    if not _MIN_BYTES <= len(raw) <= _MAX_BYTES:
        raise InvalidInput("not a signing secret", field="secret", expected=expected)
    return raw


def signatures(secrets: Sequence[str], message_id: str, timestamp_s: int, body: bytes) -> dict[str, str]:
    """The signature headers of one attempt. ``secrets``: the current one, then the one being rotated out."""
    standard = " ".join(_standard(secret, message_id, timestamp_s, body) for secret in secrets)
    devotel = ",".join("v1=" + _devotel(secret, timestamp_s, body) for secret in secrets)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": standard,
        "X-Devotel-Signature": f"t={timestamp_s},{devotel}",
    }


def verify_standard(secret: str, headers: Mapping[str, str], body: bytes, now_s: int) -> bool:
    """Whether the Standard Webhooks headers are genuine and within five minutes of ``now_s``.

    Header names are looked up in lower case; malformed headers are simply not genuine.
    """
    timestamp = _seconds(headers.get("webhook-timestamp", ""))
    message_id = headers.get("webhook-id", "")
    if timestamp is None or abs(now_s - timestamp) > TOLERANCE_S or not message_id:
        return False
    expected = _standard(secret, message_id, timestamp, body).encode()
    given = headers.get("webhook-signature", "").encode("utf-8", "replace").split(b" ")
    return sum(hmac.compare_digest(expected, one) for one in given) > 0


def verify_devotel(secret: str, header: str, body: bytes, now_s: int) -> bool:
    """Whether an ``X-Devotel-Signature`` is genuine and within five minutes of ``now_s``."""
    pairs = [part.strip().partition("=") for part in header.split(",")]
    timestamp = _seconds(next((value for key, _, value in pairs if key == "t"), ""))
    if timestamp is None or abs(now_s - timestamp) > TOLERANCE_S:
        return False
    expected = _devotel(secret, timestamp, body).encode()
    given = [value.encode("utf-8", "replace") for key, _, value in pairs if key == "v1"]
    return sum(hmac.compare_digest(expected, one) for one in given) > 0


def secrets_in_force(
    current: str, previous: str | None, previous_until: float | None, now: float
) -> tuple[str, ...]:
    """The secrets to sign with now: the current one, and the previous one until its overlap ends."""
    if previous is None or previous_until is None or now >= previous_until:
        return (current,)
    return (current, previous)


def _standard(secret: str, message_id: str, timestamp_s: int, body: bytes) -> str:
    text = f"{message_id}.{timestamp_s}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(secret_key(secret), text, "sha256")).decode("ascii")


def _devotel(secret: str, timestamp_s: int, body: bytes) -> str:
    return hmac.digest(secret.encode(), f"{timestamp_s}.".encode() + body, "sha256").hex()


def _seconds(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 12 else None
