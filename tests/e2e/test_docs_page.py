"""The documentation page needs nothing from anywhere else, and lists every operation in a real browser."""

from __future__ import annotations

import asyncio
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import aiohttp
import pytest

from tests.rig.product import Product

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--virtual-time-budget=10000",
    "--dump-dom",
)
IN_CSS = re.compile(r"url\(\s*['\"]?([^'\")]+)|@import\s+['\"]([^'\"]+)")
IN_SCRIPT = re.compile(r"(?:from\s+|import\s*\(?\s*|fetch\(\s*)[\"'`]([^\"'`]+)[\"'`]")


class Addresses(HTMLParser):
    """Every address that a page names in an attribute."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [
            value or "" for name, value in attrs if name in ("src", "href", "action", "srcset", "data")
        ]


def elsewhere(addresses: list[str]) -> list[str]:
    """Those that leave the server: neither a path here, nor a fragment, nor data in place."""
    return [one for one in addresses if one.startswith("//") or not one.startswith(("/", "#", "data:"))]


@pytest.mark.parametrize("address", ["https://cdn.example/x.js", "//cdn.example/x.js", "http://127.0.0.1/x"])
def test_an_address_elsewhere_would_be_found(address: str) -> None:
    assert elsewhere([address, "/docs", "#top", "data:,"]) == [address]


async def test_the_page_and_all_it_loads_come_from_here(house: Product) -> None:
    async with aiohttp.ClientSession(house.api.root) as http:

        async def text(path: str) -> str:
            async with http.get(path) as response:
                assert response.status == 200, path
                return await response.text()

        page = Addresses()
        page.feed(await text("/docs"))
        assert len(page.found) >= 3
        assert elsewhere(page.found) == []
        waiting = [path for path in page.found if path.startswith("/docs/")]
        seen: set[str] = set()
        while waiting:
            path = waiting.pop()
            if path in seen:
                continue
            seen.add(path)
            source = await text(path)
            named = (
                [a or b for a, b in IN_CSS.findall(source)]
                if path.endswith(".css")
                else IN_SCRIPT.findall(source)
            )
            assert elsewhere(named) == [], path
            waiting += [one for one in named if one.startswith("/docs/")]
        assert {path.rpartition(".")[2] for path in seen} == {"css", "js"}
        async with http.get("/docs") as response:
            policy = response.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "http" not in policy


async def test_a_browser_lists_every_operation(house: Product, tmp_path: Path) -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not on this machine")
    process = await asyncio.create_subprocess_exec(
        *(chromium, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", f"{house.api.root}/docs"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    printed, _ = await asyncio.wait_for(process.communicate(), 200)
    document = printed.decode()
    async with aiohttp.ClientSession() as http, http.get(f"{house.api.root}/openapi.json") as response:
        described = await response.json()
    operations = [
        operation["operationId"] for item in described["paths"].values() for operation in item.values()
        if isinstance(operation, dict) and "operationId" in operation
    ]  # fmt: skip
    assert "createCall" in operations
    assert [name for name in operations if f'id="{name}"' not in document] == []
    assert 'id="error-CALL_LOOP"' in document
