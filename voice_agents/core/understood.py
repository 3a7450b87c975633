"""What a foreign engine says was understood, made fit to be kept. Pure."""

from __future__ import annotations

import math


def plain(text: str) -> str:
    """One line of printable text."""
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())


def certainty(said: object) -> float:
    """0 to 1; what is no number counts as sure, what is none at all as not."""
    if isinstance(said, bool) or not isinstance(said, int | float):
        return 1.0
    return 0.0 if math.isnan(said) else min(1.0, max(0.0, float(said)))
