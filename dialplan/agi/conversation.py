"""One connection from the switch: read one question, have it answered, set one variable, close.

    LISTENING ──question──▶ ANSWERING ──answer written──▶ CONFIRMING ──200 result=1──▶ CLOSED

Each phase has a deadline. Whatever else happens, the connection closes without the variable, and
the dialplan, which tests that variable, takes its fallback. Payload bytes are never logged.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import cast

from dialplan.agi.metrics import Outcome, Refused, Tally
from dialplan.agi.wire import (
    HungUp,
    Question,
    QuestionParser,
    Rejection,
    Reply,
    ReplyParser,
    WireLimits,
    encode_set_variable,
)
from telephony.ids import ChannelId

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AgiLimits:
    """Everything that bounds a connection. Times in seconds."""

    connections: int = 2000
    header_s: float = 0.5
    budget_s: float = 1.0
    reply_s: float = 0.5
    loopback_only: bool = True
    backlog: int = 4096
    wire: WireLimits = field(default_factory=WireLimits)


class Switchboard:
    """What the connections of one server share. Touched only from the server's loop."""

    def __init__(
        self,
        answer: Callable[[Question], Awaitable[str]],
        *,
        limits: AgiLimits,
        variable: str,
        on_gone: Callable[[ChannelId], None] | None,
    ) -> None:
        self.answer = answer
        self.limits = limits
        self.variable = variable
        self.on_gone = on_gone
        self.tally = Tally()
        self.open: set[Conversation] = set()
        self.listening: OrderedDict[Conversation, None] = OrderedDict()
        self.answering: set[asyncio.Task[bytes]] = set()
        self.empty = asyncio.Event()
        self.empty.set()

    def admit(self, newcomer: Conversation, peer: str) -> Refused | None:
        """Give the newcomer a place, or say why not.

        When all places are taken the longest listener loses its own: a real question is whole within
        a millisecond, so those who wait are the ones who have nothing to ask.
        """
        if self.limits.loopback_only and not _is_loopback(peer):
            return Refused.FOREIGN
        if len(self.open) >= self.limits.connections:
            if not self.listening:
                return Refused.FULL
            next(iter(self.listening)).refuse(Refused.CROWDED_OUT)
        self.open.add(newcomer)
        self.listening[newcomer] = None
        self.empty.clear()
        return None

    def leave(self, conversation: Conversation) -> None:
        """Free the place. Does nothing for one who has none."""
        self.listening.pop(conversation, None)
        self.open.discard(conversation)
        if not self.open:
            self.empty.set()


def _is_loopback(peer: str) -> bool:
    return peer.startswith(("127.", "::ffff:127.")) or peer == "::1"


class _Phase(Enum):
    LISTENING = auto()
    ANSWERING = auto()
    CONFIRMING = auto()
    CLOSED = auto()


