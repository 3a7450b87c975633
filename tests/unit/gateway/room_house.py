"""A director of calls and a desk of telephones in rooms, joined as in the gateway. All else fake."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from dialplan.core import orders
from dialplan.core.call import Connect, Route, VideoRoom
from dialplan.core.routing import Offered, RouteFacts
from dialplan.director import Director
from dialplan.fakes import FixedBook
from dialplan.ports import PlaceCall
from gateway.room_routes import RoomRoutes
from gateway.rooms_on_calls import DirectedRooms, RoomsOnCalls
from telephony.ids import CallId, ChannelId
from telephony.numbers import E164
from tests.unit.dialplan.desk import CLI, OFFERED, OURS, TO, A, B, Desk
from tests.unit.video_rooms.phone_stage import ROOM, TENANT, Stage, host, room
from video_rooms.core.wishes import CallOut
from video_rooms.phones import PhoneDesk

DID = E164("+12025550100")
KNOWN = RouteFacts(OURS, Connect(VideoRoom("")), did=DID, ring_timeout_s=20, max_duration_s=900)


class House:
    """A director among fakes, a desk of telephones among fakes, and what joins them in the gateway."""

    def __init__(self, tones: Path, known: RouteFacts = KNOWN) -> None:
        self.voice, self.stage = Desk(), Stage(tones)
        calls = DirectedRooms()
        self.desk = self.stage.desk = PhoneDesk(
            replace(self.stage.around, calls=calls), self.stage.rooms, lambda count: "1" * count
        )
        ports = self.voice.director._ports
        routes = RoomRoutes(FixedBook(known), self.desk, ports.new_id)
        self.director = self.voice.director = Director(replace(ports, book=routes))
        self.voice.switch.tell = self.director.hear
        calls.director = self.director
        self.on_calls = RoomsOnCalls(self.desk, 600.0)
        self.director.on_change(self.on_calls.heard)

    async def answered(self, offered: Offered = OFFERED) -> tuple[CallId, Route]:
        """What the switch's question for a new call is answered with."""
        self.voice.switch.exist(offered.channel)
        reply = await self.director.answer(offered)
        assert isinstance(reply, orders.Reply)
        return reply.call_id, reply.route

    async def joined(self, call_id: CallId) -> None:
        """The switch brings the sound of an inbound call."""
        self.voice.switch.dial(B, by=A)
        self.stage.carrier.arrives(call_id)
        await self.rest()
        assert self.stage.carrier.legs[call_id].answered
        self.voice.switch.answer(B)
        self.voice.switch.answer(A)
        await self.rest()

    async def rest(self) -> None:
        await self.stage.rest()
        await self.voice.settle()

    async def called(self, **changes: object) -> tuple[CallId, ChannelId]:
        """A telephone that is being called into the room."""
        call_id = CallId("call_00000000000000000000000077")
        wanted = replace(CallOut(TO.reveal()), **changes)  # type: ignore[arg-type]
        far_end, _ = await self.on_calls.prepare(TENANT, ROOM, wanted, call_id)
        call = await self.director.place(PlaceCall(TENANT, "key_1", TO, CLI, far_end, call_id=call_id))
        channel = call.caller.channel
        assert channel is not None
        await self.voice.settle()
        self.voice.switch.dial(channel)
        self.voice.switch.ring(channel)
        await self.rest()
        return call_id, channel

    def ended(self, call_id: CallId) -> tuple[str, str]:
        return self.voice.ended(call_id)


@asynccontextmanager
async def open_house(tones: Path, known: RouteFacts = KNOWN) -> AsyncIterator[House]:
    house = House(tones, known)
    await house.stage.ready(room(tenant=OURS), host())
    try:
        yield house
    finally:
        await house.desk.close()
        await house.director.stop()
