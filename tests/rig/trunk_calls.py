"""A switch that calls LiveKit's SIP service, with SIPp in that one's place, and our own end of each call."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from dialplan.ami.client import AmiAddress, AmiLink, LinkDown, LinkUp
from dialplan.ami.message import Message
from gateway.config import Secret
from gateway.config_room_sip import RoomSipEnd
from gateway.room_trunk_calls import SwitchedTrunkCalls
from gateway.runtime.ports import free_sip_port, free_udp_range
from gateway.runtime.switch import EmbeddedSwitch
from gateway.trial.sipp import Sipp, SippRun
from gateway.trial.sipp_livekit import livekit_sip
from gateway.trial.watch import Watch
from gateway.wiring_voice import ROLES
from tests.rig.media import RecordingEar
from tests.rig.switch import running_switch
from tests.rig.world import sipp_command
from video_rooms.ports_trunk import TrunkCall
from voice_agents.core.audio import Codec
from voice_agents.media.websocket_port import WebSocketPort
from voice_agents.wire.asterisk import abilities_of

HOST = "127.0.0.3"
NUMBER = "rooms-0a1b2c3d"
PASSWORD, BACK = Secret("p" * 32), Secret("q" * 32)
PRIVATE = "4915551234"
"""Part of a caller's number: in no message to the service may it be."""
_IDS = itertools.count(1)


@dataclass
class Outcome:
    """Fits ``TrunkEar``; a test waits for what it was told."""

    told: list[str] = field(default_factory=list)
    watch: Watch = field(default_factory=Watch)

    def taken(self) -> None:
        self.told.append("taken")
        self.watch.changed()

    def over(self, cause: int | None) -> None:
        self.told.append(f"over {cause}")
        self.watch.changed()

    async def until(self, *told: str, within_s: float = 30.0) -> None:
        """It was told exactly this, in this order."""
        await self.watch.until(
            lambda: len(self.told) >= len(told), within_s=within_s, what=str(told), seen=lambda: self.told
        )
        assert self.told == list(told)


@dataclass
class TrunkWorld:
    """``seen`` reads what SIPp was sent and sent."""

    switch: EmbeddedSwitch
    calls: SwitchedTrunkCalls
    port: WebSocketPort
    sipp: Sipp

    def call(self, ear: RecordingEar, plays: str = "answers", **how: object) -> TrunkCall:
        """A call whose other end does as ``plays`` says, and whose own end this ear hears."""
        token = secrets.token_hex(16)
        self.port.expect(token, Codec.SLIN16, ear, 30.0)
        number = next(_IDS)
        given: dict[str, object] = {
            "id": f"room_{secrets.token_hex(8)}",
            "socket": self.port.dial_string(token, Codec.SLIN16),
            "number": NUMBER,
            "caller": secrets.token_hex(16),
            "leg_id": f"call_{number}",
            "name": plays,
        }
        return TrunkCall(**(given | how))  # type: ignore[arg-type]

    def seen(self, call: TrunkCall) -> str:
        """Every message of this call's, in order."""
        messages = self.sipp.messages().split("-----------------------------------------------")
        ids = {_call_id(text) for text in messages if call.caller in text} - {""}
        return "\n".join(text for text in messages if _call_id(text) in ids)


def _call_id(message: str) -> str:
    line = next((line for line in message.splitlines() if line.lower().startswith("call-id:")), "")
    return line.partition(":")[2].strip()


@asynccontextmanager
async def running_trunk(folder: Path, *, password: str = "", up: bool = True) -> AsyncIterator[TrunkWorld]:
    """Everything up, on free ports. ``password``: see ``livekit_sip``. ``up`` False: it is dead."""
    async with AsyncExitStack() as exits:
        at = (HOST, free_sip_port(HOST))
        scenario = livekit_sip("patchbay", PRIVATE, password=password)
        run = SippRun(scenario, at, free_udp_range(100, HOST), echo=True, record_messages=True)
        sipp = await Sipp.start(sipp_command(), run, folder / "service")
        exits.push_async_callback(sipp.kill)
        if not up:
            await sipp.kill()
        port = WebSocketPort(abilities_of((22, 10, 1)), connection="room0")
        exits.push_async_callback(port.close)
        _, media = await port.start("127.0.0.1", 0)
        end = RoomSipEnd(*at, "patchbay", PASSWORD, BACK)
        switch = await exits.enter_async_context(
            running_switch(folder, room_sip=end, room_media=(media,), media=("127.0.0.1", media))
        )
        yield TrunkWorld(switch, await _heard(switch, exits), port, sipp)


async def _heard(switch: EmbeddedSwitch, exits: AsyncExitStack) -> SwitchedTrunkCalls:
    """The calls of this switch, with its events."""
    calls: list[SwitchedTrunkCalls] = []

    def hear(message: Message) -> None:
        for one in calls:
            one.hear_message(message)

    links = {}
    for role in ("control", "events"):
        user, secret = switch.address.users[role]
        address = AmiAddress("127.0.0.1", switch.address.ami_port, user, secret)
        link = AmiLink(
            role,
            address,
            rng=lambda: 0.5,
            on_event=hear if role == "events" else _nothing,
            on_up=_no_step,
            on_down=_nothing,
            settings=ROLES[role],
        )
        await link.start()
        exits.push_async_callback(link.stop)
        links[role] = link
    for link in links.values():
        await link.wait_up(30.0)
    calls.append(SwitchedTrunkCalls(links["control"]))
    return calls[0]


def _nothing(_: Message | LinkDown) -> None: ...


async def _no_step(_: LinkUp) -> None: ...
