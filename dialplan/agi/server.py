"""The FastAGI server: listens on loopback for the switch's one question per call.

FastAGI has no read timeout in Asterisk: a connection that is accepted and then left silent holds
the caller without limit. So every wait here has a deadline, and a connection whose question cannot
be answered is closed without setting the variable, for the dialplan's fallback to take over.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress

from dialplan.agi.conversation import AgiLimits, Conversation, Switchboard
from dialplan.agi.metrics import AgiMetrics
from dialplan.agi.wire import Question
from telephony.ids import ChannelId

__all__ = ["AgiLimits", "AgiServer"]

_CLOSING_S = 1.0
_ACCEPTS_AT_ONCE = 128


class AgiServer:
    """Puts each question to ``answer`` and sets the answer as one channel variable.

    ``answer`` must answer from memory: it has ``limits.budget_s`` seconds and is cancelled when they
    are over or the caller hangs up. What it returns must fit the alphabet of ``encode_set_variable``.
    ``on_gone`` is told the channel when the caller hangs up, or the switch closes the connection,
    before the answer was confirmed; at most once per question.
    """

    def __init__(
        self,
        answer: Callable[[Question], Awaitable[str]],
        *,
        limits: AgiLimits | None = None,
        variable: str = "PB_ROUTE",
        on_gone: Callable[[ChannelId], None] | None = None,
    ) -> None:
        self._board = Switchboard(answer, limits=limits or AgiLimits(), variable=variable, on_gone=on_gone)
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen on this address, and return the port (port 0 asks for any free one).

        Raises OSError when the port is taken or the address is not ours.
        """
        loop = asyncio.get_running_loop()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family)
        self._server = await loop.create_server(
            lambda: Conversation(self._board, loop), sock=listener, backlog=_ACCEPTS_AT_ONCE
        )
        # asyncio takes one number for two things. Few accepts at once let questions be read between
        # them; a long queue in the kernel keeps a flood from losing the switch's SYN, which costs a second.
        listener.listen(self._board.limits.backlog)
        return int(listener.getsockname()[1])

    async def stop(self, drain_s: float) -> None:
        """Take no new connections, let asked questions finish for ``drain_s`` seconds, close the rest."""
        if self._server is None:
            return
        server, self._server = self._server, None
        server.close()
        for conversation in [*self._board.listening]:
            conversation.dismiss()
        with suppress(TimeoutError):
            async with asyncio.timeout(drain_s):
                await self._board.empty.wait()
        for conversation in [*self._board.open]:
            conversation.dismiss()
        if self._board.answering:
            await asyncio.wait([*self._board.answering], timeout=_CLOSING_S)
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSING_S):
                await server.wait_closed()

    def metrics(self) -> AgiMetrics:
        """What has happened so far."""
        return self._board.tally.snapshot(open_now=len(self._board.open))
