"""An agent's part in a call, as the Orbit face shows it. Pure but for the caller's rights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, cast

import orjson

from gateway.http.exchange import epoch_stamp
from gateway.http.operation import Ask
from gateway.storage.agent_sessions import FORGOTTEN
from gateway.storage.records import Json
from telephony.numbers import mask_text
from voice_agents.core.record import SessionRecord
from voice_agents.core.transcript import Turn, as_views

_BY_AGENT: Final = "agent"


def agent_on_call(session: SessionRecord) -> dict[str, Json]:
    """The session as it stands."""
    evidence, figures = session.evidence, session.figures
    return {
        "session_id": session.id,
        "agent_id": session.agent_id,
        "agent_version": session.agent_version,
        "answered_by": session.answered_by,
        "dialect": session.dialect,
        "state": session.state.value,
        "started_at": epoch_stamp(session.created_at),
        "ready_at": epoch_stamp(session.ready_at),
        "connected_at": epoch_stamp(session.bridged_at),
        "ended_at": epoch_stamp(session.ended_at),
        "duration_seconds": session.duration_ms / 1000,
        "reason": None if evidence is None else evidence.reason.value,
        "initiated_by": None if evidence is None else evidence.initiated_by,
        "how": None if evidence is None or evidence.how is None else evidence.how.value,
        "agent_notified_at": None if evidence is None else epoch_stamp(evidence.agent_notified_at),
        "words_lost_ms": None if evidence is None else evidence.words_lost_ms,
        "failure": session.failure or None,
        "interruptions": figures.interruptions,
        "tool_calls": figures.tool_calls,
        "first_sound_ms": figures.first_sound_ms,
    }


def summary_of(ask: Ask, sessions: Sequence[SessionRecord]) -> dict[str, Json]:
    """What became of the conversation; never empty. Of several sessions the last that has words speaks."""
    told = next((one for one in reversed(sessions) if one.summary), None)
    if told is None:
        return {"text": _plain_account(sessions[-1]), "by": "gateway", "fields": {}}
    return {
        "text": _text_for(ask, told.summary),
        "by": _BY_AGENT if told.summary_by == _BY_AGENT else "gateway",
        "fields": _fields_for(ask, told.summary_fields),
    }


def _plain_account(session: SessionRecord) -> str:
    """What is known without anybody's words: the gateway died, the words were deleted, or it goes on."""
    seconds = round(session.duration_ms / 1000)
    parts = [f"Agent {session.led_by}"]
    if session.state.final:
        parts.append(
            f"was on the call for {seconds} s" if session.bridged_at is not None else "was not heard"
        )
        if session.evidence is not None:
            parts.append(f"until it ended: {session.evidence.reason.value}")
        elif session.failure:
            parts.append(f"and failed: {session.failure}")
    else:
        parts.append(f"is on the call: {session.state.value}")
    account = " ".join(parts) + "."
    return f"{account} What was said was deleted." if session.summary_by == FORGOTTEN else account


def _text_for(ask: Ask, text: str) -> str:
    return text if ask.caller.sees_numbers else mask_text(text)


def _fields_for(ask: Ask, fields: str) -> dict[str, Json]:
    """The agent's own fields; texts in them masked for those who may not see whole numbers."""
    try:
        found = orjson.loads(fields)
    except orjson.JSONDecodeError:
        return {}
    if not isinstance(found, dict):
        return {}
    return (
        found
        if ask.caller.sees_numbers
        else {mask_text(name): _hidden(value) for name, value in found.items()}
    )


def _hidden(value: Json) -> Json:
    match value:
        case str():
            return mask_text(value)
        case bool() | None:
            return value
        case int() | float():
            return value if abs(value) < 10**6 else mask_text(str(value))
        case list():
            return [_hidden(one) for one in value]
        case dict():
            return {mask_text(name): _hidden(one) for name, one in value.items()}


def turns_for(ask: Ask, turns: Sequence[Turn]) -> tuple[Turn, ...]:
    """The turns as whoever asks may read them."""
    if ask.caller.sees_numbers:
        return tuple(turns)
    return tuple(replace(turn, said=mask_text(turn.said), heard=mask_text(turn.heard)) for turn in turns)


def session_transcript(ask: Ask, session: SessionRecord) -> dict[str, Json]:
    """One session's turns."""
    return {
        "session_id": session.id,
        "agent_id": session.agent_id,
        "agent_version": session.agent_version,
        "answered_by": session.answered_by,
        "state": session.state.value,
        "clock_began_at": epoch_stamp(session.bridged_at),
        "turns": cast(list[Json], as_views(turns_for(ask, session.turns))),
    }


def on_one_clock(ask: Ask, sessions: Sequence[SessionRecord]) -> tuple[Turn, ...]:
    """The turns of all sessions, their times counted from the first one's beginning."""
    began = next((one.bridged_at for one in sessions if one.bridged_at is not None), None)
    turns: list[Turn] = []
    for session in sessions:
        later = 0
        if began is not None and session.bridged_at is not None:
            later = max(0, round((session.bridged_at - began) * 1000))
        for turn in turns_for(ask, session.turns):
            turns.append(replace(turn, start_ms=turn.start_ms + later, end_ms=turn.end_ms + later))
    return tuple(turns)
