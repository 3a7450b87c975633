"""The route table of agents on calls. The control token of a call opens what its agent may do itself."""

from __future__ import annotations

from typing import Final

from gateway.http.operation import Operation, Serve
from gateway.http.orbit import agent_calls
from gateway.http.orbit.agent_call_schemas import (
    AgentOnCall,
    Moved,
    Say,
    SendCaller,
    SendCallerOn,
    SendDigits,
    TranscriptShown,
    WhichForm,
)
from gateway.http.orbit.fields import Nothing
from gateway.http.schema import Strict
from telephony.errors import Conflict, NotFound, NotPermitted, SwitchUnavailable, UnknownReference

_CALL: Final = "/calls/{call_id}"


def _turning(
    verb: str, name: str, summary: str, serve: Serve, *, body: type[Strict] = Nothing, to_agents: bool = False
) -> Operation:
    return Operation(
        "POST",
        f"{_CALL}/agent/{verb}",
        name,
        "Agents on calls",
        summary,
        serve,
        "calls:write",
        body=body,
        optional_body=body is Nothing,
        shows=AgentOnCall,
        raises=(NotFound, Conflict, SwitchUnavailable),
        to_agents=to_agents,
    )


def _sending(
    verb: str,
    name: str,
    summary: str,
    serve: Serve,
    *,
    description: str,
    body: type[Strict] = SendCaller,
    to_agents: bool = False,
) -> Operation:
    return Operation(
        "POST",
        f"{_CALL}/agent/{verb}",
        name,
        "Agents on calls",
        summary,
        serve,
        "calls:write",
        body=body,
        shows=Moved,
        raises=(NotFound, Conflict, NotPermitted, UnknownReference, SwitchUnavailable),
        to_agents=to_agents,
        description=description,
    )


AGENT_CALLS: Final = (
    Operation(
        "GET",
        f"{_CALL}/transcript",
        "getTranscript",
        "Agents on calls",
        "What was said in a call with an agent",
        agent_calls.transcript,
        "recordings:read",
        query=WhichForm,
        shows=TranscriptShown,
        also_media=("text/plain", "text/vtt"),
        raises=(NotFound,),
        to_agents=True,
        description="As JSON, text or WebVTT: `format`, else `Accept`. `said` is what was meant to be said, "
        "`heard` what reached the other side. Numbers in it are masked for keys without `pii:read`.",
    ),
    Operation(
        "DELETE",
        f"{_CALL}/transcript",
        "deleteTranscript",
        "Agents on calls",
        "Delete what was said, and every account of it, for good",
        agent_calls.delete_transcript,
        "recordings:write",
        status=204,
        raises=(NotFound, Conflict),
    ),
    _turning("mute", "muteAgent", "The caller does not hear the agent", agent_calls.mute),
    _turning("unmute", "unmuteAgent", "The caller hears the agent again", agent_calls.unmute),
    _turning("hold", "holdCaller", "The caller waits with music", agent_calls.hold, to_agents=True),
    _turning(
        "unhold", "unholdCaller", "The caller is back with the agent", agent_calls.unhold, to_agents=True
    ),
    _turning("say", "sayToCaller", "Say something in our voice", agent_calls.say, body=Say, to_agents=True),
    _turning(
        "digits",
        "sendAgentDigits",
        "Play keys to the caller's line",
        agent_calls.send_digits,
        body=SendDigits,
        to_agents=True,
    ),
    _sending(
        "transfer",
        "transferCaller",
        "Send the caller on in the agent's place",
        agent_calls.transfer,
        body=SendCallerOn,
        to_agents=True,
        description="Answers once it is known what became of it; unless that is `completed`, the agent goes "
        "on. With a control token only to where the agent's `transfer_allow` lets it; another key takes a "
        "caller into a video room only with `video:write`. A room that is full is `declined`.",
    ),
    _sending(
        "take-over",
        "takeOverCall",
        "Have a human speak with the caller, the agent waiting",
        agent_calls.take_over,
        description="Answers once it is known what became of it. `hand-back` brings the agent back.",
    ),
    _turning("hand-back", "handBackCall", "End a take-over", agent_calls.hand_back),
)
