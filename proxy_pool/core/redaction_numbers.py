"""Finds telephone numbers in a folded text: written, spaced out, spelled, disguised.

What cannot be dialled is put aside first: times, dates, prices, coordinates, ids that are named as such. The
digits that are left form runs; a run, or a stretch of one, is a number where a numbering plan says so, where
it is shaped and announced as one, or where somebody took pains to hide digits. Carriers' own numbering plans
come from ``phonenumbers``; its matcher is not used, because its patterns retry over hostile texts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import phonenumbers

from proxy_pool.core.redaction_fold import Folded, Sort, Token
from proxy_pool.core.redaction_words import (
    CUES,
    DIGIT_WORDS,
    JOINT_WORDS,
    LABELS,
    TEEN_WORDS,
    TENS_WORDS,
    TIMES_WORDS,
)

Span = tuple[int, int]

MAX_TRIES: Final = 400
"""Questions to the numbering plans for one text; beyond it, what has the length of a number counts as one."""
_LEAST: Final = 7
_MOST: Final = 15
_GAP: Final = 10
_ITEMS_AT_ONCE: Final = 16
_NEVER_BETWEEN: Final = frozenset("$€£¥₹%@?")
_PLAIN_GAP: Final = re.compile(r"[ \n()\[\]{}.\-/+*_~·,|:]{0,4}")
_ENGLISH_DIGIT: Final = re.compile(r"zero|one|two|three|four|five|six|seven|eight|nine|oh")
_RUN_TOGETHER: Final = re.compile(rf"(?:{_ENGLISH_DIGIT.pattern}){{3,60}}")
_LETTER_DIGITS: Final = {"o": "0", "l": "1", "i": "1"}
_MONTH: Final = "(?:1[0-2]|0?[1-9])"
_DAY: Final = "(?:3[01]|[12][0-9]|0?[1-9])"
_BYTE: Final = "(?:25[0-5]|2[0-4][0-9]|1?[0-9]{1,2})"
_CURRENCIES: Final = "usd|eur|gbp|cad|aud|dollars?|euros?|pounds?|bucks|percent"
_MEASURES: Final = "km|kg|miles|points|pts|steps|views|followers|people|items|pieces|pcs|units|mb|gb"
_NAMING: Final = "number|num|nummer|no|nr|code|id|is|was|ends|starts|ending|starting|in|with|:|#|\\.|-"
_ASIDE: Final = tuple(
    re.compile(pattern)
    for pattern in (
        # Times
        r"(?<![0-9:])[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?(?![0-9:])",
        r"(?<![0-9])[0-9]{1,2}(?:[.h:][0-9]{2})? ?(?:am|pm|uhr)(?![a-z0-9])",
        # Dates
        rf"(?<![0-9./-])(?:19|20)[0-9]{{2}}[-/.]{_MONTH}[-/.]{_DAY}(?![0-9]|[-/.][0-9])",
        rf"(?<![0-9./-]){_DAY}[-/.]{_DAY}[-/.](?:(?:19|20)[0-9]{{2}}|[0-9]{{2}})(?![0-9]|[-/. ][0-9])",
        # Prices and quantities
        r"[$€£¥₹] ?[0-9][0-9,.]{0,15}",
        rf"(?<![0-9])[0-9][0-9,.]{{0,14}} ?(?:[€£¥₹%]|(?:{_CURRENCIES}|{_MEASURES})(?![a-z]))",
        r"(?<![0-9.])[0-9]{1,3}(?:,[0-9]{3}){1,4}(?:\.[0-9]{1,2})?(?![0-9,])",
        # Addresses of machines, coordinates, ZIP+4
        rf"(?<![0-9.]){_BYTE}(?:\.{_BYTE}){{3}}(?![0-9]|\.[0-9])",
        r"-?[0-9]{1,3}\.[0-9]{4,8} ?, ?-?[0-9]{1,3}\.[0-9]{4,8}",
        r"(?<![0-9])[0-9]{5}-[0-9]{4}(?![0-9])",
        # Ids that are named as such, payment cards, books
        r"#[0-9]{3,20}(?![0-9])",
        rf"(?<![a-z])(?<!area )(?:{LABELS})(?: ?(?:{_NAMING})){{0,4}} ?#?"
        r"[0-9]{3,24}(?:[ -][0-9]{4}){0,5}(?:[ -][0-9]{1,3})?(?![0-9]|-[0-9])",
        r"(?<![0-9])(?:[0-9]{4}[ -]){3,5}[0-9]{1,4}(?![0-9])",
        r"(?<![0-9])97[89][- ]?[0-9][- ][0-9]{2,6}[- ][0-9]{1,6}[- ][0-9](?![0-9])",
    )
)
"""What is set aside before numbers are looked for."""


@dataclass(frozen=True, slots=True)
class _Item:
    """Digits that stand together. ``tokens``: from which token to before which."""

    digits: str
    start: int
    end: int
    tokens: Span
    spelled: bool = False
    odd: bool = False


@dataclass(slots=True)
class _Plans:
    """The numbering plans of the session's countries, asked a bounded number of times."""

    countries: Sequence[str]
    tries: int = MAX_TRIES

    def valid(self, digits: str) -> bool:
        return any(self._ask(digits, country, sure=True) for country in self.countries)

    def possible(self, digits: str) -> bool:
        return any(self._ask(digits, country, sure=False) for country in self.countries)

    def abroad(self, digits: str) -> bool:
        """Whether these digits behind a plus sign can be a number of some country."""
        return self._ask("+" + digits, None, sure=False)

    def _ask(self, digits: str, country: str | None, *, sure: bool) -> bool:
        if self.tries <= 0:
            return len(digits) >= 10
        self.tries -= 1
        try:
            number = phonenumbers.parse(digits, country)
        except phonenumbers.NumberParseException:
            return False
        if sure:
            return bool(phonenumbers.is_valid_number(number))
        return bool(phonenumbers.is_possible_number(number))


