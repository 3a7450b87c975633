"""Callers whom an agent takes into a video room: the same telephones in rooms, by another way in.

They need no meeting number and do not wait in the lobby: where an agent may send callers is its tenant's
word.
"""

from __future__ import annotations

from typing import Final

from dialplan.beginnings import FROM_PHONE, FROM_TRUNK
from dialplan.core.call import Call, Endpoint, VideoRoom
from dialplan.core.routing import Offered
from gateway.room_routes import Masked
from telephony.errors import Conflict
from telephony.ids import CallId
from video_rooms.core.pin import phone_name
from video_rooms.guest import PhoneCall
from video_rooms.phones import PhoneDesk

_PHONE: Final = "phone:"


class RoomTransfers:
    """Fits ``gateway.agent_control.IntoRooms``. ``longest_s``: how long they may stay; ``masked`` says of
    whom the room must not know anything."""

    def __init__(self, desk: PhoneDesk, longest_s: float, masked: Masked) -> None:
        self._desk = desk
        self._longest_s = longest_s
        self._masked = masked

    async def reach(self, call: Call, room_id: str) -> Endpoint:
        """Raises NotFound, Conflict (ROOM_FULL; or the call is in a room already), RoomsUnavailable."""
        if call.room_id is not None or self._desk.guest(call.id) is not None:
            raise Conflict("the call is in a room", code="CALL_CANNOT_BE_MOVED")
        terms = call.terms
        party = terms.to_number if call.outbound else terms.from_number
        private = terms.private or await self._masked(terms.tenant, _as_caller(call, party))
        guest = PhoneCall(
            call.id,
            terms.tenant,
            identity="",
            name=phone_name(party, private=private),
            longest_s=self._longest_s,
            caller=party,
        )
        return VideoRoom(await self._desk.bring_caller(guest, room_id), room_id)

    async def forget(self, call_id: CallId) -> None:
        await self._desk.forget(call_id)


def _as_caller(call: Call, party: str) -> Offered:
    """The far party as a caller of ours, whoever has called whom."""
    assert call.caller.channel is not None, "who is on the line has a channel"
    door, line, number = FROM_TRUNK, call.caller.line, party
    if party.startswith(_PHONE):
        door, line, number = FROM_PHONE, party.removeprefix(_PHONE), ""
    return Offered(call.caller.channel, "", number, door, line)
