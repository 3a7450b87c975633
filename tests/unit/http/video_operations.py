"""The operations of video rooms, one by one: what is sent to each, and how its failure is called."""

from typing import Any

from gateway.http.orbit.routes_video import VIDEO as OPERATIONS

EVERY = [op for op in OPERATIONS.operations if op.name != "mediaServerReports"]
BODIES: dict[str, dict[str, Any]] = {
    "createRoom": {"name": "Talk"},
    "changeRoom": {"duration_minutes": 30},
    "joinRoom": {"identity": "user_42"},
    "moveOccurrence": {"to": "2026-05-11T15:00:00Z"},
    "redeemInvite": {"display_name": "Jo"},
    "callIntoRoom": {"to": "phone:alice"},
    "createAdhocRoom": {"name": "quick-sync"},
    "createAdhocToken": {"participant_name": "Jane"},
}
FAILURES = {
    "createRoom": "VIDEO_ROOM_CREATION_FAILED",
    "listRooms": "VIDEO_ROOM_LIST_FAILED",
    "getRoom": "VIDEO_ROOM_FETCH_FAILED",
    "changeRoom": "VIDEO_ROOM_UPDATE_FAILED",
    "joinRoom": "VIDEO_ROOM_JOIN_FAILED",
    "endRoom": "VIDEO_ROOM_END_FAILED",
    "startRoomRecording": "VIDEO_RECORDING_START_FAILED",
    "stopRoomRecording": "VIDEO_RECORDING_STOP_FAILED",
    "skipOccurrence": "VIDEO_ROOM_UPDATE_FAILED",
    "moveOccurrence": "VIDEO_ROOM_UPDATE_FAILED",
    "listOccurrences": "VIDEO_ROOM_FETCH_FAILED",
    "getRoomCalendar": "VIDEO_ROOM_CALENDAR_FAILED",
    "createInvite": "VIDEO_INVITE_CREATE_FAILED",
    "listInvites": "VIDEO_INVITE_LIST_FAILED",
    "revokeInvite": "VIDEO_INVITE_REVOKE_FAILED",
    "redeemInvite": "VIDEO_INVITE_REDEEM_FAILED",
    "kickParticipant": "VIDEO_PARTICIPANT_KICK_FAILED",
    "muteParticipant": "VIDEO_PARTICIPANT_MUTE_FAILED",
    "admitParticipant": "VIDEO_PARTICIPANT_ADMIT_FAILED",
    "denyParticipant": "VIDEO_PARTICIPANT_DENY_FAILED",
    "callIntoRoom": "VIDEO_PARTICIPANT_CALL_FAILED",
    "createAdhocRoom": "VIDEO_ROOM_CREATION_FAILED",
    "listAdhocRooms": "VIDEO_ROOM_LIST_FAILED",
    "getAdhocRoom": "VIDEO_ROOM_DETAILS_FAILED",
    "deleteAdhocRoom": "VIDEO_ROOM_CLOSE_FAILED",
    "createAdhocToken": "TOKEN_GENERATION_FAILED",
    "listRoomRecordings": "VIDEO_RECORDING_FETCH_FAILED",
    "getRoomRecording": "VIDEO_RECORDING_FETCH_FAILED",
    "downloadRoomRecording": "VIDEO_RECORDING_FETCH_FAILED",
    "deleteRoomRecording": "VIDEO_RECORDING_DELETE_FAILED",
}
"""By hand, from the page; what it does not have is ours."""
ON_DISK = {"downloadRoomRecording"}
"""What stands on files alone: no server that it could miss."""
KEPT_HERE = {"getRoomRecording", "deleteRoomRecording"}
"""What stands on our own storage, and not on the media server."""
