"""Meeting numbers judged: who may try, which room opens, and whether a host is there. Fits ``PinBook``."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import structlog

from telephony.ids import TenantId
from telephony.numbers import mask
from video_rooms.core.pin import PinJudgement, judge_pin
from video_rooms.core.visit_words import Why
from video_rooms.ports import PeopleStore, PinTries, RoomStore

_log = structlog.get_logger("rooms.phones")


class RoomPins:
    """``now`` gives the moment, in UTC."""

    def __init__(
        self, rooms: RoomStore, people: PeopleStore, tries: PinTries, now: Callable[[], datetime]
    ) -> None:
        self._rooms = rooms
        self._people = people
        self._tries = tries
        self._now = now

    async def judge(self, tenant: TenantId, pin: str, caller: str, line: str) -> PinJudgement:
        """A caller who may try no more is refused without a look: the right number opens nothing, either.
        Only numbers that open nothing count."""
        if not await self._tries.allowed(caller, line):
            _log.warning("pin.too_many", tenant=tenant, caller=mask(caller), line=mask(line))
            return PinJudgement(None, why=Why.TRIES)
        room = await self._rooms.of_pin(pin)
        people = () if room is None or room.tenant != tenant else await self._people.of(room.id)
        judged = judge_pin(room, tenant, people, self._now())
        if judged.room is None:
            await self._tries.failed(caller, line)
            _log.info("pin.refused", tenant=tenant, why=judged.why.value, caller=mask(caller))
        return judged
