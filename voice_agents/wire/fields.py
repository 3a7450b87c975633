"""Fields of JSON messages from strangers: each has a kind, a bound, and a fault that quotes nothing."""

from __future__ import annotations

import re
from binascii import Error as NotBase64
from binascii import a2b_base64
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

Message = Mapping[str, Any]

MAX_SAY: Final = 4_000
"""Characters in one piece of text to be spoken."""
MAX_CAPTION: Final = 8_000
MAX_NAME: Final = 128
MAX_JSON: Final = 16_384
"""Octets of a tool's arguments or a summary's fields."""
MAX_URL: Final = 2_048

DIGITS: Final = re.compile(r"[0-9*#A-Dw]{1,64}")
_ROOM = r"room:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
PARTY: Final = re.compile(r"\+[1-9][0-9]{6,14}|phone:[A-Za-z0-9_.-]{1,64}|" + _ROOM)
LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8}){0,3}")
IDENTIFIER: Final = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_UNPRINTABLE: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class Fault(ValueError):
    """A message breaks a rule; the text says which, and quotes nothing of the message."""


def read_object(text: str | bytes) -> Message:
    """The JSON object of a message. Raises ``Fault``."""
    try:
        found = orjson.loads(text)
    except (orjson.JSONDecodeError, UnicodeEncodeError):
        raise Fault("not JSON") from None
    if not isinstance(found, dict):
        raise Fault("not a JSON object")
    return found


def kind(message: Message, name: str) -> str:
    """The word that says what a message is. To be compared with, never to be shown."""
    value = message.get(name)
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_NAME:
        raise Fault(f"{name}: text of 1 to {MAX_NAME} characters")
    return value


def words(message: Message, name: str, most: int, *, least: int = 0, default: str | None = None) -> str:
    """Text of ``least`` to ``most`` characters; control characters other than line ends become spaces."""
    value = message.get(name, default)
    if not isinstance(value, str) or not least <= len(value) <= most:
        raise Fault(f"{name}: text of {least} to {most} characters")
    return _UNPRINTABLE.sub(" ", value)


def shaped(message: Message, name: str, shape: re.Pattern[str], what: str, default: str | None = None) -> str:
    """Text that fits ``shape`` from end to end, or the default."""
    value = message.get(name, default)
    if value == default and default is not None:
        return default
    if not isinstance(value, str) or shape.fullmatch(value) is None:
        raise Fault(f"{name}: {what}")
    return value


def flag(message: Message, name: str, default: bool) -> bool:
    value = message.get(name, default)
    if not isinstance(value, bool):
        raise Fault(f"{name}: true or false")
    return value


def whole(message: Message, name: str, least: int, most: int, default: int | None = None) -> int:
    value = message.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise Fault(f"{name}: a whole number from {least} to {most}")
    return value


def part(message: Message, name: str) -> Message:
    """An object inside the message."""
    value = message.get(name)
    if not isinstance(value, dict):
        raise Fault(f"{name}: an object")
    return value


def json_text(message: Message, name: str) -> str:
    """A JSON object inside the message, or the same as text, written small; ``{}`` where there is none."""
    value = message.get(name)
    if value is None or value == "":
        return "{}"
    if isinstance(value, str):
        try:
            value = orjson.loads(value)
        except (orjson.JSONDecodeError, UnicodeEncodeError):
            raise Fault(f"{name}: JSON") from None
    if not isinstance(value, dict):
        raise Fault(f"{name}: an object")
    written = write(value)
    if len(written) > MAX_JSON:
        raise Fault(f"{name}: at most {MAX_JSON} octets")
    return written


def sound(message: Message, name: str) -> bytes:
    """Base64 (RFC 4648) of sound."""
    value = message.get(name)
    if not isinstance(value, str):
        raise Fault(f"{name}: base64")
    try:
        return a2b_base64(value, strict_mode=True)
    except (NotBase64, ValueError):
        raise Fault(f"{name}: base64") from None


def address(message: Message, name: str) -> str:
    """An http or https address. Whether it may be asked is for others to say."""
    value = words(message, name, MAX_URL, least=1)
    try:
        parts = urlsplit(value)
    except ValueError:
        raise Fault(f"{name}: an http or https address") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not value.isascii() or " " in value:
        raise Fault(f"{name}: an http or https address")
    return value


def write(message: object) -> str:
    """JSON text, small."""
    return orjson.dumps(message).decode()
