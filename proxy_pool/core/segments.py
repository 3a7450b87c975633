"""How a text is cut into the segments that a mobile network carries.

GSM 7-bit default alphabet and its extension table (3GPP TS 23.038 §6.2.1), else UCS-2; a text of several
segments gives up room in each for the concatenation header (3GPP TS 23.040 §9.2.3.24.1 and .8): 153 of 160
septets, 67 of 70 UTF-16 units with an 8-bit reference, 152 and 66 with a 16-bit one, which is what North
American toll-free numbers carry. Joining what ``split`` gives is always the text itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from proxy_pool.core.text import Part
from telephony.errors import InvalidInput

MAX_SEGMENTS: Final = 10
"""No text of ours is longer: carriers cut or refuse beyond it."""
_BASIC: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED: Final = frozenset("\f^{}\\[~]|€")
_SMART: Final = str.maketrans(
    {
        "‘": "'",
        "’": "'",
        "‚": "'",
        "‛": "'",
        "′": "'",
        "“": '"',
        "”": '"',
        "„": '"',
        "‟": '"',
        "″": '"',
        "«": '"',
        "»": '"',
        "‐": "-",
        "‑": "-",
        "‒": "-",
        "–": "-",
        "—": "-",
        "―": "-",
        "−": "-",
        "…": "...",
        "\u00a0": " ",
        "\u2009": " ",
        "\u202f": " ",
        "\u200b": "",
        "\ufeff": "",
        "•": "*",
        "\t": " ",
        "`": "'",
        "´": "'",
    }
)


class Encoding(StrEnum):
    GSM7 = "gsm7"
    UCS2 = "ucs2"


@dataclass(frozen=True, slots=True)
class Room:
    """How many units one segment holds alone, and as one of several: septets, or UTF-16 units."""

    gsm7: tuple[int, int] = (160, 153)
    ucs2: tuple[int, int] = (70, 67)

    def of(self, encoding: Encoding) -> tuple[int, int]:
        return self.gsm7 if encoding is Encoding.GSM7 else self.ucs2


USUAL: Final = Room()
TOLL_FREE: Final = Room(gsm7=(160, 152), ucs2=(70, 66))
"""With the 16-bit reference that toll-free routes of the United States and Canada use."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment: what it says, and its place; ``part`` is None where the text is one segment alone."""

    text: str = field(repr=False)
    units: int
    encoding: Encoding
    part: Part | None = None


class TooLong(InvalidInput):
    """The text needs more segments than a text may have."""

    code = "TEXT_TOO_LONG"

    def __init__(self, segments: int, most: int) -> None:
        super().__init__(
            f"the text needs {segments} segments", field="body", expected=f"at most {most} segments"
        )
        self.segments = segments


def smart(text: str) -> str:
    """Typographic quotes, dashes, spaces and ellipses as their plain kin, where that spares UCS-2.

    Only when the whole text then fits GSM 7-bit; else the text stays as it was written.

    >>> smart("It’s 5 – 6…")
    "It's 5 - 6..."
    """
    plain = text.translate(_SMART)
    return plain if encoding_of(plain) is Encoding.GSM7 else text


def encoding_of(text: str) -> Encoding:
    """The alphabet that the text needs: one foreign character makes all of it UCS-2."""
    foreign = any(letter not in _BASIC and letter not in _EXTENDED for letter in text)
    return Encoding.UCS2 if foreign else Encoding.GSM7


def count(text: str, room: Room = USUAL) -> int:
    """How many segments the text needs, however many; an empty text is one segment."""
    return len(_cut(text, encoding_of(text), room))


def split(text: str, *, reference: int = 0, room: Room = USUAL, most: int = MAX_SEGMENTS) -> list[Segment]:
    """The segments of a text in order. An escape pair and a surrogate pair stay whole.

    ``reference`` is the same in all segments of this text, and another one for the next text to the same
    person. Raises TooLong beyond ``most`` segments.
    """
    encoding = encoding_of(text)
    pieces = _cut(text, encoding, room)
    total = len(pieces)
    if total > most:
        raise TooLong(total, most)
    if total == 1:
        return [Segment(text, pieces[0][1], encoding)]
    return [
        Segment(piece, units, encoding, Part(reference, total, number))
        for number, (piece, units) in enumerate(pieces, 1)
    ]


def _units(letter: str, encoding: Encoding) -> int:
    """What one character takes: an extension character comes with an escape, an astral one is a pair."""
    wide = letter in _EXTENDED if encoding is Encoding.GSM7 else ord(letter) > 0xFFFF
    return 2 if wide else 1


def _cut(text: str, encoding: Encoding, room: Room) -> list[tuple[str, int]]:
    alone, among = room.of(encoding)
    sizes = [_units(letter, encoding) for letter in text]
    whole = sum(sizes)
    if whole <= alone:
        return [(text, whole)]
    pieces: list[tuple[str, int]] = []
    start = used = 0
    for at, size in enumerate(sizes):
        if used + size > among:
            pieces.append((text[start:at], used))
            start, used = at, 0
        used += size
    pieces.append((text[start:], used))
    return pieces


def header(part: Part, *, wide: bool = False) -> bytes:
    """The user data header of a segment, its length first (TS 23.040 §9.2.3.24.1; ``wide``: .8).

    Raises InvalidInput where the part cannot be written so.
    """
    limit = 0xFFFF if wide else 0xFF
    if not (0 <= part.reference <= limit and 1 <= part.number <= part.total <= 0xFF):
        raise InvalidInput("not a part of a long text", field="part")
    if wide:
        return bytes((6, 8, 4, part.reference >> 8, part.reference & 0xFF, part.total, part.number))
    return bytes((5, 0, 3, part.reference, part.total, part.number))


def part_of(header_bytes: bytes) -> Part | None:
    """The part that a user data header (its length first) tells of; None where it tells of none.

    Other elements are skipped; a header that is cut short or counts wrongly tells of none.
    """
    if not header_bytes or header_bytes[0] != len(header_bytes) - 1:
        return None
    at = 1
    while at + 2 <= len(header_bytes):
        kind, length = header_bytes[at], header_bytes[at + 1]
        content = header_bytes[at + 2 : at + 2 + length]
        at += 2 + length
        if len(content) == length and (kind, length) in {(0, 3), (8, 4)}:
            *reference, total, number = content
            if 1 <= number <= total:
                return Part(int.from_bytes(bytes(reference), "big"), total, number)
            return None
    return None
