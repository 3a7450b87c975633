"""Nobody else on the port can stop, delay or change an answer."""

import asyncio
import random
import socket
import struct
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from tests.contract.agi.conftest import DEADLINE_S, PATIENT, Serve, Switch, block

pytestmark = pytest.mark.contract

GARBAGE = """
import random, socket, sys
port, seed = int(sys.argv[1]), int(sys.argv[2])
chance = random.Random(seed)
kinds = [b"GET / HTTP/1.1\\r\\n\\r\\n", b"\\x16\\x03\\x01\\x02\\x00\\x01", b"agi_network: yes\\nagi_", b"\\n",
         b"agi_a: " + b"b" * 4000, b"", b"200 result=1\\n", b"HANGUP\\n", b"agi_a: b\\nagi_a: b\\n"]
while True:
    for waits in (False, True):
        with socket.socket() as plug:
            try:
                plug.connect(("127.0.0.1", port))
                plug.send(chance.choice(kinds) + chance.randbytes(chance.randrange(40)))
                if waits:
                    plug.shutdown(socket.SHUT_WR)
                    plug.recv(1)
            except OSError:
                continue
"""
"""Every other time it waits until the server has come to it: a kernel whose queue of connections runs over
would lose the true questions too, for seconds, and this is about the server."""


def reset_on_close(plug: socket.socket) -> None:
    """Close with a reset, so that thousands of connections leave no ports waiting behind."""
    plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def balanced(metrics) -> bool:
    return metrics.asked == sum(metrics.outcomes.values()) and metrics.open_now == 0


async def test_ten_thousand_bare_connections_do_not_stop_the_answers(serve: Serve):
    def knock_and_run(port: int) -> None:
        for count in range(10_000):
            with socket.socket() as plug:
                if count % 2:
                    reset_on_close(plug)
                plug.connect(("127.0.0.1", port))
                if count % 100 == 0:  # why: no more than the kernel keeps for a server that is behind
                    plug.shutdown(socket.SHUT_WR)
                    plug.recv(1)

    with serve() as served:
        knocking = threading.Thread(target=knock_and_run, args=(served.port,))
        knocking.start()
        asked = 0
        while knocking.is_alive() or asked < 20:
            asked += 1
            assert await served.ask(str(asked), f"18.{asked}") == f"connect,{asked},18.{asked}"
        knocking.join()
        metrics = await served.until(lambda m: m.open_now == 0)
        assert metrics.answered == asked
        assert sum(metrics.rejected.values()) > 5_000  # a reset may undo a connection before it is accepted
        assert set(metrics.rejected) <= {"closed_early", "crowded_out"}


async def dribble(switch: Switch) -> None:
    """Ask slowly, a byte every 20 ms, and never come to the end."""
    for byte in block("666")[:-1]:
        switch.say(bytes([byte]))
        await asyncio.sleep(0.02)
    await asyncio.Event().wait()


@asynccontextmanager
async def dribbling(*switches: Switch) -> AsyncIterator[None]:
    """They do so meanwhile, and hang up at the end."""
    tasks = [asyncio.create_task(dribble(switch)) for switch in switches]
    yield
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    for switch in switches:
        switch.hang_up()


async def test_two_hundred_dribblers_delay_nobody(serve: Serve):
    with serve() as served:
        async with dribbling(*[await served.connect() for _ in range(200)]):
            for number in range(50):
                assert await served.ask(str(number), "18.1") == f"connect,{number},18.1"
            metrics = await served.until(lambda m: m.answered == 50)
            assert (metrics.open_now, metrics.rejected) == (200, {}), "nobody had to wait until they had gone"
        metrics = await served.until(lambda m: m.open_now == 0)
        assert metrics.rejected == {"closed_early": 200}


async def test_a_connection_that_dribbles_ends_at_the_header_deadline(serve: Serve):
    """Each byte is news, and none of them wins it time."""
    with serve(limits=replace(PATIENT, header_s=0.2)) as served:
        switch = await served.connect()
        async with dribbling(switch):
            assert await switch.closed() == b""
        assert served.metrics().rejected == {"silent": 1}


async def test_a_silent_connection_ends_at_the_header_deadline(serve: Serve):
    with serve(limits=replace(PATIENT, header_s=0.05)) as served:
        switch = await served.connect()
        assert await switch.closed() == b""
        assert served.metrics().rejected == {"silent": 1}


@pytest.mark.parametrize(
    "megabyte", [b"agi_x: " + b"y" * 1_000_000, b"agi_x: y\n" * 111_112], ids=["line", "lines"]
)
async def test_a_megabyte_of_headers_is_closed_at_once(serve: Serve, megabyte: bytes):
    with serve() as served:
        switch = await served.connect()
        start = time.monotonic()
        switch.say(megabyte)
        assert await switch.closed() == b""
        assert time.monotonic() - start < PATIENT.header_s / 2
        metrics = await served.until(lambda m: m.open_now == 0)
        assert metrics.asked == 0
        assert sum(metrics.rejected.values()) == 1
        assert await served.ask("100", "18.2") == "connect,100,18.2"


async def test_every_answer_is_right_among_garbage(serve: Serve):
    chance = random.Random(7)
    with serve() as served:
        attackers = [
            await asyncio.create_subprocess_exec(sys.executable, "-c", GARBAGE, str(served.port), str(seed))
            for seed in (1, 2)
        ]
        try:
            await served.until(lambda m: sum(m.rejected.values()) > 50)
            for batch in range(50):
                asked = [(f"{chance.randrange(10**10)}", f"19.{batch}{n}") for n in range(10)]
                heard = await asyncio.gather(*(served.ask(*question) for question in asked))
                assert heard == [f"connect,{dialled},{channel}" for dialled, channel in asked]
            await served.until(lambda m: sum(m.rejected.values()) > 2_000)
        finally:
            for attacker in attackers:
                attacker.kill()
                await asyncio.wait_for(attacker.wait(), DEADLINE_S)
        metrics = await served.until(balanced)
        assert metrics.asked == metrics.answered == 500
        assert served.loop_errors == []


async def test_silent_connections_make_room_for_a_question(serve: Serve):
    with serve(limits=replace(PATIENT, connections=5)) as served:
        silent = [await served.connect() for _ in range(5)]
        await served.until(lambda m: m.open_now == 5)
        assert await served.ask("100", "18.3") == "connect,100,18.3"
        assert await silent[0].closed() == b""
        assert served.metrics().rejected == {"crowded_out": 1}
        for switch in silent[1:]:
            switch.hang_up()


async def test_above_the_limit_a_connection_is_closed_at_once(serve: Serve):
    go_on = asyncio.Event()

    async def waits(question) -> str:
        await go_on.wait()
        return question.dialled

    with serve(waits, limits=replace(PATIENT, connections=2)) as served:
        asking = [asyncio.ensure_future(served.ask(dialled)) for dialled in ("1", "2")]
        await served.until(lambda m: m.asked == 2)
        turned_away = await served.connect()
        assert await turned_away.closed() == b""
        assert served.metrics().rejected == {"full": 1}
        served.loop.call_soon_threadsafe(go_on.set)
        assert await asyncio.gather(*asking) == ["1", "2"]
