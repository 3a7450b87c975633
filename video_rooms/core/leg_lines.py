"""Orders to a carrier in another process, and its facts, as lines of JSON. Pure.

One message a line, of so many octets at most. What is not exactly a message of ours is ``Garbled``: between
two processes of one product that means that one of them is broken. A line may hold a token: it goes into no
log.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, cast

from telephony.errors import UnsafeValue
from video_rooms.core import leg
from video_rooms.core.leg import LegFact, LegOrder

LONGEST = 65_536
"""Octets of a line with its end."""
ORDERS: tuple[type[LegOrder], ...] = (
    leg.Answer,
    leg.PlaySounds,
    leg.StopSounds,
    leg.HoldMusic,
    leg.Join,
    leg.Mute,
    leg.Describe,
    leg.Leave,
    leg.HangUp,
)
FACTS: tuple[type[LegFact], ...] = (
    leg.Arrived,
    leg.Digit,
    leg.SoundsDone,
    leg.Joined,
    leg.JoinFailed,
    leg.Left,
    leg.RoomMuted,
    leg.Others,
    leg.Gone,
)


class Garbled(Exception):
    """Not a line of ours. Never says what was in it."""


# ---------------------------------------------------------------- to the worker


@dataclass(frozen=True, slots=True)
class Begin:
    """The first line. Where to listen for the switch, the connection's name there, and the hold music."""

    connection: str
    host: str
    port: int
    music: str


@dataclass(frozen=True, slots=True)
class Expect:
    """Be ready for a leg. ``Ready`` follows, with the same number. ``unbuffered``: the switch can be asked to
    keep no queue."""

    number: int
    leg: str
    within_s: float
    unbuffered: bool


@dataclass(frozen=True, slots=True)
class Do:
    leg: str
    order: LegOrder


@dataclass(frozen=True, slots=True)
class Stop:
    """Hang all up, leave all rooms, end."""


ToWorker = Begin | Expect | Do | Stop

# ---------------------------------------------------------------- from the worker


@dataclass(frozen=True, slots=True)
class Listening:
    """The switch may come to this port from now on."""

    port: int


@dataclass(frozen=True, slots=True)
class Ready:
    """What Dial() is given for the leg of this number; empty: it cannot be carried."""

    number: int
    dial: str


@dataclass(frozen=True, slots=True)
class Told:
    leg: str
    fact: LegFact


@dataclass(frozen=True, slots=True)
class Alive:
    """A sign of life: how many legs there are, and how late the clock of their sound was at worst since the
    last one."""

    legs: int
    late_ms: int


FromWorker = Listening | Ready | Told | Alive

# ---------------------------------------------------------------- lines

_TO_WORKER: tuple[type[ToWorker], ...] = (Begin, Expect, Do, Stop)
_FROM_WORKER: tuple[type[FromWorker], ...] = (Listening, Ready, Told, Alive)


def line(message: ToWorker | FromWorker) -> bytes:
    """The message as a line. Raises ``UnsafeValue`` where it would be too long."""
    text = json.dumps(_plain(message), separators=(",", ":")).encode() + b"\n"
    if len(text) > LONGEST:
        raise UnsafeValue("a message to or from a carrier of legs is too long")
    return text


def to_worker(text: bytes) -> ToWorker:
    """What a line says to a worker. Raises ``Garbled``."""
    return cast(ToWorker, _message(text, _TO_WORKER))


def from_worker(text: bytes) -> FromWorker:
    """What a line of a worker says. Raises ``Garbled``."""
    return cast(FromWorker, _message(text, _FROM_WORKER))


def _plain(message: Any) -> dict[str, object]:
    told: dict[str, object] = {"is": type(message).__name__}
    for one in fields(message):
        value = getattr(message, one.name)
        match value:
            case Mapping():
                told[one.name] = dict(value)
            case tuple():
                told[one.name] = [str(path) for path in value]
            case str() | int() | float():
                told[one.name] = value
            case _:
                told[one.name] = _plain(value)
    return told


def _message(text: bytes, known: tuple[type[Any], ...]) -> object:
    if len(text) > LONGEST:
        raise Garbled
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        raise Garbled from None
    return _made(told, known)


def _made(told: object, known: tuple[type[Any], ...]) -> object:
    if not isinstance(told, dict):
        raise Garbled
    of = next((kind for kind in known if kind.__name__ == told.get("is")), None)
    if of is None or told.keys() != {"is", *(one.name for one in fields(of))}:
        raise Garbled
    return of(**{one.name: _READERS[cast(str, one.type)](told[one.name]) for one in fields(of)})


def _exactly(kind: type[Any]) -> Callable[[object], Any]:
    def read(value: object) -> Any:
        if type(value) is not kind:
            raise Garbled
        return value

    return read


def _seconds(value: object) -> float:
    if type(value) not in (int, float):
        raise Garbled
    return float(cast(float, value))


def _paths(value: object) -> tuple[Path, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise Garbled
    return tuple(Path(one) for one in value)


def _texts(value: object) -> Mapping[str, str]:
    if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
        raise Garbled
    return value


_READERS: Mapping[str, Callable[[object], Any]] = {
    "str": _exactly(str),
    "bool": _exactly(bool),
    "int": _exactly(int),
    "float": _seconds,
    "tuple[Path, ...]": _paths,
    "Mapping[str, str]": _texts,
    "LegOrder": lambda value: _made(value, ORDERS),
    "LegFact": lambda value: _made(value, FACTS),
}
"""By what the fields of messages, orders and facts are declared as."""
