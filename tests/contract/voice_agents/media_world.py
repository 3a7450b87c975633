"""Media ports and the switch's side of them, alike for both drivers and the fake."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from unittest.mock import patch

import aiohttp

from tests.rig.media import RecordingEar, make_port
from tests.rig.pretend_switch import Channel, dial_audiosocket, dial_websocket
from voice_agents.core import playout
from voice_agents.core.audio import Codec
from voice_agents.core.playout import Limits
from voice_agents.fakes_media import FakeLeg, FakeMediaPort
from voice_agents.media.leg import Yard
from voice_agents.media.watchdog import Watchdog
from voice_agents.ports import MediaLeg, MediaPort


@dataclass(slots=True)
class FakeChannel:
    """The fake's leg as the switch's side."""

    leg: FakeLeg

    @property
    def heard(self) -> list[bytes | None]:
        return list(self.leg.heard)

    @property
    def answered(self) -> bool:
        return self.leg.answered

    @property
    def up(self) -> bool:
        return not self.leg.gone

    async def says(self, frame: bytes) -> None:
        self.leg.says(frame)

    async def presses(self, digit: str) -> None:
        self.leg.presses(digit)

    async def hangs_up(self) -> None:
        self.leg.ends()


@dataclass(slots=True)
class PortWorld:
    """A port, and channels that come to it."""

    driver: str
    port: MediaPort
    address: tuple[str, int]
    http: aiohttp.ClientSession
    close: Callable[[], object]
    channels: list[Channel] = field(default_factory=list)

    @property
    def slack(self) -> int:
        """Frames that may be on their way to the pretended switch when they count as heard."""
        return 0 if self.driver == "fake" else 1

    async def dial(self, dialled: str, codec: Codec = Codec.ULAW) -> Channel | None:
        """The switch dials; None where it was not let in."""
        channel: Channel | None
        if isinstance(self.port, FakeMediaPort):
            leg = self.port.come(dialled.split("/")[1])
            channel = FakeChannel(leg) if leg is not None else None  # type: ignore[assignment]
        elif self.driver == "websocket":
            channel = await dial_websocket(self.http, self.address, dialled)
        else:
            channel = await dial_audiosocket(dialled, codec)
        if channel is not None:
            self.channels.append(channel)
        return channel

    async def talks(self, codec: Codec = Codec.ULAW) -> tuple[MediaLeg, Channel, RecordingEar]:
        """A channel that was let in."""
        ear, token = RecordingEar(), new_token()
        self.port.expect(token, codec, ear, 60.0)
        channel = await self.dial(self.port.dial_string(token, codec), codec)
        assert channel is not None
        await self.until(lambda: ear.leg is not None, "the leg")
        assert ear.leg is not None
        return ear.leg, channel, ear

    async def until(self, holds: Callable[[], bool], what: str, within_s: float = 30.0) -> None:
        """Wait while the call goes on; for the fake, frames pass as fast as they can."""
        deadline = asyncio.get_running_loop().time() + within_s
        while not holds():
            assert asyncio.get_running_loop().time() < deadline, f"not in {within_s} s: {what}"
            await self.passes(1)

    async def passes(self, frames: int) -> None:
        """So many frames of all calls go by."""
        if isinstance(self.port, FakeMediaPort):
            for leg in self.port.legs.values():
                leg.pass_ms(20 * frames)
            await asyncio.sleep(0)
        else:
            await asyncio.sleep(0.02 * frames)


@contextmanager
def patient() -> Iterator[None]:
    """The pretended switch is of this process: while that stands still, so does the switch, whose word about
    its queue is then waited for."""
    with patch.object(playout, "FREEZE_S", 30.0):
        yield


def new_token() -> str:
    return secrets.token_hex(12)


@asynccontextmanager
async def running_port(driver: str, limits: Limits | None = None) -> AsyncIterator[PortWorld]:
    async with aiohttp.ClientSession() as http:
        if driver == "fake":
            fake = FakeMediaPort(limits)

            def end_all() -> None:
                for leg in fake.legs.values():
                    leg.ends()

            yield PortWorld(driver, fake, ("", 0), http, end_all)
            return
        yard = Yard(limits or Limits(), watchdog=Watchdog(stall_s=60.0))
        port, address = await make_port(driver, yard)
        world = PortWorld(driver, port, address, http, port.close)
        with patient():
            try:
                yield world
            finally:
                for channel in world.channels:
                    await channel.hangs_up()
                await port.close()
