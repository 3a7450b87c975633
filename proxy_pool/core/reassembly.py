"""Parts of a long text, put together again. Times are epoch seconds.

A carrier that hands on the parts as they come names them by a reference of one byte or two, which every
phone uses again before long (3GPP TS 23.040 §9.2.3.24.1). So parts belong together only within a window,
and a part that says something else than the one we hold under its number begins a new text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from proxy_pool.core.text import InboundText

WINDOW_S: Final = 86_400.0
"""How long a part that was part of a finished text is known for a repetition, and parts belong together."""
PATIENCE_S: Final = 900.0
"""How long after its latest part an incomplete text is waited for; then it goes out as it is, flagged."""
MAX_PARTS: Final = 255


@dataclass(frozen=True, slots=True)
class Key:
    """What parts of one text have in common."""

    carrier: str
    sender: str = field(repr=False)
    to: str = field(repr=False)
    reference: int
    total: int


@dataclass(frozen=True, slots=True)
class Piece:
    """A part that came: ``id`` is ours, ``at`` when it came. ``used``: it went out with a text already.

    ``mark`` stands for what it says (a digest), so that a repetition is known when the body is erased.
    """

    id: str
    number: int
    body: str = field(repr=False)
    at: float
    used: bool = False
    mark: str = ""

    @property
    def says(self) -> tuple[int, str]:
        return self.number, self.mark or self.body


@dataclass(frozen=True, slots=True)
class Whole:
    """A text to go out now, and the pieces that made it. ``missing``: numbers of parts that never came."""

    body: str = field(repr=False)
    pieces: tuple[str, ...]
    missing: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Gathered:
    """What is to be done with all pieces of a key: texts to send on, repetitions to drop, and when to look
    again at those that wait (None where none does)."""

    texts: tuple[Whole, ...] = ()
    repeated: tuple[str, ...] = ()
    wait_until: float | None = None


def key_of(text: InboundText) -> Key | None:
    """The key of a part; None for a text that is whole, or whose part makes no sense (it goes as it is)."""
    part = text.part
    if part is None or not (1 < part.total <= MAX_PARTS and 1 <= part.number <= part.total):
        return None
    return Key(text.carrier, text.sender, text.to.reveal(), part.reference, part.total)


def gather(pieces: Sequence[Piece], total: int, now: float, patience_s: float = PATIENCE_S) -> Gathered:
    """Judge all pieces of one key that came within the window, in any order.

    Complete texts go out joined. An incomplete one waits until ``patience_s`` after its latest part, and is
    sent on with its ``missing`` parts named; it is cut short at once by a part that contradicts it.
    """
    texts: list[Whole] = []
    repeated: list[str] = []
    known = {piece.says for piece in pieces if piece.used}
    held: dict[int, Piece] = {}
    for piece in sorted((one for one in pieces if not one.used), key=lambda one: (one.at, one.id)):
        other = held.get(piece.number)
        if piece.says in known or (other is not None and other.says == piece.says):
            repeated.append(piece.id)
            continue
        if other is not None or (held and piece.at - max(one.at for one in held.values()) > WINDOW_S):
            texts.append(_joined(held, total))
            held = {}
        held[piece.number] = piece
        if len(held) == total:
            texts.append(_joined(held, total))
            known |= {one.says for one in held.values()}
            held = {}
    if not held:
        return Gathered(tuple(texts), tuple(repeated))
    due = max(one.at for one in held.values()) + patience_s
    if due <= now:
        texts.append(_joined(held, total))
        return Gathered(tuple(texts), tuple(repeated))
    return Gathered(tuple(texts), tuple(repeated), due)


def _joined(held: dict[int, Piece], total: int) -> Whole:
    numbers = range(1, total + 1)
    there = [held[number] for number in numbers if number in held]
    return Whole(
        "".join(piece.body for piece in there),
        tuple(piece.id for piece in there),
        tuple(number for number in numbers if number not in held),
    )
