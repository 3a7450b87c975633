"""What stands behind a door, in 25 bytes: the same in memory and in Redis.

    0…15   the session: the ULID of its id
    16…21  ``until`` in whole milliseconds since 1970, big-endian; rounded down
    22     the seat + 1
    23…24  the state in the two highest bits, below it the session's version modulo 16,384, big-endian

Rounding ``until`` down keeps the index never late; that it may be a millisecond early costs one question to
the ledger. 25 bytes and not fewer: the allocator under Redis gives a participant's first door the same 48
bytes for anything from 19 to 25.

**Which write counts.** Writes may arrive late: somebody reads the ledger, somebody else changes it and tells
the index, then the first one writes what it read. ``supersedes`` says which of two statements about one door
is the newer. A ``SUSPENDED`` door takes only a later version of the session that stood there, so that no late
write revives what is being changed; where nothing was known to stand there it takes none at all. A suspension
ends by itself, and until then every look-up asks the ledger: slower, never wrong.
``proxy_pool/lua/library.lua`` does the same, and a test compares the two.
"""

from __future__ import annotations

from base64 import b32encode
from enum import IntEnum
from functools import lru_cache
from typing import Final

from proxy_pool.core.session import Entry, Hold, SessionId
from telephony.errors import UnsafeValue
from telephony.ids import is_id

SIZE: Final = 25
_PREFIX: Final = "ses"
_VERSIONS: Final = 1 << 14
_LATEST_MS: Final = (1 << 48) - 1
_TO_DIGITS: Final = str.maketrans("0123456789ABCDEFGHJKMNPQRSTVWXYZ", "0123456789ABCDEFGHIJKLMNOPQRSTUV")
_TO_CROCKFORD: Final = bytes.maketrans(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", b"0123456789ABCDEFGHJKMNPQRSTVWXYZ"
)


class State(IntEnum):
    """``Hold``, with the two kinds of PENDING told apart."""

    RESERVED = 0
    LIVE = 1
    QUARANTINED = 2
    SUSPENDED = 3


def milliseconds(at: float) -> int:
    """Epoch seconds as whole milliseconds, rounded down; a microsecond's grace for what floats cannot say."""
    return int(at * 1000 + 0.001)


def pack(entry: Entry, state: State | None = None) -> bytes:
    """The entry's 25 bytes; ``state`` where it is not the entry's hold. Raises UnsafeValue."""
    until = min(milliseconds(entry.until), _LATEST_MS)
    if until < 0:
        raise UnsafeValue("a time before 1970")
    if not -1 <= entry.seat <= 254:
        raise UnsafeValue("a seat is -1 to 254")
    word = (entry.hold if state is None else state) << 14 | entry.version % _VERSIONS
    return _ulid(entry.session) + until.to_bytes(6, "big") + bytes((entry.seat + 1, word >> 8, word & 0xFF))


@lru_cache(maxsize=4096)
def _ulid(session: SessionId) -> bytes:
    """Its 16 bytes; one session is packed several times in a row."""
    if not (is_id(session, _PREFIX) and session[4] <= "7"):
        raise UnsafeValue("not a session's id")
    return int(session[4:].translate(_TO_DIGITS), 32).to_bytes(16, "big")


def suspended(packed: bytes | None, until: float) -> bytes:
    """The suspension of what stands there, or of nothing known."""
    if packed is None or len(packed) != SIZE:
        packed = bytes(SIZE)
    word = State.SUSPENDED << 14 | _word(packed) % _VERSIONS
    return packed[:16] + milliseconds(until).to_bytes(6, "big") + packed[22:23] + word.to_bytes(2, "big")


def entry_of(packed: bytes) -> Entry | None:
    """The entry, if it says who stands there: a LIVE or QUARANTINED one; else None."""
    if len(packed) != SIZE:
        return None
    state = state_of(packed)
    if state not in (State.LIVE, State.QUARANTINED):
        return None
    digits = b32encode(bytes(4) + packed[:16]).translate(_TO_CROCKFORD)[-26:].decode()
    return Entry(
        session=SessionId(f"{_PREFIX}_{digits}"),
        seat=packed[22] - 1,
        hold=Hold(int(state)),
        until=until_ms(packed) / 1000,
        version=_word(packed) % _VERSIONS,
    )


def state_of(packed: bytes) -> State:
    return State(_word(packed) >> 14)


def until_ms(packed: bytes) -> int:
    return int.from_bytes(packed[16:22], "big")


def passed(packed: bytes, now_ms: int) -> bool:
    """Whether the door is nobody's any more."""
    return now_ms >= until_ms(packed)


def supersedes(new: bytes, old: bytes, now_ms: int) -> bool:
    """Whether ``new``, which the ledger said at some time, is newer than ``old``, which stands there."""
    state = state_of(old)
    if passed(old, now_ms) or state is State.RESERVED:
        return True
    if old[:16] == new[:16]:
        ahead = (_word(new) - _word(old)) % _VERSIONS
        if ahead:
            return ahead < _VERSIONS // 2
        return state_of(new) >= state
    if old[:16] == bytes(16):
        return False
    return state is State.QUARANTINED or new[:16] > old[:16]


def _word(packed: bytes) -> int:
    return packed[23] << 8 | packed[24]


class Drift(IntEnum):
    """How a settled entry of the index is not what the ledger says."""

    MISSING = 1
    """It says nothing: look-ups ask the ledger."""
    BEHIND = 2
    """It has the right owner, but not the last version or end: at worst the ledger is asked too soon."""
    WRONG = 3
    """It says what is not so."""


def drift(said: Entry, stands: bytes | None, now_ms: int) -> Drift | None:
    """What is wrong with what stands there, by what the ledger says. A door being changed is not judged."""
    expected = pack(said)
    if stands is None or (len(stands) == SIZE and passed(stands, now_ms)):
        return None if passed(expected, now_ms) else Drift.MISSING
    if len(stands) == SIZE and state_of(stands) in (State.RESERVED, State.SUSPENDED):
        return None
    if stands[:16] + stands[22:23] != expected[:16] + expected[22:23] or len(stands) != SIZE:
        return Drift.WRONG
    ahead = (_word(expected) - _word(stands)) % _VERSIONS
    late = until_ms(stands) > until_ms(expected)
    if state_of(stands) is not state_of(expected) or late or ahead >= _VERSIONS // 2:
        return Drift.WRONG
    return Drift.BEHIND if ahead or until_ms(stands) < until_ms(expected) else None
