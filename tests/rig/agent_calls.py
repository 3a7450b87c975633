"""A voice engine whose calls may go to agents: the real media port, and an ear in each agent's place."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from dialplan.core.call import AgentSocket, Connect, Phone, Route, Trunk
from dialplan.core.moving import why_not
from dialplan.core.routing import RouteFacts
from dialplan.ports import PlaceCall
from gateway.trial.sip_call import CallState
from gateway.trial.sip_incoming import IncomingCall
from gateway.trial.sip_outgoing import OutgoingCall
from telephony.ids import CallId
from telephony.numbers import E164
from tests.rig.media import Port, RecordingEar, make_port
from tests.rig.voice import OURS, Voice, running_voice
from voice_agents.core.audio import Codec
from voice_agents.media.websocket_port import WebSocketPort

CLI = E164("+12025550100")
PERSON = Connect(Trunk(E164("+14155559000"), "carrier"), CLI)
NOWHERE = Connect(Phone("nobody"), CLI)
_COMES_S = 20.0


@dataclass(slots=True)
class AgentCalls:
    """``voice`` is the engine with its far ends, ``port`` where agents' sound arrives."""

    voice: Voice
    port: Port

    @property
    def waits(self) -> bool:
        """Whether an agent's channel goes up only when its agent says so."""
        return isinstance(self.port, WebSocketPort)

    def route(self, ear: RecordingEar, codec: Codec = Codec.ULAW) -> Connect:
        """A route to an agent with this ear: its token can be used once."""
        token = secrets.token_hex(16)
        self.port.expect(token, codec, ear, _COMES_S)
        return Connect(AgentSocket(self.port.dial_string(token, codec), "agt_1"), CLI)

    def stranger(self) -> Connect:
        """A route to an agent whose token nobody knows: its socket is refused."""
        dial = self.port.dial_string(secrets.token_hex(16), Codec.ULAW)
        return Connect(AgentSocket(dial, "agt_2"), CLI)

    def facts(self, route: Route) -> RouteFacts:
        return RouteFacts(OURS, route, ring_timeout_s=8, agent_id="agt_1", agent_version=2)

    async def talks(self, ear: RecordingEar, **how: object) -> tuple[OutgoingCall, CallId]:
        """An outside caller who talks with an agent."""
        self.voice.book.first = self.facts(self.route(ear))
        caller = self.voice.dial(**how)
        call_id = await self.voice.call_id()
        await caller.reaches(CallState.ANSWERED)
        await ear.talks()
        await self.joined(call_id)
        return caller, call_id

    async def places(self, ear: RecordingEar) -> tuple[IncomingCall, CallId]:
        """A person outside who was called, and talks with an agent."""
        wanted = PlaceCall(
            OURS,
            "key_1",
            E164("+14155559001"),
            CLI,
            self.route(ear).endpoint,
            agent_id="agt_1",
            agent_version=2,
        )
        self.voice.expect_call()
        call = await self.voice.engine.director.place(wanted)
        person = await self.voice.carrier.receives(within_s=20.0)
        await ear.talks()
        await self.joined(call.id)
        return person, call.id

    async def joined(self, call_id: CallId) -> None:
        """Until the gateway has heard that it is: sound and the switch's events come by different ways."""
        live = self.voice.engine.director.live
        async with asyncio.timeout(20.0):
            while (call := live(call_id)) is None or why_not(call):  # noqa: ASYNC110 - it is told to nobody
                await asyncio.sleep(0.005)


@asynccontextmanager
async def running_agent_calls(folder: Path, driver: str) -> AsyncIterator[AgentCalls]:
    """Everything up, on free ports."""
    port, address = await make_port(driver)
    try:
        async with running_voice(folder, address) as voice:
            yield AgentCalls(voice, port)
    finally:
        await port.close()
