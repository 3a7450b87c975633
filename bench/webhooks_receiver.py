"""The receiver of the webhook benchmark, a process of its own: answers 204 at once, notes arrivals.

``POST`` anything with a ``webhook-id``; ``GET /arrivals`` gives and forgets ``{webhook-id: moment}`` in
seconds since 1970.
Prints its port. Written on a bare protocol so that it costs as little as possible beside the sender.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from typing import cast

import uvloop

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_ID = re.compile(rb"\r\nwebhook-id: *([^\r]+)", re.IGNORECASE)
_arrivals: dict[str, float] = {}


class Receiver(asyncio.Protocol):
    """HTTP/1.1 as far as a webhook needs it: keep-alive, a body of known length."""

    def __init__(self) -> None:
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, chunk: bytes) -> None:
        self._buffer += chunk
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[: end + 2]
            length = _LENGTH.search(head)
            total = end + 4 + (int(length[1]) if length else 0)
            if len(self._buffer) < total:
                return
            self._buffer = self._buffer[total:]
            self._answer(head)

    def _answer(self, head: bytes) -> None:
        assert self._transport is not None
        if head.startswith(b"GET"):
            body = json.dumps(_arrivals).encode()
            _arrivals.clear()
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
            return
        if (found := _ID.search(head)) is not None:
            _arrivals.setdefault(found[1].decode(), time.time())
        self._transport.write(b"HTTP/1.1 204 No Content\r\n\r\n")


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Receiver, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
