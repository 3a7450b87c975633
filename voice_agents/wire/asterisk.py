"""The control messages of Asterisk's media WebSocket (``chan_websocket``) with ``f(json)``: pure.

Binary messages are sound and nothing else; text messages are one JSON object each, commands with a
``command`` key and events with an ``event`` key. Asterisk drops a text of more than 128 octets and says so in
its log alone, so every command made here is shorter. Of an event only what is understood is kept.

Which call a connection belongs to is told by a variable of its channel, which MEDIA_START shows. The driver
has query parameters for that (``v``), but keeps them in what all calls of a connection share: of two that
are dialled in the same moment both may come with the token of one (seen of 22.10.1; ``uri_params`` in
res_websocket_client.c).

Source: Asterisk's page on its WebSocket channel driver, and the driver of 22.10.1.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

from telephony.errors import UnsafeValue
from voice_agents.core.audio import Codec

LONGEST_COMMAND = 127
LONGEST_ID = 16
SUBPROTOCOL = "media"
CONNECTION = "patchbay"
"""The section of websocket_client.conf that leads to the agents' port."""
_CONNECTION = re.compile(r"patchbay|room[0-9]")
"""The others lead to those who carry telephones into rooms, each a process with a port of its own."""
_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,64}")
CALL_MARK = "PB_SOCKET"
"""The variable of the dialled channel that has the token."""
_ID = re.compile(r"[A-Za-z0-9]{1,16}")
_DIGITS = frozenset("0123456789*#ABCD")


# ---------------------------------------------------------------- what a version can do


@dataclass(frozen=True, slots=True)
class MediaAbilities:
    """What a media driver can do. ``delays_answer``: the channel stays unanswered until ``answer()``.
    ``asks_unbuffered``: the version may take sound without a queue of its own; only MEDIA_START's
    ``unbuffered`` says that it does. ``confirms``: the switch says when a frame has left its queue."""

    delays_answer: bool = True
    asks_unbuffered: bool = False
    confirms: bool = True


OLDEST = (22, 8)
"""JSON control and marks exist since 22.8.0, and pings no longer end calls."""
_UNBUFFERED_SINCE = (22, 12)
_VERSION = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")


def abilities_of(version: tuple[int, ...]) -> MediaAbilities:
    """What the WebSocket driver of this Asterisk can do, by its version as read at the start: (22, 10, 1).

    Raises ``UnsafeValue`` for one that is too old: it would drop marks and hang calls up.
    """
    if version < OLDEST:
        shown = ".".join(str(part) for part in version)
        raise UnsafeValue(f"the media WebSocket needs Asterisk 22.8.0 or newer, this is {shown}")
    return MediaAbilities(asks_unbuffered=version >= _UNBUFFERED_SINCE)


def version_in(text: str) -> tuple[int, ...] | None:
    """The version that a switch tells of itself ("Asterisk 22.10.1"); None where none can be read."""
    found = _VERSION.search(text)
    return None if found is None else tuple(int(part or 0) for part in found.groups())


def check_token(token: str) -> str:
    """The token, if it may stand in a dial string. Raises ``UnsafeValue``, which does not show it."""
    if _TOKEN.fullmatch(token) is None:
        raise UnsafeValue("a media token is 16 to 64 letters, digits, _ and -")
    return token


def dial_string(token: str, codec: Codec, abilities: MediaAbilities, connection: str = CONNECTION) -> str:
    """What Dial() is given, the connection, the codec, no answer by itself, JSON; and after a slash the
    token, which is put into ``CALL_MARK`` of the channel.

    Nothing but the token varies with the call, and the token is letters and digits. Raises ``UnsafeValue``
    for what is no name of a connection of ours.
    """
    if _CONNECTION.fullmatch(connection) is None:
        raise UnsafeValue("a connection is named patchbay, or room and a number")
    unbuffered = "u" if abilities.asks_unbuffered else ""
    return f"WebSocket/{connection}/c({codec.asterisk})n{unbuffered}f(json)/{check_token(token)}"


