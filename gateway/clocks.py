"""The process's clocks and chances: the only place that asks the machine for them."""

from __future__ import annotations

import os
import random
import secrets
import time
from datetime import UTC, datetime

_ALPHABET = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32, as ULIDs are written (https://github.com/ulid/spec)."""
_FIVE_BITS = _ALPHABET * 8
"""A letter for every byte: each of the 32 letters for eight of them, so random bytes give random letters."""
_RANDOM_LETTERS = 16
_IDS_AHEAD = 256


class SystemClock:
    """Fits ``telephony.clock.Clock``. Wall time is anchored at start and carried by the monotonic clock,
    so a step of the machine's clock never makes a call's record run backwards."""

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    def epoch(self) -> float:
        """Seconds since 1970 that never go back within this process."""
        return self._offset + time.monotonic()

    def wall(self) -> datetime:
        return datetime.fromtimestamp(self.epoch(), UTC)

    def mono(self) -> float:
        return time.monotonic()


class _Ids:
    """ULIDs: 48 bits of milliseconds, then 80 random bits of the kernel's, fetched for many ids at once."""

    def __init__(self) -> None:
        self._tails: list[str] = []
        self._moment = (-1, "")

    def fresh(self) -> str:
        """A ULID that nobody got before; from any thread."""
        milliseconds = int(time.time() * 1000)
        moment = self._moment
        if moment[0] != milliseconds:
            moment = self._moment = milliseconds, moment_letters(milliseconds)
        try:
            return moment[1] + self._tails.pop()
        except IndexError:
            tails = random_tails()
            last = tails.pop()
            self._tails += tails
            return moment[1] + last

    def forget(self) -> None:
        """What was fetched ahead is the parent's."""
        self._tails.clear()


def moment_letters(milliseconds: int) -> str:
    """The first ten letters of a ULID made at this moment since 1970."""
    return "".join(chr(_ALPHABET[(milliseconds >> shift) & 31]) for shift in range(45, -1, -5))


def random_tails() -> list[str]:
    """The random parts of some ULIDs."""
    letters = os.urandom(_RANDOM_LETTERS * _IDS_AHEAD).translate(_FIVE_BITS).decode()
    return [letters[at : at + _RANDOM_LETTERS] for at in range(0, len(letters), _RANDOM_LETTERS)]


_IDS = _Ids()
os.register_at_fork(after_in_child=_IDS.forget)


def new_id(prefix: str) -> str:
    """A fresh id, e.g. ``call_01J…``: sortable by time, 80 random bits."""
    return f"{prefix}_{_IDS.fresh()}"


def chance() -> float:
    """A number in [0, 1) for jitter; not for secrets."""
    return random.random()


random_bytes = secrets.token_bytes


def digits(count: int) -> str:
    """So many decimal digits that nobody can guess: a PIN, an extension."""
    return f"{secrets.randbelow(10**count):0{count}d}"
