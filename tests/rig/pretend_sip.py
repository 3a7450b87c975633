"""The switch, and LiveKit's SIP service behind it, played: each call is led by the rules of a real LiveKit
server into a real room of its, and its sound goes both ways.

The service does as that does (github.com/livekit/sip): it answers 404 where not exactly one rule fits, 486
where the room does not let it in, 480 where nobody there publishes sound for as long as it rings; the
caller's name is hashed into the participant's identity; what is played back is the mix of all others. Causes
are the switch's for those answers (``video_rooms.core.trunk_ends``).
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable

import aiohttp
from livekit import api

from dialplan.ami.message import Kind, Message
from dialplan.ami.wire import AmiAction
from tests.rig.livekit import LiveKitRig
from tests.rig.pretend_switch import WebSocketChannel, dial_websocket
from tests.rig.sip_line import SipLine
from video_rooms.bridge.rtc_rooms import RtcRooms
from video_rooms.core.leg import Join
from video_rooms.core.trunks import HEADER_LEG, HEADER_NAME, identity_of
from video_rooms.ports_media import NotAdmitted
from video_rooms.ports_trunk import TrunkCall, TrunkEar

NO_ROUTE, NORMAL, BUSY, NO_ANSWER = 1, 16, 17, 19
_OPEN_S = 20.0
_LOOK_S = 0.01


class SipService:
    """Fits ``TrunkCalls``. ``address``: where the switch brings what was dialled so."""

    def __init__(
        self, rig: LiveKitRig, http: aiohttp.ClientSession, address: Callable[[str], tuple[str, int]]
    ) -> None:
        self.placed: list[TrunkCall] = []
        self._rig, self._http, self._address = rig, http, address
        self._rooms = RtcRooms()
        self._ears: dict[str, TrunkEar] = {}
        self._channels: set[WebSocketChannel] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def place(self, call: TrunkCall, ear: TrunkEar) -> None:
        self.placed.append(call)
        self._ears[call.id] = ear
        task = asyncio.create_task(self._carry(call), name="pretend-sip")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def forget(self, call_id: str) -> None:
        self._ears.pop(call_id, None)

    async def close(self) -> None:
        """Every call ends, every room is left."""
        for channel in tuple(self._channels):
            await channel.hangs_up()
        await asyncio.gather(*self._tasks)
        await self._rooms.close()

    # ------------------------------------------------------------ the switch

    async def _carry(self, call: TrunkCall) -> None:
        channel = await dial_websocket(self._http, self._address(call.socket), call.socket)
        cause = 0
        if channel is not None:
            self._channels.add(channel)
            try:
                cause = await self._dial(call, channel)
            finally:
                self._channels.discard(channel)
                await channel.hangs_up()
        if (ear := self._ears.pop(call.id, None)) is not None:
            ear.over(cause)

    async def _dial(self, call: TrunkCall, channel: WebSocketChannel) -> int:
        """The cause with which the call ends; the service is dialled once our own end is up."""
        if not await _until(lambda: channel.answered, _OPEN_S, channel) or not channel.up:
            return 0
        join = await self._led(call)
        if join is None:
            return NO_ROUTE
        line = SipLine()
        try:
            line.stay = await self._rooms.enter(join, line, muted=False)
        except NotAdmitted:
            return BUSY
        try:
            line.voices()
            await _until(lambda: line.feeds or line.out, call.ring_s, channel)
            if not line.feeds or line.out or not channel.up:
                return NO_ANSWER
            if (ear := self._ears.get(call.id)) is not None:
                ear.taken()
            await line.talks(channel)
            return NORMAL
        finally:
            await line.stay.leave()

    # ------------------------------------------------------------ the service

    async def _led(self, call: TrunkCall) -> Join | None:
        """Whom the server's trunk and its one rule make of this call; None: nobody."""
        sip = self._rig.control.sip
        trunks = (await sip.list_inbound_trunk(api.ListSIPInboundTrunkRequest())).items
        reached = [trunk for trunk in trunks if call.number in trunk.numbers]
        rules = (await sip.list_dispatch_rule(api.ListSIPDispatchRuleRequest())).items
        fits = [
            rule
            for rule in rules
            if call.caller in rule.inbound_numbers
            and call.number in rule.numbers
            and {trunk.sip_trunk_id for trunk in reached} & set(rule.trunk_ids)
        ]
        if len(reached) != 1 or len(fits) != 1:
            return None
        assert fits[0].hide_phone_number, "else the identity would tell the caller's name"
        headers = {HEADER_LEG: call.leg_id, HEADER_NAME: call.name}
        shown = {name: headers[header] for header, name in reached[0].headers_to_attributes.items()}
        room, identity = fits[0].rule.dispatch_rule_direct.room_name, identity_of(call.caller)
        token = self._rig.token(
            room,
            identity,
            name=f"Phone {call.caller[-4:]}",
            kind="sip",
            attributes=shown | dict(fits[0].attributes),
            room_admin=True,
        )
        return Join(self._rig.url, token, identity)


async def _until(holds: Callable[[], object], within_s: float, channel: WebSocketChannel) -> bool:
    """Whether this holds, in time and before the channel ends."""
    loop = asyncio.get_running_loop()
    until = loop.time() + within_s
    while not holds() and channel.up and loop.time() < until:  # noqa: ASYNC110 - it is told to nobody
        await asyncio.sleep(_LOOK_S)
    return bool(holds())


class SwitchOfCalls:
    """Fits ``gateway.room_trunk_calls.Actor``: the switch as it is told to call that service, and what it
    tells of those calls. ``tells``: who hears of its events."""

    def __init__(self, service: SipService) -> None:
        self.service = service
        self.tells: Callable[[Message], None] = lambda _: None
        self._ids = itertools.count(1)

    async def act(self, action: AmiAction, *, deadline_s: float) -> Message:
        assert action.name == "Originate", action.name
        told = dict(action.fields)
        given = dict(value.split("=", 1) for name, value in action.fields if name == "Variable")
        call = TrunkCall(
            told["ChannelId"],
            f"{told['Channel']}/{given['PB_SOCKET']}",
            given["PB_TO"],
            given["PB_FROM"],
            given["__PB_LEG"],
            given["__PB_NAME"],
            int(given["PB_RING"]),
        )
        await self.service.place(call, _Events(self, call.id, f"1763760000.{next(self._ids)}"))
        return Message(Kind.RESPONSE, "Success", "Response: Success")


class _Events:
    """Fits ``TrunkEar``: as events of the switch. ``dialled``: the channel towards the service."""

    def __init__(self, switch: SwitchOfCalls, ours: str, dialled: str) -> None:
        self._switch, self._ours, self._dialled = switch, ours, dialled

    def taken(self) -> None:
        self._tell("DialBegin", Uniqueid=self._ours, DestUniqueid=self._dialled)
        self._tell("Newstate", Uniqueid=self._dialled, ChannelState="6")

    def over(self, cause: int | None) -> None:
        self._tell("Hangup", Uniqueid=self._ours, Cause=str(cause or 0))

    def _tell(self, name: str, **headers: str) -> None:
        lines = [f"Event: {name}", *(f"{header}: {value}" for header, value in headers.items())]
        self._switch.tells(Message(Kind.EVENT, name, "\r\n".join(lines)))
