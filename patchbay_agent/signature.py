"""Whether a connection comes from the Patchbay that shares our secret."""

from __future__ import annotations

import hashlib
import hmac

SKEW_S = 300


def proves(header: str, secret: str, session_id: str, url: str, now: float) -> bool:
    """Whether ``X-Patchbay-Signature`` was made with this secret, for this session and this address (as it is
    registered with the agent), at most five minutes from ``now`` (Unix seconds)."""
    parts = dict(part.partition("=")[::2] for part in header.split(","))
    stamp, given = parts.get("t", ""), parts.get("v1", "")
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 12 and given.isascii()):
        return False
    wanted = hmac.new(secret.encode(), f"{stamp}.{session_id}.{url}".encode(), hashlib.sha256).hexdigest()
    return abs(now - int(stamp)) <= SKEW_S and hmac.compare_digest(wanted, given)
