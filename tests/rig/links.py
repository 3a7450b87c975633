"""An AMI link of one role to a running switch, for a test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from dialplan.ami.client import AmiAddress, AmiLink, LinkDown, LinkSettings, LinkUp
from dialplan.ami.message import Message
from dialplan.ami.wire import AmiAction
from gateway.runtime.switch import SwitchAddress


@asynccontextmanager
async def ami_link(
    address: SwitchAddress, role: str, on_event: Callable[[Message], None] = lambda _: None
) -> AsyncIterator[AmiLink]:
    """Up, and closed afterwards."""

    async def up(link: LinkUp) -> None:
        """Nothing to do."""

    def down(link: LinkDown) -> None:
        """Nothing to do."""

    user, secret = address.users[role]
    link = AmiLink(
        role,
        AmiAddress(address.ami_host, address.ami_port, user, secret),
        rng=lambda: 0.5,
        on_event=on_event,
        on_up=up,
        on_down=down,
        settings=LinkSettings(events="system,call,user" if role == "events" else "system", boot_probe=False),
    )
    await link.start()
    try:
        await link.wait_up(30)
        yield link
    finally:
        await link.stop()


async def database(link: AmiLink, family: str) -> dict[str, str]:
    """What stands in this family of the switch's database, by key."""
    rows = await link.listing(AmiAction("DBGetTree", (("Family", family),)), deadline_s=20)
    prefix = f"/{family}/"
    return {
        row["Key"].removeprefix(prefix): row.get("Val") for row in rows if row.name == "DBGetTreeResponse"
    }


async def database_cleared(link: AmiLink, family: str) -> None:
    """Nothing stands in this family any more."""
    if await database(link, family):
        await link.act(AmiAction("DBDelTree", (("Family", family),)), deadline_s=20)
