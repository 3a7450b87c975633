"""Two small TCP relays on loopback: they pass everything on, unchanged, and remember what passed.

``AmiTee`` stands between a link and the switch's AMI port and keeps what the switch said to the events
user; ``AgiTee`` stands before the routing question's server and tells when which channel asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from gateway.trial.watch import Watch

_CHUNK = 1 << 16
Relay = Callable[[bytes], None]


class _Tee:
    """A listening port whose connections go on to ``target``."""

    def __init__(self, target: tuple[str, int]) -> None:
        self.target = target
        self.watch = Watch()
        self.port = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for writer in list(self._writers):
            writer.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        try:
            far_reader, far_writer = await asyncio.open_connection(*self.target)
        except OSError:
            writer.close()
            return
        up, down = self.relays()
        self._writers |= {writer, far_writer}
        try:
            ways = (self._pass(reader, far_writer, up), self._pass(far_reader, writer, down))
            _, pending = await asyncio.wait(map(asyncio.ensure_future, ways), return_when="FIRST_COMPLETED")
            for way in pending:
                way.cancel()
            await asyncio.gather(*pending, return_exceptions=True)
        finally:
            self._writers -= {writer, far_writer}
            writer.close()
            far_writer.close()

    async def _pass(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, see: Relay) -> None:
        with suppress(ConnectionError):
            while chunk := await source.read(_CHUNK):
                see(chunk)
                target.write(chunk)
                await target.drain()
                self.watch.changed()

    def relays(self) -> tuple[Relay, Relay]:
        """What looks at the bytes of one new connection: to the target, and back."""
        raise NotImplementedError


class AmiTee(_Tee):
    """``streams``: everything the switch said to the user ``user``, one entry a connection."""

    def __init__(self, target: tuple[str, int], user: str) -> None:
        super().__init__(target)
        self._login = f"Username: {user}\r\n".encode()
        self.streams: list[bytearray] = []

    def relays(self) -> tuple[Relay, Relay]:
        said = bytearray()
        asked = bytearray()

        def up(chunk: bytes) -> None:
            if said in self.streams or len(asked) > 2000:
                return
            asked.extend(chunk)
            if self._login in asked:
                self.streams.append(said)

        return up, said.extend


class AgiTee(_Tee):
    """Calls ``on_question`` with the channel's Uniqueid when its question has come in."""

    def __init__(self, target: tuple[str, int], on_question: Callable[[str], None]) -> None:
        super().__init__(target)
        self._on_question = on_question

    def relays(self) -> tuple[Relay, Relay]:
        head = bytearray()

        def up(chunk: bytes) -> None:
            known = b"agi_uniqueid: " in head
            head.extend(chunk)
            _, found, rest = bytes(head).partition(b"agi_uniqueid: ")
            if found and not known and b"\n" in rest:
                self._on_question(rest.partition(b"\n")[0].decode("ascii", "replace"))

        return up, lambda chunk: None
