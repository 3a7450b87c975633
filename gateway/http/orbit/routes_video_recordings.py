"""The route table of rooms' recordings."""

from __future__ import annotations

from typing import Final

from gateway.http.errors import RangeNotSatisfiable, SignatureRefused
from gateway.http.operation import OPEN, Operation
from gateway.http.orbit import video_recordings
from gateway.http.orbit.recordings import SignedLink
from gateway.http.orbit.video_desk import rooms_of
from gateway.http.orbit.video_operations import KEPT, ROOM, reads
from gateway.http.orbit.video_recordings import TapeFilePath, TapePath, TapeShown
from telephony.errors import Conflict, NotFound

_TAPE: Final = "/recordings/{recordingId}"
_FAILURE: Final = "VIDEO_RECORDING_FETCH_FAILED"

RECORDINGS: Final = (
    reads(
        f"{ROOM}/recordings",
        "listRoomRecordings",
        "List a room's recordings",
        video_recordings.list_of_room,
        _FAILURE,
        shows=TapeShown,
        many=True,
    ),
    Operation(
        "GET",
        _TAPE,
        "getRoomRecording",
        KEPT,
        "Show a room's recording, and where its files are",
        video_recordings.get,
        "video:read",
        shows=TapeShown,
        path_rules=TapePath,
        raises=(NotFound,),
        invalid=400,
        failure=_FAILURE,
        needs=rooms_of,
    ),
    Operation(
        "GET",
        f"{_TAPE}/files/{{file}}",
        "downloadRoomRecording",
        KEPT,
        "Download a file of a room's recording by its signed address",
        video_recordings.download,
        OPEN,
        query=SignedLink,
        path_rules=TapeFilePath,
        media="video/mp4",
        also_media=("audio/ogg", "application/json"),
        raises=(NotFound, SignatureRefused, RangeNotSatisfiable),
        invalid=400,
        failure=_FAILURE,
        needs=rooms_of,
        description="No key: the address itself is the permission. Ranges are served. The picture is "
        "`composite.mp4`, each speaker an `.ogg`, and `timeline.json` tells who is in which.",
    ),
    Operation(
        "DELETE",
        _TAPE,
        "deleteRoomRecording",
        KEPT,
        "Delete a finished recording of a room for good",
        video_recordings.delete,
        "video:write",
        status=204,
        path_rules=TapePath,
        raises=(NotFound, Conflict),
        invalid=400,
        failure="VIDEO_RECORDING_DELETE_FAILED",
        needs=rooms_of,
    ),
)
