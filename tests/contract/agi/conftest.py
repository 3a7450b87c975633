"""A FastAGI server on a loop of its own, and the switch's side of the conversation."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvloop

from dialplan.agi.metrics import AgiMetrics
from dialplan.agi.server import AgiLimits, AgiServer
from dialplan.agi.wire import Question

DEADLINE_S = 30.0
PATIENT = AgiLimits(header_s=60, budget_s=60, reply_s=60)
"""Limits that no test meets by being slow: a test lowers the one that it is about."""


def block(dialled: str, channel: str = "1752000000.1") -> bytes:
    """What the switch writes when it asks."""
    fields = {
        "network": "yes", "network_script": "route", "request": "agi://127.0.0.1/route",
        "channel": "PJSIP/carrier-1", "language": "en", "type": "PJSIP", "uniqueid": channel,
        "version": "22.10.1", "callerid": "+14155552671", "calleridname": "unknown", "callingpres": "0",
        "callingani2": "0", "callington": "0", "callingtns": "0", "dnid": dialled, "rdnis": "unknown",
        "context": "inbound", "extension": dialled, "priority": "1", "enhanced": "0.0", "accountcode": "",
        "threadid": "139872",
    }  # fmt: skip
    return "".join(f"agi_{name}: {value}\n" for name, value in fields.items()).encode() + b"\n"


async def echo(question: Question) -> str:
    """An answer that can only belong to its own question."""
    return f"connect,{question.dialled},{question.channel}"


class Served:
    """A running server. Its loop has its own thread, so a slow test cannot look like a slow server."""

    def __init__(self, server: AgiServer, loop: asyncio.AbstractEventLoop) -> None:
        self.server = server
        self.loop = loop
        self.port = 0
        self.loop_errors: list[dict[str, Any]] = []
        loop.set_exception_handler(lambda _, context: self.loop_errors.append(context))

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(DEADLINE_S)

    async def elsewhere(self, work: Coroutine[Any, Any, Any]) -> Any:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self.loop))

    def metrics(self) -> AgiMetrics:
        async def look() -> AgiMetrics:
            return self.server.metrics()

        return self.run(look())

    async def until(self, condition: Callable[[AgiMetrics], bool]) -> AgiMetrics:
        """Wait for a named condition of the metrics."""
        give_up = time.monotonic() + DEADLINE_S
        while not condition(metrics := self.metrics()):
            assert time.monotonic() < give_up, metrics
            await asyncio.sleep(0.005)
        return metrics

    async def connect(self) -> "Switch":
        async with asyncio.timeout(DEADLINE_S):
            return Switch(*await asyncio.open_connection("127.0.0.1", self.port))

    async def ask(self, dialled: str, channel: str = "1752000000.1") -> str | None:
        """One whole conversation: the value that was set, or None."""
        switch = await self.connect()
        switch.say(block(dialled, channel))
        command = await switch.line()
        if command:
            switch.say(b"200 result=1\n")
        await switch.closed()
        return command.removeprefix('SET VARIABLE PB_ROUTE "').removesuffix('"\n') or None


class Switch:
    """One connection, as the switch holds it. Every wait has a deadline."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def say(self, words: bytes) -> None:
        self.writer.write(words)

    async def line(self) -> str:
        """The next line, or "" when the server has closed."""
        async with asyncio.timeout(DEADLINE_S):
            try:
                return (await self.reader.readline()).decode()
            except ConnectionError:
                return ""

    async def closed(self) -> bytes:
        """Wait until the server closes; what it said before."""
        async with asyncio.timeout(DEADLINE_S):
            try:
                said = await self.reader.read()
            except ConnectionError:
                said = b""
        self.hang_up()
        return said

    def hang_up(self) -> None:
        self.writer.transport.abort()


Serve = Callable[..., Any]


@pytest.fixture(params=["asyncio", "uvloop"])
def serve(request: pytest.FixtureRequest) -> Serve:
    """Starts servers, on asyncio's loop and on the one of production."""

    @contextmanager
    def running(
        answer: Callable[[Question], Awaitable[str]] = echo, *, limits: AgiLimits | None = None, **more: Any
    ) -> Iterator[Served]:
        loop = uvloop.new_event_loop() if request.param == "uvloop" else asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, name="agi-under-test")
        thread.start()

        async def make() -> AgiServer:
            return AgiServer(answer, limits=limits or PATIENT, **more)

        try:
            server = asyncio.run_coroutine_threadsafe(make(), loop).result(DEADLINE_S)
            served = Served(server, loop)
            served.port = served.run(server.start("127.0.0.1", 0))
            try:
                yield served
            finally:
                served.run(server.stop(0))
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(DEADLINE_S)
            loop.close()

    return running
