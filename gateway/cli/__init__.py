"""The patchbay command.

Each subcommand is a module of this folder with a ``typer.Typer`` named ``app``; it is imported only when
it is called, so `patchbay runtime fetch` works before anything else does.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping, Sequence

import typer

from telephony.errors import PatchbayError

SUBCOMMANDS: Mapping[str, str] = {
    "up": "start the whole stack and keep it up",
    "demo": "tell the main stories on real servers, with simulated phones",
    "doctor": "check every server this needs, and say how to mend what is wrong",
    "runtime": "fetch and show the server programs",
    "call": "place, watch and end calls",
    "numbers": "the numbers a tenant owns",
    "session": "masking sessions: two people who never learn each other's number",
    "pool": "the proxy numbers of masking sessions",
    "prompts": "sounds of your own that calls can play",
    "keys": "API keys",
    "tail": "follow what happens",
    "simulate": "play a carrier for texts, with the faults that are asked for",
}
"""Name → one line of help. The module is ``gateway.cli.<name>``."""
_PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


def build() -> typer.Typer:
    """The command with every subcommand whose module is there."""
    app = typer.Typer(name="patchbay", no_args_is_help=True, add_completion=False, rich_markup_mode=None)

    @app.callback()
    def patchbay() -> None:
        """A telephony gateway over a real Asterisk."""

    for name, line in SUBCOMMANDS.items():
        if importlib.util.find_spec(f"gateway.cli.{name}") is not None:
            app.command(name, help=line, context_settings=dict(_PASS_ON))(_late(name))
    return app


def _late(name: str) -> Callable[[typer.Context], None]:
    def run(context: typer.Context) -> None:
        app: typer.Typer = importlib.import_module(f"gateway.cli.{name}").app
        app(args=list(context.args), prog_name=f"patchbay {name}", standalone_mode=True)

    return run


def main(args: Sequence[str] | None = None) -> None:
    """Run the command; an error of ours is one line on stderr and exit code 1."""
    try:
        build()(args=None if args is None else list(args))
    except PatchbayError as failure:
        print(f"patchbay: {failure.message}", file=sys.stderr)
        sys.exit(1)
