"""Recordings whose recorder died: waited for where somebody is still at work on their files, then made of
what is there, each in a process of its own. Two gateways that see the same one make it once.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from gateway.runtime.children import MINIMAL_ENV
from telephony.errors import PatchbayError
from video_rooms.core.reel import LINE_BYTES, RESULT, ReelNews, read_news
from video_rooms.core.salvage import BUSY, SalvageSpec, spec_line
from video_rooms.recording.claim import is_free

_log = structlog.get_logger("gateway.room_salvage")
_LOOK_S: Final = 0.25
_AT_WORK_S: Final = 7 * 3600.0
"""The longest recording, and an hour to bring it to its end."""
_UNCLAIMED_S: Final = 120.0
"""How long a recorder of an earlier release, which claimed nothing, has for its last word."""
_AT_ONCE: Final = 2
_CHECKOUT: Final = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class SalvagePlace:
    """``folder``: where recordings' folders are. ``longest_s``: what one salvage may take."""

    folder: Path
    ffmpeg: str
    longest_s: float = 1800.0
    unclaimed_s: float = _UNCLAIMED_S


class RoomSalvage:
    """``of`` is asked once for each recording; cancelled, the process goes on, and its result is found."""

    def __init__(self, place: SalvagePlace) -> None:
        self._place = place
        self._turn = asyncio.Semaphore(_AT_ONCE)

    async def of(self, tape_id: str, why: str) -> ReelNews:
        """What became of it: ``finished``, by its own recorder or (``why``) by us; else ``failed``."""
        folder, clock = self._place.folder / tape_id, asyncio.get_running_loop().time
        began = clock()
        while True:
            news = self.result(tape_id)
            if news is not None and news.what == "finished":
                return news
            free = await asyncio.to_thread(is_free, folder)
            if free is None and not await asyncio.to_thread(folder.is_dir):
                return ReelNews("failed", "no_files")
            waited = clock() - began
            if free or (free is None and (news is not None or waited > self._place.unclaimed_s)):
                made = await self._made(folder, why)
                if made.why != BUSY:
                    return made
            if waited > _AT_WORK_S:
                return ReelNews("failed", BUSY)
            await asyncio.sleep(_LOOK_S)

    def result(self, tape_id: str) -> ReelNews | None:
        """The last word that was left in the folder."""
        try:
            return read_news((self._place.folder / tape_id / RESULT).read_bytes())
        except (OSError, PatchbayError):
            return None

    async def leftovers(self, known: frozenset[str]) -> int:
        """How many folders with parts belong to no recording that is ``known``; they are left alone."""

        def unknown() -> int:
            folders = (one for one in self._place.folder.glob("*") if one.name not in known)
            return sum(any(folder.glob("*.part.*")) for folder in folders)

        return await asyncio.to_thread(unknown)

    async def _made(self, folder: Path, why: str) -> ReelNews:
        if not self._place.ffmpeg:
            return ReelNews("failed", "no_encoder")
        async with self._turn:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "gateway.room_salvager",
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
                cwd=_CHECKOUT, env=dict(MINIMAL_ENV), limit=LINE_BYTES, start_new_session=True,
            )  # fmt: skip
            try:
                async with asyncio.timeout(self._place.longest_s):
                    spec = SalvageSpec(str(folder), self._place.ffmpeg, why)
                    out, _ = await process.communicate(spec_line(spec))
                news = read_news(out)
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
                news = ReelNews("failed", "timeout")
            except PatchbayError:
                news = ReelNews("failed", "crashed")
        _log.info("room_salvage.over", recording_id=folder.name, what=news.what, why=news.why)
        return news
