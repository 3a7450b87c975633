"""The switch's own call records: what became of channels that ended while nobody listened.

Asterisk appends one line per record to a file (asterisk-config/cdr_custom.conf.j2): Uniqueid, Linkedid,
start, answer, end, seconds in all, seconds talked, disposition, the mark of a call that the switch joined
by itself or apologised to, the channel that was dialled, if any was, and the cause that its caller was told.
Fits ``dialplan.ports.Endings``.
"""

from __future__ import annotations

import asyncio
import csv
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from dialplan.ports import Ending
from telephony.causes import Cause
from telephony.ids import ChannelId

_TAIL_BYTES = 8 << 20
"""How much of the file's end is read: some 60,000 records, hours of a busy switch."""

_FIELDS = (8, 9, 10, 11)
"""How many fields a record has; 8 in those of releases before the mark, 9 before the dialled channel, 10
before the cause."""
_APOLOGISED = "sorry"

_CAUSES: dict[str, int] = {
    "ANSWERED": Cause.NORMAL_CLEARING,
    "CANCEL": Cause.NORMAL_CLEARING,
    "BUSY": Cause.USER_BUSY,
    "NO ANSWER": Cause.NO_ANSWER,
    "CONGESTION": Cause.CONGESTION,
    "FAILED": Cause.NETWORK_OUT_OF_ORDER,
}


class SwitchRecords:
    """Reads the file's end when asked. A missing file knows nothing."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    async def of(self, channels: Sequence[ChannelId]) -> dict[ChannelId, Ending]:
        """The endings of these channels, where they are on record."""
        if self._path is None or not channels:
            return {}
        return await asyncio.to_thread(self._read, self._path, set(channels))

    def _read(self, path: Path, wanted: set[ChannelId]) -> dict[ChannelId, Ending]:
        try:
            with path.open("rb") as file:
                file.seek(0, 2)
                start = max(0, file.tell() - _TAIL_BYTES)
                file.seek(start)
                lines = file.read().decode("ascii", "replace").splitlines()
        except OSError:
            return {}
        return endings(lines[1:] if start else lines, wanted)


def endings(lines: Iterable[str], wanted: set[ChannelId]) -> dict[ChannelId, Ending]:
    """The endings that these lines tell. A channel may have several records; answered once is answered."""
    found: dict[ChannelId, Ending] = {}
    for row in map(_row, lines):
        if len(row) not in _FIELDS or row[0] not in wanted:
            continue
        channel = ChannelId(row[0])
        known = found.get(channel)
        if known is not None and known.dialled and len(row) >= 10 and row[9] == "":
            found[channel] = _after_dial(known, row)
        else:
            found[channel] = _ending(channel, known, row)
    return found


def _ending(channel: ChannelId, known: Ending | None, row: list[str]) -> Ending:
    answered_at, ended_at = _moment(row[3]), _moment(row[4])
    if known is not None and known.answered_at is not None:
        answered_at = min(known.answered_at, answered_at or known.answered_at)
    told = _told(row)
    joined = (row[7] == "ANSWERED" and told is None) or (known is not None and known.dialled and known.joined)
    cause = _CAUSES["ANSWERED"] if joined else told or _CAUSES.get(row[7])
    if row[8:9] == [_APOLOGISED]:
        cause = Cause.TEMPORARY_FAILURE
    dialled = len(row) < 10 or row[9] != "" or (known is not None and known.dialled)
    left = dialled and not joined and row[7] == "CANCEL"
    return Ending(channel, answered_at, ended_at, cause, dialled, joined, left)


def _after_dial(known: Ending, row: list[str]) -> Ending:
    """What the dialplan did after Dial(): its caller was still there, and was told why nobody answered."""
    cause = known.cause if known.joined else _told(row) or known.cause
    return replace(known, ended_at=_moment(row[4]) or known.ended_at, cause=cause, left=False)


def _told(row: list[str]) -> int | None:
    """The cause that the caller was told after Dial(), if the dialplan got there; 25 is for a redirection."""
    text = row[10] if len(row) > 10 else ""
    told = int(text) if text.isdecimal() and len(text) < 4 else 0
    return (Cause.REDIRECTED if told == Cause.ROUTING_ERROR else told) or None


def _row(line: str) -> list[str]:
    """The line's fields; none where a crash or a full disk tore it. Our records never span lines."""
    try:
        return next(csv.reader([line]), [])
    except csv.Error:
        return []


def _moment(text: str) -> float | None:
    try:
        at = float(text)
    except ValueError:
        return None
    return at if at > 0 and math.isfinite(at) else None
