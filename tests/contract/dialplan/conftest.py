"""Each port's adapters side by side: the stand-in, and what stands in production."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from dialplan.ami.client import AmiLink
from dialplan.ami.switch import AmiSwitch
from dialplan.fakes import FakeSwitch, MemoryCallStore
from dialplan.ports import CallStore, Switch
from gateway.storage.calls import CallRepository
from gateway.storage.cursors import Cursors
from gateway.storage.database import Database
from gateway.storage.memory import open_memory
from telephony.errors import OutcomeUnknown
from telephony.ids import ChannelId
from tests.rig.ami_heard import Heard, link_to
from tests.rig.fake_ami import Asked, FakeAmi, FakeSession, list_channels, obey, silent


@pytest.fixture(params=["stand-in", "sqlite", "memory database"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[CallStore]:
    """An empty store of calls."""
    if request.param == "stand-in":
        yield MemoryCallStore()
        return
    cursors = Cursors(b"a secret of the tests, 32 bytes!!")
    if request.param == "sqlite":
        database = await Database.open(f"sqlite:///{tmp_path / 'calls.db'}")
        await database.migrate()
    else:
        database = open_memory()
    yield CallRepository(database, cursors)
    await database.close()


@dataclass
class Bench(ABC):
    """A switch under test, and the hands that act on its other side."""

    switch: Switch

    @abstractmethod
    def channels(self, *up: tuple[str, bool]) -> None:
        """The switch has these channels, and no others."""

    @abstractmethod
    def mute(self, verb: str) -> None:
        """Whatever answers this verb is lost."""

    @abstractmethod
    async def vanish(self) -> None:
        """The switch is out of reach."""


@dataclass
class FakeBench(Bench):
    fake: FakeSwitch

    def channels(self, *up: tuple[str, bool]) -> None:
        self.fake.channels.clear()
        for name, answered in up:
            self.fake.exist(ChannelId(name), up=answered)

    def mute(self, verb: str) -> None:
        self.fake.fail(verb, OutcomeUnknown(), carried_out=True)

    async def vanish(self) -> None:
        self.fake.ready = False


@dataclass
class AmiBench(Bench):
    ami: FakeAmi
    heard: Heard
    links: Sequence[AmiLink]

    def channels(self, *up: tuple[str, bool]) -> None:
        self.ami.channels = tuple(
            (
                ("Uniqueid", name),
                ("Linkedid", name),
                ("ChannelState", "6" if answered else "5"),
                ("Application", "Dial"),
            )
            for name, answered in up
        )

    def mute(self, verb: str) -> None:
        names = {
            "originate": ["Originate"],
            "hang_up": ["Hangup"],
            "redirect": ["Redirect"],
            "play_digit": ["PlayDTMF"],
            "turn_tape": ["MixMonitor", "StopMixMonitor", "MixMonitorMute"],
            "live_channels": ["CoreShowChannels"],
        }
        for name in names[verb]:
            self.ami.script[name] = silent
        self.switch = switch_over(self.links, deadline_s=0.05)

    async def vanish(self) -> None:
        await self.ami.close()
        await self.heard.until(lambda heard: len(heard.downs) >= 2)


def switch_over(links: Sequence[AmiLink], deadline_s: float = 30.0) -> AmiSwitch:
    return AmiSwitch(*links, recordings_dir="/recordings", deadline_s=deadline_s)


async def _only_known(session: FakeSession, asked: Asked) -> None:
    """Asterisk's answer to an action on a channel that is not there."""
    known = {dict(channel)["Uniqueid"] for channel in session.server.channels}
    if asked["Channel"] in known:
        await obey(session, asked)
    else:
        session.reply(asked, "Error", ("Message", "No such channel"))


async def _listing(session: FakeSession, asked: Asked) -> None:
    list_channels(session, asked)


@asynccontextmanager
async def ami_bench() -> AsyncIterator[AmiBench]:
    async with FakeAmi() as ami:
        ami.script |= {"Hangup": _only_known, "CoreShowChannels": _listing}
        ami.script |= dict.fromkeys(("MixMonitor", "StopMixMonitor", "MixMonitorMute"), _only_known)
        ami.script |= dict.fromkeys(("Redirect", "PlayDTMF"), _only_known)
        heard = Heard()
        links = [link_to(ami, heard) for _ in range(2)]
        for link in links:
            await link.start()
            await link.wait_up(30)
        yield AmiBench(switch_over(links), ami, heard, links)
        for link in links:
            await link.stop()


@pytest.fixture
async def ami() -> AsyncIterator[AmiBench]:
    """The production switch before a scriptable AMI server."""
    async with ami_bench() as made:
        yield made


@pytest.fixture(params=["stand-in", "ami"])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    """A switch that is up and has no channels."""
    if request.param == "stand-in":
        fake = FakeSwitch(obeys=False)
        yield FakeBench(fake, fake)
    else:
        async with ami_bench() as made:
            yield made
