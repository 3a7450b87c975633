"""One fake switch, one listener, one link per test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest

from dialplan.ami.client import AmiLink, LinkSettings
from tests.rig.ami_heard import SETTINGS, Heard, link_to
from tests.rig.fake_ami import FakeAmi


@pytest.fixture
async def ami() -> AsyncIterator[FakeAmi]:
    async with FakeAmi() as server:
        yield server


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
async def new_link(ami: FakeAmi, heard: Heard) -> AsyncIterator[Callable[..., AmiLink]]:
    """Makes links that are stopped at the end of the test, whatever became of them."""
    made: list[AmiLink] = []

    def make(settings: LinkSettings = SETTINGS, **changed: str) -> AmiLink:
        made.append(link_to(ami, heard, settings, **changed))
        return made[-1]

    yield make
    for link in made:
        await link.stop()


@pytest.fixture
async def link(new_link: Callable[..., AmiLink]) -> AmiLink:
    """A link that is up."""
    link = new_link()
    await link.start()
    await link.wait_up(30)
    return link
