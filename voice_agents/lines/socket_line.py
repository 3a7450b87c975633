"""Lines to agents over WebSockets (RFC 6455), as the client.

Nothing here waits for an agent: what it does not take is counted and, where it is sound, dropped; what it
sends is read at once, and no faster than a call can use. The address is connected to as it was vetted, never
as a name is looked up again.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol
from urllib.parse import urlsplit

from picows import WSError, WSHandshakeError, WSUpgradeResponse, ws_connect

from telephony.errors import AgentUnavailable, InvalidInput, PatchbayError
from voice_agents.core.agent import AgentSpec, DialectName
from voice_agents.core.talk import Begin
from voice_agents.lines.pressure import LineLimits
from voice_agents.lines.socket_ends import SocketLine
from voice_agents.ports import AgentEar, AgentLine, AgentLines
from voice_agents.wire import dialects, handshake

__all__ = ["ByDialect", "LineLimits", "Reach", "SocketLines"]

_LOG: Final = logging.getLogger("voice_agents.lines")
_SOCKETS: Final = logging.getLogger("voice_agents.lines.sockets")
_SOCKETS.setLevel(logging.WARNING)
"""picows writes whole handshakes, secrets included, where it is allowed to debug."""
_PORTS: Final = {"ws": 80, "wss": 443}


class Reach(Protocol):
    """Where connections may go."""

    async def __call__(self, url: str) -> Sequence[str]:
        """The IP addresses that this address leads to and that may be connected to, best first. Raises
        ``InvalidInput`` for an address that may not be, ``Unavailable`` for a name that leads nowhere."""
        ...


class SocketLines:
    """Reaches agents by their address. ``wall`` is the clock that handshakes are signed by."""

    def __init__(
        self,
        reach: Reach,
        *,
        wall: Callable[[], float],
        limits: LineLimits | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._reach, self._wall = reach, wall
        self._limits = limits or LineLimits()
        self._tls = tls or ssl.create_default_context()

    async def open(self, spec: AgentSpec, begin: Begin, ear: AgentEar) -> AgentLine:
        """A line on which ``begin`` was sent. Raises ``AgentUnavailable``: ``why`` is ``forbidden`` where
        trying again is no use, ``timeout`` or ``refused`` where it may be."""
        url = dialects.address_of(spec)
        try:
            dialect = dialects.dialect_for(spec, begin.codec)
            headers = handshake.headers(spec, begin, url, self._wall())
        except (PatchbayError, ValueError, KeyError) as error:
            raise AgentUnavailable(str(error), why="forbidden") from None
        line = SocketLine(dialect, ear, self._limits)
        try:
            async with asyncio.timeout(self._limits.connect_s):
                await self._connect(url, headers, line)
        except BaseException as error:  # why: cancelled too, no connection may stay behind
            line.abandon()
            if isinstance(error, TimeoutError):
                raise AgentUnavailable("the agent took too long to be reached", why="timeout") from None
            raise
        try:
            line.begin(begin)
        except (ValueError, KeyError) as error:
            line.abandon()
            raise AgentUnavailable(str(error), why="forbidden") from None
        return line

    async def _connect(self, url: str, headers: Sequence[tuple[str, str]], line: SocketLine) -> None:
        try:
            addresses = await self._reach(url)
        except InvalidInput as error:
            raise AgentUnavailable(error.message, why="forbidden") from None
        except PatchbayError as error:
            raise AgentUnavailable(error.message) from None
        failed: Exception | None = None
        for address in addresses[: self._limits.addresses]:
            try:
                return await self._connect_to(address, url, headers, line)
            except (OSError, WSError, EOFError) as error:
                failed = error
        raise AgentUnavailable(_said_by(failed)) from None

    async def _connect_to(
        self, address: str, url: str, headers: Sequence[tuple[str, str]], line: SocketLine
    ) -> None:
        target = (address, urlsplit(url).port or _PORTS[urlsplit(url).scheme])
        transport, _ = await ws_connect(
            lambda: line,
            url,
            ssl_context=self._tls,
            websocket_handshake_timeout=self._limits.connect_s,
            logger_name=_SOCKETS,
            max_frame_size=self._limits.message_bytes,
            extra_headers=list(headers),
            max_redirects=0,
            socket_factory=lambda _: self._plugged(target),
        )
        if not line.connected:
            transport.disconnect(False)
            raise ConnectionResetError

    async def _plugged(self, target: tuple[str, int]) -> socket.socket:
        """A connected socket to exactly this address."""
        family = socket.AF_INET6 if ":" in target[0] else socket.AF_INET
        plug = socket.socket(family, socket.SOCK_STREAM)
        try:
            plug.setblocking(False)
            plug.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._limits.kernel_bytes)
            plug.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._limits.kernel_bytes)
            await asyncio.get_running_loop().sock_connect(plug, target)
        except BaseException:  # why: cancelled too, the socket is nobody else's to close
            plug.close()
            raise
        return plug


class ByDialect:
    """Lines of several kinds, one for each dialect."""

    def __init__(self, lines: Mapping[DialectName, AgentLines]) -> None:
        self._lines = dict(lines)

    async def open(self, spec: AgentSpec, begin: Begin, ear: AgentEar) -> AgentLine:
        lines = self._lines.get(spec.dialect)
        if lines is None:
            raise AgentUnavailable(f"nobody here speaks {spec.dialect}", why="forbidden")
        return await lines.open(spec, begin, ear)


def _said_by(failure: Exception | None) -> str:
    """Why nobody could be reached, without a word of what they sent."""
    match failure:
        case WSHandshakeError(response=WSUpgradeResponse(status=status)):
            return f"the agent's server answered {int(status)}"
        case WSError():
            return "the agent's server does not speak WebSocket"
        case ssl.SSLCertVerificationError():
            return "the certificate of the agent's server is not to be trusted"
        case ssl.SSLError():
            return "no TLS with the agent's server"
        case None:
            return "the agent's address leads nowhere"
    return "the agent's server cannot be connected to"
