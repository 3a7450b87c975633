"""Dial-in lines of video rooms: a telephone that calls one is brought to whoever carries sound into rooms.

This book stands before the others, as the agents' does: an answer that names a room's line (``VideoRoom``
without a dial string) gets a visit and a dial string of its own, that works once. Where nobody can carry the
sound, or there are no rooms at all, the caller is refused at once, and the call's record says why.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

import structlog

from dialplan.beginnings import FROM_PHONE
from dialplan.core.call import Call, Connect, Reject, VideoRoom
from dialplan.core.routing import Offered, RouteFacts
from dialplan.ports import RouteBook
from telephony.causes import Cause
from telephony.errors import PatchbayError
from telephony.ids import CallId, TenantId
from video_rooms.core.pin import phone_name
from video_rooms.guest import PhoneCall
from video_rooms.phones import PhoneDesk

_log = structlog.get_logger("gateway.rooms")
UNAVAILABLE: Final = "room_unavailable"
FAREWELL_S: Final = 60
"""How much longer than its route says a call may last in the switch: the visit ends it in time, and the
caller hears so."""
Masked = Callable[[TenantId, Offered], Awaitable[bool]]
"""Whether a caller of the tenant's is one of whom the room must not know anything."""


async def _nobody(tenant: TenantId, offered: Offered) -> bool:
    return False


class RoomRoutes:
    """Fits ``dialplan.ports.RouteBook``. ``desk`` None: there are no rooms here."""

    def __init__(
        self,
        other: RouteBook,
        desk: PhoneDesk | None,
        new_id: Callable[[str], str],
        masked: Masked = _nobody,
    ) -> None:
        self._other = other
        self._desk = desk
        self._new_id = new_id
        self._masked = masked

    async def facts_for(self, offered: Offered) -> RouteFacts:
        """The other book's answer, with a visit begun where it names a line of the rooms."""
        return await self._with_visit(await self._other.facts_for(offered), offered, None)

    async def go_on(self, offered: Offered, call: Call, digits: str) -> RouteFacts:
        known = await self._other.go_on(offered, call, digits)
        return await self._with_visit(known, offered, call.id)

    async def _with_visit(self, known: RouteFacts, offered: Offered, call_id: CallId | None) -> RouteFacts:
        """``call_id`` None: the call has none yet."""
        route, tenant = known.route, known.tenant
        if tenant is None or not isinstance(route, Connect):
            return known
        line = route.endpoint
        if not isinstance(line, VideoRoom) or line.dial:
            return known
        call_id = call_id or known.call_id or CallId(self._new_id("call"))
        known = replace(known, private=known.private or await self._masked(tenant, offered))
        caller = f"phone:{offered.line}" if offered.door == FROM_PHONE else offered.caller
        visit = PhoneCall(
            call_id,
            tenant,
            identity="",
            name=phone_name(caller, private=known.private),
            longest_s=float(known.max_duration_s),
            caller=caller,
            line=known.did.reveal() if known.did is not None else offered.dialled,
            language=line.language,
        )
        try:
            if self._desk is None:
                return _refused(known, call_id)
            dial = await self._desk.dial_in(visit, float(known.ring_timeout_s))
        except PatchbayError as error:
            _log.warning("room.no_carrier", call_id=call_id, code=error.code)
            return _refused(known, call_id)
        return replace(
            known,
            route=replace(route, endpoint=replace(line, dial=dial)),
            max_duration_s=known.max_duration_s + FAREWELL_S,
            call_id=call_id,
        )


def _refused(known: RouteFacts, call_id: CallId) -> RouteFacts:
    return replace(known, route=Reject(int(Cause.TEMPORARY_FAILURE), UNAVAILABLE), call_id=call_id)
