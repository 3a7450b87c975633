"""What clients of the masking service asked, when, and what they were told: the evidence of a run.

Times are epoch seconds of one machine's clock, taken by the client before the request went out and after
the answer came in. An answer that never came (the server was killed) leaves ``ended_at`` None: whatever the
request wanted may have happened at any time after it was sent, or never.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

Verb = Literal["open", "close", "change", "use", "resolve", "get"]


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
    """A whole run; ``quarantine_s`` held for every session of it."""

    quarantine_s: float
    ops: tuple[Op, ...] = field(default=())


def write(path: Path, history: History) -> None:
    """One JSON object a line: the run's terms first, then the requests."""
    with path.open("w", encoding="utf-8") as out:
        out.write(json.dumps({"quarantine_s": history.quarantine_s}) + "\n")
        for op in history.ops:
            out.write(json.dumps(asdict(op)) + "\n")


def read(path: Path) -> History:
    """A run that ``write`` kept."""
    with path.open(encoding="utf-8") as lines:
        head = json.loads(next(lines))
        return History(head["quarantine_s"], tuple(_ops(lines)))


def _ops(lines: Iterable[str]) -> Iterator[Op]:
    for line in lines:
        yield _op(json.loads(line))


def _op(raw: dict[str, Any]) -> Op:
    told = raw.pop("told")
    return Op(**{**raw, "keys": tuple(raw["keys"]), "told": None if told is None else _told(told)})


def _told(raw: dict[str, Any]) -> Told:
    return Told(**{**raw, "people": tuple(Person(**one) for one in raw["people"])})
