"""Who calls whom: two carriers, each with people of its own, and the ways to write their numbers. Pure.

A session always joins people of both sides. So nothing that one carrier receives may hold a number of the
other carrier's people: there is nothing to tell apart and nothing to forget.
"""

from __future__ import annotations

import base64
import random
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

_WORDS: Final = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
PEOPLE: Final = 1000
"""How many numbers each side has: the last three digits."""


@dataclass(frozen=True, slots=True)
class Side:
    """A carrier and its people. ``stem`` is what all their numbers begin with, an even count of digits, so
    that one search finds any of them, backwards and in swapped octets too. ``word`` is a name that stands
    wherever they name themselves; it has no business on the other side either."""

    name: str
    host: str
    prefix: str
    stem: str
    first: str
    word: str

    def number(self, place: int) -> str:
        """Person ``place`` (from 0, round and round) in E.164."""
        return f"{self.first}{place % PEOPLE:03d}"

    def owns(self, user: str) -> bool:
        """Whether this is one of its numbers."""
        return user.startswith(self.first) and len(user) == len(self.first) + 3


ALPHA: Final = Side("alpha", "127.0.0.2", "+1415", "+14155550", "+14155550", "Quillonby")
BETA: Final = Side("beta", "127.0.0.3", "+4420", "+44207946", "+442079460", "Zwartkruis")
SIDES: Final = (ALPHA, BETA)


def other(side: Side) -> Side:
    return BETA if side is ALPHA else ALPHA


def national(number: str) -> str:
    """As people of the country write it."""
    if number.startswith("+1"):
        return f"({number[2:5]}) {number[5:8]}-{number[8:]}"
    return f"0{number[3:5]} {number[5:9]} {number[9:]}"


def written(number: str, chance: random.Random) -> str:
    """The number in some notation that may stand in free text."""
    digits = number.lstrip("+")
    return chance.choice(
        (
            number,
            digits,
            f"00{digits}",
            f"011{digits}",
            national(number),
            " ".join(digits),
            ".".join((digits[:3], digits[3:6], digits[6:])),
            "-".join(digits),
            f"tel:{number};phone-context={number[:3]}",
            quote(number, safe=""),
            "".join(f"%{ord(one):02X}" for one in number),
            "".join(f"&#{ord(one)};" for one in digits),
            f"{'.'.join(reversed(digits))}.e164.arpa",
            " ".join(_WORDS[int(one)] for one in digits),
            base64.b64encode(f"caller={number}".encode()).decode(),
            f"call from {number}".encode().hex(),
            "".join(chr(0xFF10 + int(one)) for one in digits),
            "".join(chr(0x0660 + int(one)) for one in digits),
            f"{digits[:4]}_{digits[4:7]}_{digits[7:]}",
        )
    )


def spelled(number: str, chance: random.Random) -> str:
    """The number as somebody writes it into a text."""
    digits = number.lstrip("+")
    return chance.choice(
        (
            number,
            digits,
            f"00{digits}",
            national(number),
            " ".join(digits),
            national(number).replace(" ", "."),
        )
    )


def as_user(number: str, chance: random.Random) -> str:
    """The number as the user part of a SIP URI (RFC 3261 section 25: user, escaped)."""
    digits = number.lstrip("+")
    return chance.choice(
        (
            number,
            digits,
            f"00{digits}",
            f"{number[:3]}-{number[3:6]}-{number[6:]}",
            quote(number, safe=""),
            "".join(f"%{ord(one):02x}" for one in number),
            f"{number};phone-context={number[:3]}",
            f"x-{digits}",
        )
    )


def as_token(number: str, chance: random.Random) -> str:
    """The number where only letters, digits and some marks may stand: tags, branches, Call-IDs."""
    digits = number.lstrip("+")
    return chance.choice(
        (digits, f"+{digits}", f"00{digits}", "-".join(digits), number.encode().hex(), digits[::-1])
    )
