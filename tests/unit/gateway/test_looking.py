"""The look at the switch after its events were away: it is done in the end, however it begins."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import cast

import pytest

from dialplan.ami.client import LinkUp
from dialplan.fakes import FakeArchive, FakeEndings, FixedBook, ManualClock, MemoryCallStore
from gateway.wiring_voice import SwitchDoor, VoiceEngine, VoiceParts
from telephony.errors import SwitchUnavailable
from tests.unit.dialplan.virtual_time import in_virtual_time

pytestmark = pytest.mark.unit

UP = cast(LinkUp, SimpleNamespace(boot_epoch="1", asterisk_version="22.10.1"))
Look = Callable[[], Awaitable[None]]


class UpLink:
    """A link that is up and knows of no call that was joined while we were away."""

    async def wait_up(self, deadline_s: float) -> LinkUp:
        return UP

    async def stop(self) -> None:
        """Nothing was opened."""


def engine(look: Look) -> VoiceEngine:
    """An engine whose director looks so."""
    made = VoiceEngine(
        SwitchDoor(
            "127.0.0.1", 1, {"events": ("e", "x"), "control": ("c", "x"), "recording": ("r", "x")}, ""
        ),
        VoiceParts(
            store=MemoryCallStore(),
            book=FixedBook({}),
            archive=FakeArchive(),
            endings=FakeEndings(),
            now=ManualClock().now,
            new_id=lambda prefix: prefix,
            chance=lambda: 0.5,
            trunk_for=lambda number: "carrier",
            trunk_limits={},
        ),
    )
    made.links |= {"control": UpLink(), "recording": UpLink()}  # type: ignore[dict-item]

    async def none_joined() -> int:
        return 0

    async def looks(*, restarted: bool) -> None:
        await look()

    made.adoption.take_up_all = none_joined  # type: ignore[method-assign]
    made.director.look = looks  # type: ignore[method-assign]
    return made


def fails_first(error: Exception) -> Look:
    left = [error]

    async def look() -> None:
        if left:
            raise left.pop()

    return look


@in_virtual_time
async def test_events_wait_for_the_look() -> None:
    voice = engine(lambda: asyncio.sleep(3))
    await voice._on_events_up(UP)
    assert voice.looked
    assert asyncio.get_running_loop().time() == pytest.approx(3)


@in_virtual_time
async def test_a_look_that_takes_long_goes_on_behind_the_events() -> None:
    voice = engine(lambda: asyncio.sleep(45))
    await voice._on_events_up(UP)
    assert asyncio.get_running_loop().time() == pytest.approx(20)
    assert not voice.looked
    await asyncio.sleep(26)
    assert voice.looked


@pytest.mark.parametrize("error", [SwitchUnavailable("away"), RuntimeError("a fault of ours")])
@in_virtual_time
async def test_a_look_that_fails_or_breaks_is_repeated(error: Exception) -> None:
    voice = engine(fails_first(error))
    await voice._on_events_up(UP)
    assert voice.looked
    assert asyncio.get_running_loop().time() == pytest.approx(1)


@in_virtual_time
async def test_a_link_that_falls_again_ends_the_look_that_goes_on() -> None:
    voice = engine(lambda: asyncio.sleep(45))
    await voice._on_events_up(UP)
    voice._on_events_down(cast("object", None))  # type: ignore[arg-type]
    await asyncio.sleep(60)
    assert not voice.looked
    await voice.stop()
