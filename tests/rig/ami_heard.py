"""Everything a link told its listener, in the order it was told, and a way to wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from dialplan.ami.backoff import BackOff
from dialplan.ami.client import AmiAddress, AmiLink, LinkDown, LinkSettings, LinkUp
from dialplan.ami.wire import Message
from tests.rig.fake_ami import FakeAmi

SOON = BackOff(base_s=0.01, cap_s=0.02, floor_s=0.005)
SETTINGS = LinkSettings(away=SOON, refused=SOON, stable_s=0.0)


@dataclass(eq=False)
class Heard:
    """A listener that remembers. ``on_up_does`` and ``on_event_does`` run inside the callbacks."""

    all: list[Message | LinkUp | LinkDown] = field(default_factory=list)
    on_up_does: Callable[[LinkUp], Awaitable[None]] | None = None
    on_event_does: Callable[[Message], None] | None = None
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def events(self) -> list[str]:
        return [told.name for told in self.all if isinstance(told, Message)]

    @property
    def messages(self) -> list[Message]:
        return [told for told in self.all if isinstance(told, Message)]

    @property
    def ups(self) -> list[LinkUp]:
        return [told for told in self.all if isinstance(told, LinkUp)]

    @property
    def downs(self) -> list[LinkDown]:
        return [told for told in self.all if isinstance(told, LinkDown)]

    def on_event(self, message: Message) -> None:
        self.all.append(message)
        self._news.set()
        if self.on_event_does is not None:
            self.on_event_does(message)

    async def on_up(self, link_up: LinkUp) -> None:
        self.all.append(link_up)
        self._news.set()
        if self.on_up_does is not None:
            await self.on_up_does(link_up)

    def on_down(self, link_down: LinkDown) -> None:
        self.all.append(link_down)
        self._news.set()

    async def until(self, held: Callable[[Heard], bool], *, within_s: float = 30.0) -> None:
        """Wait until ``held(self)``; asked again whenever something new was told."""
        async with asyncio.timeout(within_s):
            while not held(self):
                self._news.clear()
                await self._news.wait()


def link_to(
    ami: FakeAmi, heard: Heard, settings: LinkSettings = SETTINGS, *, secret: str = "s3cret", host: str = ""
) -> AmiLink:
    """A link of role ``ctl`` to the fake switch, with short back-off."""
    return AmiLink(
        "ctl",
        AmiAddress(host or "127.0.0.1", ami.port, "gw-ctl", secret),
        rng=lambda: 0.5,
        on_event=heard.on_event,
        on_up=heard.on_up,
        on_down=heard.on_down,
        settings=settings,
    )
