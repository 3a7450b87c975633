"""A small AMI conversation for looking: is the switch up, which version, what may this user do.

Not the product's AMI client: one action at a time, no reconnect, each wait with a deadline. It answers
"is it ready" at start and the questions of ``patchbay doctor``.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from gateway.config import AmiLogin
from telephony.errors import SwitchUnavailable, UnsafeValue

Message = Mapping[str, str]
"""One AMI message: header → value. A header that comes twice keeps its last value."""
_BANNER = b"Asterisk Call Manager/"


class AmiProbe:
    """One connection to AMI, past the banner."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._events: deque[Message] = deque(maxlen=1_000)
        self._turn = 0

    async def ask(
        self, action: str, headers: Mapping[str, str] | None = None, *, deadline_s: float = 5.0
    ) -> Message:
        """Send an action and return its reply; events that come meanwhile are kept for ``event``."""
        self._turn += 1
        tag = f"probe-{self._turn}"
        lines = [("Action", action), ("ActionID", tag), *(headers or {}).items()]
        for name, value in lines:
            if any(ord(c) < 32 for c in name + value):
                raise UnsafeValue(f"AMI header {name} has a control character")
        self._writer.write("".join(f"{n}: {v}\r\n" for n, v in lines).encode() + b"\r\n")
        try:
            async with asyncio.timeout(deadline_s):
                await self._writer.drain()
                while True:
                    message = await self._read()
                    if "Response" in message and message.get("ActionID") == tag:
                        return message
                    self._events.append(message)
        except (TimeoutError, OSError, EOFError) as failure:
            raise SwitchUnavailable(f"AMI gave no reply to {action}: {failure!r}") from failure

    async def event(self, name: str, deadline_s: float = 5.0) -> Message:
        """The next event of this name. Raises ``SwitchUnavailable`` if it does not come in time."""
        try:
            async with asyncio.timeout(deadline_s):
                while True:
                    message = await self.any_event()
                    if message["Event"] == name:
                        return message
        except (TimeoutError, OSError, EOFError) as failure:
            raise SwitchUnavailable(f"AMI sent no {name}: {failure!r}") from failure

    async def any_event(self) -> Message:
        """The next event, whatever it is; the caller holds the deadline."""
        while True:
            message = self._events.popleft() if self._events else await self._read()
            if "Event" in message:
                return message

    async def login(self, login: AmiLogin, deadline_s: float = 5.0) -> None:
        """Log in. Raises ``SwitchUnavailable`` saying which user was refused."""
        reply = await self.ask(
            "Login", {"Username": login.user, "Secret": login.secret.reveal()}, deadline_s=deadline_s
        )
        if reply.get("Response") != "Success":
            raise SwitchUnavailable(
                f"AMI refuses user {login.user}: {reply.get('Message', 'no reason given')}"
            )

    async def _read(self) -> Message:
        block = await self._reader.readuntil(b"\r\n\r\n")
        pairs = (line.partition(": ") for line in block.decode(errors="replace").split("\r\n") if ":" in line)
        return {name.removesuffix(":"): value for name, _, value in pairs}


@asynccontextmanager
async def ami_probe(host: str, port: int, deadline_s: float = 5.0) -> AsyncIterator[AmiProbe]:
    """Connect and read the banner. Raises ``SwitchUnavailable`` if there is no AMI."""
    try:
        async with asyncio.timeout(deadline_s):
            reader, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError) as failure:
        raise SwitchUnavailable(f"nothing answers at {host}:{port}: {failure!r}") from failure
    try:
        try:
            async with asyncio.timeout(deadline_s):
                banner = await reader.readline()
        except (OSError, TimeoutError, ValueError) as failure:
            raise SwitchUnavailable(f"{host}:{port} does not speak AMI: {failure!r}") from failure
        if not banner.startswith(_BANNER):
            raise SwitchUnavailable(f"{host}:{port} does not speak AMI")
        yield AmiProbe(reader, writer)
    finally:
        writer.close()


async def fully_booted(host: str, port: int, login: AmiLogin) -> None:
    """Return once AMI lets ``login`` in and says FullyBooted; keeps trying, the caller holds the deadline.

    A refused password is not waited for: it raises ``SwitchUnavailable``.
    """
    while True:
        try:
            async with ami_probe(host, port) as probe:
                await probe.login(login)
                await probe.event("FullyBooted", 30.0)
                return
        except SwitchUnavailable as failure:
            if "refuses user" in failure.message:
                raise
            await asyncio.sleep(0.05)
