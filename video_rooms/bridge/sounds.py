"""Prompts and hold music: read from disk once, off the loop's thread, and kept as frames."""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import structlog

from telephony.errors import InvalidInput
from video_rooms.core.sound import frames_of, read_wav

_log = structlog.get_logger("video_rooms.bridge")

_MOST_OCTETS = 32_000_000
"""Of one file, and of all that is kept."""
_READ_S = 5.0


class SoundShelf:
    """Fits ``Sounds``. ``music``: a WAV file that is played round and round; None, or one that cannot be
    read: silence."""

    def __init__(self, music: Path | None = None) -> None:
        self._kept: OrderedDict[tuple[Path, int, int], tuple[bytes, ...]] = OrderedDict()
        self._octets = 0
        self._guard = threading.Lock()
        self._music: Sequence[bytes] = () if music is None else self._read(music)

    @property
    def music(self) -> Sequence[bytes]:
        return self._music

    async def frames(self, paths: Sequence[Path]) -> Sequence[bytes]:
        try:
            async with asyncio.timeout(_READ_S):
                return await asyncio.to_thread(self._all, paths)
        except TimeoutError:
            _log.warning("sound_unreadable", why="the disk is too slow")
            return ()

    def _all(self, paths: Sequence[Path]) -> list[bytes]:
        with self._guard:
            return [frame for path in paths for frame in self._read(path)]

    def _read(self, path: Path) -> Sequence[bytes]:
        try:
            seen = path.stat()
            key = (path, seen.st_mtime_ns, seen.st_size)
            if (kept := self._kept.get(key)) is not None:
                return kept
            if seen.st_size > _MOST_OCTETS:
                raise InvalidInput("too large a file")
            frames = tuple(frames_of(read_wav(path.read_bytes())))
        except (OSError, InvalidInput) as fault:
            _log.warning("sound_unreadable", file=path.name, why=str(fault))
            return ()
        self._keep(key, frames)
        return frames

    def _keep(self, key: tuple[Path, int, int], frames: tuple[bytes, ...]) -> None:
        self._kept[key] = frames
        self._octets += sum(map(len, frames))
        while self._octets > _MOST_OCTETS and len(self._kept) > 1:
            _, oldest = self._kept.popitem(last=False)
            self._octets -= sum(map(len, oldest))
