"""``patchbay session``: masking sessions, through the running gateway."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Final
from urllib.parse import quote

import typer

from gateway.cli.api import ApiClient, Json
from gateway.cli.call import AsJson, Key, run
from gateway.cli.masking_lines import hidden, interaction_table, session_story, session_table
from telephony.errors import InvalidInput

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

SESSIONS: Final = "/v1/proxy/sessions"
_TEXTS: Final = frozenset({"area", "area_a", "area_b", "extension", "unique_name"})
"""Fields whose digits are no number."""
_PARTS: Final = frozenset({"pin.length", "pin.generate"})
"""Fields of an object that are no text."""

Reveal = Annotated[bool, typer.Option("--reveal", help="Whole numbers instead of masked ones.")]
Id = Annotated[str, typer.Argument(help="The session's id: ses_…")]
Limit = Annotated[int, typer.Option(min=1, max=10_000, help="How many.")]


@app.command("open")
def open_session(
    party_a: Annotated[str, typer.Argument(help="A number in E.164, or phone: and a phone's name.")],
    others: Annotated[
        list[str] | None, typer.Argument(help="Party B; of a group its members; of an open number nobody.")
    ] = None,
    model: Annotated[str, typer.Option(help="pair, anyone, extension or group.")] = "pair",
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", help="A field of POST /proxy/sessions: ttl=3600, pin.mode=always, …"),
    ] = None,
    reveal: Reveal = False,
    as_json: AsJson = False,
    key: Key = None,
) -> None:
    """Open a session and show who dials what. Its PINs are shown now and never again."""
    wanted = session_body(party_a, others or (), model, sets or ())
    _show(_one(run(lambda api: api.ask("POST", SESSIONS, wanted), key)), as_json=as_json, reveal=reveal)


@app.command("list")
def list_sessions(
    status: Annotated[
        str | None, typer.Option(help="open, in_progress, closed, or active (one of the first two).")
    ] = None,
    name: Annotated[str | None, typer.Option(help="The session of this unique name.")] = None,
    limit: Limit = 20,
    reveal: Reveal = False,
    as_json: AsJson = False,
    key: Key = None,
) -> None:
    """Sessions, newest first."""
    given = {"status": status, "unique_name": name}
    query = "".join(f"&{word}={quote(text, safe='')}" for word, text in given.items() if text is not None)
    sessions = run(lambda api: api.listed(SESSIONS, query, limit), key)
    if as_json:
        typer.echo(_document([hidden(one, reveal=reveal) for one in sessions]))
    else:
        typer.echo(session_table(sessions, reveal=reveal) if sessions else "there are no such sessions")


@app.command()
def show(session_id: Id, reveal: Reveal = False, as_json: AsJson = False, key: Key = None) -> None:
    """One session: who dials what, until when, on which terms."""
    _show(_one(run(lambda api: api.ask("GET", _path(session_id)), key)), as_json=as_json, reveal=reveal)


@app.command()
def close(session_id: Id, key: Key = None) -> None:
    """End a session now. Its numbers connect these people no more, and rest in quarantine."""
    closed = _one(run(lambda api: api.ask("DELETE", _path(session_id)), key))
    typer.echo(f"{closed['id']} is closed ({closed['close_reason']})")


@app.command()
def interactions(session_id: Id, limit: Limit = 20, as_json: AsJson = False, key: Key = None) -> None:
    """The calls and texts of a session, newest first. They name seats, never numbers."""

    async def work(api: ApiClient) -> Sequence[Json]:
        return await api.listed(f"{_path(session_id)}/interactions", "", limit)

    found = run(work, key)
    if as_json:
        typer.echo(_document(list(found)))
    else:
        typer.echo(interaction_table(found) if found else "nobody has called or written")


def session_body(party_a: str, others: Sequence[str], model: str, sets: Sequence[str]) -> Json:
    """The body of the request that opens a session.

    >>> session_body("phone:alice", ["phone:bob"], "pair", ["ttl=3600", "pin.a=4829"])
    {'party_a': 'phone:alice', 'model': 'pair', 'party_b': 'phone:bob', 'ttl': 3600, 'pin': {'a': '4829'}}
    """
    body: Json = {"party_a": party_a, "model": model}
    if model == "group":
        body["members"] = list(others)
    elif len(others) == 1:
        body["party_b"] = others[0]
    elif others:
        raise InvalidInput("only a group has several others: add --model group", field="party_b")
    for given in sets:
        name, found, text = given.partition("=")
        if not found or not name:
            raise InvalidInput(f"--set wants NAME=VALUE, not {name!r}", field="--set")
        outer, _, inner = name.partition(".")
        if inner:
            body.setdefault(outer, {})[inner] = _read(text) if name in _PARTS else text
        elif name == "channels":
            body[name] = [word.strip() for word in text.split(",")]
        else:
            body[name] = text if name in _TEXTS else _read(text)
    return body


def _read(text: str) -> object:
    """true, false, null and numbers as JSON has them; anything else is text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _path(session_id: str) -> str:
    return f"{SESSIONS}/{quote(session_id, safe='')}"


def _one(answer: Json) -> Json:
    return dict(answer["data"])


def _show(session: Json, *, as_json: bool, reveal: bool) -> None:
    typer.echo(
        _document(hidden(session, reveal=reveal)) if as_json else session_story(session, reveal=reveal)
    )


def _document(value: object) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False)
