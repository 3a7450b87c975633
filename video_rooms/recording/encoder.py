"""ffmpeg as a child: frames go in while the room is live, files are joined once it is over.

The picture is written by itself, in fragments that can be played whatever happens; the sound is plain
samples on disk. So nothing that was recorded is lost where the end comes hard. ``claimed``: the folder's
claim, which holds as long as an encoder writes there.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from telephony.errors import PatchbayError
from video_rooms.recording.sound import RATE

_QUIET: Final = ("-hide_banner", "-loglevel", "error", "-nostdin", "-y")
_BEHIND: Final = 3.0
"""How many seconds of picture may wait for the encoder before it is given no more for a while."""
_END_S: Final = 30.0
_JOIN_S: Final = 600.0


class EncoderFailed(PatchbayError):
    """The encoder ended early, or made no file."""

    code = "ENCODER_FAILED"


class PictureFile:
    """One H.264 file, a frame at a time."""

    def __init__(
        self, ffmpeg: str, path: Path, width: int, height: int, frames: int, claimed: Sequence[int] = ()
    ) -> None:
        self._claimed = claimed
        self._argv = (
            ffmpeg, "-hide_banner", "-loglevel", "error", "-y", "-f", "rawvideo", "-pix_fmt", "yuv420p",
            "-s", f"{width}x{height}", "-r", str(frames), "-i", "pipe:0",
            "-c:v", "libx264", "-preset", "superfast", "-crf", "27", "-g", str(frames * 4), "-threads", "1",
            "-movflags", "+frag_keyframe+empty_moov", "-flush_packets", "1", "-f", "mp4", str(path),
        )  # fmt: skip
        self._most = int(width * height * 3 // 2 * frames * _BEHIND)
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Raises EncoderFailed."""
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._argv,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                pass_fds=self._claimed,
            )
        except OSError as error:
            raise EncoderFailed(f"ffmpeg cannot be run: {error.strerror}") from None

    def put(self, frame: bytes) -> bool:
        """One frame more. False where the encoder is too far behind: this one is not taken, give it again.
        Raises EncoderFailed where it has ended."""
        process = self._running()
        assert process.stdin is not None
        if process.stdin.transport.get_write_buffer_size() > self._most:
            return False
        process.stdin.write(frame)
        return True

    async def close(self) -> None:
        """The file is whole when this returns. Raises EncoderFailed."""
        process = self._running()
        assert process.stdin is not None
        process.stdin.close()
        try:
            async with asyncio.timeout(_END_S):
                code = await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
            raise EncoderFailed("the encoder did not come to its end") from None
        if code:
            raise EncoderFailed(f"the encoder ended with {code}")

    async def abandon(self) -> None:
        """End it, whatever becomes of the file."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    def _running(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            raise EncoderFailed("the encoder has ended")
        return self._process


async def join(
    ffmpeg: str, picture: Path | None, sound: Path | None, into: Path, claimed: Sequence[int] = ()
) -> None:
    """Picture and sound, or what there is of them, in one MP4 that plays from its first byte. Raises
    EncoderFailed."""
    seen = () if picture is None else ("-i", str(picture), "-c:v", "copy")
    heard = () if sound is None else _raw(sound)
    spoken = () if sound is None else ("-c:a", "aac", "-b:a", "64k")
    argv = (*seen[:2], *heard, *seen[2:], *spoken, "-movflags", "+faststart", "-f", "mp4", str(into))
    await _run(ffmpeg, *_QUIET, *argv, claimed=claimed)


async def speech(ffmpeg: str, sound: Path, into: Path, claimed: Sequence[int] = ()) -> None:
    """One person's samples as Ogg Opus. Raises EncoderFailed."""
    argv = (*_raw(sound), "-c:a", "libopus", "-b:a", "32k", "-f", "ogg", str(into))
    await _run(ffmpeg, *_QUIET, *argv, claimed=claimed)


def _raw(sound: Path) -> tuple[str, ...]:
    return ("-f", "s16le", "-ar", str(RATE), "-ac", "1", "-i", str(sound))


async def _run(*argv: str, claimed: Sequence[int]) -> None:
    try:
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, pass_fds=claimed
        )
    except OSError as error:
        raise EncoderFailed(f"ffmpeg cannot be run: {error.strerror}") from None
    try:
        async with asyncio.timeout(_JOIN_S):
            code = await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise EncoderFailed("ffmpeg took too long") from None
    if code:
        raise EncoderFailed(f"ffmpeg ended with {code}")
