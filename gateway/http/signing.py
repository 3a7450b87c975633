"""Addresses that carry their own permission: signed with HMAC-SHA256, for a limited time."""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass, field
from typing import Final

from gateway.http.errors import SignatureRefused

ROOM_RECORDING: Final = r"EG_[A-Za-z0-9]{6,40}"
ROOM_FILE: Final = r"composite\.mp4|timeline\.json|speaker-[1-9][0-9]{0,3}\.ogg"
_ROOM_FILE: Final = re.compile(
    rf"/recordings/(?P<recording>{ROOM_RECORDING})/files/(?P<file>{ROOM_FILE})\?expires=\d+&signature=[0-9a-f]+"
)
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


@dataclass(frozen=True, slots=True)
class RoomLinks:
    """The same for files of rooms' recordings. ``base`` is the public address of the video room."""

    secret: bytes = field(repr=False)
    base: str
    ttl_s: int

    def link(self, recording_id: str, file: str, now: float) -> tuple[str, float]:
        """The address, and when it ends (epoch seconds)."""
        expires = int(now) + self.ttl_s
        query = f"expires={expires}&signature={self._sign(recording_id, file, expires)}"
        return f"{self.base}/recordings/{recording_id}/files/{file}?{query}", expires

    def fresh(self, url: str | None, now: float) -> str | None:
        """An address that we made once, made anew; anybody else's as it stands."""
        found = None if url is None else _ROOM_FILE.fullmatch(url.removeprefix(self.base))
        if url is None or found is None or not url.startswith(self.base):
            return url
        return self.link(found["recording"], found["file"], now)[0]

    def check(self, recording_id: str, file: str, expires: int, signature: str, now: float) -> None:
        """Raises SignatureRefused unless we made this address and its time is not over."""
        if not hmac.compare_digest(self._sign(recording_id, file, expires), signature):
            raise SignatureRefused("the signature does not belong to this address")
        if now >= expires:
            raise SignatureRefused(
                "this address has expired; ask for the recording again", code="LINK_EXPIRED"
            )

    def _sign(self, recording_id: str, file: str, expires: int) -> str:
        message = f"room recording\n{recording_id}/{file}\n{expires}".encode()
        return hmac.digest(self.secret, message, "sha256").hex()
