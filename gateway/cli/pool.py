"""``patchbay pool``: the numbers that serve as proxies, through the running gateway."""

from __future__ import annotations

import json
from typing import Annotated, Any, Final
from urllib.parse import quote

import typer

from gateway.cli.api import ApiClient, Json
from gateway.cli.call import AsJson, Key, run
from gateway.cli.masking_lines import forecast_story, not_in_pool, number_line, pool_number_of, pool_story
from telephony.errors import NotFound

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

POOL: Final = "/v1/proxy/pool"


@app.command()
def show(as_json: AsJson = False, key: Key = None) -> None:
    """How full the pool is, by kind and by number.

    `busiest` is the most numbers that one participant holds, `left` how many more that one can get.
    """
    pool = _data(run(lambda api: api.ask("GET", POOL), key))
    typer.echo(_document(pool) if as_json else pool_story(pool))


@app.command()
def add(
    e164: Annotated[str, typer.Argument(help="One of your numbers (see patchbay numbers).")],
    use: Annotated[str, typer.Option(help="pairs, anyone or extensions.")] = "pairs",
    carrier: Annotated[str | None, typer.Option(help="The carrier its texts go over.")] = None,
    reserved: Annotated[
        bool, typer.Option("--reserved", help="Only for sessions that ask for it by name.")
    ] = False,
    key: Key = None,
) -> None:
    """Let one of your numbers serve as a proxy."""
    wanted = {"e164": e164, "use": use, "reserved": reserved}
    if carrier is not None:
        wanted["carrier"] = carrier
    typer.echo(number_line(_data(run(lambda api: api.ask("POST", f"{POOL}/numbers", wanted), key))))


@app.command()
def remove(e164: str, key: Key = None) -> None:
    """Take a number out of the pool; it stays yours. Refused while anything is live or rests on it."""

    async def work(api: ApiClient) -> None:
        known = pool_number_of(_data(await api.ask("GET", POOL)), e164)
        if known is None:
            raise NotFound(not_in_pool(e164))
        await api.ask("DELETE", f"{POOL}/numbers/{quote(str(known['id']), safe='')}")

    run(work, key)
    typer.echo(f"{e164} has left the pool")


@app.command()
def forecast(
    sessions_factor: Annotated[
        float, typer.Option(min=0.0, max=1000.0, help="So many times today's sessions.")
    ] = 1.0,
    ttl: Annotated[int | None, typer.Option(help="Seconds that a session is open.")] = None,
    quarantine: Annotated[int | None, typer.Option(help="Seconds of quarantine after it.")] = None,
    extra_numbers: Annotated[int, typer.Option(min=0, help="Numbers more, in every bucket.")] = 0,
    as_json: AsJson = False,
    key: Key = None,
) -> None:
    """How full the pool will be, as things go or as you suppose. Exit code 1 if numbers are missing."""
    given = {
        "sessions_factor": f"{sessions_factor:f}",
        "ttl": ttl,
        "quarantine": quarantine,
        "extra_numbers": extra_numbers,
    }
    query = "&".join(f"{name}={value}" for name, value in given.items() if value is not None)
    told = _data(run(lambda api: api.ask("GET", f"{POOL}/forecast?{query}"), key))
    typer.echo(_document(told) if as_json else forecast_story(told))
    raise typer.Exit(int(any(bucket["shortfall"] for bucket in told["buckets"])))


def _data(answer: Json) -> dict[str, Any]:
    return dict(answer["data"])


def _document(value: object) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False)
