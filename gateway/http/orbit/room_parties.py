"""A party of a masking session, called into a room: nobody there learns its number, nor it theirs.

It is rung from the proxy number that it knows, as in every call of its session; the room sees the name that
the request gives, never a digit. The call is one of the session's interactions and ends with it as others do.
"""

from __future__ import annotations

from gateway.http.operation import Ask
from gateway.http.orbit.placing import InSession
from gateway.http.orbit.proxy_desk import demand_live_key, desk
from gateway.http.orbit.room_dialling import call_into_room
from gateway.http.orbit.video_schemas import CallIn
from gateway.http.ports_rooms import RoomPhones
from proxy_pool.core.party import AgentParty, key_of
from proxy_pool.core.session import Channel, Participant, Session, SessionId
from proxy_pool.core.views import seat_name
from telephony.errors import Conflict, InvalidInput, NotFound, UnknownReference
from telephony.ids import is_id
from video_rooms.core.pin import NAMELESS
from video_rooms.core.room import Person
from video_rooms.core.wishes import CallOut


async def call_party(ask: Ask, phones: RoomPhones, room_id: str, wanted: CallIn) -> Person:
    """Ring a session's party and bring it into the room; its line on the roster. Raises what calling a
    telephone in does, UnknownReference for a session that is not there, Conflict for one that lets nobody be
    called, InvalidInput for somebody who does not take part in it, or is an agent."""
    demand_live_key(ask)
    session = await _session(ask, wanted.session_id or "")
    one = _seated(session, wanted.party or "")
    wish = CallOut(
        to=key_of(one.party),
        display_name=wanted.display_name or NAMELESS,
        ring_timeout_s=wanted.ring_timeout,
        consent=wanted.consent,
    )
    masked = InSession(session.id, one.seat, session.webhook_url)
    return await call_into_room(ask, phones, room_id, wish, one.proxy.reveal(), masked)


async def _session(ask: Ask, session_id: str) -> Session:
    try:
        if not is_id(session_id, "ses"):
            raise NotFound
        session = await desk(ask).get(ask.caller.tenant, SessionId(session_id))
    except NotFound:
        raise UnknownReference(
            "session_id names no session", field="session_id", expected="the id of a masking session"
        ) from None
    if not session.live or ask.exchange.at.timestamp() >= session.ends_at:
        raise Conflict("the session is closed", code="SESSION_CLOSED")
    if Channel.VOICE not in session.terms.channels:
        raise InvalidInput("the session is for texts", field="session_id", expected="a session for calls")
    return session


def _seated(session: Session, party: str) -> Participant:
    one = next((one for one in session.participants if seat_name(one.seat) == party), None)
    if one is None:
        expected = ", ".join(seat_name(one.seat) for one in session.participants)
        raise InvalidInput("nobody of the session", field="party", value=party, expected=expected)
    if isinstance(one.party, AgentParty):
        raise InvalidInput("an agent", field="party", value=party, expected="agent_id for an agent")
    return one
