"""A text as its reader reads it: digits are digits and letters letters, whatever they are drawn with.

Each letter of the folded text knows where it stood in the original, so that what is found in the one can be
taken out of the other. Linear in the length of the text.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

_KEYCAP: Final = "\u20e3"
_SELECTOR: Final = "\ufe0f"
_TEN: Final = "\U0001f51f"
_LOOKALIKE: Final = str.maketrans("авсеноркртухіѕјοαερνι", "abcehopkptyxisjoaepvi")
"""Cyrillic and Greek small letters that look Latin."""
_TOKEN: Final = re.compile(r"[0-9]+|[^\W\d_]+|[ \n]+|.", re.DOTALL)


class Sort(IntEnum):
    DIGITS = 0
    WORD = 1
    SPACE = 2
    OTHER = 3


@dataclass(frozen=True, slots=True)
class Token:
    """A run of digits, of letters, of spaces, or one other character; ``start`` and ``end`` are folded."""

    sort: Sort
    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Folded:
    """``spans`` gives, for each folded letter, where it begins and ends in the original; ``odd`` which
    digits were drawn with something else than ASCII digits."""

    text: str
    spans: tuple[tuple[int, int], ...]
    odd: frozenset[int]

    def original(self, start: int, end: int) -> tuple[int, int]:
        """The span in the original of a folded span that is not empty."""
        return self.spans[start][0], self.spans[end - 1][1]


def fold(text: str) -> Folded:
    """Fold a text. What cannot be seen is left out; it belongs to the letter before it."""
    letters: list[str] = []
    spans: list[tuple[int, int]] = []
    odd: set[int] = set()
    for at, letter in enumerate(text):
        shown, drawn = _shown(letter, text[at + 1 : at + 3])
        if not shown:
            if spans:
                spans[-1] = (spans[-1][0], at + 1)
                if letter == _KEYCAP and letters[-1].isdigit():
                    odd.add(len(letters) - 1)
            continue
        for one in shown:
            if drawn:
                odd.add(len(letters))
            letters.append(one)
            spans.append((at, at + 1))
    return Folded("".join(letters), tuple(spans), frozenset(odd))


def tokens(folded: str) -> list[Token]:
    """The folded text in tokens, nothing left out."""
    return [_token(found) for found in _TOKEN.finditer(folded)]


def _token(found: re.Match[str]) -> Token:
    text = found.group()
    first = text[0]
    if first in "0123456789":
        sort = Sort.DIGITS
    elif first.isalpha():
        sort = Sort.WORD
    else:
        sort = Sort.SPACE if first in " \n" else Sort.OTHER
    return Token(sort, text, found.start(), found.end())


def _shown(letter: str, after: str) -> tuple[str, bool]:
    """What a character shows, and whether it is a digit in disguise."""
    if letter.isascii():
        if letter.isspace():
            return ("\n" if letter in "\n\r" else " "), False
        return letter.lower(), False
    if letter == _TEN:
        return "10", True
    digit = unicodedata.digit(letter, None)
    if digit is not None:
        return str(digit), True
    if letter in "。｡":
        return ".", False
    category = unicodedata.category(letter)
    if category in {"Cf", "Mn", "Me"}:
        return "", False
    if category == "Zs":
        return " ", False
    if category == "Pd":
        return "-", False
    plain = unicodedata.normalize("NFKC", letter).casefold().translate(_LOOKALIKE)
    numeric = plain.isascii() and plain.isdigit()
    return ("".join(one for one in plain if not one.isspace()) or " "), numeric
