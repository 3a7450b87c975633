"""Media ports in front of a real switch: a caller whose call is dialled straight to the port, and an ear."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from gateway.runtime.plan import SwitchPlan, Trunk
from gateway.runtime.ports import free_sip_port
from gateway.runtime.switch import EmbeddedSwitch
from gateway.trial.rtp import Packet
from gateway.trial.sip_call import CallState
from gateway.trial.sip_outgoing import Dial, OutgoingCall
from gateway.trial.sip_phone import SipPhone
from gateway.trial.watch import Watch
from tests.rig.switch import running_switch
from tests.rig.world import static_templates
from voice_agents.core.audio import Codec
from voice_agents.media.audiosocket_port import AudioSocketPort
from voice_agents.media.leg import Yard
from voice_agents.media.websocket_port import WebSocketPort
from voice_agents.ports import MediaLeg
from voice_agents.wire.asterisk import abilities_of

CALLER = "+14155550101"
CARRIER = "127.0.0.2"
MEDIA_DIALPLAN = """\
[from-trunk]
exten => _+1555.,1,Set(PB_TO=${PJSIP_HEADER(read,X-Dial)})
 same => n,GotoIf($["${PB_TO:0:9}" = "WebSocket"]?:dial)
 same => n,Set(_PB_SOCKET=${CUT(PB_TO,/,4)})
 same => n,Set(PB_TO=${CUT(PB_TO,/,1-3)})
 same => n(dial),Dial(${PB_TO},20)
 same => n,Hangup(${HANGUPCAUSE})
exten => _+1666.,1,Answer()
 same => n,Echo()
[from-phone]
"""
"""A test's caller names in a header what is to be dialled; +1666… is the switch's own echo."""


@dataclass
class RecordingEar:
    """Fits ``MediaEar``; a test waits for what it was told. ``hears`` is what else happens to a frame."""

    hears: Callable[[bytes], None] = lambda frame: None
    leg: MediaLeg | None = None
    frames: list[bytes] = field(default_factory=list)
    digits: str = ""
    marks: list[tuple[str, bool]] = field(default_factory=list)
    why: str = ""
    keeps: bool = True
    answers: bool = True
    """Whether the leg is answered as soon as it is there."""
    watch: Watch = field(default_factory=Watch)

    def arrived(self, leg: MediaLeg) -> None:
        self.leg = leg
        if self.answers:
            leg.answer()
        self.watch.changed()

    def audio(self, frame: bytes) -> None:
        if self.keeps:
            self.frames.append(frame)
            self.watch.changed()
        self.hears(frame)

    def digit(self, digit: str) -> None:
        self.digits += digit
        self.watch.changed()

    def mark(self, name: str, heard: bool) -> None:
        self.marks.append((name, heard))
        self.watch.changed()

    def gone(self, why: str) -> None:
        assert not self.why, "told twice that it is over"
        self.why = why
        self.watch.changed()

    async def until(self, holds: Callable[[RecordingEar], bool], what: str, within_s: float = 20.0) -> None:
        await self.watch.until(
            lambda: holds(self),
            within_s=within_s,
            what=what,
            seen=lambda: (self.leg is not None, len(self.frames), self.digits, self.marks, self.why),
        )

    async def talks(self) -> MediaLeg:
        """The leg, once the caller's sound arrives."""
        await self.until(lambda ear: len(ear.frames) > 0, "the caller's first frame")
        assert self.leg is not None
        return self.leg


Port = WebSocketPort | AudioSocketPort


@dataclass(slots=True)
class MediaWorld:
    """A switch, one port, one outside phone."""

    switch: EmbeddedSwitch
    port: Port
    phone: SipPhone

    def dial(self, ear: RecordingEar, codec: Codec = Codec.ULAW, **how: object) -> OutgoingCall:
        """A caller's call straight to the port."""
        token = secrets.token_hex(16)
        self.port.expect(token, codec, ear, 20.0)
        return self.dial_string(self.port.dial_string(token, codec), **how)

    def dial_string(self, text: str, **how: object) -> OutgoingCall:
        to = (self.switch.address.sip_host, self.switch.address.sip_port)
        return self.phone.call(
            Dial("+15550001000", to, CALLER, headers=(("X-Dial", text),), **how)  # type: ignore[arg-type]
        )

    async def talks(
        self, ear: RecordingEar, codec: Codec = Codec.ULAW, **how: object
    ) -> tuple[OutgoingCall, MediaLeg]:
        """A call that is up, with sound both ways."""
        call = self.dial(ear, codec, **how)
        await call.reaches(CallState.ANSWERED)
        leg = await ear.talks()
        await call.stream.until(lambda: len(call.stream.packets) > 0, within_s=15.0, what="sound")
        return call, leg


def payloads(packets: list[Packet]) -> list[bytes]:
    """The caller's payloads in the order of their arrival."""
    return [packet.payload for packet in packets if packet.payload_type == 0]


async def make_port(driver: str, yard: Yard | None = None) -> tuple[Port, tuple[str, int]]:
    """A port that listens on a free one."""
    port: Port
    if driver == "websocket":
        port = WebSocketPort(abilities_of((22, 10, 1)), yard=yard)
    else:
        port = AudioSocketPort(yard=yard)
    return port, await port.start("127.0.0.1", 0)


@asynccontextmanager
async def running_media(folder: Path, driver: str, yard: Yard | None = None) -> AsyncIterator[MediaWorld]:
    """Everything up, on free ports."""
    port, address = await make_port(driver, yard)
    carrier_port = free_sip_port(CARRIER)
    plan = SwitchPlan((Trunk("carrier", CARRIER, carrier_port, identify=(CARRIER,)),))
    try:
        templates = static_templates(folder, MEDIA_DIALPLAN)
        async with (
            running_switch(folder, plan, templates=templates, media=address) as switch,
            await SipPhone.open(CARRIER, carrier_port, name="carrier") as phone,
        ):
            yield MediaWorld(switch, port, phone)
    finally:
        await port.close()
