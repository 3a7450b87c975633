"""The oracle: does this place hold a number of these people? Pure.

Two looks: first for what all numbers of a side begin with, which finds each of them in every notation that
``find_leaks`` knows; then, only where that struck, for the numbers themselves, for a few digits in a row
may stand anywhere by chance.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from tests.rig.leaks import find_leaks
from tools.verify_privacy.people import SIDES, Side

_APART: Final = b"\n" * 8
"""Keeps two pieces from making a number together."""
_BLOCK: Final = 1 << 16
_KEPT: Final = 200


@dataclass(frozen=True, slots=True)
class Leak:
    """A number where it must not be. ``story`` says how it was read and what stands around it."""

    place: str
    number: str
    story: str


@dataclass(slots=True)
class Search:
    """All that was searched, and what was found. ``people``: the numbers of each side that were in play."""

    people: Mapping[str, set[str]] = field(default_factory=lambda: {side.name: set() for side in SIDES})
    octets: Counter[str] = field(default_factory=Counter)
    pieces: Counter[str] = field(default_factory=Counter)
    counted: Counter[str] = field(default_factory=Counter)
    """Leaks by place: every one is counted, the first ones are kept."""
    leaks: list[Leak] = field(default_factory=list)

    def look(self, place: str, pieces: Iterable[bytes], hidden: Iterable[Side] = SIDES) -> None:
        """Search these pieces (messages, lines) for anybody of the hidden sides."""
        sides, block, size = tuple(hidden), [], 0
        for piece in pieces:
            self.octets[place] += len(piece)
            self.pieces[place] += 1
            block.append(piece)
            size += len(piece)
            if size >= _BLOCK:
                self._look(place, block, sides)
                block, size = [], 0
        if block:
            self._look(place, block, sides)

    def name(self, place: str, pieces: Iterable[bytes], side: Side) -> None:
        """Search for the word by which this side's people call themselves."""
        word = side.word.lower().encode()
        for piece in pieces:
            if word in piece.lower():
                self._found(place, side.word, piece[:300].decode("utf-8", "replace"))

    def add(self, more: Search) -> None:
        """What another search found."""
        self.octets += more.octets
        self.pieces += more.pieces
        self.counted += more.counted
        self.leaks += more.leaks[: max(0, _KEPT - len(self.leaks))]

    def told(self, place: str, number: str, story: str) -> None:
        """A leak that was found elsewhere, e.g. as tones."""
        self._found(place, number, story)

    def _look(self, place: str, block: list[bytes], sides: tuple[Side, ...]) -> None:
        joined = _APART.join(block)
        struck = [side for side in sides if find_leaks(side.stem, joined)]
        for side in struck:
            for piece in block:
                if find_leaks(side.stem, piece):
                    self._whole(place, piece, side)

    def _whole(self, place: str, piece: bytes, side: Side) -> None:
        for number in sorted(self.people[side.name]):
            for story in find_leaks(number, piece)[:1]:
                self._found(place, number, f"{story} | {piece[:120].decode('utf-8', 'replace')}")

    def _found(self, place: str, number: str, story: str) -> None:
        self.counted[place] += 1
        if len(self.leaks) < _KEPT:
            self.leaks.append(Leak(place, number, story))
