"""What carries SIP: one UDP socket, or TCP or TLS connections with messages one after another.

A far end listens and connects from the same address. Over TCP and TLS an answer goes back over the
connection its request came by (RFC 3261 section 18.2.2); a request opens one where there is none.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from gateway.trial.watch import Watch

Address = tuple[str, int]
Received = Callable[[bytes, Address], None]
Kind = Literal["udp", "tcp", "tls"]
_LONGEST = 1 << 20
_LENGTH = re.compile(rb"\r\n(?:content-length|l)[ \t]*:[ \t]*(\d{1,7})[ \t]*\r\n", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files: our certificate and key, and whom we believe when we connect."""

    cert: str
    key: str
    ca: str


class Wire(Protocol):
    """One way to carry messages. ``open`` binds and gives the address; ``send`` never waits."""

    @property
    def kind(self) -> Kind: ...

    async def open(self, host: str, port: int, received: Received) -> Address: ...

    def send(self, raw: bytes, to: Address) -> None: ...

    def close(self) -> None: ...


def wire_of(kind: Kind, tls: TlsFiles | None = None) -> Wire:
    """The wire of this kind; TLS needs its files."""
    if kind == "udp":
        return UdpWire()
    if kind == "tls" and tls is None:
        raise ValueError("TLS needs a certificate")
    return StreamWire(tls)


def split_stream(buffer: bytes) -> tuple[list[bytes], bytes]:
    """The whole messages in a stream's bytes, and what is left (RFC 3261 section 18.3). Pure.

    Raises ``ValueError`` when the stream cannot be cut: a message without Content-Length, or too long.
    """
    whole: list[bytes] = []
    while True:
        buffer = buffer.lstrip(b"\r\n")  # keep-alives (RFC 5626 section 3.5.1)
        head, end, _ = buffer.partition(b"\r\n\r\n")
        if not end:
            if len(buffer) > _LONGEST:
                raise ValueError("a message without an end")
            return whole, buffer
        found = _LENGTH.search(head + b"\r\n")
        if found is None:
            raise ValueError("a message without Content-Length")
        size = len(head) + len(end) + int(found.group(1))
        if size > _LONGEST:
            raise ValueError("a message too long")
        if len(buffer) < size:
            return whole, buffer
        whole.append(buffer[:size])
        buffer = buffer[size:]


class UdpWire(asyncio.DatagramProtocol):
    """One datagram is one message."""

    kind: Kind = "udp"

    def __init__(self) -> None:
        self._socket: asyncio.DatagramTransport | None = None
        self._received: Received = lambda raw, source: None

    async def open(self, host: str, port: int, received: Received) -> Address:
        self._received = received
        loop = asyncio.get_running_loop()
        self._socket, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(host, port))
        return host, int(self._socket.get_extra_info("sockname")[1])

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._received(data, addr)

    def send(self, raw: bytes, to: Address) -> None:
        if self._socket is not None:
            self._socket.sendto(raw, to)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class StreamWire:
    """TCP, or TLS where there are files for it: the far end's certificate is verified by name and chain."""

    def __init__(self, tls: TlsFiles | None = None) -> None:
        self.kind: Kind = "tcp" if tls is None else "tls"
        self._listening: ssl.SSLContext | None = None
        self._connecting: ssl.SSLContext | None = None
        if tls is not None:
            self._listening, self._connecting = _contexts(tls)
        self._received: Received = lambda raw, source: None
        self._host = ""
        self._server: asyncio.Server | None = None
        self._writers: dict[Address, asyncio.StreamWriter] = {}
        self._waiting: dict[Address, list[bytes]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.failures: list[Exception] = []
        """Connections that could not be opened, e.g. a certificate that is not believed."""
        self.watch = Watch()
        """Changes with every failure."""

    async def open(self, host: str, port: int, received: Received) -> Address:
        self._host, self._received = host, received
        self._server = await asyncio.start_server(self._accepted, host, port, ssl=self._listening)
        return host, int(self._server.sockets[0].getsockname()[1])

    def send(self, raw: bytes, to: Address) -> None:
        writer = self._writers.get(to)
        if writer is not None:
            writer.write(raw)
        elif to in self._waiting:
            self._waiting[to].append(raw)
        elif self._server is not None:
            self._waiting[to] = [raw]
            self._keep(asyncio.get_running_loop().create_task(self._connect(to)))

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in self._writers.values():
            writer.transport.abort()
        for task in self._tasks:
            task.cancel()

    def _failed(self, error: Exception) -> None:
        self.failures.append(error)
        self.watch.changed()

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, to: Address) -> None:
        try:
            reader, writer = await asyncio.open_connection(
                *to,
                ssl=self._connecting,
                local_addr=(self._host, 0),
                server_hostname=to[0] if self._connecting else None,
            )
        except OSError as error:
            self._waiting.pop(to, None)
            self._failed(error)
            return
        writer.writelines(self._waiting.pop(to, []))
        await self._converse(reader, writer, to)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._keep(task)
        host, port = writer.get_extra_info("peername")[:2]
        await self._converse(reader, writer, (host, port))

    async def _converse(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: Address
    ) -> None:
        self._writers[peer] = writer
        left = b""
        try:
            while chunk := await reader.read(1 << 16):
                whole, left = split_stream(left + chunk)
                for message in whole:
                    self._received(message, peer)
        except (OSError, ValueError) as error:
            self._failed(error)
        finally:
            self._writers.pop(peer, None)
            writer.transport.abort()


def _contexts(files: TlsFiles) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """One for those who connect to us, one for those we connect to."""
    listening = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    listening.load_cert_chain(files.cert, files.key)
    return listening, ssl.create_default_context(cafile=files.ca)
