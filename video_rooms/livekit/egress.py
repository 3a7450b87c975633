"""LiveKit's own recorder (its egress service), where one works beside the server."""

from __future__ import annotations

from typing import Final

from livekit import api

DEADLINE_S: Final = 5.0
"""LiveKit itself waits 3 s for a recorder to take an order (psrpc's default)."""
_CODES: Final = api.ServerErrorCode
_NONE: Final = (_CODES.INTERNAL, _CODES.UNAVAILABLE, _CODES.DEADLINE_EXCEEDED, _CODES.UNIMPLEMENTED)
"""How it says that there is no recorder: the server has no Redis, or nobody took the order."""


class NoRecorder(Exception):
    """No recorder works beside this server."""


async def start(client: api.LiveKitAPI, room: str, file: str) -> str:
    """Record the room into this file, everybody in a grid; the recording's id. Raises NoRecorder."""
    wanted = api.RoomCompositeEgressRequest(
        room_name=room,
        layout="grid",
        file_outputs=[api.EncodedFileOutput(file_type=api.EncodedFileType.MP4, filepath=file)],
    )
    try:
        # why looked first: a server without Redis says so at once here, and only after 3 s below
        await client.egress.list_egress(api.ListEgressRequest(room_name=room, active=True))
        begun = await client.egress.start_room_composite_egress(wanted)
    except api.ServerError as refusal:
        if refusal.code in _NONE:
            raise NoRecorder from refusal
        raise
    return begun.egress_id


async def stop(client: api.LiveKitAPI, egress_id: str) -> bool | None:
    """None where it is not running. Raises NoRecorder."""
    try:
        running = await client.egress.list_egress(api.ListEgressRequest(egress_id=egress_id, active=True))
        if not running.items:
            return None
        await client.egress.stop_egress(api.StopEgressRequest(egress_id=egress_id))
    except api.ServerError as refusal:
        if refusal.code in _NONE:
            raise NoRecorder from refusal
        if refusal.code == _CODES.FAILED_PRECONDITION:
            return None  # it ended in between
        raise
    return True
