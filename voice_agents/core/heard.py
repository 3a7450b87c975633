"""How much of a text was heard, when so much of its sound was. Pure.

Agents say what they speak in pieces, before or after the sound of each, or all at once long before the
sound. So pieces are laid out over the sound between the places they came at, and within a piece words take
time by their length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MS_A_CHARACTER = 60
"""How long speech takes, about: what is said faster than that has not been sent to its end."""
_FASTEST_MS_A_CHARACTER = 30
_AT_ONCE_MS = 40
_NEARLY_MS = 60


@dataclass(frozen=True, slots=True)
class Piece:
    """Text that came when so much of the sound was queued, in milliseconds of all sound ever queued."""

    place_ms: int
    text: str


@dataclass(frozen=True, slots=True)
class _Span:
    start_ms: int
    end_ms: int
    text: str


def heard_text(pieces: Sequence[Piece], start_ms: int, end_ms: int, heard_ms: int, *, complete: bool) -> str:
    """The words that were heard, of sound from ``start_ms`` to ``end_ms`` that was heard up to ``heard_ms``.

    ``complete``: no more sound of this text was to come. A word counts once its greater half was heard.
    """
    text = "".join(piece.text for piece in pieces)
    if complete and heard_ms >= end_ms - _NEARLY_MS:
        return text
    if heard_ms <= start_ms:
        return ""
    most = (heard_ms - start_ms) / _FASTEST_MS_A_CHARACTER
    reached = 0.0
    for span in _spans(pieces, start_ms, end_ms, complete=complete):
        if heard_ms >= span.end_ms:
            reached += len(span.text)
            continue
        if heard_ms > span.start_ms:
            reached += len(span.text) * (heard_ms - span.start_ms) / (span.end_ms - span.start_ms)
        break
    return _whole_words(text, min(reached, most))


def _spans(pieces: Sequence[Piece], start_ms: int, end_ms: int, *, complete: bool) -> list[_Span]:
    """Each piece with the sound it is about; those that came together share theirs."""
    places = [min(max(piece.place_ms, start_ms), end_ms) for piece in pieces]
    ahead = not places or places[0] <= start_ms + _AT_ONCE_MS
    bounds = [*places, end_ms] if ahead else [start_ms, *places]
    spans: list[_Span] = []
    waiting = ""
    for piece, begins, ends in zip(pieces, bounds, bounds[1:], strict=False):
        waiting += piece.text
        if ends > begins:
            since = spans[-1].end_ms if spans else start_ms
            spans.append(_Span(since, ends, waiting))
            waiting = ""
    if waiting and spans:
        last = spans.pop()
        spans.append(_Span(last.start_ms, last.end_ms, last.text + waiting))
    elif waiting:
        spans.append(_Span(start_ms, max(end_ms, start_ms + 1), waiting))
    if spans and not complete:
        last = spans.pop()
        needs_ms = last.start_ms + len(last.text) * MS_A_CHARACTER
        spans.append(_Span(last.start_ms, max(last.end_ms, needs_ms), last.text))
    return spans


def _whole_words(text: str, characters: float) -> str:
    """The words of which more than half lies within so many characters."""
    end = at = 0
    while at < len(text):
        while at < len(text) and text[at].isspace():
            at += 1
        begins = at
        while at < len(text) and not text[at].isspace():
            at += 1
        if at == begins or (begins + at) / 2 > characters:
            break
        end = at
    return text[:end]
