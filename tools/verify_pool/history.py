"""What clients of the masking service asked, when, and what they were told: the evidence of a run.

Times are epoch seconds of the run's own clock, taken by the client before the request went out and after
the answer came in. An answer that never came (the server was killed) leaves ``ended_at`` None: whatever the
request wanted may have happened at any time after it was sent, or never.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from sys import intern
from typing import Any, BinaryIO, Literal

import orjson

Verb = Literal["open", "close", "change", "use", "resolve", "get"]


@dataclass(frozen=True, slots=True)
class RunClock:
    """One clock for the clients and all lives of the services: ``offset`` seconds and CLOCK_MONOTONIC, which
    the processes of a machine share (clock_gettime(2)). A step of the machine's time is none of the run's."""

    offset: float

    @classmethod
    def of_today(cls) -> RunClock:
        return cls(time.time() - time.monotonic())

    def epoch(self) -> float:
        return self.offset + time.monotonic()


@dataclass(frozen=True, slots=True)
class Person:
    """A participant as the client was told: key, the proxy number this one dials, seat."""

    key: str
    proxy: str
    seat: int


@dataclass(frozen=True, slots=True)
class Told:
    """A session as an answer showed it. ``ends_at`` is when it ends if nothing more happens."""

    session: str
    people: tuple[Person, ...]
    ends_at: float
    live: bool = True


@dataclass(frozen=True, slots=True)
class Op:
    """One request. ``session`` and ``keys`` are what it asked for; ``told`` the answer where there was one.

    ``refused`` is the error's code where it was refused: then it certainly had no effect.
    For ``resolve``: ``key``, ``proxy``, and (``told``, ``seat``, ``target``) or nothing if nobody was found.
    """

    verb: Verb
    started_at: float
    ended_at: float | None = None
    session: str = ""
    keys: tuple[str, ...] = ()
    told: Told | None = None
    refused: str = ""
    key: str = ""
    proxy: str = ""
    seat: int = -2
    target: str = ""

    @property
    def answered(self) -> bool:
        return self.ended_at is not None and not self.refused

    @property
    def may_have_happened(self) -> bool:
        return not self.refused


@dataclass(frozen=True, slots=True)
class History:
    """A whole run; ``quarantine_s`` held for every session of it. ``ops`` can be walked more than once."""

    quarantine_s: float
    ops: Iterable[Op] = field(default=())


class Recorder:
    """Writes a run down as it happens: one JSON object a line, the run's terms first, then the requests."""

    def __init__(self, path: Path, quarantine_s: float) -> None:
        self._out: BinaryIO = path.open("wb", buffering=1 << 20)
        self._out.write(orjson.dumps({"quarantine_s": quarantine_s}) + b"\n")
        self.count = 0

    def note(self, op: Op) -> None:
        self._out.write(orjson.dumps(op) + b"\n")
        self.count += 1

    def close(self) -> None:
        self._out.close()


class _Kept:
    """The requests in a file, read anew at every walk: a long run need not fit into memory."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __iter__(self) -> Iterator[Op]:
        with self._path.open("rb") as lines:
            next(lines)
            for line in lines:
                yield _op(orjson.loads(line))


def read(path: Path) -> History:
    """A run that a ``Recorder`` wrote and closed."""
    with path.open("rb") as lines:
        head = orjson.loads(next(lines))
    return History(head["quarantine_s"], _Kept(path))


def _op(raw: dict[str, Any]) -> Op:
    told = raw.pop("told")
    words = {name: intern(raw[name]) for name in ("verb", "session", "key", "proxy", "target", "refused")}
    keys = tuple(intern(key) for key in raw["keys"])
    return Op(**{**raw, **words, "keys": keys, "told": None if told is None else _told(told)})


def _told(raw: dict[str, Any]) -> Told:
    people = tuple(Person(intern(one["key"]), intern(one["proxy"]), one["seat"]) for one in raw["people"])
    return Told(intern(raw["session"]), people, raw["ends_at"], raw["live"])
