"""What may be done with a call that an agent is on, and what was said in it."""

from __future__ import annotations

from typing import Final, Literal

from dialplan.core.call import ROOM
from dialplan.core.record import CallRecord
from gateway.http.answers import Answer, Plain, Reply
from gateway.http.operation import Ask
from gateway.http.orbit.agent_call_schemas import (
    HangUp,
    Say,
    SendCaller,
    SendCallerOn,
    SendDigits,
    WhichForm,
)
from gateway.http.orbit.agent_views import agent_on_call, on_one_clock, session_transcript, summary_of
from gateway.http.orbit.agents import as_kept
from gateway.http.orbit.audit import note
from gateway.http.orbit.calls import call_id_of, known_call, whole_call
from gateway.http.orbit.fields import PHONE
from gateway.http.orbit.video_desk import rooms_of
from gateway.http.orbit.views import call_view
from gateway.http.ports_agents import AgentCalls
from gateway.policy.attempt import Target
from gateway.policy.destination import describe
from gateway.policy.rules import check_target
from gateway.storage.records import Json
from telephony.errors import Conflict, NotFound, NotPermitted, Unavailable, UnknownReference
from telephony.ids import CallId
from video_rooms.core.room import Status
from voice_agents.core.record import SessionRecord
from voice_agents.core.registry import may_transfer, spec_of
from voice_agents.core.transcript import as_text, as_webvtt

LET_IN: Final = "video:write"
"""The right to let people into rooms."""
_TEXT: Final = b"text/plain; charset=utf-8"
_VTT: Final = b"text/vtt; charset=utf-8"


# ---------------------------------------------------------------- the call itself


async def get_call(ask: Ask) -> Answer:
    """One call with its recordings, and what its agent did."""
    call, view = await whole_call(ask)
    sessions = await _sessions(ask, call)
    view["agent"] = agent_on_call(sessions[-1]) if sessions else None
    view["agent_summary"] = None
    if sessions and ask.caller.may("recordings:read"):
        view["agent_summary"] = summary_of(ask, sessions)
    return Answer(view)


async def hang_up(ask: Ask) -> Answer:
    """End the call, whatever its state, and show it as it is afterwards. An agent that is on it is told
    first, and may say goodbye."""
    query: HangUp = ask.query
    by: Literal["api", "agent"] = "api" if ask.caller.call is None else "agent"
    session = _live(ask, call_id_of(ask))
    if session is not None and session.tenant == ask.caller.tenant:
        # why: the agent is told before anything is read, which may have to wait while much is written
        await _end_session(ask, CallId(session.call_id), force=query.force, by=by)
    await end_call(ask, await known_call(ask), force=query.force, by=by)
    call = await known_call(ask)
    ready = await ask.face.books.recordings.ready_of(ask.caller.tenant, [call.id])
    return Answer(call_view(ask, call, ready.get(call.id)))


async def end_call(
    ask: Ask, call: CallRecord, *, force: bool = False, by: Literal["api", "agent"] = "api"
) -> None:
    """Returns once the call is closed; one that was closed already is left alone."""
    if call.ended_at is not None:
        return
    await _end_session(ask, call.id, force=force, by=by)
    await ask.face.desk.hang_up(call.id)


async def _end_session(ask: Ask, call_id: CallId, *, force: bool, by: Literal["api", "agent"]) -> None:
    agents = ask.face.agent_calls
    if agents is not None:
        await agents.end(call_id, force=force, by=by)


# ---------------------------------------------------------------- what was said


async def transcript(ask: Ask) -> Reply:
    """Everything said and heard with an agent, as JSON, text or WebVTT."""
    query: WhichForm = ask.query
    call = await known_call(ask)
    sessions = await ask.face.books.sessions.transcripts(ask.caller.tenant, call.id)
    live = _live(ask, call.id)
    if live is not None:
        sessions = (*(one for one in sessions if one.id != live.id), live)
    if not sessions:
        raise NotFound("nothing was said with an agent in this call, or it was deleted")
    match query.format or _accepted(ask):
        case "text":
            return _plain(as_text(on_one_clock(ask, sessions)), _TEXT)
        case "vtt":
            return _plain(as_webvtt(on_one_clock(ask, sessions)), _VTT)
    told: list[Json] = [session_transcript(ask, session) for session in sessions]
    return Answer({"call_id": call.id, "live": live is not None, "sessions": told})


