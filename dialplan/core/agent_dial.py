"""The ways in which the switch may be told to dial an agent or a video room, and their parts. Pure.

No part ever comes from outside: the address is loopback, the token or UUID is ours, the format one of ours.
What is not exactly of this shape cannot be dialled. Sources: Asterisk 22 ``chan_websocket`` (``c`` format,
``n`` no answer by itself, ``u`` no queue of its own, ``f`` messages as JSON) and ``chan_audiosocket``.
The token of a WebSocket is no part of what is dialled, but a variable of the channel.
"""

from __future__ import annotations

import re
from typing import Final

from telephony.errors import UnsafeValue

CALL_MARK: Final = "PB_SOCKET"
"""What MEDIA_START tells it by; inherited by what the dialplan dials."""
_WEBSOCKET = re.compile(
    r"WebSocket/patchbay/c\((?P<codec>ulaw|alaw|slin|slin16|slin24)\)(?P<ways>nu?)f\(json\)"
    r"/(?P<token>[A-Za-z0-9_-]{16,64})"
)
_ROOM = re.compile(
    r"WebSocket/room(?P<worker>[0-7])/c\(slin16\)(?P<ways>nu?)f\(json\)/(?P<token>[A-Za-z0-9_-]{16,64})"
)
_AUDIOSOCKET = re.compile(
    r"AudioSocket/(?P<address>127(?:\.[0-9]{1,3}){3}:[1-9][0-9]{0,4})"
    r"/(?P<uuid>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/c\((?P<codec>slin|slin16|slin24)\)"
)


def dial_parts(dial: str) -> tuple[str, str]:
    """What the dialplan makes this dial string of: its action, and the parts, with ``/`` between them.

    The parts go, not the string: a bracket must not reach the dialplan's way of taking an answer apart.
    Raises UnsafeValue for everything that is not exactly an agent's socket, or a room's.

    >>> dial_parts("WebSocket/patchbay/c(ulaw)nf(json)/0123456789abcdef")
    ('socket', 'ulaw/n/0123456789abcdef')
    """
    found = _WEBSOCKET.fullmatch(dial)
    if found is not None:
        return "socket", f"{found['codec']}/{found['ways']}/{found['token']}"
    found = _ROOM.fullmatch(dial)
    if found is not None:
        return "room", f"{found['worker']}/{found['ways']}/{found['token']}"
    found = _AUDIOSOCKET.fullmatch(dial)
    if found is not None:
        return "stream", f"{found['address']}/{found['uuid']}/{found['codec']}"
    raise UnsafeValue("a dial string is not of a known shape")


def channel_and_token(dial: str) -> tuple[str, str]:
    """What the switch dials for a socket that has no dialplan of its own before it, and the token that its
    channel is given. Raises UnsafeValue for everything that is not exactly a WebSocket of ours.

    >>> channel_and_token("WebSocket/room0/c(slin16)nf(json)/0123456789abcdef")
    ('WebSocket/room0/c(slin16)nf(json)', '0123456789abcdef')
    """
    found = _WEBSOCKET.fullmatch(dial) or _ROOM.fullmatch(dial)
    if found is None:
        raise UnsafeValue("a dial string is not of a known shape")
    return dial[: found.start("token") - 1], found["token"]
