"""The index in Redis: one hash a participant, one function a verb (``proxy_pool/lua``).

    pl:<generation>:{<participant>}   field = the proxy number's index, value = ``core.packed``

The participant is 15 bytes of a keyed BLAKE2b over tenant and key, so Redis holds no number of anybody's.
It is the key's one hash tag: in a cluster a tenant's participants spread over all nodes. With 15 bytes the
key just fits the allocator's 32-byte class. Only what passes by itself (reservations and suspensions) has an
expiry in Redis: on every field it would cost 34 bytes, a quarter more, for what the keeper drops anyway.

What may be believed when is the matter of ``store_redis_roll``. A verb that is not answered within half a
second makes the index *away* until the server answers again. A **write** that was not answered makes it
*suspect*: it gives no answers, and has other processes' answers stopped too, until it was built anew from
the ledger. That is enough for ``suspend``: a LIVE entry that could not be taken back belongs to a generation
that nobody believes from the moment ``suspend`` returns, and that is never believed again.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache, partial
from hashlib import blake2b
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from proxy_pool.core.packed import Drift, State, entry_of, milliseconds, pack, passed
from proxy_pool.core.session import Binding, Door, Entry, Hold
from proxy_pool.ports import PENDING_S, Claim, IndexAway
from proxy_pool.store_redis_line import LIBRARY, Command, Line, LineBroken, Patience
from proxy_pool.store_redis_roll import Roll
from proxy_pool.store_redis_upkeep import Filler
from proxy_pool.upkeep import IndexCounts, Load, Read, drifted
from telephony.errors import UnsafeValue
from telephony.ids import TenantId

_MOST_CANDIDATES: Final = 8
_USUAL: Final = Patience()
_NAMES_KEPT: Final = 1024
"""Of the participants asked about last: each is asked for, reserved and put within a moment."""


class RedisIndex:
    """Fits ``proxy_pool.upkeep.KeptIndex``. It answers while ``run`` runs.

    ``redis`` comes from ``store_redis_line.open_redis``. ``secret`` keys the hash of the participants and is
    the same for all processes. ``member`` is this process's name among those that share the Redis: unique
    among them, and the same after a restart.
    """

    def __init__(
        self,
        redis: Redis,
        secret: bytes,
        *,
        member: str = "gateway",
        now: Callable[[], float] = time.time,
        patience: Patience = _USUAL,
    ) -> None:
        self.counts = IndexCounts()
        if len(secret) < 16:
            raise UnsafeValue("the secret of the index has fewer than 16 bytes")
        self._name = lru_cache(_NAMES_KEPT)(partial(_name, secret[:64]))
        self._look_up_s = patience.look_up_s
        self._roll = Roll(redis, member, patience)
        self._line = Line(redis, self._not_answered, patience.answer_s)
        self._tickets = itertools.count(1)
        self._open: dict[Door, float] = {}
        """Doors that were suspended and not put since, and until when: they go into a new generation."""
        self._filler = Filler(redis, self._roll, self)
        self._now = now

    @property
    def trusted(self) -> bool:
        return self._roll.believed is not None

    async def run(self, load: Load) -> None:
        """Join the roll, build the index, watch it, and build it anew after every loss; until cancelled."""
        try:
            await self._filler.run(load)
        finally:
            await self._line.close()

    async def rebuild(self, load: Load) -> bool:
        """Build it anew now. False where another process was faster. Raises what Redis or ``load`` raise."""
        return await self._filler.rebuild(load())

    async def retire(self, member: str) -> bool:
        """See ``Roll.retire``."""
        return await self._roll.retire(member)

    # ------------------------------------------------------------ asking

    async def reserve(self, claims: Sequence[Claim], now: float) -> Sequence[int | None]:
        generation = self._believed()
        asked = [claim for claim in claims if claim.candidates]
        ticket = next(self._tickets)
        replies = iter(await self._ask([self._reserve(generation, claim, now, ticket) for claim in asked]))
        won: list[int | None] = []
        for claim in claims:
            got = self._answered(next(replies), ticket, generation) if claim.candidates else b""
            if got is None:
                raise IndexAway
            won.append(int(got) if got else None)
        self.counts.reserved += sum(index is not None for index in won)
        self.counts.refused += won.count(None)
        return won

    def _reserve(self, generation: str, claim: Claim, now: float, ticket: int) -> Command:
        pending = Entry(claim.session, claim.seat, Hold.PENDING, now + PENDING_S, version=0)
        return self._call(
            "reserve",
            self.key(generation, claim.tenant, claim.key),
            generation,
            milliseconds(now),
            ticket,
            pack(pending, State.RESERVED),
            int(PENDING_S),
            *claim.candidates[:_MOST_CANDIDATES],
        )

    async def look_up(self, tenant: TenantId, key: str, index: int, now: float) -> Entry | None:
        stands = await self._look_up(tenant, key, index)
        entry = None if not stands or passed(stands, milliseconds(now)) else entry_of(stands)
        if entry is None:
            self.counts.misses += 1
        else:
            self.counts.hits += 1
        return entry

    async def _look_up(self, tenant: TenantId, key: str, index: int) -> bytes | None:
        generation = self._roll.believed
        if generation is None or self._line.late(self._look_up_s):
            return None
        ticket = next(self._tickets)
        place = self.key(generation, tenant, key)
        try:
            async with asyncio.timeout(self._look_up_s):
                replies = await self._line.ask([self._call("look_up", place, generation, ticket, index)])
        except (LineBroken, TimeoutError):
            return None
        answer = self._answered(replies[0], ticket, generation)
        return answer if self._roll.believed == generation else None

    async def taken(self, tenant: TenantId, key: str, now: float) -> frozenset[int]:
        generation = self._believed()
        reply = (await self._ask([("HGETALL", self.key(generation, tenant, key))]))[0]
        if not isinstance(reply, (dict, list)):
            raise IndexAway
        pairs = reply.items() if isinstance(reply, dict) else zip(reply[::2], reply[1::2], strict=True)
        now_ms = milliseconds(now)
        return frozenset(int(field) for field, stands in pairs if not passed(stands, now_ms))

    def _believed(self) -> str:
        generation = self._roll.believed
        if generation is None:
            raise IndexAway
        return generation

    async def _ask(self, commands: Sequence[Command]) -> list[object]:
        try:
            return await self._line.ask(commands)
        except LineBroken:
            raise IndexAway from None

    def _answered(self, reply: object, ticket: int, generation: str) -> bytes | None:
        """The answer to this very question; None where there is none."""
        if isinstance(reply, list) and len(reply) == 2 and reply[0] == b"%d" % ticket:
            return bytes(reply[1])
        self._refused(reply, generation)
        return None

    # ------------------------------------------------------------ writing

    async def put(self, bindings: Sequence[Binding], now: float) -> None:
        for binding in bindings:
            self._open.pop(binding.door, None)
        refused = await self._write(
            [binding.door for binding in bindings],
            lambda generation, at: self.put_command(generation, bindings[at], now),
        )
        if refused:
            # why: what may not be written as it is (no memory left, a pause) can still be made a question
            await self.suspend([bindings[at].door for at in refused], now)

    async def suspend(self, doors: Sequence[Door], now: float) -> None:
        self._open = {door: until for door, until in self._open.items() if until > now}
        self._open.update(dict.fromkeys(doors, now + PENDING_S))
        refused = await self._write(
            doors, lambda generation, at: self.suspend_command(generation, doors[at], now + PENDING_S)
        )
        if refused:
            self._roll.lost()
        if self._roll.doubtful:
            await self._roll.outwait()

    async def drop(self, doors: Sequence[Door]) -> None:
        refused = await self._write(doors, lambda generation, at: self._drop(generation, doors[at]))
        if refused:
            self._roll.lost()

    async def _write(self, doors: Sequence[Door], command: Callable[[str, int], Command]) -> list[int]:
        """Write to every generation that is kept; the places of those that the server refused to write.

        A generation that is trusted no more needs no writing. Nor does one that is yet to be built: while we
        are on the roll it waits until we follow it.
        """
        if not doors:
            return []
        targets = self._roll.targets
        if self._roll.paused or not targets:
            if self._roll.paused or not self._roll.joined:
                self._roll.lost()
            return []
        try:
            replies = await self._line.ask(
                [command(generation, at) for generation in targets for at in range(len(doors))]
            )
        except LineBroken:
            self._roll.lost()
            return []
        return sorted(
            {
                place % len(doors)
                for place, reply in enumerate(replies)
                if self._refused(reply, targets[place // len(doors)])
            }
        )

    def _refused(self, reply: object, generation: str) -> bool:
        """Whether a command was refused that its generation, still in use, would have needed."""
        if not isinstance(reply, RedisError):
            return False
        if str(reply).startswith("STALE") or "unction not found" in str(reply):
            self._roll.ended(generation)
            return False
        return True

    def _not_answered(self) -> None:
        self.counts.failures += 1
        self._roll.pause()

    # ------------------------------------------------------------ commands

    def key(self, generation: str, tenant: TenantId, key: str) -> bytes:
        """The Redis key of a participant."""
        return b"pl:%s:{%s}" % (generation.partition(".")[0].encode(), self._name(tenant, key))

    def _call(self, name: str, key: bytes, *args: str | bytes | int) -> Command:
        return ("FCALL_RO" if name == "look_up" else "FCALL", f"{LIBRARY}_{name}", 1, key, *args)

    def put_command(self, generation: str, binding: Binding, now: float) -> Command:
        door = binding.door
        place = self.key(generation, door.tenant, door.key)
        return self._call("put", place, generation, milliseconds(now), door.index, pack(binding.entry))

    def suspend_command(self, generation: str, door: Door, until: float) -> Command:
        place = self.key(generation, door.tenant, door.key)
        end = milliseconds(until).to_bytes(6, "big")
        return self._call("suspend", place, generation, end, int(PENDING_S), door.index)

    def _drop(self, generation: str, door: Door) -> Command:
        return self._call("drop", self.key(generation, door.tenant, door.key), generation, door.index)

    # ------------------------------------------------------------ upkeep

    def filling(self, generation: str, page: Iterable[Binding]) -> list[Command]:
        """A page of the ledger, as a new generation gets it: what has passed is nobody's and left out."""
        now = self._now()
        return [self.put_command(generation, one, now) for one in page if one.entry.until > now]

    def still_open(self, generation: str) -> list[Command]:
        """The suspensions that a new generation must have before anything else."""
        return [self.suspend_command(generation, door, until) for door, until in self._open.items()]

    async def ask(self, commands: Sequence[Command]) -> list[object]:
        """The replies. Raises LineBroken."""
        return await self._line.ask(commands)

    async def compare(self, read: Read, now: float) -> int:
        found = await drifted(read, self._stands, now)
        wrong = [binding.door for binding, how in found if how is Drift.WRONG]
        self.counts.drift += len(wrong)
        self.counts.repairs += len(found)
        await self.suspend(wrong, now)
        await self.put([binding for binding, how in found if how is not Drift.WRONG], now)
        return len(wrong)

    async def _stands(self, doors: Sequence[Door]) -> Sequence[bytes | None]:
        generation = self._believed()
        wanted = [("HGET", self.key(generation, door.tenant, door.key), door.index) for door in doors]
        replies = await self._ask(wanted)
        if not all(reply is None or isinstance(reply, bytes) for reply in replies):
            raise IndexAway
        return [reply if isinstance(reply, bytes) else None for reply in replies]


def _name(secret: bytes, tenant: TenantId, key: str) -> bytes:
    return urlsafe_b64encode(blake2b(f"{tenant}\0{key}".encode(), key=secret, digest_size=15).digest())
