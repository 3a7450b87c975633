"""Finds names on other platforms in a folded text: ``@name``, "insta: name", "whatsapp me"."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from proxy_pool.core.redaction_fold import Sort, Token
from proxy_pool.core.redaction_words import (
    CONTACT_VERBS,
    PLACES_AFTER_AT,
    PLATFORMS,
    SHY_PLATFORMS,
    words,
)

Span = tuple[int, int]

_AT_NAME: Final = re.compile(r"(?<![a-z0-9@._%+-])@([a-z0-9_][a-z0-9_.]{1,31})")
_TAGGED: Final = re.compile(r"(?<![a-z0-9_#])[a-z_][a-z0-9_.]{1,31}#[0-9]{4}(?![0-9])")
_NAME: Final = re.compile(r"[a-z0-9_.@][a-z0-9_.]{2,31}")
_ON: Final = frozenset({"on", "via", "by", "over", "through", "sur", "en", "auf", "using", "to"})
_MINE: Final = frozenset({"my", "our", "mine", "mi", "mon", "mein", "meine"})
_IS: Final = frozenset(
    {":", "=", "is", "-", "->", "handle", "id", "name", "username", "user", "@", "es", "est", "ist"}
)
_ME: Final = frozenset({"me", "us", "moi", "mich"})
_NO_NAME: Final = words(
    """
    is was the and a an or for to on in of at it its photo photos picture pictures post posts ad ads
    down not page group app story stories account stock if so but then here chat video videos with
    has had reviews
    """
)


def handles(text: str, found: Sequence[Token]) -> Iterator[Span]:
    """Handles, and invitations to go on elsewhere."""
    for match in _AT_NAME.finditer(text):
        name = match.group(1).rstrip(".")
        if len(name) > 2 and any(letter.isalpha() for letter in name) and name not in PLACES_AFTER_AT:
            yield match.start(), match.start(1) + len(name)
    for match in _TAGGED.finditer(text):
        yield match.span()
    said = [token for token in found if token.sort is not Sort.SPACE]
    for at, token in enumerate(said):
        if token.text in PLATFORMS or token.text in SHY_PLATFORMS:
            span = _platform(text, said, at)
            if span is not None:
                yield span


def _platform(text: str, row: Sequence[Token], at: int) -> Span | None:
    """What a platform's name means here: a name of somebody, an invitation, or nothing."""
    here = row[at]
    before = row[max(0, at - 8) : at]
    after = row[at + 1 : at + 5]
    shy = here.text in SHY_PLATFORMS
    if (
        after
        and after[0].text in _ME
        and (not shy or here.text in {"snap", "signal", "wa", "tg", "ig", "fb"})
    ):
        return here.start, after[0].end
    invited = _invitation(before)
    if invited is not None:
        name = _named(text, after)
        return invited.start, (here.end if name is None else name)
    mine = any(token.text in _MINE for token in before[-2:])
    said = bool(after) and after[0].text in _IS
    named = _named(text, after)
    if named is not None and (mine or (said and after[0].text in {":", "=", "@"}) or _is_spelled_id(after)):
        start = before[-1].start if mine and before[-1].text in _MINE else here.start
        return start, named
    if named is not None and not shy and (after[0].text != "is" or _is_wordless(_last_word(text, named))):
        return here.start, named
    if not shy and len(before) > 1 and before[-1].text in _ON:
        begins = _name_before(before[:-1])
        return None if begins is None else (begins, here.end)
    return None


def _invitation(before: Sequence[Token]) -> Token | None:
    """ "add me on", "dm us via", "find me on" in front of a platform's name."""
    if not before or before[-1].text not in _ON:
        return None
    for token in before[-4:-1]:
        if token.text in CONTACT_VERBS:
            return token
    return None


def _is_spelled_id(after: Sequence[Token]) -> bool:
    return len(after) > 1 and after[0].text in {"handle", "id", "username", "user"}


def _named(text: str, after: Sequence[Token]) -> int | None:
    """Where the name ends that follows a platform's: behind "is", ":" and the like, or written so that it
    can be no word; None without one."""
    marked = False
    for token in after:
        if token.text in _IS:
            marked = True
            continue
        match = _NAME.match(text, token.start)
        if match is None or (token.sort is Sort.OTHER and token.text not in "_.@"):
            return None
        name = match.group().rstrip(".")
        if name in _NO_NAME or not (marked or _is_wordless(name)):
            return None
        return match.start() + len(name)
    return None


def _name_before(before: Sequence[Token]) -> int | None:
    """Where the name begins that stands right before "on insta": letters with digits or an underscore."""
    start = len(before) - 1
    while start > 0 and before[start - 1].end == before[start].start:
        start -= 1
    name = "".join(token.text for token in before[start:])
    return before[start].start if _is_wordless(name) and _NAME.fullmatch(name) else None


def _is_wordless(name: str) -> bool:
    """Letters with digits or an underscore: no word of a language."""
    return any(letter in "_0123456789" for letter in name) and any(map(str.isalpha, name))


def _last_word(text: str, end: int) -> str:
    return text[max(0, end - 33) : end].rpartition(" ")[2]
