"""The route table of scheduled video rooms; the room that all of video's operations are mounted in."""

from __future__ import annotations

from typing import Final

from gateway.http.operation import Room
from gateway.http.orbit import video_scheduled
from gateway.http.orbit.routes_video_adhoc import ADHOC, HOOK
from gateway.http.orbit.routes_video_people import CONTROLS, INVITES
from gateway.http.orbit.routes_video_recordings import RECORDINGS
from gateway.http.orbit.video_fields import OccurrencePath
from gateway.http.orbit.video_operations import BARE, ROOM, ROOMS, operation, reads, writes
from gateway.http.orbit.video_schemas import (
    ChangeRoom,
    CreateRoom,
    JoinRoom,
    ListOccurrences,
    ListRooms,
    MoveOccurrence,
)
from gateway.http.orbit.video_shown import (
    DetailShown,
    EndedShown,
    ListedRoomShown,
    OccurrenceShown,
    PassShown,
    RecordingBegunShown,
    RecordingEndedShown,
    RoomMadeShown,
    RoomShown,
)
from telephony.errors import Conflict, NotFound

_OCCURRENCE: Final = f"{ROOM}/occurrences/{{occurrence}}"

SCHEDULED: Final = (
    writes(
        ROOMS,
        "createRoom",
        "Schedule a room",
        video_scheduled.create,
        "VIDEO_ROOM_CREATION_FAILED",
        status=201,
        body=CreateRoom,
        shows=RoomMadeShown,
        id_prefix="room",
    ),
    reads(
        ROOMS,
        "listRooms",
        "List scheduled rooms",
        video_scheduled.list_rooms,
        "VIDEO_ROOM_LIST_FAILED",
        query=ListRooms,
        shows=ListedRoomShown,
        many=True,
    ),
    reads(
        ROOM,
        "getRoom",
        "Show a room and everybody who is or was in it",
        video_scheduled.get,
        "VIDEO_ROOM_FETCH_FAILED",
        shows=DetailShown,
    ),
    writes(
        ROOM,
        "changeRoom",
        "Change a room's plan",
        video_scheduled.change,
        "VIDEO_ROOM_UPDATE_FAILED",
        "PATCH",
        body=ChangeRoom,
        shows=RoomShown,
        raises=(NotFound, Conflict),
    ),
    operation(
        "POST",
        f"{ROOM}/join",
        "joinRoom",
        "Get a token for one person",
        video_scheduled.join,
        "VIDEO_ROOM_JOIN_FAILED",
        {
            "access": "video:read",
            "body": JoinRoom,
            "shows": PassShown,
            "raises": (NotFound, Conflict),
            "description": "Any key of the tenant may join. `role: host` from a key that may not make hosts "
            "gives a participant's token, without an error.",
        },
    ),
    writes(
        f"{ROOM}/end",
        "endRoom",
        "End a room: everybody is put out, a recording is finished",
        video_scheduled.end,
        "VIDEO_ROOM_END_FAILED",
        shows=EndedShown,
        **BARE,
    ),
    writes(
        f"{ROOM}/recording/start",
        "startRoomRecording",
        "Record a room",
        video_scheduled.start_recording,
        "VIDEO_RECORDING_START_FAILED",
        shows=RecordingBegunShown,
        raises=(NotFound, Conflict),
        description="Where the room is being recorded already, nothing changes.",
        **BARE,
    ),
    writes(
        f"{ROOM}/recording/stop",
        "stopRoomRecording",
        "Record a room no longer",
        video_scheduled.stop_recording,
        "VIDEO_RECORDING_STOP_FAILED",
        shows=RecordingEndedShown,
        description="The file is finished afterwards; then the room has its `recording_url`.",
        **BARE,
    ),
    reads(
        f"{ROOM}/occurrences",
        "listOccurrences",
        "List when a room takes place",
        video_scheduled.occurrences,
        "VIDEO_ROOM_FETCH_FAILED",
        query=ListOccurrences,
        shows=OccurrenceShown,
        many=True,
        paged=True,
    ),
    writes(
        f"{_OCCURRENCE}/skip",
        "skipOccurrence",
        "Have one occurrence of a room not take place",
        video_scheduled.skip,
        "VIDEO_ROOM_UPDATE_FAILED",
        shows=RoomShown,
        path_rules=OccurrencePath,
        raises=(NotFound, Conflict),
        **BARE,
    ),
    writes(
        f"{_OCCURRENCE}/move",
        "moveOccurrence",
        "Have one occurrence of a room take place at another time",
        video_scheduled.move,
        "VIDEO_ROOM_UPDATE_FAILED",
        body=MoveOccurrence,
        shows=RoomShown,
        path_rules=OccurrencePath,
        raises=(NotFound, Conflict),
    ),
    reads(
        f"{ROOM}/calendar.ics",
        "getRoomCalendar",
        "A room as a file for calendars",
        video_scheduled.calendar,
        "VIDEO_ROOM_CALENDAR_FAILED",
        media="text/calendar",
        description="An invitation; the same address gives its updates and its cancellation.",
    ),
)

VIDEO: Final = Room(("/api/v1/video",), (*SCHEDULED, *INVITES, *CONTROLS, *RECORDINGS, *ADHOC, HOOK))
