"""The command line's way to the API: whose key, and what is said when it does not work."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web

from gateway.cli.api import ApiKeyText, choose_key, connect, refusal
from gateway.config import Settings
from telephony.errors import InvalidInput, NotAuthenticated, NotFound, NotPermitted, TooMany, Unavailable

pytestmark = pytest.mark.unit

KEY = ApiKeyText("pb_live_sk_x", "--key")


def settings(var: Path, **variables: str) -> Settings:
    given = {f"PATCHBAY_{name}": value for name, value in variables.items()}
    return Settings.from_env({"HOME": str(var), "PATCHBAY_VAR_DIR": str(var), **given})


def test_a_key_that_was_given_wins_over_the_environment_and_the_kept_one(tmp_path: Path):
    (tmp_path / "api-key").write_text("kept\n")
    assert choose_key(settings(tmp_path), None).text == "kept"
    named = settings(tmp_path, API_KEY="of the environment")
    assert choose_key(named, None).text == "of the environment"
    assert choose_key(named, "given").text == "given"


def test_without_any_key_the_ways_to_one_are_named(tmp_path: Path):
    with pytest.raises(NotFound, match=r"--key, set PATCHBAY_API_KEY, or start the gateway") as caught:
        choose_key(settings(tmp_path), None)
    assert str(tmp_path / "api-key") in caught.value.message


@pytest.mark.parametrize("text", ["", "  ", "a\nb", "schlüssel"])
def test_what_is_no_key_never_becomes_a_header(tmp_path: Path, text: str):
    with pytest.raises(InvalidInput):
        choose_key(settings(tmp_path), text)


def test_a_key_does_not_show_itself(tmp_path: Path):
    assert "secret-text" not in repr(settings(tmp_path, API_KEY="secret-text"))
    assert "pb_live" not in repr(KEY)


def told(code: str, **details: object) -> dict[str, object]:
    return {"error": {"code": code, "message": "it says so", "status": 0, "details": details}}


@pytest.mark.parametrize(
    ("status", "kind", "says"),
    [
        (401, NotAuthenticated, "does not accept the key from --key"),
        (403, NotPermitted, "the key from --key may not"),
        (404, NotFound, "it says so"),
        (503, Unavailable, "it says so"),
    ],
)
def test_each_refusal_says_what_to_mend(status: int, kind: type[Exception], says: str):
    error = refusal(status, told("CODE"), KEY)
    assert isinstance(error, kind)
    assert says in error.message


def test_a_broken_rule_names_its_field_and_what_is_expected():
    error = refusal(422, told("VALIDATION_ERROR", field="to", expected="+ and digits"), KEY)
    assert error.message == "to: it says so; expected + and digits"


def test_a_limit_says_when_to_come_back():
    error = refusal(429, told("RATE_LIMITED", retry_after=17, limit=5, window="minute"), KEY)
    assert isinstance(error, TooMany)
    assert error.retry_after_s == 17


@asynccontextmanager
async def answering(text: str, kind: str = "text/html") -> AsyncIterator[int]:
    async def serve(request: web.Request) -> web.Response:
        return web.Response(text=text, content_type=kind)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", serve)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


async def test_nobody_at_the_address(tmp_path: Path, free_port: int):
    there = replace(settings(tmp_path), api_port=free_port)
    async with connect(there, "pb_live_sk_x") as api:
        with pytest.raises(Unavailable, match=f"127.0.0.1:{free_port} does not answer: is it up"):
            await api.ask("GET", "/v1/voice/calls")


@pytest.mark.parametrize("text", ["<html>something else</html>", "[]"])
async def test_somebody_else_at_the_address(tmp_path: Path, text: str):
    async with answering(text) as port, connect(replace(settings(tmp_path), api_port=port), "key") as api:
        with pytest.raises(Unavailable, match="is not this API"):
            await api.ask("GET", "/v1/voice/calls")
