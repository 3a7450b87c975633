"""What the operations of video rooms have in common: fields that break their rules are 400, not 422; a defect
is told by a code of the operation's own; without a media server each is 503."""

from __future__ import annotations

from typing import Any, Final

from gateway.http.operation import Operation, Serve
from gateway.http.orbit.fields import Nothing
from gateway.http.orbit.video_desk import rooms_of
from gateway.http.orbit.video_fields import NamePath, RoomPath
from telephony.errors import NotFound

KEPT: Final = "Video rooms"
PASSING: Final = "Ad-hoc rooms"
ROOMS: Final = "/rooms-scheduled"
ROOM: Final = f"{ROOMS}/{{id}}"
BARE: Final[dict[str, Any]] = {"body": Nothing, "optional_body": True}
"""For a POST that needs no body: an empty one declared as JSON will do, too."""


def reads(path: str, name: str, summary: str, serve: Serve, failure: str, **more: Any) -> Operation:
    return operation("GET", path, name, summary, serve, failure, {"access": "video:read", **more})


def writes(
    path: str, name: str, summary: str, serve: Serve, failure: str, method: str = "POST", **more: Any
) -> Operation:
    return operation(method, path, name, summary, serve, failure, {"access": "video:write", **more})


def operation(
    method: str, path: str, name: str, summary: str, serve: Serve, failure: str, more: dict[str, Any]
) -> Operation:
    kept = path.startswith(ROOMS)
    usual: dict[str, Any] = {"tag": KEPT if kept else PASSING, "invalid": 400, "needs": rooms_of}
    if "{" in path:
        usual |= {"path_rules": RoomPath if kept else NamePath, "raises": (NotFound,)}
    rest = {**usual, **more}
    return Operation(method, path, name, rest.pop("tag"), summary, serve, failure=failure, **rest)
