"""A client that costs little beside the server it measures: keep-alive HTTP/1.1, one request at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast


def request(method: str, path: str, key: str, body: bytes = b"") -> bytes:
    """The bytes of a request."""
    head = f"{method} {path} HTTP/1.1\r\nHost: bench\r\nX-API-Key: {key}\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


class Connection(asyncio.Protocol):
    """One connection; ``ask`` gives status and body of the answer."""

    def __init__(self) -> None:
        self._buffer = b""
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    async def ask(self, raw: bytes) -> tuple[int, bytes]:
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(raw)
        return await self._answer

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found or self._answer is None:
            return
        lowered = head.lower()
        at = lowered.index(b"content-length:") + 15
        length = int(lowered[at:].split(b"\r\n", 1)[0])
        if len(rest) >= length:
            self._buffer = b""
            self._answer.set_result((int(head[9:12]), rest[:length]))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionError("the server closed the connection"))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


async def connect(port: int, count: int) -> list[Connection]:
    """So many connections to a loopback port."""
    loop = asyncio.get_running_loop()
    pairs = [await loop.create_connection(Connection, "127.0.0.1", port) for _ in range(count)]
    return [protocol for _, protocol in pairs]


@dataclass(frozen=True, slots=True)
class Run:
    """What a run gave: answers of the wanted status, their delays in seconds, how long it took."""

    good: int
    bad: int
    delays: tuple[float, ...]
    seconds: float

    @property
    def per_second(self) -> float:
        return self.good / self.seconds


async def saturate(
    connections: Sequence[Connection], make: Callable[[int], bytes], want: int, seconds: float
) -> Run:
    """Every connection asks again as soon as it is answered."""
    began = time.perf_counter()
    until = began + seconds
    delays: list[float] = []
    bad = 0

    async def work(connection: Connection, first: int) -> None:
        nonlocal bad
        number = first
        while (sent := time.perf_counter()) < until:
            status, _ = await connection.ask(make(number))
            number += len(connections)
            if status == want:
                delays.append(time.perf_counter() - sent)
            else:
                bad += 1

    await asyncio.gather(*(work(connection, n) for n, connection in enumerate(connections)))
    return Run(len(delays), bad, tuple(delays), time.perf_counter() - began)


async def pace(
    connections: Sequence[Connection], make: Callable[[int], bytes], want: int, rate: float, seconds: float
) -> Run:
    """So many requests a second, whatever the server does: delays count from the moment each was due."""
    free: asyncio.Queue[Connection] = asyncio.Queue()
    for connection in connections:
        free.put_nowait(connection)
    delays: list[float] = []
    bad = 0
    began = time.perf_counter()

    async def one(number: int, due: float) -> None:
        nonlocal bad
        connection = await free.get()
        status, _ = await connection.ask(make(number))
        free.put_nowait(connection)
        if status == want:
            delays.append(time.perf_counter() - due)
        else:
            bad += 1

    async with asyncio.TaskGroup() as tasks:
        for number in range(int(rate * seconds)):
            due = began + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            tasks.create_task(one(number, due))
    return Run(len(delays), bad, tuple(delays), time.perf_counter() - began)
