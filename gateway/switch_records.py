"""The switch's own call records: what became of channels that ended while nobody listened.

Asterisk appends one line per record to a file (asterisk-config/cdr_custom.conf.j2): Uniqueid, Linkedid,
start, answer, end, seconds in all, seconds talked, disposition, the mark of a call that the switch joined
by itself or apologised to, and the channel that was dialled, if any was. Fits ``dialplan.ports.Endings``.
"""

from __future__ import annotations

import asyncio
import csv
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from dialplan.ports import Ending
from telephony.causes import Cause
from telephony.ids import ChannelId

_TAIL_BYTES = 8 << 20
"""How much of the file's end is read: some 60,000 records, hours of a busy switch."""

_FIELDS = (8, 9, 10)
"""How many fields a record has; 8 in those of releases before the mark, 9 before the dialled channel."""
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
        answered_at, ended_at = _moment(row[3]), _moment(row[4])
        known = found.get(channel)
        answered = answered_at if row[7] == "ANSWERED" else None
        if known is not None and known.answered_at is not None:
            answered = min(known.answered_at, answered or known.answered_at)
        cause = _CAUSES.get(row[7])
        if answered is not None:
            cause = Cause.NORMAL_CLEARING
        if row[8:9] == [_APOLOGISED]:
            cause = Cause.TEMPORARY_FAILURE
        dialled = len(row) < 10 or row[9] != "" or (known is not None and known.dialled)
        found[channel] = Ending(channel, answered, ended_at, cause, dialled)
    return found


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
