"""``patchbay tail``: every call's events as they happen, one readable line each."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from gateway.cli.api import connect
from gateway.cli.call import Key
from gateway.cli.following import Tail, follow_all
from gateway.config import current_settings

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def tail(
    reveal: Annotated[bool, typer.Option("--reveal", help="Whole numbers instead of masked ones.")] = False,
    key: Key = None,
) -> None:
    """Follow what happens until Ctrl-C. Calls that are live already are told from now on."""
    try:
        asyncio.run(_follow(reveal, key))
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


async def _follow(reveal: bool, key: str | None) -> None:
    async with connect(current_settings(), key) as api:
        followed = Tail(api, typer.echo, reveal=reveal)
        live = await followed.begin()
        _warn(f"following; {live} live now. Ctrl-C ends this.")
        await follow_all(followed, _warn)


def _warn(line: str) -> None:
    typer.echo(line, err=True)
