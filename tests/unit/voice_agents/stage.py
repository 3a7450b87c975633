"""A desk among stand-ins, with callers and agents that can be told what to do, in virtual time.

Every 20 ms each call's leg plays a frame and, where the caller's line is open, brings one.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from voice_agents.core.agent import AgentSpec
from voice_agents.core.audio import Codec
from voice_agents.core.record import AgentCall, SessionRecord
from voice_agents.core.talk import Audio, Told
from voice_agents.desk import AgentDesk, Prepared
from voice_agents.fakes import FakeSpeech
from voice_agents.fakes_desk import (
    FakeAnnouncer,
    FakeBook,
    FakeControl,
    FakeDetectors,
    FakeSessionStore,
    FakeTools,
)
from voice_agents.fakes_lines import FakeAgentLine, FakeLines
from voice_agents.fakes_media import FakeLeg, FakeMediaPort
from voice_agents.fakes_speech import FakeFront, FakeFronts
from voice_agents.ports import AgentLines
from voice_agents.surroundings import Surroundings

FRAME_S = 0.02
CALL = AgentCall("call_1", "ten_1", "agt_1", "inbound", "+12025550100", "+14155552671")


def tone(codec: Codec, ms: int, octet: int = 0x11) -> bytes:
    """Sound of a kind of its own: every octet the same."""
    return bytes((octet,)) * (codec.frame_bytes * ms // 20)


async def _at_once(path: Path) -> bytes:
    """Virtual time does not wait for threads."""
    return path.read_bytes()  # noqa: ASYNC240


@dataclass
class Caller:
    """A person on the line. ``speaks`` is the octet of the sound it makes now; 0: silence."""

    leg: FakeLeg
    speaks: int = 0
    sends: bool = True
    heard_at: list[tuple[float, int]] = field(default_factory=list)
    """When which sound reached the ear, by its octet, frame by frame; silence left out."""

    def frame(self) -> bytes:
        codec = self.leg.codec
        return tone(codec, 20, self.speaks) if self.speaks else codec.silence


class Stage:
    """``lines``: where agents are reached; the present line of a call is ``line_of``."""

    def __init__(
        self,
        *specs: AgentSpec,
        folder: Path | None = None,
        lines: AgentLines | None = None,
        most: int = 0,
    ) -> None:
        self.fronts = FakeFronts()
        self.loop = asyncio.get_running_loop()
        self.fake_lines = FakeLines()
        self.port = FakeMediaPort()
        self.control = FakeControl(self.now, on_hang_up=self._hung_up)
        self.store, self.world, self.tools = FakeSessionStore(), FakeAnnouncer(), FakeTools()
        self.book = FakeBook(*specs)
        numbers = itertools.count(1)
        self.voice = None if folder is None else FakeSpeech(folder)
        self.around = Surroundings(
            lines=self.fake_lines if lines is None else lines,
            media=self.port,
            control=self.control,
            book=self.book,
            store=self.store,
            announcer=self.world,
            tools=self.tools,
            now=self.now,
            new_id=lambda prefix: f"{prefix}_{next(numbers)}",
            new_token=lambda: f"token{next(numbers):020d}",
            detectors=FakeDetectors(),
            fronts=self.fronts,
            voice=self.voice,
            read=_at_once,
        )
        self.desk = AgentDesk(self.around, lambda tenant: most)
        self.callers: dict[str, Caller] = {}
        self._clock = self.loop.create_task(self._run())

    def now(self) -> float:
        return 1000.0 + self.loop.time()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(FRAME_S)
            for caller in list(self.callers.values()):
                self._pass_frame(caller)

    def _pass_frame(self, caller: Caller) -> None:
        leg, before = caller.leg, len(caller.leg.heard)
        leg.pass_ms(20)
        for frame in leg.heard[before:]:
            if frame != leg.codec.silence:
                caller.heard_at.append((self.now(), frame[0]))
        if caller.sends:
            leg.says(caller.frame())

    def _hung_up(self, call_id: str) -> None:
        caller = self.callers.get(call_id)
        if caller is not None:
            self.loop.call_later(0.05, caller.leg.ends)

    # ------------------------------------------------------------ beginnings

    async def prepare(self, call: AgentCall = CALL) -> Prepared:
        return await self.desk.prepare(call)

    def come(self, prepared: Prepared, call_id: str = "call_1") -> Caller:
        """The switch brings the call's sound."""
        leg = self.port.come(prepared.token)
        assert leg is not None, "the token was good"
        caller = self.callers[call_id] = Caller(leg)
        return caller

    async def talk(self, call: AgentCall = CALL) -> Caller:
        """A call whose agent is ready and whose caller is there."""
        prepared = await self.prepare(call)
        await self.pass_s(0.1)
        caller = self.come(prepared, call.call_id)
        await self.pass_s(0.1)
        return caller

    # ------------------------------------------------------------ what may be looked at

    @property
    def line(self) -> FakeAgentLine:
        """The line that was opened last."""
        return self.fake_lines.lines[-1]

    @property
    def front(self) -> FakeFront:
        """The speech front that was made last."""
        return self.fronts.fronts[-1]

    def told(self, *kinds: type[Told]) -> list[Told]:
        return [told for told in self.line.told if isinstance(told, kinds)]

    def session(self, call_id: str = "call_1") -> SessionRecord:
        """As it stands, or as it was kept."""
        live = self.desk.session_of(call_id)
        if live is not None:
            return live
        return next(record for record in self.store.kept.values() if record.call_id == call_id)

    def speak(self, ms: int, octet: int = 0x11) -> None:
        """The agent sends so much sound at once."""
        self.line.say(Audio(tone(self.line.begin.codec, ms, octet)))

    # ------------------------------------------------------------ time

    async def pass_s(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def until(self, holds: Callable[[], bool], most_s: float = 120.0) -> None:
        """Let time pass until this holds."""
        async with asyncio.timeout(most_s):
            while not holds():  # noqa: ASYNC110  # frame by frame, in virtual time
                await asyncio.sleep(FRAME_S)

    async def until_over(self, call_id: str = "call_1") -> SessionRecord:
        """Let the session end and its record be kept."""
        await self.until(lambda: self.desk.session_of(call_id) is None)
        return self.session(call_id)

    async def close(self) -> None:
        self._clock.cancel()
        await self.desk.close()


def other_call(number: int) -> AgentCall:
    return replace(CALL, call_id=f"call_{number}")
