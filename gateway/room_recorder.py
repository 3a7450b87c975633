"""The recorder's own process: ``python -m gateway.room_recorder``.

Told what to record by one line on its input, and to stop by another, or by the input's end: whoever started
it is gone then, and what has been recorded is brought to its end all the same. What it says goes to its
output, a line each; its last word also into a file in the recording's folder.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog
from livekit import rtc

from gateway.logs import configure
from telephony.errors import PatchbayError
from video_rooms.core.reel import LINE_BYTES, RESULT, ReelNews, ReelSpec, news_line, read_spec
from video_rooms.recording.camera import Camera
from video_rooms.recording.encoder import EncoderFailed
from video_rooms.recording.reel import Reel

_log = structlog.get_logger("rooms.recorder")
_SPEC_S: Final = 10.0


Say = Callable[[ReelNews], None]


async def record(spec: ReelSpec, commands: asyncio.StreamReader, say: Say) -> ReelNews:
    """One recording, from joining to its last word; it raises nothing, a failure is an answer."""
    try:
        reel = Reel(Path(spec.folder), spec.ffmpeg, spec.width, spec.height, spec.frames)
    except OSError as error:
        _log.warning("recorder.disk", why=error.strerror)
        return ReelNews("failed", "disk")
    camera = Camera(spec, reel)
    heard = asyncio.create_task(_until_told(commands, camera), name="recorder-told")
    try:
        await reel.start()
        await camera.join()
        say(ReelNews("started"))
        await camera.roll()
        await camera.leave()
        duration_ms, size, speakers = await reel.finish()
        return ReelNews("finished", duration_ms=duration_ms, size=size, speakers=speakers)
    except rtc.ConnectError:
        return ReelNews("failed", "unreachable")
    except EncoderFailed as error:
        _log.warning("recorder.encoder_failed", why=error.message)
        return ReelNews("failed", "encoder")
    except OSError as error:
        _log.warning("recorder.disk", why=error.strerror)
        return ReelNews("failed", "disk")
    finally:
        heard.cancel()
        await camera.leave()
        await reel.abandon()


async def _until_told(commands: asyncio.StreamReader, camera: Camera) -> None:
    """A line, or the input's end: both mean the same."""
    with contextlib.suppress(ValueError):
        await commands.readline()
    camera.stop()


async def _input() -> asyncio.StreamReader:
    reader = asyncio.StreamReader(limit=LINE_BYTES)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    return reader


async def main(say: Say) -> int:
    """The exit code: 0 where a recording was made."""
    commands = await _input()
    try:
        async with asyncio.timeout(_SPEC_S):
            spec = read_spec(await commands.readline())
    except (PatchbayError, TimeoutError, ValueError):
        say(ReelNews("failed", "crashed"))
        return 2
    news = await record(spec, commands, say)
    result = Path(spec.folder) / RESULT
    with contextlib.suppress(OSError):
        part = result.with_suffix(".part")
        part.write_bytes(news_line(news))
        part.replace(result)
    say(news)
    return 0 if news.what == "finished" else 1


def _mouth() -> Say:
    """What was our output is for news alone from now on; whatever else is printed goes where errors go."""
    output = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def say(news: ReelNews) -> None:
        with contextlib.suppress(OSError):
            os.write(output, news_line(news))

    return say


if __name__ == "__main__":
    mouth = _mouth()
    configure("info")
    logging.getLogger("livekit").setLevel(
        logging.CRITICAL
    )  # the package logs whole tokens when one is refused
    code = asyncio.run(main(mouth))
    sys.stderr.flush()
    os._exit(code)  # why: threads of the media library may call into an interpreter that is going down
