"""The agents' engine: the switch's media socket, lines to agents, and the desk, joined.

With ``gateway.wiring`` the only place that names adapters of the voice room.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

import structlog

from dialplan.core.call import Call
from dialplan.ports import RouteBook
from gateway.agent_announcer import AgentAnnouncer
from gateway.agent_control import PHONE, DirectedCalls, IntoRooms
from gateway.agent_reach import GuardedReach
from gateway.agent_routes import AgentRoutes
from gateway.agent_tools import ToolHooks
from gateway.agents_on_calls import AgentsOnCalls
from gateway.clocks import SystemClock, new_id, random_bytes
from gateway.config import Settings
from gateway.http.face import TenantLimits
from gateway.http.ports import PhoneBook
from gateway.masking_hooks import HOOK_LIMITS
from gateway.policy.attempt import Target
from gateway.policy.destination import describe
from gateway.policy.rules import check_target
from gateway.signed_hooks import SignedHooks, secrets_from
from gateway.speech_reach import GuardedSpeech
from gateway.storage.database import Database
from gateway.storage.numbers import NumberRepository
from gateway.storage.outbox import SqlOutbox
from gateway.storage.webhook_book import SqlEndpointBook
from gateway.webhooks.core.ssrf import Policy
from gateway.webhooks.poster import GuardedPoster
from gateway.wiring_speech import AgentSpeech
from gateway.wiring_voice import VoiceEngine
from telephony.errors import PatchbayError
from telephony.ids import CallId, TenantId
from voice_agents.builtin.receptionist import ReceptionLines
from voice_agents.core import control_token
from voice_agents.core.agent import AgentSpec
from voice_agents.core.audio import Codec
from voice_agents.core.record import AgentCall
from voice_agents.desk import AgentDesk
from voice_agents.lines.socket_line import SocketLines
from voice_agents.media.audiosocket_port import AudioSocketPort
from voice_agents.media.websocket_port import WebSocketPort
from voice_agents.ports import AgentBook, SessionStore, SpeechEar, SpeechFront, TextToSpeech
from voice_agents.providers.webrtc_vad import WebrtcDetectors
from voice_agents.speech.front import Fronts
from voice_agents.surroundings import Surroundings
from voice_agents.wire.asterisk import MediaAbilities, abilities_of, version_in

_log = structlog.get_logger("gateway.agents")
_DRAIN_S: Final = 10.0
"""How long a stop waits for agents to say goodbye. Other calls go on without us; these cannot."""
_TOKEN_BYTES: Final = 18


@dataclass(frozen=True, slots=True)
class AgentStores:
    """What is kept of agents, and of what their calls touch."""

    database: Database
    agents: AgentBook
    sessions: SessionStore
    numbers: NumberRepository
    endpoint_book: SqlEndpointBook
    outbox: SqlOutbox


@dataclass(frozen=True, slots=True)
class AgentParts:
    """What the engine stands on."""

    settings: Settings
    stores: AgentStores
    wake: Callable[[Sequence[str]], None]
    policy: Policy
    secret: bytes
    clock: SystemClock
    limits: TenantLimits
    phones: PhoneBook
    voice: TextToSpeech


class AgentEngine:
    """``book`` before the voice engine is made, ``attach`` after. At the end ``drain`` while calls can still
    be hung up, ``close`` once they are left to the switch, while what sessions left can still be stored."""

    def __init__(self, parts: AgentParts) -> None:
        self._parts = parts
        self._exits = AsyncExitStack()
        self._engine: VoiceEngine | None = None
        self.rooms: IntoRooms | None = None
        """Takes callers into video rooms, where there are some."""
        websocket = parts.settings.media_driver == "websocket"
        self.media = WebSocketPort(MediaAbilities()) if websocket else AudioSocketPort()
        now, stores = parts.clock.epoch, parts.stores
        self._reach = GuardedReach(parts.policy)
        self.announcer = AgentAnnouncer(stores.database, stores.outbox, parts.wake, now, self._url_of)
        self._poster = GuardedPoster(parts.policy, HOOK_LIMITS)
        secrets = secrets_from(stores.database, stores.endpoint_book, now)
        detectors = WebrtcDetectors()
        self._speech = AgentSpeech(parts.settings, parts.voice, now, parts.clock.mono)
        self._sounds = GuardedSpeech(parts.policy)
        around = Surroundings(
            lines=ReceptionLines(SocketLines(self._reach, wall=now)),
            media=self.media,
            control=_Later(self),
            book=stores.agents,
            store=stores.sessions,
            announcer=self.announcer,
            tools=ToolHooks(SignedHooks(self._poster, secrets, now, new_id)),
            now=now,
            new_id=new_id,
            new_token=lambda: random_bytes(_TOKEN_BYTES).hex(),
            control_token=self._control_token,
            detectors=detectors,
            fronts=_Warmed(
                Fronts(self._speech.voice, self._speech.hearing, detectors, fetch=self._sounds.sound),
                self._speech.warm,
            ),
            voice=self._speech.voice,
        )
        most = most_at_once(parts.settings)
        self.desk = AgentDesk(around, lambda tenant: most)
        self.on_calls = AgentsOnCalls(self.desk)

    def book(self, other: RouteBook) -> AgentRoutes:
        """The book of calls to agents in front of ``other``."""
        return AgentRoutes(other, self.desk, new_id)

    async def start(self) -> None:
        """Listen for the switch. What was begun is let go of by ``close``, also where this raises."""
        settings = self._parts.settings
        self._exits.callback(self._reach.close)
        self._exits.push_async_callback(self._poster.close)
        await self.media.start(settings.media_host, settings.media_port)
        self._exits.push_async_callback(self.media.close)
        self.announcer.start()
        self._exits.push_async_callback(self.announcer.stop)
        self._exits.push_async_callback(self._speech.close)
        self._exits.push_async_callback(self._sounds.close)
        self._exits.push_async_callback(self.desk.close)

    def attach(self, engine: VoiceEngine) -> None:
        """From now on sessions do things to calls, and hear of them."""
        self._engine = engine
        self.on_calls.calls = engine.director
        engine.director.on_change(self.on_calls.heard)
        engine.on_version = self._version_read

    async def drain(self) -> None:
        """Agents on calls are told, and may say goodbye; no new ones are taken."""
        await self.desk.drain(_DRAIN_S)

    async def close(self) -> None:
        """Let go of everything; what is still to be told is stored first."""
        await self._exits.aclose()

    @property
    def speech_away(self) -> Mapping[str, bool]:
        """Speech services that are chosen, and whether an offline engine stands in."""
        return self._speech.away

    @property
    def documents(self) -> GuardedPoster:
        """Fetches what a bot's address answers."""
        return self._poster

    @property
    def control(self) -> DirectedCalls:
        """What sessions may do to calls. Raises PatchbayError before the switch is attached."""
        if self._engine is None:
            raise PatchbayError("the switch is not attached")
        return DirectedCalls(self._engine.director, self._permits, self.rooms)

    def _version_read(self, text: str) -> None:
        """The media driver's abilities follow from the switch's version."""
        version = version_in(text)
        if version is None or not isinstance(self.media, WebSocketPort):
            return
        try:
            self.media.abilities = abilities_of(version)
        except PatchbayError as error:
            _log.error("agents.switch_too_old", why=error.message)

    def _url_of(self, call_id: str) -> str | None:
        call = None if self._engine is None else self._engine.director.live(CallId(call_id))
        return None if call is None else call.terms.webhook_url

    def _control_token(self, call: AgentCall, longest_s: int) -> str:
        until = int(self._parts.clock.epoch()) + longest_s + control_token.GRACE_S
        opens = control_token.Control(TenantId(call.tenant), CallId(call.call_id), until)
        return control_token.issue(self._parts.secret, opens)

    async def _permits(self, call: Call, to: str) -> bool:
        """What policy lets anybody of this tenant call. The agent's own list was looked at before."""
        tenant, parts = call.terms.tenant, self._parts
        if to.startswith(PHONE):
            return parts.phones.knows(tenant, to.removeprefix(PHONE))
        destination = describe(to)
        number = destination.number
        ours = number is not None and await parts.stores.numbers.find_owned(tenant, number) is not None
        try:
            check_target(Target("to", destination, ours), await parts.limits.of(tenant))
        except PatchbayError as error:
            _log.warning("transfer.refused", call_id=call.id, code=error.code)
            return False
        return True