async def delete_transcript(ask: Ask) -> Plain:
    """Delete what was said for good, and every account of it."""
    call = await known_call(ask)
    if _live(ask, call.id) is not None:
        raise Conflict("the conversation goes on; end the call first", code="AGENT_STATE")
    if not await ask.face.books.sessions.forget(ask.caller.tenant, call.id):
        raise NotFound("nothing was said with an agent in this call, or it was deleted")
    await note(ask, "transcript.deleted", call.id, {})
    return Plain(b"", b"")


def _accepted(ask: Ask) -> str:
    """The first of our forms that the Accept header names; JSON where it names none."""
    given = ask.exchange.headers.get(b"accept", b"").decode("latin-1").lower()
    for part in given.split(","):
        kind = part.partition(";")[0].strip()
        if kind in _FORMS:
            return _FORMS[kind]
    return "json"


_FORMS: Final = {"text/plain": "text", "text/vtt": "vtt", "application/json": "json", "*/*": "json"}


def _plain(text: str, kind: bytes) -> Plain:
    return Plain(text.encode(), kind, headers=((b"cache-control", b"no-store"),))


# ---------------------------------------------------------------- while it goes on


async def mute(ask: Ask) -> Answer:
    """The caller does not hear the agent any more."""
    agents, call_id = await _on_call(ask)
    await agents.mute(call_id, True)
    return _as_it_stands(ask, call_id)


async def unmute(ask: Ask) -> Answer:
    agents, call_id = await _on_call(ask)
    await agents.mute(call_id, False)
    return _as_it_stands(ask, call_id)


async def hold(ask: Ask) -> Answer:
    """The caller waits with music."""
    agents, call_id = await _on_call(ask)
    await agents.hold(call_id, True)
    return _as_it_stands(ask, call_id)


async def unhold(ask: Ask) -> Answer:
    agents, call_id = await _on_call(ask)
    await agents.hold(call_id, False)
    return _as_it_stands(ask, call_id)


async def say(ask: Ask) -> Answer:
    """Our speech engine says this to the caller."""
    wanted: Say = ask.body
    agents, call_id = await _on_call(ask)
    await agents.say(call_id, wanted.text, interruptible=wanted.interruptible)
    return _as_it_stands(ask, call_id)


async def send_digits(ask: Ask) -> Answer:
    """Play keys to the caller's line."""
    wanted: SendDigits = ask.body
    agents, call_id = await _on_call(ask)
    await agents.send_digits(call_id, wanted.digits)
    return _as_it_stands(ask, call_id)


async def transfer(ask: Ask) -> Answer:
    """Send the caller on: the agent's part ends where somebody answers."""
    wanted: SendCallerOn = ask.body
    agents, call_id = await _on_call(ask)
    if wanted.to.startswith(ROOM):
        await _check_room(ask, agents, call_id, wanted.to)
    else:
        await check_destination(ask, agents, call_id, wanted.to)
    outcome = await agents.transfer(call_id, wanted.to, wanted.ring_timeout)
    return Answer({"call_id": call_id, "to": wanted.to, "outcome": outcome})


async def take_over(ask: Ask) -> Answer:
    """A human speaks with the caller; the agent waits, silent."""
    wanted: SendCaller = ask.body
    agents, call_id = await _on_call(ask)
    await check_destination(ask, agents, call_id, wanted.to)
    outcome = await agents.take_over(call_id, wanted.to, wanted.ring_timeout)
    return Answer({"call_id": call_id, "to": wanted.to, "outcome": outcome})