class Conversation(asyncio.Protocol):
    """One connection, from accept to close."""

    def __init__(self, board: Switchboard, loop: asyncio.AbstractEventLoop) -> None:
        self._board = board
        self._loop = loop
        self._phase = _Phase.LISTENING
        self._parser = QuestionParser(board.limits.wire)
        self._replies = ReplyParser(board.limits.wire)
        self._transport: asyncio.Transport | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._question: Question | None = None
        self._task: asyncio.Task[bytes] | None = None
        self._asked_at = 0.0
        self._told_gone = False

    # what the loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        refused = self._board.admit(self, str(peer[0])) if peer else Refused.CLOSED_EARLY
        if refused is not None:
            self.refuse(refused)
            return
        self._wait(self._board.limits.header_s, self._header_late)

    def data_received(self, data: bytes) -> None:
        if self._phase is _Phase.LISTENING:
            self._listen(data)
        elif self._phase is not _Phase.CLOSED:
            self._hear(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._phase is _Phase.LISTENING:
            self.refuse(Refused.CLOSED_EARLY)
        elif self._phase is not _Phase.CLOSED:
            self._tell_gone()
            self._settle(Outcome.GONE)
        self._board.leave(self)

    # what the server calls

    def refuse(self, reason: str) -> None:
        """Close a connection that has not asked its question; counted by reason."""
        self._board.tally.rejected[reason] += 1
        self._close(abort=True)

    def dismiss(self) -> None:
        """The server stops: close, whatever the phase."""
        if self._phase is _Phase.LISTENING:
            self.refuse(Refused.STOPPING)
        elif self._phase is not _Phase.CLOSED:
            self._settle(Outcome.DROPPED)

    # the phases

    def _listen(self, chunk: bytes) -> None:
        verdict = self._parser.feed(chunk)
        if isinstance(verdict, Question):
            self._ask(verdict)
        elif verdict is not None:
            self.refuse(verdict.reason)

    def _ask(self, question: Question) -> None:
        self._phase = _Phase.ANSWERING
        self._question = question
        self._board.listening.pop(self, None)
        self._board.tally.asked += 1
        if self._parser.rest:
            self._hear(self._parser.rest)
            if self._phase is not _Phase.ANSWERING:
                return
        self._asked_at = self._loop.time()
        self._wait(self._board.limits.budget_s, self._answer_late)
        self._task = self._loop.create_task(self._command(question))
        self._board.answering.add(self._task)
        self._task.add_done_callback(self._answered)

    async def _command(self, question: Question) -> bytes:
        return encode_set_variable(self._board.variable, await self._board.answer(question))

    def _answered(self, task: asyncio.Task[bytes]) -> None:
        self._board.answering.discard(task)
        error = None if task.cancelled() else task.exception()
        if self._phase is not _Phase.ANSWERING or self._transport is None:
            return
        if task.cancelled() or error is not None:
            assert self._question is not None
            log.warning(
                "agi answer failed: %s, channel %s",
                type(error).__name__ if error is not None else "cancelled",
                self._question.channel,
            )
            self._settle(Outcome.FAILED)
            return
        self._phase = _Phase.CONFIRMING
        self._transport.write(task.result())
        self._board.tally.time(self._loop.time() - self._asked_at)
        self._wait(self._board.limits.reply_s, self._reply_late)

    def _hear(self, chunk: bytes) -> None:
        for heard in self._replies.feed(chunk):
            match heard:
                case HungUp():
                    self._board.tally.hangups += 1
                    self._tell_gone()
                    if self._phase is _Phase.ANSWERING:
                        self._settle(Outcome.GONE)
                case Reply() if self._phase is _Phase.CONFIRMING:
                    self._settle(Outcome.ANSWERED if heard.done else Outcome.DECLINED)
                case Reply() | Rejection():
                    self._settle(Outcome.GARBLED)
            if self._phase is _Phase.CLOSED:
                return

    # deadlines and endings

    def _wait(self, seconds: float, late: Callable[[], None]) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self._loop.call_later(seconds, late)

    def _header_late(self) -> None:
        self.refuse(Refused.SILENT)

    def _answer_late(self) -> None:
        self._settle(Outcome.LATE)

    def _reply_late(self) -> None:
        self._settle(Outcome.UNCONFIRMED)

    def _tell_gone(self) -> None:
        if self._board.on_gone is None or self._question is None or self._told_gone:
            return
        self._told_gone = True
        self._loop.call_soon(self._board.on_gone, self._question.channel)

    def _settle(self, outcome: Outcome) -> None:
        self._board.tally.outcomes[outcome] += 1
        self._close(abort=outcome in (Outcome.GARBLED, Outcome.UNCONFIRMED, Outcome.DROPPED))

    def _close(self, *, abort: bool) -> None:
        """Close the socket and stop the answerer. ``abort`` also throws away what is not yet written."""
        self._phase = _Phase.CLOSED
        self._board.leave(self)
        if self._deadline is not None:
            self._deadline.cancel()
        if self._task is not None:
            self._task.cancel()
        if self._transport is None:
            return
        if abort:
            self._transport.abort()
        else:
            self._transport.close()
