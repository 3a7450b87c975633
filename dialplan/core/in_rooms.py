"""Callers in video rooms: to which one a dial-in line has led is known once its caller is in it."""

from __future__ import annotations

from dialplan.core import facts, orders
from dialplan.core.call import Call, Connect, VideoRoom
from dialplan.core.evolve import replace
from dialplan.core.publish import publish

Step = tuple[Call, tuple[orders.Order, ...]]


def entered(call: Call, fact: facts.RoomEntered, now: float) -> Step:
    """The caller is in this room: told once, and kept, for the call's record says where it led."""
    route = call.route
    if not isinstance(route, Connect) or not isinstance(route.endpoint, VideoRoom) or route.endpoint.entered:
        return call, ()
    room = replace(route.endpoint, room_id=fact.room_id, entered=True)
    call = replace(call, route=replace(route, endpoint=room))
    return publish(call, "call.room_entered", now, (("room_id", fact.room_id),))
