"""Whether a pass still opens a live session after its holder was put out.

The media server honours a token until it expires, and renews tokens of whoever is connected: a kick alone
holds nobody off. Every token carries its own id, a ULID, whose time is compared with the ban's.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from video_rooms.core.live import PASS
from video_rooms.core.room import Ban

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_MOMENT_LETTERS: Final = 10
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_CLOCKS_APART: Final = timedelta(minutes=5)
"""How far the clocks of our own machines may be apart."""


def issued_at(pass_id: str) -> datetime | None:
    """When a pass was made, to the millisecond (https://github.com/ulid/spec); None: it is no pass."""
    letters = pass_id[:_MOMENT_LETTERS]
    if len(pass_id) != 26 or any(letter not in _ALPHABET for letter in pass_id) or letters[0] > "7":
        return None
    milliseconds = 0
    for letter in letters:
        milliseconds = milliseconds * 32 + _ALPHABET.index(letter)
    try:
        return _EPOCH + milliseconds * _MILLISECOND
    except OverflowError:
        return None


def opens(attributes: Mapping[str, str], ban: Ban | None, now: datetime) -> bool:
    """Whether somebody with these attributes may be in the room. Who is banned and shows no pass may not, nor
    who shows one from the future: we made none."""
    if ban is None:
        return True
    issued = issued_at(attributes.get(PASS, ""))
    return issued is not None and ban.at < issued <= max(now, ban.at) + _CLOCKS_APART


def ban_now(live_name: str, identity: str, attributes: Mapping[str, str], now: datetime) -> Ban:
    """Who is put out now: their pass is closed, even where another machine's clock made it later than now."""
    issued = issued_at(attributes.get(PASS, ""))
    if issued is None or issued > now + _CLOCKS_APART:
        return Ban(live_name, identity, now)
    return Ban(live_name, identity, max(now, issued))


def pass_time(now: datetime, ban: Ban | None) -> datetime:
    """When a pass is made: now, and after the ban that it overcomes."""
    if ban is None or ban.at + _MILLISECOND <= now:
        return now
    return ban.at + _MILLISECOND
