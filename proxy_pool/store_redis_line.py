"""The connection of the index: what is asked in one moment goes out together, and nothing waits for long."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Final, cast

import hiredis
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

_CONNECT_S: Final = 0.5
LEASE_S: Final = 1.5
_MOST: Final = 1_000
"""Commands in one pipeline."""
LIBRARY: Final = "patchbay_pool_v1"
_PARTS: Final = ("library.lua", "doors.lua", "roll.lua")

Command = tuple[str | bytes | int, ...]


@dataclass(frozen=True, slots=True)
class Patience:
    """How long is waited. A server that has not answered in ``answer_s`` is away; a ringing call waits
    ``look_up_s`` at most. ``settle_s`` is the least age of a generation before it may be trusted: members
    whom the roll has lost are heard of again meanwhile. When a process was not heard of for ``lease_s``,
    nobody is answered any more: it may know of a change that the index does not."""

    answer_s: float = 0.5
    look_up_s: float = 0.05
    settle_s: float = 0.5
    lease_s: float = LEASE_S


def open_redis(url: str) -> Redis:
    """A client as the index needs it: bytes, no silent second attempts, every wait bounded by its caller.

    No ``socket_timeout``: redis-py sets ``asyncio.wait_for`` around each write for it, which before Python
    3.12 swallows a cancellation that comes as the write ends, and costs a task for each.
    """
    return Redis.from_url(
        url,
        decode_responses=False,
        socket_timeout=None,
        socket_connect_timeout=_CONNECT_S,
        retry=Retry(NoBackoff(), 0),
    )


def library() -> str:
    """The source of the functions that the server runs."""
    folder = files("proxy_pool") / "lua"
    return "\n".join((folder / part).read_text("utf-8") for part in _PARTS)


async def load_library(redis: Redis, answer_s: float) -> None:
    """Have the server know our functions. Loading them makes it forget which generation is trusted, so a
    server that has the same text already is left alone. Raises RedisError, OSError, TimeoutError."""
    source = library()
    async with asyncio.timeout(answer_s):
        asked = redis.function_list(library=LIBRARY, withcode=True)
        known = await cast("Awaitable[object]", asked)
        if source.encode() not in _leaves(known):
            await cast("Awaitable[object]", redis.function_load(source, replace=True))


def _leaves(answer: object) -> set[object]:
    """Every plain value in a reply, whatever its nesting in this version of the protocol."""
    if isinstance(answer, dict):
        return {leaf for pair in answer.items() for part in pair for leaf in _leaves(part)}
    if isinstance(answer, list):
        return {leaf for part in answer for leaf in _leaves(part)}
    return {answer}


_pack = cast("Callable[[Command], bytes]", hiredis.pack_command)


class LineBroken(Exception):
    """The server did not answer, or not in time: what was asked may or may not have been done."""


class Line:
    """Commands of many tasks, sent as pipelines, one after the other: while one is under way the next one
    gathers. A task that gives up waiting leaves its commands in the pipeline, so no reply is ever taken for
    another's. ``broken`` is told of every pipeline that got no answer."""

    def __init__(self, redis: Redis, broken: Callable[[], None], answer_s: float) -> None:
        self._redis = redis
        self._answer_s = answer_s
        self._broken = broken
        self._waiting: list[tuple[Sequence[Command], asyncio.Future[list[object]]]] = []
        self._flow: asyncio.Task[None] | None = None
        self._sent_at: float | None = None

    def late(self, by_s: float) -> bool:
        """Whether the server has owed an answer for longer than this."""
        return self._sent_at is not None and asyncio.get_running_loop().time() - self._sent_at > by_s

    async def ask(self, commands: Sequence[Command]) -> list[object]:
        """The replies, errors among them as values (RedisError). Raises LineBroken."""
        answer: asyncio.Future[list[object]] = asyncio.get_running_loop().create_future()
        self._waiting.append((commands, answer))
        if self._flow is None or self._flow.done():
            self._flow = asyncio.create_task(self._send_all(), name="index-line")
        return await answer

    async def close(self) -> None:
        """End what is under way."""
        if self._flow is not None:
            self._flow.cancel()
            await asyncio.gather(self._flow, return_exceptions=True)

    async def _send_all(self) -> None:
        while self._waiting:
            count, size = 0, 0
            while count < len(self._waiting) and (count == 0 or size < _MOST):
                size += len(self._waiting[count][0])
                count += 1
            batch, self._waiting = self._waiting[:count], self._waiting[count:]
            try:
                replies = await self._send([command for commands, _ in batch for command in commands])
            except LineBroken as error:
                self._broken()
                for _, answer in batch:
                    if not answer.done():
                        answer.set_exception(error)
                continue
            except asyncio.CancelledError:
                for _, answer in (*batch, *self._waiting):
                    if not answer.done():
                        answer.set_exception(LineBroken("closed"))
                raise
            for commands, answer in batch:
                mine, replies = replies[: len(commands)], replies[len(commands) :]
                if not answer.done():
                    answer.set_result(mine)

    async def _send(self, commands: Sequence[Command]) -> list[object]:
        self._sent_at = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(self._answer_s):
                taking = self._redis.connection_pool.get_connection()  # type: ignore[no-untyped-call]
                connection = cast(AbstractConnection, await taking)
                try:
                    return await _converse(connection, commands)
                finally:
                    await self._redis.connection_pool.release(connection)
        except (RedisError, OSError, TimeoutError) as error:
            # why: a connection with replies still to come must never serve anybody again
            with contextlib.suppress(RedisError, OSError, TimeoutError):
                await self._redis.connection_pool.disconnect()
            raise LineBroken(type(error).__name__) from None
        finally:
            self._sent_at = None


async def _converse(connection: AbstractConnection, commands: Sequence[Command]) -> list[object]:
    """Send all, read all. A pipeline by hand: redis-py packs commands in Python, which costs as much again
    as all else. Any failure but a refusal ends the connection."""
    whole = False
    try:
        packed = b"".join(map(_pack, commands))
        await connection.send_packed_command(packed, check_health=False)
        replies: list[object] = []
        for _ in commands:
            try:
                replies.append(await connection.read_response())
            except ResponseError as refusal:
                replies.append(refusal)
        whole = True
        return replies
    finally:
        if not whole:
            await connection.disconnect(nowait=True)