def numbers(folded: Folded, found: Sequence[Token], countries: Sequence[str]) -> Iterator[Span]:
    """Spans of telephone numbers; ``countries`` (ISO 3166 alpha-2) are those whose national forms count."""
    plans = _Plans(countries)
    aside = _put_aside(folded.text)
    for run in _runs(folded, found, aside):
        if _is_counting(run):
            continue
        if _is_disguised(found, run):
            yield run[0].start, run[-1].end
            continue
        yield from _stretches(folded.text, found, run, plans)


def _put_aside(text: str) -> bytearray:
    """A mark for every letter that belongs to something else than a telephone number."""
    marks = bytearray(len(text))
    for pattern in _ASIDE:
        for match in pattern.finditer(text):
            marks[match.start() : match.end()] = b"\1" * (match.end() - match.start())
    return marks


def _runs(folded: Folded, found: Sequence[Token], aside: bytearray) -> Iterator[list[_Item]]:
    """Items with nothing but joints between them."""
    run: list[_Item] = []
    for item in _items(folded, found, aside):
        if item is None or (run and not _joined(found[run[-1].tokens[1] : item.tokens[0]])):
            if run:
                yield run
            run = []
        if item is not None:
            run.append(item)
    if run:
        yield run


def _joined(between: Sequence[Token]) -> bool:
    length = 0
    for token in between:
        if token.sort is Sort.WORD:
            if token.text not in JOINT_WORDS:
                return False
            continue
        if token.text in _NEVER_BETWEEN:
            return False
        length += len(token.text)
    return length <= _GAP


