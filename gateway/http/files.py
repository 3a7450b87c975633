"""Sends a file, or one range of it (RFC 9110 §14), without holding it in memory."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Final

from starlette.types import Send

from gateway.http.answers import FileSlice
from gateway.http.errors import RangeNotSatisfiable
from gateway.http.exchange import API_ONLY, Exchange

_CHUNK: Final = 256 * 1024
_RANGE = re.compile(rb"bytes=(\d{0,15})-(\d{0,15})")


def slice_of(path: Path, size: int, wanted: bytes | None, content_type: bytes) -> FileSlice:
    """The part of the file that a Range header asks for; all of it without one, or with one not understood.

    Raises RangeNotSatisfiable where the range lies outside the file. Several ranges give the whole file,
    as the RFC allows.
    """
    start, end, partial = 0, size - 1, False
    found = _RANGE.fullmatch(wanted.strip()) if wanted else None
    if found is not None and found.group(1, 2) != (b"", b""):
        first, last = found.group(1, 2)
        if first:
            start, end = int(first), min(int(last), size - 1) if last else size - 1
            backwards = bool(last) and int(last) < start
        else:
            start, end = max(0, size - int(last)), size - 1
            backwards = int(last) == 0
        if start >= size or backwards:
            raise RangeNotSatisfiable(size)
        partial = True
    return FileSlice(path, size, start, end, content_type, partial, path.name)


async def send_slice(exchange: Exchange, send: Send, piece: FileSlice) -> None:
    """Stream the slice in chunks, each read in a thread. A HEAD request gets the headers alone."""
    left = piece.end - piece.start + 1
    headers = [
        (b"content-type", piece.content_type),
        (b"content-length", b"%d" % left),
        (b"accept-ranges", b"bytes"),
        (b"cache-control", b"private, no-store"),
        (b"content-disposition", f'inline; filename="{piece.name}"'.encode("ascii")),
        *API_ONLY,
    ]
    if piece.partial:
        span = f"bytes {piece.start}-{piece.end}/{piece.size}"
        headers.append((b"content-range", span.encode("ascii")))
    if exchange.method == "HEAD":
        await exchange.start(send, 206 if piece.partial else 200, tuple(headers))
        await send({"type": "http.response.body", "body": b""})
        return
    file = await asyncio.to_thread(piece.path.open, "rb")
    try:
        await asyncio.to_thread(file.seek, piece.start)
        await exchange.start(send, 206 if piece.partial else 200, tuple(headers))
        while left > 0:
            chunk = await asyncio.to_thread(file.read, min(_CHUNK, left))
            if not chunk:
                raise OSError("the file became shorter while it was sent")
            left -= len(chunk)
            await send({"type": "http.response.body", "body": chunk, "more_body": left > 0})
    finally:
        await asyncio.to_thread(file.close)
