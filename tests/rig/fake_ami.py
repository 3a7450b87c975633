"""A scriptable AMI server on loopback: an obedient switch by default, any kind of bad one by script.

    async with FakeAmi() as ami:
        ami.script["Originate"] = drop_after_reply
        ...
        await ami.saw("Originate")

A script is an async function of (session, action); it replaces what the server would do for that action.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import TracebackType

BANNER = b"Asterisk Call Manager/11.0.0\r\n"
Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Asked:
    """One action as it came in: everything up to the empty line."""

    connection: int
    lines: tuple[str, ...]

    @property
    def pairs(self) -> Pairs:
        return tuple((n, v) for n, colon, v in (line.partition(": ") for line in self.lines) if colon)

    def __getitem__(self, header: str) -> str:
        return next((value for name, value in self.pairs if name == header), "")

    @property
    def name(self) -> str:
        return self["Action"]


@dataclass(eq=False)
class FakeSession:
    """One accepted connection, seen from the switch."""

    server: FakeAmi
    number: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    mute: bool = False
    deaf: bool = False
    one_byte_writes: bool = False
    logged_in: bool = False

    def message(self, *pairs: tuple[str, str]) -> None:
        self.raw("".join([f"{name}: {value}\r\n" for name, value in pairs] + ["\r\n"]).encode())

    def raw(self, wire: bytes) -> None:
        if self.mute or self.writer.is_closing():
            return
        if self.one_byte_writes:
            for at in range(len(wire)):
                self.writer.write(wire[at : at + 1])
        else:
            self.writer.write(wire)

    def reply(self, asked: Asked, response: str, *pairs: tuple[str, str]) -> None:
        self.message(("Response", response), ("ActionID", asked["ActionID"]), *pairs)

    def event(self, name: str, *pairs: tuple[str, str]) -> None:
        self.message(("Event", name), ("Privilege", "call,all"), *pairs)

    def drop(self) -> None:
        """Cut the connection as a dying host does."""
        self.writer.transport.abort()

    async def hang_up(self) -> None:
        """Close in order: everything written arrives first."""
        self.writer.close()

    async def serve(self) -> None:
        self.raw(BANNER)
        lines: list[str] = []
        while not self.deaf:
            line = (await self.reader.readuntil(b"\r\n"))[:-2].decode()
            if line:
                lines.append(line)
                continue
            asked = Asked(self.number, tuple(lines))
            lines = []
            self.server.note(asked)
            await self.server.answer(self, asked)
            await self.writer.drain()
        await self.server.over.wait()


Script = Callable[[FakeSession, Asked], Awaitable[None]]


@dataclass(eq=False)
class FakeAmi:
    """The server. ``script`` maps an action's name to what happens instead of the usual answer."""

    secret: str = "s3cret"
    boot: tuple[str, str] = ("2026-01-02", "03:04:05")
    booted: bool = True
    greet: bool = True
    channels: tuple[Pairs, ...] = ()
    script: dict[str, Script] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    sessions: list[FakeSession] = field(default_factory=list)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    port: int = 0
    _server: asyncio.Server | None = None
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def __aenter__(self) -> FakeAmi:
        await self.listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def listen(self) -> None:
        """Open the port: a free one the first time, the same one again later."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, limit=2**20)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Close the port and cut every connection."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for session in self.sessions:
            session.drop()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def last(self) -> FakeSession:
        return self.sessions[-1]

    def names(self, *leaving_out: str) -> list[str]:
        """Actions seen, in order, without those that every link sends by itself."""
        quiet = {"Login", "Ping", "CoreStatus", "CoreSettings", *leaving_out}
        return [asked.name for asked in self.asked if asked.name not in quiet]

    async def saw(self, name: str, count: int = 1, *, within_s: float = 30.0) -> list[Asked]:
        """Wait until ``count`` actions of that name have come in."""

        def those() -> list[Asked]:
            return [asked for asked in self.asked if asked.name == name]

        await self._until(lambda: len(those()) >= count, within_s, f"{count} × {name}")
        return those()

    async def connected(self, count: int, *, within_s: float = 30.0) -> FakeSession:
        """Wait until ``count`` connections have been accepted in all; the last of them."""
        await self._until(lambda: len(self.sessions) >= count, within_s, f"{count} connections")
        return self.sessions[count - 1]

    async def _until(self, held: Callable[[], bool], within_s: float, what: str) -> None:
        try:
            async with asyncio.timeout(within_s), self._news:
                await self._news.wait_for(held)
        except TimeoutError:
            raise AssertionError(f"the fake switch never saw {what}") from None

    def note(self, asked: Asked) -> None:
        self.asked.append(asked)
        self._tell()

    def _tell(self) -> None:
        async def tell() -> None:
            async with self._news:
                self._news.notify_all()

        self._keep(asyncio.create_task(tell()))

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = FakeSession(self, len(self.sessions) + 1, reader, writer, mute=not self.greet)
        self.sessions.append(session)
        self._keep(asyncio.current_task() or asyncio.create_task(asyncio.sleep(0)))
        self._tell()
        try:
            await session.serve()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def answer(self, session: FakeSession, asked: Asked) -> None:
        script = self.script.get(asked.name)
        if script is not None:
            await script(session, asked)
        else:
            await obey(session, asked)


async def obey(session: FakeSession, asked: Asked) -> None:
    """What a healthy switch does."""
    server = session.server
    if asked.name == "Login":
        await _log_in(session, asked)
    elif not session.logged_in:
        session.reply(asked, "Error", ("Message", "Permission denied"))
    elif asked.name == "Ping":
        session.reply(asked, "Success", ("Ping", "Pong"), ("Timestamp", "1700000000.000000"))
    elif asked.name == "CoreStatus":
        date, time = server.boot
        session.reply(asked, "Success", ("CoreStartupDate", date), ("CoreStartupTime", time))
    elif asked.name == "CoreSettings":
        session.reply(asked, "Success", ("AMIversion", "11.0.0"), ("AsteriskVersion", "22.10.1"))
    elif asked.name == "CoreShowChannels":
        list_channels(session, asked)
    elif asked.name == "Originate":
        session.reply(asked, "Success", ("Message", "Originate successfully queued"))
    elif asked.name == "DBGetTree":
        session.reply(asked, "Error", ("Message", "Database entry not found"))  # an empty family
    else:
        session.reply(asked, "Success", ("Message", f"{asked.name} done"))


async def _log_in(session: FakeSession, asked: Asked) -> None:
    if asked["Secret"] != session.server.secret:
        session.reply(asked, "Error", ("Message", "Authentication failed"))
        await session.writer.drain()
        await session.hang_up()
        return
    session.logged_in = True
    session.reply(asked, "Success", ("Message", "Authentication accepted"))
    if session.server.booted:
        session.message(("Event", "FullyBooted"), ("Privilege", "system,all"), ("Status", "Fully Booted"))


def list_channels(session: FakeSession, asked: Asked) -> None:
    own = ("ActionID", asked["ActionID"])
    session.reply(asked, "Success", ("EventList", "start"), ("Message", "Channels will follow"))
    for channel in session.server.channels:
        session.message(("Event", "CoreShowChannel"), own, *channel)
    total = str(len(session.server.channels))
    session.message(
        ("Event", "CoreShowChannelsComplete"), own, ("EventList", "Complete"), ("ListItems", total)
    )


async def silent(session: FakeSession, asked: Asked) -> None:
    """Never answer this action."""


async def drop_before_reply(session: FakeSession, asked: Asked) -> None:
    """Read the action, then die."""
    session.drop()


async def drop_after_reply(session: FakeSession, asked: Asked) -> None:
    """Answer, then close."""
    await obey(session, asked)
    await session.writer.drain()
    await session.hang_up()


async def reply_twice(session: FakeSession, asked: Asked) -> None:
    """Answer the same action two times."""
    await obey(session, asked)
    await obey(session, asked)


async def deny(session: FakeSession, asked: Asked) -> None:
    """No right to this action."""
    session.reply(asked, "Error", ("Message", "Permission denied"))


async def queued_without_async(session: FakeSession, asked: Asked) -> None:
    """PlayDTMF's reply: it reads like an asynchronous one, and nothing follows."""
    session.reply(asked, "Success", ("Message", "DTMF successfully queued"))


async def shut_down(session: FakeSession, asked: Asked) -> None:
    """The switch stops while it handles this action."""
    session.message(("Event", "Shutdown"), ("Privilege", "system,all"), ("Shutdown", "Cleanly"))


async def go_deaf(session: FakeSession, asked: Asked) -> None:
    """Stop reading after this action, and answer nothing: the connection stays open."""
    session.deaf = session.mute = True


def huge_reply(size: int) -> Script:
    """Answer with one message of about ``size`` bytes, in many headers."""

    async def script(session: FakeSession, asked: Asked) -> None:
        line = ("Output", "x" * 990)
        session.reply(asked, "Success", *[line] * (size // 1000))

    return script