def _items(folded: Folded, found: Sequence[Token], aside: bytearray) -> Iterator[_Item | None]:
    """The items of a text in order; None where digits stand that are none, so that a run ends there."""
    at = 0
    while at < len(found):
        token = found[at]
        if token.sort is Sort.DIGITS or (token.sort is Sort.WORD and _begins_cluster(found, at)):
            end, item = _cluster(folded, found, at)
            marked = any(aside[token.start : found[end - 1].end])
            yield None if marked else item
            at = end
        elif token.sort is Sort.WORD and (spelled := _spelled(found, at)) is not None:
            digits, end = spelled
            yield _Item(digits, token.start, found[end - 1].end, (at, end), spelled=True)
            at = end
        else:
            at += 1


def _begins_cluster(found: Sequence[Token], at: int) -> bool:
    return at + 1 < len(found) and found[at + 1].sort is Sort.DIGITS


def _cluster(folded: Folded, found: Sequence[Token], at: int) -> tuple[int, _Item | None]:
    """Digits and the letters that touch them: an item where the letters stand for digits, or announce it."""
    end = at
    while end < len(found) and found[end].sort in {Sort.DIGITS, Sort.WORD}:
        end += 1
    parts = list(found[at:end])
    first, last = at, end
    if parts[0].text in CUES | {"no", "nr", "to", "or"} and len(parts) > 1 and len(parts[1].text) >= _LEAST:
        parts, first = parts[1:], first + 1
    if len(parts) == 3 and parts[1].text in {"x", "ext"} and len(parts[0].text) >= 4:
        parts, last = parts[:1], last - 2
    digits, odd = "", False
    for part in parts:
        if part.sort is Sort.DIGITS:
            digits += part.text
            continue
        said = DIGIT_WORDS.get(part.text) or _letter_digits(part.text)
        if said is None:
            return end, None
        digits, odd = digits + said, True
    drawn = any(place in folded.odd for place in range(parts[0].start, parts[-1].end))
    return end, _Item(digits, parts[0].start, parts[-1].end, (first, last), odd=odd or drawn)


def _letter_digits(letters: str) -> str | None:
    if len(letters) > 3 or any(letter not in _LETTER_DIGITS for letter in letters):
        return None
    return "".join(_LETTER_DIGITS[letter] for letter in letters)


def _spelled(found: Sequence[Token], at: int) -> tuple[str, int] | None:
    """Digits in words from a token on, and the token behind them."""
    word = found[at].text
    if _RUN_TOGETHER.fullmatch(word) is not None:
        return "".join(DIGIT_WORDS[one] for one in _ENGLISH_DIGIT.findall(word)), at + 1
    if word in DIGIT_WORDS:
        hundred = _next_word(found, at + 1)
        if hundred is not None and found[hundred].text == "hundred" and DIGIT_WORDS[word] != "0":
            return DIGIT_WORDS[word] + "00", hundred + 1
        return DIGIT_WORDS[word], at + 1
    if word in TEEN_WORDS:
        return TEEN_WORDS[word], at + 1
    after = _next_word(found, at + 1)
    if word in TENS_WORDS:
        unit = None if after is None else DIGIT_WORDS.get(found[after].text)
        if after is not None and unit not in {None, "0"} and found[after].text != "o":
            return TENS_WORDS[word] + str(unit), after + 1
        return TENS_WORDS[word] + "0", at + 1
    if word in TIMES_WORDS and after is not None:
        digit = DIGIT_WORDS.get(found[after].text) or found[after].text
        if len(digit) == 1 and digit.isdigit():
            return digit * TIMES_WORDS[word], after + 1
    return None


def _next_word(found: Sequence[Token], at: int) -> int | None:
    """The next token that is no space or hyphen, if it comes at once."""
    if at < len(found) and (found[at].sort is Sort.SPACE or found[at].text == "-"):
        at += 1
    return at if at < len(found) else None


