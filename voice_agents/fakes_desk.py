"""Stand-ins for what an agents' desk has around it: the call, the registry, the store, the world, tools."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from telephony.errors import StorageUnavailable, SwitchUnavailable
from voice_agents.core.agent import AgentSpec
from voice_agents.core.audio import Codec
from voice_agents.core.record import SessionRecord
from voice_agents.core.talk import CallTool, ToolResult
from voice_agents.ports import Voicing


@dataclass
class FakeControl:
    """Fits ``voice_agents.ports.CallControl``. ``done`` lists what was asked for, with ``now``'s time.
    ``on_hang_up`` ends the call's legs, as the switch would; ``outcome`` is what a transfer comes to after
    ``rings_s``, on which ``on_transfer`` takes the caller away; ``away``: nothing works."""

    now: Callable[[], float]
    done: list[tuple[float, str, str, str]] = field(default_factory=list)
    on_hang_up: Callable[[str], None] = lambda call_id: None
    on_transfer: Callable[[str], None] = lambda call_id: None
    outcome: str = "completed"
    rings_s: float = 2.0
    away: bool = False

    def of(self, verb: str, call_id: str = "") -> list[tuple[float, str]]:
        """When this was done, and with what."""
        return [(at, what) for at, v, call, what in self.done if v == verb and call_id in ("", call)]

    def _note(self, verb: str, call_id: str, what: str) -> None:
        self.done.append((self.now(), verb, call_id, what))
        if self.away:
            raise SwitchUnavailable

    async def hang_up(self, call_id: str, why: str) -> None:
        self._note("hang_up", call_id, why)
        self.on_hang_up(call_id)

    async def transfer(self, call_id: str, to: str, ring_timeout_s: int) -> str:
        self._note("transfer", call_id, to)
        self.on_transfer(call_id)
        await asyncio.sleep(self.rings_s)
        return self.outcome

    async def send_digits(self, call_id: str, digits: str) -> None:
        self._note("digits", call_id, digits)
        await asyncio.sleep(0.25 * len(digits))


class FakeBook:
    """Fits ``voice_agents.ports.AgentBook``: the agents it was given."""

    def __init__(self, *specs: AgentSpec) -> None:
        self._specs = {(spec.tenant, spec.id, spec.version): spec for spec in specs}

    def add(self, spec: AgentSpec) -> None:
        self._specs[spec.tenant, spec.id, spec.version] = spec

    async def agent(self, tenant: str, agent_id: str, version: int | None = None) -> AgentSpec | None:
        found = [s for (t, i, v), s in self._specs.items() if (t, i) == (tenant, agent_id)]
        if version is not None:
            return next((spec for spec in found if spec.version == version), None)
        return max(found, key=lambda spec: spec.version, default=None)


class FakeSessionStore:
    """Fits ``voice_agents.ports.SessionStore``. ``saves`` counts; ``away`` refuses."""

    def __init__(self) -> None:
        self.kept: dict[str, SessionRecord] = {}
        self.saves = 0
        self.away = False

    async def save(self, record: SessionRecord) -> None:
        await asyncio.sleep(0)
        if self.away:
            raise StorageUnavailable
        self.saves += 1
        self.kept[record.id] = record


class FakeAnnouncer:
    """Fits ``voice_agents.ports.Announcer``."""

    def __init__(self) -> None:
        self.told: list[tuple[str, SessionRecord, dict[str, str | int | bool]]] = []

    def publish(self, event: str, session: SessionRecord, detail: Mapping[str, str | int | bool]) -> None:
        self.told.append((event, session, dict(detail)))

    def events(self, call_id: str = "") -> list[str]:
        return [event for event, session, _ in self.told if call_id in ("", session.call_id)]


class FakeTools:
    """Fits ``voice_agents.ports.Tools``: each tool answers with its own name after ``takes_s``."""

    def __init__(self) -> None:
        self.called: list[CallTool] = []
        self.takes_s = 0.1

    async def call(
        self, spec: AgentSpec, session: SessionRecord, tool: CallTool, deadline_s: float
    ) -> ToolResult:
        self.called.append(tool)
        await asyncio.sleep(self.takes_s)
        return ToolResult(tool.id, True, f'"{tool.name}"')


class FakeDetector:
    """Fits ``voice_agents.ports.SpeechDetector``: what is not silence is speech, from ``min_ms`` on, until
    200 ms of silence."""

    def __init__(self, codec: Codec, min_ms: int) -> None:
        self._silence, self._needed = codec.silence, max(1, min_ms // 20)
        self._run = self._pause = 0
        self._speaking = False

    def feed(self, frame: bytes) -> Voicing | None:
        if frame != self._silence:
            self._run, self._pause = self._run + 1, 0
            if not self._speaking and self._run >= self._needed:
                self._speaking = True
                return Voicing(True, (self._needed - 1) * 20)
            return None
        self._pause += 1
        if self._pause >= 10 or not self._speaking:
            self._run = 0
        if self._speaking and self._pause >= 10:
            self._speaking = False
            return Voicing(False, 180)
        return None


class FakeDetectors:
    """Fits ``voice_agents.ports.Detectors``."""

    def detector(self, codec: Codec, min_ms: int) -> FakeDetector:
        return FakeDetector(codec, min_ms)
