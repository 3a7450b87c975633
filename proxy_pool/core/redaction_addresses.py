"""Finds e-mail addresses and links in a folded text, also spoken ones.

Every pattern starts at a boundary and repeats over letters that cannot begin its next part, with bounds, so
the work grows with the length of the text and no faster.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from proxy_pool.core.redaction_fold import Sort, Token
from proxy_pool.core.redaction_words import (
    AT_WORDS,
    DOT_WORDS,
    MAIL_HOSTS,
    NO_LOCAL_PART,
    SHORT_HOSTS,
    SURE_TLDS,
    TLDS,
    WORDLIKE_TLDS,
)

Span = tuple[int, int]

_LOCAL: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789._%+-")
_DOMAIN: Final = re.compile(r" ?((?:[a-z0-9-]{1,63}\.){1,6})([a-z]{2,24})(?![a-z0-9-])")
_MAIL_HOST: Final = re.compile(rf" ?(?:{'|'.join(sorted(MAIL_HOSTS))})(?![a-z0-9-])")
_SCHEME: Final = re.compile(r"\bh(?:tt|xx)ps? ?(?:\[?:\]?) ?// ?[^\s]{1,500}")
_BARE: Final = re.compile(
    r"(?<![a-z0-9@._-])((?:[a-z0-9-]{1,63}\.){1,6})([a-z]{2,24})(?![a-z0-9@-])((?::[0-9]{1,5})?(?:[/?#][^\s]{0,500})?)"
)
_LOOSE_DOT: Final = re.compile(
    r"(?<![a-z0-9@._-])(?:[a-z0-9-]{1,63}\.){0,5}[a-z0-9-]{2,63}(?: \. ?| ?\. )(?:com|net|org)(?![a-z0-9])"
)
_BRACKETS: Final = {"(": ")", "[": "]", "{": "}", "<": ">", "*": "*", "_": "_"}


def mails(text: str, found: Sequence[Token]) -> Iterator[Span]:
    """E-mail addresses: written with @, or with "at" and "dot"."""
    yield from _written_mails(text)
    yield from _spoken_mails(found)


def links(text: str, found: Sequence[Token]) -> Iterator[Span]:
    """Addresses of pages: with a scheme, bare domains, and domains with a spoken dot."""
    for match in _SCHEME.finditer(text):
        yield match.span()
    for match in _BARE.finditer(text):
        if _is_domain(match.group(1), match.group(2), match.group(3)):
            yield match.span()
    for match in _LOOSE_DOT.finditer(text):
        yield match.span()
    yield from _spoken_links(found)


def _written_mails(text: str) -> Iterator[Span]:
    at = text.find("@")
    while at != -1:
        end = at - 1 if at and text[at - 1] == " " else at
        start = end
        while start and end - start < 64 and text[start - 1] in _LOCAL:
            start -= 1
        if start < end and any(letter.isalnum() for letter in text[start:end]):
            domain = _DOMAIN.match(text, at + 1)
            if domain is not None and end < at and domain.group(2) not in TLDS:
                domain = None  # "find me @jo.smith" is a handle
            domain = domain or _MAIL_HOST.match(text, at + 1)
            if domain is not None:
                yield start, domain.end()
        at = text.find("@", at + 1)


def _is_domain(labels: str, tld: str, rest: str) -> bool:
    host = labels + tld
    if host in SHORT_HOSTS or labels.startswith("www."):
        return True
    if tld not in TLDS or not any(letter.isalpha() for letter in labels):
        return False
    if tld not in WORDLIKE_TLDS:
        return len(labels) > 2 or tld in SURE_TLDS or rest[:1] == "/"
    return rest[:1] == "/" or labels.count(".") > 1


class _Words:
    """Tokens without spaces, for what is spoken."""

    def __init__(self, found: Sequence[Token]) -> None:
        self.all = [token for token in found if token.sort is not Sort.SPACE]

    def bracketed(self, at: int, words: frozenset[str]) -> tuple[int, bool] | None:
        """Whether one of the words stands at ``at``, maybe in brackets: what follows it, and if it was."""
        here = self.all[at] if at < len(self.all) else None
        if here is None:
            return None
        if here.text in words:
            return at + 1, False
        closing = _BRACKETS.get(here.text)
        if closing is None or at + 2 >= len(self.all) or self.all[at + 2].text != closing:
            return None
        inside = self.all[at + 1].text
        symbol = "@" if words is AT_WORDS else "."
        return (at + 3, True) if inside in words or inside == symbol else None

    def cluster(self, at: int) -> int:
        """Behind the letters and digits that stand together from ``at`` on; ``at`` if there are none."""
        end = at
        while end < len(self.all) and end - at < 8:
            token = self.all[end]
            joined = token.text in "-_" if token.sort is Sort.OTHER else True
            if not joined or (end > at and token.start != self.all[end - 1].end):
                break
            end += 1
        return end

    def back(self, at: int) -> int:
        """Where the mailbox name that ends before ``at`` begins: clusters joined by dots, spoken or not."""
        start = at
        while start > 0 and at - start < 8:
            token = self.all[start - 1]
            if token.sort is Sort.OTHER:
                if token.text not in "._-+" or token.end != self.all[start].start:
                    break
            elif start < at and token.end != self.all[start].start and not self._dotted(start):
                break
            start -= 1
        return start

    def _dotted(self, start: int) -> bool:
        """Whether the word at ``start``, or before it, is a spoken dot: "john dot smith"."""
        joints = DOT_WORDS | {"underscore"}
        return self.all[start].text in joints or self.all[start - 1].text in joints

    def domain(self, at: int) -> tuple[int, bool, str] | None:
        """A domain from ``at`` on: what follows, whether a dot was spoken, its last label."""
        end = self.cluster(at)
        spoken, dots, last = False, 0, ""
        while end > at and dots < 5:
            dot = self.bracketed(end, DOT_WORDS)
            if dot is None and end < len(self.all) and self.all[end].text == ".":
                dot, this_spoken = (end + 1, False), False
            else:
                this_spoken = dot is not None
            if dot is None:
                break
            further = self.cluster(dot[0])
            if further == dot[0]:
                break
            spoken, dots = spoken or this_spoken, dots + 1
            last = "".join(token.text for token in self.all[dot[0] : further])
            end = further
        return (end, spoken, last) if dots else None


def _spoken_mails(found: Sequence[Token]) -> Iterator[Span]:
    words = _Words(found)
    for at in range(1, len(words.all)):
        after = words.bracketed(at, AT_WORDS)
        if after is None and words.all[at].text == "@":
            after = (at + 1, True)
        if after is None or words.all[at - 1].sort is Sort.OTHER:
            continue
        behind, sure = after
        start = words.back(at)
        local = words.all[start:at]
        if not local or (not sure and len(local) == 1 and local[0].text in NO_LOCAL_PART):
            continue
        end = _spoken_host(words, behind, sure=sure or len(local) > 1)
        if end is not None:
            yield local[0].start, words.all[end - 1].end


def _spoken_host(words: _Words, at: int, *, sure: bool) -> int | None:
    if at >= len(words.all):
        return None
    domain = words.domain(at)
    if domain is not None:
        end, spoken, last = domain
        if last in TLDS and (sure or spoken):
            return end
    return at + 1 if words.all[at].text in MAIL_HOSTS else None


def _spoken_links(found: Sequence[Token]) -> Iterator[Span]:
    words = _Words(found)
    dots = (at for at in range(1, len(words.all)) if words.bracketed(at, DOT_WORDS) is not None)
    for at in dots:
        before = words.all[at - 1]
        if before.sort is Sort.OTHER or before.text in {"the", "a", "any", "every", "dot", "old"}:
            continue
        start = at - 1
        while start > 0 and at - start < 8 and words.all[start - 1].end == words.all[start].start:
            if words.all[start - 1].sort is Sort.OTHER and words.all[start - 1].text != "-":
                break
            start -= 1
        domain = words.domain(start)
        if domain is None or domain[0] <= at:
            continue
        _, sure = words.bracketed(at, DOT_WORDS) or (0, False)
        if domain[2] in SURE_TLDS or (sure and domain[2] in TLDS) or domain[2] in {"uk", "fr"}:
            yield words.all[start].start, words.all[domain[0] - 1].end
