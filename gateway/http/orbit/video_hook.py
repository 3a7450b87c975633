"""Where the media server reports. Its signature stands in for a key."""

from __future__ import annotations

from typing import Final

from gateway.http.answers import Plain
from gateway.http.operation import Ask
from gateway.http.orbit.video_desk import rooms_of
from gateway.http.throttle import admit_stranger
from telephony.errors import NotAuthenticated

MAX_REPORT: Final = 512 * 1024
_HEADER: Final = b"authorization"


async def receive(ask: Ask) -> Plain:
    """Verify and take one report. What is not the media server's is counted as a stranger's."""
    headers = ask.exchange.headers
    try:
        if _HEADER in ask.exchange.repeated or _HEADER not in headers:
            raise NotAuthenticated("the report is not signed")
        await rooms_of(ask.face).hook.heard(ask.body, headers[_HEADER].decode("latin-1"))
    except NotAuthenticated:
        await admit_stranger(ask.face, ask.exchange)
        raise
    return Plain(b"", b"")
