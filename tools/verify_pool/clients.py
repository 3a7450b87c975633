"""Clients that open, use, change, close and dial through proxy numbers, and write down what they saw.

Every session belongs to one client, who works on it one request at a time; who dials is anybody.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gateway.clocks import new_id
from tools.verify_pool.history import Op, Person, Recorder, Told, Verb

ANSWER_S = 10.0
"""How long a client waits for an answer before it calls the outcome unknown."""
_RECONNECT_S = 0.02


@dataclass(frozen=True, slots=True)
class Mix:
    """How busy the clients are. ``life_s`` is the range of sessions' lengths of life."""

    people: int = 120
    clients: int = 48
    sessions_each: int = 6
    life_s: tuple[float, float] = (0.3, 8.0)


class Line:
    """One connection to the service, shared by all clients; requests are matched to answers by number."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._numbers = itertools.count()
        self._waiting: dict[int, asyncio.Future[dict[str, Any] | None]] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._up = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def up(self) -> None:
        """Wait until the service can be asked."""
        await self._up.wait()

    async def ask(self, request: dict[str, Any]) -> dict[str, Any] | None:
        """The answer, or None when it never came."""
        number = next(self._numbers)
        waiting = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            if self._writer is None or self._writer.is_closing():
                await asyncio.sleep(_RECONNECT_S)
                return None
            self._writer.write(json.dumps({"n": number, **request}).encode() + b"\n")
            async with asyncio.timeout(ANSWER_S):
                return await waiting
        except (TimeoutError, OSError):
            return None
        finally:
            self._waiting.pop(number, None)

    async def _run(self) -> None:
        while True:
            with suppress(OSError):
                reader, self._writer = await asyncio.open_unix_connection(str(self._socket), limit=1 << 20)
                self._up.set()
                with closing(self._writer):
                    await self._hear(reader)
            self._up.clear()
            self._writer = None
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_result(None)
            await asyncio.sleep(_RECONNECT_S)

    async def _hear(self, reader: asyncio.StreamReader) -> None:
        """Take answers until there are no more; the last one may have been cut off with its author."""
        while (answer := await reader.readline()).endswith(b"\n"):
            told = json.loads(answer)
            waiting = self._waiting.get(told["n"])
            if waiting is not None and not waiting.done():
                waiting.set_result(told)


@dataclass(slots=True)
class World:
    """What the clients share: the lines to all services, the dice, and how much is still to do."""

    lines: list[Line]
    dice: random.Random
    mix: Mix
    left: int
    recorder: Recorder
    now: Callable[[], float]
    hurt_enough: Callable[[], bool] = lambda: True
    doors: list[tuple[str, str]] = field(default_factory=list)
    """Doors somebody was told of, the newest last: what people dial."""
    acknowledged: set[str] = field(default_factory=set)

    @property
    def over(self) -> bool:
        """Whether everything that was to be done is done, and everything that was to fall has fallen."""
        return self.left <= 0 and self.hurt_enough()

    def person(self) -> str:
        return f"+1415555{self.dice.randrange(self.mix.people):04d}"

    def note(self, op: Op) -> Op:
        self.recorder.note(op)
        if op.told is not None and op.verb in ("open", "change"):
            self.acknowledged.add(op.told.session)
            self.doors.extend((one.key, one.proxy) for one in op.told.people)
            del self.doors[:-4000]
        return op

    async def do(self, verb: Verb, request: dict[str, Any], keep: Callable[[Op], Op]) -> Op:
        """One request, noted with its times and its outcome."""
        self.left -= 1
        op = keep(Op(verb, self.now()))
        line = self.dice.choice(self.lines)
        answer = await line.ask({"verb": verb, **request})
        if answer is None:
            noted = self.note(op)
            await line.up()
            return noted
        ended = self.now()
        if "refused" in answer:
            if answer["refused"] == "SERVICE_UNAVAILABLE":
                return self.note(op)  # the database may have been killed in mid-commit
            return self.note(replace(op, ended_at=ended, refused=answer["refused"]))
        found = answer.get("session")
        told = None if found is None else told_from(found)
        return self.note(
            replace(
                op, ended_at=ended, told=told, seat=answer.get("seat", -2), target=answer.get("target", "")
            )
        )


def told_from(raw: dict[str, Any]) -> Told:
    people = tuple(Person(key, proxy, seat) for key, proxy, seat in raw["people"])
    return Told(raw["id"], people, raw["ends_at"], raw["live"])


class Client:
    """One client and its sessions."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._mine: list[Told] = []

    async def run(self) -> None:
        world = self._world
        while not world.over:
            roll = world.dice.random()
            if roll < 0.5:
                await self._dial()
            elif roll < 0.74 or not self._mine:
                await self._open()
            elif roll < 0.90:
                await self._close()
            elif roll < 0.94:
                await self._change()
            elif roll < 0.98:
                await self._use()
            else:
                await self._get()

    async def _open(self) -> None:
        world = self._world
        if len(self._mine) >= world.mix.sessions_each:
            await self._close()
        a, b = world.person(), world.person()
        if a == b:
            return
        session, life_s = new_id("ses"), world.dice.uniform(*world.mix.life_s)
        request = {"session": session, "a": a, "b": b, "life_s": life_s, "shared": world.dice.random() < 0.1}
        op = await world.do("open", request, lambda op: replace(op, session=session, keys=(a, b)))
        if op.ended_at is None:
            op = await world.do(
                "open", {**request, "again": True}, lambda op: replace(op, session=session, keys=(a, b))
            )
        if op.told is not None:
            self._mine.append(op.told)

    async def _close(self) -> None:
        if self._mine:
            mine = self._mine.pop(self._world.dice.randrange(len(self._mine)))
            request = {"session": mine.session}
            await self._world.do("close", request, lambda op: replace(op, session=mine.session))

    async def _change(self) -> None:
        world = self._world
        place = world.dice.randrange(len(self._mine))
        mine = self._mine[place]
        a = next(one.key for one in mine.people if one.seat == 0)
        b = world.person()
        if a == b:
            return
        request = {"session": mine.session, "b": b}
        op = await world.do("change", request, lambda op: replace(op, session=mine.session, keys=(a, b)))
        if op.told is not None:
            self._mine[place] = op.told
        elif op.ended_at is None or op.refused in ("SESSION_CLOSED", "SESSION_CHANGED", "NOT_FOUND"):
            self._mine.pop(place)

    async def _use(self) -> None:
        mine = self._world.dice.choice(self._mine)
        request = {"session": mine.session}
        await self._world.do("use", request, lambda op: replace(op, session=mine.session))

    async def _get(self) -> None:
        mine = self._world.dice.choice(self._mine)
        await self._world.do("get", {"session": mine.session}, lambda op: replace(op, session=mine.session))

    async def _dial(self) -> None:
        world = self._world
        if not world.doors:
            return
        recent = world.dice.random() < 0.7
        key, proxy = world.dice.choice(world.doors[-200:] if recent else world.doors)
        if world.dice.random() < 0.1:
            key = world.person()
        request = {"key": key, "proxy": proxy}
        await world.do("resolve", request, lambda op: replace(op, key=key, proxy=proxy))
