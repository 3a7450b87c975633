"""Keeps our trunks at the media server: made at the start, mended by looking, taken away where it is wanted.

What others have made there is theirs. A look that fails is made again at the next turn; until one succeeds
nobody is brought into a room by SIP.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

import structlog

from telephony.errors import PatchbayError, RoomsUnavailable
from video_rooms.core import trunks
from video_rooms.core.trunks import Change, Deed, Drop, Make, TrunkPlan
from video_rooms.ports_trunk import TrunkDesk

_log = structlog.get_logger("rooms.trunk")

EVERY_S: Final = 30.0
STOP_S: Final = 5.0


class TrunkKeeper:
    """``wall``: Unix seconds. ``keep``: leave the trunks where they are at the end; other installations, or
    the next start of this one, do not mind."""

    def __init__(
        self,
        desk: TrunkDesk,
        plan: TrunkPlan,
        wall: Callable[[], float],
        *,
        keep: bool = True,
        every_s: float = EVERY_S,
    ) -> None:
        self.desk = desk
        self._plan = plan
        self._wall = wall
        self._keep = keep
        self._every_s = every_s
        self._inbound = ""
        self._outbound = ""
        self._told = False
        self._looking: asyncio.Task[None] | None = None

    @property
    def ready(self) -> bool:
        """Whether the media server had our trunks when we last looked."""
        return bool(self._inbound or self._outbound)

    @property
    def number(self) -> str:
        """What the switch dials to reach the media server's SIP service; "" where it does not."""
        return "" if self._plan.inbound is None else self._plan.inbound.number

    @property
    def outbound(self) -> str:
        """The id of the trunk from the media server to the switch; "" where there is none."""
        return self._outbound

    def start(self) -> None:
        """Look now, and from now on every so often."""
        self._looking = asyncio.create_task(self._look_on(), name="room-trunks")

    async def stop(self) -> None:
        """Look no more; what is ours is taken away, where that is wanted, within some seconds."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])
        self._inbound = self._outbound = ""
        if self._keep:
            return
        try:
            async with asyncio.timeout(STOP_S):
                await self._remove()
        except (PatchbayError, TimeoutError) as failure:
            _log.warning("trunks.left_behind", why=type(failure).__name__)

    async def look(self) -> bool:
        """Make it as it is wanted. False where the media server does not let us; then nothing is known."""
        try:
            verdict = trunks.judge(self._plan, await self.desk.found(), self._wall())
            ids = {"inbound": verdict.inbound, "outbound": verdict.outbound}
            for deed in verdict.deeds:
                done = await self._do(deed)
                if isinstance(deed, Make):
                    ids[deed.thing.kind] = done
        except PatchbayError as failure:
            if self.ready or not self._told:
                _log.warning("trunks.not_looked_at", code=failure.code, why=failure.message)
            self._inbound = self._outbound = ""
            self._told = True
            return False
        if verdict.deeds:
            _log.info("trunks.mended", deeds=len(verdict.deeds))
        self._inbound, self._outbound = ids["inbound"], ids["outbound"]
        return True

    async def open(self, room: str, *, caller: str, attributes: Mapping[str, str]) -> str:
        """Let one call into this room; the id of its rule. Raises RoomsUnavailable, InvalidInput."""
        if not self._inbound:
            raise RoomsUnavailable("there is no trunk to the media server's SIP service")
        rule = trunks.one_call(
            self.number,
            self._inbound,
            room,
            caller=caller,
            now=self._wall(),
            attributes=attributes,
        )
        return await self.desk.make(self._plan.mark, rule)

    async def shut(self, rule: str) -> None:
        """That call has been taken, or will not be. What cannot be taken away now is so by a later look."""
        try:
            await self.desk.drop("rule", rule)
        except PatchbayError as failure:
            _log.warning("trunks.rule_left", code=failure.code)

    async def _look_on(self) -> None:
        while True:
            try:
                await self.look()
            except Exception:  # noqa: BLE001  # why: edge of the loop; one broken look must not end it
                _log.exception("trunks.look_broken")
                self._inbound = self._outbound = ""
            await asyncio.sleep(self._every_s)

    async def _remove(self) -> None:
        for drop in trunks.all_ours(self._plan.mark, await self.desk.found()):
            await self._do(drop)

    async def _do(self, deed: Deed) -> str:
        match deed:
            case Make(thing):
                return await self.desk.make(self._plan.mark, thing)
            case Change(id_, thing):
                await self.desk.change(self._plan.mark, id_, thing)
                return id_
            case Drop(kind, id_):
                await self.desk.drop(kind, id_)
                return id_
