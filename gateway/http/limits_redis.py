"""The same windows shared by several API processes, counted in Redis by one script.

Redis away: this process counts on its own, so that a limit gets looser but no request is lost. One request in
``AGAIN_S`` seconds finds out whether it is back, so that a Redis that hangs does not keep every one waiting.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, cast

from redis.asyncio import Redis
from redis.exceptions import RedisError

from gateway.http.limits import WINDOW_S, Count, LocalRates, Rate, judge

AGAIN_S: Final = 2.0
_SCRIPT: Final = """
local current = tonumber(redis.call('GET', KEYS[1]) or '0')
local previous = tonumber(redis.call('GET', KEYS[2]) or '0')
local used = previous * (1 - tonumber(ARGV[2])) + current
if ARGV[3] == '1' and used + 1 <= tonumber(ARGV[1]) then
  redis.call('INCR', KEYS[1])
  redis.call('EXPIRE', KEYS[1], tonumber(ARGV[4]))
end
return {current, previous}
"""


class RedisRates:
    """Counters in Redis under ``prefix``; both keys of a name share a hash tag."""

    def __init__(self, redis: Redis, now: Callable[[], float], *, prefix: str = "patchbay:rate") -> None:
        self._redis = redis
        self._now = now
        self._prefix = prefix
        self._local = LocalRates(now)
        self._away_until = 0.0

    async def take(self, name: str, limit: int, window_s: int = WINDOW_S) -> Rate:
        return await self._ask(name, limit, window_s, counting=True)

    async def peek(self, name: str, limit: int, window_s: int = WINDOW_S) -> Rate:
        return await self._ask(name, limit, window_s, counting=False)

    async def _ask(self, name: str, limit: int, window_s: int, *, counting: bool) -> Rate:
        now = self._now()
        if 0 < self._away_until - now <= AGAIN_S:
            return await self._counted_here(name, limit, window_s, counting=counting)
        window = int(now // window_s)
        length = "" if window_s == WINDOW_S else f"{window_s}s:"
        keys = [f"{self._prefix}:{{{name}}}:{length}{number}" for number in (window, window - 1)]
        gone = (now % window_s) / window_s
        try:
            asked = self._redis.eval(_SCRIPT, 2, *keys, limit, repr(gone), int(counting), 3 * window_s)
            current, previous = await cast("Awaitable[list[Any]]", asked)
        except (RedisError, OSError):
            self._away_until = self._now() + AGAIN_S
            return await self._counted_here(name, limit, window_s, counting=counting)
        rate = judge(Count(window, int(current), int(previous)), limit, now, window_s)
        if rate.allowed and counting:
            return Rate(True, limit, rate.remaining - 1, rate.reset_s)
        return rate

    async def _counted_here(self, name: str, limit: int, window_s: int, *, counting: bool) -> Rate:
        count = self._local.take if counting else self._local.peek
        return await count(name, limit, window_s)
