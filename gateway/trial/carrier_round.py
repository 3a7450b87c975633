"""The round of a simulated carrier's callbacks: each at its time, in order, again while it is not taken."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from dataclasses import dataclass, field

import aiohttp
from yarl import URL

from gateway.trial.carrier_speech import Callback
from gateway.trial.watch import Watch

ATTEMPTS = 5
AGAIN_S = 0.25
PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class Told:
    """One attempt. ``status`` 0: nobody answered. ``what`` is ``text`` or the state of a receipt."""

    what: str
    id: str
    forged: bool
    attempt: int
    status: int


@dataclass(order=True, slots=True)
class _Due:
    at: float
    place: int
    what: str = field(compare=False)
    id: str = field(compare=False)
    url: str = field(compare=False)
    make: Callable[[], Callback] = field(compare=False)
    forged: bool = field(compare=False)
    attempt: int = field(compare=False, default=1)


class Round:
    """Sends callbacks one after another. ``told`` has every attempt; ``watch`` wakes who waits."""

    def __init__(self, watch: Watch, heard: Callable[[Told], None]) -> None:
        self.told: list[Told] = []
        self._watch = watch
        self._heard = heard
        self._waiting: list[_Due] = []
        self._places = 0
        self._under_way = 0
        self._more = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=PATIENCE_S), trust_env=False, auto_decompress=False
        )
        self._task = asyncio.create_task(self._run(self._session), name="carrier-round")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    @property
    def idle(self) -> bool:
        """Whether nothing is waiting or under way."""
        return not self._waiting and not self._under_way

    def add(
        self,
        what: str,
        message_id: str,
        url: str,
        make: Callable[[], Callback],
        *,
        after_s: float = 0.0,
        forged: bool = False,
    ) -> None:
        """Send this callback once its time has come. It is made, and so signed, at that moment."""
        at = asyncio.get_running_loop().time() + after_s
        self._push(_Due(at, 0, what, message_id, url, make, forged))

    def _push(self, due: _Due) -> None:
        self._places += 1
        due.place = self._places
        heapq.heappush(self._waiting, due)
        self._more.set()

    async def _run(self, session: aiohttp.ClientSession) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._more.clear()
            left = self._waiting[0].at - loop.time() if self._waiting else None
            if left is not None and left <= 0:
                due = heapq.heappop(self._waiting)
                self._under_way = 1
                try:
                    status = await _sent(session, due.url, due.make())
                finally:
                    self._under_way = 0
                self._note(due, status, loop.time())
                continue
            try:
                async with asyncio.timeout(left):
                    await self._more.wait()
            except TimeoutError:
                continue

    def _note(self, due: _Due, status: int, now: float) -> None:
        told = Told(due.what, due.id, due.forged, due.attempt, status)
        taken = 200 <= status < 300
        if not taken and not due.forged and due.attempt < ATTEMPTS:
            due.at, due.attempt = now + AGAIN_S * due.attempt, due.attempt + 1
            self._push(due)
        self.told.append(told)
        self._heard(told)
        self._watch.changed()


async def _sent(session: aiohttp.ClientSession, url: str, callback: Callback) -> int:
    where = f"{url}?{callback.query}" if callback.query else url
    try:
        async with session.request(
            callback.method,
            URL(where, encoded=True),
            data=callback.body or None,
            headers=callback.headers,
            allow_redirects=False,
        ) as response:
            await response.content.read(64 * 1024)
            return response.status
    except (aiohttp.ClientError, TimeoutError, OSError):
        return 0
