"""Recordings: from the switch's raw two-channel file to a WAV that plays anywhere.

MixMonitor's option D writes signed 16-bit little-endian samples at 8 kHz, interleaved: what the channel
said (left) and what it heard (right). Fits ``dialplan.ports.Archive``.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import signal
import struct
from pathlib import Path

from dialplan.core.call import Call

RATE_HZ, CHANNELS, SAMPLE_BYTES = 8000, 2, 2
FRAME_BYTES = CHANNELS * SAMPLE_BYTES
_NAME = re.compile(r"call_[0-9A-HJKMNP-TV-Z]{26}-\d{1,3}")
_CHUNK = 1 << 20
_CLOSE_POLL_S = 0.05
_CLOSE_STILL_S = 0.2
_CLOSE_DEADLINE_S = 5.0
_F_SETSIG = 10
"""Linux's, which the fcntl module does not name (fcntl(2))."""

Detail = tuple[tuple[str, str], ...]


class RecordingArchive:
    """Finishes recordings in one folder that the switch writes to and the gateway reads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def file(self, call: Call, tape_id: str) -> tuple[bool, Detail]:
        """Turn the raw file into ``<tape_id>.wav``. Doing it again gives the same answer.

        Not ok, with a reason: ``no_audio`` (the switch wrote nothing), ``disk_error``.
        """
        if _NAME.fullmatch(tape_id) is None:
            return False, (("reason", "bad_name"),)
        raw, done = self._folder / f"{tape_id}.raw", self._folder / f"{tape_id}.wav"
        if not done.exists():
            await _closed_by_the_switch(raw)
        try:
            size = await asyncio.to_thread(finish, raw, done)
        except FileNotFoundError:
            return False, (("reason", "no_audio"),)
        except OSError:
            return False, (("reason", "disk_error"),)
        if size == 0:
            return False, (("reason", "no_audio"),)
        duration_ms = size // FRAME_BYTES * 1000 // RATE_HZ
        return True, (
            ("file", done.name),
            ("duration_ms", str(duration_ms)),
            ("channels", str(CHANNELS)),
            ("bytes", str(size + 44)),
        )


async def _closed_by_the_switch(raw: Path) -> None:
    """Asterisk's recording thread outlives the channel for a moment and tells nobody when it closes the
    file: wait until nobody writes it, within a deadline. Where the system cannot tell, until the size has
    stood still; a busy machine may make that too early, and the last second is lost."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _CLOSE_DEADLINE_S
    size, since = -1, loop.time()
    while loop.time() < deadline:
        written = is_written(raw)
        if written is False:
            return
        now = _size(raw)
        if now != size:
            size, since = now, loop.time()
        elif written is None and loop.time() - since >= _CLOSE_STILL_S:
            return
        await asyncio.sleep(_CLOSE_POLL_S)


def is_written(path: Path) -> bool | None:
    """Whether some process has this file open for writing; None where that cannot be told.

    Linux grants a read lease on a file only while nobody has it open for writing (fcntl(2), F_SETLEASE). It
    asks for that of the file's owner, and not every file system has leases.
    """
    try:
        here = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        # why: who opens the file in this very moment makes the kernel signal us: by one that is ignored
        fcntl.fcntl(here, _F_SETSIG, signal.SIGURG)
        fcntl.fcntl(here, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(here, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except OSError:
        return None
    else:
        return False
    finally:
        os.close(here)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


def finish(raw: Path, done: Path) -> int:
    """Write the WAV beside the raw file, put it in place at once, drop the raw one. Bytes of audio."""
    if done.exists():
        raw.unlink(missing_ok=True)
        return max(0, done.stat().st_size - 44)
    size = raw.stat().st_size // FRAME_BYTES * FRAME_BYTES
    if size == 0:
        raw.unlink(missing_ok=True)
        return 0
    part = done.with_suffix(".part")
    with raw.open("rb") as source, part.open("wb") as target:
        target.write(wav_header(size))
        left = size
        while left:
            chunk = source.read(min(_CHUNK, left))
            if not chunk:
                raise OSError("the raw recording became shorter while it was read")
            target.write(chunk)
            left -= len(chunk)
        target.flush()
        os.fsync(target.fileno())
    part.replace(done)
    raw.unlink(missing_ok=True)
    return size


def wav_header(size: int) -> bytes:
    """RIFF header for ``size`` bytes of 16-bit stereo at 8 kHz (RFC 2361, WAVE_FORMAT_PCM)."""
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF",
        size + 36,
        b"WAVE",
        b"fmt ",
        16,
        1,
        CHANNELS,
        RATE_HZ,
        RATE_HZ * FRAME_BYTES,
        FRAME_BYTES,
        SAMPLE_BYTES * 8,
        b"data",
        size,
    )