def _is_disguised(found: Sequence[Token], run: Sequence[_Item]) -> bool:
    """Whether somebody hid a number: spelled, drawn with other digits, one digit at a time, joints said."""
    digits = "".join(item.digits for item in run)
    if not _LEAST <= len(digits) <= 4 * _MOST:
        return False
    if len(digits) > _MOST and sum(len(item.digits) > 4 for item in run):
        return False
    spelled = sum(item.spelled and len(item.digits) == 1 for item in run)
    any_spelled = sum(item.spelled for item in run)
    single = sum(len(item.digits) == 1 for item in run)
    odd = sum(len(item.digits) for item in run if item.odd)
    joints = sum(_is_joint(token) for token in found[run[0].tokens[1] : run[-1].tokens[0]])
    plain = spelled >= 4 or single >= 6 or odd >= 3 or (any_spelled >= 2 and len(digits) >= 10)
    return plain or (joints >= 2 and len(digits) >= 9)


def _is_joint(token: Token) -> bool:
    """A word like "dash", or a picture, in place of a separator."""
    return token.text in JOINT_WORDS or (token.sort is Sort.OTHER and not token.text.isascii())


def _is_counting(run: Sequence[_Item]) -> bool:
    """1 2 3 4 … or 10 9 8 …: nobody's number."""
    if len(run) < 4 or any(len(item.digits) > 3 for item in run):
        return False
    values = [int(item.digits) for item in run]
    return len({after - before for before, after in pairwise(values)}) == 1


def _stretches(text: str, found: Sequence[Token], run: Sequence[_Item], plans: _Plans) -> Iterator[Span]:
    """The stretches of a run that are numbers, the longest first at each place."""
    at = 0
    while at < len(run):
        end = _longest(text, found, run, at, plans)
        if end is None:
            at += 1
            continue
        start = run[at].start
        while start and text[start - 1] in "+(":
            start -= 1
        yield start, run[end - 1].end
        at = end


def _longest(text: str, found: Sequence[Token], run: Sequence[_Item], at: int, plans: _Plans) -> int | None:
    digits, ends = "", []
    for place in range(at, min(len(run), at + _ITEMS_AT_ONCE)):
        between = text[run[place - 1].end : run[place].start] if place > at else ""
        digits += run[place].digits
        if len(digits) > _MOST + 3 or _PLAIN_GAP.fullmatch(between) is None:
            break
        if len(digits) >= _LEAST:
            ends.append((place + 1, digits))
    for end, these in reversed(ends):
        if _is_number(text, found, run[at:end], these, plans):
            return end
    return None


def _is_number(text: str, found: Sequence[Token], items: Sequence[_Item], digits: str, plans: _Plans) -> bool:
    start = items[0].start
    before = text[max(0, start - 3) : start].rstrip(" (")
    if before.endswith("+"):
        return len(digits) <= _MOST and plans.abroad(digits)
    for prefix in ("00", "011"):
        bare = digits.removeprefix(prefix)
        if bare != digits and len(digits) >= 10 and bare[0] != "0" and plans.abroad(bare):
            return True
    if len(digits) > _MOST:
        return False
    announced = _announced(found, items[0].tokens[0])
    if len(digits) <= 8 and not announced:
        return False
    if plans.valid(digits):
        return len(items) < 6 or announced or _even(items)
    shaped = [len(item.digits) for item in items] in ([3, 3, 4], [1, 3, 3, 4], [5, 6], [5, 3, 3], [3, 4, 4])
    trunk = digits[0] == "0" and digits[1] != "0" and len(digits) in {10, 11}
    return (announced or trunk or (shaped and digits[0] not in "0")) and plans.possible(digits)


def _even(items: Sequence[_Item]) -> bool:
    """Pairs of digits, as the French write them."""
    return all(len(item.digits) == 2 for item in items)


def _announced(found: Sequence[Token], at: int) -> bool:
    """Whether one of the last words before it speaks of calling."""
    words = [token.text for token in found[max(0, at - 10) : at] if token.sort is Sort.WORD]
    return any(word in CUES for word in words[-4:])
