"""A TCP relay on loopback that can be cut, frozen and healed: a network that fails on command."""

from __future__ import annotations

import asyncio
import contextlib
import socket

from gateway.config import Settings

Address = tuple[str, int]


class TcpProxy:
    """Relays connections to ``target``. ``cut`` drops all and refuses new ones, ``freeze`` goes silent."""

    def __init__(self, target: Address) -> None:
        self._target = target
        self._listener: socket.socket | None = None
        self._links: set[asyncio.Task[None]] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self.port = 0

    def aim(self, settings: Settings) -> None:
        """Relay to the switch's AMI port of these settings."""
        self._target = ("127.0.0.1", settings.ami_port)

    async def start(self, port: int = 0) -> int:
        """Listen; the port."""
        self._listener = listener = socket.create_server(("127.0.0.1", port))
        listener.setblocking(False)
        self.port = int(listener.getsockname()[1])
        asyncio.get_running_loop().add_reader(listener, self._accept, listener)
        return self.port

    async def cut(self) -> None:
        """Every connection ends, one just accepted too; nobody gets in until ``heal``."""
        listener, self._listener = self._listener, None
        if listener is not None:
            asyncio.get_running_loop().remove_reader(listener)
            listener.close()
        links = list(self._links)
        for link in links:
            link.cancel()
        await asyncio.gather(*links, return_exceptions=True)

    async def heal(self) -> None:
        """Listen again on the same port, and let what is frozen flow."""
        self._flowing.set()
        if self._listener is None:
            await self.start(self.port)

    def freeze(self) -> None:
        """Connections stay open, not one byte passes: a half-open network."""
        self._flowing.clear()

    def _accept(self, listener: socket.socket) -> None:
        """By hand: a server of asyncio's may have one on its way that nobody can cut yet."""
        try:
            near, _ = listener.accept()
        except (BlockingIOError, ConnectionError):
            return
        near.setblocking(False)
        link = asyncio.get_running_loop().create_task(self._relay(near))
        self._links.add(link)
        link.add_done_callback(self._links.discard)
        # why: one that is cut before it has begun has nobody else to close it
        link.add_done_callback(lambda _: near.close())

    async def _relay(self, near: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=near)
        far: asyncio.StreamWriter | None = None
        try:
            with contextlib.suppress(OSError):
                far_reader, far = await asyncio.open_connection(*self._target)
                pumps = [self._pump(reader, far), self._pump(far_reader, writer)]
                await _first_of(*[asyncio.ensure_future(pump) for pump in pumps])
        finally:
            for end in (writer, far):
                if end is not None:
                    end.transport.abort()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while chunk := await source.read(65536):
                await self._flowing.wait()
                sink.write(chunk)
                await sink.drain()


async def _first_of(*tasks: asyncio.Task[None]) -> None:
    """Wait until one has ended; end the others."""
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
