"""Words by which people stop a service's texts, start them again, or ask for help.

Such a word counts only where it is the whole text. STOP, QUIT, END, REVOKE, OPT OUT, CANCEL and UNSUBSCRIBE
revoke consent by themselves (47 CFR §64.1200(a)(10)); STOPALL and the French forms are what carriers take
besides. They are never relayed: the other side of a masked conversation must not answer for the service.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

HELP_EVERY_S: Final = 3600.0
"""Somebody who asks for help is answered once in this time: two machines must not answer one another."""
_LONGEST: Final = 40
"""No word with all its punctuation is longer; a longer text is ordinary without looking at it."""
_STOP: Final = frozenset(
    {
        "stop",
        "stopall",
        "stop all",
        "unsubscribe",
        "cancel",
        "end",
        "quit",
        "revoke",
        "optout",
        "opt out",
        "opt-out",
        "arret",
    }
)
_START: Final = frozenset({"start", "unstop"})
_START_IF_OUT: Final = frozenset({"yes"})
_HELP: Final = frozenset({"help", "info", "aide"})
_AFTER: Final = ".!?,;:…。！？"
_AROUND: Final = "\"'“”‘’«»()[]*"


class Word(StrEnum):
    STOP = "stop"
    START = "start"
    HELP = "help"


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of a person towards one tenant. ``helped_at``: when HELP was answered last."""

    opted_out: bool = False
    helped_at: float | None = None


@dataclass(frozen=True, slots=True)
class Heeded:
    """What follows from a word. ``changed``: the standing did, and the world hears of it; ``answer``: the
    person gets the service's text for this word."""

    word: Word
    after: Standing
    changed: bool
    answer: bool


def word_of(body: str, *, opted_out: bool) -> Word | None:
    """The word that the text is, if it is one. ``opted_out``: only then is YES a word and not an answer.

    >>> word_of(" Stop. ", opted_out=False)
    <Word.STOP: 'stop'>
    >>> word_of("stop by at 5", opted_out=False) is None
    True
    """
    if len(body) > _LONGEST:
        return None
    plain = _plain(body)
    if plain in _STOP:
        return Word.STOP
    if plain in _HELP:
        return Word.HELP
    if plain in _START or (opted_out and plain in _START_IF_OUT):
        return Word.START
    return None


def said_by(carrier_word: str) -> Word | None:
    """The word that a carrier says it saw (``InboundText.opt_out``)."""
    return Word(carrier_word) if carrier_word in {"stop", "start", "help"} else None


def heed(word: Word, standing: Standing, now: float, *, answered_by_carrier: bool) -> Heeded:
    """What a word does. STOP and START are answered when they change something, HELP once an hour; nothing
    is answered that the carrier has answered itself."""
    if word is Word.HELP:
        due = standing.helped_at is None or now - standing.helped_at >= HELP_EVERY_S
        after = Standing(standing.opted_out, now) if due else standing
        return Heeded(word, after, changed=False, answer=due and not answered_by_carrier)
    out = word is Word.STOP
    changed = standing.opted_out is not out
    after = Standing(out, standing.helped_at)
    return Heeded(word, after, changed=changed, answer=changed and not answered_by_carrier)


def _plain(body: str) -> str:
    """Small letters without accents, ends trimmed of space, quotes and trailing punctuation."""
    folded = unicodedata.normalize("NFKD", body).casefold()
    bare = "".join(letter for letter in folded if not _is_noise(letter))
    words = " ".join(bare.split())
    return words.strip(_AROUND).rstrip(_AFTER + " " + _AROUND).strip(_AROUND + " ")


def _is_noise(letter: str) -> bool:
    """Accents, and what cannot be seen: zero-width joiners, byte order marks, variation selectors."""
    return unicodedata.category(letter) in {"Mn", "Cf", "Me"}
