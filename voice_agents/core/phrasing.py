"""Text that arrives in pieces, cut so that speech can begin early and stops at places that sound right. Pure.

What comes out, put together, is what went in.
"""

from __future__ import annotations

import re

_SENTENCE = re.compile(r"[.!?…。！？]+[\"'”’)\]]*\s+|\n+")
_CLAUSE = re.compile(r"[,;:—–]\s+")
_SHORT_FOR = re.compile(
    r"(?:^|[\s(])(?:[A-Za-z]|[Dd]r|Mr|Mrs|Ms|St|No|vs|etc|approx|e\.g|i\.e|z\.B|usw|bzw|ca|Nr|Std)\.\s+$"
)
LEAST = 12
"""Sentences shorter than this are spoken with the next one."""
CLAUSE = 80
"""From so many characters on, a comma will do."""
MOST = 240
"""What is longer is cut at a space, or anywhere."""


class Phrasing:
    """One turn's text."""

    def __init__(self) -> None:
        self._waiting = ""

    def feed(self, text: str, last: bool) -> list[str]:
        """What can be spoken now; all of it if that was the ``last`` piece of the turn."""
        self._waiting += text
        phrases = []
        while (end := self._end()) > 0:
            phrases.append(self._waiting[:end])
            self._waiting = self._waiting[end:]
        if last and self._waiting:
            phrases.append(self._waiting)
            self._waiting = ""
        return phrases

    def _end(self) -> int:
        """How much of the waiting text is a phrase; 0 if one cannot tell yet. A mark at the very end may be
        a point within a number: what follows decides."""
        for found in _SENTENCE.finditer(self._waiting):
            if LEAST <= found.end() <= MOST and not _SHORT_FOR.search(self._waiting, 0, found.end()):
                return found.end()
        for found in _CLAUSE.finditer(self._waiting):
            if CLAUSE <= found.end() <= MOST:
                return found.end()
        if len(self._waiting) <= MOST:
            return 0
        space = self._waiting.rfind(" ", 1, MOST)
        return space + 1 if space > 0 else MOST
