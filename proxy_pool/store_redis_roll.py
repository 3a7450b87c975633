"""Which generation of the index is to be believed, among all processes that share one Redis.

Everything the index has in Redis belongs to a **generation**: one filling of it from the ledger. The server
knows which one is trusted in its memory alone (``lua/library.lua``), so a restart, a fail-over or a flush
ends the trust by itself, and every look-up and reservation names the generation that it means.

Every process that changes sessions is on the **roll**, under a name of its own that it keeps over restarts.
It has a lease, renewed by a beat; look-ups are answered only while all leases run. So:

- A process that could not write a change says so with its next beat, and the generation is struck. Until it
  can say so it does not beat either, and when its lease has run out nobody is answered any more. ``outwait``
  waits for that: whoever changes a session after it cannot be overtaken by a look-up of another process.
  Who is alone on the roll waits for nobody; a newcomer is answered only when all others have read of it.
- A process that died leaves a lease that never runs again, until it is back (then the generation is struck)
  or was taken off the roll with ``retire``. Until then look-ups ask the ledger: slower, never wrong.
- A new generation is filled only after everybody on the roll writes to it too, so that no change is missed
  between reading the ledger and writing it down; a suspension that is still open is written there first.

What remains: a process that has never reached Redis is on no roll, and the others do not wait for it. It must
not change sessions before it has joined, where others share its Redis.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Final, cast

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from proxy_pool.store_redis_line import LIBRARY, Patience, load_library

BEAT_S: Final = 0.25
_KEY: Final = "pl:{roll}"
_MARGIN_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class Standing:
    """The roll, as the server told it."""

    stamp: int
    trusted: str
    building: str
    builder: str
    members: int
    followed: bool
    """Whether every member is heard of and writes to ``building``."""
    edition: int
    """Of the roll; another one when a member has joined."""


class Roll:
    """This process's place on the roll, and what it may believe."""

    def __init__(self, redis: Redis, member: str, patience: Patience) -> None:
        self._redis = redis
        self.member = member
        self._incarnation = secrets.token_hex(8)
        self._patience = patience
        self._stamp = 0
        self._stamped_at = 0.0
        self._trusted = ""
        self._followed = ""
        self._edition = 0
        self._others = True
        self._paused = True
        self.joined = False
        self.doubtful = False
        self.suspected = 0

    @property
    def believed(self) -> str | None:
        """The generation to ask; None while the ledger is to be asked."""
        return None if self._paused or self.doubtful else self._trusted or None

    @property
    def targets(self) -> tuple[str, ...]:
        """The generations to write to."""
        return tuple(dict.fromkeys(one for one in (self._trusted, self._followed) if one))

    @property
    def paused(self) -> bool:
        """Whether the server did not answer last time."""
        return self._paused

    def pause(self) -> None:
        """The server does not answer: ask nothing before the next beat that it answers."""
        self._paused = True

    def lost(self) -> None:
        """A write may be missing: nothing here is to be believed before everything was built anew."""
        self._paused = True
        if not self.doubtful:
            self.doubtful = True
            self.suspected += 1

    def ended(self, generation: str) -> None:
        """The server no longer trusts this generation."""
        if generation == self._trusted:
            self._trusted = ""
        if generation == self._followed:
            self._followed = ""

    def follow(self, generation: str) -> None:
        """Write to this one as well; tell it with the next beat."""
        self._followed = generation

    async def outwait(self) -> None:
        """Return when no other process is answered by the generation of which we have lost a write."""
        if self._others and self._stamp:
            loop = asyncio.get_running_loop()
            await asyncio.sleep(max(0.0, self._stamped_at + self._patience.lease_s + _MARGIN_S - loop.time()))

    async def beat(self) -> Standing:
        """Renew the lease and learn how things stand. Raises RedisError, OSError, TimeoutError."""
        standing, told = await self._beat()
        lease_ms = self._patience.lease_s * 1000
        while standing.edition != self._edition or standing.stamp - self._stamp > lease_ms:
            self._note(standing)
            standing, told = await self._beat()
        self._note(standing)
        self.joined = True
        if told:
            self.doubtful = False
            self._trusted = self._followed = ""
        else:
            self._trusted = standing.trusted
            if standing.building != self._followed and standing.trusted != self._followed:
                self._followed = ""
        self._paused = self.doubtful
        return standing

    def _note(self, standing: Standing) -> None:
        self._stamp = standing.stamp
        self._stamped_at = asyncio.get_running_loop().time()
        self._edition = standing.edition
        self._others = standing.members > 1

    async def _beat(self) -> tuple[Standing, bool]:
        """How things stand, and whether our doubt was told."""
        doubtful = self.doubtful
        told = await self._call(
            "beat",
            self.member,
            self._incarnation,
            self._stamp,
            int(self._patience.lease_s * 1000),
            self._followed,
            "1" if doubtful else "",
            self._edition,
        )
        stamp, trusted, building, builder, members, all_follow, edition = cast("list[bytes | int]", told)
        words = [cast(bytes, word).decode() for word in (trusted, building, builder)]
        standing = Standing(
            int(stamp), words[0], words[1], words[2], int(members), bool(all_follow), int(edition)
        )
        return standing, doubtful and self._stamp > 0

    async def claim(self) -> str | None:
        """A new generation to fill, or None while another process fills one."""
        claimed = await self._call("claim", self.member, self._incarnation)
        return cast(bytes, claimed).decode() or None

    async def publish(self, generation: str) -> bool | None:
        """Have it trusted. False: not yet. None: never, it was struck."""
        told = await self._call("publish", self.member, generation, int(self._patience.settle_s * 1000))
        return None if told == b"" else bool(told)

    async def leave(self) -> None:
        """Off the roll: there is nothing left to say."""
        await self._call("leave", self.member, self._incarnation, "1" if self.doubtful else "")
        self.joined, self._paused = False, True

    async def retire(self, member: str) -> bool:
        """Take a process off the roll that died and will not be back. False while it is heard of."""
        return await self._call("retire", member) == 1

    async def _call(self, name: str, *args: str | int) -> object:
        """Raises RedisError, OSError, TimeoutError."""
        try:
            return await self._ask(name, *args)
        except ResponseError as error:
            if "unction not found" not in str(error):
                raise
        await load_library(self._redis, self._patience.answer_s)
        return await self._ask(name, *args)

    async def _ask(self, name: str, *args: str | int) -> object:
        async with asyncio.timeout(self._patience.answer_s):
            asked = self._redis.fcall(f"{LIBRARY}_{name}", 1, _KEY, *[str(arg) for arg in args])
            return await cast("Awaitable[object]", asked)
