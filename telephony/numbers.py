"""Telephone numbers as values that do not leak.

E.164 (ITU-T E.164): ``+``, a non-zero country code, at most 15 digits in all. The full digits are
reached only through ``reveal()``; ``repr`` and ``str`` show a masked form, so a number that slips
into a log, a trace or an exception text stays hidden.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from telephony.errors import InvalidInput

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")


@dataclass(frozen=True, slots=True, order=True)
class E164:
    """A number in E.164 form. Shape only; whether it may be dialled is policy."""

    _digits: str

    def __post_init__(self) -> None:
        if _E164.fullmatch(self._digits) is None:
            raise InvalidInput(
                "not a number in E.164 form", expected="+ and 7 to 15 digits, e.g. +14155552671"
            )

    def reveal(self) -> str:
        """The number itself, ``+`` and digits. Call it only where the number must leave the process."""
        return self._digits

    @property
    def masked(self) -> str:
        """Country part and last two digits, e.g. ``+1415•••••71``."""
        return mask(self._digits)

    def __repr__(self) -> str:
        return f"E164({self.masked})"

    def __str__(self) -> str:
        return self.masked


def mask(digits: str) -> str:
    """Hide the middle of a number. Short strings are hidden whole; the length stays recognisable.

    >>> mask("+14155552671")
    '+141••••••71'
    """
    if len(digits) < 8:
        return "•" * len(digits)
    return digits[:4] + "•" * (len(digits) - 6) + digits[-2:]


_DIGIT_RUN = re.compile(r"\+?\d[\d \-().]{5,}\d")


def mask_text(text: str) -> str:
    """Mask everything in free text that looks like a telephone number (7 digits or more)."""

    def hide(match: re.Match[str]) -> str:
        found = match.group()
        return mask(found) if sum(c.isdigit() for c in found) >= 7 else found

    return _DIGIT_RUN.sub(hide, text)
