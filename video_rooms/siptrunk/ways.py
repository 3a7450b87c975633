"""Who calls whom so that a telephone is in a room: the switch LiveKit's SIP service, or that one the switch.

Either way our own end of the call is a media socket that the switch brings by a name that works once. Where
the service calls, it is asked to by LiveKit's own interface, as somebody whose identity we choose and who is
in the room before we answer: so nobody has to hold the room open, and no rule leads there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from telephony.errors import OutcomeUnknown, PatchbayError
from video_rooms.core.trunk_ends import why_not_called
from video_rooms.core.trunk_pass import Opened
from video_rooms.core.trunks import CallOut
from video_rooms.ports import RoomServer
from video_rooms.ports_media import NotAdmitted, SwitchPort
from video_rooms.ports_trunk import TrunkCall, TrunkCalls
from video_rooms.siptrunk.anchors import Anchors
from video_rooms.siptrunk.keeper import TrunkKeeper
from video_rooms.siptrunk.names import TrunkNames
from video_rooms.siptrunk.stay import SipStay

_log = structlog.get_logger("rooms.trunk")
RING_S: Final = 3
REMOVE_S: Final = 2.0
"""How long taking somebody out of a room may take: the other way waits for it."""
_OK: Final = 200
_PHONE: Final = "phone_"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One telephone's call. ``token`` is the name of our own end, good for ``within_s``."""

    call_id: str
    opened: Opened
    url: str
    token: str
    within_s: float


class Way(Protocol):
    """``told``: whether the switch tells what becomes of the call, besides its socket's end."""

    told: bool

    @property
    def ready(self) -> bool:
        """Whether the media server has the trunk for it."""
        ...

    def knows(self, identity: str) -> bool:
        """Whether this is a telephone that can come in so."""
        ...

    async def bring(self, attempt: Attempt, stay: SipStay) -> None:
        """Have the call made; back once it was taken. Raises ``NotAdmitted``, PatchbayError."""
        ...

    async def let_go(self, attempt: Attempt, *, alone: bool) -> None:
        """It is over, or came to nothing. ``alone``: nobody else of ours has its place in the room. Never
        raises; bounded in time."""
        ...


class SwitchCalls:
    """Fits ``Way``: a rule for this call alone, an anchor in the room, and the switch calls the service.
    ``run`` keeps a task until it is over."""

    told = True

    def __init__(
        self,
        port: SwitchPort,
        calls: TrunkCalls,
        keeper: TrunkKeeper,
        anchors: Anchors,
        names: TrunkNames,
        run: Callable[[Coroutine[None, None, None]], object],
    ) -> None:
        self._port, self._calls, self._keeper = port, calls, keeper
        self._anchors, self._names, self._run = anchors, names, run
        self._held: set[str] = set()

    @property
    def ready(self) -> bool:
        return self._keeper.ready

    def knows(self, identity: str) -> bool:
        return self._names.caller_of(identity) is not None

    async def bring(self, attempt: Attempt, stay: SipStay) -> None:
        """The rule that lets it in is gone then, whatever came of it."""
        opened = attempt.opened
        caller = self._names.caller_of(opened.identity)
        if caller is None:
            raise NotAdmitted("unreachable")
        await self._anchors.hold(opened.room, attempt.url)
        self._held.add(attempt.call_id)
        rule = await self._keeper.open(opened.room, caller=caller, attributes=opened.attributes)
        try:
            self._port.expect(attempt.token, stay, attempt.within_s)
            call = TrunkCall(
                attempt.call_id,
                self._port.dial_string(attempt.token),
                self._keeper.number,
                caller,
                attempt.call_id,
                opened.name,
                RING_S,
            )
            await self._calls.place(call, stay)
            await stay.answer
        finally:
            self._run(self._keeper.shut(rule))

    async def let_go(self, attempt: Attempt, *, alone: bool) -> None:
        self._port.forget(attempt.token)
        self._calls.forget(attempt.call_id)
        if attempt.call_id in self._held:
            self._held.discard(attempt.call_id)
            await self._anchors.release(attempt.opened.room)


class ServiceCalls:
    """Fits ``Way``: LiveKit is asked to call. ``line``: what it dials before the name of a socket of ours,
    the number of the switch's connection to us."""

    told = False

    def __init__(self, port: SwitchPort, keeper: TrunkKeeper, server: RoomServer, line: str) -> None:
        self._port, self._keeper, self._server, self._line = port, keeper, server, line
        self._asked: set[str] = set()

    @property
    def ready(self) -> bool:
        return bool(self._keeper.outbound)

    def knows(self, identity: str) -> bool:
        return identity.startswith(_PHONE)

    async def bring(self, attempt: Attempt, stay: SipStay) -> None:
        opened = attempt.opened
        call = CallOut(
            self._keeper.outbound,
            self._line + attempt.token,
            opened.room,
            opened.identity,
            opened.name,
            opened.attributes,
            RING_S,
        )
        self._port.expect(attempt.token, stay, attempt.within_s)
        self._asked.add(attempt.call_id)
        try:
            final = await self._keeper.desk.call_out(call, attempt.within_s)
        except OutcomeUnknown as failure:
            raise NotAdmitted("timeout") from failure
        except PatchbayError as failure:
            _log.warning("trunk.not_called", code=failure.code, why=failure.message)
            raise NotAdmitted("unreachable") from failure
        if final != _OK:
            _log.info("trunk.not_called", status=final)
            raise NotAdmitted(why_not_called(final))
        if not stay.has_come:
            _log.error("trunk.called_elsewhere")
            raise NotAdmitted("unreachable")
        stay.taken()
        await stay.answer  # why: our own end may be gone again

    async def let_go(self, attempt: Attempt, *, alone: bool) -> None:
        """What came of it is not always known: nobody by this identity is left behind, for whoever comes in
        by the other way has it, too."""
        self._port.forget(attempt.token)
        if attempt.call_id not in self._asked:
            return
        self._asked.discard(attempt.call_id)
        if not alone:
            return
        try:
            async with asyncio.timeout(REMOVE_S):
                await self._server.remove(attempt.opened.room, attempt.opened.identity)
        except (PatchbayError, TimeoutError) as failure:
            _log.warning("trunk.left_behind", why=type(failure).__name__)
