"""``patchbay numbers``: the numbers you own and where their calls go, through the running gateway."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final

import typer

from gateway.cli.api import Json, connect
from gateway.config import current_settings
from telephony.errors import InvalidInput, NotFound

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
_PATH: Final = "/api/v1/numbers"

Phone = Annotated[str | None, typer.Option(help="Ring this registered phone.")]
Number = Annotated[str | None, typer.Option(help="Ring this number.")]
Say = Annotated[str | None, typer.Option(help="Speak this text.")]
Hold = Annotated[bool, typer.Option("--hold", help="Play music.")]
Reject = Annotated[str | None, typer.Option(help="Refuse: busy, rejected, unallocated, congestion or Q.850.")]


@app.command()
def add(
    e164: str,
    name: Annotated[str, typer.Option(help="A name for people.")] = "",
    default: Annotated[bool, typer.Option("--default", help="Shown by calls that name no number.")] = False,
    record: Annotated[bool, typer.Option("--record", help="Record inbound calls.")] = False,
) -> None:
    """Add a number that your carrier sends here. Say where its calls go with `numbers route`."""
    wanted = {"e164": e164, "friendly_name": name, "is_default": default, "record": record}
    _show(_ask("POST", _PATH, wanted)["data"])


@app.command()
def route(
    e164: str,
    phone: Phone = None,
    number: Number = None,
    say: Say = None,
    hold: Hold = False,
    reject: Reject = None,
) -> None:
    """Say where a number's inbound calls go: exactly one of the options."""
    wanted = _route(phone, number, say, hold, reject)
    _show(_ask("PATCH", f"{_PATH}/{_id_of(e164)}", {"route": wanted})["data"])


@app.command("list")
def list_numbers() -> None:
    """Every number, newest first."""
    for number in _all():
        _show(number)


@app.command()
def remove(e164: str) -> None:
    """Give a number up; calls to it are refused from now on."""
    _ask("DELETE", f"{_PATH}/{_id_of(e164)}")
    print(f"{e164} is removed")


def _route(phone: str | None, number: str | None, say: str | None, hold: bool, reject: str | None) -> Json:
    given: list[Json] = []
    if phone is not None:
        given.append({"type": "phone", "phone": phone})
    if number is not None:
        given.append({"type": "number", "number": number})
    if say is not None:
        given.append({"type": "announcement", "text": say})
    if hold:
        given.append({"type": "hold"})
    if reject is not None:
        given.append({"type": "reject", "cause": int(reject) if reject.isdigit() else reject})
    if len(given) != 1:
        raise InvalidInput("give exactly one of --phone, --number, --say, --hold and --reject")
    return given[0]


def _id_of(e164: str) -> str:
    for number in _all():
        if number["e164"] == e164:
            return str(number["id"])
    raise NotFound(f"you own no number {e164}")


def _all() -> list[Json]:
    found: list[Json] = []
    query = "?limit=100"
    while True:
        page = _ask("GET", _PATH + query)
        found += page["data"]
        cursor = page["meta"]["pagination"]["cursor"]
        if cursor is None:
            return found
        query = f"?limit=100&cursor={cursor}"


def _show(number: Json) -> None:
    route = number["route"]
    where = "refused" if route is None else " ".join(str(v) for v in route.values() if v is not None)
    mark = "  default" if number["is_default"] else ""
    print(f"{number['e164']:<17} {where}{mark}  {number['friendly_name']}".rstrip())


def _ask(method: str, path: str, body: Json | None = None) -> Json:
    async def asked() -> Json:
        async with connect(current_settings(), None) as api:
            return await api.ask(method, path, body)

    return asyncio.run(asked())
