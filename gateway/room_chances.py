"""What nobody must guess about rooms, from the kernel. Fits ``video_rooms.ports.Chances``."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from gateway.clocks import digits, moment_letters, random_tails

_TOKEN_BYTES = 24
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class RoomChances:
    """Tokens have 192 random bits, PINs are drawn evenly, ids of passes are dated as asked."""

    def uuid(self) -> str:
        return str(uuid4())

    def pass_id(self, at: datetime) -> str:
        return moment_letters((at - _EPOCH) // _MILLISECOND) + random_tails()[0]

    def token(self) -> str:
        return secrets.token_urlsafe(_TOKEN_BYTES)

    def digits(self, count: int) -> str:
        return digits(count)

    def hexes(self, count: int) -> str:
        return secrets.token_hex((count + 1) // 2)[:count]
