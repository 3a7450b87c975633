"""The route table of ad-hoc rooms, and where the media server reports."""

from __future__ import annotations

from typing import Final

from gateway.http.operation import OPEN, Operation
from gateway.http.orbit import video_adhoc, video_hook
from gateway.http.orbit.video_desk import rooms_of
from gateway.http.orbit.video_operations import KEPT, reads, writes
from gateway.http.orbit.video_schemas import AdhocToken, CreateAdhoc, ListAdhoc
from gateway.http.orbit.video_shown import (
    AdhocClosedShown,
    AdhocDetailShown,
    AdhocMadeShown,
    AdhocShown,
    TokenShown,
)
from telephony.errors import MalformedRequest, NotAuthenticated, StorageUnavailable

_ADHOC: Final = "/rooms"

ADHOC: Final = (
    writes(
        _ADHOC,
        "createAdhocRoom",
        "Begin an ad-hoc room",
        video_adhoc.create,
        "VIDEO_ROOM_CREATION_FAILED",
        status=201,
        body=CreateAdhoc,
        shows=AdhocMadeShown,
        id_prefix="room",
    ),
    reads(
        _ADHOC,
        "listAdhocRooms",
        "List ad-hoc rooms by name",
        video_adhoc.list_rooms,
        "VIDEO_ROOM_LIST_FAILED",
        query=ListAdhoc,
        shows=AdhocShown,
        many=True,
        paged="beside",
    ),
    reads(
        f"{_ADHOC}/{{name}}",
        "getAdhocRoom",
        "Show an ad-hoc room and who is in it",
        video_adhoc.get,
        "VIDEO_ROOM_DETAILS_FAILED",
        shows=AdhocDetailShown,
    ),
    writes(
        f"{_ADHOC}/{{name}}",
        "deleteAdhocRoom",
        "Close an ad-hoc room: everybody is put out",
        video_adhoc.delete,
        "VIDEO_ROOM_CLOSE_FAILED",
        "DELETE",
        shows=AdhocClosedShown,
    ),
    writes(
        f"{_ADHOC}/{{name}}/token",
        "createAdhocToken",
        "Get a token for one person",
        video_adhoc.token,
        "TOKEN_GENERATION_FAILED",
        body=AdhocToken,
        shows=TokenShown,
    ),
)

HOOK: Final = Operation(
    "POST",
    "/webhook",
    "mediaServerReports",
    KEPT,
    "The media server reports",
    video_hook.receive,
    OPEN,
    status=204,
    bucket="none",
    raw_body=video_hook.MAX_REPORT,
    raises=(NotAuthenticated, MalformedRequest, StorageUnavailable),
    description="Called by the media server itself, and signed by it (`Authorization`).",
    invalid=400,
    failure="VIDEO_WEBHOOK_FAILED",
    needs=rooms_of,
)
