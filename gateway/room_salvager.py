"""What makes files of a dead recorder's parts, in a process of its own: ``python -m gateway.room_salvager``.

Told by one line on its input which; it says one line, and leaves the same in the recording's folder where
files were made. It goes on when whoever started it is gone, and gives way to whatever else the machine does.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from pathlib import Path
from typing import Final

from gateway.logs import configure
from telephony.errors import PatchbayError
from video_rooms.core.reel import LINE_BYTES, RESULT, ReelNews, news_line
from video_rooms.core.salvage import BUSY, SalvageSpec, read_spec
from video_rooms.recording.claim import claim
from video_rooms.recording.salvage import salvage

_KINDLY: Final = 10


async def made(spec: SalvageSpec) -> ReelNews:
    """It raises nothing; a failure is an answer."""
    folder, held = Path(spec.folder), None
    try:
        held = claim(folder)
        if held is None:
            return ReelNews("failed", BUSY)
        news = await salvage(spec, (held,))
        if news.what == "finished":
            part = folder / f"{RESULT}.new"
            part.write_bytes(news_line(news))
            part.replace(folder / RESULT)
    except OSError:
        return ReelNews("failed", "disk")
    finally:
        if held is not None:
            os.close(held)
    return news


def main() -> int:
    """The exit code: 0 where files were made."""
    configure("info")
    output = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # why: what we print beside our answer is for the log
    with contextlib.suppress(OSError):
        os.nice(_KINDLY)
    try:
        spec = read_spec(sys.stdin.buffer.readline(LINE_BYTES))
    except PatchbayError:
        return 2
    news = asyncio.run(made(spec))
    with contextlib.suppress(OSError):
        os.write(output, news_line(news))
    return 0 if news.what == "finished" else 1


if __name__ == "__main__":
    sys.exit(main())
