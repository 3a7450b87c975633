"""What in a text would let two people meet outside: numbers, e-mail addresses, links, handles.

``mask`` replaces what is found, ``block`` keeps the text from being relayed, ``flag`` relays it and says what
was found. Nothing here sees pictures, or a number that is spread over several texts; the labelled corpus of
the tests says what else gets through.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import phonenumbers

from proxy_pool.core.redaction_addresses import links, mails
from proxy_pool.core.redaction_fold import fold, tokens
from proxy_pool.core.redaction_handles import handles
from proxy_pool.core.redaction_numbers import numbers
from proxy_pool.core.session import Redaction
from telephony.numbers import E164

HIDDEN: Final = "***"
"""What stands in place of what was found; three letters that every alphabet has."""


class Finding(StrEnum):
    NUMBER = "number"
    EMAIL = "email"
    LINK = "link"
    HANDLE = "handle"


@dataclass(frozen=True, slots=True)
class Found:
    """One finding: the span in the text as it was written."""

    kind: Finding
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Redacted:
    """``body`` as it is to be relayed, empty where ``blocked``; ``flags``: kinds of what was found."""

    body: str = field(repr=False)
    flags: tuple[str, ...] = ()
    blocked: bool = False


def countries_of(numbers_in_play: Iterable[E164]) -> tuple[str, ...]:
    """The countries (ISO 3166 alpha-2) of these numbers, each once, in order.

    >>> countries_of([E164("+14155550100"), E164("+442079460100")])
    ('US', 'GB')
    """
    regions = (_country_of(number.reveal()) for number in numbers_in_play)
    return tuple(dict.fromkeys(region for region in regions if region and region != "ZZ"))


def _country_of(digits: str) -> str | None:
    """The number's country; of a number that no plan knows, the main one of its country code."""
    try:
        number = phonenumbers.parse(digits, None)
    except phonenumbers.NumberParseException:
        return None
    exact: str | None = phonenumbers.region_code_for_number(number)
    return exact or str(phonenumbers.region_code_for_country_code(number.country_code or 0))


def find(text: str, countries: Sequence[str]) -> tuple[Found, ...]:
    """Everything that was found, in order, nothing twice: an address holds the digits in it."""
    folded = fold(text)
    there = tokens(folded.text)
    each = (
        (Finding.EMAIL, mails(folded.text, there)),
        (Finding.LINK, links(folded.text, there)),
        (Finding.HANDLE, handles(folded.text, there)),
        (Finding.NUMBER, numbers(folded, there, countries)),
    )
    taken = bytearray(len(folded.text))
    found: list[Found] = []
    for kind, spans in each:
        for start, end in spans:
            if (
                start < end
                and not all(taken[start:end])
                and not (kind is not Finding.NUMBER and taken[start])
            ):
                taken[start:end] = b"\1" * (end - start)
                found.append(Found(kind, *folded.original(start, end)))
    return tuple(sorted(found, key=lambda one: (one.start, one.end)))


def redact(text: str, mode: Redaction, countries: Sequence[str]) -> Redacted:
    """The text as the other person may read it under this mode."""
    if mode is Redaction.OFF:
        return Redacted(text)
    found = find(text, countries)
    flags = tuple(kind.value for kind in Finding if any(one.kind is kind for one in found))
    if mode is Redaction.BLOCK and found:
        return Redacted("", flags, blocked=True)
    return Redacted(_hidden(text, found) if mode is Redaction.MASK else text, flags)


def _hidden(text: str, found: Sequence[Found]) -> str:
    pieces: list[str] = []
    at = 0
    for one in found:
        if one.start >= at:
            pieces += [text[at : one.start], HIDDEN]
        at = max(at, one.end)
    return "".join((*pieces, text[at:]))
