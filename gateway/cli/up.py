"""``patchbay up``: the whole stack on this machine, until it is told to stop."""

from __future__ import annotations

import asyncio
import signal

import typer
import uvloop

from gateway.bootstrap import FirstKey, ensure_first_key
from gateway.clocks import SystemClock, new_id, random_bytes
from gateway.config import Settings, current_settings
from gateway.stack import Stack, base_url

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def up() -> None:
    """Start Redis, Asterisk and the gateway; print where they are; stop them on Ctrl-C or SIGTERM."""
    uvloop.run(run(current_settings()))


async def run(settings: Settings) -> None:
    """Keep the stack up until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    for name in settings.unknown_variables:
        typer.echo(f"warning: {name} means nothing; see docs/operations.md", err=True)
    key = await ensure_first_key(settings, SystemClock(), new_id("key"), random_bytes(32))
    stack = Stack(settings, typer.echo)
    try:
        await stack.start()
        _welcome(stack, settings, key)
        await stop.wait()
        typer.echo("stopping")
    finally:
        await stack.stop()


def _welcome(stack: Stack, settings: Settings, key: FirstKey) -> None:
    root = base_url(settings)
    typer.echo("")
    typer.echo(f"API         {root}/api/v1  (also {root}/v1/voice)")
    typer.echo(f"key         {key.text}")
    typer.echo(f"docs        {root}/docs")
    typer.echo(f"health      {root}/readyz   metrics {root}/metrics")
    if stack.switch is not None:
        address = stack.switch.address
        typer.echo(f"SIP         {address.sip_host}:{address.sip_port} (UDP and TCP)")
    if stack.livekit is not None:
        typer.echo(f"rooms       {stack.livekit.address.url} (LiveKit)")
    for trunk in stack.plan.trunks:
        typer.echo(f"trunk       {trunk.name} at {trunk.host}:{trunk.port}")
    for phone in stack.plan.phones:
        typer.echo(f"softphone   user {phone.name}, password {phone.password.reveal()}")
    typer.echo(f"plan        {stack.plan_path}")
    typer.echo(f"logs        {settings.var_dir / 'log'}")
    typer.echo("")
    typer.echo("Ctrl-C stops everything.")
