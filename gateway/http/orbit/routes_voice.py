"""The route table of the voice room: calls and recordings. Hot operations first."""

from __future__ import annotations

from typing import Final

from gateway.http.operation import OPEN, Operation, Room, Serve
from gateway.http.orbit import agent_calls, calls, recordings
from gateway.http.orbit.agent_call_schemas import CallInFull, HangUp
from gateway.http.orbit.call_schemas import (
    AfterEvent,
    CallShown,
    CheckShown,
    CreateCall,
    EventShown,
    ListCalls,
    RecordingShown,
)
from gateway.http.orbit.fields import Nothing
from gateway.http.orbit.routes_agent_calls import AGENT_CALLS
from telephony.errors import (
    Conflict,
    NotFound,
    SpeechUnavailable,
    SwitchUnavailable,
    UnknownReference,
)

_CALL: Final = "/calls/{call_id}"


def _turning(verb: str, serve: Serve, summary: str) -> Operation:
    return Operation(
        "POST",
        f"{_CALL}/recording/{verb}",
        f"{verb}Recording",
        "Recordings",
        summary,
        serve,
        "recordings:write",
        body=Nothing,
        optional_body=True,
        shows=RecordingShown,
        raises=(NotFound, Conflict, SwitchUnavailable),
    )


VOICE: Final = Room(
    ("/api/v1/voice", "/v1/voice"),
    (
        Operation(
            "POST",
            "/calls",
            "createCall",
            "Calls",
            "Place a call",
            calls.create_call,
            "calls:write",
            status=201,
            bucket="calls.create",
            body=CreateCall,
            shows=CallShown,
            raises=(UnknownReference, SwitchUnavailable, SpeechUnavailable),
            id_prefix="call",
            description="Rings `to`, showing `from`. The call is stored when this answers; the rest is told "
            "by `GET /calls/{call_id}`, by its events and by webhooks.",
        ),
        Operation(
            "GET",
            _CALL,
            "getCall",
            "Calls",
            "Show a call",
            agent_calls.get_call,
            "calls:read",
            shows=CallInFull,
            raises=(NotFound,),
            to_agents=True,
        ),
        Operation(
            "GET",
            "/calls",
            "listCalls",
            "Calls",
            "List calls, newest first",
            calls.list_calls,
            "calls:read",
            query=ListCalls,
            shows=CallShown,
            many=True,
            paged=True,
        ),
        Operation(
            "POST",
            f"{_CALL}/hangup",
            "hangUpCall",
            "Calls",
            "End a call, whatever its state",
            agent_calls.hang_up,
            "calls:write",
            body=Nothing,
            optional_body=True,
            query=HangUp,
            shows=CallShown,
            raises=(NotFound, SwitchUnavailable),
            to_agents=True,
            description="A ringing call becomes `cancelled`, an answered one `completed`; a call that has "
            "ended is shown again. An agent that is on it is told first and may say goodbye: this answers "
            "once the call is over.",
        ),
        Operation(
            "GET",
            f"{_CALL}/events",
            "listCallEvents",
            "Calls",
            "The timeline of a call",
            calls.list_events,
            "calls:read",
            query=AfterEvent,
            shows=EventShown,
            many=True,
            raises=(NotFound,),
        ),
        Operation(
            "POST",
            "/calls:check",
            "checkCall",
            "Calls",
            "Say which rule would refuse a call, without placing it",
            calls.check_call,
            "calls:read",
            body=CreateCall,
            shows=CheckShown,
            raises=(UnknownReference,),
        ),
        Operation(
            "GET",
            f"{_CALL}/recordings",
            "listCallRecordings",
            "Recordings",
            "The recordings of a call",
            recordings.list_of_call,
            "recordings:read",
            shows=RecordingShown,
            many=True,
            raises=(NotFound,),
        ),
        _turning("start", recordings.start, "Start recording a live call"),
        _turning("stop", recordings.stop, "Stop recording"),
        _turning("pause", recordings.pause, "Pause recording: what follows is not kept"),
        _turning("resume", recordings.resume, "Go on recording"),
        Operation(
            "GET",
            "/recordings/{recording_id}/file",
            "downloadRecording",
            "Recordings",
            "Download a recording by its signed address",
            recordings.download,
            OPEN,
            query=recordings.SignedLink,
            media="audio/wav",
            raises=(NotFound,),
            description="No key: the address itself is the permission. Ranges are served.",
        ),
        Operation(
            "GET",
            "/recordings/{recording_id}",
            "getRecording",
            "Recordings",
            "Show a recording",
            recordings.get,
            "recordings:read",
            shows=RecordingShown,
            raises=(NotFound,),
        ),
        Operation(
            "DELETE",
            "/recordings/{recording_id}",
            "deleteRecording",
            "Recordings",
            "Delete a finished recording for good",
            recordings.delete,
            "recordings:write",
            status=204,
            raises=(NotFound, Conflict),
        ),
        *AGENT_CALLS,
    ),
)
