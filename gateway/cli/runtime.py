"""``patchbay runtime``: fetch the server programs, show which ones serve."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from gateway.config import current_settings
from gateway.runtime.livekit_program import NAME, NO_ROOMS, find_livekit, provide_livekit
from gateway.runtime.programs import describe, find_tools, line_of, provision

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="The server programs of this machine.",
)


@app.command()
def fetch(
    renew: Annotated[bool, typer.Option(help="Make the private prefix anew, for newer packages.")] = False,
) -> None:
    """Find Asterisk, Redis, SIPp and espeak-ng, or fetch them into the private prefix; find LiveKit's server,
    or build it where Go is. No root needed."""
    began = time.monotonic()
    settings = current_settings()
    tools = provision(settings, say, renew=renew)
    for line in describe(tools):
        say(f"runtime: {line}")
    livekit = provide_livekit(settings, say)
    if livekit is not None:
        say(f"runtime: {line_of(livekit)}")
    say(f"runtime: ready in {time.monotonic() - began:.1f} s")


@app.command()
def show() -> None:
    """Say which programs serve and where the private prefix is; fetches nothing."""
    settings = current_settings()
    tools = find_tools(settings, say)
    for line in describe(tools):
        say(line)
    livekit = find_livekit(settings, say)
    say(line_of(livekit) if livekit is not None else f"{NAME} is not here: {NO_ROOMS}")
    if tools.prefix is not None:
        say(f"prefix {tools.prefix.root.parent}")


def say(line: str) -> None:
    """A line for a person, at once."""
    print(line, flush=True)