def _token_in(variables: object) -> str:
    """The token among a channel's variables; empty where there is none that could be one."""
    found = variables.get(CALL_MARK) if isinstance(variables, dict) else None
    return found if isinstance(found, str) and _TOKEN.fullmatch(found) else ""


# ---------------------------------------------------------------- commands


def _command(name: str) -> str:
    return f'{{"command":"{name}"}}'


ANSWER = _command("ANSWER")
HANGUP = _command("HANGUP")
PAUSE = _command("PAUSE_MEDIA")
CONTINUE = _command("CONTINUE_MEDIA")
FLUSH = _command("FLUSH_MEDIA")
GET_STATUS = _command("GET_STATUS")
FREEZE = (PAUSE, GET_STATUS, FLUSH, CONTINUE)
"""Empty the switch's queue and learn how much was in it: paused, it stands still while it is counted; a flush
does not end a pause."""


def mark(id_: str) -> str:
    """Have ``Marked(id_)`` told once all sound sent before has left the switch's queue."""
    if _ID.fullmatch(id_) is None:
        raise UnsafeValue("a mark's id is 1 to 16 letters and digits")
    return f'{{"command":"MARK_MEDIA","correlation_id":"{id_}"}}'


# ---------------------------------------------------------------- events


@dataclass(frozen=True, slots=True)
class Started:
    """MEDIA_START. It may come after the first sound. ``codec`` is Asterisk's name of the format; ``token``
    is empty where the channel has none."""

    channel_id: str
    codec: str
    frame_bytes: int
    unbuffered: bool = False
    token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Pressed:
    """DTMF_END: the caller let a key go."""

    digit: str


@dataclass(frozen=True, slots=True)
class Marked:
    """MEDIA_MARK_PROCESSED."""

    id: str


@dataclass(frozen=True, slots=True)
class Status:
    """STATUS: the frames in the switch's queue."""

    queued: int
    paused: bool


@dataclass(frozen=True, slots=True)
class Flow:
    """MEDIA_XOFF (not ``open``) and MEDIA_XON."""

    open: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """ERROR: a command was not understood."""

    why: str


@dataclass(frozen=True, slots=True)
class Other:
    """An event that means nothing to us."""

    name: str


@dataclass(frozen=True, slots=True)
class Garbled:
    """Not an event at all."""

    why: str


Event = Started | Pressed | Marked | Status | Flow | Refused | Other | Garbled


def read_event(text: str | bytes) -> Event:
    """One text message of the switch. Never raises."""
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return Garbled("not JSON")
    if not isinstance(message, dict) or not isinstance(message.get("event"), str):
        return Garbled("no event")
    try:
        return _event(message["event"], message)
    except (KeyError, TypeError, ValueError):
        return Garbled("a field is missing or of the wrong kind")


def _event(name: str, message: dict[str, object]) -> Event:
    match name:
        case "MEDIA_MARK_PROCESSED":
            return Marked(_text(message, "correlation_id"))
        case "DTMF_END":
            digit = _text(message, "digit").upper()
            return Pressed(digit) if digit in _DIGITS and len(digit) == 1 else Other(name)
        case "STATUS":
            return Status(_number(message, "queue_length"), bool(message.get("media_paused")))
        case "MEDIA_START":
            return Started(
                _text(message, "channel_id"),
                _text(message, "format"),
                _number(message, "optimal_frame_size"),
                message.get("unbuffered") is True,
                _token_in(message.get("channel_variables")),
            )
        case "MEDIA_XOFF" | "MEDIA_XON":
            return Flow(name == "MEDIA_XON")
        case "ERROR":
            return Refused(_text(message, "error_text")[:120])
    return Other(name[:40])


def _text(message: dict[str, object], key: str) -> str:
    value = message[key]
    if not isinstance(value, str):
        raise TypeError(key)
    return value


def _number(message: dict[str, object], key: str) -> int:
    value = message[key]
    if type(value) is not int or value < 0:
        raise TypeError(key)
    return value
