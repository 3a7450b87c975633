"""In the place of LiveKit's SIP service: what a real LiveKit server asks of one over Redis, answered.

The server publishes CreateSIPParticipant on a channel of its bus (psrpc); a service claims it, is chosen, and
answers. Only the fields that are looked at are declared here.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory
from livekit.protocol.sip import SIPStatus
from redis.asyncio import Redis

from video_rooms.ports_media import NotAdmitted

_TEXT, _OCTETS, _REAL, _FLAG, _MESSAGE = 9, 12, 2, 8, 11
_FIELDS: Final[dict[str, dict[str, tuple[int, int]]]] = {
    "Msg": {"type_url": (1, _TEXT), "value": (2, _OCTETS)},
    "Request": {"request_id": (1, _TEXT), "client_id": (2, _TEXT), "raw_request": (8, _OCTETS)},
    "Response": {
        "request_id": (1, _TEXT),
        "server_id": (2, _TEXT),
        "error": (5, _TEXT),
        "code": (6, _TEXT),
        "raw_response": (7, _OCTETS),
        "error_details": (8, _MESSAGE),
    },
    "ClaimRequest": {"request_id": (1, _TEXT), "server_id": (2, _TEXT), "affinity": (3, _REAL)},
    "ClaimResponse": {"request_id": (1, _TEXT), "server_id": (2, _TEXT)},
    "Wanted": {
        "address": (2, _TEXT),
        "number": (3, _TEXT),
        "call_to": (4, _TEXT),
        "username": (5, _TEXT),
        "password": (6, _TEXT),
        "room_name": (7, _TEXT),
        "participant_identity": (8, _TEXT),
        "participant_name": (14, _TEXT),
        "participant_attributes": (17, _MESSAGE),
        "wait_until_answered": (29, _FLAG),
    },
    "Made": {"participant_identity": (2, _TEXT)},
    "Pair": {"key": (1, _TEXT), "value": (2, _TEXT)},
}
_TYPES: Final = {"error_details": ".google.protobuf.Any", "participant_attributes": ".internal.Pair"}
_METHOD: Final = "SIPInternal|CreateSIPParticipant"


def _messages() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(name="bus.proto", package="internal", syntax="proto3")
    file.dependency.append("google/protobuf/any.proto")
    for name, fields in _FIELDS.items():
        made = file.message_type.add(name=name)
        for label, (number, kind) in fields.items():
            many = 3 if kind == _MESSAGE else 1
            made.field.add(name=label, number=number, type=kind, label=many, type_name=_TYPES.get(label))
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(any_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"internal.{name}"))
        for name in _FIELDS
    }


_M: Final = _messages()


@dataclass(frozen=True, slots=True)
class Asked:
    """What the server wants: a call to ``number`` at ``address``, for this participant."""

    number: str
    caller: str
    address: str
    user: str
    password: str
    room: str
    identity: str
    name: str
    attributes: dict[str, str]


@dataclass(slots=True)
class SipService:
    """``calls`` makes the call and gives its SIP final; None: says nothing at all. It raises ``NotAdmitted``
    where the room does not let it in. ``listens``: whether it claims what is asked."""

    calls: Callable[[Asked], Awaitable[int | None]] | None = None
    listens: bool = True
    asked: list[Asked] = field(default_factory=list)
    _redis: Any = None
    _chosen: dict[str, asyncio.Event] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def hear(self, channel: str, octets: bytes) -> None:
        value = _M["Msg"].FromString(octets).value
        if channel.endswith("RCLAIM"):
            claim = _M["ClaimResponse"].FromString(value)
            if claim.server_id == "SRV_rig" and claim.request_id in self._chosen:
                self._chosen[claim.request_id].set()
        elif self.listens:
            task = asyncio.create_task(self._serve(_M["Request"].FromString(value)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve(self, request: Any) -> None:
        chosen = self._chosen[request.request_id] = asyncio.Event()
        told = {"request_id": request.request_id, "server_id": "SRV_rig"}
        await self._publish(request, "CLAIM", "ClaimRequest", told | {"affinity": 1.0})
        await chosen.wait()
        wanted = _M["Wanted"].FromString(request.raw_request)
        assert wanted.wait_until_answered
        asked = Asked(
            wanted.call_to,
            wanted.number,
            wanted.address,
            wanted.username,
            wanted.password,
            wanted.room_name,
            wanted.participant_identity,
            wanted.participant_name,
            {pair.key: pair.value for pair in wanted.participant_attributes},
        )
        self.asked.append(asked)
        answer = await self._answer(asked)
        if answer is not None:
            await self._publish(request, "RES", "Response", told | answer)

    async def _answer(self, asked: Asked) -> dict[str, Any] | None:
        try:
            final = None if self.calls is None else await self.calls(asked)
        except NotAdmitted as refusal:
            return {"error": f"not in the room: {refusal.why}", "code": "internal"}
        if final is None:
            return None
        if final == 200:
            return {"raw_response": _M["Made"](participant_identity=asked.identity).SerializeToString()}
        status = SIPStatus(code=final).SerializeToString()  # type: ignore[arg-type]
        detail = {"type_url": "type.googleapis.com/livekit.SIPStatus", "value": status}
        return {
            "error": f"sip status: {final}",
            "code": "failed_precondition",
            "error_details": [detail],
        }

    async def _publish(self, request: Any, channel: str, name: str, told: dict[str, Any]) -> None:
        value = _M[name](**told).SerializeToString()
        message = _M["Msg"](type_url=f"type.googleapis.com/internal.{name}", value=value)
        await self._redis.publish(f"SIPInternal|{request.client_id}|{channel}", message.SerializeToString())


@asynccontextmanager
async def running_sip_service(redis: str) -> AsyncIterator[SipService]:
    """``redis``: the address of the server's, ``host:port``."""
    async with Redis.from_url(f"redis://{redis}") as client, client.pubsub() as bus:
        service = SipService(_redis=client)
        await bus.subscribe(f"{_METHOD}|REQ", f"{_METHOD}|RCLAIM")
        for _ in range(2):
            assert await bus.get_message(timeout=20.0), "it listens now"

        async def listen() -> None:
            async for told in bus.listen():
                if told["type"] == "message":
                    await service.hear(told["channel"].decode(), told["data"])

        listening = asyncio.create_task(listen())
        try:
            yield service
        finally:
            for task in (listening, *service._tasks):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