def most_at_once(settings: Settings) -> int:
    """How many calls with agents a tenant may have at once."""
    own, all_calls = settings.agent_calls_per_tenant, settings.max_concurrent_calls
    return min(own, all_calls) if own else all_calls


class _Warmed:
    """Fronts whose ears are loaded when the first is made: while the telephone rings, and where no agent
    needs them, never. Fits ``voice_agents.ports.SpeechFronts``."""

    def __init__(self, fronts: Fronts, warm: Callable[[], Awaitable[None]]) -> None:
        self._fronts = fronts
        self._warm = warm
        self._warming: asyncio.Task[None] | None = None

    def front(self, spec: AgentSpec, codec: Codec, ear: SpeechEar) -> SpeechFront:
        if self._warming is None:
            self._warming = asyncio.create_task(self._load(), name="speech-warm")
        return self._fronts.front(spec, codec, ear)

    async def _load(self) -> None:
        try:
            await self._warm()
        except PatchbayError as error:
            _log.warning("speech.not_warm", code=error.code)


class _Later:
    """The calls' control, which is there once the switch is. Fits ``voice_agents.ports.CallControl``."""

    def __init__(self, engine: AgentEngine) -> None:
        self._engine = engine

    async def hang_up(self, call_id: str, why: str) -> None:
        await self._engine.control.hang_up(call_id, why)

    async def transfer(self, call_id: str, to: str, ring_timeout_s: int) -> str:
        return await self._engine.control.transfer(call_id, to, ring_timeout_s)

    async def send_digits(self, call_id: str, digits: str) -> None:
        await self._engine.control.send_digits(call_id, digits)
