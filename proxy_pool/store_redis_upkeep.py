"""Building a generation of the index from the ledger, watching over it, and clearing away old ones."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Iterable, Sequence
from typing import Final, Protocol, cast

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from proxy_pool.core.session import Binding
from proxy_pool.store_redis_line import LEASE_S, Command, LineBroken
from proxy_pool.store_redis_roll import BEAT_S, Roll, Standing
from proxy_pool.upkeep import IndexCounts, Load
from telephony.errors import PatchbayError, StorageUnavailable

_log = structlog.get_logger("proxy_pool.index")

_PAGE_S: Final = 30.0
"""Within this time the ledger gives a page."""
_CHUNK: Final = 500
_LONGEST_WAIT_S: Final = 10.0
_ROUND_S: Final = BEAT_S / 5
_FOLLOW_ROUNDS: Final = int(2 * LEASE_S / _ROUND_S)
"""How often others are waited for, before the whole is tried anew."""
_SCANNED: Final = 500
_SCAN_S: Final = 5.0
_AWAY: Final = (RedisError, OSError, TimeoutError, LineBroken)


class Writes(Protocol):
    """What the index tells the filler."""

    counts: IndexCounts

    def filling(self, generation: str, page: Iterable[Binding]) -> list[Command]: ...

    def still_open(self, generation: str) -> list[Command]: ...

    async def ask(self, commands: Sequence[Command]) -> list[object]: ...


class Struck(Exception):
    """Somebody had reason not to trust this generation; another one has to be built."""


class Filler:
    """One task that beats, four times a second, and builds where nobody else does."""

    def __init__(self, redis: Redis, roll: Roll, index: Writes) -> None:
        self._redis = redis
        self._roll = roll
        self._index = index
        self._clearing: asyncio.Task[None] | None = None

    async def run(self, load: Load) -> None:
        """Until cancelled. Whatever goes wrong is tried again, at growing distances."""
        wait_s = BEAT_S
        try:
            while True:
                try:
                    if await self._round(load):
                        wait_s = BEAT_S
                    else:
                        wait_s = min(wait_s * 2, _LONGEST_WAIT_S)
                except _AWAY as error:
                    self._roll.pause()
                    wait_s = min(wait_s * 2, 2.0)
                    _log.info("index.away", why=_why(error))
                await self._sleep(wait_s)
        finally:
            await self._leave()

    async def _round(self, load: Load) -> bool:
        """One beat, and what it asks for. False where a build failed for the ledger's sake."""
        standing = await self._beat()
        if standing.trusted or (standing.building and standing.builder != self._roll.member):
            return True
        _log.info("index.suspect", suspected=self._roll.suspected)
        try:
            await self.rebuild(load())
        except Struck:
            return True
        except ResponseError as error:
            _log.warning("index.not_built", why=_why(error))
            return False
        except _AWAY:
            raise
        except PatchbayError as error:
            _log.warning("index.not_built", code=error.code)
            return False
        except Exception:  # noqa: BLE001  # why: ``load`` is others' code; the watch must go on beating
            _log.exception("index.not_built")
            return False
        return True

    async def _sleep(self, wait_s: float) -> None:
        """Wait, but go on beating where the server answers."""
        while wait_s > BEAT_S and not self._roll.paused:
            await asyncio.sleep(BEAT_S)
            wait_s -= BEAT_S
            with contextlib.suppress(*_AWAY):
                await self._beat()
        await asyncio.sleep(wait_s)

    async def _beat(self) -> Standing:
        standing = await self._roll.beat()
        self._index.counts.suspected = self._roll.suspected
        if standing.building and standing.building not in self._roll.targets and not self._roll.doubtful:
            await self._follow(standing.building)
            standing = await self._roll.beat()
        return standing

    async def _follow(self, generation: str) -> None:
        """From now on every write goes there too; first what was suspended and is not settled yet."""
        self._roll.follow(generation)
        try:
            await self._write(self._index.still_open(generation))
        except Struck:
            self._roll.ended(generation)
        except BaseException:  # why: cancelled too, what was not written there is not there
            self._roll.lost()
            raise

    # ------------------------------------------------------------ building

    async def rebuild(self, pages: AsyncIterator[Sequence[Binding]]) -> bool:
        """Fill a new generation and have it trusted. False where another process is at it.

        Raises Struck, RedisError, OSError, TimeoutError, LineBroken, and what ``pages`` raises.
        """
        await self._beat()
        generation = await self._roll.claim()
        if generation is None:
            return False
        await self._follow(generation)
        self._clear_before(generation)
        await self._until_followed(generation)
        count = 0
        async for page in _in_time(pages):
            for at in range(0, len(page), _CHUNK):
                await self._write(self._index.filling(generation, page[at : at + _CHUNK]))
                await self._beat_building(generation)
            count += len(page)
        await self._publish(generation)
        self._index.counts.rebuilds += 1
        _log.info("index.built", doors=count)
        return True

    async def _until_followed(self, generation: str) -> None:
        for _ in range(_FOLLOW_ROUNDS):
            if (await self._beat_building(generation)).followed:
                return
            await asyncio.sleep(_ROUND_S)
        _log.warning("index.member_missing")
        raise Struck

    async def _publish(self, generation: str) -> None:
        for _ in range(_FOLLOW_ROUNDS):
            told = await self._roll.publish(generation)
            if told:
                await self._beat()
                return
            if told is None:
                raise Struck
            await asyncio.sleep(_ROUND_S)
            await self._beat_building(generation)
        raise Struck

    async def _beat_building(self, generation: str) -> Standing:
        standing = await self._beat()
        if standing.building != generation:
            raise Struck
        return standing

    async def _write(self, commands: Sequence[Command]) -> None:
        if not commands:
            return
        for reply in await self._index.ask(commands):
            if isinstance(reply, ResponseError):
                if str(reply).startswith("STALE"):
                    raise Struck
                raise reply

    # ------------------------------------------------------------ clearing away

    def _clear_before(self, generation: str) -> None:
        if self._clearing is not None:
            self._clearing.cancel()
        self._clearing = asyncio.create_task(self._clear(generation), name="index-clearing")

    async def _clear(self, generation: str) -> None:
        """Remove every key of generations before this one, in small steps."""
        latest, cursor = int(generation.partition(".")[0]), 0
        with contextlib.suppress(*_AWAY):
            while generation in self._roll.targets:
                async with asyncio.timeout(_SCAN_S):
                    scanned = self._redis.scan(cursor, match="pl:[0-9]*", count=_SCANNED)
                    cursor, keys = await cast("Awaitable[tuple[int, list[bytes]]]", scanned)
                    old = [key for key in keys if int(key.split(b":")[1]) < latest]
                    if old:
                        await self._redis.unlink(*old)
                if cursor == 0:
                    return
                await asyncio.sleep(0.005)

    async def _leave(self) -> None:
        if self._clearing is not None:
            self._clearing.cancel()
        with contextlib.suppress(*_AWAY):
            await self._roll.leave()


def _why(error: Exception) -> str:
    """A refusal in the server's words, which repeat nothing of ours; else the kind of error."""
    return str(error)[:80] if isinstance(error, ResponseError) else type(error).__name__


async def _in_time(pages: AsyncIterator[Sequence[Binding]]) -> AsyncIterator[Sequence[Binding]]:
    while True:
        try:
            async with asyncio.timeout(_PAGE_S):
                page = await anext(pages)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise StorageUnavailable from None
        yield page
