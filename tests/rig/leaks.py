"""Does this text tell that telephone number, in any notation? Pure.

A number is looked for by its national significant part, so that ``+1 202…``, ``001202…``, ``tel:+1-202…`` and
``(202) …`` are all found alike; up to four characters that are neither letters nor digits may stand between
two digits (spaces, dots, folded header lines, the parts of an emoji). The text is read as it stands and in
every way that it could be decoded: percent signs (several times over), HTML and JSON escapes,
quoted-printable, base64, hexadecimal, other scripts' digits, digits written as words. It is also looked for
backwards (ENUM domains) and as the swapped halves of octets that SMS carries.

What is not found: a number that lost digits, was enciphered or hashed, or is spread over several texts.
"""

from __future__ import annotations

import binascii
import html
import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote_to_bytes

import phonenumbers

_BETWEEN = r"[\W_]{0,4}"
_APART = "\n" * 8
"""Keeps what was decoded from two places from making a number together."""
_AROUND = 24
_WORDS = {
    word: str(digit)
    for digit, words in enumerate(
        ("zero oh null", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    )
    for word in words.split()
}
_WORD = re.compile(rf"(?:{'|'.join(_WORDS)})(?![^\W\d_])")
"""In small letters; whether a letter stands before it is looked up for what is found: it is much faster."""
_ESCAPE = re.compile(r"\\(?:u\{?([0-9a-fA-F]{4})\}?|x([0-9a-fA-F]{2}))")
_OTHER_DIGITS = {
    code: str(value)
    for code in range(0x80, 0x20000)
    if (value := unicodedata.digit(chr(code), None)) is not None
}
_QUOTED = re.compile(r"=([0-9A-Fa-f]{2})|=\r?\n")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{10,}")
_BASE64_FOLDED = re.compile(r"(?:[A-Za-z0-9+/]{40,}\r?\n)+[A-Za-z0-9+/]+")
_STANDARD = str.maketrans("-_", "+/")
_LINE_FEEDS = "CgoKCgoKCgoK"
"""Nine of them, in base64: as ``_APART``."""
_HEX = re.compile(r"(?:[0-9a-fA-F]{2}){7,}")


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to read the text: its name for reports, and what stands there then."""

    how: str
    text: str


def find_leaks(number: str, text: str | bytes) -> list[str]:
    """Where this E.164 number can be read: how, and with what around it. Empty if nowhere.

    >>> find_leaks("+12025550111", "From: <sip:%2B1202555%30111@127.0.0.1>")
    ['unescaped: From: <sip:+12025550111@127.0.0.1>']
    """
    forms = _forms(number)
    return [
        f"{reading.how}{note}: {_surroundings(reading.text, found)}"
        for reading in readings(text)
        for note, pattern in forms
        for found in pattern.finditer(reading.text)
    ]


def national(number: str) -> str:
    """The national significant part of a number: what every way of writing it has in common."""
    try:
        parsed = phonenumbers.parse(number, None)
    except phonenumbers.NumberParseException:
        return number.lstrip("+")[3:]
    return str(phonenumbers.national_significant_number(parsed))


@lru_cache(maxsize=256)
def _forms(number: str) -> tuple[tuple[str, re.Pattern[str]], ...]:
    """How the number may stand there: (a note for the report, what to look for)."""
    digits, short = number.lstrip("+"), national(number)
    if not digits.isdecimal() or len(short) < 6:
        raise ValueError("not a number in E.164 form that could be told from any other digits")
    padded = digits if len(digits) % 2 == 0 else f"{digits}F"
    swapped = "".join(padded[at + 1] + padded[at] for at in range(0, len(padded), 2))
    return (
        ("", re.compile(_BETWEEN.join(short))),
        (" backwards", re.compile(_BETWEEN.join(reversed(short)))),
        (" in swapped octets", re.compile(swapped, re.IGNORECASE)),
    )


def _surroundings(text: str, found: re.Match[str]) -> str:
    return text[max(0, found.start() - _AROUND) : found.end() + _AROUND].strip()


@lru_cache(maxsize=8)
def readings(text: str | bytes) -> tuple[Reading, ...]:
    """Every way to read this that differs from the ones before it. Kept for a while: several numbers are
    looked for in one text."""
    if isinstance(text, bytes):
        raw = text.decode("latin-1")
        first = [Reading("as it stands", raw)]
        if not text.isascii():
            first.append(Reading("UTF-8", text.decode("utf-8", "replace")))
    else:
        first = [Reading("as it stands", text)]
    found: dict[str, Reading] = {}
    for one in first:
        plain = _unescaped(one.text)
        quoted = _QUOTED.sub(_quoted_octet, one.text)
        decoded = [Reading("unescaped", plain), Reading("quoted-printable", quoted)]
        decoded += [Reading("base64", _base64(t)) for t in (one.text, plain)]
        decoded += [Reading("hexadecimal", _hexadecimal(one.text))]
        for reading in (one, *decoded):
            if reading.text:
                found.setdefault(reading.text, reading)
                _add_spoken(found, reading)
    return tuple(found.values())


def _add_spoken(found: dict[str, Reading], reading: Reading) -> None:
    """The same with other scripts' digits as ours, and then with words for digits as digits."""
    text = reading.text
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text).translate(_OTHER_DIGITS)
        found.setdefault(text, Reading(f"{reading.how}, other digits", text))
    spoken = _WORD.sub(_digit_of, small := text.lower())
    if spoken != small:
        found.setdefault(spoken, Reading(f"{reading.how}, in words", spoken))


def _digit_of(word: re.Match[str]) -> str:
    before = word.string[word.start() - 1 : word.start()] if word.start() else ""
    return word[0] if before.isalpha() else _WORDS[word[0]]


def _unescaped(text: str) -> str:
    """Percent signs, HTML entities and backslash escapes undone, over and over until nothing changes."""
    for _ in range(5):
        once = text
        if "%" in once:
            # bytes above 127 stay apart: what is hidden in them is read as UTF-8 where that is what they are
            once = unquote_to_bytes(once).decode("utf-8", "replace")
        if "&" in once:
            once = html.unescape(once)
        if "\\" in once:
            once = _ESCAPE.sub(lambda escape: chr(int(escape[1] or escape[2], 16)), once)
        if once == text:
            break
        text = once
    return text


def _quoted_octet(found: re.Match[str]) -> str:
    return chr(int(found[1], 16)) if found[1] else ""


def _base64(text: str) -> str:
    """Everything that could be base64, decoded from each of the four places where it may begin."""
    runs = _BASE64.findall(text)
    runs += ["".join(block.split()) for block in _BASE64_FOLDED.findall(text)]
    return _APART.join(_decoded([run[start:] for run in runs]) for start in range(4)) if runs else ""


def _decoded(runs: list[str]) -> str:
    """All of these at once: filled up to whole groups, and kept apart."""
    whole = _LINE_FEEDS.join(run + "AAA"[: -len(run) % 4] for run in runs)
    return binascii.a2b_base64(whole.translate(_STANDARD)).decode("latin-1")


def _hexadecimal(text: str) -> str:
    return _APART.join(bytes.fromhex(run).decode("latin-1") for run in _HEX.findall(text))
