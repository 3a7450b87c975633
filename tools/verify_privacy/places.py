"""Where a real number could come out: what each side received, webhooks, the API, logs, metrics, files."""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gateway.trial.sdp import PCMU
from tools.verify_privacy.people import SIDES, Side, other
from tools.verify_privacy.search import Search
from tools.verify_privacy.world import World

MAY_HOLD: Final = {
    "patchbay.db": "the product's own database: who takes part in what is kept there",
    "astdb.sqlite3": "the switch's copy of live sessions: by it calls go on while the gateway is away",
}
"""Files that hold real numbers because they must; they are readable by the product's own user alone."""
_SOUND: Final = (".wav", ".ulaw", ".sln", ".gsm")
_GROWS: Final = (".log", ".csv")
_BLOCK: Final = 1 << 18
_PAGE: Final = 100
_LOOKED_INTO: Final = 600
"""Of how many calls and sessions what belongs to them is read, too."""
_OF_CALLS: Final = ("", "/events", "/recordings")
_OF_SESSIONS: Final = ("", "/interactions")
_AT_ONCE: Final = 8
"""Questions to the API at the same time."""


def files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())


def may_hold(path: Path) -> bool:
    """Whether this file is one that holds numbers because it must."""
    return any(path.name.startswith(name) for name in MAY_HOLD)


@dataclass(slots=True)
class Places:
    """Takes what has come and hands it to the search, which runs in a process of its own."""

    world: World
    search: Search
    _pool: ProcessPoolExecutor
    _read: dict[int, int] = field(default_factory=dict)
    """How far files that grow were read, by inode."""
    _seen: set[bytes] = field(default_factory=set)
    """Bodies that were searched already: every receiver of an event gets the same."""
    _looks: list[asyncio.Future[Search]] = field(default_factory=list)
    typed: int = 0
    """Digits that were heard because somebody typed them."""

    async def after_round(self) -> None:
        """Search what is new, and let go of it."""
        world = self.world
        for side in SIDES:
            far = world.far[side.name]
            heard = far.take_heard()
            self.search.name(f"SIP to {side.name}", heard, other(side))
            self._look(f"SIP to {side.name}", heard, (other(side),))
            self._look(f"RTP to {side.name}", self._media(side), (other(side),))
            far.forget()
        told = world.listener.deliveries.copy()
        world.listener.deliveries.clear()
        self._look("webhooks, their headers", [f"{one.path}\n{one.headers}".encode() for one in told])
        self._look("webhooks", self._fresh(one.body for one in told))
        self._look("API", world.reader.take())
        self._look("metrics", [(await world.metrics()).encode()])
        for path in files(world.product.var):
            if path.suffix in _GROWS:
                self._look(self._name(path), self._new(path))

    def _media(self, side: Side) -> list[bytes]:
        """What came by RTP and is not speech. Digits that nobody typed to them are a leak.

        The ``#`` that ends an extension may come through where the last digit had ended it: it names nobody.
        """
        found, far = [], self.world.far[side.name]
        for call in far.all_calls():
            found += [one.payload for one in call.stream.packets if one.payload_type != PCMU]
            if call.facts.call_id in far.typed_to:
                self.typed += len(call.digits)
            elif call.digits.strip("#"):
                self.search.told(f"RTP to {side.name}", call.digits, "digits that nobody typed to them")
        return found

    def _fresh(self, bodies: Iterable[bytes]) -> list[bytes]:
        """Those that were not searched before."""
        found = []
        for body in bodies:
            name = hashlib.blake2b(body, digest_size=16).digest()
            if name not in self._seen:
                self._seen.add(name)
                found.append(body)
        return found

    async def at_the_end(self) -> None:
        """What stands still: the API's lists, all files, the outbox, the index."""
        await self.world.told()
        await self._lists()
        await self.after_round()
        var = self.world.product.var
        every = list(files(var))
        names = [str(path.relative_to(var)).encode() for path in every]
        self._look("names of files", names)
        for path in every:
            if not may_hold(path) and path.suffix not in (*_SOUND, *_GROWS):
                self._look(self._name(path), _blocks(path))
        self._look("webhook outbox", self._fresh(_outbox(var / "patchbay.db")))
        for one in await asyncio.gather(*self._looks):
            self.search.add(one)

    def _name(self, path: Path) -> str:
        return f"file {path.relative_to(self.world.product.var).parts[0]}/{path.name}"

    def _new(self, path: Path) -> Iterable[bytes]:
        """The lines that were added since the last time."""
        with path.open("rb") as file:
            inode = path.stat().st_ino
            file.seek(self._read.get(inode, 0))
            lines = file.read().splitlines(keepends=True)
        self._read[inode] = self._read.get(inode, 0) + sum(map(len, lines))
        return lines

    def _look(self, place: str, pieces: Iterable[bytes], hidden: tuple[Side, ...] = SIDES) -> None:
        """Search these as soon as there is time."""
        pieces = list(pieces)
        if pieces:
            people = {name: set(known) for name, known in self.world.people.items()}
            loop = asyncio.get_running_loop()
            self._looks.append(loop.run_in_executor(self._pool, searched, place, pieces, hidden, people))

    async def _lists(self) -> None:
        """Every list of the API, and what belongs to its newest members, as the blind reader sees them."""
        reader = self.world.reader
        calls = await self._pages("/api/v1/voice/calls")
        sessions = await self._pages("/api/v1/proxy/sessions")
        gate = asyncio.Semaphore(_AT_ONCE)

        async def look(path: str) -> None:
            async with gate:
                await reader.ask("GET", path)

        about = [f"/api/v1/voice/calls/{one}{rest}" for one in calls[:_LOOKED_INTO] for rest in _OF_CALLS]
        about += [
            f"/api/v1/proxy/sessions/{one}{rest}" for one in sessions[:_LOOKED_INTO] for rest in _OF_SESSIONS
        ]
        await asyncio.gather(*(look(path) for path in about))
        for path in (
            "/api/v1/numbers",
            "/api/v1/proxy/pool",
            "/api/v1/proxy/pool/forecast",
            "/api/v1/proxy/settings",
            "/api/v1/webhooks",
            "/api/v1/webhooks/deliveries?limit=100",
            "/api/v1/settings/api-keys",
        ):
            await reader.ask("GET", path)

    async def _pages(self, path: str) -> list[str]:
        ids: list[str] = []
        cursor = ""
        while True:
            more = f"&cursor={cursor}" if cursor else ""
            answer = await self.world.reader.ask("GET", f"{path}?limit={_PAGE}{more}")
            ids += [str(one["id"]) for one in answer["data"]]
            cursor = answer["meta"]["pagination"]["cursor"] or ""
            if not cursor:
                return ids


def searched(
    place: str, pieces: list[bytes], hidden: tuple[Side, ...], people: dict[str, set[str]]
) -> Search:
    """One place searched; made for a process of its own."""
    search = Search(people)
    search.look(place, pieces, hidden)
    return search


def _blocks(path: Path) -> list[bytes]:
    """The file in pieces; none where its owner has taken it away meanwhile, as a database its journal."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    return [data[at : at + _BLOCK + 256] for at in range(0, len(data), _BLOCK)]


def _outbox(database: Path) -> Iterator[bytes]:
    """Every event and delivery as it is stored: bodies, addresses, what receivers answered."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as stored:
        for table in ("webhook_events", "webhook_deliveries"):
            for row in stored.execute(f"SELECT * FROM {table}"):
                yield from (one for one in row if isinstance(one, bytes))
                yield "\n".join(one for one in row if isinstance(one, str)).encode()
