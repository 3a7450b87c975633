"""A TCP relay on loopback that can be cut, frozen and healed: a network that fails on command."""

from __future__ import annotations

import asyncio
import contextlib

from gateway.config import Settings

Address = tuple[str, int]


class TcpProxy:
    """Relays connections to ``target``. ``cut`` drops all and refuses new ones, ``freeze`` goes silent."""

    def __init__(self, target: Address) -> None:
        self._target = target
        self._server: asyncio.Server | None = None
        self._links: set[asyncio.Task[None]] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self.port = 0

    def aim(self, settings: Settings) -> None:
        """Relay to the switch's AMI port of these settings."""
        self._target = ("127.0.0.1", settings.ami_port)

    async def start(self, port: int = 0) -> int:
        """Listen; the port."""
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self.port

    async def cut(self) -> None:
        """Every connection ends; nobody gets in until ``heal``."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for link in list(self._links):
            link.cancel()
        await asyncio.gather(*self._links, return_exceptions=True)

    async def heal(self) -> None:
        """Listen again on the same port, and let what is frozen flow."""
        self._flowing.set()
        if self._server is None:
            await self.start(self.port)

    def freeze(self) -> None:
        """Connections stay open, not one byte passes: a half-open network."""
        self._flowing.clear()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._links.add(task)
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.close()
            self._links.discard(task)
            return
        try:
            pumps = {
                asyncio.ensure_future(self._pump(reader, far_writer)),
                asyncio.ensure_future(self._pump(far_reader, writer)),
            }
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
        finally:
            self._links.discard(task)
            for end in (writer, far_writer):
                with contextlib.suppress(OSError, RuntimeError):
                    end.transport.abort()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while chunk := await source.read(65536):
                await self._flowing.wait()
                sink.write(chunk)
                await sink.drain()
