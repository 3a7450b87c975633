"""A small grammar: the sentences somebody may say at one point of a conversation, and what they mean. Pure.

A sentence is written with plain words, ``[may be left out]`` and ``(one | another)``. A grammar that is to
be understood by an engine becomes a JSGF (Java Speech Grammar Format 1.0); nothing gets into one but words
that were checked, since what a company calls its departments is not ours.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product

from telephony.errors import InvalidInput

_WORD = re.compile(r"[a-z]{1,20}(?:'[a-z]{1,5})?")
_SIGN = re.compile(r"\s*([\[\]()|]|[^\s\[\]()|]+)")
MOST_SENTENCES = 4000
"""What one grammar may come to when every choice is written out."""
DIGITS = {
    "zero": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7",
    "eight": "8", "nine": "9",
}  # fmt: skip
"""What keys are called when they are said one by one."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Sentences of one meaning. ``detail`` goes with it: the department that is asked for, say."""

    meaning: str
    sentence: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a sentence means. For ``digits`` the keys are in ``detail``."""

    name: str
    detail: str = ""


@dataclass(frozen=True)
class Grammar:
    """``digits``: any row of digits may be said as well. Raises ``InvalidInput`` where a sentence is not one,
    or the choices come to too many."""

    name: str
    rules: tuple[Rule, ...]
    digits: bool = False

    def __post_init__(self) -> None:
        if not self.rules and not self.digits:
            raise _refused("a grammar says nothing", self.name)
        _ = self._sentences

    @cached_property
    def _sentences(self) -> dict[str, Meaning]:
        found: dict[str, Meaning] = {}
        for rule in self.rules:
            for words in _expanded(rule.sentence):
                found.setdefault(words, Meaning(rule.meaning, rule.detail))
            if len(found) > MOST_SENTENCES:
                raise _refused(f"a grammar has more than {MOST_SENTENCES} sentences", self.name)
        return found

    @cached_property
    def words(self) -> frozenset[str]:
        """Every word in it."""
        spoken = {word for sentence in self._sentences for word in sentence.split()}
        return frozenset(spoken | (set(DIGITS) if self.digits else set()))

    def sentences(self) -> tuple[str, ...]:
        """Everything that may be said, digits aside."""
        return tuple(self._sentences)

    def meaning(self, text: str) -> Meaning | None:
        """What this text means; None if it is not of the grammar. Case and punctuation do not matter, nor
        is it minded how an engine writes digits."""
        words = plain_words(text)
        if (found := self._sentences.get(" ".join(words))) is not None:
            return found
        keys = "".join(DIGITS.get(word, word) for word in words)
        if self.digits and keys and len(keys) <= 32 and keys.isascii() and keys.isdigit():
            return Meaning("digits", keys)
        return None

    def jsgf(self, known: Callable[[str], bool] = lambda _: True) -> str:
        """The grammar for an engine. A rule with a word that the engine does not know is left out, so that
        one strange name does not cost the rest. Raises ``InvalidInput`` if nothing remains."""
        bodies = [
            rule.sentence
            for rule in self.rules
            if all(known(word) for sentence in _expanded(rule.sentence) for word in sentence.split())
        ]
        if self.digits:
            bodies.append("<digit>+")
        if not bodies:
            raise _refused("the engine knows no sentence of this grammar", self.name)
        lines = [f"<said{n}> = {body};" for n, body in enumerate(bodies)]
        if self.digits:
            lines.append(f"<digit> = {' | '.join(DIGITS)};")
        whole = " | ".join(f"<said{n}>" for n in range(len(bodies)))
        return "\n".join(["#JSGF V1.0;", "grammar patchbay;", *lines, f"public <said> = {whole};", ""])


def plain_words(text: str) -> list[str]:
    """The words of a text in small letters, without punctuation; digits one by one."""
    spaced = re.sub(r"(\d)", r" \1 ", text.lower().replace("’", "'"))
    return [word for part in spaced.split() if (word := part.strip(".,!?;:\"'()-"))]


def speakable(name: str) -> str:
    """A name as it is said: words a grammar may hold. Empty where it has none."""
    words = plain_words(name.replace("&", " and ").replace("-", " ").replace("_", " "))
    return " ".join(words) if words and all(_WORD.fullmatch(word) for word in words) else ""


def _expanded(sentence: str) -> tuple[str, ...]:
    """Every way to say it."""
    signs = list(_signs(sentence))
    ways, at = _choices(signs, 0, sentence)
    if at != len(signs):
        raise _refused("a bracket closes that was not opened", sentence)
    if "" in ways:
        raise _refused("a sentence may be empty", sentence)
    return ways


def _signs(sentence: str) -> Iterator[str]:
    if len(sentence) > 1000:
        raise _refused("a sentence is longer than 1000 characters", sentence)
    for found in _SIGN.finditer(sentence.rstrip()):
        sign = found.group(1)
        if sign not in "[]()|" and not _WORD.fullmatch(sign):
            raise _refused("a sentence has a word with other letters than a to z", sentence)
        yield sign


def _choices(signs: list[str], at: int, sentence: str) -> tuple[tuple[str, ...], int]:
    """Alternatives up to a closing bracket or the end."""
    every: list[str] = []
    ways, at = _row(signs, at, sentence)
    every += ways
    while at < len(signs) and signs[at] == "|":
        ways, at = _row(signs, at + 1, sentence)
        every += ways
    return tuple(dict.fromkeys(every)), at


def _row(signs: list[str], at: int, sentence: str) -> tuple[list[str], int]:
    """Words and bracketed parts, one after another."""
    ways = [""]
    began = at
    while at < len(signs) and signs[at] not in "])|":
        sign = signs[at]
        part: tuple[str, ...] = (sign,)
        at += 1
        if sign in "[(":
            part, at = _choices(signs, at, sentence)
            if at >= len(signs) or signs[at] != ("]" if sign == "[" else ")"):
                raise _refused("a bracket is not closed", sentence)
            at += 1
            part = ("", *part) if sign == "[" else part
        ways = [f"{one} {other}".strip() for one, other in product(ways, part)]
        if len(ways) > MOST_SENTENCES:
            raise _refused(f"a sentence has more than {MOST_SENTENCES} ways to be said", sentence)
    if at == began:
        raise _refused("a choice of a sentence is empty", sentence)
    return ways, at


def _refused(message: str, value: str) -> InvalidInput:
    return InvalidInput(
        message, field="grammar", value=value[:60], expected="words, [may be left out], (one | another)"
    )
