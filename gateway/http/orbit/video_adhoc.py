"""Ad-hoc rooms: begin, list, show, close, let somebody in."""

from __future__ import annotations

from gateway.http.answers import Answer
from gateway.http.exchange import to_json
from gateway.http.operation import Ask
from gateway.http.orbit.audit import note
from gateway.http.orbit.video_desk import rooms_of
from gateway.http.orbit.video_fields import WIRE_NAME
from gateway.http.orbit.video_schemas import AdhocToken, CreateAdhoc, ListAdhoc
from gateway.http.orbit.video_views import adhoc_person_view, adhoc_view
from telephony.errors import InvalidInput, NotFound
from video_rooms.core.names import shown
from video_rooms.core.wishes import AdhocWish


async def create(ask: Ask) -> Answer:
    """Begin a room, or come into it again; the caller is its host."""
    wanted: CreateAdhoc = ask.body
    wish = AdhocWish(wanted.name, wanted.max_participants, wanted.metadata, ask.caller.key_id)
    adhoc, token = await rooms_of(ask.face).adhoc.create(ask.caller.tenant, wish)
    await note(ask, "adhoc_room.created", shown(adhoc.room.name), {})
    return Answer(
        {
            "room_name": adhoc.room.name,
            "display_name": adhoc.display_name,
            "token": token.token,
            "url": token.url,
        }
    )


async def list_rooms(ask: Ask) -> Answer:
    """A page by name. Its place is told beside the rooms, not in ``meta``."""
    query: ListAdhoc = ask.query
    page = await rooms_of(ask.face).adhoc.page(ask.caller.tenant, cursor=query.cursor, limit=query.limit)
    place = {
        "next_cursor": page.next_cursor,
        "has_more": page.next_cursor is not None,
        "total": page.total,
    }
    return Answer([adhoc_view(adhoc) for adhoc in page.rooms], beside={"pagination": place})


async def get(ask: Ask) -> Answer:
    adhoc = await rooms_of(ask.face).adhoc.one(ask.caller.tenant, _name_of(ask))
    people = [adhoc_person_view(ask.caller, person) for person in adhoc.people]
    return Answer({**adhoc_view(adhoc), "participants": people})


async def delete(ask: Ask) -> Answer:
    """Close it. One that is not there is closed already."""
    name = _name_of(ask)
    await rooms_of(ask.face).adhoc.delete(ask.caller.tenant, name)
    await note(ask, "adhoc_room.deleted", shown(name), {})
    return Answer({"name": name, "deleted": True})


async def token(ask: Ask) -> Answer:
    wanted: AdhocToken = ask.body
    name = ask.path["name"]
    if WIRE_NAME.fullmatch(name) is None:
        raise InvalidInput("this cannot be a room's name", field="name", expected="a room's name")
    metadata = "" if wanted.metadata is None else to_json(wanted.metadata).decode()
    issued = await rooms_of(ask.face).adhoc.token(ask.caller.tenant, name, wanted.participant_name, metadata)
    return Answer({"token": issued.token, "url": issued.url})


def _name_of(ask: Ask) -> str:
    """The name in the path. What can be no room's name is not found without asking."""
    name = ask.path["name"]
    if WIRE_NAME.fullmatch(name) is None:
        raise NotFound("there is no such room")
    return name
