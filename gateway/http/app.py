"""The HTTP application: rooms mounted by prefix, the front around them."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Mount, Route, Router
from starlette.types import Receive, Scope, Send

from gateway.http.exchange import to_json
from gateway.http.face import Face
from gateway.http.front import Front
from gateway.http.metrics import HttpMetrics
from gateway.http.openapi import document
from gateway.http.operation import SLASHED, Operation, Room
from gateway.http.orbit.routes_account import ACCOUNT
from gateway.http.orbit.routes_agents import AGENTS
from gateway.http.orbit.routes_proxy import PROXY
from gateway.http.orbit.routes_video import VIDEO
from gateway.http.orbit.routes_voice import VOICE
from gateway.http.rooms import FACE_ROOMS
from gateway.http.serve import Switchboard
from gateway.http.system import room, serves_document
from gateway.http.twilio.routes import TWILIO
from telephony.errors import NotFound


def create_app(face: Face) -> Starlette:
    """The application over its collaborators. It owns none of them: starting and stopping is the wiring's."""
    served = _described()
    account = replace(ACCOUNT, operations=(*ACCOUNT.operations, serves_document(served, "openapiOfFace")))
    rooms = (VOICE, PROXY, VIDEO, account, TWILIO)
    shapes = {prefix: room.error_shape for room in rooms for prefix in room.prefixes if room.error_shape}
    app = Starlette(
        routes=[
            *_mounts(face, rooms),
            *_routes(face, AGENTS, "/v1"),  # the rest of /v1 is another face's
            *_routes(face, room(served).operations, ""),
        ],
        middleware=[Middleware(Front, face=face, metrics=HttpMetrics(face.registry), shapes=shapes)],
    )
    app.router.default = _unknown
    app.router.redirect_slashes = False
    return app


@cache
def _described() -> bytes:
    """The OpenAPI document. It is the operations' alone, and takes a quarter of a second to make."""
    return to_json(document(FACE_ROOMS))


def _mounts(face: Face, rooms: tuple[Room, ...]) -> list[BaseRoute]:
    return [
        Mount(prefix, app=Router(_mounted(face, room, prefix), default=_unknown, redirect_slashes=False))
        for room in rooms
        for prefix in room.prefixes
    ]


def _mounted(face: Face, room: Room, prefix: str) -> list[BaseRoute]:
    """A room's routes as they are called behind its mount."""
    return _routes(face, room.operations, prefix, behind=prefix)


def _routes(face: Face, operations: tuple[Operation, ...], prefix: str, behind: str = "") -> list[BaseRoute]:
    """Routes under ``prefix``; a mount takes off what is ``behind`` it."""
    by_path: dict[str, list[Operation]] = {}
    for operation in operations:
        by_path.setdefault(prefix + operation.path, []).append(operation)
    return [
        Route(_pattern(path.removeprefix(behind)), Switchboard(face, path, tuple(operations)))
        for path, operations in by_path.items()
    ]


def _pattern(path: str) -> str:
    """The path as the router reads it."""
    for name in SLASHED:
        path = path.replace(f"{{{name}}}", f"{{{name}:path}}")
    return path


async def _unknown(scope: Scope, receive: Receive, send: Send) -> None:
    """What is mounted nowhere."""
    raise NotFound("there is nothing at this address")
