"""``patchbay call``: place, watch and end calls, through the running gateway."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Annotated, Final, TypeVar
from urllib.parse import quote

import typer

from gateway.cli.api import ApiClient, Json, connect
from gateway.cli.following import follow_call
from gateway.cli.lines import call_line, call_story, ending
from gateway.config import current_settings

T = TypeVar("T")
app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
PROMPT: Final = "prompt:"

Key = Annotated[
    str | None, typer.Option(help="API key; else PATCHBAY_API_KEY, else the one `patchbay up` keeps.")
]
AsJson = Annotated[bool, typer.Option("--json", help="The API's own answer instead of lines.")]


@app.command()
def place(
    to: Annotated[str, typer.Argument(help="A number in E.164, or phone: and a phone's name.")],
    from_: Annotated[
        str | None, typer.Option("--from", help="One of your numbers; else your default.")
    ] = None,
    announce: Annotated[
        str | None, typer.Option(help="A text to speak, or prompt: and a stored prompt's name.")
    ] = None,
    connect_to: Annotated[
        str | None, typer.Option(help="Whom to join with: a number, or phone:NAME.")
    ] = None,
    record: Annotated[bool, typer.Option("--record", help="Record from the answer on.")] = False,
    follow: Annotated[bool, typer.Option("--follow", help="Tell what happens until it is over.")] = False,
    key: Key = None,
) -> None:
    """Call somebody. With --follow, exit code 1 unless the call was answered."""
    wanted = order(to, from_, announce, connect_to, record)

    async def work(api: ApiClient) -> Json:
        placed: Json = (await api.ask("POST", "/v1/voice/calls", wanted))["data"]
        typer.echo(f"{placed['id']} is {placed['status']}")
        return await follow_call(api, placed, typer.echo) if follow else placed

    call = run(work, key)
    if follow:
        for recording in call["recordings"]:
            typer.echo(recording["url"] or f"{recording['id']} {recording['status']}")
        raise typer.Exit(0 if call["answered_at"] is not None else 1)


@app.command("list")
def list_calls(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 20,
    status: Annotated[str | None, typer.Option(help="Only calls with this status.")] = None,
    as_json: AsJson = False,
    key: Key = None,
) -> None:
    """Calls, newest first."""
    query = "" if status is None else f"&status={quote(status, safe='')}"
    calls = run(lambda api: api.calls(query, limit), key)
    typer.echo(
        json.dumps(calls, indent=1, ensure_ascii=False) if as_json else "\n".join(map(call_line, calls))
    )


@app.command()
def show(call_id: str, as_json: AsJson = False, key: Key = None) -> None:
    """One call and its timeline."""

    async def work(api: ApiClient) -> tuple[Json, list[Json]]:
        return await api.call(call_id), await api.events(call_id)

    call, events = run(work, key)
    told = {**call, "events": events}
    typer.echo(json.dumps(told, indent=1, ensure_ascii=False) if as_json else call_story(call, events))


@app.command()
def hangup(call_id: str, key: Key = None) -> None:
    """End a call, whatever its state."""

    async def work(api: ApiClient) -> Json:
        known = await api.call(call_id)
        answer = await api.ask("POST", f"/v1/voice/calls/{known['id']}/hangup")
        return dict(answer["data"])

    call = run(work, key)
    told = ", ".join(f"{name} {value}" for name, value in ending(call).items())
    typer.echo(f"{call['id']} is {call['status']}" + (f" ({told})" if told else ""))


def order(to: str, from_: str | None, announce: str | None, connect_to: str | None, record: bool) -> Json:
    """The body of the request; what was not given is left out.

    >>> order("phone:alice", None, "prompt:welcome", None, False)
    {'to': 'phone:alice', 'announcement': {'prompt': 'welcome'}}
    """
    spoken: object = announce
    if announce is not None and announce.startswith(PROMPT):
        spoken = {"prompt": announce.removeprefix(PROMPT)}
    given = {"from": from_, "announcement": spoken, "connect_to": connect_to, "record": record or None}
    return {"to": to, **{name: value for name, value in given.items() if value is not None}}


def run(work: Callable[[ApiClient], Awaitable[T]], key: str | None) -> T:
    """Do some work with the API; a client that is closed afterwards."""

    async def connected() -> T:
        async with connect(current_settings(), key) as api:
            return await work(api)

    return asyncio.run(connected())
