"""What telephones hear, by language. A text with ``{n}`` has a number in it. Pure.

``REFUSED`` is the one answer to a meeting number that does not open a room now, whatever the reason: wrong,
too early, too late, full, or ended. A language is complete or is not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Words(StrEnum):
    """Each thing that is said; ``TONE`` is no words but a sound."""

    TONE = "tone"
    WELCOME = "welcome"
    ASK_PIN = "ask_pin"
    REFUSED = "refused"
    ASK_AGAIN = "ask_again"
    GOODBYE = "goodbye"
    ASK_CONSENT = "ask_consent"
    WAIT = "wait"
    WAIT_FOR_HOST = "wait_for_host"
    DENIED = "denied"
    NOT_ADMITTED = "not_admitted"
    NUMBER = "number"
    COUNT = "count"
    ALONE = "alone"
    RECORDED = "recorded"
    RECORDED_NO_MORE = "recorded_no_more"
    MUTED = "muted"
    UNMUTED = "unmuted"
    HOST_MUTED = "host_muted"
    HAND_UP = "hand_up"
    HAND_DOWN = "hand_down"
    KEYS = "keys"
    REMOVED = "removed"
    ENDED = "ended"
    LOST = "lost"
    UNAVAILABLE = "unavailable"
    CANNOT_JOIN = "cannot_join"
    LONGEST = "longest"


COUNTED: Final = frozenset({Words.NUMBER, Words.COUNT})
"""Those that have a number in them."""

ENGLISH: Final[Mapping[Words, str]] = MappingProxyType(
    {
        Words.WELCOME: "Welcome.",
        Words.ASK_PIN: "Please enter your meeting number, then press the hash key.",
        Words.REFUSED: "That meeting cannot be joined.",
        Words.ASK_AGAIN: "Please enter your meeting number again, then press the hash key.",
        Words.GOODBYE: "Goodbye.",
        Words.ASK_CONSENT: "You are invited to a meeting. To join it, press 1.",
        Words.WAIT: "Please hold. You will be let in soon.",
        Words.WAIT_FOR_HOST: "Please hold. The meeting begins when its host arrives.",
        Words.DENIED: "You were not let in. Goodbye.",
        Words.NOT_ADMITTED: "Nobody has let you in. Please try again later. Goodbye.",
        Words.NUMBER: "You are number {n} in the meeting.",
        Words.COUNT: "There are {n} of you in the meeting.",
        Words.ALONE: "You are alone in the meeting.",
        Words.RECORDED: "This meeting is being recorded.",
        Words.RECORDED_NO_MORE: "The recording has stopped.",
        Words.MUTED: "Muted.",
        Words.UNMUTED: "Unmuted.",
        Words.HOST_MUTED: "The host has muted you. Press star 6 to speak.",
        Words.HAND_UP: "Hand raised.",
        Words.HAND_DOWN: "Hand lowered.",
        Words.KEYS: (
            "Star 6: mute, or speak. Star 2: raise your hand, or lower it. "
            "Star 1: how many are here. Star 4: hear this again."
        ),
        Words.REMOVED: "Removed.",
        Words.ENDED: "The meeting has ended. Goodbye.",
        Words.LOST: "The connection to the meeting is lost. Please call again. Goodbye.",
        Words.UNAVAILABLE: "Meetings cannot be reached at the moment. Please try again later. Goodbye.",
        Words.CANNOT_JOIN: "The meeting cannot be joined now. Goodbye.",
        Words.LONGEST: "This call has reached its longest time. Goodbye.",
    }
)
LANGUAGES: Final[Mapping[str, Mapping[Words, str]]] = MappingProxyType({"en": ENGLISH})


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that is said, with its number."""

    words: Words
    n: int = 0


def text_of(line: Line, language: str) -> str:
    """The text of it; "" for a sound. A language that is not there is English.

    >>> text_of(Line(Words.NUMBER, 4), "en")
    'You are number 4 in the meeting.'
    """
    text = LANGUAGES.get(language, ENGLISH).get(line.words, "")
    return text.replace("{n}", str(line.n)) if line.words in COUNTED else text
