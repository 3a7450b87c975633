"""A real browser in a room: Chromium without a window, with a camera and a microphone that are made up.

The page runs LiveKit's own client, fetched by package name; nothing of it is kept here. Where a part cannot
be had, the test that needs it skips and says which.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import shutil
import tarfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

CLIENT = "livekit-client@2.23.0"
_PAGE = Path(__file__).parent / "pages" / "room.html"
_FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--mute-audio",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage",
    "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", "--disable-extensions",
    "--autoplay-policy=no-user-gesture-required", "--allow-loopback-in-peer-connection",
    "--disable-background-timer-throttling", "--disable-renderer-backgrounding",
)  # fmt: skip
_FETCH_S, _ANSWER_S, _START_S = 90.0, 60.0, 90.0


async def client_script() -> Path:
    """LiveKit's client for browsers, from the machine's own package client. Skips where it cannot be had."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "patchbay-tests" / CLIENT
    script = cache / "livekit-client.umd.js"
    if script.exists():
        return script
    if shutil.which("npm") is None:
        pytest.skip("npm is not on this machine: LiveKit's client for browsers cannot be had")
    work = cache.with_name(f"{CLIENT}.{os.getpid()}")
    work.mkdir(parents=True, exist_ok=True)
    process = await asyncio.create_subprocess_exec(
        "npm", "pack", CLIENT, "--silent", cwd=work, stdout=asyncio.subprocess.DEVNULL, start_new_session=True
    )
    try:
        async with asyncio.timeout(_FETCH_S):
            fetched = await process.wait() == 0
    except TimeoutError:  # it tries again and again where there is no way to its registry
        os.killpg(process.pid, 9)
        await process.wait()
        fetched = False
    if not fetched:
        shutil.rmtree(work)
        pytest.skip(f"npm could not fetch {CLIENT}")
    [archive] = work.glob("*.tgz")
    with tarfile.open(archive) as packed:
        member = packed.extractfile("package/dist/livekit-client.umd.js")
        assert member is not None
        (work / script.name).write_bytes(member.read())
    archive.unlink()
    with contextlib.suppress(OSError):
        work.rename(cache)
    return script


class PageError(AssertionError):
    """The page could not do what it was told."""


class Browser:
    """One tab. Each verb answers once the page has done it, or raises PageError."""

    def __init__(self) -> None:
        self._orders: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._ids = itertools.count(1)

    async def join(self, url: str, token: str) -> None:
        await self._have("join", url=url, token=token)

    async def leave(self) -> None:
        await self._have("leave")

    async def unmute(self) -> None:
        await self._have("unmute")

    async def look(self) -> dict[str, Any]:
        """``state``, ``left`` (why), ``people`` with the tone heard and frames seen of each, ``muted``."""
        found: dict[str, Any] = await self._have("look")
        return found

    async def until(self, holds: Callable[[dict[str, Any]], bool], most_s: float = 40.0) -> dict[str, Any]:
        """Look until it holds."""
        seen: dict[str, Any] = {}
        try:
            async with asyncio.timeout(most_s):
                while not holds(seen := await self.look()):  # noqa: ASYNC110  # asked of another process
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(f"it did not come to that; last seen: {seen}") from None
        return seen

    async def _have(self, verb: str, **told: str) -> Any:
        number = next(self._ids)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        self._orders.put_nowait({"id": number, "verb": verb, **told})
        async with asyncio.timeout(_ANSWER_S):
            said = await answer
        if "error" in said:
            raise PageError(said["error"])
        return said["ok"]

    async def told(self, request: web.Request) -> web.Response:
        return web.json_response(await self._orders.get())

    async def said(self, request: web.Request) -> web.Response:
        said = json.loads(await request.text())
        waiting = self._waiting.pop(said["id"], None)
        if waiting is not None and not waiting.done():
            waiting.set_result(said)
        return web.Response()


@asynccontextmanager
async def a_browser(profile: Path) -> AsyncIterator[Browser]:
    """A browser with the page open; gone with all its processes afterwards."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not on this machine")
    script, browser = await client_script(), Browser()
    app = web.Application()
    app.router.add_get("/", _sends(_PAGE))
    app.router.add_get("/livekit-client.js", _sends(script))
    app.router.add_get("/told", browser.told)
    app.router.add_post("/said", browser.said)
    runner = web.AppRunner(app, shutdown_timeout=0.2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    process = await asyncio.create_subprocess_exec(
        chromium, *_FLAGS, f"--user-data-dir={profile}", f"http://127.0.0.1:{port}/",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        async with asyncio.timeout(_START_S):
            await browser.look()
        yield browser
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        await process.wait()
        await runner.cleanup()


def _sends(path: Path) -> Callable[[web.Request], Awaitable[web.FileResponse]]:
    async def send(request: web.Request) -> web.FileResponse:
        return web.FileResponse(path)

    return send
