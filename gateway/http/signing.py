"""Addresses that carry their own permission: signed with HMAC-SHA256, for a limited time."""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass, field
from typing import Final

from gateway.http.errors import SignatureRefused

RECORDING_ID: Final = re.compile(r"call_[0-9A-HJKMNP-TV-Z]{26}-[0-9]{1,3}")


@dataclass(frozen=True, slots=True)
class RecordingLinks:
    """Makes and checks the addresses of recordings. ``base`` is the public address of the voice room."""

    secret: bytes = field(repr=False)
    base: str
    ttl_s: int

    def link(self, recording_id: str, now: float) -> tuple[str, float]:
        """The address, and when it ends (epoch seconds)."""
        expires = int(now) + self.ttl_s
        signature = self._sign(recording_id, expires)
        return f"{self.base}/recordings/{recording_id}/file?expires={expires}&signature={signature}", expires

    def check(self, recording_id: str, expires: int, signature: str, now: float) -> None:
        """Raises SignatureRefused unless we made this address and its time is not over."""
        genuine = hmac.compare_digest(self._sign(recording_id, expires), signature)
        if not genuine:
            raise SignatureRefused("the signature does not belong to this address")
        if now >= expires:
            raise SignatureRefused("this address has expired; ask for the call again", code="LINK_EXPIRED")

    def _sign(self, recording_id: str, expires: int) -> str:
        message = f"recording\n{recording_id}\n{expires}".encode()
        return hmac.digest(self.secret, message, "sha256").hex()