async def hand_back(ask: Ask) -> Answer:
    """The caller speaks with the agent again."""
    agents, call_id = await _on_call(ask)
    await agents.hand_back(call_id)
    return _as_it_stands(ask, call_id)


async def _on_call(ask: Ask) -> tuple[AgentCalls, CallId]:
    """Raises NotFound, Unavailable, or Conflict (CALL_ENDED, NO_AGENT_ON_CALL)."""
    call = await known_call(ask)
    return on_call(ask, call), call.id


def on_call(ask: Ask, call: CallRecord) -> AgentCalls:
    """Whoever reaches the agent that is on this call. Raises Unavailable, or Conflict (CALL_ENDED,
    NO_AGENT_ON_CALL)."""
    agents = ask.face.agent_calls
    if agents is None:
        raise Unavailable("agents are not set up here")
    if call.ended_at is not None:
        raise Conflict("the call has ended", code="CALL_ENDED")
    if agents.live(call.id) is None:
        raise _nobody()
    return agents


def _as_it_stands(ask: Ask, call_id: CallId) -> Answer:
    session = _live(ask, call_id)
    if session is None:
        raise _nobody()
    return Answer(agent_on_call(session))


def _nobody() -> Conflict:
    return Conflict("no agent is on this call", code="NO_AGENT_ON_CALL")


def _live(ask: Ask, call_id: CallId) -> SessionRecord | None:
    agents = ask.face.agent_calls
    return None if agents is None else agents.live(call_id)


async def _sessions(ask: Ask, call: CallRecord) -> tuple[SessionRecord, ...]:
    """The call's sessions, the one that goes on as it stands now; asked for only where there is an agent."""
    live = _live(ask, call.id)
    if live is None and call.agent_id is None:
        return ()
    stored = await ask.face.books.sessions.of_call(ask.caller.tenant, call.id)
    return stored if live is None else (*(one for one in stored if one.id != live.id), live)


async def check_destination(ask: Ask, agents: AgentCalls, call_id: CallId, to: str) -> None:
    """Where callers may be sent: what policy lets anybody call, and an agent only what its list holds."""
    tenant = ask.caller.tenant
    if ask.caller.call is not None:
        await _allowed_to_agent(ask, agents.live(call_id), to)
    if to.startswith(PHONE):
        if not ask.face.phones.knows(tenant, to.removeprefix(PHONE)):
            raise UnknownReference(
                "to names no phone", field="to", value=to, expected="phone: and a phone's name"
            )
        return
    destination = describe(to)
    number = destination.number
    ours = number is not None and await ask.face.books.numbers.find_owned(tenant, number) is not None
    check_target(Target("to", destination, ours), await ask.face.limits.of(tenant))


async def _check_room(ask: Ask, agents: AgentCalls, call_id: CallId, to: str) -> None:
    """Into which rooms callers may be taken: those of the tenant that have not ended, by whoever may let
    people in there; by an agent, where its list holds it."""
    if ask.caller.call is not None:
        await _allowed_to_agent(ask, agents.live(call_id), to)
    else:
        ask.caller.demand(LET_IN)
    try:
        seen = await rooms_of(ask.face).scheduled.detail(ask.caller.tenant, to.removeprefix(ROOM))
    except NotFound:
        seen = None
    if seen is None or seen.room.status is Status.ENDED:
        raise UnknownReference(
            "to names no room that is open", field="to", value=to, expected="room: and a room's id"
        )


async def _allowed_to_agent(ask: Ask, session: SessionRecord | None, to: str) -> None:
    if session is None:
        raise _nobody()
    whose = session.led_by
    version = session.agent_version if whose == session.agent_id else None
    agent = await ask.face.books.agents.get(ask.caller.tenant, whose, version)
    allowed = () if agent is None else spec_of(as_kept(agent)).transfer_allow
    if not may_transfer(allowed, to):
        raise NotPermitted("this agent may not send callers there", code="TRANSFER_NOT_ALLOWED")
