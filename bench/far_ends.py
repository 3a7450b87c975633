"""What callers talk to in benchmarks of agents, each a process of its own: ``python -m bench.far_ends KIND``.

``bare`` is the shortest program that answers ``chan_websocket``: what comes goes back at once. ``agents`` are
agents of the native dialect, of the kind that their path names: ``/echo`` gives every frame back, ``/fast``
speaks at 50.1 frames a second, ``/talker`` speaks without end and drops it each 400 ms, ``/last`` says its
last word when it is told that the call ends, ``/leaver`` at once, and hangs up. A line on standard input asks
what they noted. Times are epoch seconds.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvloop
from picows import (
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
    ws_create_server,
)

from bench.callers import PHRASE, SPOKEN, stamped
from bench.rig import Cpu, cpu_of

_SILENCE = b"\xff" * 160
FAST_RATE = 50.1
CLEAR_EVERY_S = 0.4
LAST_FRAMES = 15
"""Frames of a last word: 300 ms."""


class FarEnd:
    """A far end's process, seen from the benchmark."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self._process, self.port = process, port

    @property
    def cpu(self) -> Cpu:
        return cpu_of(self._process.pid)

    async def ask(self, order: str) -> Any:
        """One order, one answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(order.encode() + b"\n")
        return json.loads(await asyncio.wait_for(self._process.stdout.readline(), 30.0))


@asynccontextmanager
async def far_end(kind: str) -> AsyncIterator[FarEnd]:
    """``bare`` or ``agents``, ended afterwards."""
    pipe = asyncio.subprocess.PIPE
    command = (sys.executable, "-m", "bench.far_ends", kind)
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, limit=2**24)
    assert process.stdout is not None
    try:
        yield FarEnd(process, int(await asyncio.wait_for(process.stdout.readline(), 30.0)))
    finally:
        process.kill()
        await process.wait()


def memory_kb(pid: int) -> int:
    """Resident memory of a process (proc(5))."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


# ---------------------------------------------------------------- in the process


class _Bare(WSListener):
    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.BINARY:
            transport.send(WSMsgType.BINARY, frame.get_payload_as_memoryview())
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()


def _bare(request: WSUpgradeRequest) -> WSUpgradeResponseWithListener:
    response = WSUpgradeResponse.create_101_response({"Sec-WebSocket-Protocol": "media"})
    return WSUpgradeResponseWithListener(response, _Bare())


class _Told:
    """What agents noted since they were asked last."""

    def __init__(self) -> None:
        self.endings: list[tuple[str, float]] = []
        self.clears: list[tuple[int, float]] = []
        self.talkers = 0


class _Agent(WSListener):
    """One session. ``echoes``: sound goes back as it comes."""

    def __init__(self, kind: str, told: _Told) -> None:
        self._echoes, self._says = kind == "echo", _SAYS.get(kind)
        self._told = told
        self._call = ""
        self._task: asyncio.Task[None] | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        kind = frame.msg_type
        if kind == WSMsgType.BINARY:
            if self._echoes:
                transport.send(WSMsgType.BINARY, frame.get_payload_as_memoryview())
        elif kind == WSMsgType.TEXT:
            self._text(json.loads(frame.get_payload_as_utf8_text()))
        elif kind == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        if self._task is not None:
            self._task.cancel()

    def _text(self, event: dict[str, Any]) -> None:
        match event["type"]:
            case "session.begin":
                self._call = event["call_id"]
                self.say({"type": "session.ready"})
            case "session.answered" if self._says is not None:
                self._task = asyncio.get_running_loop().create_task(self._says(self))
            case "session.ending":
                self._told.endings.append((self._call, time.time()))
                if event["may_speak"]:
                    self.last_word()
                self.say({"type": "session.ack"})

    def say(self, event: dict[str, Any]) -> None:
        self._transport.send(WSMsgType.TEXT, json.dumps(event))

    def sound(self, octets: bytes) -> None:
        self._transport.send(WSMsgType.BINARY, octets)

    def last_word(self) -> None:
        """Frames 1 to ``LAST_FRAMES``."""
        self.sound(b"".join(map(stamped, range(1, LAST_FRAMES + 1))))

    async def greet(self) -> None:
        self.sound(stamped(0) * 5)

    async def leave(self) -> None:
        self.last_word()
        self.say({"type": "hangup"})

    async def talk(self) -> None:
        """Two seconds ahead, each time with a number that was never used, and dropped again."""
        self._told.talkers += 1
        first = self._told.talkers * 100_000
        await asyncio.sleep(1.0)
        for number in itertools.count(first):
            self.sound(stamped(number) * 100)
            await asyncio.sleep(CLEAR_EVERY_S)
            self._told.clears.append((number, time.time()))
            self.say({"type": "clear"})

    async def hurry(self) -> None:
        """Two seconds of speech and one of silence; a frame says when it was sent, in tenths of ms."""
        began = time.time()
        for sent in itertools.count():
            await asyncio.sleep(max(0.0, began + sent / FAST_RATE - time.time()))
            speaks = sent % PHRASE < SPOKEN
            self.sound(stamped(round((time.time() - began) * 10_000)) if speaks else _SILENCE)


_SAYS: dict[str, Callable[[_Agent], Coroutine[Any, Any, None]]] = {
    "talker": _Agent.talk,
    "fast": _Agent.hurry,
    "last": _Agent.greet,
    "leaver": _Agent.leave,
}


async def _serve(kind: str) -> None:
    told = _Told()

    def agent(request: WSUpgradeRequest) -> WSListener:
        return _Agent(request.path.decode().strip("/"), told)

    server = await ws_create_server(_bare if kind == "bare" else agent, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.readline():
        print(json.dumps({"endings": told.endings, "clears": told.clears}), flush=True)
        told.endings, told.clears = [], []


if __name__ == "__main__":
    uvloop.run(_serve(sys.argv[1]))
