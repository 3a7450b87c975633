"""A telephone called into a room, or an agent brought into one: an ordinary outbound call, by the same rules,
numbers and limits."""

from __future__ import annotations

from typing import Final

from dialplan.core.call import ROOM, Endpoint, VideoRoom
from gateway.http.operation import Ask
from gateway.http.orbit.call_schemas import CreateCall
from gateway.http.orbit.placing import InSession, check_words, place_in_room, place_to
from gateway.http.ports_rooms import RoomPhones
from gateway.storage.agents import Agent
from telephony.errors import RoomsUnavailable
from telephony.ids import CallId
from video_rooms.core.room import Person
from video_rooms.core.wishes import CallOut

_ANYWHERE: Final = "phone:room"
_FAREWELL_S: Final = 60
"""How much longer than the visit its call may last in the switch: the visit ends it, and says so."""


async def call_into_room(
    ask: Ask,
    phones: RoomPhones,
    room_id: str,
    wanted: CallOut,
    from_: str | None = None,
    masked: InSession | None = None,
) -> Person:
    """Ring a telephone and bring it into the room; its line on the roster. ``Ask.resource_id`` is the call's
    id (``id_prefix="call"``); an attempt that was cut off after the call was stored finds that call's line
    again. Raises what placing a call does, and what ``RoomPhones.prepare`` does."""
    call_id, tenant = CallId(ask.resource_id), ask.caller.tenant
    made_before = await _made_before(ask, phones, room_id)
    if made_before is not None:
        return made_before
    call = CreateCall.model_validate(
        {"to": wanted.to, "from": from_, "ring_timeout": wanted.ring_timeout_s}
    ).model_copy(update={"max_duration": ask.face.settings.max_call_s + _FAREWELL_S})
    await check_words(ask, call)
    made: list[Person] = []

    async def reach() -> Endpoint:
        far_end, line = await phones.prepare(tenant, room_id, wanted, call_id)
        made.append(line)
        return far_end

    placed = await place_to(ask, call, reach, lambda: phones.forget(call_id), masked)
    ask.exchange.facts["call_id"] = placed.id
    return made[0]


async def bring_agent(
    ask: Ask, phones: RoomPhones, room_id: str, agent: Agent, name: str | None, from_: str | None = None
) -> Person:
    """Bring an agent into the room, where it speaks with whoever is there; its line on the roster. The call
    has the room for its first leg and shows one of the tenant's numbers, as every call does. Raises what
    placing a call with an agent does, and what ``RoomPhones.prepare_agent`` does."""
    call_id, tenant = CallId(ask.resource_id), ask.caller.tenant
    made_before = await _made_before(ask, phones, room_id)
    if made_before is not None:
        return made_before
    call = CreateCall.model_validate({"to": _ANYWHERE, "from": from_}).model_copy(
        update={"to": f"{ROOM}{room_id}", "max_duration": ask.face.settings.max_call_s}
    )
    made: list[Person] = []

    async def reach() -> VideoRoom:
        room, line = await phones.prepare_agent(tenant, room_id, name or _name_of(agent), call_id)
        made.append(line)
        return room

    placed = await place_in_room(ask, call, agent, reach, lambda: phones.forget(call_id))
    ask.exchange.facts["call_id"] = placed.id
    return made[0]


def _name_of(agent: Agent) -> str:
    name = agent.spec.get("name")
    return name if isinstance(name, str) and name else "Agent"


async def _made_before(ask: Ask, phones: RoomPhones, room_id: str) -> Person | None:
    """What an attempt that was cut off after the call was stored has made."""
    call_id = CallId(ask.resource_id)
    if not ask.again or await ask.face.books.calls.get(ask.caller.tenant, call_id) is None:
        return None
    line = await phones.one(room_id, call_id)
    if line is None:
        raise RoomsUnavailable("the call was placed, and its line on the roster is not there")
    return line
