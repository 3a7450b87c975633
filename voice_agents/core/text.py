"""What may be spoken: clean text, known voices, known rates. Pure."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping, Set
from dataclasses import dataclass
from types import MappingProxyType

from telephony.errors import InvalidInput

ESPEAK_VOICES: Mapping[str, str] = MappingProxyType(
    {
        "ar": "ar", "cs-CZ": "cs", "da-DK": "da", "de-DE": "de", "el-GR": "el", "en-GB": "en-gb",
        "en-US": "en-us", "es-419": "es-419", "es-ES": "es", "fi-FI": "fi", "fr-FR": "fr-fr",
        "hi-IN": "hi", "hu-HU": "hu", "it-IT": "it", "nb-NO": "nb", "nl-NL": "nl", "pl-PL": "pl",
        "pt-BR": "pt-br", "pt-PT": "pt", "ro-RO": "ro", "ru-RU": "ru", "sv-SE": "sv", "tr-TR": "tr",
        "uk-UA": "uk",
    }
)  # fmt: skip
"""The voices on offer: language tag (BCP 47) → the engine's name for it."""

_BLANKS = re.compile(r"\s+")
_JOINERS = "\u200c\u200d"
_SPACE_CONTROLS = "\t\n\r\v\f"


@dataclass(frozen=True, slots=True)
class SpeechLimits:
    """What an engine accepts: voices by tag, sampling rates in Hz, and how long a text may be."""

    voices: frozenset[str]
    rates_hz: frozenset[int]
    max_characters: int


def clean(text: str, limit: int) -> str:
    """The text as it will be spoken: NFC, blanks collapsed, invisible marks dropped.

    Raises ``InvalidInput`` naming the rule: control characters (an engine may take them for commands),
    nothing left to say, or longer than ``limit`` characters.
    """
    if len(text) > 4 * limit:
        raise _refused(f"text is longer than {limit} characters", f"at most {limit} characters")
    kept = []
    for character in unicodedata.normalize("NFC", text):
        category = unicodedata.category(character)
        if character in _SPACE_CONTROLS:
            kept.append(" ")
        elif category in ("Cc", "Cs"):
            raise _refused("text has a control character", "plain text without control characters")
        elif category != "Cf" or character in _JOINERS:
            kept.append(character)
    cleaned = _BLANKS.sub(" ", "".join(kept)).strip()
    if not any(unicodedata.category(character)[0] in "LN" for character in cleaned):
        raise _refused("text has nothing to say", "at least one letter or digit")
    if len(cleaned) > limit:
        raise _refused(f"text is longer than {limit} characters", f"at most {limit} characters")
    return cleaned


def _refused(message: str, expected: str) -> InvalidInput:
    return InvalidInput(message, field="text", expected=expected)


def admit(text: str, voice: str, rate_hz: int, limits: SpeechLimits) -> str:
    """The cleaned text, if text, voice and rate are within the limits; else ``InvalidInput``."""
    if voice not in limits.voices:
        offered = ", ".join(sorted(limits.voices))
        raise InvalidInput("unknown voice", field="voice", value=voice[:20], expected=f"one of {offered}")
    if rate_hz not in limits.rates_hz:
        offered = ", ".join(str(rate) for rate in sorted(limits.rates_hz))
        raise InvalidInput(
            "unsupported sampling rate", field="rate_hz", value=rate_hz, expected=f"one of {offered}"
        )
    return clean(text, limits.max_characters)


def nearest_voice(tag: str, voices: Set[str]) -> str | None:
    """The voice of this language, else the first of its kin; None if there is none.

    >>> nearest_voice("en-NZ", {"en-US", "en-GB", "fr-FR"}), nearest_voice("ja", {"en-US"})
    ('en-GB', None)
    """
    if tag in voices:
        return tag
    return next((voice for voice in sorted(voices) if kin(voice) == kin(tag)), None)


def kin(tag: str) -> str:
    """The language of a tag, whatever its country."""
    return tag.split("-")[0].lower()


def speech_key(*parts: str | int) -> str:
    """A file name for what these parts produce: equal parts, equal name; says nothing about the text."""
    return hashlib.sha256("\x1f".join(map(str, parts)).encode()).hexdigest()
